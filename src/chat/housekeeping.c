/* Removes idempotency keys that no longer bind and sessions that nobody uses: once an hour, on the
 * first loop. A pass is bounded, and followed by another soon while it finds as much as it may
 * take. */
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "room.h"

#define PERIOD_MS  (3600u * 1000)
#define SOON_MS    1000
#define DAY_US     (24ll * 3600 * 1000000)
#define KEY_AGE_US DAY_US
#define A_PASS     200 /* sessions, as SESSIONS_FORGET says */

static void forget_keys(struct flow *f)
{
    struct housekeeping *h = f->state;

    db_query(&h->forget, f, &h->arena, SQL_IDEMPOTENCY_FORGET,
             DB_ARGS(db_time(clock_wall_us() - KEY_AGE_US)));
}

static void forget_sessions(struct flow *f)
{
    struct housekeeping *h = f->state;
    int64_t days = (int64_t)config()->sessions.keep_days;

    h->has_more = false;
    if (days > 0)
        db_query(&h->sessions, f, &h->arena, SQL_SESSIONS_FORGET,
                 DB_ARGS(db_time(clock_wall_us() - days * DAY_US)));
}

static void note_rest(struct flow *f)
{
    struct housekeeping *h = f->state;

    h->has_more = config()->sessions.keep_days > 0 && h->sessions.result->n_changed >= A_PASS;
}

static const struct step steps[] = {
    STEP(forget_keys),
    STEP(forget_sessions),
    STEP(note_rest),
    STEP_END,
};

static void on_due(struct timer *t);

static void on_end(struct flow *f)
{
    struct housekeeping *h = f->state;

    if (is_error(f->err) && f->err.status != ERR_CANCELED)
        log_warn("chat: old idempotency keys and sessions stay for now: %s",
                 status_row(f->err.status)->name);
    if (!is_error(f->err) && h->has_more && timer_is_started(&h->timer))
        timer_start(&h->timer, SOON_MS, on_due);
    arena_free(&h->arena);
    h->is_running = false;
    room_check_drained(room_here()); /* may free h */
}

static void on_due(struct timer *t)
{
    struct housekeeping *h = container_of(t, struct housekeeping, timer);

    timer_start(t, PERIOD_MS, on_due);
    if (h->is_running)
        return;
    h->is_running = true;
    flow_start(&h->flow, steps, h, on_end);
}

void housekeeping_start(struct housekeeping *h)
{
    timer_start(&h->timer, SOON_MS, on_due); /* what grew old while nobody ran */
}

void housekeeping_stop(struct housekeeping *h)
{
    timer_stop(&h->timer);
}
