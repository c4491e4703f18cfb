/* The log, the clock and the table of statuses. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct clock_source noon = {.mono_ms = 5, .wall_us = INT64_C(1795203302123456)};
static int fds[2];

static int open_pipe(void **state)
{
    (void)state;
    clock_set_source(&noon);
    return pipe2(fds, O_NONBLOCK);
}

static int close_pipe(void **state)
{
    (void)state;
    clock_set_source(NULL);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

/* What one record came out as, without its "time LEVEL ". */
static struct str logged(void)
{
    static char line[8192];
    ssize_t n = read(fds[0], line, sizeof(line));

    return n < 0 ? STR_NONE : str_skip((struct str){line, (size_t)n}, 30);
}

static void a_record_is_one_line_with_time_and_level(void **state)
{
    char line[256];
    ssize_t n;

    (void)state;
    log_init(LOG_INFO, fds[1]);
    log_warn("db: %s after %d ms", "gone", 7);
    n = read(fds[0], line, sizeof(line));
    assert_str(((struct str){line, (size_t)n}),
               "2026-11-20T19:35:02.123Z WARN db: gone after 7 ms\n");
    log_debug("db: not on");
    assert_true(read(fds[0], line, sizeof(line)) < 0);
    log_init(LOG_TRACE, fds[1]);
    log_trace("db: on");
    assert_true(read(fds[0], line, sizeof(line)) > 0);
}

static void control_characters_are_escaped(void **state)
{
    (void)state;
    log_init(LOG_INFO, fds[1]);
    log_info("m: a\nb\r\t\x1b[31m\x7f\\ \xc2\x9b \xc3\xa9");
    assert_str(logged(), "m: a\\nb\\r\\t\\x1b[31m\\x7f\\\\ \\u009b \xc3\xa9\n");
    log_info("m: \xff\xc3\xa9");
    assert_str(logged(), "m: \\xff\\xc3\\xa9\n");
}

static void what_looks_like_a_secret_is_masked(void **state)
{
    (void)state;
    log_init(LOG_INFO, fds[1]);
    log_info("m: bearer abc.def \"Bearer xyz\" Bearer bearer xéy z Bearer");
    assert_str(logged(), "m: bearer [redacted] \"Bearer [redacted]\" Bearer [redacted] z Bearer\n");
    log_info("m: key=eck_0123456789abcdef?x (eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_-), done");
    assert_str(logged(), "m: key=[redacted]?x ([redacted]), done\n");
    log_info("m: eck_ eyJ sk-short check_12345678 disk-01234567890123456789");
    assert_str(logged(), "m: eck_ eyJ sk-short check_12345678 disk-01234567890123456789\n");
    log_info("m: sk-or-v1-0123456789abcdef");
    assert_str(logged(), "m: [redacted]\n");
}

static void addresses_of_people_are_masked(void **state)
{
    (void)state;
    log_init(LOG_INFO, fds[1]);
    log_info("m: GET /api/users/jane.doe+x@mail.example 404 <a@b.test>, jane%%40mail.example?");
    assert_str(logged(), "m: GET /api/users/[redacted] 404 <[redacted]>, [redacted]?\n");
    log_info("m: @home user@ 5 %% 40%% a.b.c");
    assert_str(logged(), "m: @home user@ 5 % 40% a.b.c\n");
}

static void a_long_record_is_cut_between_characters(void **state)
{
    static char text[9001];
    struct str line;

    (void)state;
    log_init(LOG_INFO, fds[1]);
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    log_info("m: %s", text);
    line = logged();
    assert_true(str_ends_with(line, STR("\xc3\xa9...\n")));
    assert_true(utf8_is_valid(line));
    memset(text, '\n', sizeof(text) - 1); /* each comes out twice as long */
    log_info("m: %s", text);
    line = logged();
    assert_true(str_ends_with(line, STR("\n")));
    assert_true(line.len + 30 <= 4096 && line.len > 4000);
}

