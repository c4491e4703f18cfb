/* The log's files: days, what goes, what is dropped; and what a line looks like in each format. */
#include "base/clock.h"
#include "base/log.h"
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)
/* 2026-11-20T19:35:02.123456Z */
#define EVENING INT64_C(1795203302123456)

static struct clock_source now = {.mono_ms = 5};
static char folder[64], path[512];

static void set_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

static void set_time(int64_t wall_us)
{
    now.wall_us = wall_us;
    clock_set_source(&now);
}

static int open_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/aerie-log-XXXXXX");
    set_zone("UTC0");
    set_time(EVENING);
    log_init(LOG_INFO, STDERR_FILENO);
    return mkdtemp(folder) ? 0 : -1;
}

static const char *named(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static bool is_there(const char *name)
{
    return access(named(name), F_OK) == 0;
}

static int drop_folder(void **state)
{
    DIR *dir;
    struct dirent *entry;

    (void)state;
    log_close();
    log_set_format(LOG_PLAIN);
    log_set_access(false);
    clock_set_source(NULL);
    dir = opendir(folder);
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.' && unlink(named(entry->d_name)) != 0)
            rmdir(named(entry->d_name));
    closedir(dir);
    return rmdir(folder);
}

static void open_days(unsigned keep_days)
{
    const struct log_files files = {
        .path = folder, .is_daily = true, .keep_days = keep_days, .buffer_bytes = 1 << 20};

    assert_int_equal(log_open(&files), 0);
}

static void open_one(const char *name, size_t buffer_bytes)
{
    const struct log_files files = {.path = named(name), .buffer_bytes = buffer_bytes};

    assert_int_equal(log_open(&files), 0);
}

static struct str text_of(const char *name)
{
    static char text[65536];
    FILE *file = fopen(named(name), "r");
    size_t n;

    if (!file)
        return STR_NONE;
    n = fread(text, 1, sizeof(text), file);
    fclose(file);
    return (struct str){text, n};
}

static void touch(const char *name)
{
    close(open(named(name), O_WRONLY | O_CREAT, 0600));
}

/* ---- formats ---- */

static const struct log_access one_request = {
    .method = "GET",
    .path = {"/api/\"x\"", 8},
    .status = 200,
    .bytes = 345,
    .ms = 7,
    .request_id = {"r-1", 3},
    .address = {"192.0.2.7", 9},
    .team_id = {"t", 1},
    .ended = "complete",
};

static void each_format_says_time_level_logger_and_text(void **state)
{
    static const struct {
        enum log_format format;
        const char *text;
    } rows[] = {
        {LOG_PLAIN, "2026-11-20T19:35:02.123Z WARN m: \"a\\n\" \xc3\xa9\n"
                    "2026-11-20T19:35:02.123Z INFO access: GET /api/\"x\" 200 345 bytes 7 ms "
                    "request=r-1 address=192.0.2.7 team=t ended=complete\n"},
        {LOG_DASHES, "2026-11-20 19:35:02 - aerie - WARNING - m: \"a\\n\" \xc3\xa9\n"
                     "2026-11-20 19:35:02 - aerie.access - INFO - GET /api/\"x\" 200 345 bytes 7 ms "
                     "request=r-1 address=192.0.2.7 team=t ended=complete\n"},
        {LOG_JSON, "{\"time\":\"2026-11-20T19:35:02.123Z\",\"level\":\"warn\",\"logger\":\"aerie\","
                   "\"message\":\"m: \\\"a\\n\\\" \xc3\xa9\"}\n"
                   "{\"time\":\"2026-11-20T19:35:02.123Z\",\"level\":\"info\",\"logger\":"
                   "\"aerie.access\",\"method\":\"GET\",\"path\":\"/api/\\\"x\\\"\",\"status\":200,"
                   "\"bytes\":345,\"duration_ms\":7,\"request_id\":\"r-1\",\"address\":\"192.0.2.7\","
                   "\"team_id\":\"t\",\"ended\":\"complete\"}\n"},
    };

    (void)state;
    log_set_access(true);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        log_set_format(rows[i].format);
        open_one("log", 1 << 20);
        log_warn("m: \"a\n\" \xc3\xa9");
        log_access(&one_request);
        log_close();
        assert_str(text_of("log"), rows[i].text);
        unlink(named("log"));
    }
}

