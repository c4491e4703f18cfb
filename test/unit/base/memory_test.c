/* The arena, the buffer and the map. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "unit.h"

#include <stdio.h>

static void an_arena_gives_aligned_zeroed_memory_of_any_size(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 400, 511, 512, 3000, 65536, 200000, 8};
    struct arena a = {0};

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            unsigned char *p = arena_alloc(&a, sizes[i]);

            assert_non_null(p);
            assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(p[k], 0);
            memset(p, 0xa5, sizes[i]);
        }
    }
    arena_free(&a);
    assert_null(a.chunks);
    assert_int_equal(a.used_bytes, 0);
}

static void an_arena_refuses_past_its_bound(void **state)
{
    struct arena a = {.max_bytes = 100};

    (void)state;
    assert_non_null(arena_alloc(&a, 64));
    assert_null(arena_alloc(&a, 64));
    assert_non_null(arena_alloc(&a, 32));
    assert_null(arena_alloc(&a, 16));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_copy(&a, STR("0123456789abcdef")).ptr);
    assert_null(arena_printf(&a, "%100d", 1).ptr);
    arena_free(&a);
}

static void copies_end_with_a_nul(void **state)
{
    struct arena a = {0};
    struct str copy = arena_copy(&a, (struct str){"hello", 2});

    (void)state;
    assert_str(copy, "he");
    assert_int_equal(copy.ptr[2], '\0');
    assert_non_null(arena_copy(&a, STR_NONE).ptr);
    assert_str(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    arena_free(&a);
}

static char order[8];

static void note(void *ptr)
{
    strncat(order, ptr, 1);
}

static void deferred_functions_run_newest_first(void **state)
{
    struct arena a = {0}, full = {.max_bytes = 1};

    (void)state;
    order[0] = '\0';
    assert_true(arena_defer(&a, note, "a"));
    assert_true(arena_defer(&a, note, "b"));
    assert_string_equal(order, "");
    arena_free(&a);
    assert_string_equal(order, "ba");
    assert_false(arena_defer(&full, note, "c"));
    assert_string_equal(order, "bac");
    arena_free(&full);
}

struct entry {
    struct map_node node;
    char key[16];
};

static void a_buffer_with_spare_room_grows_by_that_and_to_its_bound(void **state)
{
    struct buf b = {.max_bytes = 1000};

    (void)state;
    assert_true(buf_reserve_spare(&b, 600, 100));
    assert_int_equal(b.cap, 700);
    b.len = 650;
    assert_true(buf_reserve_spare(&b, 50, 500)); /* there is room */
    assert_int_equal(b.cap, 700);
    assert_true(buf_reserve_spare(&b, 51, 500));
    assert_int_equal(b.cap, 1000);
    assert_false(buf_reserve_spare(&b, 351, 0));
    assert_true(b.failed);
    buf_deinit(&b);
}

static void remove_odd(struct map_node *node, void *state)
{
    struct map *m = state;

    if (node->key.ptr[node->key.len - 1] % 2 == 1)
        map_remove(m, node);
}

static void a_map_finds_what_is_in_it_only(void **state)
{
    static struct entry entries[1000];
    struct map m;

    (void)state;
    assert_true(map_init(&m, 0));
    assert_null(map_find(&m, STR("key 1")));
    for (int i = 0; i < 1000; i++) {
        snprintf(entries[i].key, sizeof(entries[i].key), "key %d", i);
        map_insert(&m, &entries[i].node, str_from(entries[i].key));
    }
    assert_int_equal(m.count, 1000);
    assert_true(m.n_buckets >= 1000);
    map_each(&m, remove_odd, &m);
    assert_int_equal(m.count, 500);
    for (int i = 0; i < 1000; i++) {
        struct map_node *found = map_find(&m, str_from(entries[i].key));

        assert_ptr_equal(found, i % 2 ? NULL : &entries[i].node);
    }
    map_deinit(&m);
    assert_null(map_find(&m, STR("key 2")));
}

static void the_hash_depends_on_every_byte_and_the_length(void **state)
{
    char key[24] = {0};
    uint64_t seen[24 + 24];
    size_t n = 0;

    (void)state;
    for (size_t len = 1; len <= sizeof(key); len++)
        seen[n++] = map_hash((struct str){key, len});
    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = 1;
        seen[n++] = map_hash((struct str){key, sizeof(key)});
        key[i] = 0;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            assert_true(seen[i] != seen[k]);
    assert_true(map_hash(STR("same")) == map_hash(STR("same")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_gives_aligned_zeroed_memory_of_any_size),
        cmocka_unit_test(an_arena_refuses_past_its_bound),
        cmocka_unit_test(copies_end_with_a_nul),
        cmocka_unit_test(deferred_functions_run_newest_first),
        cmocka_unit_test(a_buffer_with_spare_room_grows_by_that_and_to_its_bound),
        cmocka_unit_test(a_map_finds_what_is_in_it_only),
        cmocka_unit_test(the_hash_depends_on_every_byte_and_the_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
