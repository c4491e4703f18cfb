/* Several loops on one database: every operation ends once, on its loop, and what was acknowledged
 * is there. */
#include "harness.h"
#include "pg_server.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_LOOPS  3
#define N_ROUNDS 40
#define N_CALLS  30

static struct pg_server server;
static const char *why_no_server;

struct worker {
    struct harness *h;
    struct loop loop;
    uv_thread_t thread;
    int index;
    int n_written, n_refused, n_wrong;
    size_t n_running;
    bool is_detached;
};

/* In a flow; frees itself. */
struct job {
    struct flow flow;
    struct db_query query;
    struct arena arena;
    struct worker *worker;
    struct db_arg args[2];
    bool is_write, is_doomed, is_canceled;
};

static void begin(struct flow *f)
{
    struct job *j = f->state;

    if (j->is_write)
        db_query(&j->query, f, &j->arena, SQL_THING_NAME, j->args, 2);
    else
        db_query(&j->query, f, &j->arena, SQL_THING_LIST, NO_ARGS);
}

static const struct step steps[] = {STEP(begin), STEP_END};

static void on_end(struct flow *f)
{
    struct job *j = f->state;
    struct worker *w = j->worker;

    w->n_running--;
    if (j->is_write) {
        w->n_written += !is_error(f->err);
        w->n_refused += is_error(f->err);
        w->n_wrong += is_error(f->err) != j->is_doomed;
    } else {
        w->n_wrong += is_error(f->err) != j->is_canceled;
    }
    arena_free(&j->arena);
    free(j);
}

static struct job *job_new(struct worker *w, int n)
{
    struct job *j = calloc(1, sizeof(*j));

    if (!j)
        abort();
    j->worker = w;
    j->is_write = n % 3 != 2;
    j->is_doomed = n % 31 == 7; /* the name is missing */
    j->is_write |= j->is_doomed;
    j->args[0] = db_int(w->index * 1000000 + n);
    j->args[1] = j->is_doomed ? db_null() : db_text(STR("x"));
    w->n_running++;
    flow_start(&j->flow, steps, j, on_end);
    return j;
}

static void on_detached(struct loop *l)
{
    container_of(l, struct worker, loop)->is_detached = true;
}

static void worker_main(void *state)
{
    struct worker *w = state;

    if (is_error(loop_init(&w->loop, (unsigned)w->index)) ||
        is_error(db_attach(w->h->db, &w->loop)))
        abort();
    for (int round = 0; round < N_ROUNDS; round++) {
        for (int i = 0; i < N_CALLS; i++) {
            struct job *j = job_new(w, round * N_CALLS + i);

            if (!j->is_write && i % 2 == 0) {
                /* Its thread may run it by now, and its end is in the mail. */
                if (i % 4 == 0)
                    sched_yield();
                j->is_canceled = true;
                flow_fail(&j->flow, ERROR(ERR_GONE, 0, NULL));
            }
            if (i % 7 == 0)
                uv_run(&w->loop.uv, UV_RUN_NOWAIT);
        }
        while (w->n_running > (round % 4 == 0 ? 0 : N_CALLS))
            uv_run(&w->loop.uv, UV_RUN_ONCE);
    }
    db_detach(&w->loop, on_detached);
    while (!w->is_detached) {
        uv_run(&w->loop.uv, UV_RUN_NOWAIT); /* what a timer has made true wakes nobody */
        usleep(100);
    }
    loop_close(&w->loop);
    loop_run(&w->loop);
    loop_deinit(&w->loop);
}

static void loops_share_a_database(const char *url)
{
    struct harness *h = harness_new(url);
    struct worker *workers = calloc(N_LOOPS, sizeof(*workers));
    int n_written = 0, n_refused = 0;

    assert_non_null(workers);
    h->config.database.wait_ms = 20000;
    h->config.database.statement_ms = 20000;
    harness_open(h);
    for (int i = 0; i < N_LOOPS; i++) {
        workers[i].h = h;
        workers[i].index = i;
        assert_int_equal(uv_thread_create(&workers[i].thread, worker_main, &workers[i]), 0);
    }
    for (int i = 0; i < N_LOOPS; i++) {
        uv_thread_join(&workers[i].thread);
        assert_int_equal(workers[i].n_wrong, 0);
        assert_int_equal(workers[i].n_running, 0);
        n_written += workers[i].n_written;
        n_refused += workers[i].n_refused;
    }
    assert_true(n_refused > N_LOOPS * 10);
    assert_int_equal(run_number(h, SQL_THINGS_COUNT, NO_ARGS), n_written);
    free(workers);
    harness_free(h);
}

static void loops_share_a_sqlite_file(void **state)
{
    (void)state;
    loops_share_a_database(NULL);
}

static void loops_share_a_postgresql_server(void **state)
{
    (void)state;
    if (why_no_server)
        skip();
    loops_share_a_database(server.url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_share_a_postgresql_server),
        cmocka_unit_test(loops_share_a_sqlite_file),
    };
    int n_failed;

    if (pg_server_new(&server, &why_no_server))
        why_no_server = NULL;
    else
        fprintf(stderr, "skipped on PostgreSQL: %s\n", why_no_server);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    pg_server_free(&server);
    return n_failed;
}
