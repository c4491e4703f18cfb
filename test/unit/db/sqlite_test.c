/* What only SQLite has: its file, its lock, a full disk, the search index. */
#include "db/sqlite.h"
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEAM "0191d3c5-7b1a-7c00-8000-000000000001"
#define USER "0191d3c5-7b1a-7c00-8000-000000000002"
#define CHAT "0191d3c5-7b1a-7c00-8000-000000000003"

static int set_up(void **state)
{
    *state = harness_new(NULL);
    return 0;
}

static int tear_down(void **state)
{
    harness_free(*state);
    return 0;
}

static void set_url(struct harness *h, const char *format, const char *name)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(h->url, sizeof(h->url), format, name);
#pragma GCC diagnostic pop
    h->config.database.url = str_from(h->url);
}

static void expect_refusal(const char *words)
{
    struct db *db;
    struct error err = db_open(&db, DB_OPEN_SERVER);

    assert_true(is_error(err));
    assert_null(db);
    if (!strstr(err.detail, words))
        fail_msg("\"%s\" does not say \"%s\"", err.detail, words);
}

static void the_file_is_made_with_its_directories_for_its_owner_alone(void **state)
{
    struct harness *h = *state;
    struct stat st;
    char path[128];

    set_url(h, "sqlite:///%s/a/b/chat.db", h->directory);
    harness_open(h);
    snprintf(path, sizeof(path), "%s/a/b/chat.db", h->directory);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(path, sizeof(path), "%s/a/b/chat.db-wal", h->directory);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(path, sizeof(path), "%s/a", h->directory);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void without_an_address_it_is_in_the_data_directory(void **state)
{
    struct harness *h = *state;
    char path[128];

    set_url(h, "%s", "");
    harness_open(h);
    assert_true(db_is_sqlite(h->db));
    assert_string_equal(db_name(h->db), "sqlite");
    snprintf(path, sizeof(path), "%s/aerie.db", h->directory);
    assert_int_equal(access(path, R_OK), 0);
}

static void an_address_that_cannot_be_is_refused_in_words(void **state)
{
    struct harness *h = *state;

    set_url(h, "mysql://%s", "localhost/x");
    expect_refusal("sqlite:///");
    set_url(h, "%s", "sqlite:///:memory:");
    expect_refusal("must name a file");
    set_url(h, "%s", "sqlite://");
    expect_refusal("must name a file");
    set_url(h, "%s", "sqlite:////proc/nowhere/chat.db");
    expect_refusal("/proc/nowhere");
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct harness *h = *state;
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/chat.db", h->directory);
    file = fopen(path, "w");
    for (int i = 0; i < 100; i++)
        fputs("this is not a database, but a letter to a friend\n", file);
    fclose(file);
    expect_refusal("is not a SQLite database");
}

static void a_second_server_is_refused_and_a_command_is_not(void **state)
{
    struct harness *h = *state;
    struct db *db;

    harness_open(h);
    expect_refusal("already in use");
    assert_int_equal(db_open(&db, DB_OPEN_COMMAND).status, OK);
    db_close(db);
    db_close(h->db);
    harness_open(h);
}

/* RLIMIT_FSIZE stands for a full disk: SQLite's write gives EFBIG, an I/O error. */
static void when_the_file_cannot_grow_writes_fail_and_resume(void **state)
{
    struct harness *h = *state;
    struct rlimit saved, small = {.rlim_cur = 1 << 20};
    struct call calls[8], c;
    const struct db_call bulk[] = {CALL0(BULK)};
    int n_failed = 0;

    signal(SIGXFSZ, SIG_IGN);
    harness_open(h);
    harness_attach(h);
    getrlimit(RLIMIT_FSIZE, &saved);
    small.rlim_max = saved.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; i < 8; i++)
        call_start(&calls[i], bulk, 1);
    for (int i = 0; i < 8; i++) {
        call_await(h, &calls[i]);
        n_failed += is_error(calls[i].err);
        call_free(&calls[i]);
    }
    assert_int_equal(n_failed, 8);
    call_run(h, &c, SQL_THINGS_COUNT, NO_ARGS);
    assert_int_equal(c.err.status, OK);
    assert_int_equal(db_get_int(c.query.result, 0, 0), 0);
    call_free(&c);
    setrlimit(RLIMIT_FSIZE, &saved);
    call_run(h, &c, SQL_BULK, NO_ARGS);
    assert_int_equal(c.err.status, OK);
    call_free(&c);
}

