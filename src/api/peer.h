/* What nodes ask each other. These routes are no part of the API: they are served where peers
 * listen, to calls that a node has signed. */
#ifndef AERIE_API_PEER_H
#define AERIE_API_PEER_H

#include "chat/follow.h"

struct peer {
    struct follow follow;
    struct turn_log *log; /* counted by the request's arena */
    uint64_t n;           /* the last event that the other node has */
    struct id reply_id;   /* whose turn it is */
    bool is_passed_on;    /* another process of this server runs it */
};
extern const struct step peer_turn_steps[];
extern const struct step peer_stop_steps[];

/* For on_head: has a node signed this call? */
bool peer_is_signed(struct request *req);

#endif
