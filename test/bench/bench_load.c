/* Puts load on a server whose agent is bench_upstream, and compares every text that comes back with
 * the one that is due. bench_load --target HOST:PORT --requests FILE --mode closed|open|held; all
 * options are in the table below, what they mean in TOOLS.md. The last line of stdout is the
 * result. Ends with 0 also when texts were wrong, with 1 when the target cannot be reached. */
#include "load.h"
#include "system.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS  256
#define TICK_MS 100

struct load load;

static const struct mode *const modes[] = {&closed_mode, &held_mode, &open_mode};
static int commands = STDIN_FILENO;

static const struct option option_names[] = {
    {"bytes", required_argument, NULL, 'b'},    {"chunks", required_argument, NULL, 'c'},
    {"clients", required_argument, NULL, 'n'},  {"control", no_argument, NULL, 'C'},
    {"expect", required_argument, NULL, 'x'},   {"first-seed", required_argument, NULL, 'f'},
    {"gap-ms", required_argument, NULL, 'g'},   {"messages", required_argument, NULL, 'm'},
    {"mode", required_argument, NULL, 'M'},     {"ramp-per-second", required_argument, NULL, 'p'},
    {"rate", required_argument, NULL, 'r'},     {"read", required_argument, NULL, 'R'},
    {"requests", required_argument, NULL, 'q'}, {"seconds", required_argument, NULL, 's'},
    {"target", required_argument, NULL, 't'},   {"timeout-s", required_argument, NULL, 'T'},
    {"to-end", no_argument, NULL, 'e'},         {0}};

/* ---- options ---- */

static void read_target(const char *text)
{
    const char *colon = strrchr(text, ':');
    char host[64] = "";

    if (!colon || (size_t)(colon - text) >= sizeof(host))
        quit(2, "--target: %s is not HOST:PORT", text);
    memcpy(host, text, (size_t)(colon - text));
    load.options.target = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)must_number("--target", colon + 1, 65535)),
    };
    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                  &load.options.target.sin_addr) != 1)
        quit(2, "--target: %s is no IPv4 address", host);
    load.requests.host = text;
}

static void read_option(int option, const char *value)
{
    struct options *o = &load.options;
    const char *name = "";

    for (const struct option *row = option_names; row->name; row++)
        if (row->val == option)
            name = row->name;
    switch (option) {
    case 'b':
        o->bytes = (uint32_t)must_number(name, value, TEXT_PIECE_MAX_BYTES);
        break;
    case 'c':
        o->chunks = (uint32_t)must_number(name, value, UINT32_MAX - 1);
        break;
    case 'C':
        o->is_controlled = true;
        break;
    case 'e':
        o->is_to_end = true;
        break;
    case 'f':
        o->first_seed = must_number(name, value, UINT64_MAX / 2);
        break;
    case 'g':
        o->gap_ms = must_number(name, value, 3600000);
        break;
    case 'm':
        o->messages = must_number(name, value, UINT32_MAX);
        break;
    case 'M':
        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
            if (strcmp(value, modes[i]->name) == 0)
                load.mode = modes[i];
        break;
    case 'n':
        o->clients = (uint32_t)must_number(name, value, 1000000);
        break;
    case 'p':
        o->ramp_per_second = (uint32_t)must_number(name, value, 1000000);
        break;
    case 'q':
        o->requests = value;
        break;
    case 'r':
        o->rate = must_number(name, value, 1000000);
        break;
    case 'R':
        o->read = value;
        break;
    case 's':
        o->seconds = must_number(name, value, 86400);
        break;
    case 't':
        read_target(value);
        break;
    case 'T':
        o->timeout_s = must_number(name, value, 86400);
        break;
    case 'x':
        o->expect = value;
        break;
    default:
        quit(2, "bench_load: see the options in its source");
    }
}

static void read_options(int argc, char **argv)
{
    struct options *o = &load.options;
    int option;

    *o = (struct options){.read = "sse",
                          .clients = 64,
                          .ramp_per_second = 500,
                          .chunks = 32,
                          .bytes = 100,
                          .rate = 100,
                          .seconds = 10,
                          .gap_ms = 1000,
                          .timeout_s = 60,
                          .first_seed = 100000};
    while ((option = getopt_long(argc, argv, "", option_names, NULL)) != -1)
        read_option(option, optarg);
    if (!load.mode || !load.requests.host || !o->requests || optind < argc)
        quit(2, "usage: bench_load --target HOST:PORT --requests FILE --mode closed|open|held ...");
    if (o->clients == 0 || o->rate == 0 || o->ramp_per_second == 0 || o->bytes == 0)
        quit(2, "--clients, --rate, --ramp-per-second and --bytes are 1 at least");
    if (o->expect && strlen(o->expect) > MATCH_TEXT_MAX_BYTES)
        quit(2, "--expect has %u bytes at most", MATCH_TEXT_MAX_BYTES);
    if (!reading_init(&load.reading, o->read, o->expect))
        quit(2, "--read: sse, lines, openai or body");
    requests_read(&load.requests, o->requests, load.requests.host);
}

