/* The places where the server listens: read from the settings, bound, and given up. */
#include "config/config.h"
#include "internal.h"

#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 4096
/* What the kernel may hold of a client that does not read, beyond what is on its way. */
#define UNSENT_BYTES (16 * 1024)
/* Who may connect to the file where other nodes do: the account itself. */
#define PEERS_MODE 0600

/* Why it cannot listen, for whoever reads it at the start: one loop opens its places at a time. */
static struct error __attribute__((format(printf, 3, 4)))
fail(enum status status, int code, const char *format, ...)
{
    static char detail[512];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    return ERROR(status, code, detail);
}

/* ---- what the settings say ---- */

/* Accepted sockets inherit these from the listening one. */
static void set_options(const struct place *p, int fd)
{
    int on = 1, off = 0, unsent = UNSENT_BYTES;
    unsigned stuck_ms = (unsigned)(config()->limits.write_seconds * 1000);

    if (p->at.is_unix)
        return;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (!p->is_systemds)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    /* For what the kernel has taken, also of a connection that we have closed by then. */
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stuck_ms, sizeof(stuck_ms));
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off,
               sizeof(off)); /* "::" is everyone; else no effect */
}

static struct place *place_new(struct http_server *s, enum listener_kind kind, const char *named_by)
{
    struct place *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->kind = kind;
    p->named_by = named_by;
    list_init(&p->sockets);
    list_push(&s->places, &p->link);
    return p;
}

static void name_server(struct http_server *s, struct place *p)
{
    if (!is_for_clients(p->kind) || p->at.is_unix || (s->named && s->named != p))
        return;
    s->named = p;
    atomic_store(&s->port, p->at.port);
}

static struct listen_socket *add_socket(struct place *p, int fd)
{
    struct listen_socket *socket = calloc(1, sizeof(*socket));

    if (!socket) {
        close(fd);
        return NULL;
    }
    socket->place = p;
    socket->fd = fd;
    list_push(&p->sockets, &socket->link);
    p->is_settled = true;
    return socket;
}

static bool note_file(struct place *p)
{
    struct stat file;

    if (lstat(p->at.path, &file) != 0)
        return false;
    p->device = file.st_dev;
    p->inode = file.st_ino;
    return true;
}

/* From the server before us: the very sockets, since clients may wait in their queues. */
static bool take_inherited(struct http_server *s, struct place *p)
{
    struct inherited_socket left;

    while (inherit_take_socket(&p->at, &left)) {
        if (!add_socket(p, left.fd))
            return false;
        p->at = left.at;
        p->n_inherited++;
        set_options(p, left.fd);
    }
    name_server(s, p);
    if (p->at.is_unix && p->n_inherited > 0)
        (void)note_file(p);
    return true;
}

/* A place for each socket. */
static struct error add_systemds(struct http_server *s, const char *named_by)
{
    struct inherited_socket given;
    size_t n = 0;

    for (; inherit_take_systemds(&given); n++) {
        enum listener_kind kind = strcmp(given.name, "https") == 0 ? LISTENER_TLS : LISTENER_PLAIN;
        struct place *p;
        struct listen_socket *socket;

        p = place_new(s, kind, named_by);
        socket = p ? add_socket(p, given.fd) : NULL;
        if (!socket)
            return ERROR(ERR_NO_MEMORY, 0, NULL);
        memcpy(socket->systemd_name, given.name, sizeof(socket->systemd_name));
        p->at = given.at;
        p->n_inherited = 1;
        p->is_shared = p->is_systemds = true;
        set_options(p, given.fd);
        name_server(s, p);
    }
    if (n == 0)
        return fail(ERR_INVALID, 0,
                    "systemd gave no socket to listen on: start aerie.socket, or take systemd out "
                    "of the list (%s)",
                    named_by);
    return NO_ERROR;
}

struct error place_add(struct http_server *s, enum listener_kind kind, struct str text,
                       const char *named_by)
{
    struct endpoint at;
    struct place *p;

    if (kind == LISTENER_PLAIN && str_starts_with_nocase(text, STR("tls://"))) {
        kind = LISTENER_TLS;
        text = str_skip(text, 6);
    }
    if (kind == LISTENER_PLAIN && str_eq(text, STR("systemd")))
        return add_systemds(s, named_by);
    if (!endpoint_parse(text, &at))
        return fail(ERR_INVALID, 0, "%.*s is no address to listen on (%s)", STR_ARG(text),
                    named_by);
    p = place_new(s, kind, named_by);
    if (!p)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    p->at = at;
    p->is_shared = at.is_unix;
    return take_inherited(s, p) ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, NULL);
}

void place_describe(const struct place *p, struct buf *out)
{
    static const char *const schemes[] = {"http://", "https://", "http://", ""};
    char text[ENDPOINT_TEXT_BYTES];

    if (!p->at.is_unix)
        buf_append_str(out, str_from(schemes[p->kind]));
    buf_append_str(out, endpoint_format(&p->at, text));
}

/* ---- binding ---- */

/* Keeps errno. Returns -1. */
static int close_failed(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
    return -1;
}

/* The first socket asks without SO_REUSEPORT first: with it, a second server on the same port would
 * start and take half of the first one's clients. */
static bool is_port_free(const struct sockaddr_storage *addr, socklen_t len)
{
    int on = 1, fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)addr, len) != 0) {
        close_failed(fd);
        return false;
    }
    close(fd);
    return true;
}

static bool note_port(struct http_server *s, struct place *p, int fd)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    struct endpoint bound;

    memset(&addr, 0, sizeof(addr)); /* all of it, whatever family it is read as */
    if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0 ||
        !endpoint_from_sockaddr((struct sockaddr *)&addr, len, &bound))
        return false;
    p->at.port = bound.port;
    if (p == s->named)
        atomic_store(&s->port, bound.port);
    return true;
}

