/*
 * How it works: each size class has a bin in each thread and a shelf in the
 * shared store (base/memory_store.h). A bin holds up to two batches of free
 * blocks, one in use and one spare; the spare keeps a thread that goes to and
 * fro across a batch's edge away from the store. Whole batches move between bin
 * and shelf in a few instructions, linked through the free blocks themselves.
 */
#include "base/memory.h"

#include "base/base.h"
#include "base/fault.h"
#include "base/memory_store.h"
#include "base/thread.h"

#include <malloc.h>
#include <stdatomic.h>
#include <string.h>

/* malloc wants at least one byte, or may answer NULL where there is memory. */
static void *system_get(size_t size)
{
    return malloc(size > 0 ? size : 1);
}

#ifdef TROUPE_SANITIZED

static _Atomic size_t used;

static void used_add(size_t size)
{
    atomic_fetch_add_explicit(&used, size, memory_order_relaxed);
}

size_t memory_used(void)
{
    return atomic_load_explicit(&used, memory_order_relaxed);
}

void *memory_get(size_t size)
{
    if (fault_hit())
        return NULL;
    void *block = system_get(size);
    if (block != NULL)
        used_add(size);
    return block;
}

void memory_put(void *block, size_t size)
{
    if (block == NULL)
        return;
    used_add((size_t)0 - size);
    free(block);
}

void *memory_resize(void *block, size_t size, size_t new_size)
{
    /* Always to another place, so that a stale pointer is seen. */
    void *moved = memory_get(new_size);
    if (moved != NULL && block != NULL) {
        memcpy(moved, block, size < new_size ? size : new_size);
        memory_put(block, size);
    }
    return moved;
}

void memory_tidy(void)
{
}

#else /* not TROUPE_SANITIZED */

#define TIDY_BYTES (16u << 20) /* less than that is not worth while */

struct bin {
    struct block *first; /* the batch in use; NULL: none left */
    struct block *spare; /* a full batch, or NULL */
    unsigned      room;  /* how many more blocks fit the batch in use */
};

/* Zero at first, so that a thread's first get and first put in each class
 * take the slow path, which makes the cache known. */
struct cache {
    struct bin bins[CLASS_COUNT];
    enum {
        CACHE_UNKNOWN, /* not used yet */
        CACHE_KNOWN,   /* in `caches`, and given back when the thread ends */
        CACHE_OFF,     /* the thread is ending (or has no way to tell us when it
                        * does): bins stay empty, blocks go to the shelves */
    } state;
    _Atomic size_t used; /* written by its thread only; wraps below zero when the
                          * thread frees what others made */
    struct cache  *next, *previous; /* guarded by caches_lock */
};

static struct lock    caches_lock = {PTHREAD_MUTEX_INITIALIZER};
static struct cache  *caches;    /* guarded by caches_lock */
static _Atomic size_t used_past; /* by threads that ended, or have no cache */

static pthread_once_t ending_once = PTHREAD_ONCE_INIT;
static pthread_key_t  ending_key; /* its destructor hears of each ending thread */
static bool           ending_known;

static __thread struct cache cache __attribute__((tls_model("initial-exec")));

/* ---- Counting ---------------------------------------------------------- */

/* Only while the cache is known: a load and a store, as nobody else writes. */
static inline void used_add(size_t size)
{
    size_t now = atomic_load_explicit(&cache.used, memory_order_relaxed);
    atomic_store_explicit(&cache.used, now + size, memory_order_relaxed);
}

static void used_add_slow(size_t size)
{
    if (cache.state == CACHE_KNOWN)
        used_add(size);
    else
        atomic_fetch_add_explicit(&used_past, size, memory_order_relaxed);
}

size_t memory_used(void)
{
    lock_acquire(&caches_lock);
    size_t used = atomic_load_explicit(&used_past, memory_order_relaxed);
    for (struct cache *each = caches; each != NULL; each = each->next)
        used += atomic_load_explicit(&each->used, memory_order_relaxed);
    lock_release(&caches_lock);
    return used;
}

static size_t free_bytes(void)
{
    size_t bytes = store_held(), in_use = memory_used();
    return bytes > in_use ? bytes - in_use : 0;
}

void memory_tidy(void)
{
    static _Atomic size_t could_not; /* what was free and stayed, last time */
    size_t before = free_bytes(), stayed = atomic_load_explicit(&could_not, memory_order_relaxed);
    if (before < TIDY_BYTES || before < memory_used() || before < 2 * stayed)
        return;
    store_trim();
    malloc_trim(0);
    atomic_store_explicit(&could_not, free_bytes(), memory_order_relaxed);
}

/* ---- A thread's cache -------------------------------------------------- */

/* Runs on an ending thread. Destructors that come after it may still get and
 * put: the empty bins send them down the slow path. */
