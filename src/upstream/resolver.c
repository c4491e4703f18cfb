/* Names to addresses. libcurl's own way starts a thread for each transfer, and removing a transfer
 * waits for it; here a few threads serve all loops, and leaving costs nothing. */
#include "resolver.h"

#include "config/config.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_MAX         1024
#define NEGATIVE_CACHE_MS 1000

/* A name: being looked up, or known until expires_ms. */
struct entry {
    struct map_node node;
    struct list order;
    struct list waiters;
    struct resolver *resolver;
    struct work work;
    struct addresses found;
    uint64_t expires_ms;
    bool is_running;
    char host[]; /* with a NUL */
};

bool resolver_init(struct resolver *r, struct workers *workers)
{
    *r = (struct resolver){.workers = workers};
    list_init(&r->order);
    return map_init(&r->entries, 64);
}

static void add_address(struct addresses *to, const struct sockaddr *address)
{
    bool is_v6 = address->sa_family == AF_INET6;

    if (to->n == RESOLVED_MAX || (!is_v6 && address->sa_family != AF_INET))
        return;
    if (is_v6)
        to->ip[to->n].v6 = ((const struct sockaddr_in6 *)address)->sin6_addr;
    else
        to->ip[to->n].v4 = ((const struct sockaddr_in *)address)->sin_addr;
    to->is_v6[to->n++] = is_v6;
}

bool resolver_literal(const char *host, struct addresses *found)
{
    *found = (struct addresses){0};
    if (inet_pton(AF_INET, host, &found->ip[0].v4) == 1)
        found->n = 1;
    else if (inet_pton(AF_INET6, host, &found->ip[0].v6) == 1)
        found->n = found->is_v6[0] = 1;
    return found->n > 0;
}

/* On a worker thread. */
static void look_up(struct work *w)
{
    struct entry *e = container_of(w, struct entry, work);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;

    e->found.n = 0;
    if (getaddrinfo(e->host, NULL, &hints, &list) != 0)
        return;
    for (const struct addrinfo *it = list; it; it = it->ai_next)
        add_address(&e->found, it->ai_addr);
    freeaddrinfo(list);
}

static void entry_free(struct entry *e)
{
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what free_all() freed has left its list
    map_remove(&e->resolver->entries, &e->node);
    list_remove(&e->order);
    free(e);
}

static void free_all(struct resolver *r)
{
    while (!list_is_empty(&r->order))
        entry_free(container_of(r->order.next, struct entry, order));
    map_deinit(&r->entries);
    r->on_idle(r);
}

static void looked_up(struct work *w)
{
    struct entry *e = container_of(w, struct entry, work);
    struct resolver *r = e->resolver;
    struct addresses found = e->found; /* a waiter may ask again and push e out of the cache */
    struct list waiters;

    e->is_running = false;
    r->n_running--;
    e->expires_ms = loop_now_ms(loop_current()) +
                    (e->found.n ? config()->upstream.dns_cache_seconds * 1000 : NEGATIVE_CACHE_MS);
    list_init(&waiters);
    list_splice(&waiters, &e->waiters);
    for (struct list *it = list_pop(&waiters); it; it = list_pop(&waiters)) {
        struct resolve *waiter = container_of(it, struct resolve, link);

        waiter->done(waiter, &found);
    }
    if (r->on_idle && r->n_running == 0)
        free_all(r);
}

void resolver_close(struct resolver *r, void (*on_idle)(struct resolver *r))
{
    r->on_idle = on_idle;
    if (r->n_running == 0)
        free_all(r);
}

/* Makes room for one more; false when everything in the cache is being looked up. */
static bool make_room(struct resolver *r)
{
    if (r->entries.count < CACHE_MAX)
        return true;
    for (struct list *it = r->order.next; it != &r->order; it = it->next) {
        struct entry *e = container_of(it, struct entry, order);

        if (!e->is_running) {
            entry_free(e);
            return true;
        }
    }
    return false;
}

static struct entry *entry_new(struct resolver *r, struct str host)
{
    struct entry *e;

    if (!make_room(r))
        return NULL;
    e = calloc(1, sizeof(*e) + host.len + 1);
    if (!e)
        return NULL;
    memcpy(e->host, host.ptr, host.len);
    e->resolver = r;
    list_init(&e->waiters);
    map_insert(&r->entries, &e->node, (struct str){e->host, host.len});
    list_push(&r->order, &e->order);
    return e;
}

enum resolve_answer resolver_ask(struct resolver *r, struct str host, struct resolve *waiter,
                                 struct addresses *found)
{
    struct map_node *node = map_find(&r->entries, host);
    struct entry *e = node ? container_of(node, struct entry, node) : entry_new(r, host);

    if (!e)
        return RESOLVE_FULL;
    list_remove(&e->order);
    list_push(&r->order, &e->order);
    if (!e->is_running && e->expires_ms > loop_now_ms(loop_current())) {
        *found = e->found;
        return RESOLVE_FOUND;
    }
    if (!e->is_running) {
        e->work = (struct work){0};
        if (!workers_submit(r->workers, &e->work, look_up, looked_up)) {
            entry_free(e);
            return RESOLVE_FULL;
        }
        e->is_running = true;
        r->n_running++;
    }
    list_push(&e->waiters, &waiter->link);
    return RESOLVE_WAITING;
}

void resolver_cancel(struct resolve *waiter)
{
    list_remove(&waiter->link);
}
