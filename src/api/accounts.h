/* /api/auth/register, /api/auth/me. */
#ifndef AERIE_API_ACCOUNTS_H
#define AERIE_API_ACCOUNTS_H

#include "account/password.h"
#include "api/input.h"
#include "db/db.h"

struct registration {
    struct input email, password, full_name, team_id;
    struct db_query query;
    struct password_job hash;
    struct id user_id, team;
    int64_t now_us;
    bool must_verify; /* the address, before the first login */
};
extern const struct step account_register_steps[];

struct me {
    struct input full_name, preferences, password, current_password;
    struct db_query query;
    struct password_job job;
    struct str old_hash;
};
extern const struct step account_get_me_steps[];
extern const struct step account_put_me_steps[];

extern const struct route_doc account_register_doc, account_get_me_doc, account_put_me_doc;

#endif
