/* What a start makes of the journals that an earlier process left, on a real SQLite file. */
#include "../cmocka_all.h"
#include "../patience.h"
#include "../../../src/chat/journal_folder.h"
#include "../../../src/chat/journal_record.h"
#include "../../../src/chat/recover.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config test_config;
static struct db *db;
static struct id team_id, user_id, agent_id;
static char directory[] = "/tmp/aerie-recover-XXXXXX", database_path[64];

static void must(struct error err)
{
    if (is_error(err))
        fail_msg("%s", err.detail ? err.detail : status_row(err.status)->name);
}

static void run(enum sql sql, const struct db_arg *args, size_t n)
{
    struct arena arena = {0};
    struct db_result result;

    must(db_run(db, &arena, sql, args, n, &result));
    arena_free(&arena);
}

static struct db_arg uuid(const struct id *id)
{
    return db_uuid(id_str(id));
}

/* The row of a reply that streams, in a chat of its own. */
static struct id add_reply(void)
{
    struct id chat = id_v7(), message = id_v7(), reply = id_v7();
    int64_t now = clock_wall_us();

    run(SQL_CHAT_ADD, DB_ARGS(uuid(&team_id), uuid(&user_id), uuid(&chat), uuid(&agent_id), db_text(STR("C")),
                              db_json(STR("{}")), db_time(now)));
    run(SQL_TURN_ADD, DB_ARGS(uuid(&team_id), uuid(&chat), uuid(&message), db_text(STR("hi")), uuid(&reply), db_time(now),
                              db_null(), db_null(), db_null(), db_null()));
    return reply;
}

static void assert_reply(const struct id *reply, const char *content, const char *status)
{
    struct arena arena = {0};
    struct db_result row;

    must(db_run(db, &arena, SQL_MESSAGE_GET, DB_ARGS(uuid(&team_id), uuid(&user_id), uuid(reply)), &row));
    assert_int_equal(row.n_rows, 1);
    if (!str_eq(db_get_text(&row, 0, 3), str_from(content)) || !str_eq(db_get_text(&row, 0, 4), str_from(status)))
        fail_msg("%.*s %.*s instead of %s %s", STR_ARG(db_get_text(&row, 0, 3)), STR_ARG(db_get_text(&row, 0, 4)), content,
                 status);
    arena_free(&arena);
}

static void add_record(struct buf *file, const struct id *reply, uint64_t offset, const char *text)
{
    if (file->len == 0)
        buf_append_str(file, STR(JOURNAL_HEAD));
    assert_true(journal_record_append(
        file, &(struct journal_record){.reply_id = *reply, .team_id = team_id, .offset = offset, .text = str_from(text)}));
}

static void path_of(char *path, unsigned folder, unsigned of_loop, unsigned segment)
{
    char name[JOURNAL_NAME_BYTES];

    journal_name(name, of_loop, segment);
    snprintf(path, 128, "%s/replies/%u/%s", directory, folder, name);
}

/* Writes the file, and forgets what is in the buffer. */
static void leave_file(struct buf *file, unsigned folder, unsigned of_loop, unsigned segment)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/replies", directory);
    (void)mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/replies/%u", directory, folder);
    (void)mkdir(path, 0700);
    path_of(path, folder, of_loop, segment);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file->data, file->len), file->len);
    close(fd);
    buf_deinit(file);
}

static bool is_there(unsigned folder, unsigned of_loop, unsigned segment)
{
    char path[128];

    path_of(path, folder, of_loop, segment);
    return access(path, F_OK) == 0;
}

static void recover(void)
{
    must(recover_replies(db));
    journal_folder_close();
}

static void a_reply_is_put_together_from_all_files_of_its_loop(void **state)
{
    struct id a = add_reply(), b = add_reply(), c = add_reply(), none = add_reply();
    struct buf file = {0};

    (void)state;
    add_record(&file, &a, 0, "one ");
    add_record(&file, &b, 0, "eins ");
    add_record(&file, &a, 4, "two ");
    leave_file(&file, 0, 0, 9);
    add_record(&file, &a, 8, "three");
    leave_file(&file, 0, 0, 10);
    add_record(&file, &c, 0, "uno \"quoted\" caf\xC3\xA9");
    leave_file(&file, 0, 17, 0);
    recover();
    assert_reply(&a, "one two three", "interrupted");
    assert_reply(&b, "eins ", "interrupted");
    assert_reply(&c, "uno \"quoted\" caf\xC3\xA9", "interrupted");
    assert_reply(&none, "", "interrupted");
    assert_false(is_there(0, 0, 9) || is_there(0, 0, 10) || is_there(0, 17, 0));
}

