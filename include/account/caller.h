/* Who calls: settled from the token alone, before a body is read and without the database. */
#ifndef AERIE_ACCOUNT_CALLER_H
#define AERIE_ACCOUNT_CALLER_H

#include "base/id.h"

/* The word of a route's row. */
enum who {
    WHO_ANYONE,
    WHO_MONITOR, /* anyone, and where metrics.listen listens as well */
    WHO_METRICS, /* its steps ask who reads; where metrics.listen listens, if anywhere, alone */
    WHO_KEY,     /* its steps ask for an API key */
    WHO_PEER,    /* another node: by its signature, where peers listen and nowhere else */
    WHO_VISITOR, /* a widget's visitor, from pages of the agent's origins; no account counts */
    WHO_USER,
    WHO_USER_OR_KEY, /* the first step, a team_door, lets keys in */
    WHO_SOCKET,      /* a user, who may bring the token as the query's "token": a page cannot give a
                        WebSocket header lines. Only our own pages and allowed ones may */
    WHO_ADMIN,
    WHO_ADMIN_OR_KEY, /* likewise */
};

/* In the request's arena; request->caller. NULL where nobody was named (WHO_ANYONE without a
 * token). */
struct caller {
    struct id team_id, user_id;
    struct id token_id, family; /* of the access token and of its login */
    bool is_admin;
    int64_t issued_at_us, expires_at_us;
};

#endif
