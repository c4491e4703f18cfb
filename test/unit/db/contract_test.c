/* What both drivers must do alike. Each test runs on SQLite and on PostgreSQL. */
#include "../patience.h"
#include "harness.h"
#include "pg_server.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define UID "0191d3c5-7b1a-7c00-8000-00000000abcd"

static struct pg_server server;
static const char *why_no_server;

static bool is_ready(void *state)
{
    (void)state;
    return db_is_ready();
}

static int set_up(void **state, const char *url)
{
    struct harness *h = harness_new(url);

    harness_open(h);
    harness_attach(h);
    harness_await(h, is_ready, NULL);
    *state = h;
    return 0;
}

static int set_up_sqlite(void **state)
{
    return set_up(state, NULL);
}

static int set_up_pg(void **state)
{
    return why_no_server ? 0 : set_up(state, server.url);
}

static int tear_down(void **state)
{
    if (*state)
        harness_free(*state);
    return 0;
}

static int64_t count(struct harness *h)
{
    return run_number(h, SQL_THINGS_COUNT, NO_ARGS);
}

static void values_of_every_type_come_back_as_they_were(struct harness *h)
{
    const struct str text = STR("Zürich \xf0\x9f\x98\x80 'quoted' \\ \"x\"");
    struct call c;

    call_run(h, &c, SQL_THING_ADD,
             DB_ARGS(db_int(-7), db_text(text), db_int(INT64_MIN), db_bool(true), db_uuid(STR(UID)),
                     db_time(1789012345678901), db_json(STR("{\"a\": [1, null]}"))));
    assert_int_equal(c.err.status, OK);
    assert_int_equal(c.query.result->n_changed, 1);
    assert_int_equal(c.query.result->n_rows, 0);
    call_free(&c);
    call_run(h, &c, SQL_THING_GET, DB_ARGS(db_int(-7)));
    assert_int_equal(c.err.status, OK);
    assert_int_equal(c.query.result->n_rows, 1);
    assert_int_equal(c.query.result->n_columns, 7);
    assert_int_equal(c.query.result->n_changed, 0);
    assert_int_equal(db_get_int(c.query.result, 0, 0), -7);
    assert_true(str_eq(db_get_text(c.query.result, 0, 1), text));
    assert_true(db_get_int(c.query.result, 0, 2) == INT64_MIN);
    assert_true(db_get_bool(c.query.result, 0, 3));
    assert_true(str_eq(db_get_text(c.query.result, 0, 4), STR(UID)));
    assert_true(db_get_int(c.query.result, 0, 5) == 1789012345678901);
    assert_true(str_eq(db_get_text(c.query.result, 0, 6), STR("{\"a\": [1, null]}")));
    call_free(&c);
}

static void bytes_come_back_as_they_were(struct harness *h)
{
    char bytes[1000];
    struct call c;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i; /* every byte there is */
    call_run(h, &c, SQL_BYTES_BACK,
             DB_ARGS(db_bytes((struct str){bytes, sizeof(bytes)}), db_text(STR("beside")),
                     db_bytes(STR_NONE)));
    assert_int_equal(c.err.status, OK);
    assert_int_equal(db_get_text(c.query.result, 0, 0).len, sizeof(bytes));
    assert_memory_equal(db_get_text(c.query.result, 0, 0).ptr, bytes, sizeof(bytes));
    assert_true(str_eq(db_get_text(c.query.result, 0, 1), STR("beside")));
    assert_true(db_is_null(c.query.result, 0, 2));
    call_free(&c);
}

static void nulls_come_back_as_nulls(struct harness *h)
{
    struct call c;

    call_run(h, &c, SQL_THING_ADD,
             DB_ARGS(db_int(1), db_text(STR("")), db_null(), db_null(), db_uuid(STR("")),
                     db_time(INT64_MIN), db_json(STR_NONE)));
    assert_int_equal(c.err.status, OK);
    call_free(&c);
    call_run(h, &c, SQL_THING_GET, DB_ARGS(db_int(1)));
    assert_false(db_is_null(c.query.result, 0, 1));
    assert_non_null(db_get_text(c.query.result, 0, 1).ptr);
    for (size_t column = 2; column < 7; column++) {
        assert_true(db_is_null(c.query.result, 0, column));
        assert_null(db_get_text(c.query.result, 0, column).ptr);
    }
    call_free(&c);
}

