/*
 * memory_store.h -- where the threads' caches of free blocks (base/memory.c) get
 * theirs, and bring what they have too much of. Nobody else includes it but tests.
 *
 * Blocks of one size class are cut from slabs. A slab none of whose blocks is in
 * use can be given back: see memory_tidy(). Any thread.
 */
#ifndef TROUPE_BASE_MEMORY_STORE_H
#define TROUPE_BASE_MEMORY_STORE_H

#include "base/base.h"

/* Classes: every 16 bytes up to 256, then four to each doubling up to 2048. */
#define FINE_LIMIT   256
#define FINE_CLASSES (FINE_LIMIT / 16)
#define CLASS_COUNT  (FINE_CLASSES + 12)
#define BATCH        32

struct block {
    struct block *next;       /* in its batch */
    struct block *next_batch; /* of the first block of a batch in the store */
};

static inline unsigned class_of(size_t size)
{
    if (LIKELY(size <= FINE_LIMIT))
        return (unsigned)((size + (size == 0) - 1) / 16);
    unsigned top = 31U - (unsigned)__builtin_clz((unsigned)size - 1); /* 8, 9 or 10 */
    unsigned quarter = ((unsigned)(size - 1) >> (top - 2)) & 3;
    return FINE_CLASSES + (top - 8) * 4 + quarter;
}

static inline size_t class_bytes(unsigned class)
{
    if (class < FINE_CLASSES)
        return (class + 1) * 16;
    unsigned coarse = class - FINE_CLASSES;
    return (size_t)(5 + coarse % 4) << (6 + coarse / 4);
}

/* A list of 1 to BATCH blocks, `*count` of them, or NULL when there is no memory. */
struct block *store_take(unsigned class, unsigned *count);

/* Gives back a list of exactly BATCH blocks. */
void store_put_batch(unsigned class, struct block *first);
/* Gives back a list that need not be a whole batch; NULL is fine. */
void store_put_loose(unsigned class, struct block *first);

/* Bytes of the slabs that are not wholly free. */
size_t store_held(void);

/* Gives the memory of all slabs that are wholly free back to the system. Blocks in
 * the caches of threads count as used. It looks at each free block. */
void store_trim(void);

#endif
