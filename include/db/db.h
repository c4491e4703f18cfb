/* The database: one interface, two drivers (SQLite, PostgreSQL). Statements are rows of a table
 * (db/sql.h); running one is an operation of a flow. A handle per loop; queries run and end on
 * their loop. */
#ifndef AERIE_DB_DB_H
#define AERIE_DB_DB_H

#include "base/arena.h"
#include "base/buf.h"
#include "db/sql.h"
#include "loop/flow.h"
#include "loop/loop.h"

/* ---- arguments: $1, $2 … ---- */
enum db_type { DB_NULL, DB_TEXT, DB_INT, DB_BOOL, DB_UUID, DB_TIME, DB_JSON, DB_BYTES };
struct db_arg {
    enum db_type type;
    struct str text;
    int64_t number;
};
#define DB_ARGS(...)                                                                               \
    (const struct db_arg[]){__VA_ARGS__},                                                          \
        sizeof((const struct db_arg[]){__VA_ARGS__}) / sizeof(struct db_arg)
struct db_arg db_text(struct str s);  /* ptr NULL: NULL */
struct db_arg db_uuid(struct str s);  /* ptr NULL or "": NULL */
struct db_arg db_json(struct str s);  /* ptr NULL: NULL */
struct db_arg db_bytes(struct str s); /* bytea, BLOB; ptr NULL: NULL */
struct db_arg db_int(int64_t n);
struct db_arg db_bool(bool b);
struct db_arg db_time(int64_t wall_us); /* INT64_MIN: NULL */
struct db_arg db_null(void);

/* ---- results ---- */
struct db_cell {
    struct str text; /* TEXT, UUID, JSON, BYTES; ptr NULL when NULL */
    int64_t number;  /* INT, BOOL (0 or 1), TIME (µs since 1970) */
    bool is_null;
};
struct db_result {
    size_t n_rows, n_columns;
    int64_t n_changed;     /* rows inserted, updated or deleted */
    struct db_cell *cells; /* in the arena given to the query */
};
struct str db_get_text(const struct db_result *r, size_t row, size_t column);
int64_t db_get_int(const struct db_result *r, size_t row, size_t column);
bool db_get_bool(const struct db_result *r, size_t row, size_t column);
bool db_is_null(const struct db_result *r, size_t row, size_t column);

/* ---- errors: the code beside ERR_DB ---- */
/* The connection went away with a write in flight: it may or may not have been stored. */
#define DB_CODE_UNKNOWN (-1)
/* PostgreSQL's five characters as a number: db_sqlstate("23505"). 0 when they are none. SQLite's
 * codes are its own extended ones. */
int db_sqlstate(const char *sqlstate);

/* ---- queries ---- */
#define DB_BATCH_MAX 8
struct db_call {
    enum sql sql;
    const struct db_arg *args;
    size_t n_args;
};

/* Inside the caller's state, all zero, in place until it ends; may be used again afterwards. */
struct db_query {
    struct op op;
    const struct db_result *result; /* the first call's, in the arena; the others' behind it */
    size_t n_results;
    struct db_task *task; /* the driver's, while in flight */
};
/* The i-th call's; an empty one where there was no such call. */
const struct db_result *db_result_at(const struct db_query *q, size_t i);

/* Runs one statement as an operation of flow f; may end before returning.
 * arena: gets the results and their rows; must outlive q's use. args: copied.
 * Whether it reads, writes or is slow is said in its row of the statement table.
 * Ends with ERR_BUSY (queue full, waited too long), ERR_DB_TIMEOUT, ERR_DB (code: SQLSTATE's hash
 * or SQLite's code), ERR_DISK_FULL, ERR_NO_MEMORY or ERR_CANCELED. A write is not canceled once it
 * was handed over: it ends when its outcome is known. A write has ended well only when its
 * transaction is durable. */
void db_query(struct db_query *q, struct flow *f, struct arena *arena, enum sql sql,
              const struct db_arg *args, size_t n_args);
/* Several statements, all or none, in order, in one transaction. At most DB_BATCH_MAX. Reads alone
 * see one snapshot on SQLite; reads beside writes see those before them. */
void db_batch(struct db_query *q, struct flow *f, struct arena *arena, const struct db_call *calls,
              size_t n_calls);

