/* Where a server listens or is reached. */
#include "base/endpoint.h"
#include "unit.h"

static void expect_form(const char *text, const char *normal)
{
    char out[ENDPOINT_TEXT_BYTES];
    struct sockaddr_storage addr;
    struct endpoint e, again;
    socklen_t len;

    if (!endpoint_parse(str_from(text), &e))
        fail_msg("\"%s\" was refused", text);
    assert_str(endpoint_format(&e, out), normal);
    len = endpoint_sockaddr(&e, &addr);
    assert_true(endpoint_from_sockaddr((struct sockaddr *)&addr, len, &again));
    assert_true(endpoint_eq(&e, &again));
}

static void endpoints_have_a_normal_form_and_an_address(void **state)
{
    (void)state;
    expect_form("127.0.0.1:8000", "127.0.0.1:8000");
    expect_form("*:0", "0.0.0.0:0");
    expect_form("LocalHost:65535", "127.0.0.1:65535");
    expect_form("[::1]:443", "[::1]:443");
    expect_form("[::]:80", "[::]:80");
    expect_form("unix:/run/aerie/a.sock", "unix:/run/aerie/a.sock");
}

static void what_is_no_endpoint_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "8000",
                                      ":8000",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:65536",
                                      "::1:80",
                                      "[::1]",
                                      "[]:80",
                                      "chat.test:80",
                                      "127.0.0.1:-1",
                                      "127.0.0.1:80 ",
                                      "unix:",
                                      "unix:a.sock",
                                      "unix:/",
                                      "unix:/run/dir/",
                                      "http://0.0.0.0:80",
                                      "unix:/run/"
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                      "aaaaaaaaaaaaa"};
    struct endpoint e;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (endpoint_parse(str_from(bad[i]), &e))
            fail_msg("\"%s\" was accepted", bad[i]);
    assert_false(endpoint_parse((struct str){"unix:/a\0b", 9}, &e));
}

static void endpoints_differ_by_address_and_port(void **state)
{
    struct endpoint a, b;

    (void)state;
    assert_true(endpoint_parse(STR("127.0.0.1:80"), &a));
    assert_true(endpoint_parse(STR("127.0.0.1:81"), &b));
    assert_false(endpoint_eq(&a, &b));
    assert_true(endpoint_parse(STR("unix:/a"), &a));
    assert_false(endpoint_eq(&a, &b));
    assert_true(endpoint_parse(STR("unix:/b"), &b));
    assert_false(endpoint_eq(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_have_a_normal_form_and_an_address),
        cmocka_unit_test(what_is_no_endpoint_is_refused),
        cmocka_unit_test(endpoints_differ_by_address_and_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
