/* A growing run of bytes with an upper bound. Whoever holds the struct owns it; one thread. */
#ifndef AERIE_BASE_BUF_H
#define AERIE_BASE_BUF_H

#include "base/str.h"

#include <stdarg.h>
#include <string.h>

/* All-zero is an empty buffer without a bound. Once an append failed (no memory, or past max_bytes)
 * the buffer stays failed and takes no more, so a caller may append freely and look once at the
 * end. */
struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max_bytes; /* 0: no bound */
    bool failed;
    bool is_short_of_memory; /* why it failed; else it is full */
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_deinit(struct buf *b); /* frees; all-zero afterwards but for max_bytes */
void buf_clear(struct buf *b);  /* keeps the memory, forgets failed */
bool buf_reserve(struct buf *b, size_t more_bytes);
/* For what stays long and is there often: when it must grow, then to more_bytes and, where the
 * bound allows, spare_bytes above, where buf_reserve() doubles. */
bool buf_reserve_spare(struct buf *b, size_t more_bytes, size_t spare_bytes);
void buf_append_slowly(struct buf *b, const void *data, size_t len); /* for buf_append() alone */
void buf_append_decimal(struct buf *b, uint64_t n);
void buf_append_hex(struct buf *b, uint64_t n); /* lower case */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
void buf_consume(struct buf *b,
                 size_t n); /* drops the first n bytes, moves the rest to the front */
struct str buf_str(const struct buf *b);

/* Inline, because a chunk's way through the server is made of these, mostly of literals. */
static inline void buf_append(struct buf *b, const void *data, size_t len)
{
    if (b->failed || len > b->cap - b->len || len == 0 ||
        (b->max_bytes && b->len + len > b->max_bytes)) {
        buf_append_slowly(b, data, len);
        return;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static inline void buf_append_str(struct buf *b, struct str s)
{
    buf_append(b, s.ptr, s.len);
}

static inline void buf_append_char(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

#endif
