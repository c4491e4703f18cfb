/* The writer: everything that waits goes into one transaction, and is answered when that is
 * durable. */
#include "db/sqlite.h"

#include "base/log.h"

/* Operations in one transaction. */
#define BATCH_MAX 64
/* How long nothing must have come before the search index is fed: a feed costs a commit. */
#define FEED_IDLE_MS 100

static void forget_outcome(struct db_task *t)
{
    t->error = NO_ERROR;
    for (size_t i = 0; i < t->n_calls; i++) {
        if (t->calls[i].rows)
            sqlite_driver.discard(&t->calls[i]);
    }
}

static void roll_back(struct sqlite_conn *c)
{
    if (!sqlite3_get_autocommit(c->db))
        sqlite_conn_exec(c, "ROLLBACK");
}

/* One statement undoes itself when it fails; several need a savepoint. False: the whole transaction
 * is gone, which SQLite does for a full disk and the like. */
static bool run_task(struct sqlite_conn *c, struct db_task *t)
{
    const bool is_guarded = t->n_calls > 1;
    bool ok = true;

    if (is_guarded && !sqlite_conn_exec(c, "SAVEPOINT operation")) {
        sqlite_conn_fail(c, t);
        return false;
    }
    for (size_t i = 0; i < t->n_calls && ok; i++)
        ok = sqlite_conn_run(c, t, &t->calls[i]);
    if (sqlite3_get_autocommit(c->db))
        return false;
    if (!is_guarded)
        return true;
    if ((ok || sqlite_conn_exec(c, "ROLLBACK TO operation")) &&
        sqlite_conn_exec(c, "RELEASE operation"))
        return true;
    if (ok)
        sqlite_conn_fail(c, t);
    return false;
}

static void run_alone(struct sqlite_conn *c, struct db_task *t)
{
    forget_outcome(t);
    if (!sqlite_conn_exec(c, "BEGIN IMMEDIATE")) {
        sqlite_conn_fail(c, t);
        return;
    }
    if (!run_task(c, t)) {
        roll_back(c);
        if (!is_error(t->error))
            t->error = ERROR(ERR_DB, 0, "the transaction was lost");
        return;
    }
    if (!is_error(t->error) && !sqlite_conn_exec(c, "COMMIT"))
        sqlite_conn_fail(c, t);
    roll_back(c);
}

static void run_batch(struct sqlite_conn *c, struct db_task **tasks, size_t n)
{
    size_t n_run = 0;

    if (!sqlite_conn_exec(c, "BEGIN IMMEDIATE")) {
        for (size_t i = 0; i < n; i++)
            sqlite_conn_fail(c, tasks[i]);
        return;
    }
    while (n_run < n && run_task(c, tasks[n_run]))
        n_run++;
    if (n_run == n && sqlite_conn_exec(c, "COMMIT"))
        return;
    roll_back(c);
    log_debug("sqlite: a batch of %zu was rolled back, running its operations alone", n);
    for (size_t i = 0; i < n; i++)
        run_alone(c, tasks[i]);
}

static void writer_main(void *state)
{
    struct sqlite_writer *w = state;
    struct db_task *tasks[BATCH_MAX];
    bool is_stopping = false;
    bool may_feed = true; /* a run before this one may have left messages waiting */

    while (!is_stopping) {
        const size_t n =
            sqlite_lane_take(&w->lane, tasks, BATCH_MAX, may_feed ? FEED_IDLE_MS : 0, &is_stopping);

        if (n == 1)
            run_alone(&w->conn, tasks[0]);
        else if (n > 1)
            run_batch(&w->conn, tasks, n);
        else if (!is_stopping)
            may_feed = sqlite_search_feed(&w->conn);
        if (n > 0)
            may_feed = true;
        db_task_hand_back(tasks, n);
    }
}

bool sqlite_writer_start(struct sqlite_writer *w)
{
    w->has_thread = uv_thread_create(&w->thread, writer_main, w) == 0;
    return w->has_thread;
}
