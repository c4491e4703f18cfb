/* The server as its owner sees it: opened once, attached to each loop, drained, closed. */
#include "config/config.h"
#include "internal.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Descriptors that connections leave to files, databases and the loops themselves. */
#define SPARE_DESCRIPTORS 64

static struct error read_host(struct http_server *s)
{
    struct str host = config()->server.host;

    if (host.len == 0 || str_eq(host, STR("*")))
        host = STR("0.0.0.0");
    else if (str_eq(host, STR("localhost")))
        host = STR("127.0.0.1");
    if (!ip_parse(host, &s->host))
        return ERROR(ERR_INVALID, 0, "server.host is not an address to listen on");
    return NO_ERROR;
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
    uv_mutex_destroy(&s->lock);
    map_deinit(&s->addresses);
    router_deinit(&s->router);
    free(s);
}

struct error http_open(const struct http_hooks *hooks, struct http_server **out)
{
    struct http_server *s = calloc(1, sizeof(*s));
    struct error err;

    *out = NULL;
    if (!s)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    s->hooks = *hooks;
    list_init(&s->loops);
    if (uv_mutex_init(&s->lock) != 0) {
        free(s);
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    atomic_init(&s->port, (unsigned)config()->server.port);
    read_file_limit(s);
    err = read_host(s);
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
        free(h);
    }
    free_server(s);
}

struct error http_attach(struct http_server *s, struct loop *l)
{
    struct http_loop *h = calloc(1, sizeof(*h));
    struct error err;

    loop_assert_current(l);
    if (!h)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    h->server = s;
    h->loop = l;
    h->listener = LISTENER_CLOSED;
    h->date_s = -1;
    list_init(&h->conns);
    uv_mutex_lock(&s->lock); /* the first one settles the port */
    err = listener_open(h);
    if (!is_error(err)) {
        list_push(&s->loops, &h->link);
        atomic_fetch_add(&s->n_loops, 1);
    }
    uv_mutex_unlock(&s->lock);
    if (is_error(err))
        free(h);
    else
        l->rooms[ROOM_HTTP] = h;
    return err;
}

unsigned http_port(const struct http_server *s)
{
    return atomic_load(&s->port);
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

void server_check_drained(struct http_loop *h)
{
    void (*on_drained)(struct loop * l) = h->on_drained;

    if (!h->is_draining || h->n_conns > 0 || h->listener != LISTENER_CLOSED || !on_drained)
        return;
    h->on_drained = NULL;
    on_drained(h->loop);
}

void http_drain(struct loop *l, void (*on_drained)(struct loop *l))
{
    struct http_loop *h = http_loop_of(l);

    loop_assert_current(l);
    h->is_draining = true;
    h->on_drained = on_drained;
    /* Connections are freed by callbacks only, never below us: the list stays as it is. */
    for (struct list *it = h->conns.next; it != &h->conns; it = it->next)
        conn_drain(container_of(it, struct conn, link));
    if (h->listener == LISTENER_CLOSED)
        server_check_drained(h);
    else
        listener_close(h, true);
}

void http_abort(struct loop *l)
{
    struct http_loop *h = http_loop_of(l);

    loop_assert_current(l);
    listener_close(h, false);
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