/* ---- the whole ---- */
struct db;
/* A server holds its SQLite file alone, for life; a command may look in beside it, with db_run(),
 * db_run_batch(), migrations and bulk.h only. */
enum db_open_as {
    DB_OPEN_SERVER,
    DB_OPEN_COMMAND,
    DB_OPEN_ALONE, /* a command that no server may run beside; on SQLite ERR_CONFLICT tells of one
                    */
    DB_OPEN_COPY,  /* db_open_copy()'s */
};
/* Opens what url says (config database.*), on the main thread, before the loops run: connects once,
 * checks, and so tells a wrong address with a clear sentence. The detail of this and the other
 * blocking calls lives until the thread's next one. */
struct error db_open(struct db **out, enum db_open_as as) MUST_CHECK;
/* The same for another address than the configured one. */
struct error db_open_url(struct db **out, enum db_open_as as, struct str url) MUST_CHECK;
/* A SQLite file of its own, such as a backup: one file, without a WAL beside it. */
struct error db_open_copy(struct db **out, const char *path) MUST_CHECK;
void db_close(struct db *db); /* after all loops have left; NULL is fine */
struct error db_attach(struct db *db, struct loop *l) MUST_CHECK; /* loop's thread; sets ROOM_DB */
/* Loop's thread. on_detached runs when the loop holds nothing of the database any more: when the
 * last operation has ended and the connections are closed, perhaps before this returns. Until then
 * queries are still taken. */
void db_detach(struct loop *l, void (*on_detached)(struct loop *l));
/* Where the configuration's SQLite file is; ptr NULL: another database, or out of memory. */
struct str db_configured_file(struct arena *a);
bool db_is_sqlite(const struct db *db);
/* The descriptor that keeps other servers off the database's file; -1: it is none. */
int db_lock(const struct db *db);
bool db_is_ready(void);                   /* the current loop has a usable connection */
const char *db_name(const struct db *db); /* "sqlite" or "postgresql" */
void db_metrics(struct buf *out);         /* for GET /metrics */
const char *db_name_here(void);           /* of the current loop's */
bool db_is_sqlite_here(void);

/* ---- what the database tells by itself: NOTIFY ---- */
/* The caller's memory, one a loop. Callbacks run on its loop. */
struct db_ear {
    void (*on_word)(struct db_ear *ear, struct str payload); /* valid during the call */
    /* From now on words come, or they do not any more. What was said in between is lost. */
    void (*on_change)(struct db_ear *ear, bool is_listening);
};
/* Loop's thread, after db_attach(). Listens to channel (static, a plain name) over a connection of
 * its own, again whenever that is lost, until db_listen_end(). False: this database tells nothing:
 * SQLite, PostgreSQL behind a transaction pooler (database.prepared_statements), or no memory. */
bool db_listen(struct db_ear *ear, const char *channel) MUST_CHECK;
/* No callback comes any more. None is there: fine. */
void db_listen_end(void);

/* ---- one statement at a time, for the command line and for start-up: blocks; not on a loop ----
 */
struct error db_run(struct db *db, struct arena *arena, enum sql sql, const struct db_arg *args,
                    size_t n_args, struct db_result *out) MUST_CHECK;
/* The same for several, all or none. out: one each. */
struct error db_run_batch(struct db *db, struct arena *arena, const struct db_call *calls,
                          size_t n_calls, struct db_result *out) MUST_CHECK;

/* ---- migrations: migrations/NNNN_name.{pg,sqlite}.sql, compiled in ---- */
struct db_migration {
    int number;
    const char *name, *up_pg, *down_pg, *up_sqlite, *down_sqlite;
};
/* Applies what is missing, each in one transaction, one server at a time. ERR_CONFLICT when the
 * schema is newer than this binary. */
struct error db_migrate_up(struct db *db, int *n_applied) MUST_CHECK;
struct error db_migrate_down(struct db *db,
                             int *number) MUST_CHECK; /* the last one; 0: there was none */
int db_migrations_known(void);                        /* to this program: the last one's number */
/* Calls row for each known migration. */
struct error db_migrate_status(struct db *db,
                               void (*row)(const struct db_migration *m, bool applied, void *state),
                               void *state) MUST_CHECK;

#endif
