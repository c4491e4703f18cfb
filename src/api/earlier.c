/* The stored reply, as the stream that its first asker saw or as one JSON object. */
#include "earlier.h"

#include "answer.h"
#include "chat/event.h"
#include "chat/follow.h"
#include "config/config.h"
#include "message_json.h"

/* Why the stored reply is not whole: kept with it, unless a crash left no time for that. */
static void write_error_end(struct buf *out, struct request *req, const struct db_result *row)
{
    const struct error cut = ERROR(ERR_INTERRUPTED, 0, NULL);
    struct str metadata = db_get_text(row, 0, MESSAGE_METADATA);
    struct str code = {0}, detail = {0};
    yyjson_val *root = NULL, *why;

    if (metadata.len > 0 &&
        !is_error(json_read(&req->arena, metadata, (unsigned)config()->limits.json_depth, &root))) {
        why = json_member(root, "error");
        code = json_text(json_member(why, "code"));
        detail = json_text(json_member(why, "message"));
    }
    event_write_error(out, code.ptr ? code : str_from(event_code(&cut)),
                      detail.ptr ? detail : str_from(event_detail(&cut)),
                      db_get_text(row, 0, MESSAGE_ID), 0);
}

/* The terminal event of a stored reply. */
static void write_end(struct buf *out, struct request *req, const struct db_result *row,
                      struct str status)
{
    bool is_stopped = str_eq(status, STR("stopped"));

    if (is_stopped || str_eq(status, STR("complete")))
        event_write_done(out, db_get_text(row, 0, MESSAGE_ID), is_stopped);
    else
        write_error_end(out, req, row);
}

/* The stored reply as the stream that its first asker saw, in two events. */
static void stream_reply(struct request *req, const struct db_result *row)
{
    struct id id = {""};
    struct message_view v;
    struct log_event text = {0}, end = {0};
    struct buf out = {0}, end_json = {0};

    (void)id_parse(db_get_text(row, 0, MESSAGE_ID), &id);
    message_view_open(&v, row, 0, &caller_of(req)->user_id);
    text.text = v.content;
    text.n = text.text.len * 8;
    if (text.text.len > 0)
        sse_format(&out, &id, &text);
    write_end(&end_json, req, row, v.status);
    message_view_close(&v);
    end.n = text.n + 1;
    end.notice = buf_str(&end_json);
    sse_format(&out, &id, &end);
    if (out.failed || end_json.failed) {
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
    } else {
        sse_begin(req);
        response_stream_write(req, out.data, out.len);
        response_end_stream(req);
    }
    buf_deinit(&end_json);
    buf_deinit(&out);
}

void earlier_answer(struct request *req, const struct db_result *row, bool as_stream)
{
    struct buf out = {0};
    struct json j = {.buf = &out};

    if (row->n_rows == 0) {
        flow_fail(&req->flow, ERROR(ERR_CONFLICT, 0, "The reply to this message was deleted"));
    } else if (as_stream) {
        stream_reply(req, row);
    } else {
        reply_write(&j, row, 0, &caller_of(req)->user_id);
        answer_json(req, 200, &out);
    }
}
