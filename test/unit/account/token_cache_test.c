/* Remembered access tokens: the same answers as without, and a table that stays bounded. */
#include "account/token_cache.h"
#include "config/config.h"

#include "../cmocka_all.h"

#define NOW_US INT64_C(1700000000000000)
#define LIMIT  32

static struct config settings;
static struct arena arena;
static struct caller alice, bob;
static struct str hers, his;

static int set_up(void **state)
{
    (void)state;
    settings.security = (struct config_security){.secret = STR("0123456789abcdef0123456789abcdef"),
                                                 .access_seconds = 1800,
                                                 .previous_secret = STR("")};
    settings.limits.remembered_tokens = LIMIT;
    config_set(&settings);
    alice = (struct caller){
        .user_id = id_v7(), .team_id = id_v4(), .family = id_v7(), .is_admin = true};
    bob = (struct caller){.user_id = id_v7(), .team_id = id_v4(), .family = id_v7()};
    hers = token_issue(&arena, &alice, NOW_US);
    his = token_issue(&arena, &bob, NOW_US);
    return is_error(token_cache_open());
}

static int tear_down(void **state)
{
    (void)state;
    token_cache_close();
    arena_free(&arena);
    return 0;
}

static void is_of(struct str token, const struct caller *who)
{
    struct caller out;

    assert_true(token_check(token, NOW_US, &out));
    assert_string_equal(out.user_id.text, who->user_id.text);
    assert_string_equal(out.team_id.text, who->team_id.text);
    assert_string_equal(out.token_id.text, who->token_id.text);
    assert_string_equal(out.family.text, who->family.text);
    assert_int_equal(out.is_admin, who->is_admin);
    assert_int_equal(out.issued_at_us, who->issued_at_us);
    assert_int_equal(out.expires_at_us, who->expires_at_us);
}

static void tokens_in_turn_are_told_apart(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        is_of(hers, &alice);
        is_of(his, &bob);
    }
    assert_int_equal(token_cache_count(), 2);
}

/* The answer must come from the table: with another secret nothing verifies. */
static void a_signature_is_checked_once(void **state)
{
    (void)state;
    is_of(hers, &alice);
    settings.security.secret = STR("another-secret-that-signed-nothing");
    is_of(hers, &alice);
    struct caller out;

    assert_false(token_check(his, NOW_US, &out));
    assert_int_equal(token_cache_count(), 1); /* what is wrong is not remembered */
}

static void a_remembered_token_expires_all_the_same(void **state)
{
    struct caller out;

    (void)state;
    is_of(hers, &alice);
    assert_true(token_check(hers, alice.expires_at_us - 1, &out));
    assert_false(token_check(hers, alice.expires_at_us, &out));
    assert_false(token_check(hers, alice.expires_at_us + INT64_C(1000000000), &out));
}

static void a_clock_that_goes_back_is_seen(void **state)
{
    struct caller out;

    (void)state;
    is_of(hers, &alice);
    assert_false(token_check(hers, NOW_US - INT64_C(3600000000), &out));
}

static void a_token_that_differs_in_a_character_is_another(void **state)
{
    struct str copy = arena_copy(&arena, hers);
    struct caller out;

    (void)state;
    is_of(hers, &alice);
    for (size_t i = 0; i < copy.len; i += 7) {
        char *at = (char *)copy.ptr + i, was = *at;

        *at = was == 'A' ? 'B' : 'A';
        assert_false(token_check(copy, NOW_US, &out));
        *at = was;
    }
    assert_false(token_check(STR(""), NOW_US, &out));
    assert_int_equal(token_cache_count(), 1);
}

static void more_tokens_than_are_remembered_are_checked_again(void **state)
{
    (void)state;
    for (int i = 0; i < 10 * LIMIT; i++) {
        struct caller who = bob;

        is_of(token_issue(&arena, &who, NOW_US), &who);
        is_of(hers, &alice);
        assert_true(token_cache_count() <= LIMIT);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tokens_in_turn_are_told_apart),
        TEST(a_signature_is_checked_once),
        TEST(a_remembered_token_expires_all_the_same),
        TEST(a_clock_that_goes_back_is_seen),
        TEST(a_token_that_differs_in_a_character_is_another),
        TEST(more_tokens_than_are_remembered_are_checked_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
