/* What this room has on a loop. */
#ifndef AERIE_UPSTREAM_ROOM_H
#define AERIE_UPSTREAM_ROOM_H

#include "base/buf.h"
#include "client.h"

#define SPARE_TEXTS 64

struct room {
    struct client *client;
    struct list calls, fetches, feeds; /* that run */
    struct buf spare[SPARE_TEXTS]; /* memory for text between its arrival and the end of the turn */
    unsigned n_spare;
    struct span_sender *spans; /* NULL: nobody gathers spans on this loop */
    void (*on_detached)(struct loop *l);
};

/* Of the loop that is current. */
static inline struct room *room_current(void)
{
    return loop_current()->rooms[ROOM_UPSTREAM];
}

/* Ends each fetch with ERR_CANCELED. */
void fetch_end_all(struct room *room);
void feed_end_all(struct room *room); /* likewise */

#endif
