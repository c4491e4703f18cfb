/* What the two drivers and the interface share: a task in flight, a loop's handle, the driver's
 * table. */
#ifndef AERIE_DB_INTERNAL_H
#define AERIE_DB_INTERNAL_H

#include "base/fair.h"
#include "base/metrics.h"
#include "db/db.h"

#include <stdatomic.h>

/* ---- a task: one operation with a copy of its arguments, in one block of memory ---- */
struct db_task_call {
    enum sql sql;
    struct db_arg *args; /* texts end with a NUL that len does not count; all but DB_BYTES hold none */
    size_t n_args;
    void *rows; /* the driver's: sqlite_rows or PGresult; NULL when there are none */
};

enum db_task_state {
    TASK_WAITING, /* in a queue: may still be taken back */
    TASK_TAKEN,   /* someone runs it */
    TASK_DROPPED, /* taken back: must not be run, only ended */
};

/* Made on its loop, and freed there by db_task_end(). Between hand-over and hand-back a driver's
 * thread may hold it: then the loop touches nothing but state and is_unwanted. */
struct db_task {
    struct fair_item item; /* the driver's queues; its link those without turns */
    struct str team;       /* whose it is, in its arguments; ptr NULL: nobody's */
    struct db_loop *owner;
    struct db_query *query; /* NULL once nobody waits for the result */
    struct arena *arena;
    struct db_result *results; /* one a call, in the arena */
    struct timer timer;        /* the longest wait to be picked up */
    uint64_t begun_us;
    enum sql_use use;
    struct span *span;        /* NULL: it is not told of */
    bool was_given_up;        /* it waited too long */
    _Atomic int state;        /* enum db_task_state */
    _Atomic bool is_unwanted; /* a read whose flow has gone on: hurry */
    unsigned n_tries;         /* connections lost under it */
    struct error error;       /* its detail may be the array below */
    char detail[160];
    size_t n_calls;
    struct db_task_call calls[];
};

static inline struct db_task *db_task_of(struct list *link)
{
    return container_of(link, struct db_task, item.link);
}
/* NULL and *why: no memory, or an argument that no database takes. owner and q may be NULL
 * (db_run). */
struct db_task *db_task_new(const struct db_call *calls, size_t n_calls, struct error *why);
void db_task_free(struct db_task *t, const struct db *db);
struct db_driver;
/* Its rows and its error, as if it had not run: the driver runs it again. */
void db_task_forget_outcome(struct db_task *t, const struct db_driver *driver);
/* Loop's thread. Gives rows or t->error to who waits, and frees t. */
void db_task_end(struct db_task *t);
/* Puts t behind what its team has waiting in q. False: that is database.queue_per_team already. */
bool db_task_queue(struct fair *q, struct db_task *t) MUST_CHECK;
/* Loop's thread: ends t, which found no place. */
void db_task_refuse(struct db_task *t);
/* Loop's thread: t is in a queue, and fails unless the driver takes it within database.wait_ms. */
void db_task_wait(struct db_task *t);
/* Sets t->error with words of its own. */
void db_task_fail(struct db_task *t, enum status status, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- a loop's handle: from db_attach() until db_close() ---- */
struct db_loop {
    struct list link; /* in db.loops */
    struct db *db;
    struct loop *loop;
    size_t n_tasks; /* not ended yet */
    bool is_leaving, is_closing;
    void (*on_detached)(struct loop *l);
    void *state; /* the driver's */
    /* Tasks that the driver's threads have finished with. */
    uv_mutex_t done_lock;
    struct list done;
    bool is_posted;
    struct mail mail;
};

/* From a driver's thread: their loops end the tasks, with one letter to each loop. Afterwards the
 * tasks and the loops must not be touched. tasks is used up. */
void db_task_hand_back(struct db_task **tasks, size_t n);
/* Loop's thread: the driver holds nothing on this loop any more. */
void db_loop_closed(struct db_loop *dl);

/* ---- drivers ---- */
struct bulk_driver;
struct db_driver {
    const char *name;
    const struct bulk_driver *bulk; /* whole tables: bulk_driver.h */
    /* begins a transaction that keeps other migrating processes out */
    const char *begin_migration;
    const char *after_migration; /* after its COMMIT or ROLLBACK; NULL: nothing */
    const char *count_dangling;  /* before its COMMIT, must be 0; NULL: the database looks itself */
    bool is_sqlite;
    struct error (*open)(struct db *db, struct str url);
    void (*close)(struct db *db);
    struct error (*attach)(struct db_loop *dl);
    void (*detach)(struct db_loop *dl); /* no task is left; calls db_loop_closed(), now or later */
    bool (*is_ready)(struct db_loop *dl);
    int (*lock)(const struct db *db); /* NULL: it holds none */
    /* NULL: it tells nothing. */
    struct error (*open_ear)(struct db_loop *dl, struct db_ear *ear, const char *channel);
    void (*close_ear)(struct db_loop *dl);
    void (*submit)(struct db_task *t);
    /* True: t will never run, and must not be touched: the driver ends it, perhaps before this
     * returns. */
    bool (*take_back)(struct db_task *t);
    /* Moves a call's rows into the arena. */
    struct error (*collect)(struct db_task_call *call, struct arena *arena, struct db_result *out);
    void (*discard)(struct db_task_call *call);
    /* Blocking, under run_lock. Several calls are one transaction. */
    struct error (*run)(struct db *db, struct db_task *t);
    struct error (*script)(struct db *db, const char *sql);
    struct error (*number)(struct db *db, const char *sql, int64_t *out); /* NULL gives 0 */
};
extern const struct db_driver sqlite_driver;
extern const struct db_driver pg_driver;

struct db {
    const struct db_driver *driver;
    void *state; /* the driver's */
    enum db_open_as as;
    uv_mutex_t run_lock; /* one blocking statement, or one migration, at a time */
    uv_mutex_t lock;     /* loops */
    struct list loops;
};

/* An error of a blocking call in words; kept in memory of the calling thread. */
struct error db_say(enum status status, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- url.c ---- */
enum db_url_kind { DB_URL_SQLITE, DB_URL_PG, DB_URL_OTHER };
/* Which driver; *rest: SQLite's path, or libpq's URL, in the arena. */
enum db_url_kind db_url_parse(struct arena *a, struct str url, struct str data_dir,
                              struct str *rest);

/* ---- sql.c ---- */
const char *sql_text(enum sql sql, bool is_sqlite);
size_t sql_n_params(const char *text); /* the highest $n */

/* ---- the migrations, made by embed_migrations.py ---- */
extern const struct db_migration db_migrations[];
extern const size_t n_db_migrations;

/* ---- trace.c ---- */
/* Loop's thread: t, which has a span, has ended. */
void db_end_span(struct db_task *t, struct error err);

/* ---- metrics.c ---- */
struct db_numbers {
    _Alignas(64) struct histogram seconds[SQL_NODE + 1]; /* by enum sql_use */
    struct counter statements[SQL_NODE + 1], waiting[SQL_NODE + 1];
    struct counter errors;
};
extern struct db_numbers db_numbers[METRICS_THREADS];
/* Loop's thread: t was asked for; it has ended. */
void db_count_begun(struct db_task *t);
void db_count_ended(const struct db_task *t);
void db_count_error(struct error err);

#endif
