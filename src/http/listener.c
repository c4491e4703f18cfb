/* A loop's listening socket at one place. It is under uv_poll with accept4(), because uv_listen()
 * closes clients when descriptors run out; here they wait in the kernel's queue instead. */
#include "internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* So many before other things of the loop have their turn. */
#define ACCEPTS_A_TURN 64
/* A server that clients have filled can be looked at all the same. */
#define METRICS_CONNS 8
/* How long accepting pauses when nothing of ours can tell that there is room again. */
#define PAUSE_MS 100

static void accept_waiting(struct listener *l);

static size_t max_conns(const struct listener *l)
{
    size_t n = server_max_conns(l->http->server);

    return l->kind == LISTENER_METRICS && n < SIZE_MAX - METRICS_CONNS ? n + METRICS_CONNS : n;
}

static void set_state(struct listener *l, enum listener_state state)
{
    static const char *const names[] = {"open", "paused", "closing", "closed"};

    log_trace("http: listener %u/%d: %s -> %s", l->http->loop->index, l->socket->fd,
              names[l->state], names[state]);
    l->state = state;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct listener *l = handle->data;

    (void)events;
    if (status < 0)
        log_error("http: the listening socket failed: %s", uv_strerror(status));
    else
        accept_waiting(l);
}

static void open_again(struct listener *l)
{
    if (l->state != LISTENER_PAUSED)
        return;
    timer_stop(&l->resume);
    set_state(l, LISTENER_OPEN);
    if (uv_poll_start(&l->poll, UV_READABLE, on_poll) != 0)
        log_error("http: the listening socket cannot be polled");
}

static void on_resume(struct timer *t)
{
    open_again(container_of(t, struct listener, resume));
}

void listener_resume(struct http_loop *h)
{
    for (struct list *it = h->listeners.next; it != &h->listeners; it = it->next) {
        struct listener *l = container_of(it, struct listener, link);

        if (l->state == LISTENER_PAUSED && atomic_load(&h->server->n_conns) < max_conns(l))
            open_again(l);
    }
}

/* The timer is for room that appears elsewhere: on another loop, or in files and upstream calls. */
static void pause_accepting(struct listener *l)
{
    uv_poll_stop(&l->poll);
    set_state(l, LISTENER_PAUSED);
    counter_add(&http_count()->pauses, 1);
    timer_start(&l->resume, PAUSE_MS, on_resume);
}

/* -1 and errno: none waits, or none can be taken now. *peer of a file's client: this machine. */
static int accept_one(const struct listener *l, struct ip *peer)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    int fd = accept4(l->socket->fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0 &&
        (l->socket->place->at.is_unix || !ip_from_sockaddr((struct sockaddr *)&addr, peer)))
        *peer = (struct ip){.is_v4 = true, .bytes = {127, 0, 0, 1}};
    return fd;
}

/* All that a node relays comes from one address: its connections are not counted. Nor are those
 * that no client makes. */
static struct conn *adopt(const struct listener *l, int fd, const struct ip *peer)
{
    struct http_server *s = l->http->server;
    struct address_count *count = NULL;

    if (is_for_clients(l->kind) && !server_count_address(s, peer, &count)) {
        close(fd);
        atomic_fetch_sub(&s->n_conns, 1);
        return NULL;
    }
    return conn_open(l, fd, peer, count);
}

/* What concerns one client that is already gone, not us. */
static bool is_clients_error(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN ||
           error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET || error == EHOSTUNREACH ||
           error == ENETUNREACH;
}

static void accept_waiting(struct listener *l)
{
    struct http_server *s = l->http->server;

    for (unsigned n = 0; n < ACCEPTS_A_TURN && l->state == LISTENER_OPEN; n++) {
        struct ip peer;
        int fd;

        if (atomic_fetch_add(&s->n_conns, 1) >= max_conns(l)) {
            atomic_fetch_sub(&s->n_conns, 1);
            pause_accepting(l);
            return;
        }
        fd = accept_one(l, &peer);
        if (fd >= 0) {
            counter_add(adopt(l, fd, &peer) ? &http_count()->accepted : &http_count()->refused, 1);
            continue;
        }
        atomic_fetch_sub(&s->n_conns, 1);
        if (errno == EAGAIN)
            return;
        if (is_clients_error(errno))
            continue;
        log_warn("http: accepting pauses: %s", errno_text(errno));
        pause_accepting(l);
    }
}

/* The kernel has accepted them; closing without a word would be a reset. */
static void refuse_waiting_clients(const struct listener *l)
{
    struct ip peer;
    int fd;

    while ((fd = accept_one(l, &peer)) >= 0) {
        struct conn *c;

        atomic_fetch_add(&l->http->server->n_conns, 1);
        c = conn_open(l, fd, &peer, NULL);
        counter_add(&http_count()->refused, 1);
        if (c)
            conn_refuse(c);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;

    set_state(l, LISTENER_CLOSED);
    side_of(l->http, l->kind)->n_listeners--;
    server_check_drained(l->http, l->kind);
}

void listener_close(struct listener *l, bool refuses_waiting)
{
    if (l->state == LISTENER_CLOSING || l->state == LISTENER_CLOSED)
        return;
    timer_stop(&l->resume);
    set_state(l, LISTENER_CLOSING);
    uv_poll_stop(&l->poll);
    if (refuses_waiting && !place_is_anothers(l->http->server, l->socket->place))
        refuse_waiting_clients(l);
    uv_close((uv_handle_t *)&l->poll, on_closed);
    uv_mutex_lock(&l->http->server->lock);
    place_drop_socket(l->http->server, l->socket);
    uv_mutex_unlock(&l->http->server->lock);
}

void listener_accept(struct listener *l)
{
    open_again(l);
}

struct error listener_open(struct http_loop *h, struct listen_socket *socket)
{
    struct listener *l = calloc(1, sizeof(*l));
    int error = l ? uv_poll_init(&h->loop->uv, &l->poll, socket->fd) : UV_ENOMEM;

    if (error != 0) {
        place_drop_socket(h->server, socket);
        free(l);
        return ERROR(ERR_UNAVAILABLE, error, "the listening socket cannot be polled");
    }
    l->http = h;
    l->socket = socket;
    l->kind = socket->place->kind;
    l->state = LISTENER_CLOSED;
    l->poll.data = l;
    list_push(&h->listeners, &l->link);
    side_of(h, l->kind)->n_listeners++;
    set_state(l, LISTENER_PAUSED);
    if (!atomic_load(&h->server->waits))
        open_again(l);
    return NO_ERROR;
}
