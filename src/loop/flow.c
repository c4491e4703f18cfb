/* The kernel of all asynchronous work: steps, operations, the first error. See loop/flow.h. */
#include "loop/flow.h"

#include <assert.h>

static void cancel_ops(struct flow *f)
{
    struct list *it = f->ops.next;

    while (it != &f->ops) {
        struct op *op = container_of(it, struct op, link);
        void (*cancel)(struct op * op) = op->cancel;

        it = it->next;
        if (!cancel)
            continue;
        op->cancel = NULL;
        cancel(op);
        it = f->ops.next; /* cancel() may have ended any op: look from the start again */
    }
}

static bool goes_on(const struct flow *f)
{
    return f->err.status == OK && !f->finished;
}

/* Runs steps until one leaves work in flight or the table ends. Nothing is in flight on entry.
 * on_end() may free f, so it is the last thing done. */
static void flow_run(struct flow *f)
{
    f->phase = FLOW_RUNNING;
    do {
        bool was_well = f->err.status == OK;

        if (!f->repeat)
            f->step++;
        f->repeat = false;
        if (!f->step->run) {
            f->phase = FLOW_ENDED;
            f->on_end(f);
            return;
        }
        if (goes_on(f) || f->step->always)
            f->step->run(f);
        if (was_well && f->err.status != OK && !f->step->always)
            cancel_ops(f);
    } while (list_is_empty(&f->ops));
    f->phase = FLOW_WAITING;
}

/* Something happened: an operation ended, or the flow must fail. May free f. */
static void flow_wake(struct flow *f, struct error news)
{
    bool is_failing = news.status != OK && f->err.status == OK;

    assert(f->phase != FLOW_ENDED);
    if (is_failing)
        f->err = news;
    if (f->phase != FLOW_WAITING)
        return; /* flow_run() is below us on the stack and looks when it gets control back */

    f->phase = FLOW_RUNNING;
    if (is_failing && !f->step->always)
        cancel_ops(f);
    if (list_is_empty(&f->ops))
        flow_run(f);
    else
        f->phase = FLOW_WAITING;
}

void flow_start_traced(struct flow *f, const struct span *span, const struct step *steps,
                       void *state, void (*on_end)(struct flow *f))
{
    *f = (struct flow){
        .step = steps, .state = state, .on_end = on_end, .span = span, .repeat = true};
    list_init(&f->ops);
    flow_run(f);
}

void flow_start(struct flow *f, const struct step *steps, void *state,
                void (*on_end)(struct flow *f))
{
    flow_start_traced(f, NULL, steps, state, on_end);
}

void flow_fail(struct flow *f, struct error why)
{
    assert(is_error(why));
    flow_wake(f, why);
}

void flow_repeat(struct flow *f)
{
    assert(f->phase == FLOW_RUNNING);
    f->repeat = true;
}

void flow_finish(struct flow *f)
{
    assert(f->phase == FLOW_RUNNING);
    f->finished = true;
}

void op_begin(struct op *op, struct flow *f, void (*cancel)(struct op *op))
{
    assert(f->phase == FLOW_RUNNING && !op->flow);
    *op = (struct op){.flow = f, .cancel = cancel};
    list_push(&f->ops, &op->link);
}

void op_end(struct op *op, struct error result)
{
    struct flow *f = op->flow;

    assert(f); /* an operation ends once */
    op->flow = NULL;
    list_remove(&op->link);
    flow_wake(f, result);
}

static void subflow_cancel(struct op *op)
{
    flow_fail(&container_of(op, struct subflow, op)->flow,
              ERROR(ERR_CANCELED, 0, "parent flow failed"));
}

static void subflow_ended(struct flow *f)
{
    struct subflow *sub = container_of(f, struct subflow, flow);

    op_end(&sub->op, sub->is_try ? NO_ERROR : f->err);
}

void flow_call(struct flow *parent, struct subflow *sub, const struct step *steps, void *state)
{
    sub->is_try = false;
    op_begin(&sub->op, parent, subflow_cancel);
    flow_start_traced(&sub->flow, parent->span, steps, state, subflow_ended);
}

void flow_try(struct flow *parent, struct subflow *sub, const struct step *steps, void *state)
{
    sub->is_try = true;
    op_begin(&sub->op, parent, subflow_cancel);
    flow_start_traced(&sub->flow, parent->span, steps, state, subflow_ended);
}
