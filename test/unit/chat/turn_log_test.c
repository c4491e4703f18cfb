/* The turn's log: numbers that rise and say which text a reader has, readers on other loops, the
 * end. */
#include "../cmocka_all.h"
#include "../sweep.h"
#include "chat/hub.h"
#include "chat/turn.h"
#include "chat/turn_log.h"
#include "config/config.h"

#include <string.h>

static struct loop loop;
static struct config test_config;

static struct turn_log *new_log(void)
{
    struct id team = id_v4(), user = id_v7(), chat = id_v7();
    struct turn_log *log = turn_log_new(&team, &user, &chat, STR(""), STR(""));

    assert_non_null(log);
    return log;
}

/* What a reader at n gets until there is no more: text joined, notices in brackets. */
static uint64_t read_all(struct turn_log *log, uint64_t n, size_t max_text, struct buf *out)
{
    struct log_event event;

    turn_log_lock(log);
    while (turn_log_next(log, n, max_text, &event)) {
        assert_true(event.n > n);
        n = event.n;
        if (event.notice.len > 0)
            buf_printf(out, "[%.*s]", STR_ARG(event.notice));
        else
            buf_append_str(out, event.text);
    }
    turn_log_unlock(log);
    return n;
}

static void assert_text(struct buf *out, const char *expected)
{
    assert_true(str_eq(buf_str(out), str_from(expected)));
    buf_deinit(out);
}

static void text_and_notices_come_in_the_order_of_writing(void **state)
{
    struct turn_log *log = new_log();
    struct buf out = {0};

    (void)state;
    turn_log_open(log);
    turn_log_notice(log, STR("a"));
    assert_true(turn_log_append(log, STR("one ")));
    assert_true(turn_log_append(log, STR("two ")));
    turn_log_notice(log, STR("b"));
    turn_log_notice(log, STR("c"));
    assert_true(turn_log_append(log, STR("three")));
    turn_log_close(log, STR("end"));
    assert_int_equal(read_all(log, 0, 1000, &out), turn_log_last(log));
    assert_text(&out, "[a]one two [b][c]three[end]");
    turn_log_unref(log);
}

static void a_reader_that_comes_back_at_any_number_misses_and_repeats_nothing(void **state)
{
    struct turn_log *log = new_log();
    struct log_event event;
    uint64_t n = 0;

    (void)state;
    turn_log_open(log);
    turn_log_notice(log, STR("a"));
    assert_true(turn_log_append(log, STR("Grüße ")));
    turn_log_notice(log, STR("b"));
    assert_true(turn_log_append(log, STR("日本語")));
    turn_log_close(log, STR("end"));
    while (turn_log_next(log, n, 5, &event)) { /* small pieces: many numbers to come back at */
        struct buf before = {0}, after = {0};
        uint64_t at = 0;
        struct log_event e;

        assert_true(utf8_is_valid(event.text));
        n = event.n;
        assert_true(turn_log_has(log, n));
        while (at < n && turn_log_next(log, at, 5, &e)) {
            at = e.n;
            if (e.notice.len > 0)
                buf_printf(&before, "[%.*s]", STR_ARG(e.notice));
            else
                buf_append_str(&before, e.text);
        }
        read_all(log, n, 1000, &after);
        buf_append_str(&before, buf_str(&after));
        buf_deinit(&after);
        assert_text(&before, "[a]Grüße [b]日本語[end]");
    }
    turn_log_unref(log);
}

static void a_number_past_the_end_or_inside_a_character_is_none(void **state)
{
    struct turn_log *log = new_log();

    (void)state;
    turn_log_open(log);
    assert_true(turn_log_append(log, STR("ü")));
    assert_true(turn_log_has(log, 0));
    assert_false(turn_log_has(log, 8));
    assert_true(turn_log_has(log, 16));
    assert_false(turn_log_has(log, 17));
    turn_log_close(log, STR("end"));
    assert_true(turn_log_has(log, 17));
    turn_log_unref(log);
}

static void too_many_notices_are_dropped_but_never_the_end(void **state)
{
    struct turn_log *log = new_log();
    struct buf out = {0};

    (void)state;
    turn_log_open(log);
    for (unsigned i = 0; i < 40; i++) {
        turn_log_notice(log, STR("x"));
        if (i % 2)
            assert_true(turn_log_append(log, STR(".")));
    }
    for (unsigned i = 0; i < 40; i++)
        turn_log_notice(log, STR("y"));
    turn_log_close(log, STR("end"));
    read_all(log, 0, 1000, &out);
    assert_true(str_ends_with(buf_str(&out), STR("[end]")));
    buf_deinit(&out);
    turn_log_unref(log);
}

static void a_reply_past_its_bound_is_refused_and_the_part_stays(void **state)
{
    struct turn_log *log = new_log();

    (void)state;
    turn_log_open(log);
    assert_true(turn_log_append(log, STR("0123456789")));
    assert_false(
        turn_log_append(log, STR("0123456789012345678901234567890123456789012345678901234567890")));
    assert_true(str_eq(turn_log_text(log), STR("0123456789")));
    turn_log_close(log, STR(""));
    turn_log_unref(log);
}

