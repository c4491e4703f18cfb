/* A connection: reads requests one after the other, gathers output and writes it once a turn of the
 * loop. Whatever happens to it, conn_close() is the one way out. */
#include "config/config.h"
#include "internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* After the first head_seconds of a body, its rate is looked at this often. */
#define BODY_WINDOW_MS 5000
/* How long a client may go on sending after its last answer, so that it reads the answer and not a
 * reset. */
#define LINGER_MS 2000
/* A head that is half there when the server drains has this long to come. */
#define DRAIN_HEAD_MS 500
/* Less than this in write_seconds is no progress: a reader that takes a byte now and then is none.
 */
#define WRITE_PROGRESS_BYTES 4096
/* Streams stop at limits.output_bytes; this is for one answer as a whole, and for handlers that do
 * not stop. */
#define OUT_MAX_BYTES (64 * 1024 * 1024)

static void on_flush(struct flush *f);

static void set_state(struct conn *c, enum conn_state state)
{
    static const char *const names[] = {"handshake", "idle",   "head",      "body",
                                        "answering", "ending", "lingering", "closed"};

    log_trace("http: connection %d: %s -> %s", c->fd, names[c->state], names[state]);
    c->state = state;
}

/* Is an answer under way that may be parked for long? */
static bool is_streaming(const struct conn *c)
{
    return c->req && (c->req->response->state == RESPONSE_STREAMING || c->websocket);
}

static void mark_dirty(struct conn *c)
{
    loop_mark_dirty(&c->flush, on_flush);
}

/* ---- closing ---- */

static void try_free(struct conn *c)
{
    struct http_loop *h = c->http;
    enum listener_kind kind;

    if (c->state != CONN_CLOSED || c->is_handle_open || c->req)
        return;
    list_remove(&c->link);
    kind = c->listener->kind;
    side_of(h, kind)->n_conns--;
    free(c);
    server_check_drained(h, kind);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;

    c->is_handle_open = false;
    try_free(c);
}

static void drop_websocket(struct conn *c)
{
    websocket_free(c->websocket);
    c->websocket = NULL;
}

/* Only what is left after a write: in most turns of the loop nothing is. */
static void count_waiting(struct conn *c, size_t waiting)
{
    size_t most = config()->limits.output_bytes, excess = waiting > most ? waiting - most : 0;

    if (waiting == c->out_counted)
        return;
    counter_add(&http_count()->output_bytes, waiting - c->out_counted);
    c->out_counted = waiting;
    c->http->excess_bytes += excess - c->out_excess;
    if (c->out_excess == 0)
        c->excess_since_ms = loop_now_ms(c->http->loop);
    c->out_excess = excess;
}

static void release_out(struct conn *c)
{
    struct http_loop *h = c->http;

    count_waiting(c, 0);
    if (c->out.data && c->out.cap == OUT_BYTES && h->n_spare_out < N_SPARE_OUT)
        h->spare_out[h->n_spare_out++] = c->out.data;
    else
        buf_deinit(&c->out);
    c->out = (struct buf){.data = NULL};
    c->out_sent = 0;
}

/* Ends TLS: in order where all was said that there was to say. */
static void drop_tls(struct conn *c)
{
    if (!c->tls)
        return;
    if (!c->req && !c->is_cut && conn_out_waiting(c) == 0)
        tls_say_end(c->tls);
    tls_free(c->tls);
    c->tls = NULL;
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    if (c->state == CONN_HANDSHAKE)
        counter_add(&http_count()->handshakes_failed, 1);
    drop_tls(c);
    set_state(c, CONN_CLOSED);
    timer_stop(&c->deadline);
    timer_stop(&c->write_deadline);
    loop_unmark_dirty(&c->flush);
    release_out(c);
    buf_deinit(&c->in);
    parser_free(c->parser);
    c->parser = NULL;
    drop_websocket(c);
    server_uncount_address(c->http->server, c->address_count);
    uv_close((uv_handle_t *)&c->poll, on_handle_closed);
    close(c->fd);
    atomic_fetch_sub(&c->http->server->n_conns, 1);
    listener_resume(c->http);
    if (c->req)
        request_lose_client(c->req); /* c stays until the handle is closed */
}

