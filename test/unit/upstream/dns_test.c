/* What a name stands for is judged at every connection, whatever it stood for before. The names of
 * these tests are looked up in a script (the linker's --wrap=getaddrinfo), and the sockets that
 * were opened for them are counted (--wrap=socket). */
#include "harness.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The n-th lookup finds the addresses of the n-th line, "A" or "A B"; further ones the last's. */
static const char *const *script;
static size_t n_script;
static atomic_uint n_lookups, n_sockets;

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol)
{
    n_sockets++;
    return __real_socket(domain, type, protocol);
}

static struct addrinfo *found(const char *address, struct addrinfo *next)
{
    struct {
        struct addrinfo info;
        struct sockaddr_storage address;
    } *it = calloc(1, sizeof(*it));
    struct sockaddr_in *v4 = (struct sockaddr_in *)&it->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&it->address;

    it->info.ai_next = next;
    it->info.ai_addr = (struct sockaddr *)&it->address;
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1)
        v4->sin_family = AF_INET;
    else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1)
        v6->sin6_family = AF_INET6;
    else
        abort();
    return &it->info;
}

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list)
{
    unsigned n = n_lookups++;
    char first[64] = "", second[64] = "";

    (void)host;
    (void)service;
    (void)hints;
    sscanf(script[n < n_script ? n : n_script - 1], "%63s %63s", first, second);
    *list = found(first, second[0] ? found(second, NULL) : NULL);
    return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *list);
void __wrap_freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;

        free(list);
        list = next;
    }
}

/* 127.0.0.1, where the server is, plays a public address; all others of loopback are inner. */
static void open_with(const char *const *lines, size_t n)
{
    static struct str outer[] = {{"127.0.0.1/32", 12}};

    script = lines;
    n_script = n;
    n_lookups = 0;
    harness_close();
    test_config.egress.allow = (struct config_list){.items = outer, .n = 1};
    assert_false(is_error(config_settle_networks(&test_config)));
    test_config.upstream.dns_cache_seconds = 0;
    assert_false(is_error(upstream_open()));
}

static struct server server;
static char url[64];

static void serve_greetings(enum finish finish)
{
    static struct answer a;

    a = (struct answer){.bytes = STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
                        .finish = finish};
    server_start(&server, &a, 1);
    snprintf(url, sizeof(url), "http://moves.example:%u/x", server.port);
}

/* Somebody who would take a call at an inner address, at the server's port. */
static int listen_inside(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = inet_addr("127.0.0.2"),
                                  .sin_port = htons((uint16_t)server.port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void a_name_that_moves_inside_is_refused_from_then_on(void **state)
{
    static const char *const lines[] = {"127.0.0.1", "127.0.0.2"};
    static const enum finish ways[] = {FINISH_CLOSE, FINISH_NEXT}; /* the connection is kept */

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct outcome out;
        int inside;

        open_with(lines, 2);
        serve_greetings(ways[i]);
        inside = listen_inside();
        ask(&(struct ask){.url = url, .n_calls = 2}, &out);
        assert_int_equal(n_lookups, 2);
        assert_string_equal(out.text.data, "hi");
        assert_int_equal(out.err.status, ERR_PROVIDER_UNREACHABLE);
        assert_true(accept(inside, NULL, NULL) < 0); /* nobody came */
        outcome_free(&out);
        close(inside);
        server_stop(&server);
        assert_int_equal(server.n_requests, 1);
    }
}

static void of_several_addresses_the_inner_ones_are_passed_over(void **state)
{
    static const char *const lines[] = {"127.0.0.2 127.0.0.1"};
    struct outcome out;
    int inside;

    (void)state;
    open_with(lines, 1);
    serve_greetings(FINISH_CLOSE);
    inside = listen_inside();
    ask(&(struct ask){.url = url}, &out);
    assert_int_equal(out.err.status, OK);
    assert_string_equal(out.text.data, "hi");
    assert_true(accept(inside, NULL, NULL) < 0);
    outcome_free(&out);
    close(inside);
    server_stop(&server);
}

static void no_socket_is_opened_for_an_inner_address(void **state)
{
    static const char *const inner[] = {"127.0.0.2",
                                        "0.0.0.0",
                                        "10.0.0.1",
                                        "100.64.0.1",
                                        "169.254.169.254",
                                        "172.16.0.1",
                                        "192.168.1.1",
                                        "224.0.0.1",
                                        "255.255.255.255",
                                        "::",
                                        "::1",
                                        "::127.0.0.1",
                                        "fe80::1",
                                        "::ffff:169.254.1.1",
                                        "::ffff:8.8.8.8",
                                        "64:ff9b::7f00:1",
                                        "64:ff9b:1::1",
                                        "2002:7f00:1::1",
                                        "2001::1",
                                        "fd00::1",
                                        "ff02::1"};

    (void)state;
    strcpy(url, "http://moves.example:9/x");
    for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
        struct outcome out;

        open_with(&inner[i], 1);
        print_message("%s\n", inner[i]);
        n_sockets = 0;
        ask(&(struct ask){.url = url}, &out);
        assert_int_equal(out.err.status, ERR_PROVIDER_UNREACHABLE);
        assert_string_equal(out.err.detail, "The agent could not be reached.");
        assert_int_equal(n_lookups, 1);
        assert_int_equal(n_sockets, 0);
        outcome_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPSTREAM_TEST(a_name_that_moves_inside_is_refused_from_then_on),
        UPSTREAM_TEST(of_several_addresses_the_inner_ones_are_passed_over),
        UPSTREAM_TEST(no_socket_is_opened_for_an_inner_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
