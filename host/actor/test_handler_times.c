/* test_handler_times.c -- the promises of handler_times.h. */
#include "actor/handler_times.h"

#include <assert.h>
#include <string.h>

static struct handler_times times;

static bool is_near(uint64_t value, uint64_t wanted)
{
    return value >= wanted - wanted / 8 && value <= wanted + wanted / 8;
}

int main(void)
{
    assert(sizeof times <= 256);

    /* Of nothing there is nothing to say. */
    assert(handler_times_quantile(&times, 0.5) == 0 && handler_times_most(&times) == 0);

    /* One is every quantile. */
    handler_times_add(&times, 1000000);
    assert(is_near(handler_times_quantile(&times, 0), 1000000));
    assert(is_near(handler_times_quantile(&times, 0.5), 1000000));
    assert(handler_times_quantile(&times, 1) <= handler_times_most(&times));
    assert(handler_times_most(&times) == 1000000);

    /* Quantiles are right within an eighth, from microseconds to seconds. */
    for (uint64_t unit = 1000; unit < 10000000; unit *= 10) {
        memset(&times, 0, sizeof times);
        for (uint64_t i = 1; i <= 1000; i++)
            handler_times_add(&times, i * unit);
        assert(handler_times_count(&times) == 1000);
        assert(is_near(handler_times_quantile(&times, 0.5), 500 * unit));
        assert(is_near(handler_times_quantile(&times, 0.99), 990 * unit));
        assert(handler_times_most(&times) == 1000 * unit);
    }

    /* The shortest and the longest have a place, too. */
    memset(&times, 0, sizeof times);
    handler_times_add(&times, 0);
    handler_times_add(&times, 0);
    handler_times_add(&times, UINT64_MAX / 2);
    assert(handler_times_quantile(&times, 0.5) <= 128);
    assert(handler_times_quantile(&times, 0.99) == UINT64_MAX / 2);

    /* What was long ago is forgotten, and no bucket runs over. */
    memset(&times, 0, sizeof times);
    for (int i = 0; i < 100000; i++)
        handler_times_add(&times, 1000000000);
    for (int i = 0; i < 100000; i++)
        handler_times_add(&times, 1000);
    assert(is_near(handler_times_quantile(&times, 0.99), 1000));
    assert(handler_times_most(&times) == 1000);
    assert(handler_times_count(&times) <= 8192);
    return 0;
}
