/* What no longer counts though its signature does. One set for the process, read by every request
 * and written rarely: a logout adds to it before it answers, so every loop refuses the token from
 * then on; what other processes revoke arrives by a poll of the table. Any thread. */
#ifndef AERIE_ACCOUNT_REVOCATION_H
#define AERIE_ACCOUNT_REVOCATION_H

#include "account/caller.h"
#include "base/error.h"
#include "db/db.h"

enum revoked_kind {
    REVOKED_TOKEN,
    REVOKED_FAMILY,
    REVOKED_USER,
    REVOKED_TEAM,
    REVOKED_ERASED, /* the turns of this owner, a user or a session, end; its tokens have a row of
                       their own */
    N_REVOKED
};
/* As in the table's column kind. */
struct str revoked_kind_name(enum revoked_kind kind);

/* Refuses what was issued to subject before before_us, until expires_us. False: no memory, nothing
 * was added. */
bool revocation_add(enum revoked_kind kind, struct str subject, int64_t before_us,
                    int64_t expires_us) MUST_CHECK;
/* Behind the commit of a change that revokes by itself: what was issued to subject until now, too,
 * in memory and by a row for the other nodes. The change's own row has a moment before the commit,
 * and a login or refresh that read the user meanwhile has a token of the time between. An operation
 * of f, as db_query()'s. */
void revocation_until_now(struct db_query *q, struct flow *f, struct arena *arena,
                          enum revoked_kind kind, const struct id *team_id,
                          const struct id *subject);
/* Does the set refuse what was issued to subject at issued_us? */
bool revocation_has(enum revoked_kind kind, struct str subject, int64_t issued_us);
/* An access token: by itself, its login, its user, its team. */
bool revocation_refuses(const struct caller *who);
/* When a revocation made now may be forgotten: no access token issued before it is valid any more.
 */
int64_t revocation_expiry(int64_t now_us);
size_t revocation_count(void);
void revocation_drop_expired(int64_t now_us);

struct error revocation_open(void) MUST_CHECK; /* main thread, before any other call */
void revocation_close(void);
/* Of REVOKED_ERASED it is told once what was not known before, on the first loop's thread. Set
 * before the loops run. */
void revocation_on_erased(void (*on_erased)(const struct id *owner_id));
/* Adds rows of SQL_REVOKED_SINCE. *pos: of the last row; left where it was when memory is out. */
bool revocation_add_rows(const struct db_result *rows, int64_t *pos) MUST_CHECK;

#endif
