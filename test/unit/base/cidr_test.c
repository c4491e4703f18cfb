/* Addresses and blocks of them. */
#include "base/cidr.h"
#include "unit.h"

#include <arpa/inet.h>
#include <sys/un.h>

static bool matches(const char *block, const char *address)
{
    struct cidr cidr;
    struct ip ip;

    assert_true(cidr_parse(str_from(block), &cidr));
    assert_true(ip_parse(str_from(address), &ip));
    return cidr_match_ip(&cidr, &ip);
}

static void a_block_holds_its_addresses_and_no_others(void **state)
{
    (void)state;
    assert_true(matches("10.0.0.0/8", "10.255.0.1"));
    assert_false(matches("10.0.0.0/8", "11.0.0.1"));
    assert_true(matches("172.16.0.0/12", "172.31.255.255"));
    assert_false(matches("172.16.0.0/12", "172.32.0.0"));
    assert_true(matches("10.1.2.3/8", "10.9.9.9"));
    assert_true(matches("192.0.2.7", "192.0.2.7"));
    assert_false(matches("192.0.2.7", "192.0.2.6"));
    assert_true(matches("0.0.0.0/0", "203.0.113.9"));
    assert_false(matches("0.0.0.0/0", "2001:db8::1"));
    assert_true(matches("::/0", "2001:db8::1"));
    assert_false(matches("::/0", "127.0.0.1"));
    assert_true(matches("fc00::/7", "fdff::1"));
    assert_false(matches("fc00::/7", "fe00::1"));
    assert_true(matches("::1", "0:0:0:0:0:0:0:1"));
}

static void mapped_addresses_are_the_ipv4_ones(void **state)
{
    (void)state;
    assert_true(matches("127.0.0.0/8", "::ffff:127.0.0.1"));
    assert_true(matches("127.0.0.0/8", "::ffff:7f00:1"));
    assert_true(matches("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_false(matches("::ffff:10.0.0.0/104", "11.1.2.3"));
}

static void what_is_no_block_is_refused(void **state)
{
    static const char *const bad[] = {
        "",           "10.0.0.0/",  "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8",
        "10.0.0/8",   "10.0.0.256", "010.0.0.1",   "::/129",      "[::1]",
        "::1%lo",     "localhost",  "10.0.0.0/ 8", " 10.0.0.0",   "::ffff:10.0.0.0/95",
        "10.0.0.0:80"};
    struct cidr cidr;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (cidr_parse(str_from(bad[i]), &cidr))
            fail_msg("\"%s\" was accepted", bad[i]);
    assert_false(cidr_parse((struct str){"10.0.0.1\0", 9}, &cidr));
}

static void addresses_come_from_sockets_and_go_to_text(void **state)
{
    static const char *const v4[] = {"0.0.0.0", "1.9.10.99", "100.101.109.110", "255.200.199.250"};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char text[IP_TEXT_BYTES];
    struct ip a, b;

    (void)state;
    assert_int_equal(inet_pton(AF_INET, "192.0.2.7", &in.sin_addr), 1);
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.7", &in6.sin6_addr), 1);
    assert_true(ip_from_sockaddr((struct sockaddr *)&in, &a));
    assert_true(ip_from_sockaddr((struct sockaddr *)&in6, &b));
    assert_false(ip_from_sockaddr((struct sockaddr *)&un, &b));
    assert_true(ip_eq(&a, &b));
    assert_str(ip_format(&a, text), "192.0.2.7");
    assert_str(ip_format_group(&a, text), "192.0.2.7");
    for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
        assert_true(ip_parse(str_from(v4[i]), &a));
        assert_str(ip_format(&a, text), v4[i]);
    }
    assert_true(ip_parse(STR("2001:DB8:1:2:3:4:5:6"), &a));
    assert_str(ip_format(&a, text), "2001:db8:1:2:3:4:5:6");
    assert_str(ip_format_group(&a, text), "2001:db8:1:2::/64");
    assert_false(ip_eq(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_holds_its_addresses_and_no_others),
        cmocka_unit_test(mapped_addresses_are_the_ipv4_ones),
        cmocka_unit_test(what_is_no_block_is_refused),
        cmocka_unit_test(addresses_come_from_sockets_and_go_to_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
