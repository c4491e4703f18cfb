/* POST /api/users: an admin adds a user to the team. */
#ifndef AERIE_SRC_API_USER_NEW_H
#define AERIE_SRC_API_USER_NEW_H

#include "account/password.h"
#include "api/input.h"
#include "db/db.h"

struct user_new {
    struct input email, password, full_name, role;
    struct db_query query, taken;
    struct password_job hash;
    struct id id;
};
extern const struct step user_new_steps[];
extern const struct route_doc user_new_doc;

#endif
