/*
 * fault.h -- test builds only: make the n-th allocation fail.
 *
 * Compiled in with -DTROUPE_FAULTS; otherwise fault_hit() is a constant and
 * costs nothing. Every allocation of ours (base/memory.h, the allocator of a
 * lua_State) asks fault_hit() first.
 */
#ifndef TROUPE_BASE_FAULT_H
#define TROUPE_BASE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef TROUPE_FAULTS
/* Makes the n-th fault_hit() from now on (1 = the very next) on any thread
 * answer true, once. 0 disarms. */
void fault_arm(uint64_t n);

/* How many times fault_hit() was asked since fault_arm(). */
uint64_t fault_count(void);

/* Whether this call is the one that must fail. Any thread. */
bool fault_hit(void);
#else
static inline bool fault_hit(void) { return false; }
#endif

#endif