/* ---- output ---- */

struct buf *conn_out(struct conn *c)
{
    struct http_loop *h = c->http;

    if (c->state == CONN_CLOSED)
        return NULL;
    if (!c->out.data && !c->out.failed) {
        if (h->n_spare_out > 0)
            c->out = (struct buf){.data = h->spare_out[--h->n_spare_out], .cap = OUT_BYTES};
        else
            buf_reserve(&c->out, OUT_BYTES); /* a failure stays in it: the flush closes c */
        c->out.max_bytes = OUT_MAX_BYTES;
    }
    mark_dirty(c);
    return &c->out;
}

static void drop_sent(struct conn *c)
{
    buf_consume(&c->out, c->out_sent);
    c->out_sent = 0;
}

struct buf *conn_stream_out(struct conn *c, size_t len)
{
    struct buf *out = conn_out(c);
    size_t most, need;

    if (!out || out->len + len <= out->cap)
        return out;
    most = config()->limits.output_bytes;
    if (c->out_sent > 0)
        drop_sent(c);
    need = out->len + len;
    /* At once: what a buffer grows out of lies about in the heap. */
    buf_reserve_spare(out, len, need < most ? most - need : 0);
    return out;
}

size_t conn_out_waiting(const struct conn *c)
{
    return c->out.len - c->out_sent;
}

/* Closes by a reset: what the kernel still holds for a client that does not read goes too, where a
 * close in order would keep it until it is read. */
static void conn_reset(struct conn *c)
{
    struct linger none = {.l_onoff = 1};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    conn_close(c);
}

static void on_write_deadline(struct timer *t)
{
    struct conn *c = container_of(t, struct conn, write_deadline);

    log_debug("http: connection %d: the client does not read", c->fd);
    conn_reset(c);
}

/* How much of what the server keeps for slow readers c has taken, and for how long. */
static uint64_t burden(const struct conn *c)
{
    return c->out_excess * (loop_now_ms(c->http->loop) - c->excess_since_ms + 1);
}

/* A whole answer may be large, and so may be the number of those who take it slowly: past the
 * loop's share of limits.output_total_bytes, who was the greatest burden goes; one that reads
 * quickly stays. May close any connection of the loop; none is freed. */
static void cut_excess(struct http_loop *h)
{
    size_t share = config()->limits.output_total_bytes / atomic_load(&h->server->n_loops);

    while (h->excess_bytes > share) {
        struct conn *most = container_of(h->conns.next, struct conn, link);

        for (struct list *it = h->conns.next; it != &h->conns; it = it->next) {
            struct conn *c = container_of(it, struct conn, link);

            if (burden(c) > burden(most))
                most = c;
        }
        log_warn("http: connection %d: cut, as too much waits for clients that read slowly",
                 most->fd);
        conn_reset(most);
    }
}

/* Gives the socket what it takes. May close c. */
static void write_out(struct conn *c)
{
    if (c->out.failed) {
        log_warn("http: connection %d: no memory for its output", c->fd);
        conn_close(c);
        return;
    }
    while (!c->is_blocked && conn_out_waiting(c) > 0) {
        const char *data = c->out.data + c->out_sent;
        size_t len = conn_out_waiting(c);
        ssize_t n = c->tls ? tls_write(c->tls, data, len)
                           : send(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0) {
            c->out_sent += (size_t)n;
            c->window_bytes += (size_t)n;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            c->is_blocked = true;
        } else if (errno != EINTR) {
            conn_close(c);
            return;
        }
    }
    if (conn_out_waiting(c) == 0) {
        release_out(c);
        timer_stop(&c->write_deadline);
        return;
    }
    count_waiting(c, conn_out_waiting(c));
    cut_excess(c->http);
    if (c->state == CONN_CLOSED)
        return;
    if (c->out_sent > c->out.len / 2)
        drop_sent(c);
    if (!timer_is_started(&c->write_deadline) || c->window_bytes >= WRITE_PROGRESS_BYTES) {
        c->window_bytes = 0;
        timer_start(&c->write_deadline, config()->limits.write_seconds * 1000, on_write_deadline);
    }
}

