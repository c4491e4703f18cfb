/* Webhooks: what teams are told of by calls to a URL of theirs. A fact and what is to be told of it
 * go into the database in one batch, so that neither is there without the other; the first loop of
 * each process sends what is due. */
#ifndef AERIE_WEBHOOK_WEBHOOK_H
#define AERIE_WEBHOOK_WEBHOOK_H

#include "base/arena.h"
#include "base/id.h"
#include "db/db.h"
#include "loop/loop.h"

#include <stdatomic.h>

/* In alphabetical order of their names. */
enum webhook_type {
    WEBHOOK_AGENT_FAILING,
    WEBHOOK_AGENT_RECOVERED,
    WEBHOOK_BUDGET_SPENT,
    WEBHOOK_BUDGET_WARNING,
    WEBHOOK_CHAT_CREATED,
    WEBHOOK_MESSAGE_COMPLETED,
    N_WEBHOOK_TYPES,
};
#define WEBHOOK_ANY ((1u << N_WEBHOOK_TYPES) - 1)
#define WEBHOOK_TYPES                                                                              \
    "agent.failing|agent.recovered|budget.spent|budget.warning|chat.created|message.completed"

/* "message.completed" */
struct str webhook_type_name(enum webhook_type type);
/* False: there is no such type. */
bool webhook_type_find(struct str name, enum webhook_type *out);
/* Of bits 1 << WEBHOOK_…, as the column events has them: ",chat.created,message.completed,". ptr
 * NULL: no memory. */
struct str webhook_types_text(struct arena *a, unsigned types);

/* ---- who wants to be told: any thread, memory only ---- */
extern atomic_uint webhooks_n_teams; /* that have any */
bool webhooks_look(const struct id *team_id, unsigned types);
/* Does an active webhook of the team ask for one of the types (bits 1 << WEBHOOK_…)? Then the batch
 * of the fact gets SQL_WEBHOOK_EVENT_ADD behind it. False as well when too much waits for the team,
 * which counts as an event that was dropped: so ask once for each event. What another process has
 * changed is known within a second. */
static inline bool webhooks_want(const struct id *team_id, unsigned types)
{
    return atomic_load_explicit(&webhooks_n_teams, memory_order_relaxed) > 0 &&
           webhooks_look(team_id, types);
}
/* Of any type. */
static inline bool webhooks_wanted(const struct id *team_id)
{
    return webhooks_want(team_id, WEBHOOK_ANY);
}
/* rows: of SQL_WEBHOOKS_OF_TEAM, read behind the team's change in one batch: it counts at once.
 * Without memory it counts within a second. */
void webhooks_note(const struct id *team_id, const struct db_result *rows);

void webhook_metrics(struct buf *out);

/* Main thread, after db_open() and the migrations, before the loops run. */
struct error webhook_open(struct db *db) MUST_CHECK;
void webhook_close(void);
/* Loop's thread, after upstream_attach(). Only the first loop sends. */
struct error webhook_attach(struct loop *l) MUST_CHECK;
/* Loop's thread, before upstream_detach(). on_detached: nothing of the room runs on this loop any
 * more. Calls under way are given the time to end, so that what has arrived is known to have: a
 * little more than webhooks.timeout_seconds at most. */
void webhook_detach(struct loop *l, void (*on_detached)(struct loop *l));

#endif
