/* Lines of JSON. A whole line is read where it lies; only a split one is copied. */
#include "json_lines.h"

#include <string.h>

static void tell_line(struct json_lines *l, struct str line)
{
    line = str_trim(line);
    if (line.len > 0)
        l->on_line(l->state, line);
}

bool json_lines_feed(struct json_lines *l, struct str bytes)
{
    l->line.max_bytes = l->max_bytes;
    while (bytes.len > 0) {
        size_t n = str_find(bytes, '\n');

        if (n == bytes.len) {
            buf_append_str(&l->line, bytes);
            return !l->line.failed;
        }
        if (l->line.len == 0 && n <= l->max_bytes) {
            tell_line(l, (struct str){bytes.ptr, n});
        } else {
            buf_append(&l->line, bytes.ptr, n);
            if (l->line.failed)
                return false;
            tell_line(l, buf_str(&l->line));
            buf_deinit(&l->line);
        }
        bytes = str_skip(bytes, n + 1);
    }
    return true;
}

void json_lines_end(struct json_lines *l)
{
    if (l->line.len > 0)
        tell_line(l, buf_str(&l->line));
    buf_deinit(&l->line);
}

void json_lines_deinit(struct json_lines *l)
{
    buf_deinit(&l->line);
}

void json_values_init(struct json_values *v, struct str text)
{
    v->rest = text;
    v->repaired = (struct buf){0};
    v->doc = NULL;
    v->is_cut = v->is_no_memory = false;
}

void json_values_deinit(struct json_values *v)
{
    yyjson_doc_free(v->doc);
    v->doc = NULL;
    buf_deinit(&v->repaired);
}

static yyjson_doc *read_one(struct json_values *v, struct str text)
{
    yyjson_read_flag flags = YYJSON_READ_STOP_WHEN_DONE;
    yyjson_alc alc, *use = NULL;
    yyjson_read_err err = {0};
    yyjson_doc *doc;

    if (yyjson_read_max_memory_usage(text.len, flags) <= sizeof(v->pool) &&
        yyjson_alc_pool_init(&alc, v->pool, sizeof(v->pool)))
        use = &alc;
    /* Without YYJSON_READ_INSITU the text is only read, whatever the type says. */
    doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, flags, use, &err);
    v->is_cut = !doc && err.code == YYJSON_READ_ERROR_UNEXPECTED_END;
    v->is_no_memory = !doc && err.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION;
    return doc;
}

/* The code unit of a \uXXXX escape at p, or -1. */
static int escaped_unit(struct str s, size_t at)
{
    int unit = 0;

    if (at + 6 > s.len || s.ptr[at] != '\\' || s.ptr[at + 1] != 'u')
        return -1;
    for (size_t i = at + 2; i < at + 6; i++) {
        char c = s.ptr[i];

        if (c >= '0' && c <= '9')
            unit = unit * 16 + (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            unit = unit * 16 + ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return unit;
}

/* A copy in which what is no UTF-8 reads U+FFFD; false when there was none. */
static bool repair_utf8(struct str s, struct buf *out)
{
    struct utf8_stream utf8 = {0};

    if (utf8_is_valid(s))
        return false;
    utf8_stream_feed(&utf8, s, out);
    utf8_stream_end(&utf8, out);
    return !out->failed;
}

/* A copy in which lone halves of surrogate pairs read \uFFFD; false when there were none. */
static bool repair_surrogates(struct str s, struct buf *out)
{
    bool is_changed = false;
    size_t i = 0;

    while (i < s.len) {
        int unit = s.ptr[i] == '\\' ? escaped_unit(s, i) : -1;
        size_t n = unit >= 0 ? 6 : s.ptr[i] == '\\' && i + 1 < s.len ? 2 : 1;

        if (unit >= 0xD800 && unit <= 0xDBFF) {
            int low = escaped_unit(s, i + 6);

            if (low >= 0xDC00 && low <= 0xDFFF)
                n = 12;
        }
        if (n == 6 && unit >= 0xD800 && unit <= 0xDFFF) {
            buf_append_str(out, STR("\\uFFFD"));
            is_changed = true;
        } else {
            buf_append(out, s.ptr + i, n);
        }
        i += n;
    }
    return is_changed && !out->failed;
}

/* Reads again what could not be read, after a repair that changes something. */
static bool read_repaired(struct json_values *v, bool (*repair)(struct str s, struct buf *out))
{
    struct buf repaired = {0};

    if (!repair(v->rest, &repaired)) {
        v->is_no_memory = v->is_no_memory || repaired.failed;
        buf_deinit(&repaired);
        return false;
    }
    buf_deinit(&v->repaired);
    v->repaired = repaired;
    v->rest = buf_str(&v->repaired);
    v->doc = read_one(v, v->rest);
    return v->doc != NULL;
}

enum json_values_next json_values_next(struct json_values *v, yyjson_val **value)
{
    yyjson_doc_free(v->doc);
    v->doc = NULL;
    if (v->is_no_memory)
        return JSON_BAD;
    v->rest = str_trim(v->rest);
    if (v->rest.len == 0)
        return JSON_END;
    v->doc = read_one(v, v->rest);
    /* yyjson looks at the UTF-8 itself. */
    if (!v->doc && !read_repaired(v, repair_utf8) &&
        (v->is_no_memory || !read_repaired(v, repair_surrogates)))
        return JSON_BAD;
    v->rest = str_skip(v->rest, yyjson_doc_get_read_size(v->doc));
    *value = yyjson_doc_get_root(v->doc);
    return JSON_VALUE;
}