static void a_full_pipe_drops_and_counts(void **state)
{
    uint64_t before = log_dropped();
    char line[4096];

    (void)state;
    fcntl(fds[1], F_SETFL, 0); /* a blocking one must not block either */
    log_init(LOG_INFO, fds[1]);
    for (int i = 0; i < 3000; i++)
        log_info("m: a record of a good fifty bytes, to fill the pipe soon");
    assert_true(log_dropped() > before);
    while (read(fds[0], line, sizeof(line)) > 0)
        continue;
    before = log_dropped();
    log_info("m: room again");
    assert_true(log_dropped() == before);
    assert_str(logged(), "m: room again\n");
}

static void a_full_socket_drops_and_counts(void **state)
{
    uint64_t before = log_dropped();
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    log_init(LOG_INFO, pair[0]);
    for (int i = 0; i < 20000; i++)
        log_info("m: a record of a good fifty bytes, to fill the socket");
    assert_true(log_dropped() > before);
    close(pair[0]);
    close(pair[1]);
}

static void level_names_are_known(void **state)
{
    enum log_level level;

    (void)state;
    assert_true(log_level_from(STR("Warn"), &level));
    assert_int_equal(level, LOG_WARN);
    assert_true(log_level_from(STR("trace"), &level));
    assert_int_equal(level, LOG_TRACE);
    assert_false(log_level_from(STR("verbose"), &level));
    assert_false(log_level_from(STR(""), &level));
}

static void times_are_rfc_3339(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } times[] = {
        {0, "1970-01-01T00:00:00Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {INT64_C(951782400000000), "2000-02-29T00:00:00Z"},
        {INT64_C(1709251199000001), "2024-02-29T23:59:59.000001Z"},
        {INT64_C(1709251200000000), "2024-03-01T00:00:00Z"},
        {INT64_C(4107542399999999), "2100-02-28T23:59:59.999999Z"},
        {INT64_C(4107542400000000), "2100-03-01T00:00:00Z"},
        {INT64_C(253402300799000000), "9999-12-31T23:59:59Z"},
        {INT64_C(-62135596800000000), "0001-01-01T00:00:00Z"},
    };
    char out[CLOCK_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        assert_str(clock_format(times[i].us, out), times[i].text);
    assert_true(clock_format(INT64_MIN, out).len < CLOCK_TEXT_BYTES);
    assert_true(clock_format(INT64_MAX, out).len < CLOCK_TEXT_BYTES);
    assert_int_equal(clock_mono_ms(), 5);
    assert_true(clock_wall_us() == noon.wall_us);
}

static void every_status_has_a_row(void **state)
{
    (void)state;
    for (enum status s = OK; s < N_STATUSES; s++) {
        const struct status_row *row = status_row(s);

        assert_true(row->http_status >= 200 && row->http_status < 600);
        assert_true(strlen(row->name) > 0 && strlen(row->detail) > 0);
        assert_true(row->log_level >= LOG_ERROR && row->log_level <= LOG_TRACE);
    }
    assert_string_equal(status_row(ERR_PROVIDER_TIMEOUT)->name, "provider_timeout");
    assert_int_equal(status_row(ERR_PROVIDER_TIMEOUT)->http_status, 504);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_record_is_one_line_with_time_and_level, open_pipe,
                                        close_pipe),
        cmocka_unit_test_setup_teardown(control_characters_are_escaped, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(what_looks_like_a_secret_is_masked, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(addresses_of_people_are_masked, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(a_long_record_is_cut_between_characters, open_pipe,
                                        close_pipe),
        cmocka_unit_test_setup_teardown(a_full_pipe_drops_and_counts, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(a_full_socket_drops_and_counts, open_pipe, close_pipe),
        cmocka_unit_test(level_names_are_known),
        cmocka_unit_test_setup_teardown(times_are_rfc_3339, open_pipe, close_pipe),
        cmocka_unit_test(every_status_has_a_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
