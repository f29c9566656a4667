/* test_budget.c -- restarts in a sliding window, and the waits before them. */
#include "actor/budget.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 20261121;

static uint64_t below(uint64_t limit)
{
    state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % limit;
}

static struct budget *make(const struct restart_options *options, uint64_t seed)
{
    struct budget *budget = malloc(budget_size(options));
    assert(budget != NULL);
    budget_init(budget, options, seed);
    return budget;
}

/* Three at once and no fourth; one more as soon as the first is out of the window. */
static void test_window(void)
{
    struct restart_options options = RESTART_OPTIONS_DEFAULT;
    struct budget *budget = make(&options, 1);
    uint64_t wait_ns;
    for (uint64_t i = 1; i <= 3; i++) {
        assert(budget_spend(budget, i * NS_PER_SEC, &wait_ns));
        assert(budget_used(budget) == i);
    }
    assert(!budget_spend(budget, 3 * NS_PER_SEC, &wait_ns));
    assert(!budget_spend(budget, 11 * NS_PER_SEC - 1, &wait_ns));
    assert(budget_spend(budget, 11 * NS_PER_SEC, &wait_ns));
    assert(budget_used(budget) == 3);
    assert(!budget_spend(budget, 11 * NS_PER_SEC, &wait_ns));
    free(budget);
}

/* The wait doubles up to its limit, and is short again after a quiet span. */
static void test_backoff(void)
{
    struct restart_options options = { .max = 100, .within_ns = 60 * NS_PER_SEC,
                                       .backoff_ns = 100 * NS_PER_MS,
                                       .backoff_limit_ns = 5 * NS_PER_SEC };
    struct budget *budget = make(&options, 2);
    uint64_t now_ns = NS_PER_SEC, wait_ns;
    for (unsigned i = 0; i < 12; i++) {
        uint64_t plain_ns = i < 6 ? (100 * NS_PER_MS) << i : options.backoff_limit_ns;
        assert(budget_spend(budget, now_ns, &wait_ns));
        assert(wait_ns >= plain_ns - plain_ns / 4 && wait_ns <= plain_ns + plain_ns / 4);
        assert(wait_ns >= options.backoff_ns && wait_ns <= options.backoff_limit_ns);
        now_ns += wait_ns;
    }
    now_ns += options.within_ns;
    assert(budget_spend(budget, now_ns, &wait_ns));
    assert(wait_ns <= 125 * NS_PER_MS);
    free(budget);
}

/* Equal seeds give equal waits; others do not all come back at once. */
static void test_jitter(void)
{
    struct restart_options options = { .max = 50, .within_ns = NS_PER_SEC,
                                       .backoff_ns = NS_PER_SEC, .backoff_limit_ns = 60 * NS_PER_SEC };
    unsigned different = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct budget *one = make(&options, seed), *same = make(&options, seed),
                      *other = make(&options, seed + 1000);
        for (uint64_t i = 0; i < 50; i++) {
            uint64_t one_ns = 0, same_ns = 0, other_ns = 0;
            assert(budget_spend(one, i, &one_ns));
            assert(budget_spend(same, i, &same_ns));
            assert(budget_spend(other, i, &other_ns));
            assert(one_ns == same_ns);
            different += one_ns != other_ns;
        }
        free(one);
        free(same);
        free(other);
    }
    assert(different > 900);
}

/* Beside a plain model that remembers all: whatever the options and the times. */
static void check_case(unsigned spends)
{
    struct restart_options options = {
        .max = 1 + (uint32_t)below(8),
        .within_ns = 1 + below(1000),
        .backoff_ns = 1 + below(50),
    };
    options.backoff_limit_ns = options.backoff_ns + below(500);
    struct budget *budget = make(&options, below(UINT64_MAX));
    uint64_t granted_ns[64];
    unsigned granted = 0, streak = 0;
    uint64_t now_ns = below(100);
    for (unsigned i = 0; i < spends; i++) {
        now_ns += below(4) == 0 ? below(3 * options.within_ns) : below(options.within_ns / 4 + 1);
        unsigned within = 0;
        for (unsigned j = 0; j < granted; j++)
            within += now_ns - granted_ns[j] < options.within_ns;
        uint64_t wait_ns = 0;
        bool spent = budget_spend(budget, now_ns, &wait_ns);
        assert(spent == (within < options.max));
        assert(budget_used(budget) == within + spent);
        if (!spent)
            continue;
        streak = within > 0 ? streak + 1 : 1;
        granted_ns[granted++] = now_ns;
        uint64_t plain_ns = options.backoff_ns;
        for (unsigned k = 1; k < streak && plain_ns < options.backoff_limit_ns; k++)
            plain_ns *= 2;
        if (plain_ns > options.backoff_limit_ns)
            plain_ns = options.backoff_limit_ns;
        assert(wait_ns >= options.backoff_ns && wait_ns <= options.backoff_limit_ns);
        assert(wait_ns >= plain_ns - plain_ns / 4 && wait_ns <= plain_ns + plain_ns / 4);
    }
    free(budget);
}

int main(void)
{
    test_window();
    test_backoff();
    test_jitter();
    for (unsigned i = 0; i < 100000; i++)
        check_case(1 + (unsigned)below(40));
    return 0;
}
