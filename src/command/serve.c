/* aerie serve: the process. The main thread opens what all share, starts a thread a loop, and waits
 * for signals; each loop opens its own part of every room, and closes it in the opposite order. */
#include "account/account.h"
#include "api/api.h"
#include "base/log.h"
#include "chat/price.h"
#include "chat/turn.h"
#include "cluster/cluster.h"
#include "command.h"
#include "config/config.h"
#include "db/db.h"
#include "document/document.h"
#include "http/http.h"
#include "memory.h"
#include "notify.h"
#include "serve_log.h"
#include "upstream/upstream.h"
#include "webhook/webhook.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* What is still streaming when the time to drain is over gets this long to tell its readers. */
#define CUT_AFTER_MS 6000
/* And when that is over, this long for the mail under way, and for the end of all else. */
#define CLOSE_S 10
/* How often the number of connections is looked at. */
#define TRIM_PERIOD_S 2

struct server_loop {
    struct loop loop;
    struct server *server;
    uv_thread_t thread;
    struct error err; /* of the start */
    struct mail drain_mail, drain_peers_mail, close_mail;
    struct timer drain_timer;
    unsigned n_attached, n_draining; /* parts */
    bool is_draining, is_loop_there;
};

struct server {
    struct db *db;
    struct http_server *http;
    struct server_loop *loops;
    unsigned n_loops; /* started */
    size_t n_rooms;   /* opened */
    sem_t ready;      /* posted by each loop once it listens or failed */
    atomic_uint n_running;
    atomic_uint n_with_turns; /* loops, once they drain */
    pthread_t main_thread;
};

/* The last loop's word to the main thread. */
#define SIGNAL_LOOPS_ENDED SIGUSR1

/* ---- one loop: what opens, in order ---- */

static struct error attach_db(struct server_loop *sl)
{
    return db_attach(sl->server->db, &sl->loop);
}

static struct error attach_upstream(struct server_loop *sl)
{
    return upstream_attach(&sl->loop);
}

static struct error attach_cluster(struct server_loop *sl)
{
    return cluster_attach(&sl->loop);
}

static struct error attach_webhook(struct server_loop *sl)
{
    return webhook_attach(&sl->loop);
}

static struct error attach_account(struct server_loop *sl)
{
    return account_attach(&sl->loop);
}

static struct error attach_chat(struct server_loop *sl)
{
    return chat_attach(&sl->loop);
}

static struct error attach_http(struct server_loop *sl)
{
    return http_attach(sl->server->http, &sl->loop);
}

static void close_next(struct loop *l);

/* Chat and http were drained together before the closing began: answers that stream end with their
 * turns. */
static void detach_http(struct server_loop *sl)
{
    close_next(&sl->loop);
}

static void detach_chat(struct server_loop *sl)
{
    chat_detach(&sl->loop);
    close_next(&sl->loop);
}

static void detach_account(struct server_loop *sl)
{
    account_detach(&sl->loop, close_next);
}

static void detach_cluster(struct server_loop *sl)
{
    cluster_detach(&sl->loop, close_next);
}

static void detach_webhook(struct server_loop *sl)
{
    webhook_detach(&sl->loop, close_next);
}

static void detach_upstream(struct server_loop *sl)
{
    upstream_detach(&sl->loop, close_next);
}

static void detach_db(struct server_loop *sl)
{
    db_detach(&sl->loop, close_next);
}

/* Closed from the last that was attached to the first. */
static const struct part {
    struct error (*attach)(struct server_loop *sl);
    void (*detach)(struct server_loop *sl);
} parts[] = {
    {attach_db, detach_db},           {attach_upstream, detach_upstream},
    {attach_cluster, detach_cluster}, {attach_webhook, detach_webhook},
    {attach_account, detach_account}, {attach_chat, detach_chat},
    {attach_http, detach_http},
};
#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

static void on_close_mail(struct mail *m)
{
    struct server_loop *sl = container_of(m, struct server_loop, close_mail);

    if (sl->n_attached == 0)
        loop_close(&sl->loop);
    else
        parts[--sl->n_attached].detach(sl);
}

/* By letter: a part tells of its end from within its last callback, and that of a part which is
 * closed later may be below it on the stack. */
