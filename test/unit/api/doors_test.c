/* A message over a WebSocket, and a completion, whose every allocation fails once: the client hears of an end, exactly once,
 * what it hears is true, nothing stays behind, and the server serves the next one. */
#include "../allocs.h"
#include "../cmocka_all.h"
#include "account/account.h"
#include "account/api_key.h"
#include "account/token.h"
#include "api/api.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "chat/turn.h"
#include "cluster/cluster.h"
#include "config/config.h"
#include "db/db.h"
#include "http/http.h"
#include "upstream/upstream.h"
#include "webhook/webhook.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop loop;
static struct config test_config;
static struct http_server *server;
static struct db *db;
static struct id team_id, user_id, agent_id, chat_id;
static struct arena memory;
static struct str token;
static struct api_key key;
static char directory[] = "/tmp/aerie-doors-XXXXXX";

static void must(struct error err)
{
    if (is_error(err))
        fail_msg("%s", err.detail ? err.detail : status_row(err.status)->name);
}

static struct db_arg uuid(const struct id *id)
{
    return db_uuid(id_str(id));
}

static void run(enum sql sql, const struct db_arg *args, size_t n)
{
    struct arena arena = {0};
    struct db_result result;

    must(db_run(db, &arena, sql, args, n, &result));
    arena_free(&arena);
}

static void add_rows(void)
{
    struct id key_id = id_v7();
    int64_t now = clock_wall_us();

    team_id = id_v4();
    user_id = id_v7();
    agent_id = id_v7();
    chat_id = id_v7();
    api_key_new(&key);
    run(SQL_TEAM_ADD, DB_ARGS(uuid(&team_id), db_text(STR("T")), db_text(STR("t")), db_json(STR("{}")), db_time(now)));
    run(SQL_USER_ADD, DB_ARGS(uuid(&team_id), uuid(&user_id), db_text(STR("u@example.com")),
                              db_text(STR("x")), db_text(STR_NONE), db_text(STR("user")), db_time(now)));
    run(SQL_AGENT_ADD, DB_ARGS(uuid(&team_id), uuid(&agent_id), uuid(&user_id), db_text(STR("Echo")),
                               db_text(STR_NONE), db_text(STR("echo")), db_text(STR_NONE), db_text(STR_NONE),
                               db_text(STR_NONE), db_text(STR_NONE), db_json(STR("{\"delay_ms\":0}")),
                               db_json(STR("[]")), db_bool(true), db_time(now)));
    run(SQL_CHAT_ADD, DB_ARGS(uuid(&team_id), uuid(&user_id), uuid(&chat_id), uuid(&agent_id),
                              db_text(STR("C")), db_json(STR("{}")), db_time(now)));
    run(SQL_KEY_ADD, DB_ARGS(uuid(&team_id), uuid(&agent_id), uuid(&key_id), db_text(STR("k")), db_text(str_from(key.prefix)),
                             db_text(str_from(key.hash)), db_json(STR("[\"chat\"]")), db_null(), db_null(), db_time(now),
                             db_json(STR("[]"))));
}

/* ---- a client on the same thread ---- */

