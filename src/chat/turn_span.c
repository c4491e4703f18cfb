/* See chat/turn_span.h. */
#include "chat/turn_span.h"

static const char *const outcomes[N_MESSAGE_OUTCOMES] = {
    [MESSAGE_COMPLETE] = "complete",       [MESSAGE_STOPPED] = "stopped",
    [MESSAGE_INTERRUPTED] = "interrupted", [MESSAGE_ERROR] = "error",
    [MESSAGE_REFUSED] = "refused",
};

void turn_span_end(struct span *span, const struct turn_span_facts *t)
{
    bool has_failed = t->failure != OK && t->failure != ERR_STOPPED;
    const struct span_fact facts[] = {
        {"aerie.agent.id", t->agent_id, 0},
        {"aerie.turn.outcome", str_from(outcomes[t->outcome]), 0},
        {"error.type", has_failed ? str_from(status_row(t->failure)->name) : STR(""), 0},
        {"gen_ai.provider.name", t->provider, 0},
        {"gen_ai.response.model", t->model, 0},
        /* Where something was asked and answered. */
        {"gen_ai.usage.input_tokens", STR_NONE, t->usage->prompt_tokens},
        {"gen_ai.usage.output_tokens", STR_NONE, t->usage->completion_tokens},
    };
    size_t n = sizeof(facts) / sizeof(facts[0]) - (t->usage->total_tokens > 0 ? 0 : 2);

    if (!span)
        return;
    span_end(span, &(struct span_record){.kind = SPAN_INTERNAL,
                                         .name = STR("turn"),
                                         .facts = facts,
                                         .n_facts = n,
                                         .event = t->first_text_us > 0 ? "first_text" : NULL,
                                         .event_us = t->first_text_us,
                                         .has_failed = has_failed});
}
