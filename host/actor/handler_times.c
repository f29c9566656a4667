/*
 * handler_times.c -- see handler_times.h.
 */
#include "actor/handler_times.h"

#define FIRST_BITS 7    /* up to 2^7 ns is one bucket */
#define FORGET_AT  8192 /* that many are too old to tell of today: all count by half */

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 1u << FIRST_BITS)
        return 0;
    unsigned bits = 63u - (unsigned)__builtin_clzll(ns);
    unsigned quarter = (unsigned)(ns >> (bits - 2)) & 3;
    unsigned bucket = (bits - FIRST_BITS) * 4 + quarter + 1;
    return bucket < HANDLER_TIMES_BUCKETS ? bucket : HANDLER_TIMES_BUCKETS - 1;
}

/* The middle of a bucket. */
static uint64_t time_of(unsigned bucket)
{
    if (bucket == 0)
        return UINT64_C(1) << (FIRST_BITS - 1);
    unsigned bits = FIRST_BITS + (bucket - 1) / 4;
    uint64_t quarter = UINT64_C(1) << (bits - 2);
    return (UINT64_C(1) << bits) + ((bucket - 1) % 4) * quarter + quarter / 2;
}

static void forget_half(struct handler_times *times)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < HANDLER_TIMES_BUCKETS; i++) {
        uint16_t half = atomic_load_explicit(&times->buckets[i], memory_order_relaxed) / 2;
        atomic_store_explicit(&times->buckets[i], half, memory_order_relaxed);
        count += half;
    }
    atomic_store_explicit(&times->count, count, memory_order_relaxed);
    atomic_store_explicit(&times->most_before,
                          atomic_load_explicit(&times->most, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&times->most, 0, memory_order_relaxed);
}

void handler_times_add(struct handler_times *times, uint64_t ns)
{
    if (UNLIKELY(handler_times_count(times) >= FORGET_AT))
        forget_half(times);
    _Atomic uint16_t *bucket = &times->buckets[bucket_of(ns)];
    uint16_t more = (uint16_t)(atomic_load_explicit(bucket, memory_order_relaxed) + 1);
    atomic_store_explicit(bucket, more, memory_order_relaxed);
    if (ns > atomic_load_explicit(&times->most, memory_order_relaxed))
        atomic_store_explicit(&times->most, ns, memory_order_relaxed);
    atomic_store_explicit(&times->count, handler_times_count(times) + 1, memory_order_relaxed);
}

uint64_t handler_times_most(const struct handler_times *times)
{
    uint64_t most = atomic_load_explicit(&times->most, memory_order_relaxed);
    uint64_t before = atomic_load_explicit(&times->most_before, memory_order_relaxed);
    return most > before ? most : before;
}

uint64_t handler_times_quantile(const struct handler_times *times, double share)
{
    uint32_t counts[HANDLER_TIMES_BUCKETS], all = 0;
    for (unsigned i = 0; i < HANDLER_TIMES_BUCKETS; i++)
        all += counts[i] = atomic_load_explicit(&times->buckets[i], memory_order_relaxed);
    uint64_t most = handler_times_most(times);
    double wanted = share * (double)all;
    uint32_t seen = 0;
    for (unsigned i = 0; i < HANDLER_TIMES_BUCKETS && all > 0; i++) {
        seen += counts[i];
        if (counts[i] > 0 && (double)seen >= wanted)
            return i < HANDLER_TIMES_BUCKETS - 1 && time_of(i) < most ? time_of(i) : most;
    }
    return 0;
}
