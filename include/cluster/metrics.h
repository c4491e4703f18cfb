/* What the cluster room counts, for GET /metrics. */
#ifndef AERIE_CLUSTER_METRICS_H
#define AERIE_CLUSTER_METRICS_H

#include "base/metrics.h"

struct cluster_numbers {
    _Alignas(64) struct counter words, buried, marked, failed_beats;
};
extern struct cluster_numbers cluster_numbers[METRICS_THREADS];
/* This thread's. */
static inline struct cluster_numbers *cluster_count(void)
{
    return &cluster_numbers[metrics_thread()];
}

void cluster_metrics(struct buf *out);

#endif
