/* A flow runs a table of steps. The next step runs when nothing is in flight; the first error
 * cancels what is in flight and skips to the STEP_ALWAYS rows. One loop's thread.
 * docs/architecture.md says why. */
#ifndef AERIE_LOOP_FLOW_H
#define AERIE_LOOP_FLOW_H

#include "base/error.h"
#include "base/list.h"

struct flow;
struct span;

struct step {
    const char *name;
    void (*run)(struct flow *f);
    bool always; /* runs after an error too, and is not canceled */
};
#define STEP(fn)                                                                                   \
    {                                                                                              \
        .name = #fn, .run = (fn), .always = false                                                  \
    }
#define STEP_ALWAYS(fn)                                                                            \
    {                                                                                              \
        .name = #fn, .run = (fn), .always = true                                                   \
    }
#define STEP_END                                                                                   \
    {                                                                                              \
        .name = NULL, .run = NULL, .always = false                                                 \
    }

enum flow_phase {
    FLOW_NEW,     /* all-zero: not started */
    FLOW_RUNNING, /* a step, or the kernel itself, is on the stack */
    FLOW_WAITING, /* operations are in flight */
    FLOW_ENDED,   /* on_end was or is being called */
};

struct flow {
    const struct step *step; /* running, or waited for */
    void *state;
    void (*on_end)(struct flow *f); /* once, when all operations have ended; may free f */
    struct list ops;                /* in flight */
    struct error err;               /* the first one */
    const struct span *span; /* what the flow asks of others is told as a part of it (trace/span.h);
                                NULL: of nothing */
    enum flow_phase phase;
    bool repeat, finished;
};

/* One thing in flight. A member of the caller's state, all-zero before op_begin(). */
struct op {
    struct list link;
    struct flow *flow; /* NULL when not in flight */
    void (*cancel)(struct op *op);
};

/* May run every step, and on_end, before it returns. */
void flow_start(struct flow *f, const struct step *steps, void *state,
                void (*on_end)(struct flow *f));
/* The same, of a flow that is told of: span is the caller's, until on_end. */
void flow_start_traced(struct flow *f, const struct span *span, const struct step *steps,
                       void *state, void (*on_end)(struct flow *f));
/* The flow fails unless it already has. From a step: takes effect when the step returns. From
 * outside (the client left, stop): at once, unless an always step is running. May free f. */
void flow_fail(struct flow *f, struct error why);
/* From a step: run this same step again once what it began has ended. */
void flow_repeat(struct flow *f);
/* From a step: no further steps but the always ones, without an error. */
void flow_finish(struct flow *f);

/* From a step. cancel may be NULL (cannot be hurried); it may call op_end() at once. */
void op_begin(struct op *op, struct flow *f, void (*cancel)(struct op *op));
/* Exactly once for each op_begin(). May free the flow and what holds op: touch neither afterwards.
 */
void op_end(struct op *op, struct error result);
static inline bool op_is_running(const struct op *op)
{
    return op->flow != NULL;
}

/* Runs another table as one operation of the parent, and as a part of the same span. */
struct subflow {
    struct op op;
    struct flow flow;
    bool is_try;
};
void flow_call(struct flow *parent, struct subflow *sub, const struct step *steps, void *state);
/* The same, but a failure stays inside: the operation ends well and sub->flow.err tells how it
 * went. */
void flow_try(struct flow *parent, struct subflow *sub, const struct step *steps, void *state);

#endif
