/* A growing run of bytes with an upper bound. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST_BYTES = 256 };

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max_bytes = max_bytes};
}

void buf_deinit(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max_bytes = b->max_bytes};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = b->is_short_of_memory = false;
}

/* need: what is in it, and more. */
static bool may_hold(struct buf *b, size_t more_bytes, size_t *need)
{
    if (b->failed)
        return false;
    b->failed = __builtin_add_overflow(b->len, more_bytes, need) || *need >= SIZE_MAX / 2 ||
                (b->max_bytes && *need > b->max_bytes);
    return !b->failed;
}

/* The memory is one byte larger than cap, so that vsnprintf() finds a place for its NUL. */
static bool grow(struct buf *b, size_t cap)
{
    char *data;

    if (b->max_bytes && cap > b->max_bytes)
        cap = b->max_bytes;
    data = realloc(b->data, cap + 1);
    if (!data) {
        b->failed = b->is_short_of_memory = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

bool buf_reserve(struct buf *b, size_t more_bytes)
{
    size_t need, cap;

    if (!may_hold(b, more_bytes, &need))
        return false;
    if (b->data && need <= b->cap)
        return true;
    cap = b->cap ? b->cap * 2 : BUF_FIRST_BYTES;
    return grow(b, cap < need ? need : cap);
}

bool buf_reserve_spare(struct buf *b, size_t more_bytes, size_t spare_bytes)
{
    size_t need;

    if (!may_hold(b, more_bytes, &need))
        return false;
    return (b->data && need <= b->cap) || grow(b, need + spare_bytes);
}

void buf_append_slowly(struct buf *b, const void *data, size_t len)
{
    if (len == 0 || !buf_reserve(b, len))
        return;
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static inline void append_number(struct buf *b, uint64_t n, unsigned base)
{
    char text[24];
    size_t at = sizeof(text);

    do
        text[--at] = "0123456789abcdef"[n % base];
    while ((n /= base) > 0);
    buf_append(b, text + at, sizeof(text) - at);
}

void buf_append_decimal(struct buf *b, uint64_t n)
{
    append_number(b, n, 10);
}

void buf_append_hex(struct buf *b, uint64_t n)
{
    append_number(b, n, 16);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
    size_t room = b->data ? b->cap - b->len : 0;
    va_list again;
    int len;

    if (b->failed)
        return;
    va_copy(again, args);
    len = vsnprintf(b->data ? b->data + b->len : NULL, b->data ? room + 1 : 0, format, args);
    if (len < 0) {
        b->failed = true;
    } else if (!b->data || (size_t)len > room) {
        if (buf_reserve(b, (size_t)len))
            (void)vsnprintf(b->data + b->len, (size_t)len + 1, format, again);
    }
    va_end(again);
    if (!b->failed)
        b->len += (size_t)len;
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->len) {
        b->len = 0;
        return;
    }
    if (n == 0)
        return;
    b->len -= n;
    memmove(b->data, b->data + n, b->len);
}

struct str buf_str(const struct buf *b)
{
    return (struct str){b->data, b->len};
}
