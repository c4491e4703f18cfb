/* What a request to the fake agent asks for: its head read, and its query. */
#ifndef AERIE_BENCH_WANTED_H
#define AERIE_BENCH_WANTED_H

#include "base/str.h"

struct wanted {
    struct str path, query, format; /* in the bytes that were read */
    size_t body_len;
    uint32_t chunks, bytes; /* pieces, and the length of each */
    uint32_t burst;         /* pieces in a write */
    uint32_t turn;          /* writes before others have theirs */
    uint32_t first_ms, gap_ms;
    bool is_last; /* Connection: close */
};

/* A whole head, with its empty line. defaults: a query for what the request's does not say. False:
 * not understood. */
bool wanted_read(struct wanted *w, struct str head, struct str defaults);

#endif
