/*
 * budget.c -- see budget.h.
 */
#include "actor/budget.h"

size_t budget_size(const struct restart_options *options)
{
    return sizeof(struct budget) + options->max * sizeof(uint64_t);
}

void budget_init(struct budget *budget, const struct restart_options *options, uint64_t seed)
{
    *budget = (struct budget){ .options = *options, .random = seed };
}

/* splitmix64, so that a seed means the same everywhere. */
static uint64_t next_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t double_up(const struct restart_options *options, uint32_t streak)
{
    uint64_t wait_ns = options->backoff_ns;
    while (streak-- > 1 && wait_ns < options->backoff_limit_ns)
        wait_ns = wait_ns > options->backoff_limit_ns / 2 ? options->backoff_limit_ns : 2 * wait_ns;
    return wait_ns;
}

static uint64_t vary(struct budget *budget, uint64_t wait_ns)
{
    const struct restart_options *options = &budget->options;
    uint64_t least_ns = wait_ns - wait_ns / 4, most_ns = wait_ns + wait_ns / 4;
    if (least_ns < options->backoff_ns)
        least_ns = options->backoff_ns;
    if (most_ns > options->backoff_limit_ns)
        most_ns = options->backoff_limit_ns;
    return least_ns + next_random(&budget->random) % (most_ns - least_ns + 1);
}

/* Whether what was spent then is out of the span that ends now. */
static bool is_past(const struct budget *budget, uint64_t then_ns, uint64_t now_ns)
{
    return now_ns - then_ns >= budget->options.within_ns;
}

static uint64_t newest_ns(const struct budget *budget)
{
    return budget->spent_ns[(budget->first + budget->count - 1) % budget->options.max];
}

bool budget_spend(struct budget *budget, uint64_t now_ns, uint64_t *wait_ns)
{
    uint32_t max = budget->options.max;
    if (budget->count > 0 && is_past(budget, newest_ns(budget), now_ns))
        budget->streak = 0;
    while (budget->count > 0 && is_past(budget, budget->spent_ns[budget->first], now_ns)) {
        budget->first = (budget->first + 1) % max;
        budget->count--;
    }
    if (budget->count >= max)
        return false;
    budget->spent_ns[(budget->first + budget->count++) % max] = now_ns;
    budget->streak++;
    *wait_ns = vary(budget, double_up(&budget->options, budget->streak));
    return true;
}