/* ---- requests ---- */

static void on_deadline(struct timer *t);

static void drop_parser(struct conn *c)
{
    parser_free(c->parser);
    c->parser = NULL;
    timer_stop(&c->deadline);
}

/* Answers err to what cannot be read to its end, and says goodbye. */
static void fail_reading(struct conn *c, struct error err)
{
    struct request *req = c->req ? c->req : request_new(c, NULL);

    c->req = req;
    drop_parser(c);
    c->lingers = true;
    if (!req) {
        conn_close(c);
        return;
    }
    set_state(c, CONN_ANSWERING);
    req->response->keep_alive = false;
    response_error(req, err);
    request_check_end(req);
}

static void on_deadline(struct timer *t)
{
    struct conn *c = container_of(t, struct conn, deadline);
    uint64_t rate = config()->limits.body_min_bytes_per_second, window_ms = BODY_WINDOW_MS;

    switch (c->state) {
    case CONN_HANDSHAKE:
    case CONN_IDLE:
    case CONN_LINGERING:
        conn_close(c);
        break;
    case CONN_HEAD:
        fail_reading(c, ERROR(ERR_CLIENT_TIMEOUT, 0, NULL));
        break;
    case CONN_BODY:
        if (!c->has_body_window)
            window_ms = config()->limits.head_seconds * 1000;
        c->has_body_window = true;
        if (parser_body_len(c->parser) - c->body_seen < rate * window_ms / 1000) {
            fail_reading(c, ERROR(ERR_CLIENT_TIMEOUT, 0, NULL));
            break;
        }
        c->body_seen = parser_body_len(c->parser);
        timer_start(t, BODY_WINDOW_MS, on_deadline);
        break;
    case CONN_ANSWERING:
    case CONN_ENDING:
    case CONN_CLOSED:
        break; /* nothing is being read */
    }
}

static void begin_head(struct conn *c)
{
    const struct config_limits *limits = &config()->limits;

    c->parser = parser_new(&(struct parser_limits){.request_line_bytes = limits->request_line_bytes,
                                                   .head_bytes = limits->head_bytes,
                                                   .header_lines = limits->header_lines});
    if (!c->parser) {
        conn_close(c);
        return;
    }
    set_state(c, CONN_HEAD);
    timer_start(&c->deadline, limits->head_seconds * 1000, on_deadline);
}

static void end_head(struct conn *c)
{
    size_t max_body_bytes = 0;

    c->req = request_new(c, c->parser);
    if (!c->req) {
        conn_close(c);
        return;
    }
    if (request_judge_head(c->req, c->parser, &max_body_bytes)) {
        set_state(c, CONN_BODY);
        parser_accept_body(c->parser, max_body_bytes);
        c->body_seen = 0;
        c->has_body_window = false;
        timer_start(&c->deadline, config()->limits.head_seconds * 1000, on_deadline);
        return;
    }
    c->lingers = parser_head(c->parser).has_body;
    drop_parser(c);
    set_state(c, CONN_ANSWERING);
    request_check_end(c->req);
}

static void end_body(struct conn *c)
{
    c->req->response->body_in = parser_take_body(c->parser);
    drop_parser(c);
    set_state(c, CONN_ANSWERING);
    request_run(c->req);
}

/* The next request waits until the socket takes the answers before it. */
static bool may_begin(const struct conn *c)
{
    return !c->is_blocked && conn_out_waiting(c) < config()->limits.output_bytes && !c->out.failed;
}

/* Reads requests until one has to wait, or a WebSocket's frames. Returns how many bytes were used.
 */
