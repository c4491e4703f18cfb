/* The headers of W3C Trace Context, read strictly and written as version 00. */
#include "trace/context.h"

#include "base/crypto.h"

#include <string.h>

#define VERSION_AT    0
#define TRACE_AT      3
#define SPAN_AT       36
#define FLAGS_AT      53
#define LEN           55
#define STATE_MEMBERS 32
#define KEY_CHARS     256
#define VALUE_CHARS   256

/* -1: none of lower-case hexadecimal. */
static int digit_of(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static bool read_hex(const char *text, unsigned char *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i])
            return false;
    return true;
}

/* A version to come may put more behind, after a dash (section 4.3). */
static bool has_right_length(struct str value, unsigned char version)
{
    if (version == 0)
        return value.len == LEN;
    return value.len == LEN || value.ptr[LEN] == '-';
}

bool trace_context_parse(struct str value, struct trace_context *out)
{
    unsigned char version;

    if (value.len < LEN || !read_hex(value.ptr + VERSION_AT, &version, 1) || version == 0xff)
        return false;
    if (!has_right_length(value, version) || value.ptr[TRACE_AT - 1] != '-' ||
        value.ptr[SPAN_AT - 1] != '-' || value.ptr[FLAGS_AT - 1] != '-')
        return false;
    if (!read_hex(value.ptr + TRACE_AT, out->trace_id, TRACE_ID_BYTES) ||
        !read_hex(value.ptr + SPAN_AT, out->span_id, SPAN_ID_BYTES) ||
        !read_hex(value.ptr + FLAGS_AT, &out->flags, 1))
        return false;
    out->flags &= TRACE_SAMPLED | TRACE_RANDOM;
    return !is_zero(out->trace_id, TRACE_ID_BYTES) && !is_zero(out->span_id, SPAN_ID_BYTES);
}

struct str trace_context_write(const struct trace_context *c, char out[TRACEPARENT_BYTES])
{
    memset(out, '-', LEN);
    memcpy(out, "00", 2);
    crypto_write_hex(c->trace_id, TRACE_ID_BYTES, out + TRACE_AT);
    crypto_write_hex(c->span_id, SPAN_ID_BYTES, out + SPAN_AT);
    crypto_write_hex(&c->flags, 1, out + FLAGS_AT);
    out[LEN] = '\0';
    return (struct str){out, LEN};
}

struct str trace_id_write(const struct trace_context *c, char out[TRACE_ID_TEXT_BYTES])
{
    crypto_write_hex(c->trace_id, TRACE_ID_BYTES, out);
    out[TRACE_ID_TEXT_BYTES - 1] = '\0';
    return (struct str){out, TRACE_ID_TEXT_BYTES - 1};
}

/* ---- tracestate ---- */

static bool is_key_char(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-' ||
           ch == '*' || ch == '/' || ch == '@';
}

/* Section 3.3.1.3.1; Level 2 lets an "@" stand anywhere but at the beginning. */
static bool is_key(struct str key)
{
    if (key.len == 0 || key.len > KEY_CHARS)
        return false;
    for (size_t i = 0; i < key.len; i++)
        if (!is_key_char(key.ptr[i]))
            return false;
    return (key.ptr[0] >= 'a' && key.ptr[0] <= 'z') || (key.ptr[0] >= '0' && key.ptr[0] <= '9');
}

/* Section 3.3.1.3.2. It has no space at its end: those belong to the list. */
static bool is_value(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] < 0x20 || value.ptr[i] > 0x7e || value.ptr[i] == '=')
            return false;
    return value.len > 0 && value.len <= VALUE_CHARS;
}

/* OWS (RFC 9110, section 5.6.3): no line ends. */
static struct str trim_spaces(struct str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = str_skip(s, 1);
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool trace_state_is_valid(struct str value)
{
    struct str rest = value, member;
    unsigned n = 0;

    if (value.len > TRACESTATE_BYTES)
        return false;
    while (str_next(&rest, ',', &member)) {
        size_t equals;

        member = trim_spaces(member);
        if (member.len == 0)
            continue;
        equals = str_find(member, '=');
        if (++n > STATE_MEMBERS || !is_key((struct str){member.ptr, equals}) ||
            !is_value(str_skip(member, equals + 1)))
            return false;
    }
    return n > 0;
}
