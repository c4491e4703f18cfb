/* Tokens a day: what fits, what is held and what is counted, over loads, midnights and many owners. */
#include "../cmocka_all.h"
#include "base/clock.h"
#include "chat/quota.h"
#include "chat/usage.h"
#include "config/config.h"

#define DAY_US  (24ll * 3600 * 1000000)
#define HOUR_US (3600ll * 1000000)

static struct config test_config;
static struct clock_source now;
static struct id owner;

static int set_up(void **state)
{
    (void)state;
    now = (struct clock_source){.mono_ms = 1, .wall_us = 20000 * DAY_US + 22 * HOUR_US};
    clock_set_source(&now);
    test_config.limits.tokens_per_day = 1000;
    test_config.limits.reply_tokens = 100;
    config_set(&test_config);
    owner = id_v7();
    return quota_open() ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    quota_close();
    clock_set_source(NULL);
    return 0;
}

static bool begin(struct quota *q)
{
    bool must_load;

    assert_false(is_error(quota_begin(q, &owner, &must_load)));
    return must_load;
}

static struct error reserve(struct quota *q, int64_t used, int64_t prompt, int64_t *left)
{
    int64_t limit;
    struct error err = quota_reserve(q, used, prompt, &limit, left);

    assert_int_equal(limit, test_config.limits.tokens_per_day);
    return err;
}

/* A whole turn; false: it was refused. */
static bool spend(int64_t tokens)
{
    struct quota q = {0};
    int64_t left;
    bool must_load = begin(&q), fits = !is_error(reserve(&q, must_load ? 0 : -1, 0, &left));

    quota_settle(&q, fits ? tokens : 0);
    return fits;
}

static void what_is_held_counts_until_it_is_settled(void **state)
{
    struct quota a = {0}, b = {0};
    int64_t left;

    (void)state;
    assert_true(begin(&a));
    assert_false(is_error(reserve(&a, 500, 50, &left)));
    assert_int_equal(left, 350);
    assert_false(begin(&b));
    assert_false(is_error(reserve(&b, -1, 200, &left)));
    assert_int_equal(left, 50);
    quota_settle(&a, 10);
    quota_settle(&b, 0);
    assert_false(begin(&a));
    assert_false(is_error(reserve(&a, -1, 0, &left)));
    assert_int_equal(left, 1000 - 510 - 100);
    quota_settle(&a, 0);
}

static void what_does_not_fit_is_refused_until_midnight_and_holds_nothing(void **state)
{
    struct quota q = {0};
    struct error err;
    int64_t left;

    (void)state;
    assert_true(begin(&q));
    err = reserve(&q, 900, 1, &left);
    assert_int_equal(err.status, ERR_RATE_LIMITED);
    assert_int_equal(err.code, 2 * 3600);
    assert_int_equal(left, 100);
    quota_settle(&q, 0);
    begin(&q);
    assert_false(is_error(reserve(&q, -1, 0, &left))); /* exactly what is left */
    assert_int_equal(left, 0);
    quota_settle(&q, 5000); /* a reply may be longer than expected: the next one is refused */
    begin(&q);
    assert_int_equal(reserve(&q, -1, 0, &left).status, ERR_RATE_LIMITED);
    assert_int_equal(left, 0);
    quota_settle(&q, 0);
}

static void the_limit_is_passed_by_no_more_than_what_running_replies_exceed_their_hold(void **state)
{
    struct quota running[50] = {0};
    unsigned n = 0;
    int64_t left;

    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        begin(&running[i]);
        if (!is_error(reserve(&running[i], 0, 25, &left)))
            n++;
    }
    assert_int_equal(n, 8); /* of 125 each */
    for (unsigned i = 0; i < 50; i++)
        quota_settle(&running[i], i < 8 ? 130 : 0);
    begin(&running[0]);
    assert_int_equal(reserve(&running[0], -1, 0, &left).status, ERR_RATE_LIMITED);
    quota_settle(&running[0], 0);
}

static void of_two_that_read_the_table_the_second_changes_nothing(void **state)
{
    struct quota a = {0}, b = {0};
    int64_t left;

    (void)state;
    assert_true(begin(&a));
    assert_true(begin(&b));
    assert_false(is_error(reserve(&a, 100, 0, &left)));
    quota_settle(&a, 300); /* stored, too, but b had read before */
    assert_false(is_error(reserve(&b, 100, 0, &left)));
    assert_int_equal(left, 1000 - 400 - 100);
    quota_settle(&b, 0);
}

