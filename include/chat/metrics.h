/* What the chat room counts, for GET /metrics. */
#ifndef AERIE_CHAT_METRICS_H
#define AERIE_CHAT_METRICS_H

#include "base/metrics.h"

enum message_outcome {
    MESSAGE_COMPLETE,
    MESSAGE_STOPPED,
    MESSAGE_INTERRUPTED,
    MESSAGE_ERROR,
    MESSAGE_REFUSED, /* nothing of it is stored */
    N_MESSAGE_OUTCOMES,
};

struct chat_numbers {
    _Alignas(64) struct counter chunks, chunk_bytes;
    struct counter log_bytes, readers, mirrors;
    struct counter messages[N_MESSAGE_OUTCOMES];
    struct counter slots_refused;
    struct counter budget_refused, budget_cut;
    struct counter swept_chats, swept_messages;
    struct counter journal_bytes, journal_failures, journal_segments;
    struct histogram until_call, first_text, first_event, slot_wait;
};
extern struct chat_numbers chat_numbers[METRICS_THREADS];
/* This thread's. */
static inline struct chat_numbers *chat_count(void)
{
    return &chat_numbers[metrics_thread()];
}

void chat_metrics(struct buf *out);

#endif
