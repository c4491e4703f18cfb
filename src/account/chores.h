/* What the first loop does for the tables of this room beside its watch: it sweeps what is past its
 * time, and goes on with the erasures that were broken off. A flow of its own, one statement or
 * transaction at a time: however long those wait, what is revoked is read meanwhile. */
#ifndef AERIE_SRC_ACCOUNT_CHORES_H
#define AERIE_SRC_ACCOUNT_CHORES_H

#include "account/erasure.h"
#include "db/db.h"
#include "loop/loop.h"

/* In place until it has stopped. */
struct chores {
    struct loop *loop;
    struct timer timer;
    struct flow flow;
    struct arena arena;
    struct db_query query;
    size_t sweep;           /* the next one of this pass */
    struct erasure erasure; /* a transaction each pass */
    bool is_erasing, is_running;
    uint64_t swept_ms;
    void (*on_stopped)(struct loop *l);
};

/* c: all zero. */
void chores_start(struct chores *c, struct loop *l);
/* on_stopped: nothing of it runs any more; perhaps before this returns. */
void chores_stop(struct chores *c, void (*on_stopped)(struct loop *l));

#endif