static void text_has_no_holes_and_no_half_characters(void **state)
{
    struct id hole = add_reply(), half = add_reply(), twice = add_reply();
    struct buf file = {0};

    (void)state;
    add_record(&file, &hole, 0, "one ");
    add_record(&file, &hole, 8, "three");
    add_record(&file, &half, 0, "caf\xC3");
    add_record(&file, &twice, 0, "ab");
    add_record(&file, &twice, 0, "ab");
    add_record(&file, &twice, 2, "c");
    leave_file(&file, 0, 0, 0);
    recover();
    assert_reply(&hole, "one ", "interrupted");
    assert_reply(&half, "caf", "interrupted");
    assert_reply(&twice, "abc", "interrupted");
}

static void what_is_stored_already_stays(void **state)
{
    struct id done = add_reply(), longer = add_reply(), foreign = add_reply();
    struct id ours = team_id;
    struct buf file = {0};

    (void)state;
    run(SQL_REPLY_SAVE, DB_ARGS(uuid(&team_id), uuid(&done), db_text(STR("whole")), db_text(STR("complete")), db_null(),
                                db_null(), db_json(STR("{}"))));
    run(SQL_REPLY_SAVE, DB_ARGS(uuid(&team_id), uuid(&longer), db_text(STR("much more")), db_text(STR("streaming")),
                                db_null(), db_null(), db_json(STR("{}"))));
    add_record(&file, &done, 0, "whole and wrong");
    add_record(&file, &longer, 0, "much");
    team_id = id_v4();
    add_record(&file, &foreign, 0, "of another team");
    team_id = ours;
    leave_file(&file, 0, 0, 0);
    recover();
    assert_reply(&done, "whole", "complete");
    assert_reply(&longer, "much more", "interrupted");
    assert_reply(&foreign, "", "interrupted");
}

static void a_file_of_anything_else_does_no_harm(void **state)
{
    struct id a = add_reply();
    struct buf file = {0};

    (void)state;
    buf_append_str(&file, STR("something else"));
    leave_file(&file, 0, 0, 0);
    leave_file(&file, 0, 0, 1); /* empty */
    add_record(&file, &a, 0, "text");
    buf_append_str(&file, STR("and rubbish that is longer than a record's head, so that its length is looked at: 0123456789"));
    leave_file(&file, 0, 0, 2);
    recover();
    assert_reply(&a, "text", "interrupted");
}

