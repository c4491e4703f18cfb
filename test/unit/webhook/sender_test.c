/* The sender on a real SQLite file and a real receiver: ended after every turn of the loop, and
 * with every allocation made to fail once. Whatever happens: the delivery arrives, and what was
 * noted as arrived is not sent again. */
#include "../../../src/webhook/sender.h"
#include "../allocs.h"
#include "../cmocka_all.h"
#include "../sweep.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "upstream/upstream.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEASE_US 20000000 /* more than that, and than the first wait */

static struct loop loop;
static struct config config_set_here;
static struct db *db;
static struct id team_id, webhook_id;
static char directory[] = "/tmp/aerie-webhook-XXXXXX";

static void must(struct error err)
{
    if (is_error(err))
        fail_msg("%s", err.detail ? err.detail : status_row(err.status)->name);
}

/* ---- the receiver ---- */

static struct {
    int fd;
    unsigned port;
    pthread_t thread;
    atomic_uint n_taken;
} receiver;

static void *receive(void *arg)
{
    static const char answer[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    int fd;

    while ((fd = accept(receiver.fd, NULL, NULL)) >= 0) {
        char bytes[8192];
        size_t len = 0;
        ssize_t n;

        while (len + 1 < sizeof(bytes) &&
               (n = recv(fd, bytes + len, sizeof(bytes) - len - 1, 0)) > 0) {
            len += (size_t)n;
            bytes[len] = '\0';
            if (strstr(bytes, "\r\n\r\n") && bytes[len - 1] == '}')
                break;
        }
        if (len > 0 && bytes[len - 1] == '}') {
            receiver.n_taken++;
            (void)!send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
        }
        close(fd);
    }
    return arg;
}

static void receiver_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    receiver.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(receiver.fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(receiver.fd, 64), 0);
    assert_int_equal(getsockname(receiver.fd, (struct sockaddr *)&address, &len), 0);
    receiver.port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&receiver.thread, NULL, receive, NULL), 0);
}

/* ---- the rows ---- */

static struct db_result run(struct arena *a, enum sql sql, const struct db_arg *args, size_t n)
{
    struct db_result result;

    must(db_run(db, a, sql, args, n, &result));
    return result;
}

static void add_webhook(void)
{
    struct arena a = {0};
    int64_t now = clock_wall_us();
    struct str url = arena_printf(&a, "http://127.0.0.1:%u/hook", receiver.port);
    struct webhook_secret secret;

    team_id = id_v4();
    webhook_id = id_v7();
    secret = webhook_secret_new(&a, id_str(&webhook_id));
    run(&a, SQL_TEAM_ADD,
        DB_ARGS(db_uuid(id_str(&team_id)), db_text(STR("T")), db_text(STR("t")), db_json(STR("{}")),
                db_time(now)));
    run(&a, SQL_WEBHOOK_ADD,
        DB_ARGS(db_uuid(id_str(&team_id)), db_uuid(id_str(&webhook_id)), db_text(url),
                db_text(secret.sealed), db_text(STR(",chat.created,")), db_bool(false),
                db_bool(true), db_time(now), db_int(10)));
    arena_free(&a);
}

static void add_event(void)
{
    struct id event = id_v7();
    struct arena a = {0};

    run(&a, SQL_WEBHOOK_EVENT_ADD,
        DB_ARGS(db_uuid(id_str(&team_id)), db_uuid(id_str(&event)), db_text(STR("chat.created")),
                db_json(STR("{}")), db_time(clock_wall_us())));
    arena_free(&a);
}

static int64_t count(const char *status)
{
    struct arena a = {0};
    struct db_result r = run(&a, SQL_WEBHOOK_DELIVERY_COUNT,
                             DB_ARGS(db_uuid(id_str(&team_id)), db_uuid(id_str(&webhook_id)),
                                     db_text(str_from(status))));
    int64_t n = db_get_int(&r, 0, 0);

    arena_free(&a);
    return n;
}

/* What is to be sent may be sent now: nobody has claimed it who is not there any more. */
static void expect_nothing_held(void)
{
    enum { DUE_AT = 5 };
    struct arena a = {0};
    struct db_result r = run(&a, SQL_WEBHOOK_DELIVERY_LIST,
                             DB_ARGS(db_uuid(id_str(&team_id)), db_uuid(id_str(&webhook_id)),
                                     db_text(STR("pending")), db_int(10), db_int(0)));

    for (size_t row = 0; row < r.n_rows; row++)
        assert_true(db_get_int(&r, row, DUE_AT) <= clock_wall_us());
    arena_free(&a);
}

/* ---- a run ---- */

static bool is_detached;

static void on_detached(struct loop *l)
{
    (void)l;
    is_detached = true;
}

static void detach(void)
{
    is_detached = false;
    webhook_detach(&loop, on_detached);
    for (unsigned turn = 0; !is_detached; turn++) {
        assert_true(turn < SWEEP_MAX_TURNS);
        sweep_turn(&loop);
        usleep(100);
    }
}

