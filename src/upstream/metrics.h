/* What this room counts, by provider. */
#ifndef AERIE_UPSTREAM_METRICS_H
#define AERIE_UPSTREAM_METRICS_H

#include "base/metrics.h"
#include "upstream/upstream.h"

/* The table of providers is shorter. */
#define PROVIDERS_COUNTED 16

struct upstream_numbers {
    _Alignas(64) struct provider_numbers {
        struct counter calls, requests, in_flight, pausing;
        struct counter errors[N_STATUSES];
    } providers[PROVIDERS_COUNTED];
};
extern struct upstream_numbers upstream_numbers[METRICS_THREADS];
/* This thread's of p. */
struct provider_numbers *upstream_count(const struct provider *p);

#endif