/* The big one takes the whole transaction with it; its neighbours are run again, once. */
static void what_is_too_large_for_the_disk_does_not_hurt_its_neighbours(void **state)
{
    struct harness *h = *state;
    struct rlimit saved, small = {.rlim_cur = 1 << 20};
    struct call calls[20];
    struct db_arg args[20][2];
    struct db_call what[20];

    signal(SIGXFSZ, SIG_IGN);
    harness_open(h);
    harness_attach(h);
    getrlimit(RLIMIT_FSIZE, &saved);
    small.rlim_max = saved.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; i < 20; i++) {
        args[i][0] = db_int(i);
        args[i][1] = db_text(STR("x"));
        what[i] = i % 8 == 3
                      ? (struct db_call)CALL0(BULK)
                      : (struct db_call){.sql = SQL_THING_NAME, .args = args[i], .n_args = 2};
        call_start(&calls[i], &what[i], 1);
    }
    for (int i = 0; i < 20; i++) {
        call_await(h, &calls[i]);
        assert_int_equal(is_error(calls[i].err), i % 8 == 3);
        call_free(&calls[i]);
    }
    setrlimit(RLIMIT_FSIZE, &saved);
    assert_int_equal(run_number(h, SQL_THINGS_COUNT, NO_ARGS), 17);
}

/* Another process takes the write lock, says so, and holds it until its input ends. */
static const char lock_script[] = "import sqlite3, sys\n"
                                  "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
                                  "c.execute('BEGIN IMMEDIATE')\n"
                                  "print('locked', flush=True)\n"
                                  "sys.stdin.read()\n";

