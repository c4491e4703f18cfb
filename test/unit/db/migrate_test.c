/* Migrations up and down, on both drivers. */
#include "harness.h"
#include "pg_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pg_server server;
static const char *why_no_server;

static int set_up(void **state, const char *url)
{
    struct harness *h = harness_new(url);

    harness_open(h);
    run_number(h, SQL_THINGS_DROP, NO_ARGS);
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
    struct harness *h = *state;
    struct error err = NO_ERROR;
    int number = 1;

    if (!h)
        return 0;
    while (number > 0 && !is_error(err))
        err = db_migrate_down(h->db, &number);
    harness_free(h);
    return is_error(err);
}

static void count_row(const struct db_migration *m, bool applied, void *state)
{
    int *counts = state;

    assert_true(m->number == counts[0] + counts[1] + 1);
    counts[applied]++;
}

static void migrate_up(struct harness *h, int expected)
{
    int n_applied;
    struct error err = db_migrate_up(h->db, &n_applied);

    if (is_error(err))
        fail_msg("%s", err.detail);
    assert_int_equal(n_applied, expected);
}

static int n_known(struct harness *h)
{
    int counts[2] = {0};

    assert_int_equal(db_migrate_status(h->db, count_row, counts).status, OK);
    return counts[0] + counts[1];
}

static void migrations_go_up_once_and_down_to_nothing(struct harness *h)
{
    const int n = n_known(h);
    int counts[2] = {0}, number;

    assert_true(n > 0);
    migrate_up(h, n);
    migrate_up(h, 0);
    assert_int_equal(db_migrate_status(h->db, count_row, counts).status, OK);
    assert_int_equal(counts[1], n);
    assert_true(run_number(h, SQL_TABLES_COUNT, NO_ARGS) > 5);
    for (int i = n; i > 0; i--) {
        assert_int_equal(db_migrate_down(h->db, &number).status, OK);
        assert_int_equal(number, i);
    }
    assert_int_equal(db_migrate_down(h->db, &number).status, OK);
    assert_int_equal(number, 0);
    assert_int_equal(run_number(h, SQL_TABLES_COUNT, NO_ARGS), 0);
    migrate_up(h, n);
}

static void a_failing_migration_leaves_nothing(struct harness *h)
{
    struct error err;
    int n_applied;

    run_number(h, SQL_CHATS_BLOCK, NO_ARGS);
    err = db_migrate_up(h->db, &n_applied);
    assert_int_equal(err.status, ERR_DB);
    assert_non_null(strstr(err.detail, "0001_init"));
    assert_non_null(strstr(err.detail, "chats"));
    assert_int_equal(n_applied, 0);
    assert_int_equal(run_number(h, SQL_TABLES_COUNT, NO_ARGS), 1);
    run_number(h, SQL_CHATS_UNBLOCK, NO_ARGS);
    migrate_up(h, n_known(h));
}

static void a_newer_schema_is_refused_with_both_numbers(struct harness *h)
{
    struct error err;
    char known[16];
    int n_applied, n = n_known(h);

    migrate_up(h, n);
    run_number(h, SQL_SCHEMA_NEWER, NO_ARGS);
    err = db_migrate_up(h->db, &n_applied);
    assert_int_equal(err.status, ERR_CONFLICT);
    snprintf(known, sizeof(known), "knows %d", n);
    assert_non_null(strstr(err.detail, "9999"));
    assert_non_null(strstr(err.detail, known));
    run_number(h, SQL_SCHEMA_OLDER, NO_ARGS);
    assert_int_equal(run_number(h, SQL_ADVISORY_LOCKS, NO_ARGS), 0);
}

static void migrate_in_thread(void *state)
{
    struct harness *h = state;
    struct db *other;
    int n_applied;

    if (is_error(db_open(&other, DB_OPEN_COMMAND)))
        abort();
    if (is_error(db_migrate_up(other, &n_applied)))
        abort();
    db_close(other);
    (void)h;
}

static void two_processes_may_migrate_at_once(struct harness *h)
{
    uv_thread_t threads[3];

    for (int i = 0; i < 3; i++)
        assert_int_equal(uv_thread_create(&threads[i], migrate_in_thread, h), 0);
    for (int i = 0; i < 3; i++)
        uv_thread_join(&threads[i]);
    migrate_up(h, 0);
}

#define ALL(X)                                                                                     \
    X(a_failing_migration_leaves_nothing)                                                          \
    X(a_newer_schema_is_refused_with_both_numbers)                                                 \
    X(migrations_go_up_once_and_down_to_nothing)                                                   \
    X(two_processes_may_migrate_at_once)

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
ALL(ON_SQLITE)
ALL(ON_PG)

int main(void)
{
#define SQLITE_ROW_(name) cmocka_unit_test_setup_teardown(sqlite_##name, set_up_sqlite, tear_down),
#define PG_ROW(name)      cmocka_unit_test_setup_teardown(pg_##name, set_up_pg, tear_down),
    const struct CMUnitTest tests[] = {ALL(SQLITE_ROW_) ALL(PG_ROW)};
    int n_failed;

    if (pg_server_new(&server, &why_no_server))
        why_no_server = NULL;
    else
        fprintf(stderr, "skipped on PostgreSQL: %s\n", why_no_server);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    pg_server_free(&server);
    return n_failed;
}
