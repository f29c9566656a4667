/*
 * arena_store.h -- the process-wide store that arenas take their chunks from.
 *
 * Chunks of one size are cut from regions, which are mapped and populated in
 * one go: a page fault each would cost a new actor more than all of Lua does.
 * A region none of whose chunks is in use goes back to the system, but for a
 * few that are kept for the next actors. Any thread.
 *
 * What is too large for a chunk is malloc's, or mapped if it is very large: malloc
 * may keep that when it is freed, much longer than an actor lives.
 */
#ifndef TROUPE_SCRIPT_ARENA_STORE_H
#define TROUPE_SCRIPT_ARENA_STORE_H

#include "base/base.h"

#define CHUNK_MIN   1024u
#define CHUNK_FIRST 8192u
#define CHUNK_SIZES 7u /* 1, 2, 4, 8, 16, 32 and 64 KiB */

struct region;

struct arena_chunk {
    struct arena_chunk *next;   /* in the arena, or in its region's free list */
    struct region      *region;
};

/* Bytes of a chunk of size class 0 to CHUNK_SIZES - 1, its head included. */
static inline size_t chunk_bytes(unsigned size_class)
{
    return (size_t)CHUNK_MIN << size_class;
}

/* Bytes of this chunk, its head included. */
size_t chunk_size(const struct arena_chunk *chunk);

/* A chunk, or NULL when there is no memory. */
struct arena_chunk *chunk_get(unsigned size_class);

/* Gives back a list of chunks linked through `next`. */
void chunks_put(struct arena_chunk *chunk);

/* Bytes that all arenas of the process have from the system. Any thread. */
size_t arena_store_held(void);

/* Memory by itself, aligned to 16; NULL when there is none. Who has it remembers
 * its size, and tells it when resizing it or giving it back. */
void *stretch_get(size_t bytes);
void  stretch_put(void *stretch, size_t bytes);

/* Moves it, with as much of its contents as fits. NULL when there is no memory;
 * then it is as it was. */
void *stretch_resize(void *stretch, size_t bytes, size_t new_bytes);

#endif