static void a_turn_that_began_ends_with_an_event_even_when_it_could_not_be_written(void **state)
{
    struct turn_log *log = new_log();
    struct log_event event;

    (void)state;
    turn_log_open(log);
    turn_log_close(log, STR(""));
    turn_log_lock(log);
    assert_true(turn_log_next(log, 0, 100, &event));
    assert_true(str_contains(event.notice, STR("\"type\":\"error\"")));
    assert_false(turn_log_next(log, event.n, 100, &event));
    turn_log_unlock(log);
    turn_log_unref(log);
}

/* ---- a reader on another loop ---- */

struct far_reader {
    struct loop loop;
    struct log_reader reader;
    struct turn_log *log;
    struct buf text;
    uint64_t n;
    uv_sem_t attached;
};

static void on_grow(struct log_reader *r)
{
    struct far_reader *far = container_of(r, struct far_reader, reader);
    bool is_closed = turn_log_phase(far->log) == TURN_LOG_CLOSED;

    far->n = read_all(far->log, far->n, 7, &far->text);
    if (is_closed) {
        turn_log_detach(far->log, r);
        loop_close(&far->loop);
    }
}

static void far_main(void *arg)
{
    struct far_reader *far = arg;

    assert_false(is_error(loop_init(&far->loop, 1)));
    assert_true(turn_log_attach(far->log, &far->reader, on_grow));
    uv_sem_post(&far->attached);
    loop_run(&far->loop);
    loop_deinit(&far->loop);
}

static void a_reader_on_another_loop_gets_all_of_it(void **state)
{
    static struct far_reader far;
    uv_thread_t thread;
    struct buf expected = {0};

    (void)state;
    test_config.upstream.reply_bytes = 1 << 20;
    memset(&far, 0, offsetof(struct far_reader, loop));
    far.log = new_log();
    uv_sem_init(&far.attached, 0);
    turn_log_open(far.log);
    assert_int_equal(uv_thread_create(&thread, far_main, &far), 0);
    uv_sem_wait(&far.attached);
    for (unsigned i = 0; i < 20000; i++) {
        char piece[16];
        struct str text = {piece, (size_t)snprintf(piece, sizeof(piece), "%u ", i)};

        assert_true(turn_log_append(far.log, text));
        buf_append_str(&expected, text);
    }
    turn_log_close(far.log, STR("end"));
    buf_append_str(&expected, STR("[end]"));
    uv_thread_join(&thread);
    assert_true(str_eq(buf_str(&far.text), buf_str(&expected)));
    buf_deinit(&far.text);
    buf_deinit(&expected);
    uv_sem_destroy(&far.attached);
    sweep_turn(&loop); /* the letter that says that nobody reads any more */
    turn_log_unref(far.log);
    test_config.upstream.reply_bytes = 64;
}

static void a_chat_has_one_turn_until_it_has_ended(void **state)
{
    struct id team = id_v4(), user = id_v7(), other = id_v7(), chat = id_v7();
    struct turn_log *first = turn_log_new(&team, &user, &chat, STR(""), STR(""));
    struct turn_log *second = turn_log_new(&team, &user, &chat, STR(""), STR(""));
    struct turn_log *strangers = turn_log_new(&team, &other, &chat, STR(""), STR(""));
    struct turn_log *found;

    (void)state;
    assert_null(hub_claim(first));
    found = hub_claim(second);
    assert_ptr_equal(found, first);
    turn_log_unref(found);
    assert_null(
        hub_claim(strangers)); /* whose chat it is was not settled yet: it must not matter */
    assert_true(hub_is_running(&chat, &user, id_str(&first->reply_id)));
    turn_log_close(first, STR("end"));
    assert_false(hub_is_running(&chat, &user, id_str(&first->reply_id)));
    assert_null(hub_claim(second));
    hub_remove(first); /* no longer the one of its chat: nothing happens */
    found = hub_find(&chat, &user);
    assert_ptr_equal(found, second);
    turn_log_unref(found);
    hub_remove(second);
    assert_null(hub_find(&chat, &user));
    hub_remove(strangers);
    turn_log_unref(first);
    turn_log_unref(second);
    turn_log_unref(strangers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_notices_come_in_the_order_of_writing),
        cmocka_unit_test(a_reader_that_comes_back_at_any_number_misses_and_repeats_nothing),
        cmocka_unit_test(a_number_past_the_end_or_inside_a_character_is_none),
        cmocka_unit_test(too_many_notices_are_dropped_but_never_the_end),
        cmocka_unit_test(a_reply_past_its_bound_is_refused_and_the_part_stays),
        cmocka_unit_test(a_turn_that_began_ends_with_an_event_even_when_it_could_not_be_written),
        cmocka_unit_test(a_reader_on_another_loop_gets_all_of_it),
        cmocka_unit_test(a_chat_has_one_turn_until_it_has_ended),
    };
    int failed;

    test_config.upstream.reply_bytes = 64;
    config_set(&test_config);
    if (is_error(loop_init(&loop, 0)) || !hub_open())
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hub_close();
    sweep_close_loop(&loop);
    return failed;
}
