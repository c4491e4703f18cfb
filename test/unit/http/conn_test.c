/* Connections: how long they live, what they keep, and how they end. */
#include "support.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST_HEAD(length)                                                                          \
    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " length  \
    "\r\n\r\n"

static int set_up(void **state)
{
    (void)state;
    server_start(NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_stop();
    return 0;
}

static void hang_up(int fd)
{
    close(fd);
    turn(5);
}

static void reset(int fd)
{
    struct linger now = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    turn(5);
}

static void expect_until(int fd, const char *what)
{
    char *text = client_read_until(fd, what);

    if (!strstr(text, what))
        fail_msg("%s is not in: %s", what, text);
    free(text);
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;

    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

/* ---- one request after the other ---- */

static void a_connection_serves_many_requests(void **state)
{
    int fd = client_connect();

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        client_send(fd, GET("/hello"));
        expect_until(fd, "hello");
        client_send(fd, POST_HEAD("2") "{}");
        expect_until(fd, "\r\n\r\n{}");
        client_send(fd, GET("/nothing"));
        expect_until(fd, "\"}");
    }
    hang_up(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    int fd = client_connect();
    char *text;

    (void)state;
    client_send(fd, GET("/items/1") POST_HEAD("3") "abc" GET("/wait") GET("/items/2"));
    text = client_read_until(fd, "abc");
    assert_non_null(strstr(text, "1|"));
    assert_null(strstr(text, "2|"));
    free(text);
    finish_parked();
    text = client_read_until(fd, "2|");
    assert_true(strstr(text, "waited") && strstr(text, "2|") > strstr(text, "waited"));
    free(text);
    hang_up(fd);
}

static void many_pipelined_requests_are_all_answered(void **state)
{
    struct buf b = {.data = NULL};
    int fd = client_connect();
    char *text;

    (void)state;
    for (unsigned i = 0; i < 3000; i++)
        buf_append_str(&b, STR(GET("/hello")));
    buf_append_str(&b, STR("GET /items/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    client_send_bytes(fd, b.data, b.len);
    buf_deinit(&b);
    text = client_read_to_end(fd);
    assert_int_equal(count(text, "\r\n\r\nhello"), 3000);
    assert_int_equal(count(text, "last|"), 1);
    free(text);
    hang_up(fd);
}

static void bytes_past_the_pipeline_limit_are_not_read(void **state)
{
    int fd = client_connect();
    static char many[1 << 20];
    ssize_t n;

    (void)state;
    client_send(fd, GET("/wait"));
    assert_non_null(ts.parked);
    memset(many, '\n', sizeof(many));
    do {
        n = send(fd, many, sizeof(many), MSG_NOSIGNAL);
        turn(3);
    } while (n > 0);
    assert_true(the_conn()->in.len <= 2 * test_config.limits.pipeline_bytes + 1);
    finish_parked();
    expect_until(fd, "waited");
    hang_up(fd);
}

static void a_request_may_come_split_at_every_byte(void **state)
{
    static const char request[] =
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Empty:\r\n"
        "Transfer-Encoding: chunked\r\n\r\n4\r\n[1, \r\n2;e=v\r\n2]\r\n0\r\nX-T: y\r\n\r\n"
        "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
    size_t len = sizeof(request) - 1;

    (void)state;
    for (size_t at = 1; at < len; at++) {
        int fd = client_connect();
        char *text;

        client_send_bytes(fd, request, at);
        client_send_bytes(fd, request + at, len - at);
        text = client_read_until(fd, "hello");
        if (count(text, "\r\n\r\n[1, 2]") != 1 || count(text, "hello") != 1)
            fail_msg("split at %zu: %s", at, text);
        free(text);
        hang_up(fd);
    }
}

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char request[] = POST_HEAD("5") "[1,2]" GET("/hello");
    int fd = client_connect();

    (void)state;
    for (size_t at = 0; at < sizeof(request) - 1; at++)
        client_send_bytes(fd, request + at, 1);
    expect_until(fd, "[1,2]");
    hang_up(fd);
}

static void a_half_closed_client_gets_its_answer(void **state)
{
    int fd = client_connect();
    char *text;

    (void)state;
    client_send(fd, GET("/wait") GET("/hello"));
    shutdown(fd, SHUT_WR);
    turn(5);
    finish_parked();
    text = client_read_to_end(fd);
    assert_true(strstr(text, "waited") && strstr(text, "hello"));
    free(text);
    hang_up(fd);
}

static void the_end_of_input_may_be_a_client_leaving(void **state)
{
    int fd = client_connect();

    (void)state;
    client_send(fd, GET("/wait"));
    ts.parked->fails_at_eof = true;
    hang_up(fd);
    assert_int_equal(ts.last_error, ERR_GONE);
}

/* ---- streams ---- */

static void a_stream_comes_in_chunks(void **state)
{
    int fd = client_connect();
    char *text;

    (void)state;
    client_send(fd, GET("/stream"));
    text = client_read_until(fd, "6\r\nfirst;\r\n");
    assert_non_null(strstr(text, "Transfer-Encoding: chunked\r\n"));
    assert_null(strstr(text, "Content-Length"));
    free(text);
    response_stream_write(ts.parked, "0123456789abcdef", 16);
    response_stream_write(ts.parked, "", 0);
    expect_until(fd, "10\r\n0123456789abcdef\r\n");
    finish_parked();
    expect_until(fd, "0\r\n\r\n");
    client_send(fd, GET("/hello"));
    expect_until(fd, "hello");
    hang_up(fd);
}

static void http_1_0_streams_end_with_the_connection(void **state)
{
    int fd = client_connect();
    char *text;

    (void)state;
    client_send(fd, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    response_stream_write(ts.parked, "second", 6);
    finish_parked();
    text = client_read_to_end(fd);
    assert_non_null(strstr(text, "\r\n\r\nfirst;second"));
    assert_null(strstr(text, "chunked"));
    free(text);
    hang_up(fd);
}

static void a_failed_stream_is_cut(void **state)
{
    int fd = client_connect();
    char *text;

    (void)state;
    client_send(fd, GET("/stream"));
    flow_fail(&ts.parked->flow, ERROR(ERR_DB, 0, NULL));
    text = client_read_to_end(fd);
    assert_non_null(strstr(text, "first;"));
    assert_null(strstr(text, "0\r\n\r\n"));
    free(text);
    hang_up(fd);
}

static void a_parked_stream_holds_no_buffers(void **state)
{
    int fd = client_connect();
    struct conn *c;

    (void)state;
    client_send(fd, GET("/stream"));
    expect_until(fd, "first;");
    c = the_conn();
    assert_null(c->out.data);
    assert_null(c->in.data);
    assert_null(c->parser);
    assert_null(c->req->response->headers.data);
    assert_null(c->req->response->body_in.data);
    print_message("a connection: %zu bytes; its request: %zu + %zu, arena %zu\n",
                  sizeof(struct conn), sizeof(struct request), sizeof(struct response),
                  c->req->arena.used_bytes);
    finish_parked();
    hang_up(fd);
}

static void a_slow_reader_stops_the_writer_and_is_waited_for(void **state)
{
    int fd = client_connect();
    size_t total = 0;
    static char piece[65536];
    ssize_t n;

    (void)state;
    client_send(fd, GET("/flood"));
    turn(50);
    assert_int_equal(ts.n_ended, 0);
    assert_true(conn_out_waiting(the_conn()) > 0);
    assert_true(timer_is_started(&the_conn()->write_deadline));
    while (ts.n_ended == 0 || total < FLOOD_BYTES) {
        n = recv(fd, piece, sizeof(piece), 0);
        total += n > 0 ? (size_t)n : 0;
        assert_true(n != 0);
        turn(1);
    }
    assert_int_equal(ts.last_error, OK);
    assert_true(ts.n_drained > 10);
    hang_up(fd);
}

static void a_reader_that_stops_is_closed(void **state)
{
    int fd = client_connect();

    (void)state;
    client_send(fd, GET("/flood"));
    turn(50);
    assert_int_equal(ts.n_ended, 0);
    fire(&the_conn()->write_deadline);
    assert_int_equal(ts.n_ended, 1);
    assert_int_equal(ts.last_error, ERR_GONE);
    hang_up(fd);
}

static void input_past_its_limit_closes_a_stream(void **state)
{
    int fd = client_connect();
    static char many[20000];

    (void)state;
    client_send(fd, GET("/stream"));
    memset(many, '\n', sizeof(many));
    client_send_bytes(fd, many, 10000);
    assert_int_equal(ts.n_ended, 0);
    client_send_bytes(fd, many, 7000);
    turn(5);
    assert_int_equal(ts.n_ended, 1);
    assert_int_equal(ts.last_error, ERR_GONE);
    hang_up(fd);
}

static void the_end_of_input_ends_a_stream(void **state)
{
    int fd = client_connect();

    (void)state;
    client_send(fd, GET("/stream"));
    shutdown(fd, SHUT_WR);
    turn(5);
    assert_int_equal(ts.last_error, ERR_GONE);
    assert_true(client_is_closed(fd));
    hang_up(fd);
}

/* ---- deadlines ---- */

static void a_slow_head_is_answered_408(void **state)
{
    int fd = client_connect();
    char *text;

    (void)state;
    client_send(fd, "GET /hello HTTP/1.1\r\nHost");
    assert_int_equal(the_conn()->state, CONN_HEAD);
    fire(&the_conn()->deadline);
    text = client_read_to_end(fd);
    assert_status(text, 408);
    free(text);
    fire(&the_conn()->deadline); /* of lingering */
    hang_up(fd);
}

static void a_slow_body_is_answered_408(void **state)
{
    int fd = client_connect();
    static char many[11000];
    char *text;

    (void)state;
    memset(many, ' ', sizeof(many));
    client_send(fd, POST_HEAD("100000"));
    client_send_bytes(fd, many, 10240); /* 1 KiB/s in the first ten seconds */
    fire(&the_conn()->deadline);
    client_send_bytes(fd, many, 5120); /* and in the next five */
    fire(&the_conn()->deadline);
    client_send_bytes(fd, many, 5119);
    assert_int_equal(the_conn()->state, CONN_BODY);
    fire(&the_conn()->deadline);
    text = client_read_to_end(fd);
    assert_status(text, 408);
    free(text);
    hang_up(fd);
}

static void idle_connections_are_closed(void **state)
{
    int fd = client_connect();

    (void)state;
    client_send(fd, GET("/hello"));
    expect_until(fd, "hello");
    assert_int_equal(the_conn()->state, CONN_IDLE);
    fire(&the_conn()->deadline);
    assert_true(client_is_closed(fd));
    hang_up(fd);
}

/* ---- clients that vanish ---- */

static void a_client_may_vanish_at_any_byte(void **state)
{
    static const char *const requests[] = {GET("/hello"), POST_HEAD("5") "[1,2]",
                                           GET("/wait") GET("/hello"), GET("/stream"),
                                           GET("/flood")};

    (void)state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        for (size_t at = 0; at <= strlen(requests[i]); at++) {
            int fd = client_connect();

            client_send_bytes(fd, requests[i], at);
            if (at % 2)
                reset(fd);
            else
                hang_up(fd);
            if (ts.parked) /* an ordinary answer to a half-closed client goes on */
                finish_parked();
            turn(3);
            if (http_stats(ts.server).connections != 0)
                fail_msg("request %zu stays after byte %zu", i, at);
        }
    }
}

static void a_client_may_vanish_at_any_turn(void **state)
{
    static const char *const paths[] = {GET("/hello"), GET("/wait"), GET("/stream"), GET("/flood")};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        for (unsigned n = 0; n < 6; n++) {
            int fd = client_connect();

            assert_true(send(fd, paths[i], strlen(paths[i]), MSG_NOSIGNAL) > 0);
            turn(n);
            if (ts.parked && n > 3)
                finish_parked();
            reset(fd);
            if (http_stats(ts.server).connections != 0)
                fail_msg("path %zu stays after turn %u", i, n);
            assert_null(ts.parked);
        }
    }
}

/* ---- leaving ---- */

static void on_drained(struct loop *l)
{
    (void)l;
    ts.is_drained = true;
}

static void draining_waits_for_answers_only(void **state)
{
    int idle = client_connect(), fresh, busy;
    char *text;

    (void)state;
    client_send(idle, GET("/hello"));
    expect_until(idle, "hello");
    busy = client_connect();
    client_send(busy, GET("/wait"));
    fresh = client_connect();
    /* Sent, but not read yet: it is served. */
    assert_true(send(fresh, GET("/hello"), strlen(GET("/hello")), MSG_NOSIGNAL) > 0);
    http_drain(ts.loop, on_drained);
    assert_true(client_is_closed(idle));
    text = client_read_to_end(fresh);
    assert_status(text, 200);
    assert_non_null(strstr(text, "Connection: close\r\n"));
    free(text);
    assert_false(ts.is_drained);
    finish_parked();
    text = client_read_to_end(busy);
    assert_non_null(strstr(text, "Connection: close\r\n"));
    assert_non_null(strstr(text, "waited"));
    free(text);
    turn_until(&ts.is_drained);
    hang_up(idle);
    hang_up(fresh);
    hang_up(busy);
}

static void a_request_that_is_half_there_does_not_hold_a_drain(void **state)
{
    int fd = client_connect();

    (void)state;
    client_send(fd, "GET /plain HTTP/1.1\r\nHost: x");
    turn(20);
    http_drain(ts.loop, on_drained);
    assert_false(ts.is_drained);
    assert_true(the_conn()->deadline.due_ms <= loop_now_ms(ts.loop) + 1000);
    fire(&the_conn()->deadline);
    hang_up(fd);
    turn_until(&ts.is_drained);
}

static void draining_answers_those_in_the_queue(void **state)
{
    int fd;
    char *text;

    (void)state;
    ts.server->max_by_files = 0; /* nobody is accepted: they wait in the queue */
    fd = client_connect();
    client_send(fd, GET("/hello"));
    assert_int_equal(http_stats(ts.server).connections, 0);
    http_drain(ts.loop, on_drained);
    text = client_read_to_end(fd);
    assert_status(text, 503);
    assert_non_null(strstr(text, "Retry-After: 1\r\n"));
    assert_non_null(strstr(text, "Connection: close\r\n"));
    free(text);
    close(fd);
    turn_until(&ts.is_drained);
}

static void aborting_fails_what_runs(void **state)
{
    int a = client_connect(), b;

    (void)state;
    client_send(a, GET("/stream"));
    b = client_connect();
    client_send(b, POST_HEAD("9") "{");
    http_drain(ts.loop, on_drained);
    turn(5);
    assert_false(ts.is_drained);
    http_abort(ts.loop);
    turn_until(&ts.is_drained);
    assert_int_equal(ts.n_ended, 1);
    assert_int_equal(ts.last_error, ERR_GONE);
    hang_up(a);
    hang_up(b);
}

/* ---- how many ---- */

static const struct listener *the_listener(void)
{
    return container_of(http_loop_of(ts.loop)->listeners.next, struct listener, link);
}

static void accepting_pauses_at_the_limit_and_goes_on(void **state)
{
    int a, b;

    (void)state;
    test_config.limits.connections = 1;
    a = client_connect();
    client_send(a, GET("/wait"));
    b = client_connect();
    client_send(b, GET("/hello"));
    assert_int_equal(http_stats(ts.server).connections, 1);
    assert_int_equal(the_listener()->state, LISTENER_PAUSED);
    finish_parked();
    expect_until(a, "waited");
    hang_up(a);
    expect_until(b, "hello");
    hang_up(b);
}

static void one_address_may_have_so_many(void **state)
{
    int a, b;

    (void)state;
    test_config.limits.connections_per_address = 1;
    a = client_connect();
    client_send(a, GET("/hello"));
    expect_until(a, "hello");
    b = client_connect();
    assert_true(client_is_closed(b));
    close(b);
    hang_up(a);
    b = client_connect();
    client_send(b, GET("/hello"));
    expect_until(b, "hello");
    hang_up(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    TEST(a_connection_serves_many_requests),
    TEST(pipelined_requests_are_answered_in_order),
    TEST(many_pipelined_requests_are_all_answered),
    TEST(bytes_past_the_pipeline_limit_are_not_read),
    TEST(a_request_may_come_split_at_every_byte),
    TEST(a_request_may_come_byte_by_byte),
    TEST(a_half_closed_client_gets_its_answer),
    TEST(the_end_of_input_may_be_a_client_leaving),
    TEST(a_stream_comes_in_chunks),
    TEST(http_1_0_streams_end_with_the_connection),
    TEST(a_failed_stream_is_cut),
    TEST(a_parked_stream_holds_no_buffers),
    TEST(a_slow_reader_stops_the_writer_and_is_waited_for),
    TEST(a_reader_that_stops_is_closed),
    TEST(input_past_its_limit_closes_a_stream),
    TEST(the_end_of_input_ends_a_stream),
    TEST(a_slow_head_is_answered_408),
    TEST(a_slow_body_is_answered_408),
    TEST(idle_connections_are_closed),
    TEST(a_client_may_vanish_at_any_byte),
    TEST(a_client_may_vanish_at_any_turn),
    TEST(draining_waits_for_answers_only),
    TEST(a_request_that_is_half_there_does_not_hold_a_drain),
    TEST(draining_answers_those_in_the_queue),
    TEST(aborting_fails_what_runs),
    TEST(accepting_pauses_at_the_limit_and_goes_on),
    TEST(one_address_may_have_so_many),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
