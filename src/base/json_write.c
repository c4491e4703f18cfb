/* Writing JSON straight into a buffer. */
#include "base/clock.h"
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void json_write_value(struct buf *out, yyjson_val *val)
{
    size_t len = 0;
    char *text;

    if (!val) {
        buf_append_str(out, STR("null"));
        return;
    }
    text = yyjson_val_write(val, YYJSON_WRITE_NOFLAG, &len);
    if (text)
        buf_append(out, text, len);
    else
        out->failed = true;
    free(text);
}

/* Between values of one container. */
static void comma(struct json *j)
{
    if (j->needs_comma)
        buf_append_char(j->buf, ',');
    j->needs_comma = true;
}

static void begin(struct json *j, char bracket)
{
    comma(j);
    buf_append_char(j->buf, bracket);
    j->needs_comma = false;
}

static void end(struct json *j, char bracket)
{
    buf_append_char(j->buf, bracket);
    j->needs_comma = true;
}

void json_begin_object(struct json *j)
{
    begin(j, '{');
}

void json_end_object(struct json *j)
{
    end(j, '}');
}

void json_begin_array(struct json *j)
{
    begin(j, '[');
}

void json_end_array(struct json *j)
{
    end(j, ']');
}

void json_key(struct json *j, const char *name)
{
    size_t len = strlen(name);
    char *at;

    if (!buf_reserve(j->buf, len + 4)) /* of a comma, quotes and a colon */
        return;
    at = j->buf->data + j->buf->len;
    if (j->needs_comma)
        *at++ = ',';
    *at++ = '"';
    at = (char *)memcpy(at, name, len) + len;
    *at++ = '"';
    *at++ = ':';
    j->buf->len = (size_t)(at - j->buf->data);
    j->needs_comma = false;
}

#define ESCAPED_MAX_BYTES 6

/* Returns how many bytes of text are the escape. */
static size_t escape_char(unsigned char c, char text[ESCAPED_MAX_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    const char whole[ESCAPED_MAX_BYTES] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 0xf]};

    memcpy(text, whole, sizeof(whole));
    switch (c) {
    case '"':
    case '\\':
        text[1] = (char)c;
        break;
    case '\b':
        text[1] = 'b';
        break;
    case '\f':
        text[1] = 'f';
        break;
    case '\n':
        text[1] = 'n';
        break;
    case '\r':
        text[1] = 'r';
        break;
    case '\t':
        text[1] = 't';
        break;
    default:
        return sizeof(whole);
    }
    return 2;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

typedef uint8_t block __attribute__((vector_size(16)));

static bool are_plain(const char *p)
{
    uint64_t halves[2];
    block bytes, special;

    memcpy(&bytes, p, sizeof(bytes));
    special = (block)((bytes < 0x20) | (bytes == '"') | (bytes == '\\'));
    memcpy(halves, &special, sizeof(halves));
    return (halves[0] | halves[1]) == 0;
}

size_t json_plain_run(struct str text)
{
    size_t at = 0;

    while (at + sizeof(block) <= text.len && are_plain(text.ptr + at))
        at += sizeof(block);
    while (at < text.len && is_plain((unsigned char)text.ptr[at]))
        at++;
    return at;
}

void json_escape(struct buf *out, struct str text)
{
    char escape[ESCAPED_MAX_BYTES];

    while (text.len > 0) {
        size_t run = json_plain_run(text);

        buf_append(out, text.ptr, run);
        if (run < text.len)
            buf_append(out, escape, escape_char((unsigned char)text.ptr[run++], escape));
        text = str_skip(text, run);
    }
}

struct str json_prefix(struct str text, size_t max_bytes)
{
    char escape[ESCAPED_MAX_BYTES];
    size_t at = 0, left = max_bytes, len;

    if (text.len <= max_bytes / ESCAPED_MAX_BYTES)
        return text;
    while (at < text.len) {
        size_t run = json_plain_run(str_skip(text, at));

        if (run > left)
            return utf8_prefix(text, at + left);
        at += run;
        left -= run;
        if (at == text.len)
            break;
        len = escape_char((unsigned char)text.ptr[at], escape);
        if (len > left)
            break;
        at++;
        left -= len;
    }
    return utf8_prefix(text, at);
}

void json_str(struct json *j, struct str value)
{
    comma(j);
    buf_append_char(j->buf, '"');
    json_escape(j->buf, value);
    buf_append_char(j->buf, '"');
}

void json_str_or_null(struct json *j, struct str value)
{
    if (value.ptr)
        json_str(j, value);
    else
        json_null(j);
}

void json_int(struct json *j, int64_t value)
{
    comma(j);
    if (value < 0)
        buf_append_char(j->buf, '-');
    buf_append_decimal(j->buf, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void json_number(struct json *j, double value)
{
    comma(j);
    if (isfinite(value))
        buf_printf(j->buf, "%.9g", value);
    else
        buf_append_str(j->buf, STR("null"));
}

void json_bool(struct json *j, bool value)
{
    comma(j);
    buf_append_str(j->buf, value ? STR("true") : STR("false"));
}

void json_null(struct json *j)
{
    comma(j);
    buf_append_str(j->buf, STR("null"));
}

void json_raw(struct json *j, struct str json)
{
    comma(j);
    buf_append_str(j->buf, json.len > 0 ? json : STR("null"));
}

void json_value(struct json *j, yyjson_val *val)
{
    comma(j);
    json_write_value(j->buf, val);
}

void json_time(struct json *j, int64_t wall_us)
{
    char text[CLOCK_TEXT_BYTES];

    json_str(j, clock_format(wall_us, text));
}

void json_pair_str(struct json *j, const char *name, struct str value)
{
    json_key(j, name);
    json_str(j, value);
}

void json_pair_str_or_null(struct json *j, const char *name, struct str value)
{
    json_key(j, name);
    json_str_or_null(j, value);
}

void json_pair_int(struct json *j, const char *name, int64_t value)
{
    json_key(j, name);
    json_int(j, value);
}

void json_pair_int_or_null(struct json *j, const char *name, int64_t value, bool is_null)
{
    json_key(j, name);
    if (is_null)
        json_null(j);
    else
        json_int(j, value);
}

void json_pair_bool(struct json *j, const char *name, bool value)
{
    json_key(j, name);
    json_bool(j, value);
}

void json_pair_raw(struct json *j, const char *name, struct str json)
{
    json_key(j, name);
    json_raw(j, json);
}

void json_pair_time(struct json *j, const char *name, int64_t wall_us)
{
    json_key(j, name);
    json_time(j, wall_us);
}

void json_pair_time_or_null(struct json *j, const char *name, int64_t wall_us, bool is_null)
{
    json_key(j, name);
    if (is_null)
        json_null(j);
    else
        json_time(j, wall_us);
}
