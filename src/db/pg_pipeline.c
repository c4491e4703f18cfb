/* What goes over a connection: batches of operations under one Sync each, and their answers in the
 * same order. */
#include "db/pg.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"

#include <assert.h>
#include <stdio.h>

static bool is_writing(const struct pg_conn *c)
{
    return sql_writes(c->use);
}

static struct pg_batch *oldest(struct pg_conn *c)
{
    return &c->batches[c->first_batch];
}

/* ---- naming the statements ---- */
static size_t next_to_prepare(const struct pg_conn *c, size_t from)
{
    while (from < N_SQL && sql_table[from].use != c->use)
        from++;
    return from;
}

/* A plan that is made while a table is still empty stays until the server has looked at the table
 * again, which takes it a minute: by then each message has read thousands of rows where an index
 * has two. A statement that is not named is planned each time, for the table as it is.
 * And whoever waits for a lock is to see that its connection was given up: else each statement that
 * ran too long leaves a backend behind, and the server has only so many. */
static bool send_settings(struct pg_conn *c)
{
    static const char plans[] =
        "set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false)";
    static const char looks[] = "set_config('client_connection_check_interval', '1000', false)";
    const bool has_plans = c->use != SQL_SLOW, has_looks = PQserverVersion(c->pg) >= 140000;
    char text[sizeof("SELECT , ") + sizeof(plans) + sizeof(looks)];

    snprintf(text, sizeof(text), "SELECT %s%s%s", has_plans ? plans : "",
             has_plans && has_looks ? ", " : "", has_looks ? looks : "");
    c->is_setting = has_plans || has_looks;
    return !c->is_setting ||
           (PQsendQueryParams(c->pg, text, 0, NULL, NULL, NULL, NULL, 1) && PQpipelineSync(c->pg));
}

/* A Sync for each: a statement that the server refuses must not take the others with it. */
bool pg_pipeline_prepare(struct pg_conn *c)
{
    c->prepare_next = N_SQL;
    for (size_t i = 0; i < N_SQL; i++)
        c->is_prepared[i] = false;
    if (config()->database.prepared_statements) {
        if (!send_settings(c))
            return false;
        c->prepare_next = next_to_prepare(c, 0);
        for (size_t i = c->prepare_next; i < N_SQL; i = next_to_prepare(c, i + 1)) {
            if (!PQsendPrepare(c->pg, sql_table[i].name, sql_table[i].pg, 0, NULL) ||
                !PQpipelineSync(c->pg))
                return false;
        }
    }
    if (c->prepare_next == N_SQL)
        pg_conn_ready(c);
    return true;
}

static void receive_prepared(struct pg_conn *c, PGresult *res)
{
    const size_t i = c->prepare_next;

    switch (PQresultStatus(res)) {
    case PGRES_TUPLES_OK: /* the settings */
        break;
    case PGRES_COMMAND_OK:
        c->is_prepared[i] = true;
        break;
    case PGRES_PIPELINE_SYNC:
        if (c->is_setting)
            c->is_setting = false;
        else
            c->prepare_next = next_to_prepare(c, i + 1);
        if (c->prepare_next == N_SQL)
            pg_conn_ready(c);
        break;
    default: {
        const char *words = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

        /* It will be tried unnamed when it is needed, and tell then. */
        log_error("pg: %s: %s", c->is_setting ? "settings" : sql_table[i].name, words ? words : "");
        break;
    }
    }
    PQclear(res);
}

/* ---- sending ---- */
static bool send_call(struct pg_conn *c, const struct db_task_call *call)
{
    const int n_params = c->owner->pg->n_params[call->sql];
    struct pg_args args;

    /* Arguments past the text's last one are for SQLite's. */
    pg_args_set(&args, call->args, (size_t)n_params);
    if (c->is_prepared[call->sql])
        return PQsendQueryPrepared(c->pg, sql_table[call->sql].name, n_params, args.values,
                                   args.lengths, args.formats, 1) == 1;
    return PQsendQueryParams(c->pg, sql_table[call->sql].pg, n_params, NULL, args.values,
                             args.lengths, args.formats, 1) == 1;
}

static bool send_task(struct pg_conn *c, struct pg_batch *b, struct db_task *t)
{
    atomic_store(&t->state, TASK_TAKEN);
    timer_stop(&t->timer);
    list_push(&b->tasks, &t->item.link);
    b->n_tasks++;
    for (size_t i = 0; i < t->n_calls; i++) {
        if (!send_call(c, &t->calls[i]))
            return false;
    }
    return true;
}

static void on_answer_late(struct timer *timer)
{
    pg_conn_lost(container_of(timer, struct pg_conn, timer), PG_LOST_LATE);
}

static void await_answer(struct pg_conn *c)
{
    if (c->n_batches > 0)
        timer_start(&c->timer, config()->database.statement_ms, on_answer_late);
    else
        timer_stop(&c->timer);
}

