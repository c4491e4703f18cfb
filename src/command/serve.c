/* aerie serve: the process. The main thread opens what all share, starts a thread a loop, and waits
 * for signals. */
#include "base/inherit.h"
#include "base/log.h"
#include "chat/price.h"
#include "chat/streams.h"
#include "command.h"
#include "config/config.h"
#include "db/db.h"
#include "http/http.h"
#include "memory.h"
#include "notify.h"
#include "pid_file.h"
#include "serve_log.h"
#include "serve_loops.h"
#include "serve_rooms.h"
#include "successor.h"
#include "upstream/upstream.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* When the time to drain and to cut is over, this long for the mail under way, and for the end of
 * all else; longer where calls of webhooks may be. */
#define CLOSE_S 10
/* How often the number of connections is looked at. */
#define TRIM_PERIOD_S 2

enum phase {
    SERVING,
    UPGRADING,   /* and a successor starts */
    HANDED_OVER, /* it serves; what streams here may end */
    ENDING       /* told so: what streams may end soon */
};

struct server {
    enum phase phase; /* the main thread's */
    struct serve_rooms rooms;
    struct serve_loops loops;
    bool is_upgraded; /* there was a successor that took over */
    int signals;      /* a descriptor */
    struct successor successor;
    struct upgrade_word upgrade;
};

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR2);
    sigaddset(set, SERVE_LOOPS_ENDED);
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

static unsigned loops_wanted(void)
{
    unsigned n = config()->server.workers > 0 ? (unsigned)config()->server.workers
                                              : uv_available_parallelism();

    return n > 0 ? n : 1;
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

/* What scripts wait for. */
static void say_listening(const struct server *server)
{
    struct str log_path = serve_log_path();
    struct buf places = {0};

    http_describe(server->rooms.http, LISTENER_METRICS, &places);
    if (places.len > 0)
        log_info("metrics are at %.*s", STR_ARG(buf_str(&places)));
    buf_clear(&places);
    http_describe(server->rooms.http, LISTENER_PLAIN, &places);
    log_info("listening on %.*s with %u loops on %s", STR_ARG(buf_str(&places)), server->loops.n,
             db_name(server->rooms.db));
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
    err = http_reload(server->rooms.http); /* the files may be new where the settings are not */
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
    if (successor_start(&server->successor, server->rooms.http, db_lock(server->rooms.db),
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
    http_hand_over(server->rooms.http);
    server->is_upgraded = true;
    serve_loops_drain(&server->loops, drain_s, true);
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
    uint64_t call_s = config()->webhooks.timeout_seconds + 1;

    if (server->phase == ENDING) {
        log_warn("serve: told to end a second time: ending at once");
        log_flush();
        _exit(0);
    }
    log_info("serve: draining, at most %llu s", (unsigned long long)drain_s);
    notify_stopping(
        (unsigned)(drain_s + SERVE_CUT_AFTER_MS / 1000 + (call_s > CLOSE_S ? call_s : CLOSE_S)));
    if (server->phase == UPGRADING) {
        successor_kill(&server->successor, "the old server was told to end");
        upgrade_failed(server);
    }
    if (server->phase == HANDED_OVER)
        serve_loops_hurry(&server->loops);
    else
        serve_loops_drain(&server->loops, drain_s, false);
    server->phase = ENDING;
}

static void take_signal(struct server *server, unsigned number)
{
    switch (number) {
    case SERVE_LOOPS_ENDED:
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

    while (serve_loops_run(&server->loops)) {
        struct pollfd fds[] = {
            {.fd = server->signals, .events = POLLIN},
            {.fd = server->phase == UPGRADING ? server->successor.fd : -1, .events = POLLIN}};

        if (poll(fds, 2, TRIM_PERIOD_S * 1000) == 0)
            memory_trim(http_stats(server->rooms.http).connections, TRIM_PERIOD_S, &memory);
        while (read(server->signals, &signal, sizeof(signal)) == (ssize_t)sizeof(signal))
            take_signal(server, signal.ssi_signo);
        follow_upgrade(server);
    }
    serve_loops_join(&server->loops);
    if (server->is_upgraded)
        tell_upgrade(server, UPGRADE_DONE);
}

static struct error open_server(struct server *server)
{
    struct error err;

    if (server->signals < 0)
        return ERROR(ERR_NO_MEMORY, errno, "signals cannot be waited for");
    err = serve_log_open();
    if (!is_error(err))
        err = serve_rooms_open(&server->rooms, loops_wanted());
    if (!is_error(err))
        err = check_sites();
    return is_error(err) ? err : serve_loops_start(&server->loops, &server->rooms);
}

/* Whoever started it hears of it: the old server, or systemd. */
static void begin_serving(struct server *server)
{
    serve_loops_accept(&server->loops);
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
    serve_loops_drain(&server->loops, config()->server.drain_seconds, false);
}

int command_serve(int argc, char **argv)
{
    struct server server = {.phase = SERVING};
    sigset_t signals;
    struct error err;

    if (!command_read_options(argc, argv, 1, NULL, 0))
        return command_usage(argv[0]);
    block_signals(&signals);
    raise_descriptor_limit();
    server.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    err = open_server(&server);
    inherit_close();
    if (is_error(err))
        say_failed(&server, err);
    else
        begin_serving(&server);
    wait_for_end(&server);
    pid_file_remove();
    serve_rooms_close(&server.rooms);
    if (server.signals >= 0)
        close(server.signals);
    log_close();
    return is_error(err) ? 1 : 0;
}
