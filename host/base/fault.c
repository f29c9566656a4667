/*
 * fault.c -- see fault.h: one counter for all threads.
 */
#include "base/fault.h"

#ifdef TROUPE_FAULTS

#include <stdatomic.h>

static _Atomic uint64_t asked;
static _Atomic uint64_t failing; /* which of those asked; 0: none */

void fault_arm(uint64_t n)
{
    atomic_store(&failing, 0);
    atomic_store(&asked, 0);
    atomic_store(&failing, n);
}

uint64_t fault_count(void)
{
    return atomic_load(&asked);
}

bool fault_hit(void)
{
    /* The count passes each number once, so one call only sees the match. */
    uint64_t mine = atomic_fetch_add(&asked, 1) + 1;
    return mine == atomic_load(&failing);
}

#endif