static pid_t start_other_writer(struct harness *h, int *hold)
{
    int in[2], out[2];
    char path[128], word[8];
    pid_t pid;

    snprintf(path, sizeof(path), "%s/chat.db", h->directory);
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        execlp("python3", "python3", "-c", lock_script, path, NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    assert_true(read(out[0], word, sizeof(word)) > 0);
    close(out[0]);
    *hold = in[1];
    return pid;
}

static void another_process_that_writes_makes_it_wait_and_then_busy(void **state)
{
    struct harness *h = *state;
    struct call c;
    pid_t other;
    int hold;

    h->config.database.wait_ms = 500;
    harness_open(h);
    harness_attach(h);
    other = start_other_writer(h, &hold);
    call_run(h, &c, SQL_THING_NAME, DB_ARGS(db_int(1), db_text(STR("x"))));
    assert_int_equal(c.err.status, ERR_BUSY);
    call_free(&c);
    h->config.database.wait_ms = 20000; /* of the queue: a busy machine's thread comes late */
    call_run(h, &c, SQL_THINGS_COUNT, NO_ARGS);
    assert_int_equal(c.err.status, OK);
    call_free(&c);
    close(hold);
    waitpid(other, NULL, 0);
    call_run(h, &c, SQL_THING_NAME, DB_ARGS(db_int(1), db_text(STR("x"))));
    assert_int_equal(c.err.status, OK);
    call_free(&c);
}

/* ---- search ---- */
static void add_message(struct harness *h, int n, const char *content, const char *status)
{
    char id[40];

    snprintf(id, sizeof(id), "0191d3c5-7b1a-7c00-8000-0000%08d", n);
    run_number(h, SQL_MESSAGE_ADD,
               DB_ARGS(db_uuid(STR(TEAM)), db_uuid(STR(CHAT)), db_uuid(str_from(id)), db_int(n),
                       db_text(str_from(content)), db_text(str_from(status)), db_time(1)));
}

static void open_with_messages(struct harness *h)
{
    int n_applied;

    harness_open(h);
    assert_int_equal(db_migrate_up(h->db, &n_applied).status, OK);
    run_number(h, SQL_TEAM_ADD, DB_ARGS(db_uuid(STR(TEAM)), db_text(STR("s")), db_time(1)));
    run_number(h, SQL_USER_ADD, DB_ARGS(db_uuid(STR(TEAM)), db_uuid(STR(USER)), db_time(1)));
    run_number(h, SQL_CHAT_ADD,
               DB_ARGS(db_uuid(STR(TEAM)), db_uuid(STR(USER)), db_uuid(STR(CHAT)), db_time(1)));
    for (int i = 0; i < 450; i++)
        add_message(h, i, i == 449 ? "the last zebra" : "plain words", "complete");
    add_message(h, 450, "half a zebra", "streaming");
}

static bool one_waits(void *state)
{
    return run_number(state, SQL_MESSAGES_WAITING, NO_ARGS) == 1;
}

static void an_idle_writer_feeds_the_search_index(void **state)
{
    struct harness *h = *state;
    struct call c;

    open_with_messages(h);
    harness_attach(h);
    call_run(h, &c, SQL_THINGS_CLEAR, NO_ARGS); /* wakes the writer */
    call_free(&c);
    for (int i = 0; i < 400 && !one_waits(h); i++)
        usleep(10000);
    assert_true(one_waits(h)); /* the one that streams */
    call_run(h, &c, SQL_INDEX_FIND, DB_ARGS(db_text(STR("zebra"))));
    assert_int_equal(c.err.status, OK);
    assert_int_equal(c.query.result->n_rows, 1);
    call_free(&c);
    call_run(h, &c, SQL_INDEX_FIND, DB_ARGS(db_text(STR("plain"))));
    assert_int_equal(c.query.result->n_rows, 449);
    call_free(&c);
}

static void a_search_feeds_the_index_by_itself(void **state)
{
    const struct db_arg team[] = {db_uuid(STR(TEAM))};
    const struct db_call feed[] = {{.sql = SQL_SEARCH_FEED, .args = team, .n_args = 1},
                                   {.sql = SQL_SEARCH_FED, .args = team, .n_args = 1}};
    struct harness *h = *state;
    struct call c;

    open_with_messages(h);
    harness_attach(h);
    for (int i = 0; i < 3; i++) {
        call_start(&c, feed, 2);
        call_await(h, &c);
        assert_int_equal(c.err.status, OK);
        assert_true(db_result_at(&c.query, 0)->n_changed == db_result_at(&c.query, 1)->n_changed);
        call_free(&c);
    }
    call_run(h, &c, SQL_INDEX_FIND, DB_ARGS(db_text(STR("zebra"))));
    assert_int_equal(c.query.result->n_rows, 1);
    call_free(&c);
}

static int cached_bytes(const struct sqlite_conn *c)
{
    int now = 0, most;

    assert_int_equal(sqlite3_db_status(c->db, SQLITE_DBSTATUS_CACHE_USED, &now, &most, false),
                     SQLITE_OK);
    return now;
}

static void pages_in_memory_go_when_few_operations_come(void **state)
{
    struct harness *h = *state;
    struct sqlite_conn c;
    char path[128];
    int full;

    harness_open(h);
    snprintf(path, sizeof(path), "%s/chat.db", h->directory);
    assert_false(is_error(sqlite_conn_open(&c, path, SQLITE_BLOCKING)));
    assert_true(sqlite_conn_exec(&c,
                                 "CREATE TABLE wide (x); WITH RECURSIVE n(i) AS (SELECT 1 UNION "
                                 "ALL SELECT i + 1 FROM n WHERE i < 300)"
                                 " INSERT INTO wide SELECT zeroblob(3000) FROM n"));
    full = cached_bytes(&c);
    assert_true(full > 500000);
    sqlite_conn_calm(&c, 1000); /* a crowd's */
    assert_int_equal(cached_bytes(&c), full);
    sqlite_conn_calm(&c, 1); /* its time is not over */
    assert_int_equal(cached_bytes(&c), full);
    c.calm_since_ms = 0;
    sqlite_conn_calm(&c, 1);
    assert_true(cached_bytes(&c) < full / 4);
    assert_int_equal(sqlite_conn_calm_ms(&c), 0);
    sqlite_conn_close(&c);
    harness_close(h);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_is_no_database_is_refused),
        TEST(a_search_feeds_the_index_by_itself),
        TEST(a_second_server_is_refused_and_a_command_is_not),
        TEST(an_address_that_cannot_be_is_refused_in_words),
        TEST(an_idle_writer_feeds_the_search_index),
        TEST(another_process_that_writes_makes_it_wait_and_then_busy),
        TEST(pages_in_memory_go_when_few_operations_come),
        TEST(the_file_is_made_with_its_directories_for_its_owner_alone),
        TEST(what_is_too_large_for_the_disk_does_not_hurt_its_neighbours),
        TEST(when_the_file_cannot_grow_writes_fail_and_resume),
        TEST(without_an_address_it_is_in_the_data_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