static void arguments_go_by_their_number(struct harness *h)
{
    struct call c;

    run_number(h, SQL_THING_NAME, DB_ARGS(db_int(4), db_text(STR("x"))));
    run_number(h, SQL_THING_NAME, DB_ARGS(db_int(9), db_text(STR("x"))));
    call_run(h, &c, SQL_THING_FIND,
             DB_ARGS(db_int(5), db_text(STR("x")), db_text(STR("one too many"))));
    assert_int_equal(c.err.status, OK);
    assert_int_equal(c.query.result->n_rows, 1);
    assert_int_equal(db_get_int(c.query.result, 0, 0), 9);
    call_free(&c);
}

static void an_argument_that_lacks_is_an_error(struct harness *h)
{
    struct call c;

    call_run(h, &c, SQL_THING_FIND, DB_ARGS(db_int(5)));
    assert_int_equal(c.err.status, ERR_DB);
    call_free(&c);
}

static void changed_and_returned_rows_are_told(struct harness *h)
{
    struct call c;

    for (int i = 0; i < 3; i++)
        run_number(h, SQL_THING_NAME, DB_ARGS(db_int(i), db_text(STR("x"))));
    call_run(h, &c, SQL_THING_SET, DB_ARGS(db_int(1), db_int(5)));
    assert_int_equal(c.query.result->n_changed, 2);
    call_free(&c);
    call_run(h, &c, SQL_THING_NAME_RETURNING, DB_ARGS(db_int(2), db_text(STR("again"))));
    assert_int_equal(c.err.status, OK);
    assert_int_equal(c.query.result->n_changed, 0);
    assert_int_equal(c.query.result->n_rows, 0);
    call_free(&c);
    call_run(h, &c, SQL_THING_NAME_RETURNING, DB_ARGS(db_int(3), db_text(STR("new"))));
    assert_int_equal(c.query.result->n_changed, 1);
    assert_int_equal(c.query.result->n_rows, 1);
    assert_true(str_eq(db_get_text(c.query.result, 0, 1), STR("new")));
    call_free(&c);
}

static void one_failing_write_does_not_hurt_its_neighbours(struct harness *h)
{
    enum { N = 150 };
    static struct call calls[N];
    static struct db_arg args[N][2];
    static struct db_call what[N];

    run_number(h, SQL_THING_NAME, DB_ARGS(db_int(1000), db_text(STR("taken"))));
    for (int i = 0; i < N; i++) {
        args[i][0] = db_int(i % 40 == 13 ? 1000 : i);
        args[i][1] = i == 77 ? db_null() : db_text(STR("x"));
        what[i] = (struct db_call){.sql = SQL_THING_NAME, .args = args[i], .n_args = 2};
        call_start(&calls[i], &what[i], 1);
    }
    for (int i = 0; i < N; i++) {
        call_await(h, &calls[i]);
        assert_int_equal(calls[i].err.status, i % 40 == 13 || i == 77 ? ERR_DB : OK);
        if (i == 77 && !db_is_sqlite(h->db))
            assert_int_equal(calls[i].err.code, db_sqlstate("23502"));
        call_free(&calls[i]);
    }
    assert_int_equal(count(h), N - 5 + 1);
}

static void a_batch_happens_as_a_whole_or_not_at_all(struct harness *h)
{
    const struct db_call good[] = {CALL(THING_NAME, db_int(1), db_text(STR("a"))),
                                   CALL(THING_SET, db_int(1), db_int(9)), CALL0(THINGS_COUNT)};
    const struct db_call bad[] = {CALL(THING_NAME, db_int(2), db_text(STR("b"))),
                                  CALL(THING_NAME, db_int(1), db_text(STR("taken"))),
                                  CALL(THING_NAME, db_int(3), db_text(STR("c")))};
    const struct db_call next[] = {CALL(THING_NAME, db_int(4), db_text(STR("d")))};
    struct call a, b, c;

    call_start(&a, good, 3);
    call_start(&b, bad, 3);
    call_start(&c, next, 1);
    call_await(h, &a);
    call_await(h, &b);
    call_await(h, &c);
    assert_int_equal(a.err.status, OK);
    assert_int_equal(db_result_at(&a.query, 0)->n_changed, 1);
    assert_int_equal(db_result_at(&a.query, 1)->n_changed, 1);
    assert_int_equal(db_get_int(db_result_at(&a.query, 2), 0, 0), 1);
    assert_int_equal(b.err.status, ERR_DB);
    assert_int_equal(c.err.status, OK);
    assert_int_equal(count(h), 2);
    call_free(&a);
    call_free(&b);
    call_free(&c);
}

