/*
 * budget.h -- how often an actor may be restarted, and how long it waits each time.
 *
 * At most `max` restarts in any span of `within_ns`. The wait before a restart
 * doubles with each one that follows another, from `backoff_ns` to
 * `backoff_limit_ns`, and begins anew after `within_ns` without any. It is
 * varied by up to a quarter, so that actors that failed together do not come
 * back together, but never leaves the two bounds.
 *
 * Pure bookkeeping: the caller brings the time, and the seed.
 */
#ifndef TROUPE_ACTOR_BUDGET_H
#define TROUPE_ACTOR_BUDGET_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct restart_options {
    uint32_t max;              /* 1 to RESTART_MAX_LIMIT */
    uint64_t within_ns;
    uint64_t backoff_ns;       /* at least RESTART_BACKOFF_LEAST_NS */
    uint64_t backoff_limit_ns; /* not less than that */
};

#define RESTART_MAX_LIMIT        1000u
#define RESTART_BACKOFF_LEAST_NS NS_PER_MS
#define RESTART_OPTIONS_DEFAULT \
    ((struct restart_options){ .max = 3, .within_ns = 10 * NS_PER_SEC, \
                               .backoff_ns = 100 * NS_PER_MS, .backoff_limit_ns = 5 * NS_PER_SEC })

struct budget {
    struct restart_options options;
    uint64_t random;    /* what jitter is made from */
    uint32_t streak;    /* restarts without a quiet span between them */
    uint32_t first;     /* in spent_ns: the oldest */
    uint32_t count;     /* of those within the span */
    uint64_t spent_ns[]; /* when each was; room for options.max */
};

/* The bytes of a budget with these options. */
size_t budget_size(const struct restart_options *options);

/* Prepares memory of budget_size() bytes. Equal seeds give equal waits. */
void budget_init(struct budget *budget, const struct restart_options *options, uint64_t seed);

/* A restart at `now_ns` (never earlier than the last): true if one is left, and
 * then it is taken and *wait_ns is how long to wait before it. */
bool budget_spend(struct budget *budget, uint64_t now_ns, uint64_t *wait_ns);

/* How many of the restarts in the span that ends with the last spend are used. */
static inline uint32_t budget_used(const struct budget *budget)
{
    return budget->count;
}

#endif
