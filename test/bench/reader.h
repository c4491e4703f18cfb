/* Finds the text in an answer's body, piece by piece as the bytes come, and hands it to the check.
 */
#ifndef AERIE_BENCH_READER_H
#define AERIE_BENCH_READER_H

#include "base/str.h"
#include "text.h"

#define READER_HEAD_BYTES    24
#define MATCH_TEXT_MAX_BYTES 255

enum read_as {
    READ_SSE,    /* Aerie's own events */
    READ_LINES,  /* n8n's JSON lines */
    READ_OPENAI, /* events of chat.completion.chunk */
    READ_BODY,   /* anything, in which a text may be expected */
};

/* A text that is looked for in a stream (Knuth, Morris, Pratt). */
struct match {
    const char *text;
    uint8_t len;
    uint8_t back[MATCH_TEXT_MAX_BYTES]; /* how much still matches when the byte after this many does
                                           not */
};

void match_init(struct match *m, const char *text);

/* How a body is read; made once, for all streams. */
struct reading {
    enum read_as as;
    uint8_t head_bytes;  /* of a line, that tell what it is */
    struct match text;   /* what comes before a piece's text in its line */
    struct match expect; /* READ_BODY; len 0: anything will do */
};

/* False: no such way. expect: NULL or a text. */
bool reading_init(struct reading *r, const char *name, const char *expect);

/* All-zero: before the first byte. */
struct reader {
    uint8_t state, head_len, matched;
    bool is_done;    /* the end was told in the body, or READ_BODY found what it wants */
    bool has_failed; /* an error was */
    bool has_text;   /* some text came */
    char head[READER_HEAD_BYTES];
};

/* check: not used by READ_BODY. */
void reader_feed(struct reader *rd, const struct reading *how, struct str body,
                 struct text_check *check);

#endif