/* The second is the one that fails. */
static void run_beside_a_failure(struct harness *h, const struct db_call *first,
                                 const struct db_call *bad, const struct db_call *next)
{
    struct call a, b, c;

    call_start(&a, first, 1);
    call_start(&b, bad, 1);
    call_start(&c, next, 1);
    call_await(h, &a);
    call_await(h, &b);
    call_await(h, &c);
    assert_int_equal(a.err.status, OK);
    assert_int_equal(b.err.status, ERR_DB);
    assert_int_equal(c.err.status, OK);
    call_free(&a);
    call_free(&b);
    call_free(&c);
}

static void a_statement_of_two_happens_as_a_whole_or_not_at_all(struct harness *h)
{
    const struct db_call first = CALL(THING_PAIR, db_int(1), db_int(2)),
                         bad = CALL(THING_PAIR, db_int(3), db_int(2)),
                         next = CALL(THING_PAIR, db_int(4), db_int(5));

    run_beside_a_failure(h, &first, &bad, &next);
    assert_int_equal(count(h), 4);
}

static void a_statement_of_two_that_fails_when_it_is_first_used_leaves_nothing(struct harness *h)
{
    const struct db_call first = CALL(THING_NAME, db_int(2), db_text(STR("a"))),
                         bad = CALL(THING_PAIR, db_int(3), db_int(2)),
                         next = CALL(THING_NAME, db_int(4), db_text(STR("b")));

    run_beside_a_failure(h, &first, &bad, &next);
    assert_int_equal(count(h), 2);
}

static void a_write_is_seen_by_a_read_begun_after_its_end(struct harness *h)
{
    struct call w, r;

    for (int i = 0; i < 50; i++) {
        call_run(h, &w, SQL_THING_NAME, DB_ARGS(db_int(i), db_text(STR("x"))));
        assert_int_equal(w.err.status, OK);
        call_run(h, &r, SQL_THINGS_COUNT, NO_ARGS);
        assert_int_equal(db_get_int(r.query.result, 0, 0), i + 1);
        call_free(&w);
        call_free(&r);
    }
}

static void one_failing_read_does_not_hurt_its_neighbours(struct harness *h)
{
    enum { N = 200 };
    static struct call calls[N];
    const struct db_call good[] = {CALL0(THINGS_COUNT), CALL0(THING_LIST)},
                         bad[] = {CALL0(NOWHERE)};

    run_number(h, SQL_THING_NAME, DB_ARGS(db_int(1), db_text(STR("x"))));
    for (int i = 0; i < N; i++) {
        if (i % 50 == 25)
            call_start(&calls[i], bad, 1);
        else
            call_start(&calls[i], good, 2);
    }
    for (int i = 0; i < N; i++) {
        call_await(h, &calls[i]);
        assert_int_equal(calls[i].err.status, i % 50 == 25 ? ERR_DB : OK);
        if (i % 50 == 25) {
            assert_non_null(calls[i].err.detail);
        } else {
            assert_int_equal(db_get_int(calls[i].query.result, 0, 0), 1);
            assert_int_equal(db_result_at(&calls[i].query, 1)->n_rows, 1);
        }
        call_free(&calls[i]);
    }
}

static void a_full_queue_answers_busy_at_once(struct harness *h)
{
    const struct db_call what[] = {CALL(THING_SET, db_int(1), db_int(1))};
    struct call calls[6];

    h->config.database.queue = 5;
    for (int i = 0; i < 6; i++)
        call_start(&calls[i], what, 1);
    assert_true(calls[5].has_ended);
    assert_int_equal(calls[5].err.status, ERR_BUSY);
    assert_int_equal(calls[5].err.code, 1);
    for (int i = 0; i < 6; i++) {
        call_await(h, &calls[i]);
        assert_int_equal(calls[i].err.status, i == 5 ? ERR_BUSY : OK);
        call_free(&calls[i]);
    }
}

#define LOUD  db_uuid(STR("aaaaaaaa-0000-4000-8000-000000000000"))
#define QUIET db_uuid(STR("bbbbbbbb-0000-4000-8000-000000000000"))

/* One team asks 200 times in one turn of the loop, then another once: the how-manieth is it to be
 * answered? */
