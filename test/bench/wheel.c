/* See wheel.h. */
#include "wheel.h"

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    for (uint32_t i = 0; i < WHEEL_SLOTS; i++)
        list_init(&w->slots[i]);
    w->now_ms = now_ms;
    w->n = 0;
}

void wheel_set(struct wheel *w, struct timer *t, uint64_t due_ms)
{
    t->due_ms = due_ms > w->now_ms ? due_ms : w->now_ms + 1;
    list_push(&w->slots[t->due_ms % WHEEL_SLOTS], &t->link);
    w->n++;
}

void wheel_unset(struct wheel *w, struct timer *t)
{
    if (!list_is_linked(&t->link))
        return;
    list_remove(&t->link);
    w->n--;
}

void wheel_rest(struct wheel *w, uint64_t now_ms)
{
    if (w->n == 0 && w->now_ms < now_ms)
        w->now_ms = now_ms;
}

void wheel_advance(struct wheel *w, uint64_t now_ms, void (*on_due)(struct timer *t))
{
    struct list due, *link;

    while (w->now_ms < now_ms) {
        w->now_ms++;
        list_init(&due);
        list_splice(&due, &w->slots[w->now_ms % WHEEL_SLOTS]);
        while ((link = list_pop(&due))) {
            struct timer *t = container_of(link, struct timer, link);

            w->n--;
            if (t->due_ms > w->now_ms)
                wheel_set(w, t, t->due_ms); /* rounds later */
            else
                on_due(t);
        }
    }
}
