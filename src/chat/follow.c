/* Reading a turn for one request: its events as SSE or in a WebSocket, or only its end. */
#include "chat/follow.h"

#include "base/json.h"
#include "base/log.h"
#include "chat/turn.h"
#include "config/config.h"
#include "follow_format.h"
#include "http/websocket.h"

#include <inttypes.h>
#include <stdio.h>

#define EVENT_TEXT_BYTES (16 * 1024)
#define BATCH_BYTES      (32 * 1024)
/* Of an event, with what a chunk or a frame adds, beside its text; and the least text worth one. */
#define EVENT_HEAD_BYTES  192
#define EVENT_LEAST_BYTES 64

static const char *const state_names[] = {"pending", "live", "blocked", "ended"};

static void set_state(struct follow *w, enum follow_state state)
{
    log_trace("follow: turn %s: %s to %s", w->log->reply_id.text, state_names[w->state],
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

static void write_id(struct buf *out, const struct id *reply_id, uint64_t n)
{
    buf_append_str(out, id_str(reply_id));
    buf_append_char(out, ':');
    buf_append_decimal(out, n);
}

/* The event's object but for the brace that opens it. */
static void write_members(struct buf *out, const struct log_event *event)
{
    if (event->notice.len > 0) {
        buf_append_str(out, str_skip(event->notice, 1));
    } else {
        buf_append_str(out, STR("\"type\":\"message\",\"data\":{\"content\":\""));
        json_escape(out, event->text);
        buf_append_str(out, STR("\"}}"));
    }
}

void sse_format(struct buf *out, const struct id *reply_id, const struct log_event *event)
{
    buf_append_str(out, STR("id: "));
    write_id(out, reply_id, event->n);
    buf_append_str(out, STR("\ndata: {"));
    write_members(out, event);
    buf_append_str(out, STR("\n\n"));
}

size_t follow_add_sse(struct follow *w, struct buf *out, const struct log_event *event)
{
    size_t before = out->len;

    sse_format(out, &w->log->reply_id, event);
    return out->len - before;
}

static void begin_sse(struct follow *w)
{
    follow_set_headers(w->req, w->log);
    sse_begin(w->req);
}

void follow_keep_sse_alive(struct follow *w)
{
    response_stream_write(w->req, ": keep-alive\n\n", 14);
}

static void end_sse(struct follow *w)
{
    response_end_stream(w->req);
}

static const struct follow_format sse = {begin_sse, follow_add_sse, follow_keep_sse_alive, end_sse};

void event_format(struct buf *out, const struct id *reply_id, const struct log_event *event)
{
    buf_append_str(out, STR("{\"id\":\""));
    write_id(out, reply_id, event->n);
    buf_append_str(out, STR("\","));
    write_members(out, event);
}

/* Each event is a message of its own. */
static size_t add_message(struct follow *w, struct buf *out, const struct log_event *event)
{
    size_t len;

    event_format(out, &w->log->reply_id, event);
    if (out->failed)
        return 0;
    websocket_send(w->req, buf_str(out));
    len = out->len;
    buf_clear(out);
    return len;
}

static void do_nothing(struct follow *w)
{
    (void)w;
}

/* The WebSocket was begun by another, has pings of its own, and goes on. */
static const struct follow_format messages = {do_nothing, add_message, do_nothing, do_nothing};

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

static uint64_t heartbeat_ms(const struct follow *w)
{
    return w->format->silence_ms ? w->format->silence_ms()
                                 : config()->turn.heartbeat_seconds * 1000;
}

/* Moved here once an expiry, not once an event. */
static void on_heartbeat(struct timer *t)
{
    struct follow *w = container_of(t, struct follow, heartbeat);
    uint64_t now_ms = loop_now_ms(w->req->loop), due_ms = w->sent_ms + heartbeat_ms(w);

    if (now_ms >= due_ms) {
        if (w->state == FOLLOW_LIVE)
            w->format->keep_alive(w);
        w->sent_ms = now_ms;
        due_ms = now_ms + heartbeat_ms(w);
    }
    timer_start(t, due_ms - now_ms, on_heartbeat);
}

/* Text is cut so that its event takes no more than room bytes; a notice goes as a whole. */
static bool next_event(struct follow *w, size_t room, struct log_event *event)
{
    size_t most =
        room > EVENT_HEAD_BYTES + EVENT_LEAST_BYTES ? room - EVENT_HEAD_BYTES : EVENT_LEAST_BYTES;
    size_t len;

    if (!turn_log_next(w->log, w->n, EVENT_TEXT_BYTES, event))
        return false;
    len = json_prefix(event->text, most).len;
    return len == event->text.len || turn_log_next(w->log, w->n, len, event);
}

/* What the log has after w->n, up to a batch, or to what the connection may hold. */
static bool gather(struct follow *w, struct buf *out)
{
    struct log_event event;
    bool has_more = false;
    size_t room = response_stream_room(w->req);

    if (room > BATCH_BYTES)
        room = BATCH_BYTES;
    turn_log_lock(w->log);
    while ((has_more = next_event(w, room, &event)) && !out->failed) {
        size_t len = w->format->add(w, out, &event);

        w->n = event.n;
        if (room < len + EVENT_HEAD_BYTES + EVENT_LEAST_BYTES)
            break;
        room -= len;
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
        response_stream_write(w->req, out->data, out->len);
        w->sent_ms = loop_now_ms(w->req->loop);
        if (response_stream_is_full(w->req)) {
            set_state(w, FOLLOW_BLOCKED);
            response_stream_on_drained(w->req, on_drained, w);
        }
    }
    if (w->state == FOLLOW_LIVE && is_closed) {
        leave(w);
        w->format->end(w);
        op_end(&w->op, NO_ERROR); /* last: may free w */
    }
}

static void on_drained(void *state)
{
    struct follow *w = state;

    set_state(w, FOLLOW_LIVE);
    pump(w);
}

/* Its reader got more from the turn's node than has come here yet. */
static bool is_behind(const struct follow *w)
{
    return w->log->is_mirror && w->n > turn_log_last(w->log);
}

static void begin(struct follow *w)
{
    enum turn_log_phase phase = turn_log_phase(w->log);

    if (phase == TURN_LOG_PENDING || (phase == TURN_LOG_OPEN && is_behind(w)))
        return;
    if (phase == TURN_LOG_CLOSED && !w->log->is_begun) {
        leave(w);
        op_end(&w->op, NO_ERROR);
        return;
    }
    if (w->log->is_mirror && !turn_log_has(w->log, w->n))
        w->n = 0;
    set_state(w, FOLLOW_LIVE);
    w->format->begin(w);
    timer_start(&w->heartbeat, heartbeat_ms(w), on_heartbeat);
    pump(w);
}

/* What it says it has does not come. */
static void on_patience_over(struct timer *t)
{
    struct follow *w = container_of(t, struct follow, heartbeat);

    w->n = 0;
    begin(w);
}

static void on_grow_send(struct log_reader *r)
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

static void on_grow_begin(struct log_reader *r)
{
    struct follow *w = container_of(r, struct follow, reader);

    if (turn_log_phase(w->log) == TURN_LOG_PENDING)
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

void follow_as(struct follow *w, struct flow *f, struct request *req, struct turn_log *log,
               uint64_t n, const struct follow_format *format)
{
    w->req = req;
    w->n = n;
    w->format = format;
    if (!start(w, f, log, on_grow_send))
        return;
    if (is_behind(w))
        timer_start(&w->heartbeat, config()->nodes.dead_seconds * 1000, on_patience_over);
    begin(w);
}

void follow_sse(struct follow *w, struct flow *f, struct request *req, struct turn_log *log,
                uint64_t n)
{
    follow_as(w, f, req, log, n, &sse);
}

void follow_websocket(struct follow *w, struct flow *f, struct request *req, struct turn_log *log,
                      uint64_t n)
{
    follow_as(w, f, req, log, n, &messages);
}

void follow_wait(struct follow *w, struct flow *f, struct turn_log *log)
{
    if (start(w, f, log, on_grow_wait))
        on_grow_wait(&w->reader);
}

void follow_begin(struct follow *w, struct flow *f, struct turn_log *log)
{
    if (start(w, f, log, on_grow_begin))
        on_grow_begin(&w->reader);
}
