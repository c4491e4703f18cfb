/* Numbers about the running process, as Prometheus reads them. Each room has a struct of them, one
 * for each thread, which alone changes it: counting is an addition to memory of the thread's own,
 * without a lock or a locked instruction. Whoever reads adds up what all threads have counted. A
 * room names its numbers in one table of struct metric, and writes them with metrics_write(). */
#ifndef AERIE_BASE_METRICS_H
#define AERIE_BASE_METRICS_H

#include "base/buf.h"

#include <stdatomic.h>

/* A number that rises, or goes up and down. What one thread added another may take away: only the
 * sum over all threads means something. */
struct counter {
    _Atomic uint64_t n;
};

static inline void counter_add(struct counter *c, uint64_t n)
{
    atomic_store_explicit(&c->n, atomic_load_explicit(&c->n, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline uint64_t counter_get(const struct counter *c)
{
    return atomic_load_explicit(&c->n, memory_order_relaxed);
}

/* Times, in buckets from 0.1 ms to 60 s. */
#define HISTOGRAM_BOUNDS 18
struct histogram {
    struct counter buckets[HISTOGRAM_BOUNDS + 1]; /* the last: what is longer */
    struct counter sum_us;
};
void histogram_add(struct histogram *h, uint64_t us);

/* The number of this thread, below METRICS_THREADS, dealt when it first asks: the place of its
 * struct in each room's array. Should there be more threads, the last ones share a place and may
 * lose counts. */
#define METRICS_THREADS 512
extern _Thread_local unsigned metrics_thread_dealt; /* 0: not yet */
unsigned metrics_deal_thread(void);
size_t metrics_threads(void); /* how many places there are to add up */
static inline unsigned metrics_thread(void)
{
    return metrics_thread_dealt ? metrics_thread_dealt : metrics_deal_thread();
}

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum metric_unit { METRIC_COUNT, METRIC_MICROSECONDS /* written as seconds */ };

/* A row: one sample, or one histogram. Rows of one name stand together, and the first has the
 * help. */
struct metric {
    const char *name, *labels; /* `outcome="error"`, or NULL */
    enum metric_type type;
    enum metric_unit unit;
    size_t offset; /* of a struct counter, or a struct histogram, in the room's struct */
    const char *help;
};

/* Each row, added up over n structs of size bytes. by: NULL, or a label that tells the structs
 * apart, by their place: then each has samples of its own. */
void metrics_write(struct buf *out, const struct metric *rows, size_t n_rows, const void *structs,
                   size_t size, size_t n, const char *by);
/* The same for numbers that are not counted but looked up: the lines that begin a family, and a
 * sample of it. */
void metrics_begin(struct buf *out, const char *name, enum metric_type type, const char *help);
void metrics_sample(struct buf *out, const char *name, const char *labels, enum metric_unit unit,
                    uint64_t value);
/* A family of one sample. */
void metrics_gauge(struct buf *out, const char *name, const char *help, uint64_t value);

#endif
