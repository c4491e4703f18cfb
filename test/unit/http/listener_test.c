/* Where the server listens: several places a loop, of several kinds. */
#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static char folder[] = "/tmp/aerie-listen-XXXXXX";
static char clients[64], metrics[64], peers[64];
static struct str places[2];

static int connect_to(const char *text)
{
    struct sockaddr_storage addr;
    struct endpoint at;
    socklen_t len;
    int fd;

    assert_true(endpoint_parse(str_from(text), &at));
    len = endpoint_sockaddr(&at, &addr);
    fd = socket(addr.ss_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&addr, len) != 0) {
        close(fd);
        return -1;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    turn(2);
    return fd;
}

static bool is_there(const char *text)
{
    struct stat file;

    return lstat(text + strlen("unix:"), &file) == 0;
}

static int set_up(void **state)
{
    (void)state;
    places[0] = str_from(clients);
    places[1] = STR("127.0.0.1:0");
    test_listen = (struct config_list){places, 2};
    test_peers = peers;
    test_metrics = metrics;
    server_start(NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_stop();
    return 0;
}

static void on_drained(struct loop *l)
{
    (void)l;
    ts.is_drained = true;
}

static bool are_peers_drained;

static void on_peers_drained(struct loop *l)
{
    (void)l;
    are_peers_drained = true;
}

static void expect(int fd, const char *what)
{
    char *text = client_read_until(fd, what);

    assert_non_null(strstr(text, what));
    free(text);
}

static void a_request_is_answered_at_each_place_and_knows_its_kind(void **state)
{
    static const struct {
        const char *at;
        enum listener_kind kind;
    } all[] = {{clients, LISTENER_PLAIN},
               {NULL, LISTENER_PLAIN},
               {metrics, LISTENER_METRICS},
               {peers, LISTENER_PEER}};

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        int fd = all[i].at ? connect_to(all[i].at) : client_connect();

        assert_true(fd >= 0);
        client_send(fd, GET("/wait"));
        turn(5);
        assert_non_null(ts.parked);
        assert_int_equal(ts.parked->listener, all[i].kind);
        finish_parked();
        expect(fd, "waited");
        assert_true(client_is_closed(fd) == false);
        close(fd);
        turn(5);
    }
}

static void what_it_says_of_its_places_is_what_it_bound(void **state)
{
    struct buf text = {0};
    char expected[256];

    (void)state;
    assert_true(http_port(ts.server) > 0);
    snprintf(expected, sizeof(expected), "%s, http://127.0.0.1:%u", clients, http_port(ts.server));
    http_describe(ts.server, LISTENER_PLAIN, &text);
    buf_append_char(&text, 0);
    assert_string_equal(text.data, expected);
    buf_clear(&text);
    http_describe(ts.server, LISTENER_METRICS, &text);
    buf_append_char(&text, 0);
    assert_string_equal(text.data, metrics);
    buf_clear(&text);
    http_describe(ts.server, LISTENER_PEER, &text);
    buf_append_char(&text, 0);
    assert_string_equal(text.data, peers);
    buf_deinit(&text);
}

static void peers_are_served_until_they_are_drained_too(void **state)
{
    int old = connect_to(peers), fresh;

    (void)state;
    http_drain(ts.loop, on_drained);
    turn_until(&ts.is_drained);
    assert_int_equal(connect_to(clients), -1);
    assert_false(is_there(clients));
    assert_int_equal(connect_to(metrics), -1);
    assert_false(is_there(metrics));
    client_send(old, GET("/hello"));
    expect(old, "hello");
    fresh = connect_to(peers);
    assert_true(fresh >= 0);
    client_send(fresh, GET("/wait"));
    turn(5);
    assert_non_null(ts.parked);
    are_peers_drained = false;
    http_drain_peers(ts.loop, on_peers_drained);
    turn(5);
    assert_int_equal(connect_to(peers), -1);
    assert_false(are_peers_drained);
    finish_parked();
    expect(fresh, "waited");
    close(fresh);
    close(old);
    turn_until(&are_peers_drained);
}

static void a_server_that_is_full_can_be_looked_at(void **state)
{
    int client, late, watcher;

    (void)state;
    test_config.limits.connections = 1;
    client = connect_to(clients);
    client_send(client, GET("/hello"));
    expect(client, "hello");
    late = connect_to(clients);
    client_send(late, GET("/hello"));
    watcher = connect_to(metrics);
    client_send(watcher, GET("/hello"));
    expect(watcher, "hello");
    assert_int_equal(http_stats(ts.server).connections, 2); /* late waits in the kernel's queue */
    close(watcher);
    close(client);
    expect(late, "hello");
    close(late);
    turn(5);
}

