/* The door of routes that work for a whole team: an admin's token, or one of the team's API keys
 * with the scope that the route needs. */
#ifndef AERIE_SRC_API_TEAM_DOOR_H
#define AERIE_SRC_API_TEAM_DOOR_H

#include "key_auth.h"

/* The first member of a route's state, all-zero; filled by the two steps, which come first in its
 * table. Their routes are WHO_ANYONE: a key is told from its row in the database. */
struct team_door {
    struct key_auth key; /* first: load_key and check_key look here */
    struct id team_id;
    bool is_by_key;
};

void team_door_load(struct flow *f);            /* 401; 403: no admin's token */
void team_door_check_documents(struct flow *f); /* 401, 403: the key lacks the scope "documents" */

/* The team of the caller, behind the door. */
struct db_arg team_door_arg(const struct request *req);

#endif
