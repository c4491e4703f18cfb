/* Walks the product's statements: each names its team, and each is understood by both databases. */
#include "config/config.h"
#include "db/db.h"
#include "pg_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char directory[64];

static void migrate(struct config *c, const char *url)
{
    struct db *db;
    struct error err;
    int n_applied;

    *c = (struct config){.data_dir = str_from(directory)};
    c->database = (struct config_database){.url = str_from(url),
                                           .wait_ms = 1000,
                                           .statement_ms = 1000,
                                           .queue = 10,
                                           .sqlite_readers = 1,
                                           .sqlite_synchronous = STR("NORMAL")};
    config_set(c);
    err = db_open(&db, DB_OPEN_COMMAND);
    if (!is_error(err))
        err = db_migrate_up(db, &n_applied);
    if (is_error(err))
        fail_msg("%s", err.detail);
    db_close(db);
}

/* Where the text stands with no digit behind it ("$1" is not "$10"), or NULL. */
static const char *find_word(const char *text, const char *word)
{
    const char *at = strstr(text, word);

    while (at && at[strlen(word)] >= '0' && at[strlen(word)] <= '9')
        at = strstr(at + 1, word);
    return at;
}

/* Position of a word in a list, counted in commas, or -1. */
static int place_in(const char *list, const char *word)
{
    const char *at = find_word(list, word);
    int place = 0;

    for (const char *c = list; at && c < at; c++)
        place += *c == ',';
    return at ? place : -1;
}

/* INSERT INTO x (…, team_id, …) VALUES or SELECT (…, $1, …): the team stands where team_id stands.
 */
static bool inserts_for_team(const char *text)
{
    bool is_team = strncmp(text, "INSERT INTO teams ", 18) == 0;
    const char *columns = strchr(text, '('), *values = columns ? strchr(columns, ')') : NULL;
    int place;

    if (strncmp(text, "INSERT ", 7) != 0 || !values)
        return false;
    place = place_in(columns, is_team ? "(id" : "team_id");
    return place >= 0 && place == place_in(values, "$1");
}

/* One statement. A team's own row is named by its id. */
static bool one_names_team(const char *text)
{
    return find_word(text, "team_id = $1") || find_word(text, "team_id => $1") ||
           inserts_for_team(text) ||
           (strstr(text, "teams") &&
            (find_word(text, "WHERE id = $1") || find_word(text, "t.id = $1")));
}

/* A text may be several statements: each of them. */
static bool names_team(const char *text)
{
    char part[8192];

    while (*text) {
        size_t len = strcspn(text, ";");

        assert_true(len < sizeof(part));
        memcpy(part, text, len);
        part[len] = 0;
        if (!one_names_team(part))
            return false;
        text += len + (text[len] == ';');
    }
    return true;
}

static void a_statement_that_names_no_team_is_found(void **state)
{
    (void)state;
    assert_true(names_team("SELECT id FROM agents WHERE team_id = $1 AND id = $2"));
    assert_true(names_team("SELECT name FROM teams WHERE id = $1"));
    assert_true(names_team("INSERT INTO sites (url, team_id) VALUES ($2, $1)"));
    assert_false(names_team("SELECT team_id FROM agents WHERE id = $1"));
    assert_false(names_team("SELECT id FROM agents WHERE id = $1"));
    assert_false(names_team("SELECT id FROM agents WHERE team_id = $2 AND id = $1"));
    assert_false(names_team("INSERT INTO sites (url, team_id) VALUES ($1, $2)"));
    assert_false(names_team("INSERT INTO sites (url) VALUES ($1)"));
    assert_false(names_team("SELECT id FROM agents WHERE team_id = $10"));
    assert_false(names_team("DELETE FROM a WHERE team_id = $1;DELETE FROM b WHERE id = $2"));
    assert_false(names_team("UPDATE users SET team_id = $2 WHERE id = $1"));
}

