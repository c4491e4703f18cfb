/* A loop's own listening socket. It is under uv_poll with accept4(), because uv_listen() closes
 * clients when descriptors run out; here they wait in the kernel's queue instead. */
#include "internal.h"

#include "base/log.h"
#include "config/config.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096
/* So many before other things of the loop have their turn. */
#define ACCEPTS_A_TURN 64
/* How long accepting pauses when nothing of ours can tell that there is room again. */
#define PAUSE_MS 100
/* What the kernel may hold of a client that does not read, beyond what is on its way. */
#define UNSENT_BYTES (16 * 1024)

static void accept_waiting(struct http_loop *h);

static void set_state(struct http_loop *h, enum listener_state state)
{
    static const char *const names[] = {"open", "paused", "closing", "closed"};

    log_trace("http: listener %u: %s -> %s", h->loop->index, names[h->listener], names[state]);
    h->listener = state;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct http_loop *h = handle->data;

    (void)events;
    if (status < 0)
        log_error("http: the listening socket failed: %s", uv_strerror(status));
    else
        accept_waiting(h);
}

static void open_again(struct http_loop *h)
{
    if (h->listener != LISTENER_PAUSED)
        return;
    timer_stop(&h->resume);
    set_state(h, LISTENER_OPEN);
    if (uv_poll_start(&h->listen_poll, UV_READABLE, on_poll) != 0)
        log_error("http: the listening socket cannot be polled");
}

static void on_resume(struct timer *t)
{
    open_again(container_of(t, struct http_loop, resume));
}

void listener_resume(struct http_loop *h)
{
    if (h->listener == LISTENER_PAUSED && atomic_load(&h->server->n_conns) < server_max_conns(h->server))
        open_again(h);
}

/* The timer is for room that appears elsewhere: on another loop, or in files and upstream calls. */
static void pause_accepting(struct http_loop *h)
{
    uv_poll_stop(&h->listen_poll);
    set_state(h, LISTENER_PAUSED);
    counter_add(&http_count()->pauses, 1);
    timer_start(&h->resume, PAUSE_MS, on_resume);
}

/* -1 and errno: none waits, or none can be taken now. */
static int accept_one(struct http_loop *h, struct ip *peer)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    int fd = accept4(h->listen_fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0 && !ip_from_sockaddr((struct sockaddr *)&addr, peer))
        *peer = (struct ip){.is_v4 = true};
    return fd;
}

static struct conn *adopt(struct http_loop *h, int fd, const struct ip *peer)
{
    struct address_count *count;

    if (!server_count_address(h->server, peer, &count)) {
        close(fd);
        atomic_fetch_sub(&h->server->n_conns, 1);
        return NULL;
    }
    return conn_open(h, fd, peer, count);
}

/* What concerns one client that is already gone, not us. */
static bool is_clients_error(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN ||
           error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET || error == EHOSTUNREACH ||
           error == ENETUNREACH;
}

static void accept_waiting(struct http_loop *h)
{
    for (unsigned n = 0; n < ACCEPTS_A_TURN && h->listener == LISTENER_OPEN; n++) {
        struct ip peer;
        int fd;

        if (atomic_fetch_add(&h->server->n_conns, 1) >= server_max_conns(h->server)) {
            atomic_fetch_sub(&h->server->n_conns, 1);
            pause_accepting(h);
            return;
        }
        fd = accept_one(h, &peer);
        if (fd >= 0) {
            counter_add(adopt(h, fd, &peer) ? &http_count()->accepted : &http_count()->refused, 1);
            continue;
        }
        atomic_fetch_sub(&h->server->n_conns, 1);
        if (errno == EAGAIN)
            return;
        if (is_clients_error(errno))
            continue;
        log_warn("http: accepting pauses: %s", errno_text(errno));
        pause_accepting(h);
    }
}

