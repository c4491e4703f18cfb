/* Times in nanoseconds, counted in buckets that are 1/128 of an octave wide: a percentile is its
 * bucket's middle, 0.4 % off at most. */
#ifndef AERIE_BENCH_HISTOGRAM_H
#define AERIE_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_OCTAVE  128
#define HISTOGRAM_BUCKETS (HISTOGRAM_OCTAVE * 58)

/* All-zero: empty. */
struct histogram {
    uint64_t n, max_ns;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t ns);
/* Nearest rank, in microseconds; 0 when empty. */
double histogram_percentile_us(const struct histogram *h, double percent);
/* Prints "name":{"n":…,"p50":…,"p90":…,"p99":…,"max":…} */
void histogram_print(const struct histogram *h, const char *name);

#endif
