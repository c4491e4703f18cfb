/* TLS beneath a connection, between two sockets: what is agreed on, what survives a full socket,
 * how ends are told apart, and which certificate is shown. */
#include "config/config.h"
#include "http/tls.h"

#include "base/clock.h"
#include "fault/torture.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "../cmocka_all.h"

static char dir[] = "/tmp/aerie-tls-XXXXXX";
static struct config test_config;
static struct tls_server *server;
static struct str certificates[2], keys[2];
static char paths[4][128];

/* ---- certificates ---- */

/* name: of the files, and the host that it is for. */
static void make_certificate(const char *name, const char *more)
{
    char command[512];

    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
             "-subj /CN=%s -addext subjectAltName=DNS:%s.example -keyout %s/%s.key -out %s/%s.crt "
             "%s 2>/dev/null",
             name, name, dir, name, dir, name, more);
    assert_int_equal(system(command), 0);
}

static void name_file(size_t at, const char *name, const char *ending, struct str *out)
{
    snprintf(paths[at], sizeof(paths[at]), "%s/%s.%s", dir, name, ending);
    *out = str_from(paths[at]);
}

static void use(const char *certificate, const char *key)
{
    name_file(0, certificate, "crt", &certificates[0]);
    name_file(1, key, "key", &keys[0]);
    test_config.tls.certificate = (struct config_list){certificates, 1};
    test_config.tls.key = (struct config_list){keys, 1};
}

static int make_all(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    make_certificate("one", "-days 90");
    make_certificate("two", "-days 10");
    return 0;
}