/* The kernel has accepted them; closing without a word would be a reset. */
static void refuse_waiting_clients(struct http_loop *h)
{
    struct ip peer;
    int fd;

    while ((fd = accept_one(h, &peer)) >= 0) {
        struct conn *c;

        atomic_fetch_add(&h->server->n_conns, 1);
        c = conn_open(h, fd, &peer, NULL);
        counter_add(&http_count()->refused, 1);
        if (c)
            conn_refuse(c);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct http_loop *h = handle->data;

    set_state(h, LISTENER_CLOSED);
    server_check_drained(h);
}

void listener_close(struct http_loop *h, bool refuse_waiting)
{
    if (h->listener == LISTENER_CLOSING || h->listener == LISTENER_CLOSED)
        return;
    timer_stop(&h->resume);
    set_state(h, LISTENER_CLOSING);
    uv_poll_stop(&h->listen_poll);
    if (refuse_waiting)
        refuse_waiting_clients(h);
    uv_close((uv_handle_t *)&h->listen_poll, on_closed);
    close(h->listen_fd);
}

/* ---- opening ---- */

static socklen_t make_address(const struct http_server *s, struct sockaddr_storage *out)
{
    in_port_t port = htons((in_port_t)http_port(s));
    struct sockaddr_in6 *in6;

    memset(out, 0, sizeof(*out));
    if (s->host.is_v4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;

        in->sin_family = AF_INET;
        in->sin_port = port;
        memcpy(&in->sin_addr, s->host.bytes, sizeof(in->sin_addr));
        return sizeof(*in);
    }
    in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = port;
    memcpy(&in6->sin6_addr, s->host.bytes, sizeof(in6->sin6_addr));
    return sizeof(*in6);
}

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

static bool note_port(struct http_server *s, int fd)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);

    memset(&addr, 0, sizeof(addr)); /* all of it, whatever family it is read as */
    if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        return false;
    if (addr.ss_family == AF_INET)
        atomic_store(&s->port, ntohs(((struct sockaddr_in *)&addr)->sin_port));
    else
        atomic_store(&s->port, ntohs(((struct sockaddr_in6 *)&addr)->sin6_port));
    return true;
}

/* The first loop asks without SO_REUSEPORT first: with it, a second server on the same port would
 * start and take half of the first one's clients. */
static bool is_port_free(const struct sockaddr_storage *addr, socklen_t len)
{
    int on = 1, fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_free;

    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    is_free = bind(fd, (const struct sockaddr *)addr, len) == 0;
    if (!is_free) {
        int error = errno;

        close(fd);
        errno = error;
        return false;
    }
    close(fd);
    return true;
}

/* Names the address, for whoever reads it at the start. */
static struct error cannot_listen(struct http_server *server, int error)
{
    snprintf(server->listen_error, sizeof(server->listen_error),
             "cannot listen on %.*s:%u: %s (keys server.host and server.port)",
             STR_ARG(config()->server.host), (unsigned)config()->server.port, errno_text(error));
    return ERROR(ERR_UNAVAILABLE, error, server->listen_error);
}

struct error listener_open(struct http_loop *h)
{
    struct sockaddr_storage addr;
    socklen_t len = make_address(h->server, &addr);
    int error, fd;

    if (list_is_empty(&h->server->loops) && !is_port_free(&addr, len))
        return cannot_listen(h->server, errno);
    fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return cannot_listen(h->server, errno);
    set_options(fd);
    if (bind(fd, (struct sockaddr *)&addr, len) != 0 || listen(fd, BACKLOG) != 0 ||
        !note_port(h->server, fd)) {
        error = errno;
        close(fd);
        return cannot_listen(h->server, error);
    }
    error = uv_poll_init(&h->loop->uv, &h->listen_poll, fd);
    if (error != 0) {
        close(fd);
        return cannot_listen(h->server, -error);
    }
    h->listen_poll.data = h;
    h->listen_fd = fd;
    set_state(h, LISTENER_PAUSED);
    open_again(h);
    return NO_ERROR;
}
