/* Removes idempotency keys that no longer bind: once an hour, on the first loop. */
#include "base/clock.h"
#include "base/log.h"
#include "room.h"

#define PERIOD_MS  (3600u * 1000)
#define KEY_AGE_US (24ll * 3600 * 1000000)

static void forget_keys(struct flow *f)
{
    struct housekeeping *h = f->state;

    db_query(&h->forget, f, &h->arena, SQL_IDEMPOTENCY_FORGET,
             DB_ARGS(db_time(clock_wall_us() - KEY_AGE_US)));
}

static const struct step steps[] = {STEP(forget_keys), STEP_END};

static void on_end(struct flow *f)
{
    struct housekeeping *h = f->state;

    if (is_error(f->err) && f->err.status != ERR_CANCELED)
        log_warn("chat: old idempotency keys stay for now: %s", status_row(f->err.status)->name);
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
    timer_start(&h->timer, PERIOD_MS, on_due);
}

void housekeeping_stop(struct housekeeping *h)
{
    timer_stop(&h->timer);
}
