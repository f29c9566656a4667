/*
 * test_histogram.c -- what histogram.h promises.
 */
#include "base/histogram.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct histogram histogram;

static void clear(void)
{
    memset(&histogram, 0, sizeof histogram);
}

static void assert_near(uint64_t expected, uint64_t found)
{
    double difference = (double)found - (double)expected;
    assert(difference <= (double)expected / 100 && -difference <= (double)expected / 100);
}

/* Of nothing everything is 0. */
static void test_empty(void)
{
    clear();
    assert(histogram_quantile(&histogram, 0) == 0);
    assert(histogram_quantile(&histogram, 0.5) == 0);
    assert(histogram_quantile(&histogram, 1) == 0);
}

/* Small values are exact. */
static void test_small(void)
{
    clear();
    for (uint64_t value = 1; value <= 100; value++)
        histogram_add(&histogram, value);
    assert(histogram.count == 100 && histogram.sum == 5050);
    assert(histogram_quantile(&histogram, 0) == 1);
    assert(histogram_quantile(&histogram, 0.5) == 50);
    assert(histogram_quantile(&histogram, 0.99) == 99);
    assert(histogram_quantile(&histogram, 0.991) == 100);
    assert(histogram_quantile(&histogram, 1) == 100);
}

/* Large ones are within 1 %, the ends exact. */
static void test_large(void)
{
    clear();
    for (uint64_t value = 1; value <= 1000000; value++)
        histogram_add(&histogram, value * 977);
    assert(histogram_quantile(&histogram, 0) == 977);
    assert_near(UINT64_C(500000) * 977, histogram_quantile(&histogram, 0.5));
    assert_near(UINT64_C(900000) * 977, histogram_quantile(&histogram, 0.9));
    assert_near(UINT64_C(999000) * 977, histogram_quantile(&histogram, 0.999));
    assert(histogram_quantile(&histogram, 1) == UINT64_C(977000000));
}

/* Any 64-bit value has its place, and alone is exact at every quantile. */
static void test_every_size(void)
{
    for (unsigned bits = 0; bits < 64; bits++) {
        for (int away = -1; away <= 1; away++) {
            uint64_t value = (UINT64_C(1) << bits) + (uint64_t)(int64_t)away;
            clear();
            histogram_add(&histogram, value);
            assert(histogram_quantile(&histogram, 0.5) == value);
            histogram_add(&histogram, 0);
            histogram_add(&histogram, UINT64_MAX);
            assert_near(value, histogram_quantile(&histogram, 0.5));
        }
    }
}

int main(void)
{
    test_empty();
    test_small();
    test_large();
    test_every_size();
    puts("histogram: ok");
    return 0;
}
