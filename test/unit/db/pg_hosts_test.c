/* Several hosts of PostgreSQL, and names that lead elsewhere after a while: as when a cluster fails
 * over. */
#include "harness.h"
#include "pg_server.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct pg_server server;
static const char *why_no_server;

/* Addresses of the machine itself that no other test has. */
enum place { NEAR = 1, FAR, SILENT };
static void address_of(enum place place, char out[INET_ADDRSTRLEN])
{
    const unsigned pid = (unsigned)getpid();

    snprintf(out, INET_ADDRSTRLEN, "127.%u.%u.%u", 1 + (pid >> 8) % 250, pid & 255,
             (unsigned)place);
}

/* Where db.test is; gone.test is nowhere. All else is looked up in earnest. */
static _Atomic int db_is = NEAR;
static atomic_uint n_lookups;

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list)
{
    char address[INET_ADDRSTRLEN];

    n_lookups++;
    if (strcmp(host, "gone.test") == 0)
        return EAI_NONAME;
    address_of((enum place)db_is, address);
    return __real_getaddrinfo(strcmp(host, "db.test") == 0 ? address : host, service, hints, list);
}

/* host: before the server's own address where that is to be tried, too. */
static struct harness *harness_at(const char *host, bool has_server)
{
    struct harness *h;
    char url[256], address[INET_ADDRSTRLEN];

    if (why_no_server)
        skip();
    db_is = NEAR;
    address_of(NEAR, address);
    snprintf(url, sizeof(url), "postgresql://postgres@/postgres?connect_timeout=2&host=%s%s%s",
             host, has_server && host[0] ? "," : "", has_server ? address : "");
    h = harness_new(url);
    h->config.database.connect_ms = 300;
    return h;
}

static bool is_ready(void *state)
{
    (void)state;
    return db_is_ready();
}

static bool has_lost(void *state)
{
    (void)state;
    return !db_is_ready();
}

static void expect_works(struct harness *h, int id)
{
    struct call c;

    call_run(h, &c, SQL_THING_NAME, DB_ARGS(db_int(id), db_text(STR("x"))));
    assert_int_equal(c.err.status, OK);
    call_free(&c);
}

/* It takes a connection, and then says no word: as a machine that hangs. */
static int listen_silently(char address[INET_ADDRSTRLEN])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(5432)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    address_of(SILENT, address);
    assert_int_equal(inet_pton(AF_INET, address, &at.sin_addr), 1);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 64), 0);
    return fd;
}

static void a_host_that_says_nothing_is_passed_over(void **state)
{
    char silent[INET_ADDRSTRLEN];
    const int fd = listen_silently(silent);
    struct harness *h;

    (void)state;
    h = harness_at(silent, true);
    harness_open(h);
    harness_attach(h);
    harness_await(h, is_ready, NULL);
    expect_works(h, 1);
    harness_free(h);
    close(fd);
}

static void a_name_that_leads_nowhere_keeps_nobody_from_the_others(void **state)
{
    struct harness *h = harness_at("gone.test", true);
    struct error err;
    struct db *db;

    (void)state;
    harness_open(h);
    harness_attach(h);
    harness_await(h, is_ready, NULL);
    expect_works(h, 1);
    harness_free(h);
    h = harness_at("gone.test", false);
    err = db_open(&db, DB_OPEN_SERVER);
    assert_true(is_error(err));
    assert_non_null(strstr(err.detail, "gone.test"));
    harness_free(h);
}

static void a_name_that_leads_elsewhere_now_is_followed(void **state)
{
    struct harness *h = harness_at("db.test", false);
    unsigned n_before;

    (void)state;
    harness_open(h);
    harness_attach(h);
    harness_await(h, is_ready, NULL);
    n_before = n_lookups;
    expect_works(h, 1);
    assert_int_equal(n_lookups, n_before); /* while all is well nobody asks */
    pg_server_stop(&server);
    address_of(FAR, server.listen);
    assert_true(pg_server_start(&server));
    harness_await(h, has_lost, NULL);
    db_is = FAR;
    harness_await(h, is_ready, NULL);
    expect_works(h, 2);
    assert_in_range(n_lookups, n_before + 1, n_before + 30); /* at most one a second */
    harness_detach(h);
    address_of(NEAR, server.listen);
    pg_server_stop(&server);
    assert_true(pg_server_start(&server));
    harness_free(h);
}

static bool has_ended_or_moved(void *state)
{
    return ((struct call *)state)->has_ended || !db_is_ready();
}

/* A server that is about to be another's standby refuses to write. That was not done, so it is done
 * by the server that the next connection finds. */
static void a_write_that_a_server_refuses_as_read_only_is_done_by_the_next_connection(void **state)
{
    struct harness *h = harness_at("", true);
    int64_t id = 0;
    bool has_moved = false;
    struct call c;

    (void)state;
    harness_open(h);
    harness_attach(h);
    harness_await(h, is_ready, NULL);
    run_number(h, SQL_WRITES_OFF, NO_ARGS);
    run_number(h, SQL_SETTINGS_READ, NO_ARGS);
    while (!has_moved) {
        const struct db_call what[] = {CALL(THING_NAME, db_int(++id), db_text(STR("x")))};

        call_start(&c, what, 1);
        harness_await(h, has_ended_or_moved, &c);
        has_moved = !c.has_ended;
        if (!has_moved) {
            assert_int_equal(c.err.status, OK);
            call_free(&c);
        }
    }
    run_number(h, SQL_WRITES_ON, NO_ARGS);
    run_number(h, SQL_SETTINGS_READ, NO_ARGS);
    call_await(h, &c);
    assert_int_equal(c.err.status, OK);
    call_free(&c);
    assert_int_equal(run_number(h, SQL_THINGS_COUNT, NO_ARGS), id);
    harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_that_says_nothing_is_passed_over),
        cmocka_unit_test(a_name_that_leads_elsewhere_now_is_followed),
        cmocka_unit_test(a_name_that_leads_nowhere_keeps_nobody_from_the_others),
        cmocka_unit_test(a_write_that_a_server_refuses_as_read_only_is_done_by_the_next_connection),
    };
    int n_failed;

    if (pg_server_new(&server, &why_no_server)) {
        pg_server_stop(&server);
        address_of(NEAR, server.listen);
        why_no_server = pg_server_start(&server) ? NULL : "PostgreSQL does not listen on TCP";
    }
    if (why_no_server)
        fprintf(stderr, "skipped: %s\n", why_no_server);
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    pg_server_free(&server);
    return n_failed;
}
