/* /api/v1/register and /api/v1/validate: WordPress sites, which become teams by themselves. */
#ifndef AERIE_SRC_API_SITES_H
#define AERIE_SRC_API_SITES_H

#include "account/api_key.h"
#include "account/password.h"
#include "api/input.h"
#include "db/db.h"
#include "key_auth.h"
#include "loop/wait.h"
#include "site_verify.h"

struct site_registration {
    struct input site_url, admin_email, callback_token;
    struct str url;          /* as given, without slashes at its end */
    struct str site;         /* what it is compared by */
    struct str host, origin; /* of that */
    struct db_query query;
    struct subflow claiming;
    struct wait wait;
    bool is_claimed;
    struct site_verification verification;
    struct password_job hash;
    struct str password; /* nobody's: the admin sets one by mail */
    struct id team_id, user_id, agent_id;
    struct api_key key;
};
extern const struct step sites_register_steps[];
extern const struct route_doc sites_register_doc, sites_validate_doc;

struct site_validation {
    struct input tenant_id, api_key;
    struct key_auth auth;
};
extern const struct step sites_validate_steps[];

#endif
