/* UTF-8 as RFC 3629 has it: checking, counting, cutting, and mending a stream. */
#include "base/buf.h"
#include "base/str.h"

#include <string.h>

enum utf8_found {
    UTF8_WHOLE, /* one character */
    UTF8_BAD,   /* bytes that no character begins with, or goes on with */
    UTF8_CUT,   /* the beginning of a character, and then the bytes end */
};

static const struct str replacement = {"\xef\xbf\xbd", 3}; /* U+FFFD */

/* Looks at the first character of p[0..n), n > 0. *used: its bytes; of bad ones as many as one
 * U+FFFD stands for (the longest part that could have begun a character, Unicode 15 section 3.9).
 */
static enum utf8_found look(const unsigned char *p, size_t n, size_t *used)
{
    unsigned char first = p[0], low = 0x80, high = 0xbf;
    size_t length;

    *used = 1;
    if (first < 0x80)
        return UTF8_WHOLE;
    if (first < 0xc2 || first > 0xf4)
        return UTF8_BAD;
    length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    /* The second byte's range shuts out overlong forms, surrogates and what is past U+10FFFF. */
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    for (; *used < length; ++*used) {
        if (*used == n)
            return UTF8_CUT;
        if (p[*used] < low || p[*used] > high)
            return UTF8_BAD;
        low = 0x80;
        high = 0xbf;
    }
    return UTF8_WHOLE;
}

#define HIGH_BITS UINT64_C(0x8080808080808080)

static uint64_t word_at(const void *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

/* Number of leading ASCII bytes, many at a time. */
static size_t ascii_run(const unsigned char *p, size_t n)
{
    size_t at = 0;

    for (; at + 32 <= n; at += 32)
        if ((word_at(p + at) | word_at(p + at + 8) | word_at(p + at + 16) | word_at(p + at + 24)) &
            HIGH_BITS)
            break;
    while (at + 8 <= n && !(word_at(p + at) & HIGH_BITS))
        at += 8;
    while (at < n && p[at] < 0x80)
        at++;
    return at;
}

/* Number of leading bytes that are whole characters. *found: what stopped the run, UTF8_WHOLE at
 * the end; *used: as look() has it. */
static size_t valid_run(const unsigned char *p, size_t n, enum utf8_found *found, size_t *used)
{
    size_t at = 0;

    *found = UTF8_WHOLE;
    *used = 0;
    while ((at += ascii_run(p + at, n - at)) < n) {
        *found = look(p + at, n - at, used);
        if (*found != UTF8_WHOLE)
            break;
        at += *used;
    }
    return at;
}

bool utf8_is_valid(struct str s)
{
    enum utf8_found found;
    size_t used;

    return s.len == 0 || valid_run((const unsigned char *)s.ptr, s.len, &found, &used) == s.len;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

size_t utf8_length(struct str s)
{
    size_t n = 0, i = 0;

    /* Eight at a time: the bytes whose two high bits are not 10. */
    for (; i + 8 <= s.len; i += 8) {
        uint64_t word = word_at(s.ptr + i);

        word = ((~word | word << 1) & HIGH_BITS) >> 7;
        n += (word * UINT64_C(0x0101010101010101)) >> 56; /* the sum of its bytes */
    }
    for (; i < s.len; i++)
        n += !is_continuation(s.ptr[i]);
    return n;
}

struct str utf8_prefix(struct str s, size_t max_bytes)
{
    size_t len = max_bytes;

    if (s.len <= max_bytes)
        return s;
    while (len > 0 && max_bytes - len < 3 && is_continuation(s.ptr[len]))
        len--;
    return (struct str){s.ptr, len};
}

void utf8_stream_feed(struct utf8_stream *u, struct str in, struct buf *out)
{
    const unsigned char *p = (const unsigned char *)in.ptr;
    enum utf8_found found;
    size_t n = in.len, run, used;

    /* The held beginning grows a byte at a time until it is a character, or cannot become one. */
    while (u->n_held > 0 && n > 0) {
        u->held[u->n_held] = *p;
        found = look(u->held, (size_t)u->n_held + 1, &used);
        if (found == UTF8_BAD) {
            buf_append_str(out, replacement); /* the byte just seen is looked at afresh below */
            u->n_held = 0;
            break;
        }
        u->n_held++;
        p++;
        n--;
        if (found == UTF8_WHOLE) {
            buf_append(out, u->held, u->n_held);
            u->n_held = 0;
        }
    }
    while (n > 0) {
        run = valid_run(p, n, &found, &used);
        buf_append(out, p, run);
        p += run;
        n -= run;
        if (n == 0)
            break;
        if (found == UTF8_CUT) {
            memcpy(u->held, p, n);
            u->n_held = (unsigned char)n;
            break;
        }
        buf_append_str(out, replacement);
        p += used;
        n -= used;
    }
}

void utf8_stream_end(struct utf8_stream *u, struct buf *out)
{
    if (u->n_held > 0)
        buf_append_str(out, replacement);
    u->n_held = 0;
}
