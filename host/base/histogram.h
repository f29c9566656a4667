/*
 * histogram.h -- how often which duration: quantiles of millions of them in a
 * fixed amount of memory, each within 1 % of what was recorded.
 *
 * Buckets grow with the value: 128 of one width, then 64 for each further
 * power of two. The least and the greatest value are kept exactly. One thread,
 * or a lock of the owner's.
 */
#ifndef TROUPE_BASE_HISTOGRAM_H
#define TROUPE_BASE_HISTOGRAM_H

#include "base/base.h"

#define HISTOGRAM_BUCKETS 3776

struct histogram {
    uint64_t count, sum;
    uint64_t least, greatest; /* of nothing: 0 */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* All zero is an empty one. */
void histogram_add(struct histogram *histogram, uint64_t value);

/* The value that `share` (0 to 1) of all are not greater than; 0 if there are none. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
