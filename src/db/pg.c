/* The PostgreSQL driver: a loop's connections, and one that blocks for the command line. */
#include "db/pg.h"

#include "db/bulk_driver.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_QUEUE 256 /* loops that wait for the thread that looks names up */

/* ---- the blocking connection ---- */
static PGconn *connect_blocking(const struct pg *p)
{
    return PQconnectdbParams(p->params.keywords, p->params.values, 0);
}

/* It may have been lost since it was last used. */
static struct error revive(struct pg *p)
{
    /* Reading finds the end of a connection that was closed meanwhile: once for the server's
     * farewell. */
    /* NOLINTNEXTLINE(misc-redundant-expression): the second call does what the first could not */
    if (PQconsumeInput(p->blocking) == 1 && PQconsumeInput(p->blocking) == 1 &&
        PQstatus(p->blocking) == CONNECTION_OK)
        return NO_ERROR;
    PQreset(p->blocking);
    return PQstatus(p->blocking) == CONNECTION_OK ? NO_ERROR : pg_open_error(p->blocking);
}

static struct error result_error(const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *words = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    return db_say(ERR_DB, db_sqlstate(state), "%s", words ? words : "connection lost");
}

/* t->error says why not. */
static bool run_call(struct pg *p, struct db_task *t, struct db_task_call *call)
{
    const int n_params = p->n_params[call->sql];
    struct pg_args args = {0};
    PGresult *res;

    if (call->n_args < (size_t)n_params) {
        db_task_fail(t, ERR_DB, 0, "%s: an argument is missing", sql_table[call->sql].name);
        return false;
    }
    pg_args_set(&args, call->args, (size_t)n_params);
    res = PQexecParams(p->blocking, sql_table[call->sql].pg, n_params, NULL, args.values,
                       args.lengths, args.formats, 1);
    if (PQresultStatus(res) == PGRES_TUPLES_OK || PQresultStatus(res) == PGRES_COMMAND_OK) {
        call->rows = res;
        return true;
    }
    if (PQresultErrorField(res, PG_DIAG_SQLSTATE))
        pg_task_fail(t, res);
    else
        t->error = ERROR(ERR_DB, DB_CODE_UNKNOWN, "connection lost");
    PQclear(res);
    return false;
}

static bool exec_word(struct pg *p, struct db_task *t, const char *sql)
{
    PGresult *res = PQexec(p->blocking, sql);
    const bool ok = PQresultStatus(res) == PGRES_COMMAND_OK;

    if (!ok && !is_error(t->error))
        t->error = ERROR(ERR_DB, DB_CODE_UNKNOWN, "connection lost");
    PQclear(res);
    return ok;
}

static bool run_calls(struct pg *p, struct db_task *t)
{
    bool ok = t->n_calls == 1 || exec_word(p, t, "BEGIN");

    for (size_t i = 0; ok && i < t->n_calls; i++)
        ok = run_call(p, t, &t->calls[i]);
    if (t->n_calls == 1)
        return ok;
    if (!ok)
        (void)exec_word(p, t, "ROLLBACK");
    return ok && exec_word(p, t, "COMMIT");
}

static struct error pg_run(struct db *db, struct db_task *t)
{
    struct pg *p = db->state;
    struct error err = NO_ERROR;

    /* A connection found dead before anything was sent may be tried again, and no other; and what
     * was undone. */
    for (int i = 0; i < 2; i++) {
        const bool was_used = PQstatus(p->blocking) == CONNECTION_OK;

        db_task_forget_outcome(t, &pg_driver);
        err = revive(p);
        if (is_error(err) || run_calls(p, t))
            return err;
        err = db_say(t->error.status, t->error.code, "%s", t->error.detail);
        if (!pg_was_undone(err) &&
            (PQstatus(p->blocking) == CONNECTION_OK || !was_used || sql_writes(t->use)))
            break;
    }
    return err;
}

static struct error exec(struct db *db, const char *sql, PGresult **out)
{
    struct pg *p = db->state;
    struct error err = revive(p);
    ExecStatusType status;

    *out = NULL;
    if (is_error(err))
        return err;
    *out = PQexec(p->blocking, sql);
    status = PQresultStatus(*out);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY)
        return NO_ERROR;
    err = result_error(*out);
    PQclear(*out);
    *out = NULL;
    return err;
}

static struct error pg_script(struct db *db, const char *sql)
{
    PGresult *res;
    struct error err = exec(db, sql, &res);

    PQclear(res);
    return err;
}

static struct error pg_number(struct db *db, const char *sql, int64_t *out)
{
    PGresult *res;
    struct error err = exec(db, sql, &res);

    *out = 0;
    if (!is_error(err) && PQntuples(res) == 1 && !str_to_i64(str_from(PQgetvalue(res, 0, 0)), out))
        *out = 0;
    PQclear(res);
    return err;
}

/* ---- the whole ---- */
static void ignore_notice(void *state, const char *message)
{
    (void)state;
    (void)message;
}

static void pg_close(struct db *db)
{
    struct pg *p = db->state;

    PQfinish(p->blocking);
    workers_free(p->names);
    pg_params_deinit(&p->params);
    free(p);
    db->state = NULL;
}

static struct error pg_open(struct db *db, struct str url)
{
    struct pg *p = calloc(1, sizeof(*p));
    struct error err;

