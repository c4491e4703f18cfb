/* openapi.json as a document: what cannot be seen from outside, where the last of two equal keys
 * wins. */
#include "api/openapi.h"

#include "api/api.h"
#include "api/auth.h"
#include "base/json.h"
#include "config/config.h"

#include "../cmocka_all.h"

static yyjson_doc *read_document(void)
{
    struct buf text = {0};
    yyjson_doc *doc;

    openapi_write(&text, STR("/"));
    assert_false(text.failed);
    doc = yyjson_read(text.data, text.len, 0);
    assert_non_null(doc);
    buf_deinit(&text);
    return doc;
}

/* Two schemas of one name, two members of one schema, two routes of one name: all show as a key
 * that comes twice. */
static void check_keys(yyjson_val *val)
{
    yyjson_val *key, *member, *other;
    size_t i, n, k, m;

    if (yyjson_is_obj(val)) {
        yyjson_obj_foreach(val, i, n, key, member)
        {
            yyjson_obj_iter before;

            yyjson_obj_iter_init(val, &before);
            for (k = 0; k < i; k++) {
                other = yyjson_obj_iter_next(&before);
                if (yyjson_equals(key, other))
                    fail_msg("the key %s comes twice", yyjson_get_str(key));
            }
            check_keys(member);
        }
    }
    if (yyjson_is_arr(val)) {
        yyjson_arr_foreach(val, k, m, member) check_keys(member);
    }
}

static void no_key_comes_twice(void **state)
{
    yyjson_doc *doc = read_document();

    (void)state;
    check_keys(yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
}

static void every_route_is_described(void **state)
{
    const struct http_hooks *hooks = api_hooks();
    yyjson_doc *doc = read_document();
    yyjson_val *paths = yyjson_obj_get(yyjson_doc_get_root(doc), "paths"), *key, *item;
    size_t i, n, n_operations = 0, n_ours = 0;

    (void)state;
    yyjson_obj_foreach(paths, i, n, key, item) n_operations += yyjson_obj_size(item);
    for (size_t k = 0; k < hooks->n_routes; k++)
        n_ours += hooks->routes[k].who == WHO_PEER; /* no part of the API */
    assert_true(n_ours > 0);
    assert_int_equal(n_operations, hooks->n_routes - n_ours);
    yyjson_doc_free(doc);
}

/* Wherever memory ends, the buffer says so and nothing else happens. */
static void short_of_memory_it_fails_as_a_whole(void **state)
{
    struct buf whole = {0};

    (void)state;
    openapi_write(&whole, STR("/"));
    for (size_t max = 1; max < whole.len; max = max * 3 / 2 + 1) {
        struct buf text;

        buf_init(&text, max);
        openapi_write(&text, STR("/"));
        assert_true(text.failed);
        buf_deinit(&text);
    }
    buf_deinit(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_comes_twice),
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(short_of_memory_it_fails_as_a_whole),
    };

    static struct config defaults;
    int n_failed;

    if (is_error(config_load(&(struct config_sources){0}, &defaults)))
        return 1;
    config_set(&defaults);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&defaults.arena);
    return n_failed;
}
