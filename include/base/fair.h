/* A queue that serves its owners (teams) in turn: one item of each a round, so that an owner with a
 * thousand items delays one with a single item by no more than one item of each. It is deficit
 * round robin in which every item costs one. Not thread-safe. */
#ifndef AERIE_BASE_FAIR_H
#define AERIE_BASE_FAIR_H

#include "base/error.h"
#include "base/id.h"
#include "base/list.h"
#include "base/map.h"

#include <stdint.h>

/* Whoever has items in the queue. The queue's: made with the first item, gone with the last; only
 * the one that was pushed for last stays, so that a single owner's traffic allocates nothing. */
struct fair_owner {
    struct map_node node;
    struct id id;
    struct list link;    /* in the round, while it has items */
    struct list waiting; /* oldest first */
    size_t n_waiting;
};

/* Inside what waits; all-zero: in no queue. */
struct fair_item {
    struct list link; /* free for other use while in no queue */
    struct fair_owner *owner;
};

struct fair {
    struct map owners;
    struct list round; /* the next to be served first; an owner that was served goes to the end */
    struct fair_owner *recent; /* whom the last item was for */
    struct fair_owner nameless;
    size_t n_waiting, n_owners;
};

#define FAIR_NO_BOUND SIZE_MAX

bool fair_init(struct fair *q);   /* false: no memory */
void fair_deinit(struct fair *q); /* nothing may wait any more */
/* Behind what its owner has waiting. id: an id's text; what is none, and an owner for which there
 * is no memory, waits with the nameless, in their turn. False: the owner has max waiting; never for
 * the nameless. */
bool fair_push(struct fair *q, struct fair_item *item, struct str id, size_t max) MUST_CHECK;
/* Before what its owner has waiting, without a bound: it was taken and must come again. */
void fair_push_front(struct fair *q, struct fair_item *item, struct str id);
struct fair_item *fair_pop(struct fair *q); /* whose turn it is; NULL: nothing waits */
void fair_remove(struct fair *q, struct fair_item *item); /* it waits in q */
size_t fair_n_of(const struct fair *q, struct str id);    /* how many items of an owner wait */
/* Before how many items one more of an owner with n waiting would not be served: until then each
 * owner gets as many as it has, and no more than this one. */
size_t fair_n_before(const struct fair *q, size_t n);
/* The newest item of the owner that has most waiting; NULL: nothing waits. */
struct fair_item *fair_newest_of_longest(const struct fair *q);

#endif
