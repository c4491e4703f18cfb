/* A turn's log as another node reads it: server-sent events, with one before them that says what
 * the log is, and one behind them that says how the turn ended. mirror_read.c reads it. */
#include "base/json.h"
#include "config/config.h"
#include "follow_format.h"
#include "mirror_read.h"

#define FIRST_BYTES 512

static void write_event(struct follow *w, const char *type, struct buf *data)
{
    struct buf out = {0};

    buf_printf(&out, "event: %s\ndata: %.*s\n\n", type, STR_ARG(buf_str(data)));
    if (!out.failed && !data->failed) /* without it the other node asks again */
        response_stream_write(w->req, out.data, out.len);
    buf_deinit(&out);
    buf_deinit(data);
}

static void begin(struct follow *w)
{
    const struct turn_log *log = w->log;
    struct buf data = {0};
    struct json j = {.buf = &data};

    sse_begin(w->req);
    json_begin_object(&j);
    json_pair_str(&j, "reply_id", id_str(&log->reply_id));
    json_pair_int(&j, "last", (int64_t)turn_log_last(w->log));
    json_pair_int(&j, "tokens_limit", log->tokens_limit);
    json_pair_int(&j, "tokens_left", log->tokens_left);
    json_end_object(&j);
    write_event(w, PEER_HEAD, &data);
}

static void pair_status(struct json *j, const char *name, enum status status)
{
    json_pair_str(j, name, str_from(status_row(status)->name));
}

static void end(struct follow *w)
{
    const struct turn_log *log = w->log;
    struct buf data = {0};
    struct json j = {.buf = &data};

    json_begin_object(&j);
    pair_status(&j, "outcome", log->outcome.status);
    json_pair_int(&j, "code", log->outcome.code);
    if (log->outcome.detail)
        json_pair_str(&j, "detail", str_from(log->outcome.detail));
    pair_status(&j, "reply_outcome", log->reply_outcome);
    json_pair_bool(&j, "is_saved", log->is_saved);
    json_pair_bool(&j, "is_stopped", log->is_stopped);
    json_pair_str(&j, "model", log->model);
    json_pair_raw(&j, "usage", log->usage);
    json_pair_raw(&j, "metadata", log->metadata);
    json_end_object(&j);
    write_event(w, PEER_TAIL, &data);
    response_end_stream(w->req);
}

/* Often enough that the other node can tell a silent one from a dead one. */
static uint64_t silence_ms(void)
{
    return config()->nodes.dead_seconds * 1000 / 3;
}

static const struct follow_format format = {begin, follow_add_sse, follow_keep_sse_alive, end,
                                            silence_ms};

void follow_peer(struct follow *w, struct flow *f, struct request *req, struct turn_log *log,
                 uint64_t n)
{
    follow_as(w, f, req, log, n, &format);
}
