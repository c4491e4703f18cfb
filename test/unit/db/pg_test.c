/* What only PostgreSQL has: connections that break, a server that goes away, transaction poolers.
 */
#include "harness.h"
#include "pg_server.h"

#include "base/clock.h"
#include "fault/torture.h"

#include <stdio.h>
#include <string.h>

static struct pg_server server;
static const char *why_no_server;
static unsigned n_points;

static int set_up(void **state)
{
    struct harness *h;

    if (why_no_server)
        return 0;
    h = harness_new(server.url);
    harness_open(h);
    *state = h;
    return 0;
}

static int tear_down(void **state)
{
    if (*state)
        harness_free(*state);
    return 0;
}

static struct harness *need(void **state)
{
    if (why_no_server)
        skip();
    return *state;
}

static bool is_ready(void *state)
{
    (void)state;
    return db_is_ready();
}

static void expect_works(struct harness *h, int id)
{
    struct call c;

    call_run(h, &c, SQL_THING_NAME, DB_ARGS(db_int(id), db_text(STR("x"))));
    assert_int_equal(c.err.status, OK);
    call_free(&c);
    call_run(h, &c, SQL_THING_GET, DB_ARGS(db_int(id)));
    assert_int_equal(c.err.status, OK);
    assert_int_equal(c.query.result->n_rows, 1);
    call_free(&c);
}

static void reads_survive_a_killed_backend(void **state)
{
    struct harness *h = need(state);
    const struct db_call list[] = {CALL0(THINGS_COUNT)};
    struct call calls[100];

    harness_attach(h);
    harness_await(h, is_ready, NULL);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 100; i++)
            call_start(&calls[i], list, 1);
        uv_run(&h->loop.uv, UV_RUN_NOWAIT); /* sent */
        run_number(h, SQL_BACKENDS_KILL, NO_ARGS);
        for (int i = 0; i < 100; i++) {
            call_await(h, &calls[i]);
            assert_int_equal(calls[i].err.status, OK);
            call_free(&calls[i]);
        }
    }
    /* The connection for writes was idle: a write may meet its end before the loop does. */
    call_run(h, &calls[0], SQL_THINGS_CLEAR, NO_ARGS);
    call_free(&calls[0]);
    expect_works(h, 1);
}

static void a_read_under_which_two_connections_break_fails(void **state)
{
    struct harness *h = need(state);
    const struct db_call what[] = {CALL0(LONG_READ)};
    struct call c;

    harness_attach(h);
    harness_await(h, is_ready, NULL);
    call_start(&c, what, 1);
    for (unsigned i = 0; i < 2; i++) {
        call_await_taken(h, &c, i);
        assert_false(c.has_ended);
        run_number(h, SQL_BACKENDS_KILL, NO_ARGS);
    }
    call_await(h, &c);
    assert_int_equal(c.err.status, ERR_DB);
    assert_true(c.err.code != DB_CODE_UNKNOWN);
    call_free(&c);
}

static void a_write_whose_connection_breaks_has_an_unknown_outcome(void **state)
{
    struct harness *h = need(state);
    const struct db_call what[] = {CALL0(ENDLESS_WRITE)},
                         next[] = {CALL(THING_NAME, db_int(1), db_text(STR("x")))};
    struct call c, after;

    harness_attach(h);
    harness_await(h, is_ready, NULL);
    call_start(&c, what, 1);
    call_await_taken(h, &c, 0);
    call_start(&after, next, 1);
    run_number(h, SQL_BACKENDS_KILL, NO_ARGS);
    call_await(h, &c);
    assert_int_equal(c.err.status, ERR_DB);
    assert_int_equal(c.err.code, DB_CODE_UNKNOWN);
    call_free(&c);
    /* What had not been sent is sent when the connection is back. */
    call_await(h, &after);
    assert_int_equal(after.err.status, OK);
    call_free(&after);
    assert_int_equal(run_number(h, SQL_THINGS_COUNT, NO_ARGS), 1);
}

static void a_write_without_an_answer_has_an_unknown_outcome(void **state)
{
    struct harness *h = need(state);
    struct call c;

    h->config.database.statement_ms = 200;
    harness_attach(h);
    harness_await(h, is_ready, NULL);
    call_run(h, &c, SQL_ENDLESS_WRITE, NO_ARGS);
    assert_int_equal(c.err.status, ERR_DB);
    assert_int_equal(c.err.code, DB_CODE_UNKNOWN);
    call_free(&c);
    expect_works(h, 1);
}

