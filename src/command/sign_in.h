/* Who the caller of a command is to a server: an access token, an API key, or an account. */
#ifndef AERIE_SRC_COMMAND_SIGN_IN_H
#define AERIE_SRC_COMMAND_SIGN_IN_H

#include "db/db.h"
#include "remote.h"

/* What the command line said; all-zero: ask. */
struct credentials {
    const char *email, *key_file;
    bool password_stdin, token_stdin;
};

struct sign_in {
    struct buf refresh; /* the refresh token; "" : there is none */
    bool is_key;        /* an API key */
};

/* Gives the client its token. ERR_UNAUTHORIZED: the server does not take it; else ERR_INVALID, or
 * ERR_PROVIDER_UNREACHABLE. The detail lives until the next call. */
struct error sign_in(struct remote *c, const struct credentials *from, struct sign_in *out) MUST_CHECK;
/* A new token in place of one that has expired. False: sign in again. */
bool sign_in_again(struct remote *c, struct sign_in *s) MUST_CHECK;
void sign_in_deinit(struct sign_in *s);

/* Gives the client a token of the team's first admin: who reads the secret and the database may
 * anyway. The configuration's secret is there. False: there is no active one. */
bool sign_in_as_admin(struct remote *c, struct db *db, struct str team_id) MUST_CHECK;

#endif
