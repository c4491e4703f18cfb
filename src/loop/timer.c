/* A hierarchical timer wheel: starting and stopping cost a list operation, whatever the number of
 * timers. One uv_timer drives it. Level 0 has a slot a tick, level n a slot for WHEEL_SLOTS^n
 * ticks; a slot of a higher level is spread over the lower ones when its time comes. */
#include "internal.h"

#include <assert.h>

#define TICK_MS   8
#define SLOT_BITS 8
#define SLOT_MASK (WHEEL_SLOTS - 1)

static uint64_t tick_at(uint64_t ms)
{
    return ms / TICK_MS;
}

/* Puts t into the slot of its due tick, which lies ahead of the wheel's. */
static void place(struct timer_wheel *w, struct timer *t)
{
    uint64_t due = (t->due_ms + TICK_MS - 1) / TICK_MS;
    unsigned level = 0;

    if (due <= w->tick)
        due = w->tick + 1;
    while (level < WHEEL_LEVELS - 1 && due - w->tick >= (uint64_t)1 << (SLOT_BITS * (level + 1)))
        level++;
    if (due - w->tick >= (uint64_t)1 << (SLOT_BITS * WHEEL_LEVELS))
        due = w->tick + ((uint64_t)1 << (SLOT_BITS * WHEEL_LEVELS)) -
              1; /* placed again when it comes near */
    list_push(&w->slots[level][(due >> (SLOT_BITS * level)) & SLOT_MASK], &t->link);
}

static void cascade(struct timer_wheel *w)
{
    for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
        size_t slot = (w->tick >> (SLOT_BITS * level)) & SLOT_MASK;
        struct list moved, *link;

        list_init(&moved);
        list_splice(&moved, &w->slots[level][slot]);
        while ((link = list_pop(&moved)))
            place(w, container_of(link, struct timer, link));
        if (slot != 0)
            return;
    }
}

/* When the wheel must be looked at again: the next slot of level 0 in use, or the next cascade. */
static uint64_t next_tick(const struct timer_wheel *w)
{
    uint64_t tick = w->tick + 1;

    while ((tick & SLOT_MASK) != 0 && list_is_empty(&w->slots[0][tick & SLOT_MASK]))
        tick++;
    return tick;
}

static void arm(struct loop *l);

static void run_due(struct loop *l, uint64_t now_tick)
{
    struct timer_wheel *w = &l->timers;

    while (w->tick < now_tick && w->count > 0) {
        struct list due, *link;

        w->tick++;
        if ((w->tick & SLOT_MASK) == 0)
            cascade(w);
        list_init(&due);
        list_splice(&due, &w->slots[0][w->tick & SLOT_MASK]);
        while ((link = list_pop(&due))) {
            struct timer *t = container_of(link, struct timer, link);

            if (t->due_ms > w->tick * TICK_MS) { /* it was further away than the wheel reaches */
                place(w, t);
                continue;
            }
            w->count--;
            t->run(t); /* may free t, start it again, or stop others that are due */
        }
    }
    if (w->tick < now_tick)
        w->tick = now_tick;
}

static void on_timer(uv_timer_t *handle)
{
    struct loop *l = handle->data;

    l->timer_armed_ms = 0;
    run_due(l, tick_at(loop_now_ms(l)));
    arm(l);
    uv_update_time(&l->uv); /* so that what the timers took counts as lag */
}

static void arm(struct loop *l)
{
    uint64_t due_ms, now_ms = loop_now_ms(l);

    if (l->timers.count == 0)
        return;
    due_ms = next_tick(&l->timers) * TICK_MS;
    if (l->timer_armed_ms != 0 && l->timer_armed_ms <= due_ms)
        return;
    l->timer_armed_ms = due_ms;
    uv_timer_start(&l->timer_handle, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

void timer_wheel_init(struct loop *l)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&l->timers.slots[level][slot]);
    l->timers.tick = tick_at(loop_now_ms(l));
}

void timer_start(struct timer *t, uint64_t delay_ms, void (*run)(struct timer *t))
{
    struct loop *l = loop_current();
    struct timer_wheel *w = &l->timers;

    timer_stop(t);
    if (w->count == 0)
        w->tick = tick_at(loop_now_ms(l));
    t->run = run;
    t->due_ms = loop_now_ms(l) + delay_ms;
    w->count++;
    place(w, t);
    if (l->timer_armed_ms == 0 || t->due_ms < l->timer_armed_ms) /* else it looks in time anyway */
        arm(l);
}

void timer_stop(struct timer *t)
{
    if (!timer_is_started(t))
        return;
    list_remove(&t->link);
    loop_current()->timers.count--;
}