static bool send_batch(struct pg_conn *c, size_t n)
{
    struct pg_batch *b = &c->batches[(c->first_batch + c->n_batches) % PG_BATCHES];
    bool ok = true;

    *b = (struct pg_batch){0};
    list_init(&b->tasks);
    if (!list_is_empty(&c->alone)) {
        ok = send_task(c, b, db_task_of(list_pop(&c->alone)));
    } else {
        struct fair_item *item;

        while (ok && b->n_tasks < n && (item = fair_pop(&c->waiting)))
            ok = send_task(c, b, container_of(item, struct db_task, item));
    }
    if (c->n_batches++ == 0) {
        c->at_task = b->tasks.next;
        c->at_call = 0;
        c->has_result = false;
        await_answer(c);
    }
    return ok && PQpipelineSync(c->pg) == 1;
}

/* How many operations may be sent in one more batch. What was sent is answered in that order,
 * whoever comes meanwhile: so it is no more than keeps the server busy. Writes of a batch share a
 * commit. */
static size_t may_send(const struct pg_conn *c)
{
    static const struct {
        size_t batch, in_flight;
    } most[] = {
        [SQL_READ] = {8, 16}, [SQL_WRITE] = {64, 1}, [SQL_SLOW] = {1, 2}, [SQL_NODE] = {1, 1}};
    size_t n_in_flight = 0;

    for (size_t i = 0; i < c->n_batches; i++)
        n_in_flight += c->batches[(c->first_batch + i) % PG_BATCHES].n_tasks;
    return n_in_flight < most[c->use].in_flight && c->n_batches < PG_BATCHES ? most[c->use].batch
                                                                             : 0;
}

void pg_pipeline_send(struct pg_conn *c)
{
    bool has_sent = false;
    size_t n;

    while (c->state == PG_READY && (n = may_send(c)) > 0 &&
           (!list_is_empty(&c->alone) || c->waiting.n_waiting > 0)) {
        has_sent = true;
        if (!send_batch(c, n)) {
            pg_conn_lost(c, PG_LOST_CONNECTION);
            return;
        }
    }
    if (has_sent)
        pg_conn_watch(c);
}

static void on_flush(struct flush *flush)
{
    pg_pipeline_send(container_of(flush, struct pg_conn, flush));
}

void pg_pipeline_submit(struct pg_conn *c, struct db_task *t)
{
    if (db_task_queue(&c->waiting, t))
        loop_mark_dirty(&c->flush, on_flush);
    else
        db_task_refuse(t);
}

/* ---- receiving ---- */

/* An error without a code is libpq's own: it was out of memory, or the socket broke. It may stand
 * for any answer; in the place of a Sync it would give each later answer to the one before. */
static bool is_libpqs(const PGresult *res)
{
    switch (PQresultStatus(res)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_PIPELINE_SYNC:
    case PGRES_PIPELINE_ABORTED:
        return false;
    default:
        return !PQresultErrorField(res, PG_DIAG_SQLSTATE);
    }
}

/* Whether the answer is to what was asked: nobody gets another one's. */
static bool is_in_step(struct pg_conn *c, const PGresult *res)
{
    const struct pg_batch *b = c->n_batches > 0 ? oldest(c) : NULL;
    const bool is_at_end = b && c->at_task == &b->tasks;

    switch (PQresultStatus(res)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        return b && !is_at_end && !db_task_of(c->at_task)->calls[c->at_call].rows;
    case PGRES_PIPELINE_SYNC:
        return is_at_end;
    case PGRES_PIPELINE_ABORTED:
        return b && b->has_failed;
    default:
        return true;
    }
}

static void take_result(struct pg_conn *c, PGresult *res)
{
    struct pg_batch *b = oldest(c);
    struct db_task *t = c->at_task == &b->tasks ? NULL : db_task_of(c->at_task);

    c->has_result = true;
    switch (PQresultStatus(res)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        assert(t);
        t->calls[c->at_call].rows = res;
        return;
    case PGRES_PIPELINE_ABORTED:
        break;
    default:
        b->has_failed = true;
        /* An error without a task is the commit's: it concerns them all. */
        if (t)
            pg_task_fail(t, res);
        else
            for (struct list *it = b->tasks.next; it != &b->tasks; it = it->next)
                pg_task_fail(db_task_of(it), res);
        break;
    }
    PQclear(res);
}

static void next_call(struct pg_conn *c)
{
    struct db_task *t;

    c->has_result = false;
    if (c->at_task == &oldest(c)->tasks)
        return;
    t = db_task_of(c->at_task);
    if (++c->at_call == t->n_calls) {
        c->at_task = c->at_task->next;
        c->at_call = 0;
    }
}

static bool is_complete(const struct db_task *t)
{
    for (size_t i = 0; i < t->n_calls; i++) {
        if (!t->calls[i].rows)
            return false;
    }
    return true;
}

/* The server was made another's standby, or is about to be. */
static bool is_read_only(struct error err)
{
    return is_error(err) && err.code == db_sqlstate("25006");
}

