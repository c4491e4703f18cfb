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
/* Who may connect to a file: the account itself, and its group for clients' proxies. */
#define CLIENTS_MODE 0660
#define PEERS_MODE   0600

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

struct error place_add(struct http_server *s, enum listener_kind kind, struct str text,
                       const char *named_by)
{
    struct place *p;

    if (kind == LISTENER_PLAIN && str_starts_with_nocase(text, STR("tls://"))) {
        kind = LISTENER_TLS;
        text = str_skip(text, 6);
    }
    if (kind == LISTENER_PLAIN && str_eq(text, STR("systemd")))
        return fail(ERR_INVALID, 0,
                    "cannot listen on sockets of systemd: there is no socket activation yet (%s)",
                    named_by);
    p = calloc(1, sizeof(*p));
    if (!p)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!endpoint_parse(text, &p->at)) {
        free(p);
        return fail(ERR_INVALID, 0, "%.*s is no address to listen on (%s)", STR_ARG(text),
                    named_by);
    }
    p->kind = kind;
    p->named_by = named_by;
    list_init(&p->sockets);
    list_push(&s->places, &p->link);
    if (!s->named && kind != LISTENER_PEER && !p->at.is_unix) {
        s->named = p;
        atomic_store(&s->port, p->at.port);
    }
    return NO_ERROR;
}

void place_describe(const struct place *p, struct buf *out)
{
    static const char *const schemes[] = {"http://", "https://", ""};
    char text[ENDPOINT_TEXT_BYTES];

    if (!p->at.is_unix)
        buf_append_str(out, str_from(schemes[p->kind]));
    buf_append_str(out, endpoint_format(&p->at, text));
}

/* ---- binding ---- */

/* Accepted sockets inherit these from the listening one. */
static void set_options(int fd)
{
    int on = 1, off = 0, unsent = UNSENT_BYTES;
    unsigned stuck_ms = (unsigned)(config()->limits.write_seconds * 1000);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    /* For what the kernel has taken, also of a connection that we have closed by then. */
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stuck_ms, sizeof(stuck_ms));
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off,
               sizeof(off)); /* "::" is everyone; else no effect */
}

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
    set_options(fd);
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

/* Nobody can connect before it listens, and by then it has its mode. */
static int bind_file(struct place *p)
{
    mode_t mode = p->kind == LISTENER_PEER ? PEERS_MODE : CLIENTS_MODE;
    struct sockaddr_storage addr;
    socklen_t len = endpoint_sockaddr(&p->at, &addr);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct stat file;

    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&addr, len) != 0 &&
        (errno != EADDRINUSE || !remove_dead_file(&addr, len, p->at.path) ||
         bind(fd, (struct sockaddr *)&addr, len) != 0))
        return close_failed(fd);
    if (chmod(p->at.path, mode) != 0 || lstat(p->at.path, &file) != 0 || listen(fd, BACKLOG) != 0)
        return close_failed(fd);
    p->device = file.st_dev;
    p->inode = file.st_ino;
    return fd;
}

static struct listen_socket *shared_socket(struct place *p)
{
    if (!p->at.is_unix || list_is_empty(&p->sockets))
        return NULL;
    return container_of(p->sockets.next, struct listen_socket, link);
}

struct error place_take_socket(struct http_server *s, struct place *p, struct listen_socket **out)
{
    struct listen_socket *socket = shared_socket(p);
    char text[ENDPOINT_TEXT_BYTES];
    int fd;

    *out = socket;
    if (socket) {
        socket->n_users++;
        return NO_ERROR;
    }
    fd = p->at.is_unix ? bind_file(p) : bind_port(s, p);
    if (fd < 0)
        return fail(ERR_UNAVAILABLE, errno, "cannot listen on %.*s: %s (%s)",
                    STR_ARG(endpoint_format(&p->at, text)), errno_text(errno), p->named_by);
    socket = calloc(1, sizeof(*socket));
    if (!socket) {
        close(fd);
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    *socket = (struct listen_socket){.place = p, .fd = fd, .n_users = 1};
    list_push(&p->sockets, &socket->link);
    p->is_settled = true;
    *out = socket;
    return NO_ERROR;
}

/* ---- giving up ---- */

/* Whoever connects from now on is told at once that nobody is there. */
static void remove_file(const struct place *p)
{
    struct stat file;

    if (p->at.is_unix && lstat(p->at.path, &file) == 0 && file.st_dev == p->device &&
        file.st_ino == p->inode && unlink(p->at.path) != 0)
        log_warn("http: %s cannot be removed: %s", p->at.path, errno_text(errno));
}

void place_drop_socket(struct http_server *s, struct listen_socket *socket)
{
    uv_mutex_lock(&s->lock);
    if (--socket->n_users == 0) {
        remove_file(socket->place);
        close(socket->fd);
        socket->fd = -1;
    }
    uv_mutex_unlock(&s->lock);
}

void place_free(struct place *p)
{
    struct list *link;

    while ((link = list_pop(&p->sockets)))
        free(container_of(link, struct listen_socket, link));
    free(p);
}
