/* A client's WebSocket frames: in one piece, byte by byte and cut in two they must mean the same;
 * and a message, sent either way, arrives as it is. The first byte says where the cut is. */
#include "fuzz.h"
#include "http/frames.h"
#include "http/websocket.h"

#define MAX_BYTES 300

struct story {
    struct frames frames;
    struct buf texts, out;
    unsigned code;
};

static void take_text(struct story *s)
{
    struct buf text = frames_take_text(&s->frames);

    MUST(utf8_is_valid(buf_str(&text)) && text.len <= MAX_BYTES);
    buf_append_str(&s->texts, buf_str(&text));
    buf_append_char(&s->texts, '\n');
    buf_deinit(&text);
}

static bool feed(void *state, struct str piece)
{
    struct story *s = state;
    struct frames *r = &s->frames;

    while (s->code == 0 && piece.len > 0) {
        size_t used;
        enum frames_event event = frames_feed(r, piece.ptr, piece.len, &used, &s->out);

        MUST(used <= piece.len && (event != FRAMES_MORE || used == piece.len));
        /* Between messages it holds no memory. */
        MUST(frames_is_amid(r) || event != FRAMES_MORE || (!r->wslay && !r->message.data));
        MUST(r->message.len <= MAX_BYTES);
        if (event == FRAMES_TEXT) {
            take_text(s);
        } else if (event != FRAMES_MORE) {
            s->code = r->code;
            MUST(s->code >= 1000 && s->code <= 4999);
        }
        piece = str_skip(piece, used);
    }
    return s->code == 0;
}

static void run(struct story *s, struct str bytes, struct cut cut)
{
    *s = (struct story){.frames = {.max_bytes = MAX_BYTES}};
    feed_pieces(bytes, cut, feed, s);
    frames_deinit(&s->frames);
}

static void story_free(struct story *s)
{
    buf_deinit(&s->texts);
    buf_deinit(&s->out);
}

/* All that is answered is whole frames of ours: final, not masked, of at most 125 bytes. */
static void check_answers(struct str out)
{
    while (out.len > 0) {
        unsigned opcode = (unsigned char)out.ptr[0], len;

        MUST(opcode == 0x88 || opcode == 0x8a); /* Close, Pong */
        MUST(out.len >= 2);
        len = (unsigned char)out.ptr[1];
        MUST(len <= 125 && out.len >= 2 + len);
        out = str_skip(out, 2 + len);
    }
}

static void compare(const struct story *whole, struct str bytes, struct cut cut)
{
    struct story parts;

    run(&parts, bytes, cut);
    MUST(whole->code == parts.code);
    MUST(buf_eq(&whole->texts, &parts.texts));
    MUST(buf_eq(&whole->out, &parts.out));
    story_free(&parts);
}

/* Masked with the text's own first bytes, in frames of n bytes. */
static void write_as_client(struct buf *out, struct str text, size_t n)
{
    const char mask[4] = {'m', 'A', 's', text.len > 0 ? text.ptr[0] : 'k'};
    unsigned opcode = 1;

    do {
        size_t len = text.len < n ? text.len : n;

        buf_append_char(out, (char)(opcode | (len == text.len ? 0x80 : 0)));
        buf_append_char(out, (char)(0x80 | len));
        buf_append(out, mask, 4);
        for (size_t i = 0; i < len; i++)
            buf_append_char(out, (char)(text.ptr[i] ^ mask[i % 4]));
        text = str_skip(text, len);
        opcode = 0;
    } while (text.len > 0);
}

static void check_round_trip(struct str text, size_t n)
{
    struct buf frame = {0};
    struct story s;
    size_t head;

    if (!utf8_is_valid(text) || text.len > MAX_BYTES)
        return;
    write_as_client(&frame, text, n);
    run(&s, buf_str(&frame), cut_in_two(n));
    MUST(s.code == 0 && s.texts.len == text.len + 1 && s.out.len == 0);
    MUST(str_starts_with(buf_str(&s.texts), text));
    story_free(&s);
    buf_clear(&frame);
    frames_write_text(&frame, text);
    head = text.len < 126 ? 2 : 4;
    MUST(frame.len == head + text.len && (unsigned char)frame.data[0] == 0x81);
    MUST(text.len < 126 ? frame.data[1] == (char)text.len
                        : frame.data[1] == 126 && (unsigned char)frame.data[2] == text.len >> 8 &&
                              frame.data[3] == (char)(text.len & 0xff));
    MUST(str_eq(str_skip(buf_str(&frame), head), text));
    buf_deinit(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    unsigned at = take_byte(&bytes);
    struct story whole;

    run(&whole, bytes, IN_ONE_PIECE);
    check_answers(buf_str(&whole.out));
    compare(&whole, bytes, BYTE_BY_BYTE);
    compare(&whole, bytes, cut_in_two(bytes.len * at / 256));
    check_round_trip(bytes, 1 + at % 125);
    story_free(&whole);
    return 0;
}
