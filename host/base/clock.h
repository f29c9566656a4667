/*
 * clock.h -- monotonic time, and a clock that only moves when told.
 *
 * A host reads the time through its `struct clock`; the stage gives it one
 * that stands still. Nanoseconds since an arbitrary start, never going back.
 */
#ifndef TROUPE_BASE_CLOCK_H
#define TROUPE_BASE_CLOCK_H

#include "base/base.h"

#include <stdatomic.h>
#include <time.h>

struct clock {
    bool             manual;    /* fixed by clock_init(): only clock_set() moves it */
    _Atomic uint64_t manual_ns; /* the time, if manual */
};

/* A real clock, or with `manual` one that stands at 1 s and moves only by clock_set(). */
static inline void clock_init(struct clock *clock, bool manual)
{
    clock->manual = manual;
    atomic_init(&clock->manual_ns, NS_PER_SEC);
}

/* About 20 ns for the real clock. Any thread. */
static inline uint64_t clock_now(struct clock *clock)
{
    if (UNLIKELY(clock->manual))
        return atomic_load_explicit(&clock->manual_ns, memory_order_relaxed);
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* The same up to CLOCK_COARSE_NS late, for a quarter of the price. */
#define CLOCK_COARSE_NS (10 * NS_PER_MS)
static inline uint64_t clock_now_coarse(struct clock *clock)
{
    if (UNLIKELY(clock->manual))
        return atomic_load_explicit(&clock->manual_ns, memory_order_relaxed);
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* Moves a manual clock; never backwards. */
static inline void clock_set(struct clock *clock, uint64_t now_ns)
{
    if (now_ns > atomic_load_explicit(&clock->manual_ns, memory_order_relaxed))
        atomic_store_explicit(&clock->manual_ns, now_ns, memory_order_relaxed);
}

#endif
