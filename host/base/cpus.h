/*
 * cpus.h -- sets of CPUs, by number, and threads that run on them only.
 */
#ifndef TROUPE_BASE_CPUS_H
#define TROUPE_BASE_CPUS_H

#include "base/thread.h"

#define CPUS_LIMIT 1024

struct cpus {
    uint64_t bits[CPUS_LIMIT / 64];
};

static inline void cpus_add(struct cpus *cpus, unsigned number)
{
    cpus->bits[number / 64] |= UINT64_C(1) << (number % 64);
}

static inline bool cpus_has(const struct cpus *cpus, unsigned number)
{
    return (cpus->bits[number / 64] >> (number % 64) & 1) != 0;
}

bool cpus_is_empty(const struct cpus *cpus);
bool cpus_equal(const struct cpus *a, const struct cpus *b);

/* "{0, 1, 5}", cut to `room`; returns `text`. */
const char *cpus_text(const struct cpus *cpus, char *text, size_t room);

/* The thread runs on these CPUs only. 0; -EINVAL: there is no such CPU, or this
 * process may not run there, which `why` says; the thread then runs where it did. */
int cpus_pin(struct thread *thread, const struct cpus *cpus, char *why, size_t room);

#endif
