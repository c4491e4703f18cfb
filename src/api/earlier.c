/* The stored reply, as the stream that its first asker saw. */
#include "earlier.h"

#include "chat/event.h"
#include "chat/follow.h"
#include "http/websocket.h"
#include "message_json.h"

/* Where the events go: an answer's body, sent when all are there, or a WebSocket. */
struct sink {
    struct request *socket; /* NULL: it is an answer */
    struct id turn_id;      /* of its own: in one socket, the numbers of a turn rise */
    struct buf out;
};

static void add(struct sink *s, uint64_t n, struct str notice, struct str text)
{
    struct log_event event = {.n = n, .notice = notice, .text = text};

    if (!s->socket) {
        sse_format(&s->out, &s->turn_id, &event);
        return;
    }
    event_format(&s->out, &s->turn_id, &event);
    if (s->out.failed)
        return;
    websocket_send(s->socket, buf_str(&s->out));
    buf_clear(&s->out);
}

/* The part of the text that comes after event n. */
static struct str rest_of(struct str text, uint64_t n)
{
    size_t offset = turn_log_offset(n);

    if (offset > text.len || (offset < text.len && (text.ptr[offset] & 0xc0) == 0x80))
        return text; /* no place in this text */
    return str_skip(text, offset);
}

void earlier_stream(struct request *req, struct request *socket, const struct db_result *row,
                    const struct id *owner_id, bool names_session, uint64_t n)
{
    struct sink s = {.socket = socket, .turn_id = id_v7()};
    struct message_view v;
    struct buf json = {0};
    struct str rest;
    bool is_told = names_session && n == 0;

    message_view_open(&v, row, 0, owner_id);
    rest = rest_of(v.content, n);
    if (is_told) {
        event_write_status(&json, "info", STR("This message was answered before"),
                           db_get_text(row, 0, MESSAGE_CHAT_ID));
        add(&s, turn_log_number(0, 1), buf_str(&json), STR_NONE);
        buf_clear(&json);
    }
    if (rest.len > 0)
        add(&s, turn_log_number(v.content.len, 0), STR_NONE, rest);
    event_write_stored_end(&json, &req->arena, db_get_text(row, 0, MESSAGE_ID), v.status,
                           db_get_text(row, 0, MESSAGE_METADATA));
    add(&s, turn_log_number(v.content.len, is_told && v.content.len == 0 ? 2 : 1), buf_str(&json),
        STR_NONE);
    message_view_close(&v);
    if (s.out.failed || json.failed) {
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
    } else if (!socket) {
        sse_begin(req);
        response_stream_write(req, s.out.data, s.out.len);
        response_end_stream(req);
    }
    buf_deinit(&json);
    buf_deinit(&s.out);
}
