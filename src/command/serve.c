/* aerie serve: the process. The main thread opens what all share, starts a thread a loop, and waits
 * for signals; each loop opens its own part of every room, and closes it in the opposite order. */
#include "account/account.h"
#include "api/api.h"
#include "base/inherit.h"
#include "base/log.h"
#include "chat/price.h"
#include "chat/streams.h"
#include "chat/turn.h"
#include "cluster/cluster.h"
#include "command.h"
#include "config/config.h"
#include "db/db.h"
#include "document/document.h"
#include "http/http.h"
#include "memory.h"
#include "notify.h"
#include "pid_file.h"
#include "serve_log.h"
#include "successor.h"
#include "upstream/upstream.h"
#include "webhook/webhook.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
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
    struct mail accept_mail, drain_mail, hurry_mail, drain_peers_mail, close_mail;
    struct timer drain_timer;
    unsigned n_attached; /* parts */
    unsigned n_draining; /* the chats, the clients, the peers */
    bool are_chats_draining, is_loop_there;
};

enum phase {
    SERVING,
    UPGRADING,   /* and a successor starts */
    HANDED_OVER, /* it serves; what streams here may end */
    ENDING       /* told so: what streams may end soon */
};

struct server {
    enum phase phase; /* the main thread's */
    struct db *db;
    struct http_server *http;
    struct server_loop *loops;
    unsigned n_loops; /* started */
    size_t n_rooms;   /* opened */
    sem_t ready;      /* posted by each loop once it listens or failed */
    atomic_uint n_running;
    atomic_uint n_with_turns; /* loops, once they drain */
    pthread_t main_thread;
    uint64_t drain_s;  /* how long the loops may drain; before they are told to */
    bool keeps_taking; /* turns, while a client's connection is left; likewise */
    int signals;       /* a descriptor */
    struct successor successor;
    struct upgrade_word upgrade;
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
    http_drain_peers(&container_of(m, struct server_loop, drain_peers_mail)->loop, on_part_drained);
}

/* To each loop that serves. */
static void post_all(struct server *server, size_t mail_offset, void (*run)(struct mail *m))
{
    for (unsigned i = 0; i < server->n_loops; i++) {
        struct server_loop *sl = &server->loops[i];
        struct mail *m = (struct mail *)((char *)sl + mail_offset);

        m->run = run;
        if (!is_error(sl->err))
            (void)loop_post(&sl->loop, m);
    }
}
#define POST_ALL(server, mail, run) post_all(server, offsetof(struct server_loop, mail), run)

/* Peers may ask any loop for any turn: all serve them until the last turn has ended. */
static void on_chats_drained(struct loop *l)
{
    struct server *server = container_of(l, struct server_loop, loop)->server;

    if (atomic_fetch_sub(&server->n_with_turns, 1) == 1)
        POST_ALL(server, drain_peers_mail, on_drain_peers);
    on_part_drained(l);
}

static void drain_chats(struct server_loop *sl)
{
    if (sl->are_chats_draining)
        return;
    sl->are_chats_draining = true;
    chat_drain(&sl->loop, on_chats_drained);
}

static void on_clients_left(struct loop *l)
{
    drain_chats(container_of(l, struct server_loop, loop));
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
    drain_chats(sl);
    chat_abort(&sl->loop);
}

/* Of what a client sent before its connection ended, a message too is taken, when there is time for
 * its reply. */
static void on_drain(struct mail *m)
{
    struct server_loop *sl = container_of(m, struct server_loop, drain_mail);

    sl->n_draining = 3;
    timer_start(&sl->drain_timer, sl->server->drain_s * 1000, on_drain_over);
    cluster_drain(&sl->loop);
    if (!sl->server->keeps_taking)
        drain_chats(sl);
    http_drain(&sl->loop, sl->server->keeps_taking ? on_clients_left : on_part_drained);
}

/* There is less time than was thought. */
static void on_hurry(struct mail *m)
{
    struct server_loop *sl = container_of(m, struct server_loop, hurry_mail);

    if (sl->n_draining > 0 && sl->drain_timer.run == on_drain_over)
        timer_start(&sl->drain_timer, config()->server.drain_seconds * 1000, on_drain_over);
}

