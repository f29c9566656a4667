/*
 * arena_join.h -- free memory made whole again: neighbours become one piece,
 * and chunks with nothing else in them are taken out.
 *
 * It takes no memory of its own and knows nothing of size classes. Only the
 * thread that owns pieces and chunks.
 */
#ifndef TROUPE_SCRIPT_ARENA_JOIN_H
#define TROUPE_SCRIPT_ARENA_JOIN_H

#include "base/base.h"

struct arena_chunk;

/* The first words of a free stretch of memory, of 16 bytes or more. */
struct piece {
    struct piece *next;
    size_t size; /* in bytes, with these words */
};

/* Joins what lies side by side in the list `pieces` and returns the list of what
 * remains, by address. Chunks of *chunks that are free from end to end are moved
 * to *empty; their memory is in no piece any more. Each list is linked through
 * `next`; *chunks, too, is by address afterwards. O(n log n). */
struct piece *pieces_join(struct piece *pieces, struct arena_chunk **chunks,
                          struct arena_chunk **empty);

#endif
