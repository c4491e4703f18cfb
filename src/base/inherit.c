/* What the process was started with. */
#include "base/inherit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEMD_FIRST_FD 3

static struct {
    bool is_upgrade;
    int ready_fd, lock_fd, ticket_keys_fd;
    struct inherited_socket *sockets;
    size_t n;
} inherited = {.ready_fd = -1, .lock_fd = -1, .ticket_keys_fd = -1};

/* ---- reading ---- */

static bool is_open(int fd)
{
    return fd > STDERR_FILENO && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/* Whatever is no listening socket with an address of ours stays where it is. */
static void add_socket(int fd, bool is_systemds, struct str name)
{
    struct inherited_socket *more, s = {.fd = fd, .is_systemds = is_systemds};
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    int listens = 0;

    memset(&addr, 0, sizeof(addr));
    if (!is_open(fd) || getsockname(fd, (struct sockaddr *)&addr, &len) != 0 ||
        !endpoint_from_sockaddr((struct sockaddr *)&addr, len, &s.at))
        return;
    len = sizeof(listens);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 || !listens ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return;
    snprintf(s.name, sizeof(s.name), "%.*s", STR_ARG(name));
    more = realloc(inherited.sockets, (inherited.n + 1) * sizeof(*more));
    if (!more)
        return;
    inherited.sockets = more;
    more[inherited.n++] = s;
}

static bool read_number(struct str text, int *out)
{
    int64_t n;

    if (!str_to_i64(text, &n) || n < 0 || n > INT32_MAX)
        return false;
    *out = (int)n;
    return true;
}

static void read_word(struct str word)
{
    struct str what = STR_NONE, number = STR_NONE;
    int fd;

    if (!str_next(&word, '=', &what) || !str_next(&word, ',', &number) || !read_number(number, &fd))
        return;
    if (str_eq(what, STR("socket")))
        add_socket(fd, false, STR(""));
    else if (str_eq(what, STR("systemd")))
        add_socket(fd, true, word);
    else if (str_eq(what, STR("lock")) && is_open(fd))
        inherited.lock_fd = fd;
    else if (str_eq(what, STR("ready")) && is_open(fd))
        inherited.ready_fd = fd;
    else if (str_eq(what, STR("tickets")) && is_open(fd))
        inherited.ticket_keys_fd = fd;
}

static struct str variable(const char *name)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    return str_from(getenv(name));
}

static void read_upgrade(struct str words)
{
    struct str word;
    pid_t pid;

    while (str_next(&words, ':', &word))
        read_word(word);
    if (inherited.ready_fd < 0)
        return;
    inherited.is_upgrade = true;
    pid = fork();
    if (pid > 0)
        _exit(0);
    (void)dprintf(inherited.ready_fd, "pid %d\n", (int)getpid());
}

static void read_systemd(void)
{
    struct str names = variable("LISTEN_FDNAMES"), name;
    int n, pid;

    if (!read_number(variable("LISTEN_PID"), &pid) || pid != getpid() ||
        !read_number(variable("LISTEN_FDS"), &n))
        return;
    for (int i = 0; i < n; i++) {
        if (!str_next(&names, ':', &name))
            name = STR("");
        add_socket(SYSTEMD_FIRST_FD + i, true, name);
    }
}

void inherit_read(void)
{
    static const char *const names[] = {INHERIT_VARIABLE, "LISTEN_PID", "LISTEN_FDS",
                                        "LISTEN_FDNAMES"};
    struct str words = variable(INHERIT_VARIABLE);

    if (words.len > 0)
        read_upgrade(words);
    else
        read_systemd();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
        unsetenv(names[i]);
}

/* ---- taking ---- */

bool inherit_is_upgrade(void)
{
    return inherited.is_upgrade;
}

static void take(size_t i, struct inherited_socket *out)
{
    *out = inherited.sockets[i];
    inherited.n--;
    memmove(&inherited.sockets[i], &inherited.sockets[i + 1],
            (inherited.n - i) * sizeof(inherited.sockets[0]));
}

bool inherit_take_socket(const struct endpoint *at, struct inherited_socket *out)
{
    for (size_t i = 0; i < inherited.n; i++) {
        struct endpoint bound = inherited.sockets[i].at;

        if (at->port == 0)
            bound.port = 0;
        if (inherited.sockets[i].is_systemds || !endpoint_eq(at, &bound))
            continue;
        take(i, out);
        return true;
    }
    return false;
}

bool inherit_take_systemds(struct inherited_socket *out)
{
    for (size_t i = 0; i < inherited.n; i++)
        if (inherited.sockets[i].is_systemds) {
            take(i, out);
            return true;
        }
    return false;
}

size_t inherit_n_systemds(void)
{
    size_t n = 0;

    for (size_t i = 0; i < inherited.n; i++)
        n += inherited.sockets[i].is_systemds;
    return n;
}

int inherit_take_lock(const char *path)
{
    int fd = inherited.lock_fd;
    struct stat ours, theirs;

    if (fd < 0 || stat(path, &ours) != 0 || fstat(fd, &theirs) != 0 ||
        ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
        return -1;
    inherited.lock_fd = -1;
    return fd;
}

int inherit_take_ticket_keys(void)
{
    int fd = inherited.ticket_keys_fd;

    inherited.ticket_keys_fd = -1;
    return fd;
}

/* ---- answering ---- */

static void close_ready(void)
{
    if (inherited.ready_fd >= 0)
        close(inherited.ready_fd);
    inherited.ready_fd = -1;
}

void inherit_say_ready(void)
{
    if (inherited.ready_fd >= 0)
        (void)dprintf(inherited.ready_fd, "ready\n");
    close_ready();
}

void inherit_say_failed(const char *why)
{
    if (inherited.ready_fd >= 0)
        (void)dprintf(inherited.ready_fd, "failed %s\n", why);
    close_ready();
}

void inherit_close(void)
{
    for (size_t i = 0; i < inherited.n; i++)
        close(inherited.sockets[i].fd);
    free(inherited.sockets);
    inherited.sockets = NULL;
    inherited.n = 0;
    if (inherited.lock_fd >= 0)
        close(inherited.lock_fd);
    inherited.lock_fd = -1;
    if (inherited.ticket_keys_fd >= 0)
        close(inherited.ticket_keys_fd);
    inherited.ticket_keys_fd = -1;
}