static void close_next(struct loop *l)
{
    struct server_loop *sl = container_of(l, struct server_loop, loop);

    sl->close_mail.run = on_close_mail;
    (void)loop_post(l, &sl->close_mail);
}

static void on_part_drained(struct loop *l)
{
    struct server_loop *sl = container_of(l, struct server_loop, loop);

    if (--sl->n_draining > 0)
        return;
    timer_stop(&sl->drain_timer);
    close_next(l);
}

static void on_drain_peers(struct mail *m)
{
    http_drain_peers(&container_of(m, struct server_loop, drain_peers_mail)->loop);
}

/* Peers may ask any loop for any turn: all serve them until the last turn has ended. */
static void on_chat_drained(struct loop *l)
{
    struct server *server = container_of(l, struct server_loop, loop)->server;
    bool is_last = atomic_fetch_sub(&server->n_with_turns, 1) == 1;

    for (unsigned i = 0; is_last && i < server->n_loops; i++) {
        struct server_loop *sl = &server->loops[i];

        sl->drain_peers_mail.run = on_drain_peers;
        if (!is_error(sl->err))
            (void)loop_post(&sl->loop, &sl->drain_peers_mail);
    }
    on_part_drained(l);
}

/* Whoever has not read how it ended by now is cut. */
static void on_cut(struct timer *t)
{
    struct server_loop *sl = container_of(t, struct server_loop, drain_timer);

    http_abort(&sl->loop);
}

/* Running turns are stored as interrupted, and their readers are told. */
static void on_drain_over(struct timer *t)
{
    struct server_loop *sl = container_of(t, struct server_loop, drain_timer);

    log_warn("serve: loop %u did not drain in time: ending what is left", sl->loop.index);
    timer_start(t, CUT_AFTER_MS, on_cut);
    chat_abort(&sl->loop);
}

static void on_drain(struct mail *m)
{
    struct server_loop *sl = container_of(m, struct server_loop, drain_mail);

    if (sl->is_draining)
        return;
    sl->is_draining = true;
    sl->n_draining = 2;
    timer_start(&sl->drain_timer, config()->server.drain_seconds * 1000, on_drain_over);
    cluster_drain(&sl->loop);
    chat_drain(&sl->loop, on_chat_drained);
    http_drain(&sl->loop, on_part_drained);
}

static void attach_parts(struct server_loop *sl)
{
    while (sl->n_attached < N_PARTS && !is_error(sl->err)) {
        sl->err = parts[sl->n_attached].attach(sl);
        if (!is_error(sl->err))
            sl->n_attached++;
    }
    if (is_error(sl->err))
        close_next(&sl->loop);
}

static void loop_main(void *arg)
{
    struct server_loop *sl = arg;
    struct server *server = sl->server;

    sl->err = loop_init(&sl->loop, (unsigned)(sl - server->loops));
    sl->is_loop_there = !is_error(sl->err);
    if (sl->is_loop_there) {
        attach_parts(sl);
        sem_post(&server->ready);
        loop_run(&sl->loop);
    } else {
        sem_post(&server->ready);
    }
    if (atomic_fetch_sub(&server->n_running, 1) == 1)
        pthread_kill(server->main_thread, SIGNAL_LOOPS_ENDED);
}

/* ---- the process ---- */

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGNAL_LOOPS_ENDED);
    pthread_sigmask(SIG_BLOCK, set,
                    NULL); /* inherited by every thread: only the main one hears them */
    signal(SIGPIPE, SIG_IGN);
}

