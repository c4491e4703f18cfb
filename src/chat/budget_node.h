/* This process's part in the budgets that all nodes share: a chore on the first loop that looks
 * which budgets there are when they have changed, renews what is leased, gives back what nobody used for a while, and
 * tells when four fifths of a budget are spent, or all of it. */
#ifndef AERIE_SRC_CHAT_BUDGET_NODE_H
#define AERIE_SRC_CHAT_BUDGET_NODE_H

#include "base/buf.h"
#include "base/id.h"
#include "chore.h"
#include "cluster/news.h"

/* In the first loop's room. */
struct budget_chore {
    struct chore chore;
    struct db_query rules, leases, due, told;
    struct news_reader news;
    struct buf returning;        /* leases that are not given back yet, a JSON array; "" : none */
    size_t at_due;               /* the row of due that is being told */
    uint64_t renewed_ms, looked_ms;
    size_t n_returning, n_leases;
    bool has_renewed, has_more;
    bool is_stale; /* the budgets in memory are to be loaded */
};
void budget_chore_start(struct budget_chore *c);
void budget_chore_stop(struct budget_chore *c);
void budget_chore_free(struct budget_chore *c);

#endif