static size_t parse(struct conn *c, const char *data, size_t len)
{
    enum parser_event event = PARSER_MORE;
    size_t at = 0, used;

    if (c->websocket)
        return websocket_feed(c, data, len);
    while (at < len || event == PARSER_HEAD) {
        if (c->state == CONN_IDLE && may_begin(c))
            begin_head(c);
        if (c->state != CONN_HEAD && c->state != CONN_BODY)
            break;
        event = parser_feed(c->parser, data + at, len - at, &used);
        at += used;
        if (event == PARSER_HEAD)
            end_head(c);
        else if (event == PARSER_DONE)
            end_body(c);
        else if (event == PARSER_FAILED)
            fail_reading(c, parser_error(c->parser));
        if (c->state != CONN_BODY)
            event = PARSER_MORE;
    }
    return at;
}

/* A node that asks next is to find the server that has this place now. */
static bool is_left_by_peers(const struct conn *c)
{
    return c->listener->kind == LISTENER_PEER &&
           place_is_anothers(c->http->server, c->listener->socket->place);
}

void conn_end_request(struct conn *c, bool keep_alive)
{
    c->req = NULL;
    if (c->state == CONN_CLOSED) {
        try_free(c);
        return;
    }
    if (keep_alive && !is_left_by_peers(c)) {
        set_state(c, CONN_IDLE);
        timer_start(&c->deadline, config()->limits.idle_seconds * 1000, on_deadline);
    } else {
        c->lingers = c->lingers || c->in.len > 0 || c->websocket;
        drop_websocket(c);
        set_state(c, CONN_ENDING);
    }
    mark_dirty(c); /* goes on with what is in `in`, or closes */
}

/* ---- the socket's side ---- */

static bool wants_input(const struct conn *c)
{
    if (c->state == CONN_ENDING || c->state == CONN_LINGERING)
        return true;
    if (c->websocket)
        return c->in.len == 0 && !response_stream_is_full(c->req);
    return is_streaming(c) || c->in.len < config()->limits.pipeline_bytes;
}

/* Waits for what the state can use. */
static void watch(struct conn *c)
{
    int events;
    bool takes_input = !c->is_eof && wants_input(c);

    if (c->state == CONN_CLOSED)
        return;
    events = (takes_input ? UV_READABLE : 0) | (c->is_blocked ? UV_WRITABLE : 0);
    if (c->tls)
        events = list_is_linked(&c->tls->turn) ? 0 : tls_events_to_await(c->tls, events);
    if (events == c->events)
        return;
    c->events = events;
    if (events == 0)
        uv_poll_stop(&c->poll);
    else if (uv_poll_start(&c->poll, events, c->poll.poll_cb) != 0)
        conn_close(c);
}

static void parse_waiting(struct conn *c)
{
    size_t used = parse(c, c->in.data, c->in.len);

    if (c->state == CONN_CLOSED)
        return;
    buf_consume(&c->in, used);
    if (c->in.len == 0)
        buf_deinit(&c->in);
}

static void linger(struct conn *c)
{
    drop_tls(c);
    set_state(c, CONN_LINGERING);
    buf_deinit(&c->in);
    shutdown(c->fd, SHUT_WR);
    timer_start(&c->deadline, LINGER_MS, on_deadline);
}

/* A stream's room was taken and is there again. The handler may do anything, also end the request.
 */
static void tell_drained(struct conn *c)
{
    struct response *res = c->req->response;
    void (*on_drained)(void *state) = res->on_drained;

    if (!res->was_full || conn_out_waiting(c) > config()->limits.output_bytes / 2)
        return;
    res->was_full = false;
    res->on_drained = NULL;
    if (on_drained)
        on_drained(res->drained_state);
}

static void take_read(struct conn *c, ssize_t n);
static size_t room_for_input(const struct conn *c);

/* What OpenSSL has already taken from the socket; bounded by its buffer. */
static void read_rest(struct conn *c)
{
    take_read(c, tls_read_rest(c->tls, c->http->loop->read_buffer, room_for_input(c)));
}

