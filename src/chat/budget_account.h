/* What this process has leased of each budget, and what its turns hold of that: a bounded table,
 * split into shards by team, so that all that a turn counts in is under one lock. It asks nobody:
 * budget.c carries what is missing to the database and back. Any thread. */
#ifndef AERIE_SRC_CHAT_BUDGET_ACCOUNT_H
#define AERIE_SRC_CHAT_BUDGET_ACCOUNT_H

#include "base/json.h"
#include "budget_rules.h"
#include "chat/price.h"

struct budget_account;

/* A turn's share of one budget. */
struct budget_part {
    struct budget_account *account;
    struct budget_amount limit, held;
    bool is_whole; /* a whole reply must fit, and is not cut: limits.tokens_per_day */
    bool was_cut;  /* it ended a reply */
};

#define BUDGET_PARTS (BUDGET_RULES_APPLY + 1)
struct budget_claim {
    struct id team_id;
    struct budget_part parts[BUDGET_PARTS];
    size_t n_parts;
    struct price price;
    int64_t prompt_tokens, reply_tokens; /* held; the latter is less than 0 where the prompt grew */
    int64_t money;                       /* held */
    bool is_held;
};

/* What is to be leased, or was. */
struct budget_lease {
    size_t part;
    struct budget_amount amount, least; /* less than that is of no use */
    int64_t tokens_there;               /* spoken for in the database, before it */
};

/* Of a reply that is held in full, no less than so many tokens is of use. */
#define BUDGET_LEAST_REPLY 16

/* The accounts of the periods that run now. ERR_NO_MEMORY, ERR_BUSY (the table is full): none. */
struct error budget_claim_open(struct budget_claim *c, const struct budget_who *who) MUST_CHECK;
/* What is held goes back. */
void budget_claim_close(struct budget_claim *c);
/* Does any part limit the money? */
bool budget_claim_has_money(const struct budget_claim *c);

/* Holds a request, the prompt and a reply between least and reply_tokens, in every part; or
 * nothing. *short_part: where there is too little, and of what. */
bool budget_claim_hold(struct budget_claim *c, int64_t prompt_tokens, int64_t least,
                       int64_t reply_tokens, struct budget_part **short_part,
                       enum budget_unit *unit) MUST_CHECK;
/* Holds so much more of the reply, at least needed and at most wanted. */
bool budget_claim_grow(struct budget_claim *c, int64_t needed, int64_t wanted,
                       struct budget_part **short_part, enum budget_unit *unit) MUST_CHECK;
void budget_claim_drop(struct budget_claim *c);

/* What would have to be leased for that, where the database may have it: one row a part. 0: asking
 * makes no sense now. */
size_t budget_claim_missing(struct budget_claim *c, int64_t prompt_tokens, int64_t least,
                            int64_t reply_tokens, struct budget_lease rows[BUDGET_PARTS]);
size_t budget_claim_missing_more(struct budget_claim *c, int64_t needed, int64_t wanted,
                                 struct budget_lease rows[BUDGET_PARTS]);
/* What was asked at asked_ms (monotonic), and what came. */
void budget_claim_take(struct budget_claim *c, const struct budget_lease *asked,
                       const struct budget_lease *got, size_t n, uint64_t asked_ms);
/* {scope, subject, period, start, lease} of a part, into an open object. */
void budget_part_write(const struct budget_part *part, struct json *j);
/* Of a limits.tokens_per_day that the claim has: what is left beside all that is held. False: it
 * has none. */
bool budget_claim_tokens_left(struct budget_claim *c, int64_t *limit, int64_t *left);

/* What the turn did cost leaves its hold and the lease. Appends the rows for BUDGET_SETTLE. */
void budget_claim_settle(struct budget_claim *c, const struct budget_amount *cost, struct json *j);

/* Why there is no more of this unit, static: which budget, and when it renews. */
const char *budget_part_sentence(const struct budget_part *part, enum budget_unit unit);
/* The seconds until it renews. */
int budget_part_wait_s(const struct budget_part *part);

/* ---- for the chore ---- */
/* The leases of accounts that nobody used for idle_ms, as a JSON array, at most most of them; they
 * are forgotten here. Returns how many; *n_left: what leases there still are. */
size_t budget_accounts_return(struct buf *out, uint64_t idle_ms, size_t most, size_t *n_left);
/* Those that were asked for before began_ms are good until then. */
void budget_accounts_renew(uint64_t began_ms);
size_t budget_accounts_count(void);

bool budget_accounts_open(void) MUST_CHECK; /* false: no memory */
void budget_accounts_close(void);

#endif
