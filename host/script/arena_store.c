/*
 * arena_store.c -- see arena_store.h.
 */
#include "script/arena_store.h"

#include "base/thread.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REGION_BYTES    (256u * 1024)
#define SPARE_REGIONS   8u /* of one chunk size */

struct region {
    struct region      *next, *previous; /* those of a size that have free chunks */
    struct arena_chunk *free_chunks;     /* given back */
    char    *memory;
    unsigned fresh;      /* chunks never handed out: the last ones of `memory` */
    unsigned in_use;
    unsigned size_class;
};

static struct {
    struct lock    lock;
    struct region *usable[CHUNK_SIZES]; /* guarded by lock; regions with something to give */
    unsigned       spare[CHUNK_SIZES];  /* guarded by lock; how many of them are wholly free */
} store = { .lock = { PTHREAD_MUTEX_INITIALIZER } };

static _Atomic size_t held;

size_t arena_store_held(void)
{
    return atomic_load_explicit(&held, memory_order_relaxed);
}

static void count_held(size_t more)
{
    atomic_fetch_add_explicit(&held, more, memory_order_relaxed); /* wraps round to take off */
}

static struct region *region_new(unsigned size_class)
{
    struct region *region = calloc(1, sizeof *region);
    if (region == NULL)
        return NULL;
    void *memory = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) {
        free(region);
        return NULL;
    }
    count_held(REGION_BYTES);
    region->memory = memory;
    region->fresh = (unsigned)(REGION_BYTES / chunk_bytes(size_class));
    region->size_class = size_class;
    return region;
}

/* A list of regions linked through `next`. */
static void regions_free(struct region *region)
{
    for (struct region *next; region != NULL; region = next) {
        next = region->next;
        munmap(region->memory, REGION_BYTES);
        count_held((size_t)0 - REGION_BYTES);
        free(region);
    }
}

static void link_locked(struct region *region)
{
    struct region **head = &store.usable[region->size_class];
    region->previous = NULL;
    region->next = *head;
    if (*head != NULL)
        (*head)->previous = region;
    *head = region;
}

static void unlink_locked(struct region *region)
{
    if (region->previous != NULL)
        region->previous->next = region->next;
    else
        store.usable[region->size_class] = region->next;
    if (region->next != NULL)
        region->next->previous = region->previous;
}

static struct arena_chunk *take_locked(struct region *region)
{
    struct arena_chunk *chunk = region->free_chunks;
    if (region->in_use++ == 0)
        store.spare[region->size_class]--;
    if (chunk != NULL) {
        region->free_chunks = chunk->next;
    } else {
        region->fresh--;
        size_t all = REGION_BYTES / chunk_bytes(region->size_class);
        chunk = (void *)(region->memory
                         + (all - region->fresh - 1) * chunk_bytes(region->size_class));
        chunk->region = region;
    }
    if (region->free_chunks == NULL && region->fresh == 0)
        unlink_locked(region);
    return chunk;
}

size_t chunk_size(const struct arena_chunk *chunk)
{
    return chunk_bytes(chunk->region->size_class); /* fixed by region_new() */
}

struct arena_chunk *chunk_get(unsigned size_class)
{
    lock_acquire(&store.lock);
    struct region *region = store.usable[size_class];
    if (region == NULL) {
        lock_release(&store.lock);
        region = region_new(size_class);
        if (region == NULL)
            return NULL;
        lock_acquire(&store.lock);
        store.spare[size_class]++;
        link_locked(region);
    }
    struct arena_chunk *chunk = take_locked(region);
    lock_release(&store.lock);
    return chunk;
}

/* Gives back a list of chunks. */
void chunks_put(struct arena_chunk *chunk)
{
    struct region *surplus = NULL;
    lock_acquire(&store.lock);
    for (struct arena_chunk *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        struct region *region = chunk->region;
        if (region->free_chunks == NULL && region->fresh == 0)
            link_locked(region);
        chunk->next = region->free_chunks;
        region->free_chunks = chunk;
        if (--region->in_use > 0)
            continue;
        if (store.spare[region->size_class] < SPARE_REGIONS) {
            store.spare[region->size_class]++;
        } else {
            unlink_locked(region);
            region->next = surplus;
            surplus = region;
        }
    }
    lock_release(&store.lock);
    regions_free(surplus);
}

/* ---- Stretches ---------------------------------------------------------------- */

static bool is_mapped(size_t bytes)
{
#ifdef TROUPE_SANITIZED
    (void)bytes;
    return false;
#else
    return bytes >= 256u * 1024;
#endif
}

/* As malloc(), free() and realloc() are, with the size said by the caller. */
static void *system_get(size_t bytes)
{
    if (!is_mapped(bytes))
        return malloc(bytes);
    void *stretch = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return stretch != MAP_FAILED ? stretch : NULL;
}

static void system_put(void *stretch, size_t bytes)
{
    if (is_mapped(bytes))
        munmap(stretch, bytes);
    else
        free(stretch);
}

static void *system_resize(void *stretch, size_t bytes, size_t new_bytes)
{
    if (!is_mapped(bytes) && !is_mapped(new_bytes))
        return realloc(stretch, new_bytes);
    if (is_mapped(bytes) && is_mapped(new_bytes)) {
        void *moved = mremap(stretch, bytes, new_bytes, MREMAP_MAYMOVE);
        return moved != MAP_FAILED ? moved : NULL;
    }
    void *moved = system_get(new_bytes);
    if (moved == NULL)
        return NULL;
    memcpy(moved, stretch, bytes < new_bytes ? bytes : new_bytes);
    system_put(stretch, bytes);
    return moved;
}

void *stretch_get(size_t bytes)
{
    void *stretch = system_get(bytes);
    if (stretch != NULL)
        count_held(bytes);
    return stretch;
}

void stretch_put(void *stretch, size_t bytes)
{
    system_put(stretch, bytes);
    count_held((size_t)0 - bytes);
}

void *stretch_resize(void *stretch, size_t bytes, size_t new_bytes)
{
    void *moved = system_resize(stretch, bytes, new_bytes);
    if (moved != NULL)
        count_held(new_bytes - bytes);
    return moved;
}
