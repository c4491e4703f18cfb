/* A client's WebSocket frames. The first byte says where the bytes are cut in two: whatever comes
 * of them must not depend on that. */
#include "http/frames.h"
#include "http/websocket.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct story {
    struct buf texts, out;
    unsigned code;
};

static void feed(struct frames *r, struct story *s, const char *data, size_t len)
{
    size_t used;

    while (s->code == 0 && len > 0) {
        enum frames_event event = frames_feed(r, data, len, &used, &s->out);
        struct buf text;

        if (used > len || (event == FRAMES_MORE && used != len))
            abort();
        if (!frames_is_amid(r) && event == FRAMES_MORE && (r->wslay || r->message.data))
            abort();
        if (r->message.len > MAX_BYTES)
            abort();
        if (event == FRAMES_TEXT) {
            text = frames_take_text(r);
            if (!utf8_is_valid(buf_str(&text)))
                abort();
            buf_append(&s->texts, text.data, text.len);
            buf_append_char(&s->texts, '\n');
            buf_deinit(&text);
        } else if (event != FRAMES_MORE) {
            s->code = r->code;
            if (s->code < 1000 || s->code > 4999)
                abort();
        }
        data += used;
        len -= used;
    }
}

static void run(struct story *s, const char *data, size_t len, size_t cut)
{
    struct frames r = {.max_bytes = MAX_BYTES};

    feed(&r, s, data, cut);
    feed(&r, s, data + cut, len - cut);
    frames_deinit(&r);
}

static bool buf_eq(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct story whole = {.code = 0}, cut = {.code = 0};

    if (size < 2)
        return 0;
    run(&whole, (const char *)data + 1, size - 1, 0);
    run(&cut, (const char *)data + 1, size - 1, data[0] % size);
    if (whole.code != cut.code || !buf_eq(&whole.texts, &cut.texts) ||
        !buf_eq(&whole.out, &cut.out))
        abort();
    buf_deinit(&whole.texts);
    buf_deinit(&whole.out);
    buf_deinit(&cut.texts);
    buf_deinit(&cut.out);
    return 0;
}