static unsigned place_once(struct harness *h, const struct db_call *loud,
                           const struct db_call *quiet)
{
    enum { N = 200 };
    static struct call calls[N + 1];
    unsigned first = UINT_MAX, place;

    for (int i = 0; i < N; i++)
        call_start(&calls[i], loud, 1);
    call_start(&calls[N], quiet, 1);
    for (int i = 0; i <= N; i++) {
        call_await(h, &calls[i]);
        assert_int_equal(calls[i].err.status, OK);
        if (calls[i].order < first)
            first = calls[i].order;
    }
    place = calls[N].order - first;
    for (int i = 0; i <= N; i++)
        call_free(&calls[i]);
    return place;
}

/* The best of a few: a thread may be kept from its core while it holds the one. */
static unsigned place_behind_a_flood(struct harness *h, const struct db_call *loud,
                                     const struct db_call *quiet)
{
    unsigned least = UINT_MAX;

    for (int i = 0; i < 5; i++) {
        const unsigned place = place_once(h, loud, quiet);

        least = place < least ? place : least;
    }
    return least;
}

/* In the first batches, whatever else is in them. */
static void a_team_does_not_wait_behind_anothers_flood(struct harness *h)
{
    const struct db_call loud[] = {CALL(TEAM_READ, LOUD)}, quiet[] = {CALL(TEAM_READ, QUIET)},
                         loud_slow[] = {CALL(TEAM_SLOW, LOUD)},
                         quiet_slow[] = {CALL(TEAM_SLOW, QUIET)},
                         loud_write[] = {CALL(TEAM_WRITE, LOUD)},
                         quiet_write[] = {CALL(TEAM_WRITE, QUIET)};

    assert_in_range(place_behind_a_flood(h, loud, quiet), 0, 16);
    assert_in_range(place_behind_a_flood(h, loud_slow, quiet_slow), 0, 8);
    assert_in_range(place_behind_a_flood(h, loud_write, quiet_write), 0, 64);
}

static void a_team_that_asks_too_much_is_refused_alone(struct harness *h)
{
    const struct db_call loud[] = {CALL(TEAM_WRITE, LOUD)}, quiet[] = {CALL(TEAM_WRITE, QUIET)},
                         nobodys[] = {CALL0(THING_LIST)};
    static struct call calls[20];

    h->config.database.queue_per_team = 5;
    for (int i = 0; i < 20; i++)
        call_start(&calls[i], i < 10 ? loud : i < 12 ? quiet : nobodys, 1);
    for (int i = 0; i < 20; i++) {
        call_await(h, &calls[i]);
        assert_int_equal(calls[i].err.status, i >= 5 && i < 10 ? ERR_RATE_LIMITED : OK);
        if (is_error(calls[i].err))
            assert_int_equal(calls[i].err.code, 1); /* Retry-After */
        call_free(&calls[i]);
    }
}

static void a_canceled_read_ends_at_once(struct harness *h)
{
    const struct db_call what[] = {CALL0(LONG_SLOW)};
    const uint64_t begun_ms = clock_mono_ms();
    struct call c, after;

    h->config.database.statement_ms = 1000;
    call_start(&c, what, 1);
    call_await_taken(h, &c, 0);
    assert_false(c.has_ended);
    flow_fail(&c.flow, ERROR(ERR_GONE, 0, NULL));
    assert_true(c.has_ended);
    assert_int_equal(c.err.status, ERR_GONE);
    call_free(&c);
    /* Its thread or connection serves again. */
    h->config.database.wait_ms = 15000;
    call_run(h, &after, SQL_PING, NO_ARGS);
    assert_int_equal(after.err.status, OK);
    call_free(&after);
    assert_true(clock_mono_ms() - begun_ms < 9000);
}

static void a_write_goes_on_when_its_flow_has_failed(struct harness *h)
{
    const struct db_call what[] = {CALL0(LONG_WRITE)};
    struct call c;

    call_start(&c, what, 1);
    call_await_taken(h, &c, 0);
    flow_fail(&c.flow, ERROR(ERR_GONE, 0, NULL));
    assert_false(c.has_ended);
    call_await(h, &c);
    assert_int_equal(c.err.status, ERR_GONE);
    call_free(&c);
    assert_int_equal(count(h), 1);
}

