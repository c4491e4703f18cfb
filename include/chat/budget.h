/* Budgets: how many requests, tokens and how much money a team, a user, an API key or an agent may
 * use in a day or a month, and limits.tokens_per_day, which is the same for each owner.
 *
 * What a turn may cost is held before anyone is asked, in every budget that it counts in, or in
 * none. A reply that grows past that asks for more, and is cut when there is none. At the end what
 * it did cost takes the place of what was held, in the transaction that stores it.
 *
 * Several nodes share a budget: each leases portions of what is left from the database
 * (budget_spend, budget_leases), and holds are taken out of those, in memory. So no node can pass a
 * limit, and most turns wait for no statement. A lease that nobody used for a while goes back; that
 * of a node that died, when its time is over. */
#ifndef AERIE_CHAT_BUDGET_H
#define AERIE_CHAT_BUDGET_H

#include "base/id.h"
#include "base/json.h"
#include "chat/usage.h"
#include "db/db.h"
#include "loop/flow.h"

enum budget_unit { BUDGET_REQUESTS, BUDGET_TOKENS, BUDGET_MONEY, N_BUDGET_UNITS };
struct budget_amount {
    int64_t of[N_BUDGET_UNITS]; /* money in millionths */
};
#define BUDGET_NO_LIMIT INT64_MAX

enum budget_scope {
    BUDGET_TEAM,
    BUDGET_USER,
    BUDGET_KEY,
    BUDGET_AGENT,
    BUDGET_OWNER, /* limits.tokens_per_day's */
    N_BUDGET_SCOPES
};
enum budget_period { BUDGET_DAY, BUDGET_MONTH, N_BUDGET_PERIODS };
extern const struct str budget_scope_names[N_BUDGET_SCOPES];
extern const struct str budget_period_names[N_BUDGET_PERIODS];
extern const struct str budget_unit_names[N_BUDGET_UNITS];
extern const char *const budget_unit_members[N_BUDGET_UNITS]; /* as JSON calls them */
/* False: no such name. */
bool budget_scope_from(struct str name, enum budget_scope *out);
bool budget_period_from(struct str name, enum budget_period *out);
/* The units' members, from as many columns of a row; and as an object of that name. */
void budget_write_units(struct json *j, const struct db_result *r, size_t row, size_t column);
void budget_pair_units(struct json *j, const char *name, const struct db_result *r, size_t row,
                       size_t column);
/* When the period that a moment is in began, and ends: midnights, UTC. */
int64_t budget_period_start(enum budget_period period, int64_t wall_us);
int64_t budget_period_end(enum budget_period period, int64_t wall_us);

/* Who uses it, and who answers. */
struct budget_who {
    struct id team_id, agent_id;
    struct id owner_id;        /* a user, a session, or "" : limits.tokens_per_day does not count */
    struct id user_id, key_id; /* "" : none */
};

/* A turn's share of the budgets that it counts in. Its loop's thread. */
struct budget;

/* Is there any budget, or limits.tokens_per_day? Any thread, memory only. */
bool budget_is_on(void);
/* NULL in *out: none applies. Else the caller's, until budget_free(). ERR_NO_MEMORY, ERR_BUSY. */
struct error budget_new(const struct budget_who *who, struct budget **out) MUST_CHECK;
/* Gives back what is still held. Nothing may be under way. NULL is fine. */
void budget_free(struct budget *b);

/* What a turn is about to use. */
struct budget_ask {
    int64_t prompt_tokens;
    struct str provider, model; /* for its price; read at once */
    bool is_begun; /* its message is stored: ERR_BUDGET_SPENT instead of ERR_RATE_LIMITED */
    /* Of limits.tokens_per_day, once it is settled; the limit 0: off. May be NULL. */
    int64_t *tokens_limit, *tokens_left;
};
/* An operation of f: holds a request, the prompt and a reply of limits.reply_tokens, or a shorter
 * one while that is still of use. ERR_RATE_LIMITED (code: the seconds until it renews) with a
 * sentence that names the budget; or the database's error. Not again before budget_drop(). */
void budget_reserve(struct budget *b, struct flow *f, const struct budget_ask *ask);
/* Gives back what is held: another agent is going to be asked. */
void budget_drop(struct budget *b);
/* The prompt grew since: the reply has less. */
void budget_set_prompt(struct budget *b, int64_t prompt_tokens);

/* ---- while the reply comes ---- */

/* How many characters of the reply are covered; SIZE_MAX without budgets. */
size_t budget_covers(const struct budget *b);
/* The reply is so long now, which is more than is covered. Holds more where there is more in
 * memory, if not for all of it; else asks the database, and calls on_answer() later, when that has
 * ended: nothing past budget_covers() may be shown until then. True: more is covered now. */
bool budget_grow(struct budget *b, size_t reply_chars, void (*on_answer)(void *state),
                 void *state) MUST_CHECK;
/* Is the database being asked? */
bool budget_is_asking(const struct budget *b);
/* From a step: an operation that ends when it is not, always well. */
void budget_await(struct budget *b, struct flow *f);
/* Why there is no more: ERR_BUDGET_SPENT (code: the seconds until it renews), or the database's
 * error; NO_ERROR: there is. */
struct error budget_refusal(const struct budget *b);

/* ---- the end ---- */

/* What it did cost. Afterwards nothing is held. n_requests 0: nobody was asked. Returns the rows
 * for SQL_BUDGET_SETTLE, in the arena; "" : nothing to store; ptr NULL: no memory. */
struct str budget_settle(struct budget *b, struct arena *a, unsigned n_requests,
                         const struct usage *usage);

/* Once that is stored: is anyone to be told? Any thread. */
void budget_note_spent(void);

/* ---- what budgets there are ---- */

/* Rows of SQL_BUDGET_ALL, those of one team: from now on they are in force, and no others of it.
 * False: no memory; they come with the next look. Any thread. */
bool budget_rules_take(const struct id *team_id, const struct db_result *rows) MUST_CHECK;

/* Main thread, before and after the loops. Opening reads what budgets there are; closing gives back
 * what this process has leased. */
struct error budget_open(struct db *db) MUST_CHECK;
void budget_close(struct db *db);

#endif
