/*
 * arena.h -- the memory of one lua_State: bump allocation with size classes,
 * in chunks that come from a process-wide store and go back whole.
 *
 * It is the state's memory limit and its figure for `ps` in one. Only the
 * thread that runs the state may use it. Dropping an arena frees everything
 * in it without a walk, which is what makes ending an actor cheap.
 *
 * A freed block serves later blocks of its class or smaller ones. Only when the
 * arena would pass its limit are free neighbours joined, and chunks that are
 * wholly free given back. So that waste, too, stays bounded, the memory taken
 * from the process may pass the limit by a thirty-second part (and 64 KiB) at
 * most.
 *
 * Under a sanitizer every block is malloc's, so that it sees each use after
 * free; limit and drop work all the same.
 */
#ifndef TROUPE_SCRIPT_ARENA_H
#define TROUPE_SCRIPT_ARENA_H

#include "base/base.h"

#include <stdatomic.h>

#define ARENA_CLASS_COUNT 36
#define ARENA_CLASS_LIMIT 2048 /* larger blocks are by themselves, counted and listed too */

struct arena {
    char  *bump, *bump_end;                /* what is left of the newest chunk */
    void  *free_blocks[ARENA_CLASS_COUNT]; /* per class, a list through the blocks' first word */
    struct arena_chunk *chunks;
    struct arena_large *large; /* list, so that a drop finds them */
    size_t used;               /* bytes the state holds */
    size_t peak;               /* of used */
    size_t held;               /* bytes taken from the process for it: chunks and large blocks */
    _Atomic size_t *shown;     /* where `held` is to be shown; NULL: nowhere */
    size_t limit;              /* an allocation beyond it fails; 0: none */
    size_t ceiling;            /* the limit, or SIZE_MAX */
    size_t crumbs;             /* held and not used: least seen at the limit since joined */
    size_t pieces;             /* that joining left, and chunks: what the next time costs */
    bool   refused;            /* an allocation failed because of the limit (not of the system) */
};

void arena_init(struct arena *arena, size_t limit_bytes);

/* From now on whoever reads *shown sees how many bytes the process has given for the
 * arena, on any thread; it must outlive the arena. */
void arena_show(struct arena *arena, _Atomic size_t *shown);

/* Another limit from now on; what is held already stays. */
void arena_set_limit(struct arena *arena, size_t limit_bytes);

/* A lua_Alloc; `context` is the arena. Asks fault_hit() for each growth; making
 * a block smaller never fails. */
void *arena_allocate(void *context, void *block, size_t old_size, size_t new_size);

/* Joins what is free and gives back to the process what it can. What cannot be had
 * otherwise makes the arena do so itself, if enough has been freed since the last
 * time; for whoever has just freed much. O(n log n) in the number of free blocks. */
void arena_join(struct arena *arena);

/* Frees all memory at once; the arena is as after arena_init(). */
void arena_drop(struct arena *arena);

#endif
