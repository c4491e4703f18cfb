/* /api/auth/login, /api/auth/refresh, /api/auth/logout. */
#ifndef AERIE_API_LOGIN_H
#define AERIE_API_LOGIN_H

#include "account/password.h"
#include "api/input.h"
#include "db/db.h"
#include "session.h"

struct login {
    struct input email, password, team_id;
    struct db_query query;
    struct password_job verify;
    struct db_result accounts;
    size_t row, match;
    unsigned n_matches;
    bool is_checking;
    int64_t now_us;
    struct session session;
};
extern const struct step login_steps[];

struct refresh {
    struct input given;
    struct opaque_token old;
    struct db_query query;
    struct session session;
    int64_t now_us;
    bool is_replayed_late;
};
extern const struct step login_refresh_steps[];

struct logout {
    struct opaque_token refresh;
    struct db_query find, revoke, revoke_other;
    struct caller other; /* the refresh cookie's login, when it is not the access token's */
};
extern const struct step login_logout_steps[];
extern const struct route_doc login_doc, login_refresh_doc, login_logout_doc;

#endif
