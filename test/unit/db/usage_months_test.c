/* usage_days in PostgreSQL, a partition a month: nothing is lost on the way there and back, no count waits for a partition, and
 * statements look at their months only. */
#include "config/config.h"
#include "db/db.h"
#include "pg_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define TEAM    "'00000000-0000-4000-8000-000000000001'"
#define OWNER   "'00000000-0000-4000-8000-000000000002'"
#define AGENT   "'00000000-0000-4000-8000-000000000003'"
#define N_NODES 4
#define N_COUNTS 60

static struct pg_server server;
static const char *why_no_server;
static struct config config_;
static struct db *db;
static PGconn *pg;

static PGconn *connect_(void)
{
    char url[192];
    PGconn *c;

    snprintf(url, sizeof(url), "postgresql%s", strchr(server.url, ':'));
    c = PQconnectdb(url);
    if (PQstatus(c) != CONNECTION_OK)
        abort();
    return c;
}

/* Fails the test where the database refuses. */
static void run(const char *sql)
{
    PGresult *res = PQexec(pg, sql);

    if (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQresultErrorMessage(res));
    PQclear(res);
}

/* Rows and columns in one line, until the next call. */
static const char *ask(const char *sql)
{
    static char text[65536];
    PGresult *res = PQexec(pg, sql);
    size_t len = 0;

    text[0] = '\0';
    if (PQresultStatus(res) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQresultErrorMessage(res));
    for (int row = 0; row < PQntuples(res); row++)
        for (int column = 0; column < PQnfields(res) && len < sizeof(text); column++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len > 0 ? " " : "",
                                    PQgetvalue(res, row, column));
    PQclear(res);
    return text;
}

static void assert_answer(const char *sql, const char *expected)
{
    assert_string_equal(ask(sql), expected);
}

static void migrate_up(void)
{
    struct error err;
    int n;

    err = db_migrate_up(db, &n);
    if (is_error(err))
        fail_msg("%s", err.detail);
}

static void find_number(const struct db_migration *m, bool applied, void *state)
{
    (void)applied;
    if (strcmp(m->name, "usage_months") == 0)
        *(int *)state = m->number;
}

/* To where usage_days was one table. */
static void migrate_before_months(void)
{
    int wanted = 0, number = 0;

    assert_int_equal(db_migrate_status(db, find_number, &wanted).status, OK);
    assert_true(wanted > 0);
    do {
        assert_int_equal(db_migrate_down(db, &number).status, OK);
    } while (number > wanted);
}

