/* What all loops of a server share: each room's own part of it. Main thread, while no loop runs. */
#ifndef AERIE_COMMAND_SERVE_ROOMS_H
#define AERIE_COMMAND_SERVE_ROOMS_H

#include "base/error.h"

#include <stddef.h>

struct db;
struct http_server;

/* All-zero: nothing is open. */
struct serve_rooms {
    struct db *db;
    struct http_server *http;
    unsigned n_loops; /* that are to come */
    size_t n_open;
};

/* The rooms that opened before one that failed are to be closed. */
struct error serve_rooms_open(struct serve_rooms *r, unsigned n_loops) MUST_CHECK;
/* Once every loop has ended. */
void serve_rooms_close(struct serve_rooms *r);

#endif
