/* The server as its owner sees it: opened once, attached to each loop, drained, closed. */
#include "config/config.h"
#include "internal.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Descriptors that connections leave to files, databases and the loops themselves. */
#define SPARE_DESCRIPTORS 64
/* How often it is looked how long the certificates are good. */
#define A_DAY_MS (24 * 3600 * UINT64_C(1000))

/* server.listen, or the one place that server.host and server.port are. */
static struct error read_places(struct http_server *s)
{
    const struct config_server *settings = &config()->server;
    struct error err = NO_ERROR;
    struct buf text = {0};
    bool is_v6 = str_contains(settings->host, STR(":"));

    for (size_t i = 0; i < settings->listen.n && !is_error(err); i++)
        err = place_add(s, LISTENER_PLAIN, settings->listen.items[i], "key server.listen");
    if (settings->listen.n > 0)
        return err;
    buf_printf(&text, is_v6 ? "[%.*s]:%u" : "%.*s:%u",
               STR_ARG(settings->host.len > 0 ? settings->host : STR("*")),
               (unsigned)settings->port);
    err = text.failed
              ? ERROR(ERR_NO_MEMORY, 0, NULL)
              : place_add(s, LISTENER_PLAIN, buf_str(&text), "keys server.host and server.port");
    buf_deinit(&text);
    return err;
}

static struct error read_metrics_place(struct http_server *s)
{
    struct str at = config()->metrics.listen;

    return at.len > 0 ? place_add(s, LISTENER_METRICS, at, "key metrics.listen") : NO_ERROR;
}

static bool has_tls(const struct http_server *s)
{
    for (const struct list *it = s->places.next; it != &s->places; it = it->next)
        if (container_of(it, const struct place, link)->kind == LISTENER_TLS)
            return true;
    return false;
}

static void read_file_limit(struct http_server *s)
{
    struct rlimit files = {.rlim_cur = RLIM_INFINITY};

    s->max_by_files = SIZE_MAX;
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur != RLIM_INFINITY && files.rlim_cur > 2 * SPARE_DESCRIPTORS)
        s->max_by_files = files.rlim_cur - SPARE_DESCRIPTORS;
}

size_t server_max_conns(const struct http_server *s)
{
    size_t asked = config()->limits.connections;

    return asked > 0 && asked < s->max_by_files ? asked : s->max_by_files;
}

static void free_server(struct http_server *s)
{
    struct list *link;

    while ((link = list_pop(&s->places)))
        place_free(container_of(link, struct place, link));
    tls_server_close(s->tls);
    uv_mutex_destroy(&s->lock);
    map_deinit(&s->addresses);
    router_deinit(&s->router);
    free(s);
}

struct error http_open(const struct http_hooks *hooks, unsigned n_loops, struct http_server **out)
{
    struct http_server *s = calloc(1, sizeof(*s));
    struct error err;

    *out = NULL;
    if (!s)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    s->hooks = *hooks;
    s->n_loops_wanted = n_loops;
    atomic_init(&s->waits, inherit_is_upgrade());
    list_init(&s->loops);
    list_init(&s->places);
    if (uv_mutex_init(&s->lock) != 0) {
        free(s);
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    read_file_limit(s);
    err = read_places(s);
    if (!is_error(err))
        err = read_metrics_place(s);
    if (!is_error(err) && inherit_n_systemds() > 0)
        err = ERROR(ERR_INVALID, 0,
                    "systemd gave sockets to listen on (aerie.socket), but server.listen does not "
                    "name systemd");
    if (!is_error(err) && has_tls(s))
        err = tls_server_open(&s->tls);
    if (!is_error(err) && s->tls)
        tls_server_take_keys(s->tls, inherit_take_ticket_keys());
    if (!is_error(err))
        err = router_init(&s->router, hooks->routes, hooks->n_routes);
    if (!is_error(err) && !map_init(&s->addresses, 256))
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    if (is_error(err)) {
        free_server(s);
        return err;
    }
    *out = s;
    return NO_ERROR;
}

void http_close(struct http_server *s)
{
    struct list *link;

    while ((link = list_pop(&s->loops))) {
        struct http_loop *h = container_of(link, struct http_loop, link);

        for (unsigned i = 0; i < h->n_spare_out; i++)
            free(h->spare_out[i]);
        while ((link = list_pop(&h->listeners)))
            free(container_of(link, struct listener, link));
        free(h);
    }
    free_server(s);
}

struct error http_reload(struct http_server *s)
{
    return s->tls ? tls_server_load(s->tls) : NO_ERROR;
}

struct error http_listen_to_peers(struct http_server *s, struct str at, bool is_own,
                                  const char *named_by)
{
    struct error err = place_add(s, LISTENER_PEER, at, named_by);

    if (!is_error(err))
        container_of(s->places.prev, struct place, link)->is_own = is_own;
    return err;
}

static void close_listeners(struct http_loop *h)
{
    for (struct list *it = h->listeners.next; it != &h->listeners; it = it->next)
        listener_close(container_of(it, struct listener, link), false);
}

static struct error open_listeners(struct http_loop *h, struct place *p, unsigned index)
{
    struct listen_socket *socket;
    struct error err = NO_ERROR;

