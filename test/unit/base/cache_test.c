/* The bounded table: who goes, and that threads may use it at once. */
#include "base/cache.h"

#include "../cmocka_all.h"

#include <stdatomic.h>
#include <string.h>

#define ENTRIES 64

struct element {
    struct cache_entry cached;
    unsigned number;
};

static struct cache cache;
static atomic_size_t n_dropped; /* elements of several shards go at once */

static void on_drop(struct cache_entry *e)
{
    (void)e;
    n_dropped++;
}

static int set_up(void **state)
{
    (void)state;
    n_dropped = 0;
    return !cache_open(&cache, ENTRIES, sizeof(struct element), on_drop);
}

static int tear_down(void **state)
{
    (void)state;
    cache_close(&cache);
    cache_close(&cache);
    return 0;
}

/* Spread over the shards as hashes are. */
static void make_key(unsigned n, char key[CACHE_KEY_BYTES])
{
    memset(key, 0, CACHE_KEY_BYTES);
    memcpy(key, &n, sizeof(n));
}

static void add(unsigned n)
{
    char key[CACHE_KEY_BYTES];
    struct cache_shard *s;
    struct element *e;

    make_key(n, key);
    s = cache_lock(&cache, key);
    e = (struct element *)cache_find_or_add(&cache, s, key);
    assert_non_null(e);
    assert_true(e->number == 0 || e->number == n);
    e->number = n;
    cache_unlock(s);
}

static bool has(unsigned n)
{
    char key[CACHE_KEY_BYTES];
    struct cache_shard *s;
    struct element *e;

    make_key(n, key);
    s = cache_lock(&cache, key);
    e = (struct element *)cache_find(s, key);
    if (e)
        assert_int_equal(e->number, n);
    cache_unlock(s);
    return e != NULL;
}

static void past_its_bound_the_longest_unasked_go(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 10 * ENTRIES; n++) {
        add(1);
        add(n);
        assert_true(has(n));
        assert_true(has(1));
        assert_true(cache_count(&cache) <= ENTRIES);
    }
    assert_int_equal(cache_count(&cache), ENTRIES);
    assert_int_equal(n_dropped, 9 * ENTRIES);
    assert_false(has(2));
    cache_close(&cache);
    assert_int_equal(n_dropped, 10 * ENTRIES);
}

static void what_is_removed_is_gone(void **state)
{
    char key[CACHE_KEY_BYTES];
    struct cache_shard *s;

    (void)state;
    add(7);
    make_key(7, key);
    s = cache_lock(&cache, key);
    cache_remove(&cache, s, cache_find(s, key));
    cache_unlock(s);
    assert_false(has(7));
    assert_int_equal(n_dropped, 1);
}

static void *use_from_a_thread(void *start)
{
    for (unsigned n = *(unsigned *)start; n < 20000; n++) {
        add(1 + n % (3 * ENTRIES));
        (void)has(1 + n % 50);
        if (n % 500 == 0)
            assert_true(cache_count(&cache) <= ENTRIES);
    }
    return NULL;
}

static void threads_may_use_it_at_once(void **state)
{
    unsigned starts[4] = {0, 31, 77, 1234};
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_from_a_thread, &starts[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(cache_count(&cache), ENTRIES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(past_its_bound_the_longest_unasked_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_removed_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(threads_may_use_it_at_once, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
