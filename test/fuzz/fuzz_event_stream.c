/* Server-sent events from a provider: in one piece, byte by byte and cut in two they must tell the
 * same, and it must be what the standard says of the whole. The first byte says where the cut is.
 */
#include "fuzz.h"
#include "upstream/event_stream.h"

#define MAX_BYTES 512

struct reading {
    struct event_stream stream;
    struct buf told;
    bool fits;
};

static void on_event(void *state, struct str type, struct str data)
{
    struct buf *told = &((struct reading *)state)->told;

    MUST(data.len <= MAX_BYTES);
    buf_append_str(told, type);
    buf_append_char(told, '|');
    buf_append_str(told, data);
    buf_append_char(told, '\n');
}

static void on_stray(void *state, struct str line)
{
    struct buf *told = &((struct reading *)state)->told;

    MUST(line.len > 0 && line.len <= MAX_BYTES);
    buf_append_char(told, '!');
    buf_append_str(told, line);
    buf_append_char(told, '\n');
}

static bool feed(void *state, struct str piece)
{
    struct reading *r = state;

    r->fits = event_stream_feed(&r->stream, piece);
    MUST(r->stream.line.len <= MAX_BYTES && r->stream.data.len <= MAX_BYTES);
    return r->fits;
}

static void read_all(struct reading *r, struct str bytes, struct cut cut)
{
    *r = (struct reading){
        .stream = {.on_event = on_event, .on_stray = on_stray, .state = r, .max_bytes = MAX_BYTES},
        .fits = true};
    feed_pieces(bytes, cut, feed, r);
    if (r->fits)
        r->fits = event_stream_end(&r->stream);
    event_stream_deinit(&r->stream);
}

/* ---- WHATWG HTML section 9.2.6, as it stands there ---- */

struct event {
    struct buf data, type;
    bool has_data;
};

static void dispatch(struct event *e, struct buf *told)
{
    if (e->has_data) {
        buf_append_str(told, buf_str(&e->type));
        buf_append_char(told, '|');
        buf_append(told, e->data.data, e->data.len - 1); /* without its last newline */
        buf_append_char(told, '\n');
    }
    buf_clear(&e->data);
    buf_clear(&e->type);
    e->has_data = false;
}

/* A C string ends at a NUL, and so do the names of types here. */
static struct str type_text(struct str value)
{
    value.len = str_find(value, '\0');
    return value.len < EVENT_TYPE_BYTES - 1 ? value : (struct str){value.ptr, EVENT_TYPE_BYTES - 1};
}

static void process_line(struct event *e, struct str line, struct buf *told)
{
    struct str name = {line.ptr, str_find(line, ':')}, value = str_skip(line, name.len + 1);

    if (str_starts_with(value, STR(" ")))
        value = str_skip(value, 1);
    if (line.len == 0) {
        dispatch(e, told);
    } else if (str_eq(name, STR("data"))) {
        buf_append_str(&e->data, value);
        buf_append_char(&e->data, '\n');
        e->has_data = true;
    } else if (str_eq(name, STR("event"))) {
        buf_clear(&e->type);
        buf_append_str(&e->type, type_text(value));
    } else if (name.len > 0 && !str_eq(name, STR("id")) && !str_eq(name, STR("retry"))) {
        buf_append_char(told, '!');
        buf_append_str(told, line);
        buf_append_char(told, '\n');
    }
}

static void read_as_told(struct str bytes, struct buf *told)
{
    struct event e = {.has_data = false};

    if (str_starts_with(bytes, STR("\xEF\xBB\xBF")))
        bytes = str_skip(bytes, 3);
    while (bytes.len > 0) {
        size_t n = 0;

        while (n < bytes.len && bytes.ptr[n] != '\r' && bytes.ptr[n] != '\n')
            n++;
        process_line(&e, (struct str){bytes.ptr, n}, told);
        n += n + 1 < bytes.len && bytes.ptr[n] == '\r' && bytes.ptr[n + 1] == '\n';
        bytes = str_skip(bytes, n + 1);
    }
    dispatch(&e, told); /* what we do beyond the standard: see event_stream_end() */
    buf_deinit(&e.data);
    buf_deinit(&e.type);
}

static void compare(struct reading *whole, struct str bytes, struct cut cut)
{
    struct reading parts;

    read_all(&parts, bytes, cut);
    MUST(whole->fits == parts.fits);
    MUST(buf_eq(&whole->told, &parts.told));
    buf_deinit(&parts.told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    unsigned at = take_byte(&bytes);
    struct buf expected = {0};
    struct reading whole;

    read_all(&whole, bytes, IN_ONE_PIECE);
    compare(&whole, bytes, BYTE_BY_BYTE);
    compare(&whole, bytes, cut_in_two(bytes.len * at / 256));
    read_as_told(bytes, &expected);
    MUST(!whole.fits || buf_eq(&whole.told, &expected));
    MUST(whole.fits || bytes.len > MAX_BYTES);
    buf_deinit(&whole.told);
    buf_deinit(&expected);
    return 0;
}