static void every_statement_names_its_team_or_says_why_not(void **state)
{
    int n_bad = 0;

    (void)state;
    for (size_t i = 0; i < N_SQL; i++) {
        const struct sql_row *row = &sql_table[i];

        assert_non_null(row->name);
        assert_non_null(row->pg);
        if (row->no_team) {
            assert_true(strlen(row->no_team) > 3);
            continue;
        }
        if (!names_team(row->pg) || (row->sqlite && !names_team(row->sqlite))) {
            print_error("%s: names no team\n", row->name);
            n_bad++;
        }
    }
    assert_int_equal(n_bad, 0);
}

static void every_statement_is_understood_by_sqlite(void **state)
{
    static struct config c;
    char path[96], url[128];
    sqlite3 *db;
    int n_bad = 0;

    (void)state;
    snprintf(path, sizeof(path), "%s/chat.db", directory);
    snprintf(url, sizeof(url), "sqlite:///%s", path);
    migrate(&c, url);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (size_t i = 0; i < N_SQL; i++) {
        const struct sql_row *row = &sql_table[i];
        const char *text = row->sqlite ? row->sqlite : row->pg;
        size_t n_parts = 0;

        while (*text) {
            sqlite3_stmt *stmt = NULL;
            bool is_understood = sqlite3_prepare_v2(db, text, -1, &stmt, &text) == SQLITE_OK;

            if (!is_understood || ++n_parts > SQL_PARTS_MAX) {
                print_error("%s: %s\n", row->name,
                            is_understood ? "too many statements in one" : sqlite3_errmsg(db));
                n_bad++;
            } else if (!sql_writes(row->use) && (n_parts > 1 || !sqlite3_stmt_readonly(stmt))) {
                print_error("%s: writes, but is neither SQL_WRITE nor SQL_NODE\n", row->name);
                n_bad++;
            }
            sqlite3_finalize(stmt);
            if (!is_understood)
                break;
        }
    }
    sqlite3_close(db);
    assert_int_equal(n_bad, 0);
}

static bool is_decoded(Oid type)
{
    static const Oid known[] = {16,  17,   19,   20,   21,   23,   25,  114,
                                705, 1042, 1043, 1184, 2278, 2950, 3802};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i] == type)
            return true;
    }
    return false;
}

static void every_statement_is_understood_by_postgresql(void **state)
{
    static struct pg_server server;
    static struct config c;
    const char *why;
    char url[192];
    PGconn *pg;
    int n_bad = 0;

    (void)state;
    if (!pg_server_new(&server, &why)) {
        print_message("skipped: %s\n", why);
        skip();
    }
    migrate(&c, server.url);
    snprintf(url, sizeof(url), "postgresql%s", strchr(server.url, ':'));
    pg = PQconnectdb(url);
    for (size_t i = 0; i < N_SQL; i++) {
        const struct sql_row *row = &sql_table[i];
        PGresult *res = PQprepare(pg, row->name, row->pg, 0, NULL);

        if (PQresultStatus(res) != PGRES_COMMAND_OK) {
            print_error("%s: %s\n", row->name, PQresultErrorMessage(res));
            n_bad++;
            PQclear(res);
            continue;
        }
        PQclear(res);
        res = PQdescribePrepared(pg, row->name);
        for (int column = 0; column < PQnfields(res); column++) {
            if (!is_decoded(PQftype(res, column))) {
                print_error("%s: column %d has a type that is not decoded\n", row->name, column);
                n_bad++;
            }
        }
        PQclear(res);
    }
    PQfinish(pg);
    pg_server_free(&server);
    assert_int_equal(n_bad, 0);
}

/* The sweeps of retention: with many chats, none of them old, they are never read. */
static const enum sql sweeps[] = {SQL_CHATS_FORGET_MESSAGES, SQL_CHATS_FORGET};