static void a_json_line_escapes_what_json_must(void **state)
{
    static char text[9001];
    struct str line;

    (void)state;
    log_set_format(LOG_JSON);
    open_one("log", 1 << 20);
    log_info("m: \x1b\x7f\\ \xc2\x9b \t key=eck_0123456789abcdef");
    log_flush();
    assert_true(str_ends_with(text_of("log"),
                              STR("\"m: \\u001b\\u007f\\\\ \\u009b \\t key=[redacted]\"}\n")));
    log_info("m: \xff\"");
    log_flush();
    assert_true(str_ends_with(text_of("log"), STR("\"m: \\\\xff\\\"\"}\n")));
    memset(text, 1, sizeof(text) - 1); /* each comes out six times as long */
    log_info("%s", text);
    log_flush();
    line = text_of("log");
    assert_true(str_ends_with(line, STR("\\u0001\"}\n")) || str_ends_with(line, STR("...\"}\n")));
}

static void a_request_has_a_line_where_that_is_on_or_at_debug(void **state)
{
    (void)state;
    assert_false(log_access_is_on());
    log_access(&one_request);
    log_set_level(LOG_DEBUG);
    assert_true(log_access_is_on());
    log_set_level(LOG_INFO);
    log_set_access(true);
    assert_true(log_access_is_on());
    log_set_level(LOG_WARN);
    assert_false(log_access_is_on());
}

/* ---- days ---- */

static void lines_across_midnight_are_in_the_file_of_their_day(void **state)
{
    const int64_t midnight = EVENING - EVENING % DAY + DAY;

    (void)state;
    set_time(midnight - 1);
    open_days(30);
    for (int i = 0; i < 100; i++) {
        set_time(midnight - 1);
        log_info("m: old %d", i);
        set_time(midnight);
        log_info("m: new %d", i);
        log_flush();
        assert_true(str_contains(text_of("20261121_LOG.log"), STR("new")));
        assert_false(str_contains(text_of("20261121_LOG.log"), STR("old")));
        assert_false(str_contains(text_of("20261120_LOG.log"), STR("new")));
    }
    assert_true(str_contains(text_of("20261120_LOG.log"), STR("old 99\n")));
    assert_true(str_contains(text_of("20261121_LOG.log"), STR("new 99\n")));
}

static void the_day_turns_and_old_files_go_when_nothing_is_logged(void **state)
{
    (void)state;
    touch("20261119_LOG.log");
    open_days(1);
    assert_true(is_there("20261120_LOG.log"));
    assert_true(is_there("20261119_LOG.log"));
    set_time(EVENING + DAY);
    log_flush();
    assert_true(is_there("20261121_LOG.log"));
    assert_true(is_there("20261120_LOG.log"));
    assert_false(is_there("20261119_LOG.log"));
}

static void the_day_is_that_of_the_machines_time_zone(void **state)
{
    (void)state;
    set_zone("JST-9");
    set_time(EVENING + DAY); /* another quarter of an hour than other tests asked for */
    log_set_format(LOG_DASHES);
    open_days(30);
    log_info("m: x");
    log_flush();
    assert_str(text_of("20261122_LOG.log"), "2026-11-22 04:35:02 - aerie - INFO - m: x\n");
}

static void nothing_but_old_files_of_that_name_is_deleted(void **state)
{
    static const char *const stay[] = {
        "20261020_LOG.log",  "20261021_LOG.log",   "20261121_LOG.log",    "20261340_LOG.log",
        "20200101_LOG.log~", "20200101_log.log",   "020200101_LOG.log",   "2020010_LOG.log",
        "20200101_LOG.txt",  "x20200101_LOG.log",  "20200230_LOG.log",    "20200101_LOG.log.gz",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(stay) / sizeof(stay[0]); i++)
        touch(stay[i]);
    touch("20261019_LOG.log"); /* 32 days ago */
    touch("20200229_LOG.log");
    mkdir(named("20200102_LOG.log"), 0700);
    assert_int_equal(symlink("/etc/passwd", named("20200103_LOG.log")), 0);
    open_days(31);
    for (size_t i = 0; i < sizeof(stay) / sizeof(stay[0]); i++)
        assert_true(is_there(stay[i]));
    assert_false(is_there("20261019_LOG.log"));
    assert_false(is_there("20200229_LOG.log"));
    assert_true(is_there("20200102_LOG.log"));
    assert_true(is_there("20200103_LOG.log"));
    assert_int_equal(log_reopen(30), 0);
    assert_false(is_there("20261020_LOG.log"));
    assert_true(is_there("20261021_LOG.log"));
}

