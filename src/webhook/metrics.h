/* What this room counts, for GET /metrics. */
#ifndef AERIE_SRC_WEBHOOK_METRICS_H
#define AERIE_SRC_WEBHOOK_METRICS_H

#include "base/metrics.h"

enum delivery_outcome {
    DELIVERY_DELIVERED,
    DELIVERY_DEAD,
    DELIVERY_DROPPED, /* an event that none was made of: too many wait */
    N_DELIVERY_OUTCOMES,
};

struct webhook_numbers {
    _Alignas(64) struct counter outcomes[N_DELIVERY_OUTCOMES];
    struct counter tries, failures; /* failures: of the tries */
};
extern struct webhook_numbers webhook_numbers[METRICS_THREADS];
/* This thread's. */
static inline struct webhook_numbers *webhook_count(void)
{
    return &webhook_numbers[metrics_thread()];
}

/* What waits in all teams, as it was counted last. oldest_us: wall clock; 0: nothing waits. */
void webhook_note_pending(uint64_t n, int64_t oldest_us);

#endif