static void a_statement_that_runs_too_long_is_ended(struct harness *h)
{
    struct call c;

    h->config.database.statement_ms = 150;
    call_run(h, &c, SQL_LONG_READ, NO_ARGS);
    assert_int_equal(c.err.status, ERR_DB_TIMEOUT);
    call_free(&c);
    h->config.database.statement_ms = 5000;
    call_run(h, &c, SQL_PING, NO_ARGS);
    assert_int_equal(c.err.status, OK);
    call_free(&c);
}

static void what_waits_too_long_is_not_run(struct harness *h)
{
    const struct db_call slow[] = {CALL0(LONG_WRITE)},
                         quick[] = {CALL(THING_NAME, db_int(7), db_text(STR("late")))};
    struct call first, late;

    call_start(&first, slow, 1);
    call_await_taken(h, &first, 0);
    h->config.database.wait_ms = 30;
    call_start(&late, quick, 1);
    call_await(h, &late);
    assert_false(first.has_ended);
    assert_int_equal(late.err.status, ERR_BUSY);
    call_await(h, &first);
    assert_int_equal(first.err.status, OK);
    assert_int_equal(count(h), 1);
    call_free(&first);
    call_free(&late);
}

static void slow_reads_do_not_hold_up_quick_ones(struct harness *h)
{
    const struct db_call slow[] = {CALL0(LONG_SLOW)};
    struct call s[3], quick;

    h->config.database.statement_ms = 2500 * patience();
    for (int i = 0; i < 3; i++)
        call_start(&s[i], slow, 1);
    for (int i = 0; i < 20; i++) {
        call_run(h, &quick, SQL_THINGS_COUNT, NO_ARGS);
        assert_int_equal(quick.err.status, OK);
        call_free(&quick);
    }
    for (int i = 0; i < 3; i++) {
        assert_false(s[i].has_ended);
        flow_fail(&s[i].flow, ERROR(ERR_GONE, 0, NULL));
        call_free(&s[i]);
    }
}

static void text_with_a_nul_is_refused(struct harness *h)
{
    struct call c;

    call_run(h, &c, SQL_THING_NAME, DB_ARGS(db_int(1), db_text(STR("a\0b"))));
    assert_int_equal(c.err.status, ERR_BAD_REQUEST);
    call_free(&c);
}

static void a_large_text_goes_both_ways(struct harness *h)
{
    static char text[3000000];
    struct call c;

    memset(text, 'x', sizeof(text));
    call_run(h, &c, SQL_THING_NAME, DB_ARGS(db_int(1), db_text((struct str){text, sizeof(text)})));
    assert_int_equal(c.err.status, OK);
    call_free(&c);
    call_run(h, &c, SQL_THING_GET, DB_ARGS(db_int(1)));
    assert_int_equal(db_get_text(c.query.result, 0, 1).len, sizeof(text));
    call_free(&c);
}

/* Two steps use one query. */
struct twice {
    struct call call;
    int64_t counts[2];
};

static void add_and_count(struct flow *f)
{
    struct call *c = f->state;
    const struct db_call calls[] = {CALL(THING_NAME, db_int(1), db_text(STR("x"))),
                                    CALL0(THINGS_COUNT)};

    db_batch(&c->query, f, &c->arena, calls, 2);
}

static void count_again(struct flow *f)
{
    struct twice *t = container_of((struct call *)f->state, struct twice, call);

    t->counts[0] = db_get_int(db_result_at(&t->call.query, 1), 0, 0);
    db_query(&t->call.query, f, &t->call.arena, SQL_THINGS_COUNT, NO_ARGS);
}

static void keep_count(struct flow *f)
{
    struct twice *t = container_of((struct call *)f->state, struct twice, call);

    t->counts[1] = db_get_int(t->call.query.result, 0, 0);
    assert_int_equal(db_result_at(&t->call.query, 1)->n_rows, 0);
}

static const struct step twice_steps[] = {STEP(add_and_count), STEP(count_again), STEP(keep_count),
                                          STEP_END};

static void twice_ended(struct flow *f)
{
    struct call *c = f->state;

    c->has_ended = true;
    c->err = f->err;
}

static void a_query_may_be_used_again(struct harness *h)
{
    struct twice t = {0};

    flow_start(&t.call.flow, twice_steps, &t.call, twice_ended);
    call_await(h, &t.call);
    assert_int_equal(t.call.err.status, OK);
    assert_int_equal(t.counts[0], 1);
    assert_int_equal(t.counts[1], 1);
    call_free(&t.call);
}

