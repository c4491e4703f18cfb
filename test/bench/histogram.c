/* See histogram.h. */
#include "histogram.h"

#include <math.h>
#include <stdio.h>

/* Below 128 a bucket is one nanosecond; above, the value's highest bit tells the octave and the
 * seven bits after it the bucket. */
static uint32_t bucket_of(uint64_t ns)
{
    uint32_t shift;

    if (ns < HISTOGRAM_OCTAVE)
        return (uint32_t)ns;
    shift = 56 - (uint32_t)__builtin_clzll(ns);
    return shift * HISTOGRAM_OCTAVE + (uint32_t)(ns >> shift);
}

static double middle_ns(uint32_t bucket)
{
    uint32_t shift = bucket < HISTOGRAM_OCTAVE ? 0 : bucket / HISTOGRAM_OCTAVE - 1;
    double from = ldexp(bucket - shift * HISTOGRAM_OCTAVE, (int)shift);

    return from + (ldexp(1, (int)shift) - 1) / 2;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    h->n++;
    if (ns > h->max_ns)
        h->max_ns = ns;
    h->counts[bucket_of(ns)]++;
}

double histogram_percentile_us(const struct histogram *h, double percent)
{
    uint64_t rank = (uint64_t)ceil((double)h->n * percent / 100);
    uint64_t seen = 0;

    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen >= rank && seen > 0)
            return fmin(middle_ns(i), (double)h->max_ns) / 1000;
    }
    return 0;
}

void histogram_print(const struct histogram *h, const char *name)
{
    printf("\"%s\":{\"n\":%llu,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name,
           (unsigned long long)h->n, histogram_percentile_us(h, 50), histogram_percentile_us(h, 90),
           histogram_percentile_us(h, 99), (double)h->max_ns / 1000);
}