    if (!p)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    for (size_t i = 0; i < N_SQL; i++) {
        const size_t n = sql_n_params(sql_table[i].pg);

        p->n_params[i] = (int)(n < PG_ARGS_MAX ? n : PG_ARGS_MAX);
    }
    err = pg_params_init(&p->params, url);
    if (is_error(err)) {
        free(p);
        return err;
    }
    db->state = p;
    p->blocking = connect_blocking(p);
    if (PQstatus(p->blocking) != CONNECTION_OK) {
        err = pg_open_error(p->blocking);
        pg_close(db);
        return err;
    }
    PQsetNoticeProcessor(p->blocking, ignore_notice, NULL);
    p->url = arena_copy(&p->params.arena, url);
    if (db->as == DB_OPEN_SERVER && p->params.has_names)
        p->names = workers_new("db-names", WORK_WAITS, 1, NAMES_QUEUE);
    if (!p->url.ptr || (db->as == DB_OPEN_SERVER && p->params.has_names && !p->names)) {
        pg_close(db);
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    return NO_ERROR;
}

/* ---- a loop ---- */
static struct error pg_attach(struct db_loop *dl)
{
    struct pg_loop *pl = calloc(1, sizeof(*pl));
    bool ok = pl != NULL;

    for (size_t i = 0; i <= SQL_NODE && ok; i++)
        ok = fair_init(&pl->conns[i].waiting);
    if (!ok) {
        for (size_t i = 0; i <= SQL_NODE && pl; i++)
            fair_deinit(&pl->conns[i].waiting);
        free(pl);
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    pl->dl = dl;
    pl->pg = dl->db->state;
    dl->state = pl;
    pg_conn_start(&pl->conns[SQL_READ], pl, SQL_READ);
    pg_conn_start(&pl->conns[SQL_WRITE], pl, SQL_WRITE);
    pg_conn_start(&pl->conns[SQL_SLOW], pl, SQL_SLOW);
    return NO_ERROR;
}

void pg_loop_leave(struct pg_loop *pl)
{
    struct db_loop *dl = pl->dl;

    if (!pl->is_leaving || pl->n_polls > 0)
        return;
    dl->state = NULL;
    pg_names_deinit(pl);
    for (size_t i = 0; i <= SQL_NODE; i++)
        fair_deinit(&pl->conns[i].waiting);
    free(pl);
    db_loop_closed(dl);
}

void pg_loop_move(struct pg_loop *pl)
{
    for (size_t i = 0; i <= SQL_NODE; i++)
        pg_conn_lost(&pl->conns[i], PG_LOST_ROLE);
    pg_ear_move(pl);
}

/* The last operation may have ended inside a connection's callback, so the connections are closed
 * from a timer. */
static void on_leave(struct timer *timer)
{
    struct pg_loop *pl = container_of(timer, struct pg_loop, leave);

    pl->is_leaving = true;
    pg_ear_close(pl);
    for (size_t i = 0; i <= SQL_NODE; i++)
        pg_conn_close(&pl->conns[i]);
    pg_loop_leave(pl);
}

static void pg_detach(struct db_loop *dl)
{
    struct pg_loop *pl = dl->state;

    timer_start(&pl->leave, 0, on_leave);
}

static void pg_close_ear(struct db_loop *dl)
{
    pg_ear_close(dl->state);
}

static bool pg_is_ready(struct db_loop *dl)
{
    const struct pg_loop *pl = dl->state;

    return pl->conns[SQL_READ].state == PG_READY && pl->conns[SQL_WRITE].state == PG_READY;
}

static void pg_submit(struct db_task *t)
{
    struct pg_loop *pl = t->owner->state;
    struct pg_conn *c = &pl->conns[t->use];

    for (size_t i = 0; i < t->n_calls; i++) {
        if (t->calls[i].n_args < (size_t)pl->pg->n_params[t->calls[i].sql]) {
            db_task_fail(t, ERR_DB, 0, "%s: an argument is missing",
                         sql_table[t->calls[i].sql].name);
            db_task_end(t);
            return;
        }
    }
    if (!c->owner)
        pg_conn_start(c, pl, t->use);
    pg_pipeline_submit(c, t);
}

static bool pg_take_back(struct db_task *t)
{
    struct pg_loop *pl = t->owner->state;

    if (atomic_load(&t->state) != TASK_WAITING)
        return false;
    fair_remove(&pl->conns[t->use].waiting, &t->item);
    db_task_end(t);
    return true;
}

static struct error pg_collect(struct db_task_call *call, struct arena *arena,
                               struct db_result *out)
{
    PGresult *res = call->rows;

    call->rows = NULL;
    return pg_decode(res, arena, out);
}

static void pg_discard(struct db_task_call *call)
{
    PQclear(call->rows);
    call->rows = NULL;
}

PGconn *pg_blocking(const struct db *db)
{
    const struct pg *p = db->state;

    return p->blocking;
}

const struct db_driver pg_driver = {
    .name = "postgresql",
    .bulk = &pg_bulk,
    /* A lock of the transaction's, which a transaction pooler keeps with it. */
    .begin_migration = "BEGIN; SELECT pg_advisory_xact_lock(4702394921090429541)",
    .is_sqlite = false,
    .open = pg_open,
    .close = pg_close,
    .attach = pg_attach,
    .detach = pg_detach,
    .is_ready = pg_is_ready,
    .open_ear = pg_ear_open,
    .close_ear = pg_close_ear,
    .submit = pg_submit,
    .take_back = pg_take_back,
    .collect = pg_collect,
    .discard = pg_discard,
    .run = pg_run,
    .script = pg_script,
    .number = pg_number,
};