static void when_the_database_fails_the_files_stay(void **state)
{
    struct id a = add_reply();
    struct buf file = {0};
    sqlite3 *other = NULL;

    (void)state;
    add_record(&file, &a, 0, "text");
    leave_file(&file, 0, 0, 0);
    assert_int_equal(sqlite3_open(database_path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_true(is_error(recover_replies(db)));
    assert_int_equal(journal_folder(), -1);
    sqlite3_close(other);
    assert_true(is_there(0, 0, 0));
    recover();
    assert_reply(&a, "text", "interrupted");
    assert_false(is_there(0, 0, 0));
}

/* Two servers on one DATA_DIR, with PostgreSQL: neither takes the other's files, and a later one those of both. */
static void another_servers_folder_is_left_alone(void **state)
{
    struct id a = add_reply(), b = add_reply();
    struct buf file = {0};
    char path[128];
    int fd;

    (void)state;
    add_record(&file, &a, 0, "theirs");
    leave_file(&file, 0, 0, 0);
    add_record(&file, &b, 0, "ours");
    leave_file(&file, 1, 0, 0);
    snprintf(path, sizeof(path), "%s/replies/0/lock", directory);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    recover();
    assert_reply(&a, "", "interrupted");
    assert_reply(&b, "ours", "interrupted");
    assert_true(is_there(0, 0, 0));
    close(fd);
    run(SQL_REPLY_SAVE, DB_ARGS(uuid(&team_id), uuid(&a), db_text(STR("")), db_text(STR("streaming")), db_null(), db_null(),
                                db_json(STR("{}"))));
    add_record(&file, &b, 0, "ours and more");
    leave_file(&file, 1, 0, 0);
    recover();
    assert_reply(&a, "theirs", "interrupted");
    assert_false(is_there(0, 0, 0) || is_there(1, 0, 0));
}

static void ten_thousand_replies_are_recovered_in_little_time(void **state)
{
    struct buf file = {0};
    struct id last = add_reply();
    sqlite3 *other = NULL;
    uint64_t began_ms;

    (void)state;
    assert_int_equal(sqlite3_open(database_path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(other, 5000), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    for (unsigned i = 0; i < 10000; i++) {
        struct id reply = id_v7();
        char sql[400], text[200];

        snprintf(sql, sizeof(sql),
                 "INSERT INTO messages (id, team_id, chat_id, seq, role, content, status, created_at) SELECT '%s', team_id,"
                 " chat_id, %u, 'assistant', '', 'streaming', 0 FROM messages WHERE id = '%s'",
                 reply.text, 10 + i, last.text);
        assert_int_equal(sqlite3_exec(other, sql, NULL, NULL, NULL), SQLITE_OK);
        snprintf(text, sizeof(text), "%0180u", i);
        add_record(&file, &reply, 0, text);
    }
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    leave_file(&file, 0, 0, 0);
    began_ms = clock_mono_ms();
    recover();
    assert_true(clock_mono_ms() - began_ms < 5000 * patience()); /* a tenth of it, but for sanitizers and others on the machine */
    assert_int_equal(sqlite3_exec(other, "CREATE TEMP TABLE t (n CHECK (n = 10000)); INSERT INTO t SELECT count(*)"
                                         " FROM messages WHERE status = 'interrupted' AND length(content) = 180",
                                  NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
}

static int open_db(void **state)
{
    static char url[96];
    int64_t now = clock_wall_us();

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(database_path, sizeof(database_path), "%s/chat.db", directory);
    snprintf(url, sizeof(url), "sqlite:///%s", database_path);
    test_config.database.url = str_from(url);
    test_config.database.wait_ms = test_config.database.statement_ms = 200;
    test_config.data_dir = str_from(directory);
    must(db_open(&db, DB_OPEN_SERVER));
    must(db_migrate_up(db, &(int){0}));
    team_id = id_v4();
    user_id = id_v7();
    agent_id = id_v7();
    run(SQL_TEAM_ADD, DB_ARGS(uuid(&team_id), db_text(STR("T")), db_text(STR("t")), db_json(STR("{}")), db_time(now)));
    run(SQL_USER_ADD, DB_ARGS(uuid(&team_id), uuid(&user_id), db_text(STR("u@example.com")), db_text(STR("x")),
                              db_text(STR_NONE), db_text(STR("user")), db_time(now)));
    run(SQL_AGENT_ADD, DB_ARGS(uuid(&team_id), uuid(&agent_id), uuid(&user_id), db_text(STR("Echo")), db_text(STR_NONE),
                               db_text(STR("echo")), db_text(STR_NONE), db_text(STR_NONE), db_text(STR_NONE),
                               db_text(STR_NONE), db_json(STR("{}")), db_json(STR("[]")), db_bool(true), db_time(now)));
    return 0;
}

static int close_db(void **state)
{
    char command[128];

    (void)state;
    db_close(db);
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_is_put_together_from_all_files_of_its_loop),
        cmocka_unit_test(text_has_no_holes_and_no_half_characters),
        cmocka_unit_test(what_is_stored_already_stays),
        cmocka_unit_test(a_file_of_anything_else_does_no_harm),
        cmocka_unit_test(when_the_database_fails_the_files_stay),
        cmocka_unit_test(another_servers_folder_is_left_alone),
        cmocka_unit_test(ten_thousand_replies_are_recovered_in_little_time),
    };
    int failed;

    log_init(LOG_ERROR, STDERR_FILENO);
    if (is_error(config_load(&(struct config_sources){0}, &test_config)))
        return 1;
    config_set(&test_config);
    failed = cmocka_run_group_tests(tests, open_db, close_db);
    config_free(&test_config);
    return failed;
}
