/* A turn that another node runs, for its readers on this one: a turn_log like any other, in the
 * hub, with the same numbers, fed by one connection to that node however many read it here. It
 * belongs to the loop that asked for it first, and goes a moment after its last reader has left.
 * Stopping it, and reading it no more, count there as they do here. */
#ifndef AERIE_CHAT_MIRROR_H
#define AERIE_CHAT_MIRROR_H

#include "chat/turn_log.h"
#include "db/db.h"

#define PEER_ADDRESS_BYTES 256

/* Where a turn runs. */
struct turn_place {
    struct id team_id, owner_id, chat_id, reply_id;
    struct id node_id; /* that runs it */
    int64_t created_us; /* of the reply */
    char address[PEER_ADDRESS_BYTES];
};

/* Of SQL_TURN_WHERE's answer; false: no other node that lives runs a turn there. The ids that were
 * asked for are the caller's to fill. */
bool turn_place_read(const struct db_result *rows, struct turn_place *out) MUST_CHECK;

struct span;
/* The mirror of the turn there, made if need be, as a part of parent's (NULL: nobody's), counted
 * for the caller; NULL: no memory. May be PENDING: follow_begin() waits until it has what its turn
 * had when it was asked for, at most nodes.dead_seconds and a few more. It then is OPEN, or CLOSED
 * with an outcome. Where the node that runs it is gone, it ends with what is stored, or is known
 * here. */
struct turn_log *mirror_join(const struct turn_place *place, const struct span *parent);

/* The log's own, on its loop: someone asked to stop (stop: why), or nobody reads any more. */
void mirror_obey(struct turn_log *log, const char *stop);

#endif
