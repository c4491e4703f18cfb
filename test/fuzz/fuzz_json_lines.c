/* Lines of JSON from upstreams: the same lines however the bytes were cut, and the values in a
 * text, whatever JavaScript did to it. The first byte says where the cut is. */
#include "fuzz.h"
#include "upstream/json_lines.h"

#define MAX_BYTES 256

struct reading {
    struct json_lines lines;
    struct buf told;
    bool fits;
};

static void on_line(void *state, struct str line)
{
    struct buf *told = &((struct reading *)state)->told;

    MUST(line.len > 0 && line.len <= MAX_BYTES && str_find(line, '\n') == line.len);
    buf_append_str(told, line);
    buf_append_char(told, '\n');
}

static bool feed(void *state, struct str piece)
{
    struct reading *r = state;

    r->fits = json_lines_feed(&r->lines, piece);
    return r->fits;
}

static void read_all(struct reading *r, struct str bytes, struct cut cut)
{
    *r = (struct reading){.lines = {.on_line = on_line, .state = r, .max_bytes = MAX_BYTES},
                          .fits = true};
    feed_pieces(bytes, cut, feed, r);
    if (r->fits)
        json_lines_end(&r->lines);
    json_lines_deinit(&r->lines);
}

static void compare(struct reading *whole, struct str bytes, struct cut cut)
{
    struct reading parts;

    read_all(&parts, bytes, cut);
    MUST(whole->fits == parts.fits);
    MUST(buf_eq(&whole->told, &parts.told));
    buf_deinit(&parts.told);
}

static void check_lines(struct str bytes, unsigned at)
{
    struct buf expected = {0};
    struct str rest = bytes, line;
    struct reading whole;
    bool fits = true;

    read_all(&whole, bytes, IN_ONE_PIECE);
    compare(&whole, bytes, BYTE_BY_BYTE);
    compare(&whole, bytes, cut_in_two(bytes.len * at / 256));
    while (fits && str_next(&rest, '\n', &line)) {
        fits = line.len <= MAX_BYTES;
        line = str_trim(line);
        if (fits && line.len > 0) {
            buf_append_str(&expected, line);
            buf_append_char(&expected, '\n');
        }
    }
    MUST(whole.fits == fits && buf_eq(&whole.told, &expected));
    buf_deinit(&expected);
    buf_deinit(&whole.told);
}

/* Each value is valid, and reads the same once it is written. Where nothing had to be mended, the
 * first value is the one that yyjson reads. */
static void check_values(struct str text)
{
    struct json_values *v = malloc(sizeof(*v));
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len,
                                       YYJSON_READ_STOP_WHEN_DONE, NULL, NULL);
    enum json_values_next next;
    yyjson_val *value;
    bool is_first = true;
    size_t n = 0;

    MUST(v != NULL);
    json_values_init(v, text);
    while ((next = json_values_next(v, &value)) == JSON_VALUE) {
        char *written = yyjson_val_write(value, 0, NULL);
        yyjson_doc *again = written ? yyjson_read(written, strlen(written), 0) : NULL;

        MUST(again && yyjson_equals(value, yyjson_doc_get_root(again)));
        MUST(!doc || !is_first || yyjson_equals(value, yyjson_doc_get_root(doc)));
        MUST(++n <= text.len);
        is_first = false;
        yyjson_doc_free(again);
        free(written);
    }
    MUST(!doc || !is_first);
    MUST(next == JSON_BAD || str_trim(v->rest).len == 0);
    yyjson_doc_free(doc);
    json_values_deinit(v);
    free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    unsigned at = take_byte(&bytes);

    check_lines(bytes, at);
    check_values(bytes);
    return 0;
}
