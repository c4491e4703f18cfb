/* A timer and a flow, one pass at a time. See chore.h. */
#include "chore.h"

#include "room.h"

static void on_due(struct timer *t);

static void on_end(struct flow *f)
{
    struct chore *c = f->state;
    uint64_t soon_ms = c->on_pass(c);

    if (soon_ms > 0 && timer_is_started(&c->timer))
        timer_start(&c->timer, soon_ms, on_due);
    arena_free(&c->arena);
    c->is_running = false;
    room_check_drained(room_here()); /* may free c */
}

static void on_due(struct timer *t)
{
    struct chore *c = container_of(t, struct chore, timer);

    timer_start(t, c->period_ms, on_due);
    if (c->is_running)
        return;
    c->is_running = true;
    flow_start(&c->flow, c->steps, c, on_end);
}

void chore_start(struct chore *c, const struct step *steps, uint64_t (*on_pass)(struct chore *c),
                 uint64_t first_ms, uint64_t period_ms)
{
    c->steps = steps;
    c->on_pass = on_pass;
    c->period_ms = period_ms;
    timer_start(&c->timer, first_ms, on_due);
}

void chore_hasten(struct chore *c, uint64_t soon_ms)
{
    if (!c->is_running && timer_is_started(&c->timer))
        timer_start(&c->timer, soon_ms, on_due);
}

void chore_stop(struct chore *c)
{
    timer_stop(&c->timer);
}
