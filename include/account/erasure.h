/* Erasing a user or a visitor: what there is to do, as transactions of a bounded size, one after
 * the other, by whoever runs them: a request, the command line, or the first loop, which goes on
 * with what was broken off. Each may be done again, so one that is begun once more ends as if
 * nothing had been. Any thread. */
#ifndef AERIE_ACCOUNT_ERASURE_H
#define AERIE_ACCOUNT_ERASURE_H

#include "account/audit.h"

enum erasure_kind {
    ERASURE_DELETE,  /* a user; the audit trail still has the account's id, which names nobody then
                      */
    ERASURE_USER,    /* the same, and the trail forgets who it was */
    ERASURE_VISITOR, /* a session of someone without an account */
    N_ERASURE_KINDS
};

/* What has gone. */
enum erasure_count {
    ERASED_CHATS,
    ERASED_MESSAGES,
    ERASED_DELIVERIES, /* of webhooks */
    ERASED_LOGINS,     /* refresh tokens */
    ERASED_MAILS,      /* that waited to be sent */
    ERASED_BUDGETS,
    ERASED_ACCOUNTS,
    ERASED_AUDIT_ROWS, /* that name the person no more */
    N_ERASURE_COUNTS
};

enum erasure_stage {
    ERASE_TEXT,  /* messages and chats, until there are none */
    ERASE_INDEX, /* SQLite's index of words, until it is whole */
    ERASE_TRAIL, /* the audit trail's rows, until they name nobody */
    ERASE_REST,  /* the account, and the row that tells of it: the last transaction */
    ERASE_DONE
};

#define ERASURE_BEGIN_CALLS 7
#define ERASURE_ARGS        8

struct erasure {
    /* The caller's, before erasure_begin(): */
    enum erasure_kind kind;
    struct id team_id, subject_id; /* the user, or the session */
    enum audit_actor actor;
    struct id actor_id; /* of AUDIT_USER, else "" */
    char address[64];   /* "": the command line */
    bool is_sqlite;

    struct id id; /* its own, and the audit row's subject */
    int64_t counts[N_ERASURE_COUNTS];
    enum erasure_stage stage;
    int64_t merged_pages; /* of ERASE_INDEX */
    int64_t at_us;        /* of the last transaction */

    struct audit audit;
    struct db_arg args[ERASURE_ARGS], more[ERASURE_ARGS];
};

/* The first transaction: the user is put out, everywhere. calls: at least ERASURE_BEGIN_CALLS
 * places; they point into e. Returns how many there are. */
size_t erasure_begin(struct erasure *e, struct db_call *calls);
/* With that transaction's results. ERR_CONFLICT: the team's last active admin. ERR_NOT_FOUND: there
 * is no such session. */
struct error erasure_note_begin(struct erasure *e, const struct db_result *results) MUST_CHECK;
/* One that was broken off, of a row of SQL_ERASURE_CLAIM; is_sqlite is the caller's. False: it
 * makes no sense. */
bool erasure_take(struct erasure *e, const struct db_result *row) MUST_CHECK;

/* The next transaction; calls: DB_BATCH_MAX places; they point into e and the arena. Returns how
 * many there are; 0: it is done. */
size_t erasure_next(struct erasure *e, struct arena *a, struct db_call *calls);
/* That one is durable; results: its calls'. */
void erasure_note(struct erasure *e, const struct db_result *results);

/* The report: {"id", "kind", "erased", "kept", "at"}. */
void erasure_write(struct json *j, const struct erasure *e);
const char *erasure_count_name(enum erasure_count count); /* "messages" */

#endif