static void turn(unsigned n)
{
    while (n-- > 0)
        uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static int client_connect(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_port(server)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

struct heard {
    char text[16384];
    size_t len;
    bool has_ended;
};

static bool has(const struct heard *h, const char *what)
{
    return memmem(h->text, h->len, what, strlen(what)) != NULL;
}

static unsigned count(const struct heard *h, const char *what)
{
    const char *at = h->text, *end = h->text + h->len;
    unsigned n = 0;

    while ((at = memmem(at, (size_t)(end - at), what, strlen(what))) != NULL) {
        at += strlen(what);
        n++;
    }
    return n;
}

/* Until one of the texts has come, or the connection ends. */
static void listen_for(int fd, struct heard *h, const char *const *texts)
{
    for (unsigned i = 0; i < 20000; i++) {
        ssize_t n;

        turn(1);
        n = recv(fd, h->text + h->len, sizeof(h->text) - h->len, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            h->has_ended = true;
            return;
        }
        h->len += n > 0 ? (size_t)n : 0;
        for (const char *const *text = texts; *text; text++)
            if (has(h, *text))
                return;
        usleep(100);
    }
    fail_msg("nothing more came after: %.*s", (int)h->len, h->text);
}

static void send_all(int fd, const char *data, size_t len)
{
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
}

static void hang_up(int fd)
{
    close(fd);
    for (unsigned i = 0; i < 20000 && http_stats(server).connections > 0; i++) {
        turn(1);
        usleep(100);
    }
    assert_int_equal(http_stats(server).connections, 0);
}

/* ---- a message over a WebSocket ---- */

static int open_socket(void)
{
    static const char *const head_end[] = {"\r\n\r\n", NULL};
    static struct heard h;
    char head[4096];
    int fd = client_connect(), len;

    len = snprintf(head, sizeof(head),
                   "GET /api/chat/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "Authorization: Bearer %.*s\r\n\r\n", STR_ARG(token));
    h = (struct heard){.len = 0};
    send_all(fd, head, (size_t)len);
    listen_for(fd, &h, head_end);
    assert_true(has(&h, " 101 "));
    return fd;
}

/* Masked with zeros. */
static void send_text(int fd, const char *text)
{
    size_t len = strlen(text);
    const char short_head[] = {(char)0x81, (char)(0x80 | len), 0, 0, 0, 0};
    const char long_head[] = {(char)0x81, (char)(0x80 | 126), (char)(len >> 8), (char)(len & 0xff), 0, 0, 0, 0};

    if (len < 126)
        send_all(fd, short_head, sizeof(short_head));
    else
        send_all(fd, long_head, sizeof(long_head));
    send_all(fd, text, len);
}

/* False: there were not that many allocations. */
static bool is_socket_sound_when_allocation_fails(unsigned long n, const char *message)
{
    static const char *const ends[] = {"\"type\":\"done\"", "\"type\":\"error\"", NULL};
    static const char *const done[] = {"\"type\":\"done\"", NULL};
    static struct heard h;
    int fd = open_socket();
    bool has_failed;

    h = (struct heard){.len = 0};
    allocs_reset(n);
    allocs_watch(true);
    send_text(fd, message);
    listen_for(fd, &h, ends);
    allocs_watch(false);
    has_failed = allocs_failed();
    if (!has_failed && !has(&h, done[0]))
        fail_msg("at %lu: %.*s", n, (int)h.len, h.text);
    if (!h.has_ended) { /* and the socket stays */
        assert_int_equal(count(&h, ends[0]) + count(&h, ends[1]), 1);
        h = (struct heard){.len = 0};
        send_text(fd, "{\"message\":\"again\"}");
        listen_for(fd, &h, done);
        assert_int_equal(count(&h, done[0]), 1);
        assert_int_equal(count(&h, ends[1]), 0);
    }
    hang_up(fd);
    return has_failed;
}

static void a_message_over_a_socket_survives_every_allocation(void **state)
{
    char message[300];
    unsigned long n = 1;

    (void)state;
    snprintf(message, sizeof(message),
             "{\"message\":\"one two three\",\"session_id\":\"%s\",\"model\":\"m\"}", chat_id.text);
    while (is_socket_sound_when_allocation_fails(n, message))
        n++;
    print_message("%lu allocations of a message failed\n", n - 1);
    assert_true(n > 10);
}

/* The answer comes from the table from the second time on. */
static void a_repeated_message_over_a_socket_survives_every_allocation(void **state)
{
    static const char message[] = "{\"message\":\"one two three\",\"idempotency_key\":\"k\"}";
    unsigned long n = 1;

    (void)state;
    assert_false(is_socket_sound_when_allocation_fails(ULONG_MAX, message));
    while (is_socket_sound_when_allocation_fails(n, message))
        n++;
    print_message("%lu allocations of a repeated message failed\n", n - 1);
    assert_true(n > 10);
}

/* ---- a completion ---- */

static bool is_completion_sound_when_allocation_fails(unsigned long n, const char *body)
{
    static const char *const nothing[] = {NULL};
    static struct heard h;
    char head[1024];
    int fd = client_connect(), len;
    bool has_failed;

    len = snprintf(head, sizeof(head),
                   "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", key.text, strlen(body), body);
    turn(2); /* accepted */
    h = (struct heard){.len = 0};
    allocs_reset(n);
    allocs_watch(true);
    send_all(fd, head, (size_t)len);
    listen_for(fd, &h, nothing);
    allocs_watch(false);
    has_failed = allocs_failed();
    if (has(&h, "[DONE]") || has(&h, "\"object\":\"chat.completion\"")) {
        assert_false(has(&h, "\"error\""));
        assert_true(has(&h, "three"));
    } else {
        assert_true(has_failed);
        assert_false(has(&h, "\"finish_reason\":\"stop\"") && has(&h, "\r\n0\r\n\r\n") && !has(&h, "\"error\""));
    }
    hang_up(fd);
    return has_failed;
}

static void sweep_completion(const char *body)
{
    unsigned long n = 1;

    while (is_completion_sound_when_allocation_fails(n, body))
        n++;
    print_message("%lu allocations of a completion failed\n", n - 1);
    assert_true(n > 10);
}

static void a_completion_survives_every_allocation(void **state)
{
    (void)state;
    sweep_completion("{\"model\":\"Echo\",\"messages\":[{\"role\":\"system\",\"content\":\"Be\"},"
                     "{\"role\":\"user\",\"content\":\"one two three\"}]}");
    sweep_completion("{\"model\":\"Echo\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
                     "\"messages\":[{\"role\":\"user\",\"content\":\"one two three\"}]}");
}

/* ---- clients that leave ---- */

static void leave_by_close(int fd)
{
    (void)fd;
}

static void leave_by_half(int fd)
{
    shutdown(fd, SHUT_WR);
    turn(3);
}

static void leave_by_reset(int fd)
{
    struct linger now = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void leave_by_word(int fd)
{
    static const char goodbye[] = {(char)0x88, (char)0x82, 0, 0, 0, 0, 3, (char)0xe8};

    (void)send(fd, goodbye, sizeof(goodbye), MSG_NOSIGNAL); /* to the completion it is rubbish */
    turn(3);
}

static int send_completion(void)
{
    static const char body[] = "{\"model\":\"Echo\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"one two\"}]}";
    char head[1024];
    int fd = client_connect(), len;

    len = snprintf(head, sizeof(head),
                   "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", key.text, strlen(body), body);
    send_all(fd, head, (size_t)len);
    return fd;
}

static int send_message(void)
{
    int fd = open_socket();

    send_text(fd, "{\"message\":\"one two\"}");
    return fd;
}

/* After so many turns of the loop: first each, then some, as they come to many. */
static void sweep_leaving(int (*begin)(void), void (*leave)(int fd), const char *end)
{
    static struct heard h;
    const char *const ends[] = {end, NULL};
    unsigned at = 0;
    int fd;

    do {
        fd = begin();
        h = (struct heard){.len = 0};
        for (unsigned i = 0; i < at && !has(&h, end); i++) {
            ssize_t n;

            turn(1);
            n = recv(fd, h.text + h.len, sizeof(h.text) - h.len, 0);
            h.len += n > 0 ? (size_t)n : 0;
            usleep(50);
        }
        leave(fd);
        hang_up(fd);
        at += 1 + at / 4;
    } while (!has(&h, end) && at < 1000);
    assert_in_range(at, 3, 999);
    fd = begin(); /* and the next one is served */
    h = (struct heard){.len = 0};
    listen_for(fd, &h, ends);
    assert_false(h.has_ended);
    hang_up(fd);
}

static void a_client_may_leave_a_socket_or_a_completion_at_any_moment_in_any_way(void **state)
{
    void (*const ways[])(int fd) = {leave_by_close, leave_by_half, leave_by_reset, leave_by_word};

    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        sweep_leaving(send_message, ways[i], "\"type\":\"done\"");
        sweep_leaving(send_completion, ways[i], "[DONE]");
    }
}

/* ---- the rooms ---- */

static bool is_there;

static void on_there(struct loop *l)
{
    (void)l;
    is_there = true;
}

static void wait_for_it(void)
{
    while (!is_there)
        turn(1);
    is_there = false;
}

static int open_rooms(void **state)
{
    static char url[96];
    struct caller who = {.is_admin = false};

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(url, sizeof(url), "sqlite:///%s/doors.db", directory);
    test_config.database.url = str_from(url);
    test_config.data_dir = str_from(directory);
    must(db_open(&db, DB_OPEN_SERVER));
    must(db_migrate_up(db, &(int){0}));
    add_rows();
    who.team_id = team_id;
    who.user_id = user_id;
    who.family = id_v4();
    token = token_issue(&memory, &who, clock_wall_us());
    assert_non_null(token.ptr);
    must(cluster_open(db));
    must(upstream_open());
    must(webhook_open(db));
    must(account_open(db));
    must(chat_open(db));
    must(api_open());
    must(http_open(api_hooks(), 1, &server));
    must(loop_init(&loop, 0));
    must(db_attach(db, &loop));
    must(upstream_attach(&loop));
    must(cluster_attach(&loop));
    must(webhook_attach(&loop));
    must(account_attach(&loop));
    must(chat_attach(&loop));
    must(http_attach(server, &loop));
    return 0;
}

static int close_rooms(void **state)
{
    char command[128];

    (void)state;
    http_drain(&loop, on_there);
    wait_for_it();
    chat_drain(&loop, on_there);
    wait_for_it();
    chat_detach(&loop);
    account_detach(&loop, on_there);
    wait_for_it();
    webhook_detach(&loop, on_there);
    wait_for_it();
    cluster_detach(&loop, on_there);
    wait_for_it();
    upstream_detach(&loop, on_there);
    wait_for_it();
    db_detach(&loop, on_there);
    wait_for_it();
    loop_close(&loop);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    loop_deinit(&loop);
    http_close(server);
    api_close();
    chat_close(db);
    account_close();
    webhook_close();
    upstream_close();
    cluster_close();
    db_close(db);
    arena_free(&memory);
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_over_a_socket_survives_every_allocation),
        cmocka_unit_test(a_repeated_message_over_a_socket_survives_every_allocation),
        cmocka_unit_test(a_completion_survives_every_allocation),
        cmocka_unit_test(a_client_may_leave_a_socket_or_a_completion_at_any_moment_in_any_way),
    };
    int failed;

    if (is_error(config_load(&(struct config_sources){0}, &test_config)))
        return 1;
    test_config.security.secret = STR("0123456789abcdef0123456789abcdef");
    test_config.server.host = STR("127.0.0.1");
    test_config.server.port = 0;
    test_config.turn.keep_ms = 1;
    test_config.limits.messages_per_minute = 0;
    test_config.limits.agent_messages_per_minute = 0;
    config_set(&test_config);
    log_init(LOG_ERROR, 2);
    failed = cmocka_run_group_tests(tests, open_rooms, close_rooms);
    config_free(&test_config);
    return failed;
}