/* Everything that c owes at the end of a turn. */
static void settle(struct conn *c)
{
    write_out(c);
    if (c->state == CONN_CLOSED)
        return;
    if (c->is_eof && c->req && (is_streaming(c) || c->req->fails_at_eof)) {
        conn_close(c);
        return;
    }
    if (is_streaming(c)) {
        if (!c->websocket && c->in.len > config()->limits.pipeline_bytes) {
            log_debug("http: connection %d: too much was sent while a stream is answered", c->fd);
            conn_close(c);
            return;
        }
        tell_drained(c);
    }
    if (c->in.len > 0 &&
        (c->websocket ? !response_stream_is_full(c->req) : c->state == CONN_IDLE && may_begin(c)))
        parse_waiting(c);
    if (c->tls && c->tls->has_rest && c->state != CONN_ENDING && wants_input(c))
        read_rest(c);
    if (c->is_eof && (c->state == CONN_HEAD || c->state == CONN_BODY ||
                      (c->state == CONN_IDLE && c->in.len == 0))) {
        drop_parser(c);
        if (c->req) {
            conn_close(c); /* in the middle of a body: nobody waits for an answer */
            return;
        }
        set_state(c, CONN_ENDING);
    }
    if (c->state == CONN_ENDING && conn_out_waiting(c) == 0 && !c->out.failed) {
        if ((!c->lingers && !c->tls) || c->is_eof) { /* TLS has a close_notify still to come */
            conn_close(c);
            return;
        }
        linger(c);
    }
    watch(c);
}

static void on_flush(struct flush *f)
{
    settle(container_of(f, struct conn, flush));
}

static void take_input(struct conn *c, const char *data, size_t len)
{
    if (c->state == CONN_ENDING || c->state == CONN_LINGERING)
        return;
    if (c->in.len == 0) {
        size_t used = parse(c, data, len);

        data += used;
        len -= used;
    }
    if (len == 0 || c->state == CONN_CLOSED || c->state == CONN_ENDING)
        return;
    buf_append(&c->in, data, len);
    if (c->in.failed)
        conn_close(c);
    else
        mark_dirty(c);
}

/* While an answer is pending, no more than may be kept; one byte over is noticed as such. */
static size_t room_for_input(const struct conn *c)
{
    size_t room = sizeof(c->http->loop->read_buffer);
    size_t most_ahead = config()->limits.pipeline_bytes;

    return c->state == CONN_ANSWERING && most_ahead < room ? most_ahead + 1 : room;
}

/* What recv() gave, or tls_read(). */
static void take_read(struct conn *c, ssize_t n)
{
    if (n > 0) {
        take_input(c, c->http->loop->read_buffer, (size_t)n);
        if (c->tls && c->tls->has_rest)
            mark_dirty(c);
    } else if (n == 0) {
        c->is_eof = true;
        if (c->state == CONN_LINGERING)
            conn_close(c);
        else
            mark_dirty(c);
    } else if (errno != EAGAIN && errno != EINTR) {
        conn_close(c);
    }
}

static void read_in(struct conn *c)
{
    char *out = c->http->loop->read_buffer;
    size_t room = room_for_input(c);

    /* What comes after the last answer is dropped as it is. */
    if (c->tls && c->state != CONN_ENDING)
        take_read(c, tls_read(c->tls, out, room));
    else
        take_read(c, recv(c->fd, out, room, MSG_DONTWAIT));
}

/* The time until its turn comes is ours, not the client's. */
static void queue_handshake(struct conn *c)
{
    uint64_t now_ms = loop_now_ms(c->http->loop);

    if (timer_is_started(&c->deadline))
        c->tls->left_ms = c->deadline.due_ms > now_ms ? c->deadline.due_ms - now_ms : 0;
    timer_stop(&c->deadline);
    handshake_queue(&c->http->handshakes, c->tls);
    watch(c);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct conn *c = handle->data;

    if (status < 0) {
        conn_close(c); /* reset */
        return;
    }
    if (c->tls) {
        events = tls_events_that_came(c->tls, events);
        if (c->state == CONN_HANDSHAKE) {
            queue_handshake(c);
            return;
        }
    }
    if (events & UV_WRITABLE) {
        c->is_blocked = false;
        mark_dirty(c);
    }
    if (events & UV_READABLE)
        read_in(c);
    if (!list_is_linked(&c->flush.link)) /* else settle() looks, when it is known what is blocked */
        watch(c);
}

