/* /api/users and /users, as admins call them. */
#ifndef AERIE_API_USERS_H
#define AERIE_API_USERS_H

#include "api/input.h"
#include "db/db.h"

struct users {
    struct input role, is_active, full_name;
    struct db_query query, count, revoke;
    struct id id;
    int64_t limit, offset, now_us;
    bool revokes; /* tokens that say what is not true any more */
};
extern const struct step users_list_steps[];
extern const struct step users_get_steps[];
extern const struct step users_update_steps[];
extern const struct route_doc users_list_doc, users_get_doc, users_update_doc;

#endif