/* ---- the loop ---- */

static void watch(int *fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fd};

    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, *fd, &event) != 0)
        quit(1, "bench_load: epoll_ctl: %s", strerror(errno));
}

void load_pace(uint64_t per_second)
{
    uint64_t ns = per_second > 0 ? NS_PER_S / per_second : 0;
    struct timespec interval = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    struct itimerspec pace = {interval, interval};

    timerfd_settime(load.pace, 0, &pace, NULL);
}

static void take_pace(void)
{
    uint64_t n;

    if (read(load.pace, &n, sizeof(n)) < 0 && errno != EAGAIN)
        quit(1, "bench_load: timer: %s", strerror(errno));
}

static void take_commands(void)
{
    static char lines[256];
    static size_t len;
    ssize_t n = read(commands, lines + len, sizeof(lines) - len);
    char *eol;

    if (n <= 0) {
        epoll_ctl(load.epoll, EPOLL_CTL_DEL, commands, NULL);
        load.mode->on_command("end");
        return;
    }
    len += (size_t)n;
    while ((eol = memchr(lines, '\n', len))) {
        *eol = '\0';
        load.mode->on_command(lines);
        len -= (size_t)(eol + 1 - lines);
        memmove(lines, eol + 1, len);
    }
    if (len == sizeof(lines))
        len = 0;
}

/* Who has heard nothing for too long. */
static void sweep(uint64_t now)
{
    static uint64_t next;

    if (now < next)
        return;
    next = now + NS_PER_S;
    for (uint32_t i = 0; i < load.options.clients; i++) {
        struct client *c = &load.clients[i];

        if (c->has_message && now > c->heard_ns &&
            now - c->heard_ns > load.options.timeout_s * NS_PER_S)
            client_give_up(c);
    }
}

static void run(void)
{
    struct epoll_event events[EVENTS];

    load.mode->on_tick(now_ns());
    while (!load.is_over) {
        int n = epoll_wait(load.epoll, events, EVENTS, TICK_MS);
        bool has_commands = false;

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &load.pace)
                take_pace();
            else if (events[i].data.ptr == &commands)
                has_commands = true;
            else
                client_on_event(events[i].data.ptr, events[i].events);
        }
        if (has_commands)
            take_commands(); /* may close clients that had events */
        sweep(now_ns());
        load.mode->on_tick(now_ns());
    }
}

static void check_target(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *)&load.options.target, sizeof(load.options.target)) != 0)
        quit(1, "bench_load: %s: %s", load.requests.host, strerror(errno));
    close(fd);
}

static void make_clients(void)
{
    load.clients = must_calloc(load.options.clients, sizeof(*load.clients));
    list_init(&load.idle);
    for (uint32_t i = 0; i < load.options.clients; i++) {
        struct client *c = &load.clients[i];

        c->index = i;
        c->fd = -1;
        list_push(&load.idle, &c->link);
        if (load.mode != &held_mode)
            client_connect(c);
    }
}

static void print_result(void)
{
    struct rusage usage;
    uint64_t ended_ns = load.ended_ns > load.began_ns ? load.ended_ns : now_ns();

    getrusage(RUSAGE_SELF, &usage);
    printf(
        "{\"mode\":\"%s\",\"messages\":%llu,\"wrong\":%llu,\"errors\":%llu,\"status_other\":%llu,",
        load.mode->name, (unsigned long long)load.messages, (unsigned long long)load.wrong,
        (unsigned long long)load.errors, (unsigned long long)load.status_other);
    printf("\"seconds\":%.6f,\"chunks\":%llu,",
           load.began_ns > 0 ? (double)(ended_ns - load.began_ns) / NS_PER_S : 0.0,
           (unsigned long long)load.chunks);
    histogram_print(&load.first, "first_us");
    printf(",");
    histogram_print(&load.total, "total_us");
    printf(",");
    histogram_print(&load.gap, "gap_us");
    printf(",\"cpu_us\":%llu}\n",
           (unsigned long long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
               (unsigned long long)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    allow_descriptors();
    text_init();
    check_target();
    load.is_recording_gaps = load.mode != &held_mode;
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    load.pace = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watch(&load.pace);
    if (load.options.is_controlled)
        watch(&commands);
    make_clients();
    run();
    print_result();
    return load.is_unreachable ? 1 : 0;
}
