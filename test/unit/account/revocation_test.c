/* What is revoked: by token, login, user, team; until it may be forgotten. */
#include "account/revocation.h"
#include "config/config.h"

#include "../cmocka_all.h"

#include <pthread.h>
#include <stdio.h>

static struct config settings = {.security = {.access_seconds = 1800}};
static struct caller who;

static int set_up(void **state)
{
    (void)state;
    config_set(&settings);
    who = (struct caller){.user_id = id_v7(),
                          .team_id = id_v4(),
                          .token_id = id_v7(),
                          .family = id_v7(),
                          .issued_at_us = 1000};
    return is_error(revocation_open());
}

static int tear_down(void **state)
{
    (void)state;
    revocation_close();
    return 0;
}

static void nobody_is_refused_by_an_empty_set(void **state)
{
    (void)state;
    assert_false(revocation_refuses(&who));
}

static void each_kind_refuses_what_was_issued_before(void **state)
{
    const struct {
        enum revoked_kind kind;
        struct str subject;
    } rows[] = {
        {REVOKED_TOKEN, id_str(&who.token_id)},
        {REVOKED_FAMILY, id_str(&who.family)},
        {REVOKED_USER, id_str(&who.user_id)},
        {REVOKED_TEAM, id_str(&who.team_id)},
    };

    for (size_t i = 0; i < 4; i++) {
        assert_true(revocation_add(rows[i].kind, rows[i].subject, 1001, 5000));
        assert_true(revocation_refuses(&who));
        tear_down(state);
        assert_false(is_error(revocation_open()));
        assert_true(revocation_add(rows[i].kind, rows[i].subject, 1000, 5000));
        assert_false(revocation_refuses(&who)); /* issued at that moment: new */
        tear_down(state);
        assert_false(is_error(revocation_open()));
    }
}

static void kinds_and_subjects_do_not_mix(void **state)
{
    (void)state;
    assert_true(revocation_add(REVOKED_FAMILY, id_str(&who.user_id), 2000, 5000));
    assert_true(revocation_add(REVOKED_USER, id_str(&who.team_id), 2000, 5000));
    assert_false(revocation_refuses(&who));
    assert_true(revocation_has(REVOKED_FAMILY, id_str(&who.user_id), 1999));
    assert_false(revocation_has(REVOKED_FAMILY, id_str(&who.team_id), 0));
    assert_false(revocation_add(REVOKED_FAMILY, STR("no id"), 2000, 5000));
    assert_false(revocation_has(REVOKED_FAMILY, STR(""), 0));
}

static void of_two_the_later_moment_counts(void **state)
{
    (void)state;
    assert_true(revocation_add(REVOKED_USER, id_str(&who.user_id), 2000, 5000));
    assert_true(revocation_add(REVOKED_USER, id_str(&who.user_id), 500, 4000));
    assert_true(revocation_refuses(&who));
    assert_int_equal(revocation_count(), 1);
    revocation_drop_expired(4500);
    assert_true(revocation_refuses(&who));
}

static void what_has_expired_is_dropped_and_nothing_else(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct id id = id_v7();

        assert_true(revocation_add(REVOKED_TOKEN, id_str(&id), 2000, 3000));
    }
    assert_true(revocation_add(REVOKED_USER, id_str(&who.user_id), 2000, 5000));
    revocation_drop_expired(3000);
    assert_int_equal(revocation_count(), 1);
    assert_true(revocation_refuses(&who));
}

static void rows_of_the_table_are_taken_in_and_unknown_kinds_passed_over(void **state)
{
    struct db_cell cells[] = {
        {.number = 7},
        {.text = STR("user")},
        {.text = id_str(&who.user_id)},
        {.number = 2000},
        {.number = 5000},
        {.number = 9},
        {.text = STR("future")},
        {.text = id_str(&who.user_id)},
        {.number = 2000},
        {.number = 5000},
    };
    const struct db_result rows = {.n_rows = 2, .n_columns = 5, .cells = cells};
    int64_t pos = 0;

    (void)state;
    assert_true(revocation_add_rows(&rows, &pos));
    assert_int_equal(pos, 9);
    assert_true(revocation_refuses(&who));
}

static void *read_all_the_time(void *arg)
{
    for (int i = 0; i < 20000; i++)
        (void)revocation_refuses(arg);
    return NULL;
}

static void readers_go_on_while_others_write(void **state)
{
    pthread_t readers[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_all_the_time, &who), 0);
    for (int i = 0; i < 2000; i++) {
        struct id id = id_v7();

        assert_true(revocation_add(REVOKED_TOKEN, id_str(&id), 2000, i));
        if (i % 100 == 0)
            revocation_drop_expired(i);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    assert_false(revocation_refuses(&who));
}

static void a_revocation_outlives_every_token_made_before_it(void **state)
{
    (void)state;
    assert_true(revocation_expiry(1000) > 1000 + 1800 * (int64_t)1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_is_refused_by_an_empty_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_kind_refuses_what_was_issued_before, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(kinds_and_subjects_do_not_mix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_two_the_later_moment_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_expired_is_dropped_and_nothing_else, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            rows_of_the_table_are_taken_in_and_unknown_kinds_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(readers_go_on_while_others_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_revocation_outlives_every_token_made_before_it, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
