/* Comparing embeddings: the products are right, and the best are kept in order. */
#include "document/vector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float noise(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return (float)((*seed >> 8) % 20001) / 10000 - 1;
}

static void a_product_is_right_at_every_length_and_address(void **state)
{
    unsigned seed = 7;

    (void)state;
    for (size_t n = 1; n <= 70; n++) {
        float *a = malloc(n * sizeof(*a)), b;
        char *bytes = malloc(n * sizeof(*a) + 3);
        double expected = 0;

        assert_non_null(a);
        assert_non_null(bytes);
        for (size_t i = 0; i < n; i++) {
            a[i] = noise(&seed);
            b = noise(&seed);
            memcpy(bytes + 3 + i * sizeof(b), &b, sizeof(b));
            expected += (double)a[i] * b;
        }
        assert_true(fabs(vector_dot(a, bytes + 3, n) - expected) < 1e-5);
        free(a);
        free(bytes);
    }
}

struct offer {
    char id[ID_LEN + 1];
    float similarity;
};

static int by_rank(const void *a, const void *b)
{
    const struct offer *x = a, *y = b;

    if (x->similarity != y->similarity)
        return x->similarity > y->similarity ? -1 : 1;
    return strcmp(x->id, y->id);
}

static void the_best_are_kept_in_order(void **state)
{
    static struct offer offers[1000];
    unsigned seed = 3;

    (void)state;
    for (size_t max = 1; max <= TOP_MAX; max += 7) {
        struct top top = {.max = max};

        for (size_t i = 0; i < 1000; i++) {
            snprintf(offers[i].id, sizeof(offers[i].id), "00000000-0000-7000-8000-%012u",
                     (unsigned)(i * 7919 % 1000));
            offers[i].similarity = roundf(noise(&seed) * 100) / 100; /* many are equal */
            top_offer(&top, str_from(offers[i].id), offers[i].similarity);
        }
        top_offer(&top, str_from(offers[0].id), NAN);
        qsort(offers, 1000, sizeof(offers[0]), by_rank);
        assert_int_equal(top.n, max);
        for (size_t i = 0; i < max; i++)
            assert_string_equal(top.items[i].id.text, offers[i].id);
    }
}

static void fewer_than_wanted_are_all_kept(void **state)
{
    struct top top = {.max = 5};

    (void)state;
    top_offer(&top, STR("00000000-0000-7000-8000-000000000001"), -0.5f);
    top_offer(&top, STR("00000000-0000-7000-8000-000000000002"), 0.5f);
    top_offer(&top, STR("no id"), 1);
    assert_int_equal(top.n, 2);
    assert_true(top.items[0].similarity > top.items[1].similarity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_is_right_at_every_length_and_address),
        cmocka_unit_test(the_best_are_kept_in_order),
        cmocka_unit_test(fewer_than_wanted_are_all_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
