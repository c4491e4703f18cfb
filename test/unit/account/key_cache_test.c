/* Remembered API keys: how long a row is trusted, what forgets it, and what is never remembered. */
#include "account/key_cache.h"
#include "base/clock.h"
#include "config/config.h"

#include "../cmocka_all.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define N_COLUMNS 3
#define LIMIT     32

static struct config settings;
static struct clock_source now;
static struct arena arena;
static struct id team, other_team;
static struct api_key key;

static int set_up(void **state)
{
    (void)state;
    settings.limits.remembered_keys = LIMIT;
    config_set(&settings);
    now = (struct clock_source){.mono_ms = 5000000, .wall_us = INT64_C(1700000000000000)};
    clock_set_source(&now);
    team = id_v4();
    other_team = id_v4();
    api_key_new(&key);
    return is_error(key_cache_open());
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena); /* gives its rows back first */
    key_cache_close();
    clock_set_source(NULL);
    return 0;
}

/* Rows as a query gives them: a text, a NULL, an empty text. */
static struct key_row *put_text(const struct api_key *k, const struct key_look *look,
                                const char *text)
{
    char copy[32];
    struct db_cell cells[N_COLUMNS] = {
        {.text = {copy, strlen(text)}}, {.is_null = true}, {.text = STR("")}};
    const struct db_result rows = {.n_rows = 1, .n_columns = N_COLUMNS, .cells = cells};
    struct key_row *row;

    strcpy(copy, text);
    row = key_cache_put(k, &team, &rows, look, &arena);
    memset(copy, '?', sizeof(copy));
    assert_non_null(row);
    return row;
}

static void put(const struct api_key *k)
{
    struct key_look look;

    (void)key_cache_find(k, &arena, &look);
    (void)put_text(k, &look, "text");
}

static bool is_trusted(const struct api_key *k)
{
    struct key_look look;

    return key_cache_find(k, &arena, &look) != NULL;
}

static bool was_good(const struct api_key *k)
{
    struct key_look look;

    (void)key_cache_find(k, &arena, &look);
    return look.was_good;
}

static void a_row_is_what_was_put(void **state)
{
    struct key_look look;
    const struct db_result *r;

    (void)state;
    assert_null(key_cache_find(&key, &arena, &look));
    assert_false(look.was_good);
    r = key_row_result(put_text(&key, &look, "first"));
    assert_true(str_eq(db_get_text(r, 0, 0), STR("first")));
    r = key_row_result(key_cache_find(&key, &arena, &look));
    assert_true(str_eq(db_get_text(r, 0, 0), STR("first")));
    assert_true(db_is_null(r, 0, 1));
    assert_null(db_get_text(r, 0, 1).ptr);
    assert_non_null(db_get_text(r, 0, 2).ptr);
    /* it stays whole for who has it, whatever comes */
    now.mono_ms += KEY_TRUST_MS;
    assert_null(key_cache_find(&key, &arena, &look));
    (void)put_text(&key, &look, "second");
    key_cache_drop(&key);
    assert_true(str_eq(db_get_text(r, 0, 0), STR("first")));
}

static void a_row_is_trusted_for_less_than_a_second_from_its_question_on(void **state)
{
    struct key_look look;

    (void)state;
    (void)key_cache_find(&key, &arena, &look);
    now.mono_ms += 100; /* the database took its time */
    (void)put_text(&key, &look, "text");
    now.mono_ms += KEY_REFRESH_MS - 101;
    assert_true(is_trusted(&key));
    now.mono_ms += 1;
    assert_false(is_trusted(&key)); /* this one asks again */
    assert_true(is_trusted(&key));  /* the others do not */
    now.mono_ms += KEY_TRUST_MS - KEY_REFRESH_MS;
    for (int i = 0; i < 3; i++)
        assert_false(is_trusted(&key)); /* nor does one that was idle count on */
    assert_true(KEY_TRUST_MS < 1000);
}

static void an_answer_that_comes_late_does_not_take_the_place_of_a_newer_one(void **state)
{
    struct key_look early, late;

    (void)state;
    (void)key_cache_find(&key, &arena, &early);
    now.mono_ms += 300;
    (void)key_cache_find(&key, &arena, &late);
    (void)put_text(&key, &late, "new");
    (void)put_text(&key, &early, "old");
    assert_true(
        str_eq(db_get_text(key_row_result(key_cache_find(&key, &arena, &late)), 0, 0), STR("new")));
}

