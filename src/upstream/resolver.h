/* Names to addresses: bounded, cached, and one look-up at a time for one name on a loop. */
#ifndef AERIE_UPSTREAM_RESOLVER_H
#define AERIE_UPSTREAM_RESOLVER_H

#include "base/error.h"
#include "base/map.h"
#include "loop/loop.h"
#include "loop/workers.h"

#include <netinet/in.h>

#define RESOLVED_MAX 8

/* In getaddrinfo()'s order (RFC 6724). Every stream holds one, so it is small. */
struct addresses {
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } ip[RESOLVED_MAX];
    bool is_v6[RESOLVED_MAX];
    unsigned n; /* 0: the name has none */
};

/* A loop's cache. */
struct resolver {
    struct map entries;
    struct list order; /* of entries, least recently used first */
    unsigned n_running;
    struct workers *workers;
    void (*on_idle)(struct resolver *r); /* set while closing */
};

/* One waiter, inside the asker's state, all-zero before. */
struct resolve {
    struct list link;
    void (*done)(struct resolve *r, const struct addresses *found);
};

bool resolver_init(struct resolver *r, struct workers *workers);
/* Calls on_idle once no look-up runs any more: perhaps before it returns. Nobody may be waiting. */
void resolver_close(struct resolver *r, void (*on_idle)(struct resolver *r));

enum resolve_answer {
    RESOLVE_FOUND,   /* in *found, done() is not called */
    RESOLVE_WAITING, /* done() will be called from the loop */
    RESOLVE_FULL,    /* too many look-ups, or no memory */
};
enum resolve_answer resolver_ask(struct resolver *r, struct str host, struct resolve *waiter,
                                 struct addresses *found);
void resolver_cancel(struct resolve *waiter);

/* True: host is an address itself, and is now in *found. */
bool resolver_literal(const char *host, struct addresses *found);

#endif
