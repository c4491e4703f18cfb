/* Timers of one millisecond's grain, as many as there are streams: a slot a millisecond, 4,096 of
 * them. */
#ifndef AERIE_BENCH_WHEEL_H
#define AERIE_BENCH_WHEEL_H

#include "base/list.h"

#include <stdint.h>

#define WHEEL_SLOTS 4096

/* All-zero: not set. In the caller's struct, in place while set. */
struct timer {
    struct list link;
    uint64_t due_ms;
};

struct wheel {
    struct list slots[WHEEL_SLOTS];
    uint64_t now_ms; /* all due until then have been called */
    uint32_t n;      /* set */
};

void wheel_init(struct wheel *w, uint64_t now_ms);
/* A time that has passed means the next millisecond. The timer is not set. */
void wheel_set(struct wheel *w, struct timer *t, uint64_t due_ms);
void wheel_unset(struct wheel *w, struct timer *t); /* may be not set */
/* After a wait in which nothing was set: the time that passed needs no walk. */
void wheel_rest(struct wheel *w, uint64_t now_ms);
/* Calls on_due for each that is due by now; it may set and unset timers. */
void wheel_advance(struct wheel *w, uint64_t now_ms, void (*on_due)(struct timer *t));

#endif
