/* Reads HTTP/1.1 answers off a connection, cut anywhere: by Content-Length, in chunks, or to the
 * connection's end. Keeps no body: it hands out views of the bytes given. */
#ifndef AERIE_BENCH_ANSWER_H
#define AERIE_BENCH_ANSWER_H

#include "base/str.h"

#define ANSWER_LINE_BYTES 48

enum answer_state {
    ANSWER_HEAD,
    ANSWER_LENGTH,     /* `left` bytes of the body are to come */
    ANSWER_CHUNK_SIZE, /* a line is */
    ANSWER_CHUNK,      /* `left` bytes of the chunk are to come */
    ANSWER_CHUNK_END,  /* the empty line after it */
    ANSWER_TRAILER,
    ANSWER_TO_CLOSE, /* the body ends with the connection */
    ANSWER_ENDED,
    ANSWER_BROKEN, /* this is no HTTP */
};

/* All-zero: before the first byte. */
struct answer {
    uint64_t left;
    enum answer_state state;
    uint16_t status;                     /* 0: not told yet */
    bool is_chunked, has_length, closes; /* closes: no other answer follows on this connection */
    uint8_t line_len;
    char line[ANSWER_LINE_BYTES]; /* the line being read; a longer one loses its end */
};

/* Takes bytes up to and with the next piece of the body, or all; returns how many. body: that
 * piece, in the bytes given, or empty. Takes none once ANSWER_ENDED or ANSWER_BROKEN. */
size_t answer_read(struct answer *a, const char *bytes, size_t len, struct str *body);

#endif
