/*
 * test_faults.h -- what the tests share in which each allocation of a life fails once.
 */
#ifndef TROUPE_SCRIPT_TEST_FAULTS_H
#define TROUPE_SCRIPT_TEST_FAULTS_H

#include "base/log.h"
#include "base/memory.h"
#include "script/vm.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* A sink of log_set_sink(): so many failures are nothing to read. */
static inline void be_quiet(void *context, enum log_level level, const char *line)
{
    (void)context, (void)level, (void)line;
}

/* Lives again and again, with the first allocation failing, then the one `step` later,
 * and so on until none did, which live(n) says with true. Nothing of a life may be left
 * behind. Returns how many allocations could fail. */
static inline uint64_t fail_each(bool (*live)(uint64_t n), uint64_t step)
{
    /* The first lives make what stays: message types, this thread's scratch. */
    for (int i = 0; i < 3; i++)
        assert(live(UINT64_MAX));
    size_t states = vm_count(), before = memory_used();
    uint64_t n = 1;
    for (; !live(n); n += step) {
        assert(vm_count() == states);
        if (memory_used() != before) {
            fprintf(stderr, "allocation %llu: %zu bytes left behind\n", (unsigned long long)n,
                    memory_used() - before);
            abort();
        }
    }
    return n - 1;
}

#endif