static void leaving_waits_for_what_is_in_flight(struct harness *h)
{
    const struct db_call slow[] = {CALL0(LONG_WRITE)}, read[] = {CALL0(THINGS_COUNT)};
    struct call w, r;

    call_start(&w, slow, 1);
    call_start(&r, read, 1);
    flow_fail(&r.flow, ERROR(ERR_GONE, 0, NULL));
    call_free(&r);
    harness_detach(h);
    assert_true(w.has_ended);
    assert_int_equal(w.err.status, OK);
    call_free(&w);
}

static void a_blocking_statement_runs_beside_the_loop(struct harness *h)
{
    const struct db_call slow[] = {CALL0(LONG_WRITE)};
    struct call w;

    call_start(&w, slow, 1);
    run_number(h, SQL_THING_NAME, DB_ARGS(db_int(1), db_text(STR("x"))));
    call_await(h, &w);
    assert_int_equal(w.err.status, OK);
    call_free(&w);
    assert_int_equal(count(h), 2);
}

static void a_blocking_statement_tells_its_error(struct harness *h)
{
    struct arena arena = {0};
    struct db_result result;
    struct error err = db_run(h->db, &arena, SQL_NOWHERE, NO_ARGS, &result);

    assert_int_equal(err.status, ERR_DB);
    assert_non_null(strstr(err.detail, "nowhere"));
    arena_free(&arena);
}

#define CONTRACT(X)                                                                                \
    X(a_batch_happens_as_a_whole_or_not_at_all)                                                    \
    X(a_blocking_statement_runs_beside_the_loop)                                                   \
    X(a_blocking_statement_tells_its_error)                                                        \
    X(a_canceled_read_ends_at_once)                                                                \
    X(a_full_queue_answers_busy_at_once)                                                           \
    X(a_large_text_goes_both_ways)                                                                 \
    X(a_query_may_be_used_again)                                                                   \
    X(a_statement_of_two_happens_as_a_whole_or_not_at_all)                                         \
    X(a_statement_of_two_that_fails_when_it_is_first_used_leaves_nothing)                          \
    X(a_statement_that_runs_too_long_is_ended)                                                     \
    X(a_team_does_not_wait_behind_anothers_flood)                                                  \
    X(a_team_that_asks_too_much_is_refused_alone)                                                  \
    X(a_write_goes_on_when_its_flow_has_failed)                                                    \
    X(a_write_is_seen_by_a_read_begun_after_its_end)                                               \
    X(an_argument_that_lacks_is_an_error)                                                          \
    X(arguments_go_by_their_number)                                                                \
    X(bytes_come_back_as_they_were)                                                                \
    X(changed_and_returned_rows_are_told)                                                          \
    X(leaving_waits_for_what_is_in_flight)                                                         \
    X(nulls_come_back_as_nulls)                                                                    \
    X(one_failing_read_does_not_hurt_its_neighbours)                                               \
    X(one_failing_write_does_not_hurt_its_neighbours)                                              \
    X(slow_reads_do_not_hold_up_quick_ones)                                                        \
    X(text_with_a_nul_is_refused)                                                                  \
    X(values_of_every_type_come_back_as_they_were)                                                 \
    X(what_waits_too_long_is_not_run)

#define ON_SQLITE(name)                                                                            \
    static void sqlite_##name(void **state)                                                        \
    {                                                                                              \
        name(*state);                                                                              \
    }
#define ON_PG(name)                                                                                \
    static void pg_##name(void **state)                                                            \
    {                                                                                              \
        if (why_no_server)                                                                         \
            skip();                                                                                \
        name(*state);                                                                              \
    }
CONTRACT(ON_SQLITE)
CONTRACT(ON_PG)

int main(void)
{
#define SQLITE_ROW_(name) cmocka_unit_test_setup_teardown(sqlite_##name, set_up_sqlite, tear_down),
#define PG_ROW(name)      cmocka_unit_test_setup_teardown(pg_##name, set_up_pg, tear_down),
    const struct CMUnitTest tests[] = {CONTRACT(SQLITE_ROW_) CONTRACT(PG_ROW)};
    int n_failed;

    if (pg_server_new(&server, &why_no_server))
        why_no_server = NULL;
    else
        fprintf(stderr, "skipped on PostgreSQL: %s\n", why_no_server);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    pg_server_free(&server);
    return n_failed;
}
