/* Gives back what this node has leased of teams' streams and does not use, tells what it gave while
 * it was alone, and tells all of it again now and then. On the first loop, on PostgreSQL. */
#ifndef AERIE_SRC_CHAT_STREAMS_CHORE_H
#define AERIE_SRC_CHAT_STREAMS_CHORE_H

#include "base/id.h"
#include "chore.h"

#define STREAMS_A_PASS 64 /* teams */

/* What the database is told of a team. */
struct stream_hold {
    struct id team_id;
    uint64_t used, wanted, seq;
};

/* In the first loop's room. */
struct streams_chore {
    struct chore chore;
    struct db_query query;
    struct stream_hold due[STREAMS_A_PASS];
    size_t n_due, at; /* at: those before it have been told */
    bool has_more;
};
void streams_chore_start(struct streams_chore *c);

#endif
