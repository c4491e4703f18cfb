/* What the fuzz targets share: how a target says that something does not hold, takes its input
 * apart, and feeds bytes in pieces. */
#ifndef AERIE_TEST_FUZZ_H
#define AERIE_TEST_FUZZ_H

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libFuzzer calls it, or replay.c. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Like assert(), whatever the build. */
#define MUST(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))

_Noreturn static inline void fuzz_fail(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, condition);
    abort();
}

/* 0 when the input is used up. */
static inline unsigned take_byte(struct str *in)
{
    unsigned byte = in->len > 0 ? (unsigned char)in->ptr[0] : 0;

    *in = str_skip(*in, 1);
    return byte;
}

static inline struct str take_line(struct str *in)
{
    struct str line = {in->ptr, str_find(*in, '\n')};

    *in = str_skip(*in, line.len + 1);
    return line;
}

static inline bool is_within(struct str part, struct str whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

/* How bytes come: a first piece, then pieces of `each`. */
struct cut {
    size_t first, each;
};
#define IN_ONE_PIECE ((struct cut){SIZE_MAX, SIZE_MAX})
#define BYTE_BY_BYTE ((struct cut){1, 1})

static inline struct cut cut_in_two(size_t at)
{
    return (struct cut){at, SIZE_MAX};
}

typedef bool (*feed_piece)(void *state, struct str piece);

/* malloc() a byte would be most of the time. */
static inline bool feed_byte(char byte, feed_piece feed, void *state)
{
    char copy = byte;

    return feed(state, (struct str){&copy, 1});
}

/* Each piece is in memory of its own, gone before the next one comes: who reads past it, or keeps a
 * view of it, is caught. Stops when feed says false. */
static inline void feed_pieces(struct str bytes, struct cut cut, feed_piece feed, void *state)
{
    bool goes_on = true;

    for (size_t len = cut.first; bytes.len > 0 && goes_on; len = cut.each) {
        char *copy;

        if (len > bytes.len)
            len = bytes.len;
        if (len == 1) {
            goes_on = feed_byte(bytes.ptr[0], feed, state);
        } else if (len > 1) {
            copy = malloc(len);
            MUST(copy != NULL);
            memcpy(copy, bytes.ptr, len);
            goes_on = feed(state, (struct str){copy, len});
            free(copy);
        }
        bytes = str_skip(bytes, len);
    }
}

static inline bool buf_eq(const struct buf *a, const struct buf *b)
{
    return str_eq(buf_str(a), buf_str(b));
}

#endif