static void on_accept(struct mail *m)
{
    http_accept(&container_of(m, struct server_loop, accept_mail)->loop);
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
    sigaddset(set, SIGUSR2);
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

static unsigned loops_wanted(void)
{
    unsigned n = config()->server.workers > 0 ? (unsigned)config()->server.workers
                                              : uv_available_parallelism();

    return n > 0 ? n : 1;
}

static struct error open_http(struct server *server)
{
    struct error err = http_open(api_hooks(), loops_wanted(), &server->http);
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

static void drain_loops(struct server *server, uint64_t drain_s)
{
    server->drain_s = drain_s;
    for (unsigned i = 0; i < server->n_loops; i++)
        if (!is_error(server->loops[i].err))
            atomic_fetch_add(&server->n_with_turns, 1);
    POST_ALL(server, drain_mail, on_drain);
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

/* ---- upgrades ---- */

static void tell_upgrade(struct server *server, enum upgrade_state state)
{
    server->upgrade.state = state;
    server->upgrade.new_pid = server->successor.pid;
    server->upgrade.n_streams = (size_t)streams_count();
    snprintf(server->upgrade.reason, sizeof(server->upgrade.reason), "%s",
             server->successor.reason);
    upgrade_word_write(&server->upgrade);
}

static void upgrade_failed(struct server *server)
{
    log_error("serve: the upgrade failed: %s; this server goes on", server->successor.reason);
    server->phase = SERVING;
    tell_upgrade(server, UPGRADE_FAILED);
}

static void begin_upgrade(struct server *server)
{
    if (server->phase != SERVING) {
        log_warn("serve: SIGUSR2 is refused: %s", server->phase == UPGRADING
                                                      ? "an upgrade is under way"
                                                      : "this server is about to end");
        return;
    }
    log_info("serve: SIGUSR2: starting %s, which is to take over", command_arguments[0]);
    server->upgrade.number++;
    server->upgrade.old_pid = getpid();
    server->phase = UPGRADING;
    if (successor_start(&server->successor, server->http, db_lock(server->db),
                        (unsigned)config()->server.upgrade_start_seconds))
        tell_upgrade(server, UPGRADE_STARTING);
    else
        upgrade_failed(server);
}

static void hand_over(struct server *server)
{
    uint64_t drain_s = config()->server.upgrade_drain_seconds;

    log_info("serve: %d has taken over; %llu streams may end here, for at most %llu s",
             (int)server->successor.pid, (unsigned long long)streams_count(),
             (unsigned long long)drain_s);
    server->phase = HANDED_OVER;
    notify_successor((int)server->successor.pid);
    http_hand_over(server->http);
    server->keeps_taking = true;
    drain_loops(server, drain_s);
    tell_upgrade(server, UPGRADE_DRAINING);
}

static void follow_upgrade(struct server *server)
{
    if (server->phase == HANDED_OVER)
        tell_upgrade(server, UPGRADE_DRAINING);
    if (server->phase != UPGRADING)
        return;
    successor_hear(&server->successor);
    if (server->successor.state == SUCCESSOR_READY)
        hand_over(server);
    else if (server->successor.state == SUCCESSOR_NONE)
        upgrade_failed(server);
}

/* ---- signals ---- */

static void end_server(struct server *server)
{
    uint64_t drain_s = config()->server.drain_seconds;

    if (server->phase == ENDING) {
        log_warn("serve: told to end a second time: ending at once");
        log_flush();
        _exit(0);
    }
    log_info("serve: draining, at most %llu s", (unsigned long long)drain_s);
    notify_stopping((unsigned)drain_s + CUT_AFTER_MS / 1000 + CLOSE_S);
    if (server->phase == UPGRADING) {
        successor_kill(&server->successor, "the old server was told to end");
        upgrade_failed(server);
    }
    if (server->phase == HANDED_OVER)
        POST_ALL(server, hurry_mail, on_hurry);
    else
        drain_loops(server, drain_s);
    server->phase = ENDING;
}

static void take_signal(struct server *server, unsigned number)
{
    switch (number) {
    case SIGNAL_LOOPS_ENDED:
        break;
    case SIGHUP:
        notify_reloading();
        read_again(server);
        notify_ready();
        break;
    case SIGUSR2:
        begin_upgrade(server);
        break;
    default:
        end_server(server);
    }
}

/* Returns when every loop has ended. A second SIGTERM or SIGINT ends the process at once. */
static void wait_for_end(struct server *server)
{
    struct memory_watch memory = {0};
    struct signalfd_siginfo signal;

    while (atomic_load(&server->n_running) > 0) {
        struct pollfd fds[] = {
            {.fd = server->signals, .events = POLLIN},
            {.fd = server->phase == UPGRADING ? server->successor.fd : -1, .events = POLLIN}};

        if (poll(fds, 2, TRIM_PERIOD_S * 1000) == 0)
            memory_trim(http_stats(server->http).connections, TRIM_PERIOD_S, &memory);
        while (read(server->signals, &signal, sizeof(signal)) == (ssize_t)sizeof(signal))
            take_signal(server, signal.ssi_signo);
        follow_upgrade(server);
    }
    for (unsigned i = 0; i < server->n_loops; i++)
        uv_thread_join(&server->loops[i].thread);
    /* Together: one that runs may still post to one that has ended. */
    for (unsigned i = 0; i < server->n_loops; i++)
        if (server->loops[i].is_loop_there)
            loop_deinit(&server->loops[i].loop);
    if (server->keeps_taking)
        tell_upgrade(server, UPGRADE_DONE);
}

static struct error open_server(struct server *server)
{
    struct error err;

    if (server->signals < 0)
        return ERROR(ERR_NO_MEMORY, errno, "signals cannot be waited for");
    err = serve_log_open();
    if (!is_error(err))
        err = open_rooms(server);
    if (!is_error(err))
        err = check_sites();
    return is_error(err) ? err : start_loops(server);
}

/* Whoever started it hears of it: the old server, or systemd. */
static void begin_serving(struct server *server)
{
    POST_ALL(server, accept_mail, on_accept);
    say_listening(server);
    memory_release_start();
    pid_file_write(inherit_is_upgrade());
    if (inherit_is_upgrade())
        inherit_say_ready();
    else
        notify_ready();
}

static void say_failed(struct server *server, struct error err)
{
    const char *why = err.detail ? err.detail : status_row(err.status)->detail;

    fprintf(stderr, "aerie: %s\n", why);
    inherit_say_failed(why);
    server->phase = ENDING;
    drain_loops(server, config()->server.drain_seconds);
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
    server.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    err = open_server(&server);
    inherit_close();
    if (is_error(err))
        say_failed(&server, err);
    else
        begin_serving(&server);
    wait_for_end(&server);
    pid_file_remove();
    close_rooms(&server);
    free(server.loops);
    sem_destroy(&server.ready);
    if (server.signals >= 0)
        close(server.signals);
    log_close();
    return is_error(err) ? 1 : 0;
}
