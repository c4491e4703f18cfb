/* The webhook room's numbers and their names. */
#include "metrics.h"

#include "base/clock.h"
#include "webhook/webhook.h"

struct webhook_numbers webhook_numbers[METRICS_THREADS];

/* Written by the first loop. */
static struct {
    atomic_uint_least64_t n;
    atomic_int_least64_t oldest_us;
} pending;

#define NUMBER(member) offsetof(struct webhook_numbers, member)
#define DELIVERIES(outcome, name)                                                                  \
    {                                                                                              \
        "aerie_webhook_deliveries_total", "outcome=\"" name "\"", METRIC_COUNTER, METRIC_COUNT,    \
            NUMBER(outcomes[outcome]),                                                             \
            "Webhooks' deliveries by what became of them; dropped: events, as too many waited."    \
    }

static const struct metric metrics[] = {
    DELIVERIES(DELIVERY_DEAD, "dead"),
    DELIVERIES(DELIVERY_DELIVERED, "delivered"),
    DELIVERIES(DELIVERY_DROPPED, "dropped"),
    {"aerie_webhook_tries_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(tries),
     "Calls of webhooks' receivers."},
    {"aerie_webhook_failures_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(failures),
     "Of these, those that failed."},
};

void webhook_note_pending(uint64_t n, int64_t oldest_us)
{
    atomic_store_explicit(&pending.n, n, memory_order_relaxed);
    atomic_store_explicit(&pending.oldest_us, oldest_us, memory_order_relaxed);
}

void webhook_metrics(struct buf *out)
{
    int64_t oldest_us = atomic_load_explicit(&pending.oldest_us, memory_order_relaxed);
    int64_t age_us = oldest_us > 0 ? clock_wall_us() - oldest_us : 0;

    metrics_write(out, metrics, sizeof(metrics) / sizeof(metrics[0]), webhook_numbers,
                  sizeof(webhook_numbers[0]), metrics_threads(), NULL);
    metrics_gauge(out, "aerie_webhook_pending",
                  "Deliveries that wait, of all servers on this database.",
                  atomic_load_explicit(&pending.n, memory_order_relaxed));
    metrics_begin(out, "aerie_webhook_oldest_pending_seconds", METRIC_GAUGE,
                  "Age of the oldest delivery that waits.");
    metrics_sample(out, "aerie_webhook_oldest_pending_seconds", NULL, METRIC_MICROSECONDS,
                   age_us > 0 ? (uint64_t)age_us : 0);
}
