/* What a line has in common with the one before. */
#include "line_pattern.h"

#include "base/json.h"

#include <string.h>

/* It stays as long as the stream. */
#define FRAME_MAX_BYTES 512

void line_pattern_set(struct line_pattern *p, struct str line, yyjson_val *root, yyjson_val *text)
{
    struct str value = json_text(text);
    yyjson_obj_iter members = yyjson_obj_iter_with(root);
    const char *first_name = yyjson_get_str(yyjson_obj_iter_next(&members));
    size_t at;

    if (!first_name || str_find(line, '\\') < line.len)
        return;
    /* yyjson keeps the strings of a text as far from one another as they were. */
    at = str_find(line, '"') + 1 + (size_t)(value.ptr - first_name);
    if (at >= line.len || value.len >= line.len - at || line.ptr[at - 1] != '"' ||
        line.ptr[at + value.len] != '"' || memcmp(line.ptr + at, value.ptr, value.len) != 0)
        return;
    buf_clear(&p->frame);
    p->frame.max_bytes = FRAME_MAX_BYTES;
    (void)buf_reserve_spare(&p->frame, line.len - value.len, 0);
    buf_append(&p->frame, line.ptr, at);
    buf_append_str(&p->frame, str_skip(line, at + value.len));
    p->head_len = at;
    if (p->frame.failed)
        buf_clear(&p->frame);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* a is the end of a line of JSON, from a quote on. A digit may take another's place after a digit,
 * where it can be no leading zero. */
static bool are_alike(const char *a, const char *b, size_t len)
{
    size_t at = 0;

    while (at < len) {
        if (len - at >= 16 && memcmp(a + at, b + at, 16) == 0) {
            at += 16; /* the compiler makes this two comparisons */
            continue;
        }
        if (a[at] != b[at] &&
            (at == 0 || !is_digit(a[at - 1]) || !is_digit(a[at]) || !is_digit(b[at])))
            return false;
        at++;
    }
    return true;
}

bool line_pattern_match(const struct line_pattern *p, struct str line, struct str *text)
{
    struct str head = {p->frame.data, p->head_len}, tail = str_skip(buf_str(&p->frame), head.len);

    if (tail.len == 0 || line.len < head.len + tail.len || !str_starts_with(line, head))
        return false;
    *text = (struct str){line.ptr + head.len, line.len - head.len - tail.len};
    return json_plain_run(*text) == text->len &&
           are_alike(tail.ptr, text->ptr + text->len, tail.len);
}

void line_pattern_deinit(struct line_pattern *p)
{
    buf_deinit(&p->frame);
}