static void acknowledged_writes_are_there_and_refused_ones_are_not(void **state)
{
    enum { N = 300 };
    struct harness *h = need(state);
    static struct call calls[N];
    static struct db_arg args[N][2];
    static struct db_call what[N];
    int n_ok = 0, n_unknown = 0;
    int64_t n_stored;

    harness_attach(h);
    harness_await(h, is_ready, NULL);
    for (int i = 0; i < N; i++) {
        args[i][0] = db_int(i);
        args[i][1] = db_text(STR("x"));
        what[i] = (struct db_call){.sql = SQL_THING_NAME, .args = args[i], .n_args = 2};
        call_start(&calls[i], &what[i], 1);
        if (i % 20 == 0)
            uv_run(&h->loop.uv, UV_RUN_NOWAIT);
        if (i % 100 == 50)
            run_number(h, SQL_BACKENDS_KILL, NO_ARGS);
    }
    for (int i = 0; i < N; i++) {
        call_await(h, &calls[i]);
        if (is_error(calls[i].err))
            assert_int_equal(calls[i].err.code, DB_CODE_UNKNOWN);
        n_ok += !is_error(calls[i].err);
        n_unknown += is_error(calls[i].err);
        call_free(&calls[i]);
    }
    n_stored = run_number(h, SQL_THINGS_COUNT, NO_ARGS);
    assert_true(n_stored >= n_ok && n_stored <= n_ok + n_unknown);
}

