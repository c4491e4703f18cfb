/* What became of spans. */
#include "internal.h"

static struct span_numbers numbers[METRICS_THREADS];

struct span_numbers *span_numbers_here(void)
{
    return &numbers[metrics_thread()];
}

void span_count(enum span_fate fate, size_t n)
{
    counter_add(&span_numbers_here()->fates[fate], n);
}

void span_count_failed_export(void)
{
    counter_add(&span_numbers_here()->failed_exports, 1);
}

#define NUMBER(member) offsetof(struct span_numbers, member)

static const struct metric metrics[] = {
    {"aerie_span_exports_failed_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(failed_exports),
     "Requests with spans that the collector did not take."},
    {"aerie_spans_dropped_total", "reason=\"not_sent\"", METRIC_COUNTER, METRIC_COUNT,
     NUMBER(fates[SPANS_NOT_SENT]), "Spans that never came to the collector."},
    {"aerie_spans_dropped_total", "reason=\"queue_full\"", METRIC_COUNTER, METRIC_COUNT,
     NUMBER(fates[SPANS_QUEUE_FULL]), "Spans that never came to the collector."},
    {"aerie_spans_exported_total", NULL, METRIC_COUNTER, METRIC_COUNT,
     NUMBER(fates[SPANS_EXPORTED]), "Spans that the collector took."},
    {"aerie_spans_rejected_total", NULL, METRIC_COUNTER, METRIC_COUNT,
     NUMBER(fates[SPANS_REJECTED]), "Spans that the collector got and refused."},
    {"aerie_spans_waiting", NULL, METRIC_GAUGE, METRIC_COUNT, NUMBER(waiting),
     "Spans that wait to be sent."},
};

void trace_metrics(struct buf *out)
{
    metrics_write(out, metrics, sizeof(metrics) / sizeof(metrics[0]), numbers, sizeof(numbers[0]),
                  metrics_threads(), NULL);
}
