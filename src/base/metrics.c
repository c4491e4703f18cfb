/* Counting, and the text format of Prometheus, version 0.0.4:
 * https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include "base/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

_Thread_local unsigned metrics_thread_dealt;
static atomic_uint n_dealt;

unsigned metrics_deal_thread(void)
{
    unsigned n = atomic_fetch_add(&n_dealt, 1) + 1;

    metrics_thread_dealt = n < METRICS_THREADS ? n : METRICS_THREADS - 1;
    return metrics_thread_dealt;
}

size_t metrics_threads(void)
{
    size_t n = (size_t)atomic_load(&n_dealt) + 1; /* the first place is nobody's */

    return n < METRICS_THREADS ? n : METRICS_THREADS;
}

/* Microseconds, and the label that says them in seconds. */
static const struct {
    uint64_t us;
    const char *le;
} bounds[HISTOGRAM_BOUNDS] = {
    {100, "0.0001"},  {250, "0.00025"}, {500, "0.0005"},  {1000, "0.001"},  {2500, "0.0025"},
    {5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},  {100000, "0.1"},
    {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},   {2500000, "2.5"}, {5000000, "5"},
    {10000000, "10"}, {30000000, "30"}, {60000000, "60"},
};

void histogram_add(struct histogram *h, uint64_t us)
{
    size_t i = 0;

    while (i < HISTOGRAM_BOUNDS && us > bounds[i].us)
        i++;
    counter_add(&h->buckets[i], 1);
    counter_add(&h->sum_us, us);
}

static const char *type_name(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_GAUGE:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    }
    return "untyped";
}

void metrics_begin(struct buf *out, const char *name, enum metric_type type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type_name(type));
}

static void write_value(struct buf *out, enum metric_unit unit, uint64_t value)
{
    if (unit == METRIC_MICROSECONDS)
        buf_printf(out, " %" PRIu64 ".%06u\n", value / 1000000, (unsigned)(value % 1000000));
    else
        buf_printf(out, " %" PRIu64 "\n", value);
}

void metrics_sample(struct buf *out, const char *name, const char *labels, enum metric_unit unit,
                    uint64_t value)
{
    buf_append_str(out, str_from(name));
    if (labels && labels[0])
        buf_printf(out, "{%s}", labels);
    write_value(out, unit, value);
}

void metrics_gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
    metrics_begin(out, name, METRIC_GAUGE, help);
    metrics_sample(out, name, NULL, METRIC_COUNT, value);
}

/* Some of a room's structs, one behind the other. */
struct range {
    const char *first;
    size_t size, n;
};

static uint64_t sum(const struct range *r, size_t offset)
{
    uint64_t total = 0;

    for (size_t i = 0; i < r->n; i++)
        total +=
            counter_get((const struct counter *)(const void *)(r->first + i * r->size + offset));
    return total;
}

/* Each bucket has those below it in it, too; the count is that of the last, so that the two agree
 * while others count on. */
static void write_histogram(struct buf *out, const struct metric *m, const char *labels,
                            const struct range *r)
{
    const char *comma = labels[0] ? "," : "", *open = labels[0] ? "{" : "",
               *close = labels[0] ? "}" : "";
    uint64_t count = 0;

    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        count +=
            sum(r, m->offset + offsetof(struct histogram, buckets) + i * sizeof(struct counter));
        buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", m->name, labels, comma,
                   i < HISTOGRAM_BOUNDS ? bounds[i].le : "+Inf", count);
    }
    buf_printf(out, "%s_sum%s%s%s", m->name, open, labels, close);
    write_value(out, METRIC_MICROSECONDS, sum(r, m->offset + offsetof(struct histogram, sum_us)));
    buf_printf(out, "%s_count%s%s%s %" PRIu64 "\n", m->name, open, labels, close, count);
}

static void write_row(struct buf *out, const struct metric *m, const char *labels,
                      const struct range *r)
{
    uint64_t value;

    if (m->type == METRIC_HISTOGRAM) {
        write_histogram(out, m, labels, r);
        return;
    }
    value = sum(r, m->offset);
    /* Another thread may have taken away what was added after we looked. */
    if (m->type == METRIC_GAUGE && (int64_t)value < 0)
        value = 0;
    metrics_sample(out, m->name, labels, m->unit, value);
}

void metrics_write(struct buf *out, const struct metric *rows, size_t n_rows, const void *structs,
                   size_t size, size_t n, const char *by)
{
    const char *name = "";

    for (size_t i = 0; i < n_rows; i++) {
        const struct metric *m = &rows[i];
        const char *labels = m->labels ? m->labels : "";
        char text[128];

        if (strcmp(name, m->name) != 0)
            metrics_begin(out, m->name, m->type, m->help);
        name = m->name;
        if (!by)
            write_row(out, m, labels, &(struct range){structs, size, n});
        for (size_t k = 0; by && k < n; k++) {
            snprintf(text, sizeof(text), "%s%s%s=\"%zu\"", labels, labels[0] ? "," : "", by, k);
            write_row(out, m, text, &(struct range){(const char *)structs + k * size, size, 1});
        }
    }
}