static int set_up(void **state)
{
    (void)state;
    if (why_no_server)
        return 0;
    if (is_error(db_open(&db, DB_OPEN_COMMAND)))
        return 1;
    pg = connect_();
    run("SET client_min_messages = warning; SET timezone = 'UTC'");
    run("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    migrate_up();
    run("INSERT INTO teams (id, name, slug, settings, is_active, created_at, updated_at)"
        " VALUES (" TEAM ", 'Shop', 'shop', '{}', true, now(), now())");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (why_no_server)
        return 0;
    PQfinish(pg);
    db_close(db);
    return 0;
}

/* What USAGE_ADD does. */
static void count_on(PGconn *c, const char *day)
{
    const char *values[] = {"00000000-0000-4000-8000-000000000001",
                            day,
                            "00000000-0000-4000-8000-000000000002",
                            "00000000-0000-4000-8000-000000000003",
                            "echo",
                            "",
                            "1",
                            "2",
                            "3",
                            "0",
                            NULL,
                            "0",
                            "1",
                            "7"};
    PGresult *res = PQexecParams(c, sql_table[SQL_USAGE_ADD].pg, 14, NULL, values, NULL, NULL, 0);

    if (PQresultStatus(res) != PGRES_COMMAND_OK || strcmp(PQcmdTuples(res), "1") != 0) {
        fprintf(stderr, "%s: %s\n", day, PQresultErrorMessage(res));
        abort();
    }
    PQclear(res);
}

static void tend(const char *at, const char *before)
{
    char sql[160];
    int n = 0;

    snprintf(sql, sizeof(sql), "SELECT usage_tend('%s', %s)", at, before);
    while (strcmp(ask(sql), "t") == 0)
        assert_true(++n < 100);
}

#define PARTITIONS                                                                                 \
    "SELECT substr(c.relname, 12) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"        \
    " WHERE i.inhparent = 'usage_days'::regclass AND c.relname <> 'usage_days_rest' ORDER BY 1"
#define FOREVER "NULL"

/* ---- */

static void what_was_counted_moves_into_months_and_back(void **state)
{
    static const char sum[] =
        "SELECT count(*), sum(messages), sum(prompt_tokens), sum(first_token_ms),"
        " md5(string_agg(u::text, ',' ORDER BY u.day, u.model)) FROM usage_days u";
    static char before[256];

    (void)state;
    migrate_before_months();
    run("INSERT INTO usage_days (team_id, day, owner_id, agent_id, provider, model, messages, prompt_tokens,"
        " completion_tokens, total_tokens, estimated_tokens, errors, first_tokens, first_token_ms)"
        " SELECT " TEAM ", d, " OWNER ", " AGENT ", 'echo', m::text, 1, 2 + m, 3, 5 + m, 0, 0, 1, extract(doy FROM d)"
        " FROM generate_series(date_trunc('day', now()) - interval '3 years', now(), interval '1 day') d,"
        " generate_series(1, 3) m");
    snprintf(before, sizeof(before), "%s", ask(sum));
    assert_int_equal(strncmp(before, "32", 2), 0); /* 3 x 1,096 or so */
    migrate_up();
    assert_answer(sum, before);
    assert_answer("SELECT count(*) FROM usage_days_rest", "0");
    assert_answer("SELECT count(*) FROM pg_inherits WHERE inhparent = 'usage_days'::regclass",
                  "39"); /* of three years both ends, the next month, the rest */
    migrate_before_months();
    assert_answer(sum, before);
    assert_answer("SELECT relkind FROM pg_class WHERE relname = 'usage_days'", "r");
    assert_answer("SELECT conname FROM pg_constraint WHERE conrelid = 'usage_days'::regclass ORDER BY 1",
                  "usage_days_pkey usage_days_team_id_fkey");
    migrate_up();
    assert_answer(sum, before);
    run("DELETE FROM teams");
    assert_answer("SELECT count(*) FROM usage_days", "0");
}

static void a_count_waits_for_no_partition_and_moves_to_its_own_when_there_is_one(void **state)
{
    (void)state;
    tend("2031-01-15", FOREVER);
    count_on(pg, "2031-01-31");
    count_on(pg, "2031-02-01");
    count_on(pg, "2031-03-01"); /* a night without a server, which lasted */
    count_on(pg, "2031-03-01");
    count_on(pg, "2031-05-31");
    assert_answer("SELECT tableoid::regclass, messages FROM usage_days ORDER BY day",
                  "usage_days_203101 1 usage_days_203102 1 usage_days_rest 2 usage_days_rest 1");
    tend("2031-03-02", FOREVER);
    count_on(pg, "2031-03-01");
    assert_answer("SELECT tableoid::regclass, messages, total_tokens FROM usage_days ORDER BY day",
                  "usage_days_203101 1 3 usage_days_203102 1 3 usage_days_203103 3 9"
                  " usage_days_203105 1 3");
    assert_answer("SELECT count(*) FROM usage_days_rest", "0");
    /* The partition has all that the table has. */
    assert_answer("SELECT string_agg(DISTINCT n::text, ',') FROM (SELECT count(*) AS n FROM pg_constraint c"
                  " JOIN pg_inherits i ON i.inhrelid = c.conrelid WHERE i.inhparent = 'usage_days'::regclass"
                  " GROUP BY c.conrelid) x",
                  "2");
}

static void months_that_are_too_old_go_as_a_whole(void **state)
{
    (void)state;
    tend("2021-01-15", FOREVER);
    tend("2021-03-15", FOREVER);
    run("CREATE TABLE usage_days_2020_kept_by_hand (LIKE usage_days INCLUDING INDEXES);"
        "ALTER TABLE usage_days ATTACH PARTITION usage_days_2020_kept_by_hand"
        " FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')");
    count_on(pg, "2020-06-01");
    count_on(pg, "2021-01-31");
    count_on(pg, "2021-02-01");
    count_on(pg, "2021-02-28");
    count_on(pg, "2021-03-01");
    count_on(pg, "1999-01-01"); /* of a month without a partition: USAGE_FORGET's */
    tend("2021-04-01", "'2021-02-28 23:59:59Z'");
    assert_answer(
        "SELECT day::date FROM usage_days ORDER BY day",
        "1999-01-01 2020-06-01 2021-02-01 2021-02-28 2021-03-01");
    tend("2021-04-01", "'2021-03-01'");
    assert_answer("SELECT day::date FROM usage_days ORDER BY day", "1999-01-01 2020-06-01 2021-03-01");
    tend("2021-04-01", FOREVER);
    assert_answer("SELECT count(*) FROM usage_days_rest", "0");
    tend("2021-04-01", "'2021-03-01'");
    assert_answer("SELECT day::date FROM usage_days ORDER BY day", "2020-06-01 2021-03-01");
}

/* ---- */

/* The partitions of usage_days that a statement reads, in the order of their months. */
static const char *partitions_read(enum sql sql, const char *args)
{
    static char text[512];
    char command[512];
    const char *plan;

    text[0] = '\0';
    run("SET plan_cache_mode = force_generic_plan; DEALLOCATE ALL");
    PGresult *res = PQprepare(pg, "it", sql_table[sql].pg, 0, NULL);
    assert_int_equal(PQresultStatus(res), PGRES_COMMAND_OK);
    PQclear(res);
    snprintf(command, sizeof(command),
             "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE it(%s)", args);
    plan = ask(command);
    for (const char *at = strstr(plan, " on usage_days_"); at; at = strstr(at + 1, " on usage_days_")) {
        const char *end = strstr(at + 1, " on usage_days_");
        const char *never = strstr(at, "(never executed)");

        if (never && (!end || never < end))
            continue;
        if (strlen(text) + 8 < sizeof(text) && !strstr(text, "rest"))
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%.6s", text[0] ? " " : "", at + 15);
    }
    return text;
}

static void statements_read_the_months_of_their_days_only(void **state)
{
    (void)state;
    for (int month = 1; month <= 12; month++) {
        char at[32];

        snprintf(at, sizeof(at), "2030-%02d-15", month);
        tend(at, FOREVER);
        count_on(pg, at);
    }
    run("SET enable_seqscan = off");
    assert_string_equal(
        partitions_read(SQL_USAGE_BY_DAY, TEAM ", '2030-05-01', '2030-05-31', NULL, 1000"), "203005");
    assert_string_equal(
        partitions_read(SQL_USAGE_BY_DAY, TEAM ", '2030-05-20', '2030-07-01', NULL, 1000"),
        "203005 203006 203007");
    /* From the beginning of a day: whatever comes behind it, and nothing before. */
    assert_null(strstr(
        partitions_read(SQL_BUDGET_BEGIN,
                        TEAM ", '[{\"n\":0,\"scope\":\"team\",\"subject\":\"00000000-0000-4000-8000-000000000001\","
                             "\"period\":\"month\",\"start\":1919635200}]'"), /* 2030-10-31 */
        "203009"));
    assert_answer("SELECT requests FROM budget_spend", "2");
}

/* ---- */

struct node {
    uv_thread_t thread;
    PGconn *pg;
    int number;
};

static void tend_and_count(void *state)
{
    struct node *n = state;

    for (int i = 0; i < N_COUNTS; i++) {
        char day[32], sql[96];
        PGresult *res;

        snprintf(day, sizeof(day), "2040-%02d-%02d", 1 + i / 5, 1 + (i + n->number) % 28);
        count_on(n->pg, day);
        snprintf(sql, sizeof(sql), "SELECT usage_tend('%s', NULL)", day);
        res = PQexec(n->pg, sql);
        if (PQresultStatus(res) != PGRES_TUPLES_OK &&
            strcmp(PQresultErrorField(res, PG_DIAG_SQLSTATE), "55P03") != 0) {
            fprintf(stderr, "%s\n", PQresultErrorMessage(res));
            abort();
        }
        PQclear(res);
    }
}

static void servers_that_want_the_same_month_make_it_once_and_lose_no_count(void **state)
{
    struct node nodes[N_NODES];

    (void)state;
    for (int i = 0; i < N_NODES; i++) {
        nodes[i] = (struct node){.pg = connect_(), .number = i};
        assert_int_equal(uv_thread_create(&nodes[i].thread, tend_and_count, &nodes[i]), 0);
    }
    for (int i = 0; i < N_NODES; i++) {
        uv_thread_join(&nodes[i].thread);
        PQfinish(nodes[i].pg);
    }
    tend("2040-12-01", FOREVER);
    assert_answer("SELECT sum(messages) FROM usage_days", "240");
    assert_answer("SELECT count(*) FROM usage_days_rest", "0");
    assert_answer("SELECT count(DISTINCT relname) FROM pg_class WHERE relname ~ '^usage_days_2040\\d\\d$'",
                  "12");
}

/* A reader that stays, a backup, holds up neither counts nor the server that wants a month gone. */
static void who_is_in_the_way_is_not_waited_for(void **state)
{
    PGconn *backup = connect_();
    PGresult *res;

    (void)state;
    tend("2021-01-15", FOREVER);
    count_on(pg, "2021-01-15");
    PQclear(PQexec(backup, "BEGIN; SELECT count(*) FROM usage_days"));
    run("SET deadlock_timeout = '10s'");
    res = PQexec(pg, "SELECT usage_tend('2021-03-01', '2021-03-01')"); /* 2021-04 */
    assert_int_equal(PQresultStatus(res), PGRES_FATAL_ERROR);
    assert_string_equal(PQresultErrorField(res, PG_DIAG_SQLSTATE), "55P03");
    PQclear(res);
    count_on(pg, "2021-03-15");
    assert_answer("SELECT sum(messages) FROM usage_days", "2");
    PQclear(PQexec(backup, "COMMIT"));
    PQfinish(backup);
    tend("2021-03-01", "'2021-03-01'");
    assert_answer("SELECT sum(messages) FROM usage_days", "1");
}

/* ---- */

#define ALL(X)                                                                                     \
    X(a_count_waits_for_no_partition_and_moves_to_its_own_when_there_is_one)                       \
    X(months_that_are_too_old_go_as_a_whole)                                                       \
    X(servers_that_want_the_same_month_make_it_once_and_lose_no_count)                             \
    X(statements_read_the_months_of_their_days_only)                                               \
    X(what_was_counted_moves_into_months_and_back)                                                 \
    X(who_is_in_the_way_is_not_waited_for)

#define OR_SKIP(name)                                                                              \
    static void pg_##name(void **state)                                                            \
    {                                                                                              \
        if (why_no_server)                                                                         \
            skip();                                                                                \
        name(state);                                                                               \
    }
ALL(OR_SKIP)

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(pg_##name, set_up, tear_down),
    const struct CMUnitTest tests[] = {ALL(ROW)};
    int n_failed;

    if (pg_server_new(&server, &why_no_server))
        why_no_server = NULL;
    else
        fprintf(stderr, "skipped: %s\n", why_no_server);
    config_.database = (struct config_database){
        .url = str_from(server.url), .wait_ms = 1000, .statement_ms = 5000, .queue = 10};
    config_set(&config_);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    pg_server_free(&server);
    return n_failed;
}
