/* Access tokens (JWT, HS256), and opaque ones (random, stored hashed): refresh tokens and those in
 * mails. Any thread. */
#ifndef AERIE_ACCOUNT_TOKEN_H
#define AERIE_ACCOUNT_TOKEN_H

#include "account/caller.h"
#include "base/arena.h"
#include "base/error.h"

#define TOKEN_MAX_BYTES  2048 /* a longer access token is not ours */
#define OPAQUE_TOKEN_LEN 43   /* 32 bytes in base64url */
#define OPAQUE_HASH_LEN  64   /* SHA-256 in hex */

/* Signs an access token for who: team_id, user_id, family and is_admin are read; token_id and the
 * times are filled in. ptr NULL: no memory. */
struct str token_issue(struct arena *a, struct caller *who, int64_t now_us);
/* True: the signature is ours (config security.secret or .previous_secret) and every claim is
 * there, of its type, and holds now. Says nothing of revocation. False: with errno ENOMEM it could
 * not be told. */
bool token_verify(struct str token, int64_t now_us, struct caller *out) MUST_CHECK;

struct opaque_token {
    char text[OPAQUE_TOKEN_LEN + 1];
    char hash[OPAQUE_HASH_LEN + 1]; /* what the database knows */
};
void opaque_token_new(struct opaque_token *out);
/* False: no text of that shape can be one. */
bool opaque_token_read(struct str text, struct opaque_token *out) MUST_CHECK;
/* What takes the place of old: the same each time, so that a replay can be answered without keeping
 * it. */
void refresh_token_successor(const struct opaque_token *old, struct opaque_token *out);

#endif