/* ---- opening ---- */

struct conn *conn_open(const struct listener *l, int fd, const struct ip *peer,
                       struct address_count *count)
{
    struct http_loop *h = l->http;
    struct conn *c = calloc(1, sizeof(*c));
    bool is_tls = l->kind == LISTENER_TLS;

    if (c && is_tls)
        c->tls = tls_new(h->server->tls, fd);
    if (!c || (is_tls && !c->tls) || uv_poll_init(&h->loop->uv, &c->poll, fd) != 0) {
        if (c)
            tls_free(c->tls);
        free(c);
        close(fd);
        server_uncount_address(h->server, count);
        atomic_fetch_sub(&h->server->n_conns, 1);
        return NULL;
    }
    c->poll.data = c;
    c->is_handle_open = true;
    c->http = h;
    c->listener = l;
    c->fd = fd;
    c->peer = *peer;
    c->address_count = count;
    list_push(&h->conns, &c->link);
    side_of(h, l->kind)->n_conns++;
    c->events = UV_READABLE;
    if (uv_poll_start(&c->poll, UV_READABLE, on_poll) != 0) {
        conn_close(c);
        return NULL;
    }
    if (is_tls) {
        c->tls->conn = c;
        timer_start(&c->deadline, config()->tls.handshake_seconds * 1000, on_deadline);
    } else {
        set_state(c, CONN_IDLE);
        timer_start(&c->deadline, config()->limits.idle_seconds * 1000, on_deadline);
    }
    return c;
}

void conn_await_handshake(struct conn *c)
{
    timer_start(&c->deadline, c->tls->left_ms, on_deadline);
    watch(c);
}

void conn_end_handshake(struct conn *c)
{
    set_state(c, CONN_IDLE);
    if (side_of(c->http, c->listener->kind)->is_draining &&
        !place_is_anothers(c->http->server, c->listener->socket->place)) {
        conn_refuse(c);
    } else {
        timer_start(&c->deadline, config()->limits.idle_seconds * 1000, on_deadline);
        read_in(c); /* a request may have come with the last of the handshake */
    }
    if (!list_is_linked(&c->flush.link))
        watch(c);
}

void conn_refuse_plain(struct conn *c)
{
    counter_add(&http_count()->handshakes_failed, 1);
    tls_free(c->tls);
    c->tls = NULL;
    fail_reading(c,
                 ERROR(ERR_BAD_REQUEST, 0, "This port speaks TLS: the address begins with https"));
}

void conn_refuse(struct conn *c)
{
    if (c->state == CONN_HANDSHAKE) {
        conn_drain(c); /* until it can be told */
        return;
    }
    fail_reading(c, ERROR(ERR_UNAVAILABLE, 0, "The server is shutting down"));
}

void conn_drain(struct conn *c)
{
    bool has_time = place_is_anothers(c->http->server, c->listener->socket->place) &&
                    c->listener->kind != LISTENER_PEER; /* nodes ask again */

    if (c->state == CONN_IDLE)
        read_in(c); /* a request that has just come is not lost */
    if (c->state == CONN_IDLE && has_time) {
        /* There is time for the request that is on its way, and the answer says goodbye. */
        timer_start(&c->deadline, config()->limits.head_seconds * 1000, on_deadline);
    } else if (c->state == CONN_IDLE) {
        set_state(c, CONN_ENDING);
        mark_dirty(c);
    } else if ((c->state == CONN_HEAD || c->state == CONN_HANDSHAKE) && !has_time) {
        if (c->state == CONN_HANDSHAKE)
            c->tls->left_ms = DRAIN_HEAD_MS;
        timer_start(&c->deadline, DRAIN_HEAD_MS, on_deadline);
    } else if (c->websocket) {
        websocket_drain(c->websocket);
    } /* else it ends with its answer */
}