static int remove_all(void **state)
{
    char command[64];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static int set_up(void **state)
{
    (void)state;
    test_config = (struct config){
        .tls = {.min_version = STR("1.2"),
                .ciphers = STR("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"),
                .handshake_seconds = 10}};
    use("one", "one");
    config_set(&test_config);
    assert_int_equal(tls_server_open(&server).status, OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clock_set_source(NULL);
    tls_server_close(server);
    return 0;
}

/* ---- a client and a connection ---- */

struct pair {
    int fds[2]; /* the server's, the client's */
    struct tls *tls;
    SSL_CTX *ctx;
    SSL *client;
};

static void open_pair(struct pair *p)
{
    int small = 4096;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->fds), 0);
    for (int i = 0; i < 2; i++)
        setsockopt(p->fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    p->tls = tls_new(server, p->fds[0]);
    assert_non_null(p->tls);
    p->ctx = SSL_CTX_new(TLS_client_method());
    p->client = SSL_new(p->ctx);
    assert_non_null(p->client);
    SSL_set_fd(p->client, p->fds[1]);
}

static void close_pair(struct pair *p)
{
    tls_free(p->tls);
    SSL_free(p->client);
    SSL_CTX_free(p->ctx);
    for (int i = 0; i < 2; i++)
        if (p->fds[i] >= 0)
            close(p->fds[i]);
}

static void end_client(struct pair *p)
{
    close(p->fds[1]);
    p->fds[1] = -1;
}

/* What the server's side comes to. */
static enum tls_progress shake_hands(struct pair *p)
{
    enum tls_progress progress = TLS_WAITING;

    for (int i = 0; i < 1000 && progress == TLS_WAITING; i++) {
        (void)SSL_connect(p->client);
        ERR_clear_error();
        progress = tls_handshake(p->tls);
    }
    (void)SSL_connect(p->client);
    ERR_clear_error();
    return progress;
}

static void open_established(struct pair *p)
{
    open_pair(p);
    assert_int_equal(shake_hands(p), TLS_ESTABLISHED);
}

/* The client's bytes, as far as they have come. */
static size_t client_reads(struct pair *p, char *out, size_t len)
{
    size_t n = 0;

    if (SSL_read_ex(p->client, out, len, &n) != 1)
        n = 0;
    ERR_clear_error();
    return n;
}

static void client_writes(struct pair *p, const void *data, size_t len)
{
    size_t n;

    assert_int_equal(SSL_write_ex(p->client, data, len, &n), 1);
    assert_int_equal(n, len);
}

static void expect_from_client(struct pair *p, const char *text)
{
    char bytes[64];

    client_writes(p, text, strlen(text));
    assert_int_equal(tls_read(p->tls, bytes, sizeof(bytes)), strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

static void expect_at_client(struct pair *p, const char *text)
{
    char bytes[64];

    assert_int_equal(tls_write(p->tls, text, strlen(text)), strlen(text));
    assert_int_equal(client_reads(p, bytes, sizeof(bytes)), strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

/* ---- what is agreed on ---- */

static void versions_from_the_oldest_allowed_one_are_spoken(void **state)
{
    static const struct {
        int version;
        const char *least;
        enum tls_progress progress;
    } rows[] = {
        {TLS1_1_VERSION, "1.2", TLS_FAILED},      {TLS1_2_VERSION, "1.2", TLS_ESTABLISHED},
        {TLS1_3_VERSION, "1.2", TLS_ESTABLISHED}, {TLS1_2_VERSION, "1.3", TLS_FAILED},
        {TLS1_3_VERSION, "1.3", TLS_ESTABLISHED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pair p;

        test_config.tls.min_version = str_from(rows[i].least);
        assert_int_equal(tls_server_load(server).status, OK);
        open_pair(&p);
        SSL_set_security_level(p.client, 0);
        SSL_set_min_proto_version(p.client, rows[i].version);
        SSL_set_max_proto_version(p.client, rows[i].version);
        assert_int_equal(shake_hands(&p), rows[i].progress);
        if (rows[i].progress == TLS_ESTABLISHED) {
            assert_int_equal(SSL_version(p.client), rows[i].version);
            expect_from_client(&p, "hello");
            expect_at_client(&p, "hello yourself");
        }
        close_pair(&p);
    }
}

static void http_1_1_is_what_alpn_agrees_on_or_nothing(void **state)
{
    static const struct {
        const char *offered;
        enum tls_progress progress;
        const char *agreed;
    } rows[] = {{"\x02h2\x08http/1.1", TLS_ESTABLISHED, "http/1.1"},
                {"\x08http/1.1", TLS_ESTABLISHED, "http/1.1"},
                {"\x02h2", TLS_FAILED, ""},
                {"\x08http/1.0\x09http/1.1x", TLS_FAILED, ""},
                {"", TLS_ESTABLISHED, ""}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const unsigned char *agreed;
        unsigned len;
        struct pair p;

        open_pair(&p);
        if (rows[i].offered[0])
            SSL_set_alpn_protos(p.client, (const unsigned char *)rows[i].offered,
                                (unsigned)strlen(rows[i].offered));
        assert_int_equal(shake_hands(&p), rows[i].progress);
        SSL_get0_alpn_selected(p.client, &agreed, &len);
        assert_int_equal(len, strlen(rows[i].agreed));
        if (len > 0)
            assert_memory_equal(agreed, rows[i].agreed, len);
        close_pair(&p);
    }
}

static void the_name_chooses_the_certificate(void **state)
{
    static const struct {
        const char *asked, *shown;
    } rows[] = {
        {"one.example", "one"}, {"two.example", "two"}, {"three.example", "one"}, {NULL, "one"}};

    (void)state;
    name_file(2, "two", "crt", &certificates[1]);
    name_file(3, "two", "key", &keys[1]);
    test_config.tls.certificate.n = test_config.tls.key.n = 2;
    assert_int_equal(tls_server_load(server).status, OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char subject[64], expected[64];
        struct pair p;

        open_pair(&p);
        if (rows[i].asked)
            SSL_set_tlsext_host_name(p.client, rows[i].asked);
        assert_int_equal(shake_hands(&p), TLS_ESTABLISHED);
        X509_NAME_oneline(X509_get_subject_name(SSL_get0_peer_certificate(p.client)), subject,
                          sizeof(subject));
        snprintf(expected, sizeof(expected), "/CN=%s", rows[i].shown);
        assert_string_equal(subject, expected);
        close_pair(&p);
    }
    assert_in_range(tls_server_days_left(server), 9, 10); /* the first that ends */
}

/* ---- resuming ---- */

/* A connection with the session of the one before; true when it was resumed. */
static bool resume(SSL_SESSION **session)
{
    struct pair p;
    char byte;
    bool is_resumed;

    open_pair(&p);
    if (*session)
        SSL_set_session(p.client, *session);
    assert_int_equal(shake_hands(&p), TLS_ESTABLISHED);
    (void)client_reads(&p, &byte, 1); /* takes the tickets */
    is_resumed = tls_is_resumed(p.tls);
    assert_int_equal(is_resumed, SSL_session_reused(p.client));
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(p.client);
    tls_say_end(p.tls);
    SSL_shutdown(p.client);
    close_pair(&p);
    return is_resumed;
}

static void a_session_is_resumed_past_a_reload_until_its_key_is_gone(void **state)
{
    struct clock_source now = {.mono_ms = clock_mono_ms(), .wall_us = clock_wall_us()};
    SSL_SESSION *session = NULL, *other = NULL, *first;

    (void)state;
    clock_set_source(&now);
    assert_false(resume(&session));
    first = session;
    SSL_SESSION_up_ref(first);
    assert_true(resume(&session));
    assert_int_equal(tls_server_load(server).status, OK);
    assert_true(resume(&session));
    now.mono_ms += 3 * 3600 * 1000; /* a new key makes tickets, the old one opens them */
    assert_false(resume(&other));
    SSL_SESSION_free(other);
    assert_true(resume(&session));
    SSL_SESSION_free(session);
    session = first;
    now.mono_ms += 3 * 3600 * 1000;
    assert_false(resume(&session));
    SSL_SESSION_free(session);
}

/* ---- reading and writing ---- */

#define MUCH (300 * 1000)

static void a_full_socket_loses_and_doubles_nothing(void **state)
{
    char *data = malloc(MUCH), *got = malloc(MUCH + 1), *moved;
    size_t sent = 0, n_got = 0, n_full = 0;
    struct pair p;

    (void)state;
    for (size_t i = 0; i < MUCH; i++)
        data[i] = (char)(i * 31 + i / 1000);
    open_established(&p);
    while (n_got < MUCH) {
        while (sent < MUCH) {
            ssize_t n = tls_write(p.tls, data + sent, MUCH - sent);

            if (n < 0) {
                assert_int_equal(errno, EAGAIN);
                assert_int_equal(tls_events_to_await(p.tls, UV_WRITABLE), UV_WRITABLE);
                n_full++;
            }
            moved = malloc(MUCH); /* as a buffer that grew */
            memcpy(moved, data, MUCH);
            free(data);
            data = moved;
            if (n < 0)
                break;
            sent += (size_t)n;
        }
        n_got += client_reads(&p, got + n_got, MUCH + 1 - n_got);
    }
    assert_true(n_full > 10);
    assert_int_equal(n_got, MUCH);
    assert_memory_equal(got, data, MUCH);
    close_pair(&p);
    free(data);
    free(got);
}

static void what_openssl_has_of_a_record_is_read_without_the_socket(void **state)
{
    char bytes[8];
    struct pair p;

    (void)state;
    open_established(&p);
    client_writes(&p, "0123456789", 10);
    client_writes(&p, "abcdef", 6);
    assert_int_equal(tls_read(p.tls, bytes, 4), 4);
    assert_memory_equal(bytes, "0123", 4);
    assert_true(p.tls->has_rest);
    client_writes(&p, "later", 5);
    assert_int_equal(tls_read_rest(p.tls, bytes, 8), 8);
    assert_memory_equal(bytes, "456789ab", 8);
    assert_true(p.tls->has_rest);
    assert_int_equal(tls_read_rest(p.tls, bytes, 8), 4);
    assert_memory_equal(bytes, "cdef", 4);
    assert_false(p.tls->has_rest);
    assert_int_equal(tls_read_rest(p.tls, bytes, 8), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(tls_read(p.tls, bytes, 8), 5);
    assert_false(p.tls->has_rest);
    close_pair(&p);
}

static void keys_change_while_the_socket_is_full(void **state)
{
    static char much[100 * 1000];
    char bytes[sizeof(much)];
    size_t sent = 0, got = 0;
    struct pair p;

    (void)state;
    open_established(&p);
    for (ssize_t n; (n = tls_write(p.tls, much + sent, sizeof(much) - sent)) > 0;)
        sent += (size_t)n;
    assert_int_equal(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED), 1);
    client_writes(&p, "new keys", 8);
    assert_int_equal(tls_read(p.tls, bytes, sizeof(bytes)), 8);
    while (got < sizeof(much)) {
        ssize_t n = sent < sizeof(much) ? tls_write(p.tls, much + sent, sizeof(much) - sent) : 0;

        assert_true(n >= 0 || errno == EAGAIN);
        sent += n > 0 ? (size_t)n : 0;
        got += client_reads(&p, bytes, sizeof(bytes));
    }
    assert_int_equal(got, sizeof(much));
    expect_at_client(&p, "and on");
    close_pair(&p);
}

static void an_event_lets_do_what_waited_for_it(void **state)
{
    struct tls t = {.fd = -1};

    (void)state;
    assert_int_equal(tls_events_to_await(&t, UV_READABLE | UV_WRITABLE), UV_READABLE | UV_WRITABLE);
    assert_int_equal(tls_events_that_came(&t, UV_WRITABLE), UV_WRITABLE);
    t.reads_when_writable = true;
    assert_int_equal(tls_events_to_await(&t, UV_READABLE), UV_WRITABLE);
    assert_int_equal(tls_events_that_came(&t, UV_WRITABLE), UV_READABLE | UV_WRITABLE);
    t.reads_when_writable = false;
    t.writes_when_readable = true;
    assert_int_equal(tls_events_to_await(&t, UV_WRITABLE), UV_READABLE);
    assert_int_equal(tls_events_that_came(&t, UV_READABLE), UV_READABLE | UV_WRITABLE);
}

/* ---- ends ---- */

static void a_clean_end_is_told_from_a_cut(void **state)
{
    char bytes[8];
    struct pair p;

    (void)state;
    open_established(&p);
    client_writes(&p, "last", 4);
    SSL_shutdown(p.client);
    assert_int_equal(tls_read(p.tls, bytes, 8), 4);
    assert_true(p.tls->has_rest); /* no event of the socket would tell of it */
    assert_int_equal(tls_read_rest(p.tls, bytes, 8), 0);
    expect_at_client(&p, "goes on"); /* half of it is closed */
    tls_say_end(p.tls);
    assert_int_equal(client_reads(&p, bytes, 8), 0);
    assert_true(SSL_get_shutdown(p.client) & SSL_RECEIVED_SHUTDOWN);
    close_pair(&p);

    open_established(&p);
    client_writes(&p, "last", 4);
    end_client(&p);
    assert_int_equal(tls_read(p.tls, bytes, 8), 4);
    assert_int_equal(tls_read(p.tls, bytes, 8), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(tls_write(p.tls, "x", 1), -1);
    assert_int_equal(errno, ECONNRESET);
    tls_say_end(p.tls);
    close_pair(&p);
}

static void a_client_may_vanish_at_every_step_of_the_handshake(void **state)
{
    (void)state;
    for (int steps = 0; steps < 4; steps++) {
        enum tls_progress progress = TLS_WAITING;
        struct pair p;

        open_pair(&p);
        for (int i = 0; i < steps; i++) {
            (void)SSL_connect(p.client);
            progress = tls_handshake(p.tls);
        }
        end_client(&p);
        if (progress != TLS_ESTABLISHED)
            assert_int_equal(tls_handshake(p.tls), TLS_FAILED);
        tls_say_end(p.tls);
        close_pair(&p);
        ERR_clear_error();
    }
}

/* A client's first flight. */
static size_t hello(char *out, size_t len)
{
    struct pair p;
    ssize_t n;

    open_pair(&p);
    (void)SSL_connect(p.client);
    ERR_clear_error();
    n = recv(p.fds[0], out, len, 0);
    assert_true(n > 100);
    close_pair(&p);
    return (size_t)n;
}

static void garbage_at_every_byte_of_a_hello_is_refused_or_waited_for(void **state)
{
    char bytes[2048];
    size_t len = hello(bytes, sizeof(bytes)), n_failed = 0;

    (void)state;
    for (size_t at = 0; at < len; at++) {
        struct pair p;

        open_pair(&p);
        bytes[at] = (char)~bytes[at];
        assert_int_equal(send(p.fds[1], bytes, len, 0), len);
        bytes[at] = (char)~bytes[at];
        n_failed += tls_handshake(p.tls) == TLS_FAILED;
        assert_int_not_equal(tls_handshake(p.tls), TLS_ESTABLISHED);
        close_pair(&p);
    }
    assert_true(n_failed > 10); /* the rest is random, or of extensions that nobody knows */
}

static void no_memory_at_some_point_is_no_harm(void **state)
{
    unsigned n = 1;

    (void)state;
    for (bool has_failed = true; has_failed; n += 1 + n / 50) {
        enum tls_progress progress = TLS_FAILED;
        char bytes[8];
        struct pair p;

        open_pair(&p);
        tls_free(p.tls);
        torture_arm(TORTURE_MEMORY, n, 0);
        p.tls = tls_new(server, p.fds[0]);
        if (p.tls)
            progress = shake_hands(&p);
        if (progress == TLS_ESTABLISHED) {
            (void)tls_write(p.tls, "x", 1);
            (void)tls_read(p.tls, bytes, sizeof(bytes));
        }
        has_failed = torture_has_failed();
        torture_disarm();
        close_pair(&p);
        ERR_clear_error();
    }
    assert_true(n > 100);
}

/* ---- certificates ---- */

static void expect_refusal(const char *words)
{
    struct error err = tls_server_load(server);

    assert_int_equal(err.status, ERR_INVALID);
    assert_non_null(err.detail);
    if (!strstr(err.detail, words))
        fail_msg("%s is not in: %s", words, err.detail);
}

static void write_file(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void what_is_wrong_is_said_and_what_is_in_force_stays(void **state)
{
    struct clock_source later = {.mono_ms = clock_mono_ms()};
    struct pair p;

    (void)state;
    use("missing", "one");
    expect_refusal("missing.crt cannot be read: No such file");
    use("one", "missing");
    expect_refusal("missing.key cannot be read: No such file");
    write_file("bad.crt", "no certificate\n");
    write_file("bad.key", "no key\n");
    use("bad", "one");
    expect_refusal("bad.crt must hold the certificate");
    use("one", "bad");
    expect_refusal("bad.key must hold the key of");
    use("one", "two");
    expect_refusal("two.key");
    use("one", "one");
    test_config.tls.key.n = 0;
    expect_refusal("tls.certificate names 1 files and tls.key 0");
    test_config.tls.certificate.n = 0;
    expect_refusal("tls.certificate must name the file");
    use("one", "one");
    test_config.tls.ciphers = STR("NONE-SUCH");
    expect_refusal("tls.ciphers");
    test_config.tls.ciphers = STR("ECDHE-ECDSA-AES128-GCM-SHA256");
    later.wall_us = clock_wall_us() + INT64_C(91) * 24 * 3600 * 1000000;
    clock_set_source(&later);
    expect_refusal("one.crt has expired");
    later.wall_us = 1;
    expect_refusal("one.crt is not valid yet");
    clock_set_source(NULL);
    open_established(&p); /* with the first one */
    close_pair(&p);
}

static void a_locked_key_is_not_waited_for(void **state)
{
    char command[256];

    (void)state;
    snprintf(
        command, sizeof(command),
        "openssl ec -aes128 -passout pass:secret -in %s/one.key -out %s/locked.key 2>/dev/null",
        dir, dir);
    assert_int_equal(system(command), 0);
    use("one", "locked");
    expect_refusal("locked.key is locked with a passphrase");
}

static void connections_keep_the_certificate_that_they_began_with(void **state)
{
    struct pair before, after;

    (void)state;
    open_established(&before);
    use("two", "two");
    assert_int_equal(tls_server_load(server).status, OK);
    open_established(&after);
    expect_from_client(&before, "still here");
    expect_at_client(&before, "so am I");
    assert_int_not_equal(
        X509_cmp(SSL_get0_peer_certificate(before.client), SSL_get0_peer_certificate(after.client)),
        0);
    close_pair(&before);
    close_pair(&after);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(versions_from_the_oldest_allowed_one_are_spoken),
        TEST(http_1_1_is_what_alpn_agrees_on_or_nothing),
        TEST(the_name_chooses_the_certificate),
        TEST(a_session_is_resumed_past_a_reload_until_its_key_is_gone),
        TEST(a_full_socket_loses_and_doubles_nothing),
        TEST(what_openssl_has_of_a_record_is_read_without_the_socket),
        TEST(keys_change_while_the_socket_is_full),
        TEST(an_event_lets_do_what_waited_for_it),
        TEST(a_clean_end_is_told_from_a_cut),
        TEST(a_client_may_vanish_at_every_step_of_the_handshake),
        TEST(garbage_at_every_byte_of_a_hello_is_refused_or_waited_for),
        TEST(no_memory_at_some_point_is_no_harm),
        TEST(what_is_wrong_is_said_and_what_is_in_force_stays),
        TEST(a_locked_key_is_not_waited_for),
        TEST(connections_keep_the_certificate_that_they_began_with),
    };

    if (system("openssl version >/dev/null 2>&1") != 0)
        return 77; /* meson counts it as skipped */
    return cmocka_run_group_tests(tests, make_all, remove_all);
}
