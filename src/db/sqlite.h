/* The SQLite driver's parts: connections, and the threads that use them. */
#ifndef AERIE_DB_SQLITE_H
#define AERIE_DB_SQLITE_H

#include "base/buf.h"
#include "db/internal.h"

#include <sqlite3.h>

/* ---- sqlite_conn.c: one connection; used by one thread at a time ---- */
enum sqlite_do {
    SQLITE_DO_BEGIN_READ,
    SQLITE_DO_BEGIN_WRITE,
    SQLITE_DO_COMMIT,
    SQLITE_DO_ROLLBACK,
    N_SQLITE_DO,
};

struct sqlite_conn {
    sqlite3 *db;
    sqlite3_stmt *stmts[N_SQL][SQL_PARTS_MAX]; /* prepared when first used */
    sqlite3_stmt *dos[N_SQLITE_DO];            /* the same */
    struct buf cells, texts;                   /* the rows being read */
    uint64_t deadline_ms;       /* 0: none; a reader's statement is interrupted past it */
    const struct db_task *task; /* whose statement runs, for readers */
    bool is_out_of_time;
    uint64_t calm_since_ms; /* n_recent is counted from here */
    size_t n_recent;
    bool is_shrunk;
};

enum sqlite_role {
    SQLITE_WRITER,
    SQLITE_READER,
    SQLITE_BLOCKING,
    SQLITE_LONE_FILE, /* of a file that no server uses: without a WAL */
};
/* On failure the connection is closed again; the words are db_say()'s. */
struct error sqlite_conn_open(struct sqlite_conn *c, const char *path,
                              enum sqlite_role role) MUST_CHECK;
void sqlite_conn_close(struct sqlite_conn *c);
/* Runs one statement and keeps its rows in call->rows. False: t->error says why. */
bool sqlite_conn_run(struct sqlite_conn *c, struct db_task *t, struct db_task_call *call);
bool sqlite_conn_do(struct sqlite_conn *c, enum sqlite_do what);
/* After each turn of its thread, of n operations or of waiting: calm after a crowd, it gives back
 * the pages that it has in memory, up to 2 MB. Between transactions. */
void sqlite_conn_calm(struct sqlite_conn *c, size_t n);
/* How long the thread may wait until it says so again; 0: has no need to. */
uint64_t sqlite_conn_calm_ms(const struct sqlite_conn *c);
/* Runs plain SQL without rows. */
bool sqlite_conn_exec(struct sqlite_conn *c, const char *sql);
/* What went wrong last on c, in t->error. */
void sqlite_conn_fail(struct sqlite_conn *c, struct db_task *t);
enum status sqlite_conn_status(struct sqlite_conn *c);

/* Rows in one block of memory, free()d as one. */
struct sqlite_rows {
    struct db_result result;
    struct db_cell cells[];
};

/* The connection of db_run() and migrations. */
struct sqlite_conn *sqlite_blocking(const struct db *db);

/* ---- sqlite_lane.c: a queue between loops and the threads that serve it ---- */
struct sqlite_lane {
    uv_mutex_t lock;
    uv_cond_t cond;
    struct fair queue; /* of tasks */
    size_t n_threads;
    bool is_stopping;
};
/* False: no memory; to be deinited even so. */
bool sqlite_lane_init(struct sqlite_lane *lane, size_t n_threads);
void sqlite_lane_deinit(struct sqlite_lane *lane);
/* Leaves tasks empty; those whose team has too many waiting are in refused then. */
void sqlite_lane_push(struct sqlite_lane *lane, struct list *tasks, struct list *refused);
/* Ends the waiting of all threads, now and later. */
void sqlite_lane_stop(struct sqlite_lane *lane);
/* Takes a thread's share of what waits, up to max tasks, all marked as taken; waits for the first.
 * 0: idle_ms went by (0: waits on), or stopping. */
size_t sqlite_lane_take(struct sqlite_lane *lane, struct db_task **tasks, size_t max,
                        uint64_t idle_ms, bool *is_stopping);

/* ---- sqlite_writer.c ---- */
/* The one thread that writes: lane in, commits of whole batches out. */
struct sqlite_writer {
    uv_thread_t thread;
    struct sqlite_lane lane;
    struct sqlite_conn conn;
    bool has_thread;
};
bool sqlite_writer_start(struct sqlite_writer *w);

/* ---- sqlite_search.c ---- */
/* Puts some messages that wait into the search index, in a transaction of its own. False: nothing
 * waits, or it failed. */
bool sqlite_search_feed(struct sqlite_conn *c);

#endif
