/* A pause in a flow. */
#include "loop/wait.h"

static void on_due(struct timer *t)
{
    op_end(&container_of(t, struct wait, timer)->op, NO_ERROR);
}

static void on_cancel(struct op *op)
{
    struct wait *w = container_of(op, struct wait, op);

    timer_stop(&w->timer);
    op_end(op, ERROR(ERR_CANCELED, 0, "a pause was cut short"));
}

void wait_start(struct wait *w, struct flow *f, uint64_t ms)
{
    op_begin(&w->op, f, on_cancel);
    timer_start(&w->timer, ms, on_due);
}

void wait_finish(struct wait *w)
{
    timer_stop(&w->timer);
    op_end(&w->op, NO_ERROR);
}