static void connections_of_peers_are_not_counted_by_address(void **state)
{
    int a, b, c;

    (void)state;
    test_config.limits.connections_per_address = 1;
    a = connect_to(peers);
    b = connect_to(peers);
    c = connect_to(clients);
    client_send(a, GET("/hello"));
    expect(a, "hello");
    client_send(b, GET("/hello"));
    expect(b, "hello");
    client_send(c, GET("/hello"));
    expect(c, "hello");
    close(a);
    close(b);
    close(c);
    turn(5);
}

struct second {
    struct http_server *server;
    struct error err;
};

/* On a thread of its own, as each loop is. */
static void second_main(void *state)
{
    struct second *second = state;
    struct loop *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    assert_int_equal(loop_init(l, 1).status, OK);
    second->err = http_attach(second->server, l);
    if (!is_error(second->err))
        http_abort(l);
    loop_close(l);
    loop_run(l);
    loop_deinit(l);
    free(l);
}

/* Another server, which starts to listen and ends. */
static struct error start_second(const char *at)
{
    static const struct http_hooks none = {.routes = NULL};
    struct str place = str_from(at);
    struct second second = {.server = NULL};
    uv_thread_t thread;

    test_config.server.listen = (struct config_list){&place, 1};
    test_config.metrics.listen = STR("");
    second.err = http_open(&none, 1, &second.server);
    if (is_error(second.err))
        return second.err;
    assert_int_equal(uv_thread_create(&thread, second_main, &second), 0);
    uv_thread_join(&thread);
    http_close(second.server);
    return second.err;
}

static void a_file_of_a_living_server_is_left_alone(void **state)
{
    struct error err;
    char expected[256];
    int fd;

    (void)state;
    err = start_second(clients);
    assert_int_equal(err.status, ERR_UNAVAILABLE);
    snprintf(expected, sizeof(expected),
             "cannot listen on %s: Address already in use (key server.listen)", clients);
    assert_string_equal(err.detail, expected);
    fd = connect_to(clients);
    assert_true(fd >= 0);
    client_send(fd, GET("/hello"));
    expect(fd, "hello");
    close(fd);
    turn(5);
}

static void a_file_that_a_dead_server_left_is_replaced(void **state)
{
    char at[96];
    struct sockaddr_storage addr;
    struct endpoint left;
    socklen_t len;
    int fd;

    (void)state;
    snprintf(at, sizeof(at), "unix:%s/left", folder);
    assert_true(endpoint_parse(str_from(at), &left));
    len = endpoint_sockaddr(&left, &addr);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    close(fd);
    assert_true(is_there(at));
    assert_int_equal(start_second(at).status, OK);
    assert_false(is_there(at));
}

static void what_is_no_socket_is_left_alone(void **state)
{
    char at[96];
    int fd;

    (void)state;
    snprintf(at, sizeof(at), "unix:%s/file", folder);
    fd = open(at + 5, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(start_second(at).status, ERR_UNAVAILABLE);
    assert_true(is_there(at));
    unlink(at + 5);
}

static void what_cannot_be_served_is_said(void **state)
{
    (void)state;
    assert_non_null(strstr(start_second("tls://127.0.0.1:0").detail, "tls.certificate must name"));
    assert_non_null(strstr(start_second("systemd").detail, "systemd gave no socket"));
    assert_string_equal(start_second("127.0.0.1").detail,
                        "127.0.0.1 is no address to listen on (key server.listen)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_is_answered_at_each_place_and_knows_its_kind,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_it_says_of_its_places_is_what_it_bound, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(peers_are_served_until_they_are_drained_too, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_is_full_can_be_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_of_peers_are_not_counted_by_address, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_of_a_living_server_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_a_dead_server_left_is_replaced, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_socket_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_served_is_said, set_up, tear_down),
    };
    int failed;

    if (!mkdtemp(folder))
        return 1;
    snprintf(clients, sizeof(clients), "unix:%s/clients", folder);
    snprintf(metrics, sizeof(metrics), "unix:%s/metrics", folder);
    snprintf(peers, sizeof(peers), "unix:%s/peers", folder);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