static void what_a_team_changes_is_asked_for_again(void **state)
{
    struct key_look look;

    (void)state;
    put(&key);
    key_cache_forget_team(&other_team);
    assert_true(is_trusted(&key));
    key_cache_forget_team(&team);
    assert_false(is_trusted(&key));
    assert_true(was_good(&key));
    put(&key);
    assert_true(is_trusted(&key));
    /* what was read before the change does not come in after it */
    now.mono_ms += KEY_TRUST_MS;
    assert_null(key_cache_find(&key, &arena, &look));
    key_cache_forget_team(&team);
    (void)put_text(&key, &look, "old");
    assert_false(is_trusted(&key));
}

static void a_key_was_good_for_ten_minutes_and_not_when_it_was_dropped(void **state)
{
    struct api_key wrong;

    (void)state;
    api_key_new(&wrong);
    assert_false(was_good(&wrong));
    assert_int_equal(key_cache_count(), 0); /* asking leaves nothing */
    put(&key);
    now.mono_ms += KEY_GOOD_MS - 1;
    assert_true(was_good(&key));
    now.mono_ms += 1;
    assert_false(was_good(&key));
    put(&key);
    key_cache_drop(&key);
    key_cache_drop(&wrong);
    assert_false(was_good(&key));
    assert_false(is_trusted(&key));
}

static void more_keys_than_are_remembered_push_the_quiet_ones_out(void **state)
{
    (void)state;
    put(&key);
    for (int i = 0; i < 20 * LIMIT; i++) {
        struct api_key another;

        api_key_new(&another);
        put(&another);
        assert_true(is_trusted(&another));
        assert_true(is_trusted(&key));
        assert_true(key_cache_count() <= LIMIT);
    }
}

static void a_use_is_due_once_a_minute(void **state)
{
    struct key_look look;
    struct key_row *row;

    (void)state;
    (void)key_cache_find(&key, &arena, &look);
    row = put_text(&key, &look, "text");
    assert_true(key_row_is_use_due(row, INT64_MIN));
    assert_false(key_row_is_use_due(row, INT64_MIN));
    /* also when the row is read again before the note is in it */
    now.mono_ms += KEY_TRUST_MS;
    now.wall_us += 59999999;
    (void)key_cache_find(&key, &arena, &look);
    row = put_text(&key, &look, "text");
    assert_false(key_row_is_use_due(row, INT64_MIN));
    now.wall_us += 1;
    assert_false(key_row_is_use_due(row, now.wall_us - 1000)); /* another process noted it */
    assert_true(key_row_is_use_due(row, now.wall_us - 60000000));
}

static void a_very_long_row_is_asked_for_each_time(void **state)
{
    static char text[20000];
    struct db_cell cells[1] = {{.text = {text, sizeof(text)}}};
    const struct db_result rows = {.n_rows = 1, .n_columns = 1, .cells = cells};
    struct key_look look;

    (void)state;
    (void)key_cache_find(&key, &arena, &look);
    assert_non_null(key_cache_put(&key, &team, &rows, &look, &arena));
    assert_false(is_trusted(&key));
    assert_true(was_good(&key));
}

static void *use_from_a_thread(void *state)
{
    const struct api_key *keys = state;

    for (int i = 0; i < 3000; i++) {
        const struct db_result *r;
        const struct api_key *k = &keys[i % 48];
        struct db_cell cells[1] = {{.text = STR("text")}};
        const struct db_result rows = {.n_rows = 1, .n_columns = 1, .cells = cells};
        struct key_look look;
        struct arena own = {0};
        struct key_row *row = key_cache_find(k, &own, &look);

        if (!row)
            row = key_cache_put(k, i % 2 ? &team : &other_team, &rows, &look, &own);
        r = key_row_result(row);
        if (!str_eq(db_get_text(r, 0, 0), STR("text")))
            abort();
        (void)key_row_is_use_due(row, INT64_MIN);
        if (i % 97 == 0)
            key_cache_forget_team(&team);
        if (i % 101 == 0)
            key_cache_drop(k);
        arena_free(&own);
    }
    return NULL;
}

static void threads_may_use_it_at_once(void **state)
{
    static struct api_key keys[48];
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 48; i++)
        api_key_new(&keys[i]);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_from_a_thread, keys), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_true(key_cache_count() <= LIMIT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_row_is_what_was_put),
        TEST(a_row_is_trusted_for_less_than_a_second_from_its_question_on),
        TEST(an_answer_that_comes_late_does_not_take_the_place_of_a_newer_one),
        TEST(what_a_team_changes_is_asked_for_again),
        TEST(a_key_was_good_for_ten_minutes_and_not_when_it_was_dropped),
        TEST(more_keys_than_are_remembered_push_the_quiet_ones_out),
        TEST(a_use_is_due_once_a_minute),
        TEST(a_very_long_row_is_asked_for_each_time),
        TEST(threads_may_use_it_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