static int bind_port(struct http_server *s, struct place *p)
{
    struct sockaddr_storage addr;
    socklen_t len = endpoint_sockaddr(&p->at, &addr);
    int fd;

    if (!p->is_settled && !is_port_free(&addr, len))
        return -1;
    fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_options(p, fd);
    if (bind(fd, (struct sockaddr *)&addr, len) != 0 || listen(fd, BACKLOG) != 0 ||
        !note_port(s, p, fd))
        return close_failed(fd);
    return fd;
}

/* A file that a server left behind is in the way of the next one; that of a living one answers. */
static bool remove_dead_file(const struct sockaddr_storage *addr, socklen_t len, const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct stat file;
    bool is_dead;

    if (fd < 0)
        return false;
    is_dead = connect(fd, (const struct sockaddr *)addr, len) != 0 && errno == ECONNREFUSED &&
              lstat(path, &file) == 0 && S_ISSOCK(file.st_mode);
    close(fd);
    errno = EADDRINUSE;
    return is_dead && unlink(path) == 0;
}

static mode_t file_mode(const struct place *p)
{
    struct str digits = config()->server.unix_mode;
    mode_t mode = 0;

    if (p->kind == LISTENER_PEER)
        return PEERS_MODE;
    for (size_t i = 0; i < digits.len; i++)
        mode = mode * 8 + (mode_t)(digits.ptr[i] - '0');
    return mode;
}

void place_take_over(const struct place *p)
{
    struct stat file;

    if (!p->at.is_unix || p->is_systemds || p->n_inherited == 0)
        return;
    if (lstat(p->at.path, &file) != 0 || file.st_dev != p->device || file.st_ino != p->inode ||
        chmod(p->at.path, file_mode(p)) != 0)
        log_warn("http: %s is not there any more, or cannot be given its mode", p->at.path);
}

/* Nobody can connect before it listens, and by then it has its mode. */
static int bind_file(struct place *p)
{
    struct sockaddr_storage addr;
    socklen_t len = endpoint_sockaddr(&p->at, &addr);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&addr, len) != 0 &&
        (errno != EADDRINUSE || !remove_dead_file(&addr, len, p->at.path) ||
         bind(fd, (struct sockaddr *)&addr, len) != 0))
        return close_failed(fd);
    if (chmod(p->at.path, file_mode(p)) != 0 || !note_file(p) || listen(fd, BACKLOG) != 0)
        return close_failed(fd);
    return fd;
}

static struct listen_socket *socket_at(const struct place *p, size_t n)
{
    struct list *it = p->sockets.next;

    while (n-- > 0)
        it = it->next;
    return container_of(it, struct listen_socket, link);
}

/* Which of those that are there is the loop's n-th? What was left by a server with more loops is
 * dealt out among ours, each of it to one; with fewer, the others share. -1: none (more). */
static int64_t share(const struct http_server *s, const struct place *p, unsigned index, unsigned n)
{
    size_t there = p->n_inherited, at = index + (size_t)n * s->n_loops_wanted;

    if (p->is_shared)
        return !list_is_empty(&p->sockets) && n < (there > 0 ? there : 1) ? (int64_t)n : -1;
    if (at < there)
        return (int64_t)at;
    return there > 0 && n == 0 ? (int64_t)(index % there) : -1;
}

static struct error make_socket(struct http_server *s, struct place *p, struct listen_socket **out)
{
    int fd = p->at.is_unix ? bind_file(p) : bind_port(s, p);
    char text[ENDPOINT_TEXT_BYTES];

    if (fd < 0)
        return fail(ERR_UNAVAILABLE, errno, "cannot listen on %.*s: %s (%s)",
                    STR_ARG(endpoint_format(&p->at, text)), errno_text(errno), p->named_by);
    *out = add_socket(p, fd);
    return *out ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, NULL);
}

struct error place_take_socket(struct http_server *s, struct place *p, unsigned index, unsigned n,
                               struct listen_socket **out)
{
    int64_t at = share(s, p, index, n);
    struct error err = NO_ERROR;

    *out = at >= 0 ? socket_at(p, (size_t)at) : NULL;
    if (!*out && n == 0)
        err = make_socket(s, p, out);
    if (*out)
        (*out)->n_users++;
    return err;
}

/* ---- giving up ---- */

bool place_is_anothers(const struct http_server *s, const struct place *p)
{
    return !p->is_own &&
           (atomic_load(&s->is_handed_over) || (p->n_inherited > 0 && atomic_load(&s->waits)));
}

/* Whoever connects from now on is told at once that nobody is there. */
static void remove_file(const struct place *p)
{
    struct stat file;

    if (lstat(p->at.path, &file) == 0 && file.st_dev == p->device && file.st_ino == p->inode &&
        unlink(p->at.path) != 0)
        log_warn("http: %s cannot be removed: %s", p->at.path, errno_text(errno));
}

void place_drop_socket(struct http_server *s, struct listen_socket *socket)
{
    struct place *p = socket->place;

    if (--socket->n_users > 0)
        return;
    if (p->at.is_unix && !p->is_systemds && !place_is_anothers(s, p))
        remove_file(p);
    close(socket->fd);
    socket->fd = -1;
}

void place_free(struct place *p)
{
    struct list *link;

    while ((link = list_pop(&p->sockets))) {
        struct listen_socket *socket = container_of(link, struct listen_socket, link);

        if (socket->fd >= 0)
            close(socket->fd); /* inherited, and no loop came for it */
        free(socket);
    }
    free(p);
}