static void cache_close(void *unused)
{
    (void)unused;
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        struct bin *bin = &cache.bins[class];
        if (bin->spare != NULL)
            store_put_batch(class, bin->spare);
        store_put_loose(class, bin->first);
        *bin = (struct bin){0};
    }

    lock_acquire(&caches_lock);
    if (cache.previous != NULL)
        cache.previous->next = cache.next;
    else
        caches = cache.next;
    if (cache.next != NULL)
        cache.next->previous = cache.previous;
    cache.state = CACHE_OFF;
    used_add_slow(atomic_load_explicit(&cache.used, memory_order_relaxed));
    lock_release(&caches_lock);
}

static void make_ending_key(void)
{
    ending_known = pthread_key_create(&ending_key, cache_close) == 0;
}

static void cache_open(void)
{
    pthread_once(&ending_once, make_ending_key);
    if (!ending_known || pthread_setspecific(ending_key, &cache) != 0) {
        cache.state = CACHE_OFF;
        return;
    }
    lock_acquire(&caches_lock);
    cache.next = caches;
    if (caches != NULL)
        caches->previous = &cache;
    caches = &cache;
    cache.state = CACHE_KNOWN;
    lock_release(&caches_lock);
}

/* The bin's batch in use is used up. */
static __attribute__((noinline)) void *get_slow(unsigned class, size_t size)
{
    if (cache.state == CACHE_UNKNOWN)
        cache_open();

    struct bin *bin = &cache.bins[class];
    unsigned count = BATCH;
    struct block *first = bin->spare;
    if (first != NULL) {
        bin->spare = NULL;
    } else {
        first = store_take(class, &count);
        if (first == NULL)
            return NULL;
    }
    if (cache.state == CACHE_KNOWN) {
        bin->first = first->next;
        bin->room = BATCH - count + 1;
    } else {
        store_put_loose(class, first->next);
    }
    used_add_slow(size);
    return first;
}

/* The bin's batch in use is full, or not begun. */
static __attribute__((noinline)) void put_slow(struct block *block, unsigned class, size_t size)
{
    if (cache.state == CACHE_UNKNOWN)
        cache_open();

    used_add_slow((size_t)0 - size);
    block->next = NULL;
    if (cache.state != CACHE_KNOWN) {
        store_put_loose(class, block);
        return;
    }
    struct bin *bin = &cache.bins[class];
    if (bin->first != NULL) {
        if (bin->spare != NULL)
            store_put_batch(class, bin->spare);
        bin->spare = bin->first;
    }
    bin->first = block;
    bin->room = BATCH - 1;
}

/* ---- Blocks ------------------------------------------------------------ */

static __attribute__((noinline)) void *get_large(size_t size)
{
    if (cache.state == CACHE_UNKNOWN)
        cache_open();
    void *block = system_get(size);
    if (block != NULL)
        used_add_slow(size);
    return block;
}

static __attribute__((noinline)) void put_large(void *block, size_t size)
{
    if (cache.state == CACHE_UNKNOWN)
        cache_open();
    used_add_slow((size_t)0 - size);
    free(block);
}

void *memory_get(size_t size)
{
    if (fault_hit())
        return NULL;
    if (UNLIKELY(size > MEMORY_SMALL_LIMIT))
        return get_large(size);

    unsigned class = class_of(size);
    struct bin *bin = &cache.bins[class];
    struct block *block = bin->first;
    if (UNLIKELY(block == NULL))
        return get_slow(class, size);
    bin->first = block->next;
    bin->room++;
    used_add(size);
    return block;
}

void memory_put(void *block, size_t size)
{
    if (block == NULL)
        return;
    if (UNLIKELY(size > MEMORY_SMALL_LIMIT)) {
        put_large(block, size);
        return;
    }

    unsigned class = class_of(size);
    struct bin *bin = &cache.bins[class];
    if (UNLIKELY(bin->room == 0)) {
        put_slow(block, class, size);
        return;
    }
    struct block *freed = block;
    freed->next = bin->first;
    bin->first = freed;
    bin->room--;
    used_add((size_t)0 - size);
}

void *memory_resize(void *block, size_t size, size_t new_size)
{
    if (block == NULL)
        return memory_get(new_size);

    bool was_small = size <= MEMORY_SMALL_LIMIT;
    bool is_small = new_size <= MEMORY_SMALL_LIMIT;
    bool in_place = was_small && is_small && class_of(size) == class_of(new_size);
    if (in_place || (!was_small && !is_small)) {
        if (fault_hit())
            return NULL;
        void *moved = in_place ? block : realloc(block, new_size);
        if (moved != NULL) {
            if (cache.state == CACHE_UNKNOWN)
                cache_open();
            used_add_slow(new_size - size);
        }
        return moved;
    }

    void *moved = memory_get(new_size);
    if (moved != NULL) {
        memcpy(moved, block, size < new_size ? size : new_size);
        memory_put(block, size);
    }
    return moved;
}

#endif /* not TROUPE_SANITIZED */

void *memory_get_zeroed(size_t size)
{
    void *block = memory_get(size);
    if (block != NULL)
        memset(block, 0, size);
    return block;
}

char *memory_copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memory_get(size);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

void memory_free_text(char *text)
{
    if (text != NULL)
        memory_put(text, strlen(text) + 1);
}
