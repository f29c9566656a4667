/*
 * handler_times.h -- the last few thousand of one actor's handler times, in a
 * quarter of a KiB: quantiles of them, within an eighth of what was recorded.
 *
 * One thread adds; any thread reads, and sees each figure whole, but perhaps not
 * those of one instant.
 */
#ifndef TROUPE_ACTOR_HANDLER_TIMES_H
#define TROUPE_ACTOR_HANDLER_TIMES_H

#include "base/base.h"

#include <stdatomic.h>

#define HANDLER_TIMES_BUCKETS 109 /* one up to 128 ns, then four for each power of two up to 17 s */

/* All zero is an empty one. */
struct handler_times {
    _Atomic uint32_t count;
    _Atomic uint64_t most, most_before; /* of those since the buckets were halved; and before that */
    _Atomic uint16_t buckets[HANDLER_TIMES_BUCKETS];
};

void handler_times_add(struct handler_times *times, uint64_t ns);

/* The time that `share` (0 to 1) of them did not pass; 0: there are none. */
uint64_t handler_times_quantile(const struct handler_times *times, double share);

uint64_t handler_times_most(const struct handler_times *times);
static inline uint32_t handler_times_count(const struct handler_times *times)
{
    return atomic_load_explicit(&times->count, memory_order_relaxed);
}

#endif