static void a_sweep_of_nothing_reads_no_chats_on_sqlite(void **state)
{
    static struct config c;
    char path[96], url[128], text[8192];
    sqlite3 *db;

    (void)state;
    snprintf(path, sizeof(path), "%s/plan.db", directory);
    snprintf(url, sizeof(url), "sqlite:///%s", path);
    migrate(&c, url);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
        sqlite3_stmt *plan;
        unsigned by_age = 0;

        snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", sql_table[sweeps[i]].sqlite);
        assert_int_equal(sqlite3_prepare_v2(db, text, -1, &plan, NULL), SQLITE_OK);
        while (sqlite3_step(plan) == SQLITE_ROW) {
            const char *line = (const char *)sqlite3_column_text(plan, 3);

            if (strncmp(line, "SCAN ", 5) == 0 && line[5] != '(' && strcmp(line, "SCAN t") != 0)
                fail_msg("%s: %s", sql_table[sweeps[i]].name, line);
            by_age += strstr(line, "chats_age (team_id=? AND updated_at<?)") != NULL;
            by_age += strstr(line, "chats_sessions (updated_at<?)") != NULL;
        }
        sqlite3_finalize(plan);
        assert_int_equal(by_age, 2);
    }
    sqlite3_close(db);
}

static void run(PGconn *pg, const char *text)
{
    PGresult *res = PQexec(pg, text);

    if (PQresultStatus(res) != PGRES_COMMAND_OK)
        fail_msg("%s", PQresultErrorMessage(res));
    PQclear(res);
}

static void a_sweep_of_nothing_reads_no_chats_on_postgresql(void **state)
{
    static struct pg_server server;
    static struct config c;
    char url[192], text[8192];
    const char *why;
    PGconn *pg;

    (void)state;
    if (!pg_server_new(&server, &why)) {
        print_message("skipped: %s\n", why);
        skip();
    }
    migrate(&c, server.url);
    snprintf(url, sizeof(url), "postgresql%s", strchr(server.url, ':'));
    pg = PQconnectdb(url);
    run(pg, "INSERT INTO teams (id, name, slug, created_at, updated_at, retention_days) SELECT "
            "gen_random_uuid(), n::text, n::text, now(), now(), n FROM generate_series(1, 3) n");
    run(pg, "INSERT INTO chats (id, team_id, owner_id, created_at, updated_at) SELECT v.id, t.id, "
            "v.id, now(), now() FROM teams t, LATERAL (SELECT gen_random_uuid() AS id FROM "
            "generate_series(1, 10000) WHERE t.id IS NOT NULL) v");
    run(pg, "ANALYZE");
    run(pg, "SET plan_cache_mode = force_generic_plan");
    for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
        unsigned by_age = 0;
        PGresult *plan;

        snprintf(text, sizeof(text), "PREPARE sweep%zu AS %s", i, sql_table[sweeps[i]].pg);
        run(pg, text);
        snprintf(text, sizeof(text),
                 "EXPLAIN EXECUTE sweep%zu (now(), 30, now() - interval '30 days', 1000)", i);
        plan = PQexec(pg, text);
        for (int row = 0; row < PQntuples(plan); row++) {
            const char *line = PQgetvalue(plan, row, 0);

            if (strstr(line, "Seq Scan on chats"))
                fail_msg("%s: %s", sql_table[sweeps[i]].name, line);
            by_age += strstr(line, "chats_age") != NULL;
            by_age += strstr(line, "chats_sessions") != NULL;
        }
        PQclear(plan);
        assert_int_equal(by_age, 2);
    }
    PQfinish(pg);
    pg_server_free(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_that_names_no_team_is_found),
        cmocka_unit_test(a_sweep_of_nothing_reads_no_chats_on_postgresql),
        cmocka_unit_test(a_sweep_of_nothing_reads_no_chats_on_sqlite),
        cmocka_unit_test(every_statement_is_understood_by_postgresql),
        cmocka_unit_test(every_statement_is_understood_by_sqlite),
        cmocka_unit_test(every_statement_names_its_team_or_says_why_not),
    };
    char command[96];
    int n_failed;

    snprintf(directory, sizeof(directory), "/tmp/aerie-db-XXXXXX");
    if (!mkdtemp(directory))
        return 1;
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    return n_failed + system(command);
}