static void a_directory_is_made_and_what_cannot_be_opened_is_told(void **state)
{
    struct log_files files = {.is_daily = true, .keep_days = 1, .buffer_bytes = 8192};

    (void)state;
    files.path = "/proc/no/such/place";
    assert_true(log_open(&files) != 0);
    files.path = named("20260101_LOG.d");
    assert_int_equal(log_open(&files), 0);
    log_info("m: x");
    log_flush();
    assert_true(is_there("20260101_LOG.d/20261120_LOG.log"));
    unlink(named("20260101_LOG.d/20261120_LOG.log"));
}

/* ---- one file ---- */

static void a_file_that_was_moved_is_begun_anew_and_no_line_is_lost(void **state)
{
    char moved[512];

    (void)state;
    open_one("log", 1 << 20);
    strcpy(moved, named("moved"));
    log_info("m: first");
    assert_int_equal(rename(named("log"), moved), 0);
    log_info("m: second");
    assert_int_equal(log_reopen(1), 0);
    log_info("m: third");
    log_flush();
    assert_true(str_ends_with(text_of("moved"), STR("INFO m: second\n")));
    assert_str(str_skip(text_of("log"), 30), "m: third\n");
}

static void a_full_disk_is_survived_and_told_once_it_is_over(void **state)
{
    uint64_t before = log_dropped(), lost;
    static char text[1 << 20];
    struct str rest, line;
    size_t len = 0;
    ssize_t n;
    int reader;

    (void)state;
    assert_int_equal(mkfifo(named("log"), 0600), 0);
    reader = open(named("log"), O_RDONLY | O_NONBLOCK); /* as full as a disk that nobody empties */
    open_one("log", 1 << 20);
    for (int i = 0; i < 3000; i++)
        log_info("m: a record of a good fifty bytes, to fill the pipe soon");
    log_flush();
    lost = log_dropped() - before;
    assert_true(lost > 0 && lost < 3000);
    while ((n = read(reader, text + len, sizeof(text) - len)) > 0)
        len += (size_t)n; /* the writer may say what was lost as soon as there is room */
    for (int i = 0; i < 3; i++) {
        log_info("m: room again");
        log_flush();
    }
    log_close();
    while ((n = read(reader, text + len, sizeof(text) - len)) > 0)
        len += (size_t)n;
    close(reader);
    assert_true(log_dropped() - before == lost);
    assert_true(str_contains((struct str){text, len}, STR("room again\n")));
    snprintf(path, sizeof(path), "WARN log: %llu records were dropped", (unsigned long long)lost);
    assert_true(str_contains((struct str){text, len}, str_from(path)));
    rest = (struct str){text, len};
    while (str_next(&rest, '\n', &line)) /* what was cut is ended before anything else is written */
        assert_true(!str_contains(line, STR("a record")) || !str_contains(line, STR("room again")));
}

static void a_record_that_finds_no_room_is_dropped_and_counted(void **state)
{
    uint64_t before = log_dropped();

    (void)state;
    open_one("log", 64);
    log_info("m: a record of more than the sixty-four bytes that are there for it");
    assert_true(log_dropped() == before + 1);
    log_info("m: short");
    log_flush();
    assert_true(log_dropped() == before + 1);
    assert_true(str_contains(text_of("log"), STR("m: short\n")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_folder, drop_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_format_says_time_level_logger_and_text),
        TEST(a_json_line_escapes_what_json_must),
        TEST(a_request_has_a_line_where_that_is_on_or_at_debug),
        TEST(lines_across_midnight_are_in_the_file_of_their_day),
        TEST(the_day_turns_and_old_files_go_when_nothing_is_logged),
        TEST(the_day_is_that_of_the_machines_time_zone),
        TEST(nothing_but_old_files_of_that_name_is_deleted),
        TEST(a_directory_is_made_and_what_cannot_be_opened_is_told),
        TEST(a_file_that_was_moved_is_begun_anew_and_no_line_is_lost),
        TEST(a_full_disk_is_survived_and_told_once_it_is_over),
        TEST(a_record_that_finds_no_room_is_dropped_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