/* Several answers are under way at once, each in a batch of its own. */
static void expect_own_answers(struct harness *h)
{
    enum { N = 4 };
    struct db_arg args[N][3];
    struct db_call what[N];
    struct call calls[N];
    char names[N][2];

    for (int i = 0; i < N; i++) {
        names[i][0] = (char)('a' + i);
        names[i][1] = '\0';
        for (int k = 0; k < 3; k++)
            args[i][k] = db_text(str_from(names[i]));
        what[i] = (struct db_call){.sql = SQL_BYTES_BACK, .args = args[i], .n_args = 3};
        call_start(&calls[i], &what[i], 1);
        uv_run(&h->loop.uv, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < N; i++) {
        call_await(h, &calls[i]);
        if (!is_error(calls[i].err)) {
            assert_int_equal(calls[i].query.result->n_rows, 1);
            assert_true(str_eq(db_get_text(calls[i].query.result, 0, 1), str_from(names[i])));
        }
        call_free(&calls[i]);
    }
}

static void nobody_gets_anothers_answer_when_memory_is_out(void **state)
{
    struct harness *h = need(state);
    bool has_failed = true;

    harness_attach(h);
    for (unsigned n = 1; has_failed; n++) {
        harness_await(h, is_ready, NULL);
        torture_arm(TORTURE_MEMORY, n, 0);
        expect_own_answers(h);
        torture_disarm();
        has_failed = torture_has_failed();
        expect_own_answers(h);
        n_points += has_failed;
    }
    assert_true(n_points > 20);
}

static void a_server_that_was_away_is_found_again_within_5_seconds(void **state)
{
    struct harness *h = need(state);
    struct call c;
    uint64_t begun_ms;

    harness_attach(h);
    harness_await(h, is_ready, NULL);
    expect_works(h, 1);
    pg_server_stop(&server);
    h->config.database.wait_ms = 200;
    begun_ms = clock_mono_ms();
    call_run(h, &c, SQL_THINGS_COUNT, NO_ARGS);
    assert_int_equal(c.err.status, ERR_DB_TIMEOUT);
    assert_true(clock_mono_ms() - begun_ms < 1000);
    call_free(&c);
    call_run(h, &c, SQL_THINGS_CLEAR, NO_ARGS);
    assert_int_equal(c.err.status, ERR_DB_TIMEOUT);
    call_free(&c);
    assert_false(db_is_ready());
    h->config.database.wait_ms = 2000;
    assert_true(pg_server_start(&server));
    begun_ms = clock_mono_ms();
    harness_await(h, is_ready, NULL);
    assert_true(clock_mono_ms() - begun_ms < 5000);
    expect_works(h, 2);
}

static void a_loop_may_leave_while_the_server_is_away(void **state)
{
    struct harness *h = need(state);
    const struct db_call what[] = {CALL0(THINGS_COUNT)};
    struct call c;

    harness_attach(h);
    harness_await(h, is_ready, NULL);
    pg_server_stop(&server);
    h->config.database.wait_ms = 100;
    call_start(&c, what, 1);
    harness_detach(h);
    assert_true(c.has_ended);
    assert_int_equal(c.err.status, ERR_DB_TIMEOUT);
    call_free(&c);
    assert_true(pg_server_start(&server));
}

static void statements_need_no_names(void **state)
{
    struct harness *h = need(state);
    struct call c;

    h->config.database.prepared_statements = false;
    harness_attach(h);
    for (int i = 0; i < 10; i++)
        expect_works(h, i);
    call_run(h, &c, SQL_NOWHERE, NO_ARGS);
    assert_int_equal(c.err.status, ERR_DB);
    assert_int_equal(c.err.code, db_sqlstate("42P01"));
    call_free(&c);
}

static void a_named_plan_made_for_an_empty_table_uses_its_index(void **state)
{
    struct harness *h = need(state);

    static const struct {
        enum sql sql;
        int64_t scans;
    } lanes[] = {{SQL_SCANS_ALLOWED, 0}, {SQL_SCANS_ALLOWED_SLOW, 1}};
    struct call c;

    harness_attach(h);
    for (size_t i = 0; i < 2; i++) {
        call_run(h, &c, lanes[i].sql, NO_ARGS);
        assert_int_equal(db_get_int(c.query.result, 0, 0), lanes[i].scans);
        call_free(&c);
    }
}

static void an_error_does_not_quote_values(void **state)
{
    struct harness *h = need(state);
    struct call c;

    harness_attach(h);
    call_run(h, &c, SQL_THING_ADD,
             DB_ARGS(db_int(1), db_text(STR("n")), db_null(), db_null(), db_uuid(STR("my-secret")),
                     db_null(), db_null()));
    assert_int_equal(c.err.status, ERR_DB);
    assert_int_equal(c.err.code, db_sqlstate("22P02"));
    assert_null(strstr(c.err.detail, "secret"));
    call_free(&c);
}

static void expect_refusal(struct harness *h, const char *url, const char *words)
{
    struct db *db;
    struct error err;

    snprintf(h->url, sizeof(h->url), "%s", url);
    h->config.database.url = str_from(h->url);
    err = db_open(&db, DB_OPEN_SERVER);
    assert_true(is_error(err));
    if (!strstr(err.detail, words))
        fail_msg("\"%s\" does not say \"%s\"", err.detail, words);
    assert_null(strstr(err.detail, "wrong-one"));
}

static void a_wrong_address_is_refused_in_words(void **state)
{
    struct harness *h = need(state);
    char url[256];

    run_number(h, SQL_ROLE_ADD, NO_ARGS);
    snprintf(url, sizeof(url), "postgresql://guarded:wrong-one@/postgres?host=%s",
             server.directory);
    expect_refusal(h, url, "password authentication failed for user \"guarded\"");
    snprintf(url, sizeof(url), "postgresql://postgres@/nothing?host=%s", server.directory);
    expect_refusal(h, url, "database \"nothing\" does not exist");
    expect_refusal(h, "postgres://postgres:wrong-one@127.0.0.1:1/x", "127.0.0.1");
    expect_refusal(h, "postgresql://u:wrong-one@no.such.host.invalid/x", "no.such.host.invalid");
    expect_refusal(h, "postgresql://u:wrong-one@localhost/x?colour=blue", "colour");
    expect_refusal(h, "postgresql://u:%zzwrong-one@localhost/x", "not a PostgreSQL address");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_loop_may_leave_while_the_server_is_away),
        TEST(a_read_under_which_two_connections_break_fails),
        TEST(a_server_that_was_away_is_found_again_within_5_seconds),
        TEST(a_write_whose_connection_breaks_has_an_unknown_outcome),
        TEST(a_write_without_an_answer_has_an_unknown_outcome),
        TEST(a_wrong_address_is_refused_in_words),
        TEST(acknowledged_writes_are_there_and_refused_ones_are_not),
        TEST(a_named_plan_made_for_an_empty_table_uses_its_index),
        TEST(an_error_does_not_quote_values),
        TEST(nobody_gets_anothers_answer_when_memory_is_out),
        TEST(reads_survive_a_killed_backend),
        TEST(statements_need_no_names),
    };
    int n_failed;

    if (pg_server_new(&server, &why_no_server))
        why_no_server = NULL;
    else
        fprintf(stderr, "skipped: %s\n", why_no_server);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    pg_server_free(&server);
    return n_failed;
}
