/* A fake agent for load tests: streams a text that the asker can check (text.h), as n8n or an
 * OpenAI-like provider would. bench_upstream [--port N] [--port-file F] [--defaults QUERY]; what is
 * answered, the request's query says:
 * /any/path?chunks=32&bytes=100&first_ms=0&gap_ms=0&burst=1&format=n8n. GET /stats tells what it
 * has done. SIGTERM ends it with 0. */
#include "system.h"
#include "text.h"
#include "upstream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256

struct upstream upstream;

/* In an event's place of a connection. */
static int listener = -1, signals = -1;

static void watch(int *fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fd};

    if (epoll_ctl(upstream.epoll, EPOLL_CTL_ADD, *fd, &event) != 0)
        quit(1, "bench_upstream: epoll_ctl: %s", strerror(errno));
}

static void listen_on(uint16_t port, const char *port_file)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);

    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, len) != 0 || listen(listener, 65535) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0)
        quit(1, "bench_upstream: cannot listen on %u: %s", port, strerror(errno));
    watch(&listener);
    if (port_file) {
        FILE *file = fopen(port_file, "w");

        if (!file || fprintf(file, "%u\n", ntohs(address.sin_port)) < 0 || fclose(file) != 0)
            quit(1, "bench_upstream: cannot write %s", port_file);
    }
    printf("listening on %u\n", ntohs(address.sin_port));
    fflush(stdout);
}

static void accept_all(void)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0)
            conn_accept(fd);
        else if (errno == EAGAIN)
            return;
        else if (errno != ECONNABORTED && errno != EINTR)
            quit(1, "bench_upstream: accept: %s", strerror(errno));
    }
}

static void take_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    watch(&signals);
}

static void run_ready(void)
{
    struct list ready, *link;

    list_init(&ready);
    list_splice(&ready, &upstream.ready);
    while ((link = list_pop(&ready)))
        conn_on_ready(link);
}

static void run(void)
{
    struct epoll_event events[EVENTS];

    for (;;) {
        int timeout_ms = !list_is_empty(&upstream.ready) ? 0 : upstream.wheel.n > 0 ? 1 : -1;
        int n = epoll_wait(upstream.epoll, events, EVENTS, timeout_ms);

        wheel_rest(&upstream.wheel, now_ns() / NS_PER_MS);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &signals)
                return;
            if (events[i].data.ptr == &listener)
                accept_all();
            else
                conn_on_event(events[i].data.ptr, events[i].events);
        }
        /* After the events: these may free connections that have one. */
        wheel_advance(&upstream.wheel, now_ns() / NS_PER_MS, conn_on_due);
        run_ready();
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"defaults", required_argument, NULL, 'd'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"port-file", required_argument, NULL, 'f'},
                                            {0}};
    const char *port_file = NULL, *defaults = "";
    uint16_t port = 0;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'd':
            defaults = optarg;
            break;
        case 'f':
            port_file = optarg;
            break;
        case 'p':
            port = (uint16_t)must_number("--port", optarg, 65535);
            break;
        default:
            quit(2, "usage: bench_upstream [--port N] [--port-file F] [--defaults QUERY]");
        }
    }
    allow_descriptors();
    text_init();
    upstream.epoll = epoll_create1(EPOLL_CLOEXEC);
    upstream.defaults = (struct str){defaults, strlen(defaults)};
    list_init(&upstream.conns);
    list_init(&upstream.ready);
    wheel_init(&upstream.wheel, now_ns() / NS_PER_MS);
    take_signals();
    listen_on(port, port_file);
    run();
    while (!list_is_empty(&upstream.conns))
        conn_close(container_of(upstream.conns.next, struct conn, link));
    return 0;
}
