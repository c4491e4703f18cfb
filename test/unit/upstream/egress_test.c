/* The guard: which addresses and which URLs are refused. */
#include "harness.h"

#include "upstream/egress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static void allow(struct str *items, size_t n)
{
    test_config = (struct config){.egress = {.allow = {.items = items, .n = n}}};
    assert_false(is_error(config_settle_networks(&test_config)));
    config_set(&test_config);
    assert_false(is_error(egress_open()));
}

static bool allows(const char *address, const char *host)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return egress_allows((struct sockaddr *)&v4, str_from(host));
    assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return egress_allows((struct sockaddr *)&v6, str_from(host));
}

static void inner_addresses_are_refused(void **state)
{
    static const char *const inner[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.9",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    };
    static const char *const outer[] = {
        "1.1.1.1",   "8.8.8.8",         "100.128.0.1",          "172.32.0.1",
        "192.0.1.1", "2606:4700::1111", "2001:4860:4860::8888", "2a00::1"};

    (void)state;
    allow(NULL, 0);
    for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
        print_message("%s\n", inner[i]);
        assert_false(allows(inner[i], "example.org"));
    }
    for (size_t i = 0; i < sizeof(outer) / sizeof(outer[0]); i++) {
        print_message("%s\n", outer[i]);
        assert_true(allows(outer[i], "example.org"));
    }
    arena_free(&test_config.arena);
}

static void the_operator_opens_blocks_and_names(void **state)
{
    struct str items[] = {STR("10.1.0.0/16"), STR("n8n.internal."), STR("fd00::/8"), STR("::1")};

    (void)state;
    allow(items, 4);
    assert_true(allows("10.1.2.3", "example.org"));
    assert_false(allows("10.2.2.3", "example.org"));
    assert_true(allows("10.2.2.3", "N8N.internal"));
    assert_true(allows("127.0.0.1", "n8n.internal."));
    assert_false(allows("127.0.0.1", "x.n8n.internal"));
    assert_true(allows("fd00::5", "example.org"));
    assert_true(allows("::1", "example.org"));
    arena_free(&test_config.arena);
}

static void urls_are_checked(void **state)
{
    static const char *const good[] = {
        "http://example.org/",     "https://example.org:8443/webhook/x?a=b",
        "HTTPS://Example.ORG",     "http://8.8.8.8/x",
        "http://[2606:4700::1]/x", "https://xn--bcher-kva.example/x",
        "http://10.1.2.3/inside",
    };
    static const char *const bad[] = {
        "",
        "example.org/x",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "http://",
        "http://user@example.org/",
        "http://user:pw@example.org/",
        "http://exa mple.org/",
        "http://example.org/\r\nX: y",
        "http://example.org/\x7f",
        "http://example.org\\@127.0.0.1/",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://%31%32%37.0.0.1/",
        "http:/3%7f.1",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://x.localhost/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:8.8.8.8]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[fe80::1%25eth0]/",
        "http://[2002:7f00:1::]/",
        "http://192.168.0.1:5678/webhook",
    };
    struct str items[] = {STR("10.1.0.0/16")};

    (void)state;
    allow(items, 1);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        print_message("%s\n", good[i]);
        assert_false(is_error(egress_check_url(str_from(good[i]))));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = egress_check_url(str_from(bad[i]));

        print_message("%s\n", bad[i]);
        assert_int_equal(err.status, ERR_INVALID);
        assert_non_null(err.detail);
    }
    arena_free(&test_config.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inner_addresses_are_refused),
        cmocka_unit_test(the_operator_opens_blocks_and_names),
        cmocka_unit_test(urls_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
