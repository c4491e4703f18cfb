/* The trail of who changed what in a team. A row goes into the batch of the change itself, so that
 * there is neither without the other. Any thread. */
#ifndef AERIE_ACCOUNT_AUDIT_H
#define AERIE_ACCOUNT_AUDIT_H

#include "base/buf.h"
#include "base/id.h"
#include "base/json.h"
#include "db/db.h"

enum audit_actor {
    AUDIT_ANYONE,   /* who is not known: a wrong password, a site that registers itself */
    AUDIT_ERASED,   /* a user who was erased (account/erasure.h) */
    AUDIT_KEY,      /* a program with an API key */
    AUDIT_OPERATOR, /* the command line */
    AUDIT_USER,
    N_AUDIT_ACTORS
};
const char *audit_actor_name(enum audit_actor actor); /* "user" */

#define AUDIT_ARGS 10

/* One row under way, on the stack of the step that runs the batch. The caller fills the first part;
 * the texts must stay until then. May be copied until audit_call(). */
struct audit {
    const char *action; /* the subject's kind and what was done: "agent.update" */
    struct id team_id, subject_id;
    enum audit_actor actor;
    struct id user_id;  /* of AUDIT_USER, else "" */
    struct str address; /* ptr NULL: none */
    int64_t now_us;     /* the same as in the change's own statement: see SQL_AUDIT_ADD */

    struct buf changes;
    struct json json;
    struct id id;
    struct db_arg args[AUDIT_ARGS];
};

/* The field changed; what it holds stays untold: secrets, addresses, people's words. */
void audit_field(struct audit *a, const char *field);
/* With the values, of harmless fields alone: role, is_active, name, numbers. ptr NULL: none. */
void audit_values(struct audit *a, const char *field, struct str from, struct str to);
/* "true", "false" */
struct str audit_bool(bool b);
/* The row's call for db_batch(): see SQL_AUDIT_ADD for its place there. Points into a and the
 * arena. Once, and always: it frees what the fields took. */
struct db_call audit_call(struct audit *a, struct arena *arena);

/* ---- reading ---- */
/* The columns of SQL_AUDIT_LIST. */
enum audit_column {
    AUDIT_ID,
    AUDIT_CREATED_AT,
    AUDIT_ACTOR,
    AUDIT_ACTOR_ID,
    AUDIT_ACTOR_EMAIL,
    AUDIT_ACTION,
    AUDIT_SUBJECT_KIND,
    AUDIT_SUBJECT_ID,
    AUDIT_SUBJECT_NAME,
    AUDIT_ADDRESS,
    AUDIT_DETAILS,
};
/* A row as people read it: in the API, and by the command line. */
void audit_write(struct json *j, const struct db_result *rows, size_t row);
/* Is there such an actor? */
bool audit_actor_from(struct str name);

#endif
