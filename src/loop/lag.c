/* How long each turn of a loop takes: so long waits what comes meanwhile. It asks no clock, but
 * goes by the times, in whole milliseconds, that libuv has anyway: when the loop woke, and when its
 * next turn began. What is flushed before the loop waits is not in it. */
#include "base/metrics.h"
#include "internal.h"

#define LOOPS_MAX 256 /* server.workers' most */

static struct lag_numbers {
    _Alignas(64) struct histogram turns;
    struct counter longest_us;
} numbers[LOOPS_MAX];
static atomic_uint n_loops;

void lag_open(struct loop *l)
{
    unsigned n = l->index + 1, before = atomic_load(&n_loops);

    while (before < n && n <= LOOPS_MAX && !atomic_compare_exchange_weak(&n_loops, &before, n))
        continue;
}

void lag_note_woken(struct loop *l)
{
    l->woken_ms = uv_now(&l->uv);
}

void lag_note_turn(struct loop *l)
{
    struct lag_numbers *mine = &numbers[l->index % LOOPS_MAX];
    uint64_t us;

    if (l->woken_ms == 0)
        return;
    us = (uv_now(&l->uv) - l->woken_ms) * 1000;
    l->woken_ms = 0;
    histogram_add(&mine->turns, us);
    if (us > counter_get(&mine->longest_us))
        counter_add(&mine->longest_us, us - counter_get(&mine->longest_us));
}

static const struct metric metrics[] = {
    {"aerie_loop_lag_seconds", NULL, METRIC_HISTOGRAM, METRIC_MICROSECONDS,
     offsetof(struct lag_numbers, turns),
     "Time that a turn of the loop took: so long waits what comes meanwhile."},
    {"aerie_loop_lag_max_seconds", NULL, METRIC_GAUGE, METRIC_MICROSECONDS,
     offsetof(struct lag_numbers, longest_us), "The longest turn of the loop since the start."},
};

void loop_metrics(struct buf *out)
{
    metrics_write(out, metrics, sizeof(metrics) / sizeof(metrics[0]), numbers, sizeof(numbers[0]),
                  atomic_load(&n_loops), "loop");
}
