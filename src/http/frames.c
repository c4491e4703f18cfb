/* One WebSocket's bytes, judged. See frames.h.
 *
 * wslay is fed a byte at a time until it has read a frame's head, and then no more than the frame
 * has. So it never holds bytes of the next one: events are handed on between its calls and not from
 * inside them, and between messages there is nothing to keep. */
#include "frames.h"
#include "http/websocket.h"

#include <string.h>
#include <wslay/wslay.h>

/* ---- wslay's side: these mark, and end nothing ---- */

static ssize_t on_recv(wslay_event_context_ptr wslay, uint8_t *buf, size_t len, int flags,
                       void *state)
{
    struct frames *r = state;
    size_t n = len < r->n_offered ? len : r->n_offered;

    (void)flags;
    if (n == 0) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(buf, r->offered, n);
    r->offered += n;
    r->n_offered -= n;
    return (ssize_t)n;
}

static ssize_t on_send(wslay_event_context_ptr wslay, const uint8_t *data, size_t len, int flags,
                       void *state)
{
    struct frames *r = state;

    (void)wslay;
    (void)flags;
    buf_append(r->out, data, len); /* a failure stays in it */
    return (ssize_t)len;
}

static void refuse(struct frames *r, unsigned code)
{
    r->code = code;
    wslay_event_shutdown_read(r->wslay);
}

static void on_frame_start(wslay_event_context_ptr wslay,
                           const struct wslay_event_on_frame_recv_start_arg *arg, void *state)
{
    struct frames *r = state;

    (void)wslay;
    r->has_head = true;
    r->left = arg->payload_length;
    r->is_final = arg->fin;
    r->is_control = wslay_is_ctrl_frame(arg->opcode);
    r->is_close = arg->opcode == WSLAY_CONNECTION_CLOSE;
    if (!r->is_control)
        r->is_in_message = true;
    if (arg->opcode == WSLAY_BINARY_FRAME)
        refuse(r, CLOSE_NOT_TEXT);
    else if (r->is_close && arg->payload_length == 1)
        refuse(r, CLOSE_PROTOCOL); /* half a code */
}

static void on_frame_piece(wslay_event_context_ptr wslay,
                           const struct wslay_event_on_frame_recv_chunk_arg *arg, void *state)
{
    struct frames *r = state;

    (void)wslay;
    r->left -= arg->data_length;
    if (r->is_control || r->code != 0)
        return;
    if (arg->data_length > r->max_bytes - r->message.len) {
        refuse(r, CLOSE_TOO_BIG); /* wslay looks at one frame's length only */
        return;
    }
    buf_append(&r->message, arg->data, arg->data_length);
    if (r->message.failed)
        refuse(r, CLOSE_TRY_LATER);
}

static void on_frame_end(wslay_event_context_ptr wslay, void *state)
{
    struct frames *r = state;

    (void)wslay;
    r->has_bytes = r->has_head = false;
    if (r->is_control || !r->is_final)
        return;
    r->is_in_message = false;
    r->has_text = true;
}

/* Only of control frames: the others are not buffered there. */
static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *arg,
                       void *state)
{
    struct str reason = {(const char *)arg->msg, arg->msg_length};

    (void)wslay;
    if (arg->opcode == WSLAY_CONNECTION_CLOSE && !utf8_is_valid(str_skip(reason, 2)))
        refuse(state, CLOSE_BAD_TEXT);
}

/* ---- our side ---- */

static bool open_wslay(struct frames *r)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .on_frame_recv_start_callback = on_frame_start,
        .on_frame_recv_chunk_callback = on_frame_piece,
        .on_frame_recv_end_callback = on_frame_end,
        .on_msg_recv_callback = on_message,
    };

    if (r->wslay)
        return true;
    if (wslay_event_context_server_init(&r->wslay, &callbacks, r) != 0) {
        r->wslay = NULL;
        return false;
    }
    /* Its own buffering keeps a list of frames, which empty ones would let grow without end. */
    wslay_event_config_set_no_buffering(r->wslay, 1);
    wslay_event_config_set_max_recv_msg_length(r->wslay, r->max_bytes);
    return true;
}

static void close_wslay(struct frames *r)
{
    if (r->wslay)
        wslay_event_context_free(r->wslay);
    r->wslay = NULL;
}

static enum frames_event fail(struct frames *r, unsigned code)
{
    r->code = code;
    return FRAMES_FAILED;
}

/* How much wslay is offered next. It looks at a Close's reason piece by piece, and wrongly when
 * pieces are longer than a byte; on_message() looks at the whole. */
static size_t next_offer(const struct frames *r, size_t len)
{
    if (!r->has_head || r->is_close)
        return 1;
    return r->left < len ? (size_t)r->left : len;
}

enum frames_event frames_feed(struct frames *r, const char *data, size_t len, size_t *used,
                              struct buf *out)
{
    *used = 0;
    r->out = out;
    while (*used < len) {
        size_t n = next_offer(r, len - *used);
        int result;

        if (!open_wslay(r))
            return fail(r, CLOSE_TRY_LATER);
        r->offered = data + *used;
        r->n_offered = n;
        r->has_bytes = true;
        result = wslay_event_recv(r->wslay);
        *used += n - r->n_offered;
        if (r->code != 0)
            return FRAMES_FAILED;
        if (result != 0) /* a head that is no frame's, or no memory */
            return fail(r, result == WSLAY_ERR_CALLBACK_FAILURE ? CLOSE_PROTOCOL : CLOSE_TRY_LATER);
        if (wslay_event_want_write(r->wslay) && wslay_event_send(r->wslay) != 0)
            return fail(r, CLOSE_TRY_LATER);
        if (wslay_event_get_close_sent(r->wslay)) {
            r->code = wslay_event_get_status_code_sent(r->wslay);
            return FRAMES_CLOSED;
        }
        if (!frames_is_amid(r))
            close_wslay(r);
        if (r->has_text)
            return FRAMES_TEXT;
    }
    return FRAMES_MORE;
}

struct buf frames_take_text(struct frames *r)
{
    struct buf text = r->message;

    r->message = (struct buf){.data = NULL};
    r->has_text = false;
    return text;
}

bool frames_is_amid(const struct frames *r)
{
    return r->has_bytes || r->is_in_message;
}

void frames_deinit(struct frames *r)
{
    close_wslay(r);
    buf_deinit(&r->message);
}

/* ---- writing ---- */

/* The head of a whole frame (RFC 6455 section 5.2). */
static void write_head(struct buf *out, unsigned opcode, size_t len)
{
    unsigned char head[10] = {(unsigned char)(0x80u | opcode)};
    size_t n_length = len < 126 ? 0 : len < 65536 ? 2 : 8;

    head[1] = (unsigned char)(n_length == 0 ? len : n_length == 2 ? 126 : 127);
    for (size_t i = 0; i < n_length; i++)
        head[2 + i] = (unsigned char)((uint64_t)len >> 8 * (n_length - 1 - i));
    buf_append(out, head, 2 + n_length);
}

void frames_write_text(struct buf *out, struct str text)
{
    write_head(out, WSLAY_TEXT_FRAME, text.len);
    buf_append_str(out, text);
}

void frames_write_ping(struct buf *out)
{
    write_head(out, WSLAY_PING, 0);
}

void frames_write_close(struct buf *out, unsigned code, struct str reason)
{
    const char bytes[2] = {(char)(code >> 8), (char)(code & 0xff)};

    write_head(out, WSLAY_CONNECTION_CLOSE, sizeof(bytes) + reason.len);
    buf_append(out, bytes, sizeof(bytes));
    buf_append_str(out, reason);
}
