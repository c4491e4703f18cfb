/* The fake agent: one loop, its connections and what they count. */
#ifndef AERIE_BENCH_UPSTREAM_H
#define AERIE_BENCH_UPSTREAM_H

#include "base/str.h"
#include "script.h"
#include "wheel.h"

struct upstream {
    int epoll;
    struct wheel wheel;
    struct list conns;
    struct list ready;   /* connections whose turn was over before their reply was */
    struct str defaults; /* a query for what a request does not say */
    uint64_t requests, open, aborted, chunks;
};

extern struct upstream upstream;

/* One client. Freed when it leaves. */
struct conn {
    int fd;
    struct list link; /* in upstream.conns */
    struct timer timer;
    struct list ready;

    /* A request of which a part has come; NULL: none. */
    char *held;
    size_t held_len, held_room;

    /* The reply under way; NULL: none. */
    const struct script *script;
    uint64_t seed, begun_ms;
    uint32_t chunks, burst, turn, first_ms, gap_ms;
    uint32_t k;      /* next piece */
    uint32_t out_at; /* so much of the write at hand is out */
    uint8_t part;    /* head, pieces, tail */
    bool is_last;    /* close after it */
    bool has_input;  /* something came meanwhile */
    bool is_gone;    /* so has the client */
};

/* The connection owns fd, which does not block. */
void conn_accept(int fd);
void conn_close(struct conn *c);
void conn_on_event(struct conn *c, uint32_t events);
void conn_on_due(struct timer *t);
/* Goes on with a reply that was put on the ready list. */
void conn_on_ready(struct list *link);

#endif
