/* A WebSocket on its connection: the handshake, pings, and the ways it closes. */
#include "config/config.h"
#include "internal.h"

#include "base/crypto.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* Of RFC 6455 section 1.3, and the length of a key: 16 bytes in base64. */
#define KEY_SUFFIX "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_LEN    24

/* ---- the handshake (RFC 6455 section 4.2) ---- */

/* Is token in one of the comma-separated lists of that name? */
static bool lists(const struct request *req, const char *name, struct str token)
{
    struct str wanted = str_from(name), rest, part;

    for (size_t i = 0; i < req->n_headers; i++) {
        if (!str_eq_nocase(req->headers[i].name, wanted))
            continue;
        rest = req->headers[i].value;
        while (str_next(&rest, ',', &part))
            if (str_eq_nocase(str_trim(part), token))
                return true;
    }
    return false;
}

static bool is_base64_char(char ch)
{
    return (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') ||
           ch == '+' || ch == '/';
}

static bool is_key(struct str key)
{
    if (key.len != KEY_LEN || key.ptr[KEY_LEN - 1] != '=' || key.ptr[KEY_LEN - 2] != '=')
        return false;
    for (size_t i = 0; i < KEY_LEN - 2; i++)
        if (!is_base64_char(key.ptr[i]))
            return false;
    return true;
}

static struct str accept_of(struct request *req, struct str key)
{
    char text[KEY_LEN + sizeof(KEY_SUFFIX)];
    unsigned char digest[SHA1_BYTES];

    memcpy(text, key.ptr, KEY_LEN);
    memcpy(text + KEY_LEN, KEY_SUFFIX, sizeof(KEY_SUFFIX));
    crypto_sha1((struct str){text, sizeof(text) - 1}, digest);
    return crypto_base64(&req->arena, (struct str){(char *)digest, sizeof(digest)});
}

/* 426, and what to ask for. */
static void demand_upgrade(struct request *req, const char *detail)
{
    response_set_header(req, "Upgrade", STR("websocket"));
    response_set_header(req, "Connection", STR("Upgrade"));
    response_set_header(req, "Sec-WebSocket-Version", STR("13"));
    response_detail(req, 426, detail);
    flow_finish(&req->flow);
}

static bool judge_handshake(struct request *req)
{
    if (req->is_head || req->is_http_1_0 || !lists(req, "upgrade", STR("websocket")) ||
        !lists(req, "connection", STR("upgrade")))
        demand_upgrade(req, "Only WebSockets are served here: send Upgrade: websocket");
    else if (!str_eq(request_header(req, "sec-websocket-version"), STR("13")))
        demand_upgrade(req, "Only version 13 of the WebSocket protocol is spoken here");
    else if (!is_key(request_header(req, "sec-websocket-key")))
        flow_fail(&req->flow,
                  ERROR(ERR_BAD_REQUEST, 0, "Sec-WebSocket-Key must be 16 bytes in base64"));
    else if (req->response->body_in.len > 0)
        flow_fail(&req->flow, ERROR(ERR_BAD_REQUEST, 0, "A WebSocket's request has no body"));
    else if (side_of(req->conn->http, req->listener)->is_draining)
        flow_fail(&req->flow, ERROR(ERR_UNAVAILABLE, 0, "The server is shutting down"));
    else
        return true;
    return false;
}

static void on_silence(struct timer *t);

static void await_ping(struct websocket *ws)
{
    ws->is_pinged = false;
    timer_start(&ws->silence, config()->limits.websocket_ping_seconds * 1000, on_silence);
}

bool websocket_accept(struct request *req, const struct websocket_handler *handler, void *state)
{
    struct conn *c = req->conn;
    struct websocket *ws;
    struct str accept;

    if (!judge_handshake(req))
        return false;
    accept = accept_of(req, request_header(req, "sec-websocket-key"));
    ws = accept.ptr && !req->arena.failed ? calloc(1, sizeof(*ws)) : NULL;
    if (!ws) {
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
        return false;
    }
    ws->conn = c;
    ws->handler = handler;
    ws->state = state;
    ws->frames.max_bytes = config()->limits.websocket_message_bytes;
    c->websocket = ws;
    response_upgrade(req, accept);
    await_ping(ws);
    return true;
}

void websocket_free(struct websocket *ws)
{
    if (!ws)
        return;
    timer_stop(&ws->silence);
    frames_deinit(&ws->frames);
    free(ws);
}

/* ---- sending and closing ---- */

/* RFC 6455, section 5.2: without a mask. */
#define FRAME_HEAD_BYTES 10

void websocket_send(struct request *req, struct str text)
{
    struct websocket *ws = req->conn->websocket;
    struct buf *out =
        ws && !ws->is_closed ? conn_stream_out(ws->conn, text.len + FRAME_HEAD_BYTES) : NULL;

    if (!out)
        return;
    frames_write_text(out, text);
    ws->conn->req->response->n_bytes += text.len; /* req may be one within */
    response_note_full(req);
}

/* The last word was said: what comes is dropped, and the connection ends once it is out. */
static void fall_silent(struct websocket *ws)
{
    ws->is_closed = true;
    timer_stop(&ws->silence);
    frames_deinit(&ws->frames);
}

static void say_goodbye(struct websocket *ws, unsigned code, struct str reason)
{
    struct buf *out = conn_out(ws->conn);

    log_debug("http: connection %d: closing the WebSocket with %u", ws->conn->fd, code);
    if (out)
        frames_write_close(out, code, reason);
    fall_silent(ws);
}

void websocket_close(struct request *req, enum close_code code, const char *reason)
{
    struct websocket *ws = req->conn->websocket;

    if (ws && !ws->is_closed)
        say_goodbye(ws, code, str_from(reason));
}

/* The client is at fault, or gone: the handler hears of it as of any client that left. May free ws.
 */
static void lose_client(struct websocket *ws)
{
    request_lose_client(ws->conn->req);
}

static void on_silence(struct timer *t)
{
    struct websocket *ws = container_of(t, struct websocket, silence);
    struct buf *out;

    if (ws->is_pinged) {
        say_goodbye(ws, CLOSE_POLICY, STR("no pong"));
        lose_client(ws);
        return;
    }
    /* A ping behind what the socket does not take would be late: write_seconds decides there. */
    if (conn_out_waiting(ws->conn) > 0) {
        await_ping(ws);
        return;
    }
    out = conn_out(ws->conn);
    if (!out)
        return;
    frames_write_ping(out);
    ws->is_pinged = true;
    timer_start(t, config()->limits.websocket_pong_seconds * 1000, on_silence);
}

void websocket_drain(struct websocket *ws)
{
    if (!ws->is_closed)
        ws->handler->on_drain(ws->state);
}

/* ---- reading ---- */

/* As long as a body of that size may take. */
static bool is_too_slow(struct websocket *ws)
{
    const struct config_limits *limits = &config()->limits;
    uint64_t rate = limits->body_min_bytes_per_second, now_ms = loop_now_ms(ws->conn->http->loop);

    if (!frames_is_amid(&ws->frames)) {
        ws->began_ms = now_ms;
        return false;
    }
    return rate > 0 && now_ms - ws->began_ms >
                           (limits->head_seconds + limits->websocket_message_bytes / rate) * 1000;
}

static void hand_on(struct websocket *ws)
{
    struct buf text = frames_take_text(&ws->frames);

    ws->handler->on_text(ws->state, text.data ? buf_str(&text) : STR(""));
    buf_deinit(&text);
}

size_t websocket_feed(struct conn *c, const char *data, size_t len)
{
    struct websocket *ws = c->websocket;
    size_t at = 0, used;

    if (!ws->is_closed)
        await_ping(ws); /* whatever comes shows that the client is there */
    while (at < len && c->websocket && !response_stream_is_full(c->req)) {
        struct buf *out = ws->is_closed ? NULL : conn_out(c);

        if (!out)
            return len;
        if (is_too_slow(ws)) {
            say_goodbye(ws, CLOSE_POLICY, STR("the message came too slowly"));
            lose_client(ws);
            return len;
        }
        switch (frames_feed(&ws->frames, data + at, len - at, &used, out)) {
        case FRAMES_MORE:
            break;
        case FRAMES_TEXT:
            hand_on(ws); /* may free ws */
            break;
        case FRAMES_FAILED:
            say_goodbye(ws, ws->frames.code, STR(""));
            lose_client(ws);
            return len;
        case FRAMES_CLOSED:
            log_debug("http: connection %d: the WebSocket closed with %u", c->fd, ws->frames.code);
            fall_silent(ws);
            lose_client(ws);
            return len;
        }
        at += used;
        if (c->websocket)
            response_note_full(c->req);
    }
    return c->websocket ? at : len;
}
