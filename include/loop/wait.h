/* A pause in a flow. */
#ifndef AERIE_LOOP_WAIT_H
#define AERIE_LOOP_WAIT_H

#include "loop/flow.h"
#include "loop/loop.h"

struct wait {
    struct op op;
    struct timer timer;
};

/* From a step: an operation that ends well after ms, or with ERR_CANCELED. */
void wait_start(struct wait *w, struct flow *f, uint64_t ms);
/* Ends a running pause now, well. */
void wait_finish(struct wait *w);

#endif
