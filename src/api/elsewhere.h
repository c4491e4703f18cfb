/* A chat's turn that another node runs, found by the database, where the hub does not know it. */
#ifndef AERIE_API_ELSEWHERE_H
#define AERIE_API_ELSEWHERE_H

#include "chat/turn_log.h"
#include "http/http.h"

/* An operation of a request's flow. *log: what the hub knows of the chat, counted by the request's
 * arena, or NULL. Becomes the mirror of a turn that runs on another node, likewise counted and not
 * PENDING; becomes NULL where the chat has been deleted and no one reply_id is wanted; stays what
 * it was where none does, and, without a look into the database, where no other node is alive or
 * the turn is known to run here. reply_id: of the one turn that is wanted; NULL: whichever runs. */
void elsewhere_find(struct flow *f, const struct id *team_id, const struct id *owner_id,
                    const struct id *chat_id, const struct id *reply_id, struct turn_log **log);

/* Is it a mirror that came to nothing, as the node that runs its turn cannot be reached? The flow
 * has failed then. log: NULL is fine. */
bool elsewhere_is_lost(struct flow *f, const struct turn_log *log) MUST_CHECK;

#endif