static void midnight_begins_a_new_count(void **state)
{
    struct quota over = {0}, q = {0};
    int64_t left;

    (void)state;
    assert_true(begin(&over));
    assert_false(is_error(reserve(&over, 900, 0, &left)));
    assert_false(spend(1));
    now.wall_us += 2 * HOUR_US;
    assert_false(begin(&q)); /* nothing to read: the day is young */
    assert_false(is_error(reserve(&q, -1, 0, &left)));
    assert_int_equal(left, 800); /* beside the turn that runs since yesterday */
    quota_settle(&over, 250); /* whose row is today's */
    quota_settle(&q, 0);
    begin(&q);
    assert_false(is_error(reserve(&q, -1, 0, &left)));
    assert_int_equal(left, 1000 - 250 - 100);
    quota_settle(&q, 0);
}

static void what_was_read_before_midnight_does_not_count_after_it(void **state)
{
    struct quota q = {0};
    int64_t left;

    (void)state;
    assert_true(begin(&q));
    now.wall_us += 2 * HOUR_US;
    assert_false(is_error(reserve(&q, 1000, 0, &left)));
    assert_int_equal(left, 900);
    quota_settle(&q, 0);
}

static void a_limit_of_zero_is_off(void **state)
{
    struct quota q = {0};
    int64_t limit, left;
    bool must_load;

    (void)state;
    test_config.limits.tokens_per_day = 0;
    assert_false(is_error(quota_begin(&q, &owner, &must_load)));
    assert_false(must_load);
    assert_false(is_error(quota_reserve(&q, -1, INT64_MAX / 2, &limit, &left)));
    assert_int_equal(limit, 0);
    quota_settle(&q, 1);
}

static void a_flood_of_owners_forgets_the_quiet_and_never_those_with_a_turn(void **state)
{
    struct id busy = owner, quiet = id_v7();
    struct quota running = {0}, q = {0};
    int64_t left;

    (void)state;
    assert_true(begin(&running));
    assert_false(is_error(reserve(&running, 300, 0, &left)));
    owner = quiet;
    assert_true(spend(10));
    for (unsigned i = 0; i < 100000; i++) {
        owner = id_v7();
        assert_true(spend(1));
    }
    owner = quiet;
    assert_true(begin(&q)); /* it is read again */
    quota_settle(&q, 0);
    owner = busy;
    assert_false(begin(&q));
    assert_false(is_error(reserve(&q, -1, 0, &left)));
    assert_int_equal(left, 1000 - 300 - 100 - 100);
    quota_settle(&q, 0);
    quota_settle(&running, 0);
}

static void tokens_are_told_or_estimated(void **state)
{
    const struct upstream_usage told = {.prompt_tokens = 5, .completion_tokens = 2, .total_tokens = 9, .is_known = true};
    const struct upstream_usage nothing = {0};
    struct buf out = {0};
    struct usage u;

    (void)state;
    assert_int_equal(usage_estimate(0), 0);
    assert_int_equal(usage_estimate(1), 1);
    assert_int_equal(usage_estimate(8), 2);
    u = usage_of(&told, 1000, 1000);
    assert_int_equal(u.total_tokens, 9);
    usage_write(&out, &u);
    assert_true(str_eq(buf_str(&out), STR("{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":9}")));
    buf_clear(&out);
    u = usage_of(&nothing, 9, 4);
    usage_write(&out, &u);
    assert_true(str_eq(buf_str(&out), STR("{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4,\"estimated\":true}")));
    assert_int_equal(usage_of(&nothing, 9, 0).total_tokens, 0); /* nothing came */
    assert_int_equal(usage_day(20000 * DAY_US + 1), 20000 * DAY_US);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_held_counts_until_it_is_settled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused_until_midnight_and_holds_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_limit_is_passed_by_no_more_than_what_running_replies_exceed_their_hold, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(of_two_that_read_the_table_the_second_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(midnight_begins_a_new_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_read_before_midnight_does_not_count_after_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_limit_of_zero_is_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_of_owners_forgets_the_quiet_and_never_those_with_a_turn, set_up, tear_down),
        cmocka_unit_test(tokens_are_told_or_estimated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
