/* Rates: what passes, how long to wait, and a table that stays bounded. */
#include "account/rate.h"
#include "base/cache.h"
#include "base/clock.h"
#include "base/crypto.h"

#include "../cmocka_all.h"

#include <stdio.h>
#include <string.h>

#define MINUTE 60000

static struct clock_source now;

static int set_up(void **state)
{
    (void)state;
    now = (struct clock_source){.mono_ms = 1000000, .wall_us = 0};
    clock_set_source(&now);
    return is_error(rate_open());
}

static int tear_down(void **state)
{
    (void)state;
    rate_close();
    clock_set_source(NULL);
    return 0;
}

static unsigned take(const char *key)
{
    return rate_take(&(struct rate){RATE_LOGIN_ADDRESS, str_from(key), 5, MINUTE});
}

static void the_sixth_of_five_a_minute_waits(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(take("a"), 0);
    assert_true(take("a") > 0);
    assert_int_equal(take("b"), 0);
    assert_int_equal(rate_take(&(struct rate){RATE_LOGIN_ACCOUNT, STR("a"), 5, MINUTE}), 0);
}

static void asking_for_the_wait_counts_nothing(void **state)
{
    (void)state;
    assert_int_equal(rate_wait(&(struct rate){RATE_LOGIN_ADDRESS, STR("a"), 5, MINUTE}), 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(rate_wait(&(struct rate){RATE_LOGIN_ADDRESS, STR("a"), 5, MINUTE}), 0);
        assert_int_equal(take("a"), 0);
    }
    assert_int_equal(rate_wait(&(struct rate){RATE_LOGIN_ADDRESS, STR("a"), 5, MINUTE}), take("a"));
    assert_true(rate_wait(&(struct rate){RATE_LOGIN_ADDRESS, STR("a"), 5, MINUTE}) > 0);
    assert_int_equal(rate_wait(&(struct rate){RATE_LOGIN_ADDRESS, STR("a"), 0, MINUTE}), 0);
    assert_int_equal(rate_wait(&(struct rate){RATE_LOGIN_ACCOUNT, STR("a"), 5, MINUTE}), 0);
}

static void after_the_told_wait_one_passes(void **state)
{
    (void)state;
    for (unsigned start = 0; start < 130000; start += 7919) {
        char key[16];
        unsigned wait;

        snprintf(key, sizeof(key), "k%u", start);
        /* three at once, two later, so that windows of both fillings are met */
        for (int i = 0; i < 3; i++)
            assert_int_equal(take(key), 0);
        now.mono_ms += start;
        while ((wait = take(key)) == 0)
            continue;
        now.mono_ms += (uint64_t)wait * 1000 - 1000;
        if (wait > 1)
            assert_true(take(key) > 0);
        now.mono_ms += 1000;
        assert_int_equal(take(key), 0);
    }
}

static void in_the_long_run_the_limit_passes_and_not_more(void **state)
{
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        now.mono_ms += 97;
        if (take("x") == 0)
            n++;
    }
    assert_in_range(n, 20000 * 97 / (MINUTE / 5), 20000 * 97 / (MINUTE / 5) + 5);
}

static void who_was_refused_is_not_punished_longer(void **state)
{
    unsigned wait;

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(take("a"), 0);
    wait = take("a");
    for (int i = 0; i < 100; i++)
        assert_int_equal(take("a"), wait);
}

static void who_stays_within_the_limit_is_never_refused(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 5; i++)
            assert_int_equal(take("burst"), 0);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(take("steady"), 0);
            now.mono_ms += MINUTE / 5;
        }
    }
}

static void a_limit_of_zero_is_off(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rate_take(&(struct rate){RATE_USER_MESSAGES, STR("a"), 0, MINUTE}), 0);
}

static void a_flood_of_keys_evicts_the_quiet_ones_first(void **state)
{
    char key[16];

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(take("busy"), 0);
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(key, sizeof(key), "f%u", i);
        (void)take(key);
        if (i % 1000 == 0)
            assert_true(take("busy") > 0);
    }
}

/* Whoever knows how keys are spread over the table's shards would need a sixteenth of a flood. */
static void nobody_can_choose_whom_a_flood_evicts(void **state)
{
    unsigned char sum[SHA256_BYTES];
    char key[17] = {RATE_LOGIN_ADDRESS};
    unsigned shard;

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(take("victim"), 0);
    memcpy(key + 1, "victim", sizeof("victim"));
    crypto_sha256((struct str){key, 7}, sum);
    shard = sum[0] % CACHE_SHARDS;
    for (unsigned i = 0, n = 0; n < 2 * 65536 / CACHE_SHARDS; i++) {
        int len = snprintf(key + 1, sizeof(key) - 1, "f%u", i);

        crypto_sha256((struct str){key, (size_t)len + 1}, sum);
        if (sum[0] % CACHE_SHARDS != shard)
            continue;
        (void)take(key + 1);
        n++;
    }
    assert_true(take("victim") > 0);
}

static void a_long_key_is_cut_but_works(void **state)
{
    static char key[4096];

    (void)state;
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = 'k';
    for (int i = 0; i < 5; i++)
        assert_int_equal(rate_take(&(struct rate){RATE_LOGIN_ADDRESS, (struct str){key, sizeof(key)}, 5, MINUTE}),
                         0);
    assert_true(rate_take(&(struct rate){RATE_LOGIN_ADDRESS, (struct str){key, sizeof(key)}, 5, MINUTE}) > 0);
}

static void what_remains_is_told(void **state)
{
    struct rate_state told;

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(rate_take_and_tell(&(struct rate){RATE_LOGIN_ADDRESS, STR("a"), 5, MINUTE}, &told), 0);
        assert_int_equal(told.limit, 5);
        assert_int_equal(told.remaining, 4 - i);
        assert_int_equal(told.reset_s, 12 * (i + 1));
    }
    assert_int_equal(rate_take_and_tell(&(struct rate){RATE_LOGIN_ADDRESS, STR("a"), 5, MINUTE}, &told), 12);
    assert_int_equal(told.remaining, 0);
    now.mono_ms += 12000;
    assert_int_equal(rate_take_and_tell(&(struct rate){RATE_LOGIN_ADDRESS, STR("a"), 5, MINUTE}, &told), 0);
    assert_int_equal(told.remaining, 0);
    now.mono_ms += MINUTE;
    assert_int_equal(rate_take_and_tell(&(struct rate){RATE_LOGIN_ADDRESS, STR("a"), 5, MINUTE}, &told), 0);
    assert_int_equal(told.remaining, 4);
    assert_int_equal(rate_take_and_tell(&(struct rate){RATE_LOGIN_ADDRESS, STR("a"), 0, MINUTE}, &told), 0);
    assert_int_equal(told.limit, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(asking_for_the_wait_counts_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_sixth_of_five_a_minute_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_the_told_wait_one_passes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(in_the_long_run_the_limit_passes_and_not_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_was_refused_is_not_punished_longer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_stays_within_the_limit_is_never_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_limit_of_zero_is_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_of_keys_evicts_the_quiet_ones_first, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nobody_can_choose_whom_a_flood_evicts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_key_is_cut_but_works, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_remains_is_told, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
