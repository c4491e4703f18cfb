/* What needs mail: forgotten passwords and addresses to confirm. */
#ifndef AERIE_API_MAILED_H
#define AERIE_API_MAILED_H

#include "account/outbox.h"
#include "account/password.h"
#include "account/token.h"
#include "api/input.h"
#include "db/db.h"

/* /api/auth/password/forgot, /api/auth/verify-email/resend */
struct ask_mail {
    struct input email, team_id;
    enum mail_kind kind;
    struct db_query query;
};
extern const struct step mailed_forgot_steps[];
extern const struct step mailed_resend_steps[];
extern const struct route_doc mailed_forgot_doc, mailed_resend_doc;

/* /api/auth/password/reset, /api/auth/verify-email */
struct mailed {
    struct input token, password;
    struct opaque_token opaque;
    struct db_query query;
    struct password_job hash;
    struct str old_hash;
    struct id team_id, user_id;
};
extern const struct step mailed_reset_steps[];
extern const struct step mailed_verify_steps[];
extern const struct route_doc mailed_reset_doc, mailed_verify_doc;

/* The 503 of a server without mail. */
struct error mail_missing(void);

#endif
