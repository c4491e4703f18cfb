/* The requests of a run: a file of one a line, METHOD, PATH, HEADERS and BODY parted by tabs. "\n"
 * parts headers; %n stands for the stream's seed. Host and Content-Length are added. */
#ifndef AERIE_BENCH_REQUESTS_H
#define AERIE_BENCH_REQUESTS_H

#include "base/str.h"

struct request {
    struct str method, path, headers, body;
    uint32_t n_marks; /* %n in the body */
};

struct requests {
    struct request *rows; /* the views are into the file, which stays in memory */
    uint32_t n;
    const char *host; /* the header */
};

/* Ends the program with 2 when the file cannot be read or holds no request. */
void requests_read(struct requests *r, const char *file, const char *host);
/* Request i (modulo their number) as it goes out; in memory of the module until the next call. */
struct str requests_write(const struct requests *r, uint64_t i, uint64_t seed);

#endif
