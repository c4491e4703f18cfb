/* WebSockets on a connection: the handshake, messages both ways, pings, and every way to close. */
#include "support.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY   "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455 section 1.3 has this key and its answer */
#define LINES "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define OPEN                                                                                       \
    "GET /socket HTTP/1.1\r\n" LINES "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY        \
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
    hang_up(fd);
}

static int open_socket(void)
{
    int fd = client_connect();
    char *text;

    client_send(fd, OPEN);
    text = client_read_until(fd, "\r\n\r\n");
    assert_status(text, 101);
    free(text);
    return fd;
}

static void send_frame(int fd, unsigned first, const char *payload)
{
    struct buf b = {.data = NULL};

    frame_append(&b, first, payload, strlen(payload));
    client_send_bytes(fd, b.data, b.len);
    buf_deinit(&b);
}

/* Reads exactly these bytes. */
static void expect_bytes(int fd, const char *bytes, size_t len)
{
    size_t n = 0;
    char got[256];

    assert_true(len <= sizeof(got));
    for (unsigned i = 0; i < 1000 && n < len; i++) {
        ssize_t r = recv(fd, got + n, len - n, 0);

        n += r > 0 ? (size_t)r : 0;
        turn(1);
    }
    assert_int_equal(n, len);
    assert_memory_equal(got, bytes, len);
}
#define EXPECT(fd, bytes) expect_bytes(fd, bytes, sizeof(bytes) - 1)

