/* Reading a turn for one request: its events as SSE, or only its end. */
#include "chat/follow.h"

#include "base/json.h"
#include "base/log.h"
#include "chat/turn.h"
#include "config/config.h"

#include <inttypes.h>
#include <stdio.h>

#define EVENT_TEXT_BYTES (16 * 1024)
#define BATCH_BYTES      (32 * 1024)

static const char *const state_names[] = {"pending", "live", "blocked", "ended"};

static void set_state(struct follow *w, enum follow_state state)
{
    log_trace("follow: turn %s: %s to %s", w->log->turn_id.text, state_names[w->state],
              state_names[state]);
    w->state = state;
}

static void set_number(struct request *req, const char *name, int64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRId64, number);

    response_set_header(req, name, (struct str){text, (size_t)len});
}

void follow_set_headers(struct request *req, const struct turn_log *log)
{
    if (log->tokens_limit == 0)
        return;
    set_number(req, "X-RateLimit-Limit-Tokens", log->tokens_limit);
    set_number(req, "X-RateLimit-Remaining-Tokens", log->tokens_left);
}

void sse_begin(struct request *req)
{
    response_set_header(req, "Cache-Control", STR("no-cache, no-transform"));
    response_set_header(req, "X-Accel-Buffering", STR("no"));
    response_begin_stream(req, 200, "text/event-stream");
}

void sse_format(struct buf *out, const struct id *turn_id, const struct log_event *event)
{
    buf_printf(out, "id: %s:%" PRIu64 "\ndata: ", turn_id->text, event->n);
    if (event->notice.len > 0) {
        buf_append_str(out, event->notice);
    } else {
        buf_append_str(out, STR("{\"type\":\"message\",\"data\":{\"content\":\""));
        json_escape(out, event->text);
        buf_append_str(out, STR("\"}}"));
    }
    buf_append_str(out, STR("\n\n"));
}

static void leave(struct follow *w)
{
    set_state(w, FOLLOW_ENDED);
    timer_stop(&w->heartbeat);
    turn_log_detach(w->log, &w->reader);
}

static void on_cancel(struct op *op)
{
    struct follow *w = container_of(op, struct follow, op);

    leave(w);
    op_end(op, ERROR(ERR_CANCELED, 0, "the reader left"));
}

static void on_heartbeat(struct timer *t)
{
    struct follow *w = container_of(t, struct follow, heartbeat);

    if (w->state == FOLLOW_LIVE)
        response_stream_write(w->req, ": keep-alive\n\n", 14);
    timer_start(t, config()->turn.heartbeat_seconds * 1000, on_heartbeat);
}

/* What the log has after w->n, up to a batch, into the scratch buffer. */
static bool gather(struct follow *w, struct buf *out)
{
    struct log_event event;
    bool has_more = false;

    turn_log_lock(w->log);
    while ((has_more = turn_log_next(w->log, w->n, EVENT_TEXT_BYTES, &event)) &&
           out->len < BATCH_BYTES) {
        sse_format(out, &w->log->turn_id, &event);
        w->n = event.n;
    }
    turn_log_unlock(w->log);
    return has_more;
}

static void on_drained(void *state);

/* Sends what the log has and the socket takes. Runs when either of them gains something. */
static void pump(struct follow *w)
{
    bool is_closed =
        turn_log_phase(w->log) == TURN_LOG_CLOSED; /* asked first: what follows is then all */
    bool has_more = true;

    while (w->state == FOLLOW_LIVE && has_more) {
        struct buf *out = chat_scratch();

        has_more = gather(w, out);
        if (out->failed) {
            leave(w);
            op_end(&w->op, ERROR(ERR_NO_MEMORY, 0, NULL));
            return;
        }
        if (out->len > 0) {
            response_stream_write(w->req, out->data, out->len);
            timer_start(&w->heartbeat, config()->turn.heartbeat_seconds * 1000, on_heartbeat);
        }
        if (response_stream_is_full(w->req)) {
            set_state(w, FOLLOW_BLOCKED);
            response_stream_on_drained(w->req, on_drained, w);
        }
    }
    if (w->state == FOLLOW_LIVE && is_closed) {
        leave(w);
        response_end_stream(w->req);
        op_end(&w->op, NO_ERROR); /* last: may free w */
    }
}

static void on_drained(void *state)
{
    struct follow *w = state;

    set_state(w, FOLLOW_LIVE);
    pump(w);
}

static void begin(struct follow *w)
{
    enum turn_log_phase phase = turn_log_phase(w->log);

    if (phase == TURN_LOG_PENDING)
        return;
    if (phase == TURN_LOG_CLOSED && !w->log->is_begun) {
        leave(w);
        op_end(&w->op, NO_ERROR);
        return;
    }
    set_state(w, FOLLOW_LIVE);
    follow_set_headers(w->req, w->log);
    sse_begin(w->req);
    timer_start(&w->heartbeat, config()->turn.heartbeat_seconds * 1000, on_heartbeat);
    pump(w);
}

static void on_grow_sse(struct log_reader *r)
{
    struct follow *w = container_of(r, struct follow, reader);

    if (w->state == FOLLOW_PENDING)
        begin(w);
    else
        pump(w);
}

static void on_grow_wait(struct log_reader *r)
{
    struct follow *w = container_of(r, struct follow, reader);

    if (turn_log_phase(w->log) != TURN_LOG_CLOSED)
        return;
    leave(w);
    op_end(&w->op, NO_ERROR);
}

static bool start(struct follow *w, struct flow *f, struct turn_log *log,
                  void (*on_grow)(struct log_reader *r))
{
    w->log = log;
    op_begin(&w->op, f, on_cancel);
    if (turn_log_attach(log, &w->reader, on_grow))
        return true;
    set_state(w, FOLLOW_ENDED);
    op_end(&w->op, ERROR(ERR_NO_MEMORY, 0, NULL));
    return false;
}

void follow_sse(struct follow *w, struct flow *f, struct request *req, struct turn_log *log,
                uint64_t n)
{
    w->req = req;
    w->n = n;
    if (start(w, f, log, on_grow_sse))
        begin(w);
}

void follow_wait(struct follow *w, struct flow *f, struct turn_log *log)
{
    if (start(w, f, log, on_grow_wait))
        on_grow_wait(&w->reader);
}
