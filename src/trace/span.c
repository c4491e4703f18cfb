/* The life of a span. */
#include "trace/span.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "config/config.h"
#include "internal.h"
#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>

#define RANDOM_BYTES 7 /* of a trace's id, those that decide */

bool trace_is_on(void)
{
    return config()->tracing.endpoint.len > 0;
}

bool span_is_sampled(const unsigned char trace_id[TRACE_ID_BYTES], uint64_t sampled_below)
{
    uint64_t random = 0;

    for (size_t i = TRACE_ID_BYTES - RANDOM_BYTES; i < TRACE_ID_BYTES; i++)
        random = random << 8 | trace_id[i];
    return random < sampled_below;
}

/* All zeros are no id. */
static void make_id(unsigned char *id, size_t len)
{
    crypto_random(id, len);
    id[0] |= id[0] == 0;
}

static struct span *span_new(struct str state)
{
    struct span *s = malloc(sizeof(*s) + state.len);

    if (!s)
        return NULL;
    *s = (struct span){.state_len = state.len};
    if (state.len > 0)
        memcpy(s->state, state.ptr, state.len);
    return s;
}

static void record(struct span *s)
{
    s->is_recorded = true;
    s->began_wall_us = clock_wall_us();
    s->began_us = clock_mono_us();
    make_id(s->context.span_id, SPAN_ID_BYTES);
}

/* The caller's decision, and so the whole trace is there or none of it. */
static struct span *enter_trace(const struct trace_context *caller, struct str state)
{
    struct span *s = span_new(state);

    if (!s)
        return NULL;
    s->context = *caller;
    if (trace_is_on() && caller->flags & TRACE_SAMPLED) {
        memcpy(s->parent_id, caller->span_id, SPAN_ID_BYTES);
        s->is_parent_remote = true;
        record(s);
    }
    return s;
}

/* One that is not sampled has ids all the same: whoever is asked hears that it need not record it,
 * and the log can name it. */
static struct span *begin_trace(void)
{
    struct span *s = span_new(STR(""));

    if (!s)
        return NULL;
    make_id(s->context.trace_id, TRACE_ID_BYTES);
    s->context.flags = TRACE_RANDOM;
    if (span_is_sampled(s->context.trace_id, config()->trace_rules.sampled_below)) {
        s->context.flags |= TRACE_SAMPLED;
        record(s);
    } else {
        make_id(s->context.span_id, SPAN_ID_BYTES);
    }
    return s;
}

struct span *span_enter(const struct trace_context *caller, struct str state)
{
    if (caller)
        return enter_trace(caller, state);
    return trace_is_on() ? begin_trace() : NULL;
}

struct span *span_begin(const struct span *parent)
{
    struct span *s = parent ? span_new((struct str){parent->state, parent->state_len}) : NULL;

    if (!s)
        return NULL;
    s->context = parent->context;
    if (parent->is_recorded) {
        memcpy(s->parent_id, parent->context.span_id, SPAN_ID_BYTES);
        record(s);
    }
    return s;
}

struct span *span_begin_recorded(const struct span *parent)
{
    return parent && parent->is_recorded ? span_begin(parent) : NULL;
}

void span_end(struct span *s, const struct span_record *r)
{
    if (s && s->is_recorded)
        span_queue_put(s, r);
    free(s);
}
