/* The route table's order, and the small readers beside it: pictures, times, origins. */
#include "account/caller.h"
#include "api/api.h"
#include "api/avatar.h"
#include "api/doc.h"
#include "api/origin.h"
#include "base/rfc3339.h"

#include "../cmocka_all.h"

#include <string.h>

static void routes_are_sorted_and_nameable(void **state)
{
    const struct http_hooks *hooks = api_hooks();

    (void)state;
    assert_true(hooks->n_routes > 0);
    for (size_t i = 0; i < hooks->n_routes; i++) {
        const struct route *r = &hooks->routes[i], *before = i > 0 ? r - 1 : NULL;
        int order = before ? strcmp(before->path, r->path) : -1;

        assert_true(order < 0 || (order == 0 && before->method < r->method));
        assert_non_null(r->steps);
        assert_true(r->summary && r->summary[0]);
        assert_true(r->who <= WHO_ADMIN_OR_KEY);
        if (r->who == WHO_PEER) { /* no part of the API */
            assert_null(r->doc);
            continue;
        }
        if (!r->doc)
            fail_msg("%s has no doc: see \"A new route\" in docs/architecture.md", r->path);
        assert_true(r->doc->answers && r->doc->answers[0].status > 0);
        if (r->who == WHO_USER_OR_KEY || r->who == WHO_ADMIN_OR_KEY) /* or else any key is in */
            assert_int_equal(strncmp(r->steps[0].name, "team_door_", strlen("team_door_")), 0);
    }
}

static void pictures_are_known_by_their_first_bytes(void **state)
{
    (void)state;
    assert_string_equal(avatar_media_type(STR("\x89PNG\r\n\x1a\nrest")), "image/png");
    assert_string_equal(avatar_media_type(STR("\xff\xd8\xff\xe0rest")), "image/jpeg");
    assert_string_equal(avatar_media_type(STR("GIF87a")), "image/gif");
    assert_string_equal(avatar_media_type(STR("GIF89a")), "image/gif");
    assert_string_equal(avatar_media_type(STR("RIFF\1\2\3\4WEBPVP8 ")), "image/webp");
}

static void what_is_no_picture_is_none_whatever_its_name(void **state)
{
    (void)state;
    assert_null(avatar_media_type(STR("")));
    assert_null(avatar_media_type(STR("\x89PNG")));
    assert_null(avatar_media_type(STR("RIFF\1\2\3\4WAVE")));
    assert_null(avatar_media_type(STR("RIFFWEBP")));
    assert_null(avatar_media_type(STR("<svg xmlns=\"http://www.w3.org/2000/svg\"/>")));
    assert_null(avatar_media_type(STR("<html>")));
    assert_null(avatar_media_type(STR(" GIF89a")));
}

static void times_are_read_with_fractions_and_offsets(void **state)
{
    int64_t us;

    (void)state;
    assert_true(rfc3339_parse(STR("1970-01-01T00:00:00Z"), &us));
    assert_int_equal(us, 0);
    assert_true(rfc3339_parse(STR("2030-01-31T12:00:00.123456789z"), &us));
    assert_int_equal(us, 1896091200123456);
    assert_true(rfc3339_parse(STR("2030-01-31T13:30:00+01:30"), &us));
    assert_int_equal(us, 1896091200000000);
    assert_true(rfc3339_parse(STR("2024-02-29T00:00:00Z"), &us));
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "2030",
        "2030-01-31",
        "2030-01-31T12:00:00",
        "2030-01-31 12:00:00Z",
        "2030-13-01T00:00:00Z",
        "2030-00-01T00:00:00Z",
        "2030-02-30T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2030-01-31T24:00:00Z",
        "2030-01-31T12:60:00Z",
        "2030-01-31T12:00:00.Z",
        "2030-01-31T12:00:00+24:00",
        "2030-01-31T12:00:00Zx",
        "-030-01-31T12:00:00Z",
    };
    int64_t us;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(rfc3339_parse(str_from(bad[i]), &us));
}

static bool same(const char *a, const char *b)
{
    struct origin x, y;

    return origin_parse(str_from(a), &x) && origin_parse(str_from(b), &y) && origin_eq(&x, &y);
}

static void origins_compare_by_scheme_host_and_port(void **state)
{
    (void)state;
    assert_true(same("https://a.example", "HTTPS://A.example:443"));
    assert_true(same("http://a.example", "http://a.example:80"));
    assert_true(same("http://[::1]:8000", "http://[::1]:8000"));
    assert_false(same("https://a.example", "http://a.example"));
    assert_false(same("https://a.example", "https://a.example:8443"));
    assert_false(same("https://a.example", "https://b.a.example"));
}

static void what_is_no_origin_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "null",
        "*",
        "a.example",
        "ftp://a.example",
        "https://",
        "https://:443",
        "https://a.example/",
        "https://a.example/x",
        "https://u@a.example",
        "https://a.example:",
        "https://a.example:0",
        "https://a.example:65536",
        "https://a.example:-1",
        "https://a.example:4 3",
        "https://a example",
    };
    struct origin o;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(origin_parse(str_from(bad[i]), &o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_are_sorted_and_nameable),
        cmocka_unit_test(pictures_are_known_by_their_first_bytes),
        cmocka_unit_test(what_is_no_picture_is_none_whatever_its_name),
        cmocka_unit_test(times_are_read_with_fractions_and_offsets),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(origins_compare_by_scheme_host_and_port),
        cmocka_unit_test(what_is_no_origin_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
