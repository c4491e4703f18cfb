#include "../patience.h"
#include "harness.h"

#include "base/clock.h"
#include "base/log.h"
#include "db/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AWAIT_PAUSE_US 100
#define AWAIT_MS       (20000 * patience())

static unsigned n_ended;
static int log_fd = -1;

struct harness *harness_new(const char *url)
{
    struct harness *h = calloc(1, sizeof(*h));

    assert_non_null(h);
    /* What these tests provoke is logged as it should be; AERIE_TEST_LOG=1 shows it. */
    if (!getenv("AERIE_TEST_LOG") && log_fd < 0) {
        log_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        log_init(LOG_ERROR, log_fd);
    }
    snprintf(h->directory, sizeof(h->directory), "/tmp/aerie-db-XXXXXX");
    assert_non_null(mkdtemp(h->directory));
    if (url)
        snprintf(h->url, sizeof(h->url), "%s", url);
    else
        snprintf(h->url, sizeof(h->url), "sqlite:///%s/chat.db", h->directory);
    h->config.data_dir = str_from(h->directory);
    h->config.database = (struct config_database){
        .url = str_from(h->url),
        .wait_ms = 2000 * patience(),
        .connect_ms = 3000 * patience(),
        .statement_ms = 5000 * patience(),
        .queue = 1000,
        .queue_per_team = 1000,
        .prepared_statements = true,
        .sqlite_readers = 2,
        .sqlite_synchronous = STR("FULL"),
    };
    config_set(&h->config);
    return h;
}

void harness_open(struct harness *h)
{
    struct error err = db_open(&h->db, DB_OPEN_SERVER);

    if (is_error(err))
        fail_msg("db_open: %s", err.detail);
    run_number(h, SQL_THINGS_DROP, NO_ARGS);
    run_number(h, SQL_THINGS_CREATE, NO_ARGS);
}

void harness_attach(struct harness *h)
{
    assert_int_equal(loop_init(&h->loop, 0).status, OK);
    assert_int_equal(db_attach(h->db, &h->loop).status, OK);
    h->is_attached = true;
}

static void on_detached(struct loop *l)
{
    container_of(l, struct harness, loop)->is_attached = false;
}

static bool is_detached(void *state)
{
    return !((struct harness *)state)->is_attached;
}

void harness_detach(struct harness *h)
{
    if (!h->is_attached)
        return;
    db_detach(&h->loop, on_detached);
    harness_await(h, is_detached, h);
    loop_close(&h->loop);
    loop_run(&h->loop);
    loop_deinit(&h->loop);
}

void harness_close(struct harness *h)
{
    harness_detach(h);
    db_close(h->db);
    h->db = NULL;
}

void harness_free(struct harness *h)
{
    char command[128];

    harness_close(h);
    snprintf(command, sizeof(command), "rm -rf '%s'", h->directory);
    assert_int_equal(system(command), 0);
    free(h);
}

void harness_await(struct harness *h, bool (*is_true)(void *state), void *state)
{
    const uint64_t until_ms = clock_mono_ms() + AWAIT_MS;

    while (!is_true(state)) {
        if (clock_mono_ms() > until_ms)
            fail_msg("what the test waits for does not happen");
        /* Never blocks: what a timer has made true wakes nobody. */
        uv_run(&h->loop.uv, UV_RUN_NOWAIT);
        usleep(AWAIT_PAUSE_US);
    }
}

/* ---- calls ---- */
static void begin(struct flow *f)
{
    struct call *c = f->state;

    db_batch(&c->query, f, &c->arena, c->calls, c->n_calls);
}

static const struct step steps[] = {STEP(begin), STEP_END};

static void on_end(struct flow *f)
{
    struct call *c = f->state;

    assert_false(c->has_ended);
    c->has_ended = true;
    c->order = ++n_ended;
    c->err = f->err;
}

void call_start(struct call *c, const struct db_call *calls, size_t n_calls)
{
    memset(c, 0, sizeof(*c));
    c->calls = calls;
    c->n_calls = n_calls;
    flow_start(&c->flow, steps, c, on_end);
}

static bool has_ended(void *state)
{
    return ((struct call *)state)->has_ended;
}

void call_await(struct harness *h, struct call *c)
{
    harness_await(h, has_ended, c);
}

void call_await_taken(struct harness *h, struct call *c, unsigned n_tries)
{
    const uint64_t until_ms = clock_mono_ms() + AWAIT_MS;

    while (c->query.task && !(atomic_load(&c->query.task->state) == TASK_TAKEN &&
                              c->query.task->n_tries == n_tries)) {
        if (clock_mono_ms() > until_ms)
            fail_msg("what the test waits for does not happen");
        uv_run(&h->loop.uv, UV_RUN_NOWAIT);
    }
}

void call_run(struct harness *h, struct call *c, enum sql sql, const struct db_arg *args,
              size_t n_args)
{
    const struct db_call call = {.sql = sql, .args = args, .n_args = n_args};

    call_start(c, &call, 1);
    call_await(h, c);
}

void call_free(struct call *c)
{
    arena_free(&c->arena);
}

int64_t run_number(struct harness *h, enum sql sql, const struct db_arg *args, size_t n_args)
{
    struct arena arena = {0};
    struct db_result result;
    struct error err = db_run(h->db, &arena, sql, args, n_args, &result);
    int64_t n;

    if (is_error(err))
        fail_msg("%s: %s", sql_table[sql].name, err.detail ? err.detail : "no detail");
    n = result.n_rows > 0 ? db_get_int(&result, 0, 0) : 0;
    arena_free(&arena);
    return n;
}
