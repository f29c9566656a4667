/*
 * memory_store.c -- see memory_store.h: a shelf for each size class, slabs to cut
 * blocks from, and how slabs go back.
 *
 * Slabs are aligned to their size, so that a block leads to its slab. They are cut
 * from larger stretches and never unmapped: one that is free has its pages taken
 * away, and serves whatever class needs one next.
 */
#include "base/memory_store.h"

#include "base/thread.h"

#include <stdatomic.h>
#include <sys/mman.h>

#ifndef TROUPE_SANITIZED

#define SLAB_BYTES    ((size_t)256 * 1024)
#define SLAB_HEAD     CACHE_LINE
#define SLABS_AT_ONCE 16

struct slab {
    struct slab *next;
    char        *cut;  /* where the next block begins */
    char        *end;
    uint32_t     free; /* store_trim()'s: how many of its blocks it has seen; and: */
    struct slab *next_freed;
};
_Static_assert(sizeof(struct slab) <= SLAB_HEAD, "a slab's head has a cache line");

struct shelf {
    struct spin   spin;
    struct block *batches; /* guarded by spin; full ones */
    struct block *loose;   /* guarded by spin; single blocks */
    struct slab  *slabs;   /* guarded by spin; those with something left to cut */
} __attribute__((aligned(CACHE_LINE)));

static struct shelf shelves[CLASS_COUNT];

static struct lock    empty_lock = {PTHREAD_MUTEX_INITIALIZER};
static struct slab   *empty; /* guarded by empty_lock; their pages, but for the head's, are gone */
static _Atomic size_t held;

size_t store_held(void)
{
    return atomic_load_explicit(&held, memory_order_relaxed);
}

/* ---- Slabs ----------------------------------------------------------------- */

/* Maps some more, aligned. False: no memory. */
static bool map_slabs_locked(void)
{
    size_t size = (SLABS_AT_ONCE + 1) * SLAB_BYTES;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    size_t before = (SLAB_BYTES - (uintptr_t)memory % SLAB_BYTES) % SLAB_BYTES;
    if (before > 0)
        munmap(memory, before);
    munmap(memory + before + SLABS_AT_ONCE * SLAB_BYTES, SLAB_BYTES - before);
    for (size_t i = SLABS_AT_ONCE; i > 0; i--) {
        struct slab *slab = (void *)(memory + before + (i - 1) * SLAB_BYTES);
        slab->next = empty;
        empty = slab;
    }
    return true;
}

static struct slab *slab_new(void)
{
    lock_acquire(&empty_lock);
    struct slab *slab = empty != NULL || map_slabs_locked() ? empty : NULL;
    if (slab != NULL)
        empty = slab->next;
    lock_release(&empty_lock);
    if (slab == NULL)
        return NULL;
    *slab = (struct slab){
        .cut = (char *)slab + SLAB_HEAD,
        .end = (char *)slab + SLAB_BYTES,
    };
    atomic_fetch_add_explicit(&held, SLAB_BYTES, memory_order_relaxed);
    return slab;
}

static void slab_free(struct slab *slab)
{
    madvise(slab, SLAB_BYTES, MADV_DONTNEED);
    atomic_fetch_sub_explicit(&held, SLAB_BYTES, memory_order_relaxed);
    lock_acquire(&empty_lock);
    slab->next = empty;
    empty = slab;
    lock_release(&empty_lock);
}

static struct slab *slab_of(const struct block *block)
{
    return (struct slab *)((uintptr_t)block & ~(uintptr_t)(SLAB_BYTES - 1));
}

/* Cuts up to a batch's length off the slab; outside any lock the caller makes
 * a list of it. */
static char *slab_cut(struct slab *slab, size_t bytes, unsigned *count)
{
    char *start = slab->cut;
    size_t left = (size_t)(slab->end - start) / bytes;
    *count = left < BATCH ? (unsigned)left : BATCH;
    slab->cut += *count * bytes;
    return start;
}

static bool slab_is_empty(const struct slab *slab, size_t bytes)
{
    return (size_t)(slab->end - slab->cut) < bytes;
}

static bool slab_is_free(const struct slab *slab, size_t bytes)
{
    return slab->free * bytes == (size_t)(slab->cut - (const char *)slab) - SLAB_HEAD;
}

/* ---- Taking and putting ------------------------------------------------------ */

void store_put_batch(unsigned class, struct block *first)
{
    struct shelf *shelf = &shelves[class];
    spin_acquire(&shelf->spin);
    first->next_batch = shelf->batches;
    shelf->batches = first;
    spin_release(&shelf->spin);
}

void store_put_loose(unsigned class, struct block *first)
{
    if (first == NULL)
        return;
    struct block *last = first;
    while (last->next != NULL)
        last = last->next;

    struct shelf *shelf = &shelves[class];
    spin_acquire(&shelf->spin);
    last->next = shelf->loose;
    shelf->loose = first;
    spin_release(&shelf->spin);
}