static bool may_run_again(struct db_task *t)
{
    return is_error(t->error) && t->n_tries++ == 0 &&
           (pg_was_undone(t->error) || is_read_only(t->error));
}

/* The batch's transaction has ended. */
static void end_batch(struct pg_conn *c)
{
    struct pg_batch *b = oldest(c);
    const bool is_whole = !b->has_failed || b->n_tasks == 1;
    bool must_move = false;
    struct list ended;
    struct list *link;

    list_init(&ended);
    while ((link = list_pop(&b->tasks))) {
        struct db_task *t = db_task_of(link);

        must_move = must_move || is_read_only(t->error);
        /* A failed batch of writes is undone, all of it; of reads, those before the culprit have
         * their rows. */
        if (!may_run_again(t) &&
            (is_whole || (!is_writing(c) && (is_error(t->error) || is_complete(t))))) {
            list_push(&ended, link);
        } else {
            db_task_forget_outcome(t, &pg_driver);
            list_push(&c->alone, link);
        }
    }
    c->first_batch = (c->first_batch + 1) % PG_BATCHES;
    c->n_batches--;
    c->at_task = c->n_batches > 0 ? oldest(c)->tasks.next : NULL;
    c->at_call = 0;
    c->has_result = false;
    loop_mark_dirty(&c->flush, on_flush);
    while ((link = list_pop(&ended)))
        db_task_end(db_task_of(link));
    if (must_move)
        pg_loop_move(c->owner);
}

void pg_pipeline_receive(struct pg_conn *c)
{
    unsigned n_nothing = 0;
    bool has_progress = false;

    while (n_nothing < 2 && !PQisBusy(c->pg)) {
        PGresult *res = PQgetResult(c->pg);

        if (!res) {
            n_nothing++;
            if (c->has_result && c->n_batches > 0)
                next_call(c);
            continue;
        }
        n_nothing = 0;
        has_progress = true;
        if (is_libpqs(res) || (c->state != PG_PREPARING && !is_in_step(c, res))) {
            PQclear(res);
            pg_conn_lost(c, PG_LOST_CONNECTION);
            return;
        }
        if (c->state == PG_PREPARING) {
            receive_prepared(c, res);
        } else if (c->n_batches == 0) {
            PQclear(res);
        } else if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
            PQclear(res);
            end_batch(c);
        } else {
            take_result(c, res);
        }
        if (!c->pg || PQstatus(c->pg) == CONNECTION_BAD)
            return;
    }
    if (has_progress && c->state == PG_READY)
        await_answer(c);
}

/* ---- the connection is gone ---- */
/* Whether it is the one that the server was busy with. */
static bool was_running(const struct pg_conn *c, const struct list *link, size_t batch)
{
    return batch == 0 && link == c->at_task;
}

/* Tried once more, its waiter would wait for twice what it may. */
static bool has_waited_enough(const struct db_task *t)
{
    return clock_mono_us() - t->begun_us >= config()->database.statement_ms * 1000;
}

static void settle_task(struct pg_conn *c, struct db_task *t, bool was_running, enum pg_lost why,
                        struct list *ended, struct list *again)
{
    db_task_forget_outcome(t, &pg_driver);
    if (is_writing(c)) {
        t->error = ERROR(ERR_DB, DB_CODE_UNKNOWN,
                         why == PG_LOST_LATE
                             ? "the database did not answer in time; the outcome is unknown"
                             : "connection lost; the outcome is unknown");
    } else if (why == PG_LOST_LATE && (was_running || has_waited_enough(t))) {
        t->error = ERROR(ERR_DB_TIMEOUT, 0, "the statement ran too long");
    } else if (t->n_tries > 0) {
        t->error = ERROR(ERR_DB, 0, "connection lost");
    } else if (t->query) {
        t->n_tries++;
        list_push(again, &t->item.link);
        return;
    }
    list_push(ended, &t->item.link);
}

void pg_pipeline_settle(struct pg_conn *c, enum pg_lost why)
{
    struct list ended, again;
    struct list *link;

    list_init(&ended);
    list_init(&again);
    for (size_t n = 0; c->n_batches > 0; n++, c->n_batches--) {
        struct list *head = &oldest(c)->tasks;

        while ((link = list_pop(head)))
            settle_task(c, db_task_of(link), was_running(c, link, n), why, &ended, &again);
        c->first_batch = (c->first_batch + 1) % PG_BATCHES;
    }
    c->at_task = NULL;
    /* Those that a failed batch rolled back were not in flight. */
    while ((link = list_pop(&c->alone)))
        list_push(db_task_of(link)->query ? &again : &ended, link);
    while (!list_is_empty(&again)) { /* the last one first, as each goes before its team's others */
        struct db_task *t = db_task_of(again.prev);

        list_remove(&t->item.link);
        db_task_wait(t);
        fair_push_front(&c->waiting, &t->item, t->team);
    }
    while ((link = list_pop(&ended)))
        db_task_end(db_task_of(link));
}