/* A relay needs a descriptor a stream and one for its upstream: as many as the system gives. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warn("serve: the limit of open files could not be raised (errno %d)", errno);
}

static struct error open_db(struct server *server)
{
    struct error err = db_open(&server->db, DB_OPEN_SERVER);
    int n_applied = 0;

    if (!is_error(err))
        err = db_migrate_up(server->db, &n_applied);
    if (n_applied > 0)
        log_info("db: %d migrations applied", n_applied);
    return is_error(err) ? err : command_ensure_default_team(server->db);
}

static void close_db(struct server *server)
{
    db_close(server->db);
}

static struct error open_cluster(struct server *server)
{
    return cluster_open(server->db);
}

static void close_cluster(struct server *server)
{
    (void)server;
    cluster_close();
}

static struct error open_upstream(struct server *server)
{
    (void)server;
    return upstream_open();
}

static void close_upstream(struct server *server)
{
    (void)server;
    upstream_close();
}

static struct error open_document(struct server *server)
{
    return document_open(server->db);
}

static void close_document(struct server *server)
{
    (void)server;
    document_close();
}

static struct error open_webhook(struct server *server)
{
    return webhook_open(server->db);
}

static void close_webhook(struct server *server)
{
    (void)server;
    webhook_close();
}

static struct error open_account(struct server *server)
{
    return account_open(server->db);
}

static void close_account(struct server *server)
{
    (void)server;
    account_close();
}

static struct error open_chat(struct server *server)
{
    return chat_open(server->db);
}

static void close_chat(struct server *server)
{
    chat_close(server->db);
}

static struct error open_api(struct server *server)
{
    (void)server;
    return api_open();
}

static void close_api(struct server *server)
{
    (void)server;
    api_close();
}

static struct error open_http(struct server *server)
{
    struct error err = http_open(api_hooks(), &server->http);
    struct str peers = cluster_peer_listen();

    if (!is_error(err) && peers.len > 0) {
        err = http_listen_to_peers(server->http, peers, "nodes.listen");
        if (is_error(err))
            http_close(server->http);
    }
    return err;
}

static void close_http(struct server *server)
{
    http_close(server->http);
}

/* What all loops share: opened in this order, closed from the last to the first. A room whose
 * opening failed has cleaned up behind itself, but for the database, whose close takes what it got.
 */
static const struct room {
    struct error (*open)(struct server *server);
    void (*close)(struct server *server);
} rooms[] = {
    {open_db, close_db},
    {open_cluster, close_cluster},
    {open_upstream, close_upstream},
    {open_document, close_document},
    {open_webhook, close_webhook},
    {open_account, close_account},
    {open_chat, close_chat},
    {open_api, close_api},
    {open_http, close_http},
};
#define N_ROOMS (sizeof(rooms) / sizeof(rooms[0]))

static struct error open_rooms(struct server *server)
{
    struct error err = NO_ERROR;

    while (server->n_rooms < N_ROOMS && !is_error(err)) {
        err = rooms[server->n_rooms].open(server);
        if (!is_error(err))
            server->n_rooms++;
    }
    if (is_error(err) && server->n_rooms == 0)
        close_db(server);
    return err;
}

static void close_rooms(struct server *server)
{
    while (server->n_rooms > 0)
        rooms[--server->n_rooms].close(server);
}

/* The first agent of sites that register must be one that can be asked. */
static struct error check_sites(void)
{
    const struct config_sites *sites = &config()->sites;
    const struct provider *provider = provider_find(sites->provider);

    if (!provider)
        return ERROR(ERR_INVALID, 0, "sites.provider is not the name of a provider");
    if (provider_needs_url(provider) && sites->webhook_url.len == 0)
        return ERROR(ERR_INVALID, 0, "sites.provider needs sites.webhook_url");
    return sites->webhook_url.len > 0 ? egress_check_url(sites->webhook_url) : NO_ERROR;
}

static unsigned loops_wanted(void)
{
    unsigned n = config()->server.workers > 0 ? (unsigned)config()->server.workers
                                              : uv_available_parallelism();

    return n > 0 ? n : 1;
}

/* One after the other, as the first settles the port. Every loop listens, or the first error of one
 * that could not. */
static struct error start_loops(struct server *server)
{
    unsigned n_wanted = loops_wanted();
    struct error err = NO_ERROR;

    server->loops = calloc(n_wanted, sizeof(server->loops[0]));
    if (!server->loops)
        return ERROR(ERR_NO_MEMORY, 0, "no memory for the loops");
    while (server->n_loops < n_wanted && !is_error(err)) {
        struct server_loop *sl = &server->loops[server->n_loops];

        sl->server = server;
        atomic_fetch_add(&server->n_running, 1);
        if (uv_thread_create(&sl->thread, loop_main, sl) != 0) {
            atomic_fetch_sub(&server->n_running, 1);
            return ERROR(ERR_NO_MEMORY, 0, "a thread could not be started");
        }
        server->n_loops++;
        while (sem_wait(&server->ready) != 0)
            continue;
        err = sl->err;
    }
    return err;
}

