/* What is told of a turn, stored or not: who answered, how it ended and what it cost. Nothing that
 * was said, and nobody who said it. */
#ifndef AERIE_CHAT_TURN_SPAN_H
#define AERIE_CHAT_TURN_SPAN_H

#include "chat/metrics.h"
#include "chat/usage.h"
#include "trace/span.h"

struct turn_span_facts {
    struct str agent_id, provider, model; /* "" : nobody knows */
    enum message_outcome outcome;
    enum status failure; /* OK: it has none. ERR_STOPPED is none either: they get what they want */
    const struct usage *usage;
    uint64_t first_text_us; /* by the monotonic clock; 0: no text came */
};
/* Ends span, the turn's. NULL: it is not told of. */
void turn_span_end(struct span *span, const struct turn_span_facts *t);

#endif