static struct block *make_list(char *start, size_t bytes, unsigned count)
{
    struct block *first = NULL;
    for (unsigned i = count; i > 0; i--) {
        struct block *block = (struct block *)(void *)(start + (i - 1) * bytes);
        block->next = first;
        first = block;
    }
    return first;
}

static void put_slab(unsigned class, struct slab *slab)
{
    struct shelf *shelf = &shelves[class];
    spin_acquire(&shelf->spin);
    slab->next = shelf->slabs;
    shelf->slabs = slab;
    spin_release(&shelf->spin);
}

struct block *store_take(unsigned class, unsigned *count)
{
    struct shelf *shelf = &shelves[class];
    size_t bytes = class_bytes(class);

    spin_acquire(&shelf->spin);
    struct block *first = shelf->batches;
    if (first != NULL) {
        shelf->batches = first->next_batch;
        spin_release(&shelf->spin);
        *count = BATCH;
        return first;
    }
    first = shelf->loose;
    if (first != NULL) {
        struct block *last = first;
        for (*count = 1; *count < BATCH && last->next != NULL; ++*count)
            last = last->next;
        shelf->loose = last->next;
        spin_release(&shelf->spin);
        last->next = NULL;
        return first;
    }
    struct slab *slab = shelf->slabs;
    if (slab != NULL) {
        char *start = slab_cut(slab, bytes, count);
        if (slab_is_empty(slab, bytes))
            shelf->slabs = slab->next;
        spin_release(&shelf->spin);
        return make_list(start, bytes, *count);
    }
    spin_release(&shelf->spin);

    slab = slab_new();
    if (slab == NULL)
        return NULL;
    char *start = slab_cut(slab, bytes, count);
    put_slab(class, slab);
    return make_list(start, bytes, *count);
}

/* ---- Giving back --------------------------------------------------------------- */

/* The blocks of a shelf, in one list. */
static struct block *join(struct block *batches, struct block *loose)
{
    struct block *all = loose;
    for (struct block *batch = batches, *next; batch != NULL; batch = next) {
        next = batch->next_batch;
        struct block *last = batch;
        while (last->next != NULL)
            last = last->next;
        last->next = all;
        all = batch;
    }
    return all;
}

/* Takes those of free slabs out of the list, and collects these slabs. */
static struct block *sort_out(struct block *all, size_t bytes, struct slab **freed)
{
    struct block *kept = NULL;
    for (struct block *block = all, *next; block != NULL; block = next) {
        next = block->next;
        struct slab *slab = slab_of(block);
        if (slab->free != 0 && slab_is_free(slab, bytes)) {
            slab->free = 0;
            slab->end = NULL; /* it goes */
            slab->next_freed = *freed;
            *freed = slab;
        }
        if (slab->end == NULL)
            continue;
        block->next = kept;
        kept = block;
    }
    return kept;
}

/* Gives the list back, in batches. */
static void put_all(unsigned class, struct block *all)
{
    while (all != NULL) {
        struct block *first = all, *last = all;
        unsigned count = 1;
        for (; count < BATCH && last->next != NULL; count++)
            last = last->next;
        all = last->next;
        last->next = NULL;
        for (struct block *each = first; each != NULL; each = each->next)
            slab_of(each)->free = 0;
        if (count == BATCH)
            store_put_batch(class, first);
        else
            store_put_loose(class, first);
    }
}

static void trim_class(unsigned class)
{
    struct shelf *shelf = &shelves[class];
    spin_acquire(&shelf->spin);
    struct block *batches = shelf->batches, *loose = shelf->loose;
    struct slab *slabs = shelf->slabs, *freed = NULL;
    shelf->batches = shelf->loose = NULL;
    shelf->slabs = NULL; /* nothing is cut from them meanwhile */
    spin_release(&shelf->spin);

    struct block *all = join(batches, loose);
    for (struct block *each = all; each != NULL; each = each->next)
        slab_of(each)->free++;
    all = sort_out(all, class_bytes(class), &freed);
    put_all(class, all);
    for (struct slab *slab = slabs, *next; slab != NULL; slab = next) {
        next = slab->next;
        if (slab->end != NULL)
            put_slab(class, slab);
    }
    for (struct slab *slab = freed, *next; slab != NULL; slab = next) {
        next = slab->next_freed;
        slab_free(slab);
    }
}

void store_trim(void)
{
    static struct lock trimming = {PTHREAD_MUTEX_INITIALIZER};
    lock_acquire(&trimming); /* a slab's count is one trimmer's */
    for (unsigned class = 0; class < CLASS_COUNT; class++)
        trim_class(class);
    lock_release(&trimming);
}

#endif