static void the_handshake_is_the_standards_own(void **state)
{
    int fd = client_connect();
    char *text;

    (void)state;
    client_send(fd, OPEN);
    text = client_read_until(fd, "\r\n\r\n");
    assert_status(text, 101);
    assert_non_null(strstr(text, "\r\nUpgrade: websocket\r\n"));
    assert_non_null(strstr(text, "\r\nConnection: Upgrade\r\n"));
    assert_non_null(strstr(text, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_null(strstr(text, "Connection: close"));
    assert_null(strstr(text, "Content-Length"));
    assert_null(strstr(text, "Transfer-Encoding"));
    free(text);
    hang_up(fd);
}

static void other_requests_are_told_what_to_ask(void **state)
{
    static const struct {
        const char *request;
        int status;
    } rows[] = {
        {"GET /socket HTTP/1.1\r\nHost: x\r\n\r\n", 426},
        {"HEAD /socket HTTP/1.1\r\n" LINES "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY
         "\r\n\r\n",
         426},
        {"GET /socket HTTP/1.0\r\n" LINES "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY
         "\r\n\r\n",
         426},
        {"GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
         426},
        {"GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
         426},
        {"GET /socket HTTP/1.1\r\n" LINES "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: " KEY
         "\r\n\r\n",
         426},
        {"GET /socket HTTP/1.1\r\n" LINES "Sec-WebSocket-Key: " KEY "\r\n\r\n", 426},
        {"GET /socket HTTP/1.1\r\n" LINES "Sec-WebSocket-Version: 13\r\n\r\n", 400},
        {"GET /socket HTTP/1.1\r\n" LINES
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n",
         400},
        {"GET /socket HTTP/1.1\r\n" LINES
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ*==\r\n\r\n",
         400},
        {"GET /socket HTTP/1.1\r\n" LINES "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY
         "\r\nContent-Length: 2\r\n\r\n{}",
         400},
        {"POST /socket HTTP/1.1\r\n" LINES "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY
         "\r\n\r\n",
         405},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *text = ask(rows[i].request);

        assert_status(text, rows[i].status);
        if (rows[i].status == 426) {
            assert_non_null(strstr(text, "\r\nUpgrade: websocket\r\n"));
            assert_non_null(strstr(text, "\r\nSec-WebSocket-Version: 13\r\n"));
        }
        free(text);
    }
}

static void the_handshakes_lists_are_read_as_lists(void **state)
{
    int fd = client_connect();
    char *text;

    (void)state;
    client_send(fd, "GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\n"
                    "Connection: keep-alive\r\nConnection: close , UPGRADE\r\n"
                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n");
    text = client_read_until(fd, "\r\n\r\n");
    assert_status(text, 101);
    assert_null(strstr(text, "Connection: close"));
    free(text);
    send_frame(fd, 0x81, "still here");
    EXPECT(fd, "\x81\x0astill here");
    hang_up(fd);
}

static void a_refused_upgrade_leaves_the_connection_usable(void **state)
{
    int fd = client_connect();
    char *text;

    (void)state;
    client_send(fd, "GET /socket HTTP/1.1\r\nHost: x\r\n\r\n");
    text = client_read_until(fd, "}");
    assert_status(text, 426);
    free(text);
    client_send(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    text = client_read_until(fd, "\r\n\r\nhello");
    assert_status(text, 200);
    free(text);
    hang_up(fd);
}

static void messages_go_both_ways(void **state)
{
    int fd = open_socket();

    (void)state;
    send_frame(fd, 0x81, "one");
    EXPECT(fd, "\x81\x03one");
    send_frame(fd, 0x01, "tw");
    send_frame(fd, 0x89, "?");
    EXPECT(fd, "\x8a\x01?");
    send_frame(fd, 0x80, "o");
    EXPECT(fd, "\x81\x03two");
    assert_int_equal(ts.n_texts, 2);
    hang_up(fd);
    assert_int_equal(ts.n_ended, 1);
    assert_int_equal(ts.last_error, ERR_GONE);
}

/* What follows the head is the WebSocket's, also when it came along with it. */
static void bytes_behind_the_head_are_the_websockets(void **state)
{
    struct buf b = {.data = NULL};
    int fd;

    (void)state;
    buf_append_str(&b, STR("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" OPEN));
    frame_append(&b, 0x81, "early", 5);
    frame_append(&b, 0x81, "end", 3);
    for (size_t cut = 1; cut <= b.len; cut++) {
        char *text;

        fd = client_connect();
        client_send_bytes(fd, b.data, cut);
        client_send_bytes(fd, b.data + cut, b.len - cut);
        text = client_read_to_end(fd);
        assert_non_null(strstr(text, "\r\n\r\nhello"));
        if (!strstr(text, "\r\n\r\n\x81\x05"
                          "early\x88\x02\x03\xe8"))
            fail_msg("cut at %zu: %s", cut, text);
        free(text);
        hang_up(fd);
        assert_int_equal(ts.last_error, OK);
    }
    buf_deinit(&b);
}

static void an_idle_websocket_holds_no_buffers(void **state)
{
    int fd = open_socket();
    struct conn *c = the_conn();

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_null(c->out.data);
        assert_null(c->in.data);
        assert_null(c->parser);
        assert_null(c->websocket->frames.wslay);
        assert_null(c->websocket->frames.message.data);
        assert_false(timer_is_started(&c->deadline)); /* HTTP's idle limit is not its own */
        send_frame(fd, 0x81, "x");
        EXPECT(fd, "\x81\x01x");
    }
    print_message("a WebSocket: %zu bytes beside its connection and request\n",
                  sizeof(struct websocket));
    hang_up(fd);
}

static void violations_close_with_their_code(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *code;
    } rows[] = {
#define ROW(text, code) {text, sizeof(text) - 1, code}
        ROW("\x81\x01x", "\x03\xea"),                             /* not masked: 1002, by wslay */
        ROW("\x89\xfe\0\x7e\0\0\0\0", "\x03\xea"),                /* too long a ping: 1002, by us */
        ROW("\x82\x81\0\0\0\0x", "\x03\xeb"),                     /* binary: 1003 */
        ROW("\x81\x81\0\0\0\0\xff", "\x03\xef"),                  /* 1007 */
        ROW("\x81\xff\0\0\0\0\0\x01\0\x01\0\0\0\0x", "\x03\xf1"), /* 1009 */
#undef ROW
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = open_socket();
        char close_frame[4] = {(char)0x88, 2, rows[i].code[0], rows[i].code[1]};

        client_send_bytes(fd, rows[i].bytes, rows[i].len);
        send_frame(fd, 0x81, "after the end");
        expect_bytes(fd, close_frame, sizeof(close_frame));
        assert_true(client_is_closed(fd)); /* its own end, and nothing behind the Close */
        hang_up(fd);
        assert_int_equal(ts.n_ended, i + 1);
        assert_int_equal(ts.last_error, ERR_GONE);
        assert_int_equal(http_stats(ts.server).connections, 0);
    }
    assert_int_equal(ts.n_texts, 0);
}

static void each_side_may_say_goodbye(void **state)
{
    int fd = open_socket();

    (void)state;
    send_frame(fd, 0x88,
               "\x03\xe9"
               "bye");
    EXPECT(fd, "\x88\x05\x03\xe9"
               "bye");
    assert_true(client_is_closed(fd));
    hang_up(fd);
    assert_int_equal(ts.last_error, ERR_GONE);

    fd = open_socket();
    send_frame(fd, 0x81, "end");
    EXPECT(fd, "\x88\x02\x03\xe8");
    assert_true(client_is_closed(fd));
    hang_up(fd);
    assert_int_equal(ts.last_error, OK);

    fd = open_socket();
    send_frame(fd, 0x81, "fail");
    EXPECT(fd, "\x88\x02\x03\xf3"); /* 1011 */
    hang_up(fd);

    fd = open_socket();
    send_frame(fd, 0x81, "close");
    EXPECT(fd, "\x88\x06\x03\xf5"
               "busy"); /* 1013, and not a second time when the flow ends */
    assert_true(client_is_closed(fd));
    hang_up(fd);
    assert_int_equal(ts.n_ended, 4);
}

static void silence_is_broken_by_a_ping(void **state)
{
    int fd = open_socket();
    struct websocket *ws = the_conn()->websocket;

    (void)state;
    assert_in_range(ws->silence.due_ms - loop_now_ms(ts.loop), 29000, 30000);
    fire(&ws->silence);
    EXPECT(fd, "\x89\x00");
    assert_in_range(ws->silence.due_ms - loop_now_ms(ts.loop), 9000, 10000);
    send_frame(fd, 0x8a, "");
    assert_in_range(ws->silence.due_ms - loop_now_ms(ts.loop), 29000, 30100);
    fire(&ws->silence);
    EXPECT(fd, "\x89\x00");
    fire(&ws->silence);
    EXPECT(fd, "\x88\x09\x03\xf0no pong");
    hang_up(fd);
    assert_int_equal(ts.n_ended, 1);
    assert_int_equal(ts.last_error, ERR_GONE);
}

static void a_message_that_trickles_is_not_waited_for(void **state)
{
    int fd = open_socket();

    (void)state;
    client_send_bytes(fd, "\x81\x85\0\0\0\0h", 7);
    client_send_bytes(fd, "e", 1);
    the_conn()->websocket->began_ms -= (10 + 65536 / 1024) * 1000 + 1;
    client_send_bytes(fd, "l", 1);
    EXPECT(fd, "\x88\x1d\x03\xf0the message came too slowly");
    hang_up(fd);
    assert_int_equal(ts.last_error, ERR_GONE);
}

static void a_slow_reader_stops_the_writer_and_is_waited_for(void **state)
{
    int fd = open_socket();
    size_t total = 0, expected = FLOOD_BYTES / 1000 * 1004;
    static char piece[65536];

    (void)state;
    send_frame(fd, 0x81, "flood");
    turn(50);
    assert_true(conn_out_waiting(the_conn()) > 0);
    assert_true(timer_is_started(&the_conn()->write_deadline));
    /* Its silence is not asked about while it has so much to read. */
    fire(&the_conn()->websocket->silence);
    assert_false(the_conn()->websocket->is_pinged);
    while (total < expected) {
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        assert_true(n != 0);
        total += n > 0 ? (size_t)n : 0;
        turn(1);
    }
    assert_int_equal(total, expected);
    assert_true(ts.n_drained > 10);
    hang_up(fd);
}

/* It asks for more than it reads: its requests wait unread, in the socket's own buffers. */
static void one_who_only_asks_is_not_read(void **state)
{
    int fd = open_socket();
    struct buf b = {.data = NULL};
    size_t sent = 0, got = 0;
    static char piece[65536];
    unsigned n_idle = 0;

    (void)state;
    memset(piece, 'y', 100);
    while (b.len < 1 << 16)
        frame_append(&b, 0x89, piece, 100);
    while (n_idle < 20 && sent < 64u << 20) {
        ssize_t n = send(fd, b.data + sent % b.len, b.len - sent % b.len, MSG_NOSIGNAL);

        sent += n > 0 ? (size_t)n : 0;
        n_idle = n > 0 ? 0 : n_idle + 1;
        turn(2);
        assert_true(conn_out_waiting(the_conn()) <= test_config.limits.output_bytes + 70000);
        assert_true(the_conn()->in.len <= test_config.limits.pipeline_bytes + 1);
    }
    assert_true(n_idle == 20);
    while (got < sent / 106 * 102) { /* and all are answered once it reads */
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        assert_true(n != 0);
        got += n > 0 ? (size_t)n : 0;
        turn(1);
    }
    buf_deinit(&b);
    hang_up(fd);
}

/* Short questions with long answers, all at once: those behind wait until the answers have gone. */
static void one_who_asks_for_much_is_served_in_turn(void **state)
{
    enum { N = 2000 };
    int fd = open_socket();
    struct buf b = {.data = NULL};
    size_t got = 0;
    static char piece[65536];

    (void)state;
    for (unsigned i = 0; i < N; i++)
        frame_append(&b, 0x81, "big", 3);
    client_send_bytes(fd, b.data, b.len);
    while (got < (size_t)N * (BIG_BYTES + 4)) {
        ssize_t n;

        assert_true(conn_out_waiting(the_conn()) <=
                    test_config.limits.output_bytes + BIG_BYTES + 4);
        n = recv(fd, piece, sizeof(piece), 0);
        assert_true(n != 0);
        got += n > 0 ? (size_t)n : 0;
        turn(1);
    }
    assert_int_equal(ts.n_texts, N);
    buf_deinit(&b);
    hang_up(fd);
}

static void a_client_may_vanish_at_any_byte(void **state)
{
    struct buf b = {.data = NULL};

    (void)state;
    buf_append_str(&b, STR(OPEN));
    frame_append(&b, 0x01, "ab", 2);
    frame_append(&b, 0x89, "p", 1);
    frame_append(&b, 0x80, "c", 1);
    frame_append(&b, 0x81, "flood", 5);
    frame_append(&b, 0x88, "\x03\xe8", 2);
    for (size_t at = 0; at <= b.len; at++) {
        for (unsigned n = 0; n < 4; n++) {
            int fd = client_connect();
            ssize_t sent = send(fd, b.data, at, MSG_NOSIGNAL);

            assert_int_equal(sent, at);
            turn(n);
            if (at % 2)
                reset(fd);
            else
                hang_up(fd);
            turn(3);
            if (http_stats(ts.server).connections != 0)
                fail_msg("it stays after byte %zu, turn %u", at, n);
        }
    }
    assert_true(ts.n_ended > 100);
    buf_deinit(&b);
}

static void on_drained(struct loop *l)
{
    (void)l;
    ts.is_drained = true;
}

static void draining_says_goodbye(void **state)
{
    int fd = open_socket();

    (void)state;
    http_drain(ts.loop, on_drained);
    EXPECT(fd, "\x88\x05\x03\xe9"
               "bye");
    assert_false(ts.is_drained); /* it may read that in peace */
    send_frame(fd, 0x88, "\x03\xe9");
    hang_up(fd);
    turn_until(&ts.is_drained);
    assert_int_equal(ts.last_error, OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    TEST(the_handshake_is_the_standards_own),
    TEST(other_requests_are_told_what_to_ask),
    TEST(the_handshakes_lists_are_read_as_lists),
    TEST(a_refused_upgrade_leaves_the_connection_usable),
    TEST(messages_go_both_ways),
    TEST(bytes_behind_the_head_are_the_websockets),
    TEST(an_idle_websocket_holds_no_buffers),
    TEST(violations_close_with_their_code),
    TEST(each_side_may_say_goodbye),
    TEST(silence_is_broken_by_a_ping),
    TEST(a_message_that_trickles_is_not_waited_for),
    TEST(a_slow_reader_stops_the_writer_and_is_waited_for),
    TEST(one_who_only_asks_is_not_read),
    TEST(one_who_asks_for_much_is_served_in_turn),
    TEST(a_client_may_vanish_at_any_byte),
    TEST(draining_says_goodbye),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