    for (unsigned n = 0; !is_error(err); n++) {
        err = place_take_socket(h->server, p, index, n, &socket);
        if (is_error(err) || !socket)
            break;
        err = listener_open(h, socket);
    }
    return err;
}

static void on_certificate_watch(struct timer *t)
{
    struct http_loop *h = container_of(t, struct http_loop, certificate_watch);

    tls_server_warn(h->server->tls);
    timer_start(t, A_DAY_MS, on_certificate_watch);
}

/* One that fails leaves what it opened to the loop, which closes it, and to http_close(). */
struct error http_attach(struct http_server *s, struct loop *l)
{
    struct http_loop *h = calloc(1, sizeof(*h));
    struct error err = NO_ERROR;
    unsigned index;

    loop_assert_current(l);
    if (!h)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    h->server = s;
    h->loop = l;
    h->date_s = -1;
    list_init(&h->conns);
    list_init(&h->handshakes.ready);
    list_init(&h->listeners);
    uv_mutex_lock(&s->lock); /* the first one settles the ports */
    list_push(&s->loops, &h->link);
    index = s->n_loops_begun++;
    for (struct list *it = s->places.next; it != &s->places && !is_error(err); it = it->next)
        err = open_listeners(h, container_of(it, struct place, link), index);
    if (!is_error(err))
        atomic_fetch_add(&s->n_loops, 1);
    uv_mutex_unlock(&s->lock);
    if (is_error(err))
        close_listeners(h);
    else
        l->rooms[ROOM_HTTP] = h;
    if (!is_error(err) && s->tls && l->index == 0)
        timer_start(&h->certificate_watch, A_DAY_MS, on_certificate_watch);
    return err;
}

void http_accept(struct loop *l)
{
    struct http_loop *h = http_loop_of(l);

    loop_assert_current(l);
    if (atomic_exchange(&h->server->waits, false))
        for (struct list *it = h->server->places.next; it != &h->server->places; it = it->next)
            place_take_over(container_of(it, struct place, link));
    for (struct list *it = h->listeners.next; it != &h->listeners; it = it->next)
        listener_accept(container_of(it, struct listener, link));
}

unsigned http_port(const struct http_server *s)
{
    return atomic_load(&s->port);
}

void http_describe(const struct http_server *s, enum listener_kind kind, struct buf *out)
{
    bool is_first = true;

    for (const struct list *it = s->places.next; it != &s->places; it = it->next) {
        const struct place *p = container_of(it, const struct place, link);

        if (p->kind != kind && !(is_for_clients(p->kind) && is_for_clients(kind)))
            continue;
        if (!is_first)
            buf_append_str(out, STR(", "));
        place_describe(p, out);
        is_first = false;
    }
}

struct http_stats http_stats(const struct http_server *s)
{
    return (struct http_stats){.connections = atomic_load(&s->n_conns)};
}

struct http_server *http_server_of(const struct request *req)
{
    return req->conn->http->server;
}

/* ---- leaving ---- */

void http_each_socket(struct http_server *s,
                      void (*visit)(void *state, int fd, const char *systemd_name), void *state)
{
    uv_mutex_lock(&s->lock);
    for (struct list *at = s->places.next; at != &s->places; at = at->next) {
        struct place *p = container_of(at, struct place, link);

        for (struct list *it = p->sockets.next; it != &p->sockets; it = it->next) {
            struct listen_socket *socket = container_of(it, struct listen_socket, link);

            if (!p->is_own && socket->fd >= 0)
                visit(state, socket->fd, p->is_systemds ? socket->systemd_name : NULL);
        }
    }
    uv_mutex_unlock(&s->lock);
}

int http_leave_ticket_keys(struct http_server *s)
{
    return s->tls ? tls_server_leave_keys(s->tls) : -1;
}

void http_hand_over(struct http_server *s)
{
    atomic_store(&s->is_handed_over, true);
}

void server_check_drained(struct http_loop *h, enum listener_kind kind)
{
    struct http_side *side = side_of(h, kind);
    void (*on_drained)(struct loop * l) = side->on_drained;

    if (side->n_conns > 0 || side->n_listeners > 0 || !on_drained)
        return;
    side->on_drained = NULL;
    on_drained(h->loop);
}

/* What is another server's by now leaves with the clients: who connects there again finds it. */
static bool leaves(const struct listener *l, enum listener_kind kind)
{
    return side_of(l->http, l->kind) == side_of(l->http, kind) ||
           (kind != LISTENER_PEER && place_is_anothers(l->http->server, l->socket->place));
}

/* Connections and listeners are freed by callbacks only, never below us: the lists stay as they
 * are. */
static void drain(struct http_loop *h, enum listener_kind kind, void (*on_drained)(struct loop *l))
{
    struct http_side *side = side_of(h, kind);

    loop_assert_current(h->loop);
    side->is_draining = true;
    side->on_drained = on_drained;
    for (struct list *it = h->conns.next; it != &h->conns; it = it->next) {
        struct conn *c = container_of(it, struct conn, link);

        if (leaves(c->listener, kind))
            conn_drain(c);
    }
    for (struct list *it = h->listeners.next; it != &h->listeners; it = it->next) {
        struct listener *l = container_of(it, struct listener, link);

        if (leaves(l, kind))
            listener_close(l, true);
    }
    server_check_drained(h, kind);
}

void http_drain(struct loop *l, void (*on_drained)(struct loop *l))
{
    drain(http_loop_of(l), LISTENER_PLAIN, on_drained);
}

void http_drain_peers(struct loop *l, void (*on_drained)(struct loop *l))
{
    drain(http_loop_of(l), LISTENER_PEER, on_drained);
}

void http_abort(struct loop *l)
{
    struct http_loop *h = http_loop_of(l);

    loop_assert_current(l);
    close_listeners(h);
    for (struct list *it = h->conns.next; it != &h->conns; it = it->next)
        conn_close(container_of(it, struct conn, link));
}

/* ---- connections of one address ---- */

bool server_count_address(struct http_server *s, const struct ip *ip, struct address_count **out)
{
    uint64_t max = config()->limits.connections_per_address;
    char text[IP_TEXT_BYTES];
    struct str key = ip_format_group(ip, text);
    struct address_count *count;
    struct map_node *node;
    bool is_allowed;

    *out = NULL;
    if (max == 0)
        return true;
    uv_mutex_lock(&s->lock);
    node = map_find(&s->addresses, key);
    count = node ? container_of(node, struct address_count, node) : calloc(1, sizeof(*count));
    is_allowed = count && count->n < max;
    if (is_allowed) {
        if (!node) {
            memcpy(count->text, text, sizeof(text));
            map_insert(&s->addresses, &count->node, (struct str){count->text, key.len});
        }
        count->n++;
        *out = count;
    }
    uv_mutex_unlock(&s->lock);
    return is_allowed;
}

void server_uncount_address(struct http_server *s, struct address_count *count)
{
    if (!count)
        return;
    uv_mutex_lock(&s->lock);
    if (--count->n == 0) {
        map_remove(&s->addresses, &count->node);
        free(count);
    }
    uv_mutex_unlock(&s->lock);
}
