/*
 * histogram.c -- see histogram.h.
 *
 * A value of more than 7 bits is known by its 7 leading bits: of these the first
 * is always set, so that each power of two has 64 buckets.
 */
#include "base/histogram.h"

#define LEADING_BITS 7
#define HALF         (1u << (LEADING_BITS - 1))

static size_t bucket_of(uint64_t value)
{
    if (value < 2 * HALF)
        return (size_t)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - (LEADING_BITS - 1);
    return (size_t)shift * HALF + (size_t)(value >> shift);
}

/* The middle of a bucket. */
static uint64_t value_of(size_t bucket)
{
    if (bucket < 2 * HALF)
        return bucket;
    unsigned shift = (unsigned)(bucket / HALF) - 1;
    uint64_t leading = bucket - (size_t)shift * HALF;
    return (leading << shift) + (UINT64_C(1) << (shift - 1));
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    if (histogram->count == 0 || value < histogram->least)
        histogram->least = value;
    if (value > histogram->greatest)
        histogram->greatest = value;
    histogram->count++;
    histogram->sum += value;
    histogram->buckets[bucket_of(value)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    double   exact = share * (double)histogram->count;
    uint64_t wanted = (uint64_t)exact, seen = 0;
    if (wanted < histogram->count && (double)wanted < exact)
        wanted++;
    if (wanted <= 1)
        return histogram->least;
    if (wanted >= histogram->count)
        return histogram->greatest;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen < wanted)
            continue;
        uint64_t value = value_of(i);
        if (value < histogram->least)
            return histogram->least;
        return value < histogram->greatest ? value : histogram->greatest;
    }
    return histogram->greatest;
}
