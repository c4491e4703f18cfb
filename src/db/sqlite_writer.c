/* The writer: everything that waits goes into one transaction, and is answered when that is
 * durable. */
#include "db/sqlite.h"

#include "base/log.h"

/* Operations in one transaction. */
#define BATCH_MAX 64
/* How long nothing must have come before the search index is fed: a feed costs a commit. */
#define FEED_IDLE_MS 100

static void roll_back(struct sqlite_conn *c)
{
    if (!sqlite3_get_autocommit(c->db))
        sqlite_conn_do(c, SQLITE_DO_ROLLBACK);
}

/* False: the transaction must go. One statement undoes itself when it fails. Several would need a
 * savepoint for that, which costs each batch more than the rare failure is worth. */
static bool run_task(struct sqlite_conn *c, struct db_task *t)
{
    bool ok = true, is_one;

    for (size_t i = 0; i < t->n_calls && ok; i++)
        ok = sqlite_conn_run(c, t, &t->calls[i]);
    is_one = t->n_calls == 1 && !c->stmts[t->calls[0].sql][1]; /* known once it is prepared */
    return (ok || is_one) && !sqlite3_get_autocommit(c->db);
}

static void run_alone(struct sqlite_conn *c, struct db_task *t)
{
    db_task_forget_outcome(t, &sqlite_driver);
    if (!sqlite_conn_do(c, SQLITE_DO_BEGIN_WRITE)) {
        sqlite_conn_fail(c, t);
        return;
    }
    if (!run_task(c, t) && !is_error(t->error))
        t->error = ERROR(ERR_DB, 0, "the transaction was lost");
    if (!is_error(t->error) && !sqlite_conn_do(c, SQLITE_DO_COMMIT))
        sqlite_conn_fail(c, t);
    roll_back(c);
}

/* In one transaction. n: all have ended, and what went well is durable. Less: all was rolled back,
 * because that one failed. LOST: all was, and it was none of them. */
#define LOST SIZE_MAX
static size_t run_together(struct sqlite_conn *c, struct db_task **tasks, size_t n)
{
    size_t n_run = 0;
    bool is_lost;

    if (!sqlite_conn_do(c, SQLITE_DO_BEGIN_WRITE)) {
        for (size_t i = 0; i < n; i++)
            sqlite_conn_fail(c, tasks[i]);
        return n;
    }
    while (n_run < n && run_task(c, tasks[n_run]))
        n_run++;
    if (n_run == n && sqlite_conn_do(c, SQLITE_DO_COMMIT))
        return n;
    /* A full disk and the like: SQLite itself has rolled back. */
    is_lost = n_run == n || sqlite3_get_autocommit(c->db);
    roll_back(c);
    log_debug("sqlite: a batch of %zu was rolled back", n);
    return is_lost ? LOST : n_run;
}

static void run_each_alone(struct sqlite_conn *c, struct db_task **tasks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        run_alone(c, tasks[i]);
}

/* In the order in which they were taken: those before one that fails, it alone, those behind it. */
static void run_batch(struct sqlite_conn *c, struct db_task **tasks, size_t n)
{
    while (n > 1) {
        const size_t culprit = run_together(c, tasks, n);

        if (culprit == n)
            return;
        for (size_t i = 0; i < n; i++)
            db_task_forget_outcome(tasks[i], &sqlite_driver);
        if (culprit == LOST)
            break;
        if (culprit > 0 && run_together(c, tasks, culprit) != culprit)
            break;
        run_alone(c, tasks[culprit]);
        tasks += culprit + 1;
        n -= culprit + 1;
    }
    run_each_alone(c, tasks, n);
}

static void writer_main(void *state)
{
    struct sqlite_writer *w = state;
    struct db_task *tasks[BATCH_MAX];
    bool is_stopping = false;
    bool may_feed = true; /* a run before this one may have left messages waiting */

    while (!is_stopping) {
        const size_t n =
            sqlite_lane_take(&w->lane, tasks, BATCH_MAX,
                             may_feed ? FEED_IDLE_MS : sqlite_conn_calm_ms(&w->conn), &is_stopping);

        if (n > 0)
            run_batch(&w->conn, tasks, n);
        else if (may_feed && !is_stopping)
            may_feed = sqlite_search_feed(&w->conn);
        if (n > 0)
            may_feed = true;
        db_task_hand_back(tasks, n);
        sqlite_conn_calm(&w->conn, may_feed ? BATCH_MAX : 0); /* feeding is work, too */
    }
}

bool sqlite_writer_start(struct sqlite_writer *w)
{
    w->has_thread = uv_thread_create(&w->thread, writer_main, w) == 0;
    return w->has_thread;
}
