/*
 * cpus.c -- see cpus.h.
 */
#include "base/cpus.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool cpus_is_empty(const struct cpus *cpus)
{
    static const struct cpus none;
    return cpus_equal(cpus, &none);
}

bool cpus_equal(const struct cpus *a, const struct cpus *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

const char *cpus_text(const struct cpus *cpus, char *text, size_t room)
{
    const char *separator = "";
    size_t used = (size_t)snprintf(text, room, "{");
    for (unsigned i = 0; i < CPUS_LIMIT && used + 8 < room; i++) {
        if (!cpus_has(cpus, i))
            continue;
        used += (size_t)snprintf(text + used, room - used, "%s%u", separator, i);
        separator = ", ";
    }
    if (used + 1 < room)
        snprintf(text + used, room - used, "}");
    return text;
}

/* The first of `wanted` that is not in `there`; CPUS_LIMIT: all are. */
static unsigned first_missing(const struct cpus *wanted, const cpu_set_t *there)
{
    unsigned number = 0;
    while (number < CPUS_LIMIT &&
           !(cpus_has(wanted, number) && !CPU_ISSET_S(number, sizeof *there, there)))
        number++;
    return number;
}

/* What can be known before: the machine has so many. */
static int check_numbers(const struct cpus *cpus, char *why, size_t room)
{
    long count = sysconf(_SC_NPROCESSORS_CONF);
    for (unsigned i = 0; count > 0 && i < CPUS_LIMIT; i++) {
        if (!cpus_has(cpus, i) || i < (unsigned long)count)
            continue;
        snprintf(why, room, "there is no CPU %u: this machine has 0 to %ld", i, count - 1);
        return -EINVAL;
    }
    return 0;
}

int cpus_pin(struct thread *thread, const struct cpus *cpus, char *why, size_t room)
{
    int err = check_numbers(cpus, why, room);
    if (err != 0)
        return err;
    static_assert(sizeof(cpu_set_t) * 8 == CPUS_LIMIT, "as many as the system's own sets");
    cpu_set_t before, wanted, now;
    CPU_ZERO(&wanted);
    for (unsigned i = 0; i < CPUS_LIMIT; i++)
        if (cpus_has(cpus, i))
            CPU_SET(i, &wanted);

    /* What is not allowed the kernel leaves out, and refuses only if nothing is left. */
    pthread_getaffinity_np(thread->handle, sizeof before, &before);
    CPU_ZERO(&now);
    err = -pthread_setaffinity_np(thread->handle, sizeof wanted, &wanted);
    if (err == 0)
        err = -pthread_getaffinity_np(thread->handle, sizeof now, &now);
    unsigned missing = first_missing(cpus, &now);
    if (err == 0 && missing == CPUS_LIMIT)
        return 0;
    pthread_setaffinity_np(thread->handle, sizeof before, &before);
    snprintf(why, room, "this process may not run on CPU %u", missing);
    return -EINVAL;
}