static void drain_loops(struct server *server)
{
    for (unsigned i = 0; i < server->n_loops; i++)
        if (!is_error(server->loops[i].err))
            atomic_fetch_add(&server->n_with_turns, 1);
    for (unsigned i = 0; i < server->n_loops; i++) {
        struct server_loop *sl = &server->loops[i];

        sl->drain_mail.run = on_drain;
        if (!is_error(sl->err))
            (void)loop_post(&sl->loop, &sl->drain_mail);
    }
}

/* What scripts wait for. */
static void say_listening(const struct server *server)
{
    struct str log_path = serve_log_path();
    struct buf places = {0};

    http_describe(server->http, &places);
    log_info("listening on %.*s with %u loops on %s", STR_ARG(buf_str(&places)), server->n_loops,
             db_name(server->db));
    if (log_path.ptr)
        fprintf(stderr, "aerie: listening on %.*s; the log goes to %.*s\n",
                STR_ARG(buf_str(&places)), STR_ARG(log_path));
    buf_deinit(&places);
}

/* The file first: whatever is wrong with the settings, a log that was moved away is begun anew. */
static void read_again(struct server *server)
{
    struct error err;

    serve_log_reopen();
    log_info("serve: SIGHUP: reading the settings again");
    err = config_reload();
    if (is_error(err))
        log_error("serve: the settings stay as they were: %s",
                  err.detail ? err.detail : status_row(err.status)->detail);
    else
        serve_log_settle();
    err = price_read();
    if (is_error(err))
        log_error("serve: the prices stay as they were: %s", err.detail);
    err = http_reload(server->http); /* the files may be new where the settings are not */
    if (is_error(err))
        log_error("http: the certificates stay as they were: %s",
                  err.detail ? err.detail : status_row(err.status)->detail);
}

/* Returns when every loop has ended. A second SIGTERM or SIGINT ends the process at once. */
static void wait_for_end(struct server *server, const sigset_t *signals, bool is_draining)
{
    const struct timespec period = {.tv_sec = TRIM_PERIOD_S};
    struct memory_watch memory = {0};

    while (atomic_load(&server->n_running) > 0) {
        int number = sigtimedwait(signals, NULL, &period);

        if (number < 0 && errno == EAGAIN)
            memory_trim(http_stats(server->http).connections, TRIM_PERIOD_S, &memory);
        if (number < 0 || number == SIGNAL_LOOPS_ENDED)
            continue;
        if (number == SIGHUP) {
            notify_reloading();
            read_again(server);
            notify_ready();
            continue;
        }
        if (is_draining) {
            log_warn("serve: told to end a second time: ending at once");
            log_flush();
            _exit(0);
        }
        log_info("serve: draining, at most %llu s",
                 (unsigned long long)config()->server.drain_seconds);
        is_draining = true;
        notify_stopping((unsigned)config()->server.drain_seconds + CUT_AFTER_MS / 1000 + CLOSE_S);
        drain_loops(server);
    }
    for (unsigned i = 0; i < server->n_loops; i++)
        uv_thread_join(&server->loops[i].thread);
    /* Together: one that runs may still post to one that has ended. */
    for (unsigned i = 0; i < server->n_loops; i++)
        if (server->loops[i].is_loop_there)
            loop_deinit(&server->loops[i].loop);
}

int command_serve(int argc, char **argv)
{
    struct server server = {.n_loops = 0, .main_thread = pthread_self()};
    sigset_t signals;
    struct error err;

    if (!command_read_options(argc, argv, 1, NULL, 0))
        return command_usage(argv[0]);
    block_signals(&signals);
    raise_descriptor_limit();
    sem_init(&server.ready, 0, 0);
    err = serve_log_open();
    if (!is_error(err))
        err = open_rooms(&server);
    if (!is_error(err))
        err = check_sites();
    if (!is_error(err))
        err = start_loops(&server);
    if (is_error(err)) {
        fprintf(stderr, "aerie: %s\n", err.detail ? err.detail : status_row(err.status)->detail);
        drain_loops(&server);
    } else {
        say_listening(&server);
        memory_release_start();
        notify_ready();
    }
    wait_for_end(&server, &signals, is_error(err));
    close_rooms(&server);
    free(server.loops);
    sem_destroy(&server.ready);
    log_close();
    return is_error(err) ? 1 : 0;
}