/* Nobody waits for the poll here. */
static void hurry(void)
{
    struct sender *s = loop.rooms[ROOM_WEBHOOK];

    if (!s->is_running && timer_is_started(&s->timer))
        timer_start(&s->timer, 0, s->timer.run);
}

static void run_until_delivered(int64_t n)
{
    for (unsigned turn = 0; turn < 20000 && count("delivered") < n; turn++) {
        hurry();
        for (unsigned i = 0; i < 20; i++) {
            sweep_turn(&loop);
            usleep(100);
        }
    }
    assert_int_equal(count("delivered"), n);
}

/* As if what was claimed had been let go of long ago. */
static struct clock_source jumped;
static void jump(void)
{
    clock_set_source(NULL);
    jumped =
        (struct clock_source){.mono_ms = clock_mono_ms(), .wall_us = clock_wall_us() + LEASE_US};
    clock_set_source(&jumped);
}

static void an_end_after_any_turn_of_the_loop_loses_nothing(void **state)
{
    int64_t n_delivered = count("delivered");
    bool completed = false;
    unsigned n_doubled = 0;

    (void)state;
    for (unsigned at = 0; !completed && at < 400; at++) {
        unsigned before = receiver.n_taken;
        int64_t n_known;

        add_event();
        must(webhook_attach(&loop));
        hurry();
        for (unsigned turn = 0; turn < at; turn++) {
            sweep_turn(&loop);
            usleep(200);
        }
        completed = count("delivered") > n_delivered;
        detach();
        n_known = count("delivered") - n_delivered;
        if (n_known == 1)
            assert_int_equal(receiver.n_taken - before, 1);
        expect_nothing_held();
        must(webhook_attach(&loop));
        run_until_delivered(n_delivered + 1);
        detach();
        n_delivered++;
        /* A call under way is heard to its end: nothing comes twice, but for a server that dies. */
        n_doubled += receiver.n_taken - before - 1;
        assert_int_equal(count("dead"), 0);
    }
    assert_true(completed);
    assert_int_equal(n_doubled, 0);
}

static bool delivers_when_allocation_fails(unsigned long n, int64_t n_delivered)
{
    unsigned before = receiver.n_taken;
    bool has_failed;

    add_event();
    must(webhook_attach(&loop));
    allocs_reset(n);
    allocs_watch(true);
    hurry();
    for (unsigned turn = 0; turn < 300; turn++) {
        sweep_turn(&loop);
        usleep(100);
    }
    allocs_watch(false);
    has_failed = allocs_failed();
    if (count("delivered") < n_delivered + 1)
        jump();
    run_until_delivered(n_delivered + 1);
    detach();
    clock_set_source(NULL);
    assert_true(receiver.n_taken - before >= 1);
    assert_true(receiver.n_taken - before <= 2); /* an answer that found no memory is lost */
    return has_failed;
}

static void an_allocation_that_fails_at_any_moment_delays_and_loses_nothing(void **state)
{
    unsigned long n = 1;

    (void)state;
    while (delivers_when_allocation_fails(n, count("delivered")))
        n++;
    assert_true(n > 20);
}

/* ---- the rooms ---- */

static int open_rooms(void **state)
{
    static char url[96];

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(url, sizeof(url), "sqlite:///%s/webhook.db", directory);
    config_set_here.database.url = str_from(url);
    config_set_here.data_dir = str_from(directory);
    receiver_start();
    must(db_open(&db, DB_OPEN_SERVER));
    must(db_migrate_up(db, &(int){0}));
    add_webhook();
    must(upstream_open());
    must(webhook_open(db));
    must(loop_init(&loop, 0));
    must(db_attach(db, &loop));
    must(upstream_attach(&loop));
    return 0;
}

static int close_rooms(void **state)
{
    char command[128];

    (void)state;
    is_detached = false;
    upstream_detach(&loop, on_detached);
    while (!is_detached)
        sweep_turn(&loop);
    is_detached = false;
    db_detach(&loop, on_detached);
    while (!is_detached)
        sweep_turn(&loop);
    sweep_close_loop(&loop);
    webhook_close();
    upstream_close();
    db_close(db);
    shutdown(receiver.fd, SHUT_RDWR);
    pthread_join(receiver.thread, NULL);
    close(receiver.fd);
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command) == 0 ? 0 : -1;
}

int main(void)
{
    static struct str allowed[] = {{"127.0.0.0/8", 11}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_after_any_turn_of_the_loop_loses_nothing),
        cmocka_unit_test(an_allocation_that_fails_at_any_moment_delays_and_loses_nothing),
    };
    int failed;

    if (is_error(config_load(&(struct config_sources){0}, &config_set_here)))
        return 1;
    config_set_here.security.secret = STR("0123456789abcdef0123456789abcdef");
    config_set_here.egress.allow = (struct config_list){allowed, 1};
    config_set_here.webhooks.timeout_seconds = 2;
    if (is_error(config_settle_networks(&config_set_here)))
        return 1;
    config_set(&config_set_here);
    log_init(LOG_ERROR, 2);
    failed = cmocka_run_group_tests(tests, open_rooms, close_rooms);
    config_free(&config_set_here);
    return failed;
}
