/* Removes idempotency keys that no longer bind, old days and periods of what was used and old rows of
 * who changed what, and makes the months ahead: once an hour, on the first loop. A pass is bounded, and
 * followed by another soon while it finds as much as it may take. Chats are retention.c's. */
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "room.h"

#define PERIOD_MS  (3600u * 1000)
#define SOON_MS    1000
#define DAY_US     (24LL * 3600 * 1000000)
#define KEY_AGE_US DAY_US
#define MOST_DAYS  500 /* of a pass, as USAGE_FORGET says */
#define MOST_ROWS  500 /* as AUDIT_FORGET says */

static void forget_keys(struct flow *f)
{
    struct housekeeping *h = container_of(f->state, struct housekeeping, chore);

    db_query(&h->forget, f, &h->chore.arena, SQL_IDEMPOTENCY_FORGET,
             DB_ARGS(db_time(clock_wall_us() - KEY_AGE_US)));
}

static void forget_usage(struct flow *f)
{
    struct housekeeping *h = container_of(f->state, struct housekeeping, chore);
    int64_t days = (int64_t)config()->usage.keep_days;

    h->usage.result = h->audit.result = NULL;
    if (days > 0)
        db_query(&h->usage, f, &h->chore.arena, SQL_USAGE_FORGET,
                 DB_ARGS(db_time(clock_wall_us() - days * DAY_US)));
}

/* With a month more: the month that runs began before. */
static void forget_budgets(struct flow *f)
{
    struct housekeeping *h = container_of(f->state, struct housekeeping, chore);
    int64_t days = (int64_t)config()->usage.keep_days;

    h->budgets.result = NULL;
    if (days > 0)
        db_query(&h->budgets, f, &h->chore.arena, SQL_BUDGET_FORGET,
                 DB_ARGS(db_time(clock_wall_us() - (days + 31) * DAY_US)));
}

static void forget_audit(struct flow *f)
{
    struct housekeeping *h = container_of(f->state, struct housekeeping, chore);
    int64_t days = (int64_t)config()->audit.keep_days;

    if (days > 0)
        db_query(&h->audit, f, &h->chore.arena, SQL_AUDIT_FORGET,
                 DB_ARGS(db_time(clock_wall_us() - days * DAY_US)));
}

static void tend_months(struct flow *f)
{
    struct housekeeping *h = f->state;
    int64_t days = (int64_t)config()->usage.keep_days, now_us = clock_wall_us();

    db_query(&h->months, f, &h->chore.arena, SQL_USAGE_TEND,
             DB_ARGS(db_time(now_us), days > 0 ? db_time(now_us - days * DAY_US) : db_null()));
}

static const struct step month_steps[] = {STEP(tend_months), STEP_END};

/* What is in their way, a backup, is to hold up nothing else. */
static void try_months(struct flow *f)
{
    struct housekeeping *h = container_of(f->state, struct housekeeping, chore);

    h->months.result = NULL;
    flow_try(f, &h->part, month_steps, h);
}

static bool has_month_left(const struct housekeeping *h)
{
    return h->months.result && h->months.result->n_rows > 0 &&
           db_get_bool(h->months.result, 0, 0);
}

static void note_rest(struct flow *f)
{
    struct housekeeping *h = container_of(f->state, struct housekeeping, chore);

    h->has_more = (h->usage.result && h->usage.result->n_changed >= MOST_DAYS) ||
                  (h->budgets.result && h->budgets.result->n_changed >= MOST_DAYS) ||
                  (h->audit.result && h->audit.result->n_changed >= MOST_ROWS) ||
                  has_month_left(h);
    if (is_error(h->part.flow.err) && h->part.flow.err.status != ERR_CANCELED)
        log_warn("chat: the months of usage_days stay as they are for an hour: %s",
                 status_row(h->part.flow.err.status)->name);
}

static const struct step steps[] = {
    STEP(forget_keys),
    STEP(forget_usage),
    STEP(forget_budgets),
    STEP(forget_audit),
    STEP(try_months),
    STEP(note_rest),
    STEP_END,
};

static uint64_t on_pass(struct chore *c)
{
    const struct error err = c->flow.err;

    if (is_error(err) && err.status != ERR_CANCELED)
        log_warn("chat: old idempotency keys and days stay for now: %s",
                 status_row(err.status)->name);
    return !is_error(err) && container_of(c, struct housekeeping, chore)->has_more ? SOON_MS : 0;
}

void housekeeping_start(struct housekeeping *h)
{
    /* soon: what grew old while nobody ran */
    chore_start(&h->chore, steps, on_pass, SOON_MS, PERIOD_MS);
}
