/* Making teams, users and agents from the command line: what is there already stays as it is. */
#ifndef AERIE_SRC_COMMAND_PROVISION_H
#define AERIE_SRC_COMMAND_PROVISION_H

#include "account/audit.h"
#include "account/revocation.h"
#include "base/id.h"
#include "db/db.h"

#define GENERATED_PASSWORD_BYTES 25

/* A row of the audit trail: the operator does that. action: static; now_us: as the change has it.
 */
struct audit provision_audit(const char *action, const struct id *team, const struct id *subject,
                             int64_t now_us);
/* The change and its row, both or neither. */
struct error provision_change(struct db *db, struct arena *arena, struct audit *audit, enum sql sql,
                              const struct db_arg *args, size_t n_args,
                              struct db_result *out) MUST_CHECK;

/* The same of what deletes: the row stands before it. */
struct error provision_remove(struct db *db, struct arena *arena, struct audit *audit, enum sql sql,
                              const struct db_arg *args, size_t n_args,
                              struct db_result *out) MUST_CHECK;

/* What was issued to subject until now. Behind a change that has revoked by itself: its row has a
 * moment before its commit, and until then tokens are made of what was true before it. */
struct error provision_revoke(struct db *db, enum revoked_kind kind, const struct id *team,
                              const struct id *subject) MUST_CHECK;

struct new_user {
    struct id team_id;
    struct str email, full_name, role, password; /* full_name ptr NULL: none */
};
struct new_agent {
    struct id team_id, created_by;
    struct str name, description, provider, webhook_url, system_prompt; /* ptr NULL: none */
};

/* *out: the new one's id, or that of the one with the same slug, address or name; *is_new tells. */
struct error provision_team(struct db *db, struct str name, struct str slug, struct id *out,
                            bool *is_new) MUST_CHECK;
struct error provision_user(struct db *db, const struct new_user *in, struct id *out,
                            bool *is_new) MUST_CHECK;
struct error provision_agent(struct db *db, const struct new_agent *in, struct id *out,
                             bool *is_new) MUST_CHECK;
/* ERR_NOT_FOUND with a sentence. */
struct error provision_find_team(struct db *db, struct str slug, struct id *out) MUST_CHECK;
struct error provision_find_user(struct db *db, const struct id *team, struct str email,
                                 struct id *out) MUST_CHECK;
/* 24 letters and digits. */
void provision_generate_password(char out[GENERATED_PASSWORD_BYTES]);

#endif
