/* What is told of a turn: who answered, how it ended and what it cost. Nothing that was said, and
 * nobody who said it. */
#include "chat/metrics.h"
#include "trace/span.h"
#include "turn_state.h"

static const char *const outcomes[N_MESSAGE_OUTCOMES] = {
    [MESSAGE_COMPLETE] = "complete",       [MESSAGE_STOPPED] = "stopped",
    [MESSAGE_INTERRUPTED] = "interrupted", [MESSAGE_ERROR] = "error",
    [MESSAGE_REFUSED] = "refused",
};

/* Who stops a reply gets what he wants. */
static struct str failure_of(const struct turn *t)
{
    enum status status = t->log->outcome.status;

    if (status == OK || status == ERR_STOPPED)
        return STR("");
    return str_from(status_row(status)->name);
}

void turn_end_span(struct turn *t)
{
    struct str failure = failure_of(t);
    const struct span_fact facts[] = {
        {"aerie.agent.id", id_str(&t->agent_id), 0},
        {"aerie.turn.outcome", str_from(outcomes[turn_outcome(t->log)]), 0},
        {"error.type", failure, 0},
        {"gen_ai.provider.name", t->provider ? str_from(provider_name(t->provider)) : STR(""), 0},
        {"gen_ai.response.model", t->call.model.len > 0 ? t->call.model : STR(""), 0},
        /* Where something was asked and answered. */
        {"gen_ai.usage.input_tokens", STR_NONE, t->usage.prompt_tokens},
        {"gen_ai.usage.output_tokens", STR_NONE, t->usage.completion_tokens},
    };
    size_t n = sizeof(facts) / sizeof(facts[0]) - (t->usage.total_tokens > 0 ? 0 : 2);

    span_end(t->span, &(struct span_record){.kind = SPAN_INTERNAL,
                                            .name = STR("turn"),
                                            .facts = facts,
                                            .n_facts = n,
                                            .event = t->first_text_us > 0 ? "first_text" : NULL,
                                            .event_us = t->first_text_us,
                                            .has_failed = failure.len > 0});
    t->span = NULL;
}
