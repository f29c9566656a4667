/* test_cpus.c -- the promises of cpus.h. */
#include "base/cpus.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

static atomic_uint over;

static void *idle(void *nothing)
{
    while (atomic_load(&over) == 0)
        park_wait(&over, 0, UINT64_MAX);
    return nothing;
}

/* The lowest CPU that the thread may run on, and how many these are. */
static unsigned first_of(struct thread *thread, int *count)
{
    cpu_set_t set;
    assert(pthread_getaffinity_np(thread->handle, sizeof set, &set) == 0);
    *count = CPU_COUNT(&set);
    unsigned first = 0;
    while (!CPU_ISSET(first, &set))
        first++;
    return first;
}

int main(void)
{
    struct cpus some = { { 0 } }, others = { { 0 } };
    char text[40], why[120];

    /* A set has what was added, and knows another like it. */
    assert(cpus_is_empty(&some) && cpus_equal(&some, &others));
    cpus_add(&some, 0);
    cpus_add(&some, 65);
    cpus_add(&some, CPUS_LIMIT - 1);
    assert(cpus_has(&some, 65) && !cpus_has(&some, 64) && !cpus_is_empty(&some));
    assert(!cpus_equal(&some, &others));

    /* It can be read, as far as there is room. */
    assert(strcmp(cpus_text(&some, text, sizeof text), "{0, 65, 1023}") == 0);
    assert(strcmp(cpus_text(&others, text, sizeof text), "{}") == 0);
    cpus_text(&some, text, 8);
    assert(strlen(text) < 8 && text[0] == '{');

    /* A thread is pinned to a CPU that it may run on ... */
    struct thread thread;
    int before, count;
    assert(thread_start(&thread, "idle", 0, idle, NULL) == 0);
    unsigned cpu = first_of(&thread, &before);
    cpus_add(&others, cpu);
    assert(cpus_pin(&thread, &others, why, sizeof why) == 0);
    assert(first_of(&thread, &count) == cpu && count == 1);

    /* ... and one that there is not is named, and changes nothing. */
    assert(cpus_pin(&thread, &some, why, sizeof why) == -EINVAL);
    assert(strstr(why, "there is no CPU ") == why);
    assert(first_of(&thread, &count) == cpu && count == 1);

    atomic_store(&over, 1);
    park_wake(&over, 1);
    thread_join(&thread);
    return 0;
}
