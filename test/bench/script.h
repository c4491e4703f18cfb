/* The bytes of a fake agent's reply, chunk framing included: made once for each format and piece
 * length; only the pieces differ. */
#ifndef AERIE_BENCH_SCRIPT_H
#define AERIE_BENCH_SCRIPT_H

#include "base/str.h"

/* Lives as long as the program. */
struct script {
    struct script *next;
    struct str format;
    uint32_t bytes;   /* of a piece */
    struct str head;  /* the answer's head, and what comes before the first piece */
    struct str piece; /* one piece's chunk */
    uint32_t text_at; /* where its text stands in it */
    struct str tail;  /* what comes after the last piece, and the last chunk */
};

/* NULL: no such format (n8n, openai), or too many scripts. */
const struct script *script_find(struct str format, uint32_t bytes);

#endif
