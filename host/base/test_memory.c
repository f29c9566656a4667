/*
 * test_memory.c -- the promises of memory.h, alone and between threads.
 */
#include "base/base.h"
#include "base/fault.h"
#include "base/memory.h"
#include "base/memory_store.h"
#include "base/thread.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* A small generator, so that every run is the same. */
static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Every size gives a block of its own, aligned, writable to its last byte. */
static void test_sizes(void)
{
    size_t before = memory_used();
    enum { LIMIT = MEMORY_SMALL_LIMIT + 100 };
    static unsigned char *blocks[LIMIT];
    size_t sum = 0;

    for (size_t size = 0; size < LIMIT; size++) {
        blocks[size] = memory_get(size);
        assert(blocks[size] != NULL);
        assert((uintptr_t)blocks[size] % 16 == 0);
        memset(blocks[size], (int)(size % 251), size);
        sum += size;
    }
    assert(memory_used() - before == sum);
    for (size_t size = 0; size < LIMIT; size++) {
        for (size_t i = 0; i < size; i++)
            assert(blocks[size][i] == size % 251);
        memory_put(blocks[size], size);
    }
    assert(memory_used() == before);
}

/* NULL may be given back; zeroed memory is zero also where it was used before. */
static void test_zeroed(void)
{
    memory_put(NULL, 10);
    memory_free_text(NULL);
    for (int round = 0; round < 100; round++) {
        unsigned char *block = memory_get_zeroed(300);
        for (size_t i = 0; i < 300; i++)
            assert(block[i] == 0);
        memset(block, 0xFF, 300);
        memory_put(block, 300);
    }
}

/* A text is copied whole and freed by its own length. */
static void test_text(void)
{
    size_t before = memory_used();
    char *empty = memory_copy_text("");
    char *copy = memory_copy_text("ping");
    assert(strcmp(empty, "") == 0 && strcmp(copy, "ping") == 0);
    assert(memory_used() - before == 1 + 5);
    memory_free_text(copy);
    memory_free_text(empty);
    assert(memory_used() == before);
}

/* Whichever way it is resized, a block keeps what fits and is counted anew. */
static void test_resize(void)
{
    static const size_t sizes[] = {1, 16, 17, 18, 500, 512, 2048, 2049, 5000, 100000, 3000, 40, 39};
    size_t before = memory_used();
    unsigned char *block = NULL;
    size_t size = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        block = memory_resize(block, size, sizes[i]);
        assert(block != NULL);
        size_t kept = size < sizes[i] ? size : sizes[i];
        for (size_t j = 0; j < kept; j++)
            assert(block[j] == j % 253);
        size = sizes[i];
        for (size_t j = 0; j < size; j++)
            block[j] = (unsigned char)(j % 253);
        assert(memory_used() - before == size);
    }
    memory_put(block, size);
    assert(memory_used() == before);
}

/* In any order of getting and giving back, no block is in two hands. */
static void test_random_order(void)
{
    enum { HELD = 500, STEPS = 200000 };
    static struct { unsigned char *block; size_t size; unsigned char mark; } held[HELD];
    size_t before = memory_used();
    uint32_t state = 7;
    for (int step = 0; step < STEPS + HELD; step++) {
        size_t i = step < STEPS ? random_next(&state) % HELD : (size_t)(step - STEPS);
        if (held[i].block != NULL) {
            for (size_t j = 0; j < held[i].size; j += 7)
                assert(held[i].block[j] == held[i].mark);
            memory_put(held[i].block, held[i].size);
            held[i].block = NULL;
        } else if (step < STEPS) {
            held[i].size = random_next(&state) % 700;
            held[i].mark = (unsigned char)step;
            held[i].block = memory_get(held[i].size);
            assert(held[i].block != NULL);
            memset(held[i].block, held[i].mark, held[i].size);
        }
    }
    assert(memory_used() == before);
}

/* ---- Blocks that change threads ---------------------------------------- */

enum { PARCELS = 60000, RING = 256 };

struct parcel {
    size_t   size;
    uint32_t number;
};

/* Hands parcels from one thread to the next. */
struct ring {
    struct lock    lock;
    struct signal  changed;
    struct parcel *parcels[RING]; /* guarded by lock */
    size_t         first, count;  /* guarded by lock */
};

static void ring_put(struct ring *ring, struct parcel *parcel)
{
    lock_acquire(&ring->lock);
    while (ring->count == RING)
        signal_wait(&ring->changed, &ring->lock);
    ring->parcels[(ring->first + ring->count++) % RING] = parcel;
    signal_all(&ring->changed);
    lock_release(&ring->lock);
}

static struct parcel *ring_take(struct ring *ring)
{
    lock_acquire(&ring->lock);
    while (ring->count == 0)
        signal_wait(&ring->changed, &ring->lock);
    struct parcel *parcel = ring->parcels[ring->first];
    ring->first = (ring->first + 1) % RING;
    ring->count--;
    signal_all(&ring->changed);
    lock_release(&ring->lock);
    return parcel;
}

static void *produce(void *argument)
{
    uint32_t state = 3;
    for (uint32_t number = 0; number < PARCELS; number++) {
        size_t size = sizeof(struct parcel) + random_next(&state) % 2500;
        struct parcel *parcel = memory_get(size);
        assert(parcel != NULL);
        memset(parcel, (int)number, size);
        *parcel = (struct parcel){.size = size, .number = number};
        ring_put(argument, parcel);
    }
    return NULL;
}

static void *consume(void *argument)
{
    for (uint32_t number = 0; number < PARCELS; number++) {
        struct parcel *parcel = ring_take(argument);
        assert(parcel->number == number);
        const unsigned char *bytes = (const unsigned char *)parcel;
        for (size_t i = sizeof *parcel; i < parcel->size; i += 61)
            assert(bytes[i] == (unsigned char)number);
        memory_put(parcel, parcel->size);
    }
    return NULL;
}

/* What one thread makes another may free; threads that ended leave no count. */
static void test_handed_over(void)
{
    static struct ring rings[2];
    struct thread threads[4];
    size_t before = memory_used();
    for (size_t i = 0; i < 2; i++) {
        lock_init(&rings[i].lock);
        signal_init(&rings[i].changed);
        assert(thread_start(&threads[2 * i], "produce", 0, produce, &rings[i]) == 0);
        assert(thread_start(&threads[2 * i + 1], "consume", 0, consume, &rings[i]) == 0);
    }
    for (size_t i = 0; i < 4; i++)
        thread_join(&threads[i]);
    for (size_t i = 0; i < 2; i++) {
        signal_fini(&rings[i].changed);
        lock_fini(&rings[i].lock);
    }
    assert(memory_used() == before);
}

/* ---- Threads that end -------------------------------------------------- */

static pthread_key_t late_key;

/* Runs among the destructors of an ending thread, before or after ours. */
static void allocate_late(void *remaining)
{
    for (size_t size = 1; size < 3000; size += 13) {
        void *block = memory_get(size);
        assert(block != NULL);
        memset(block, 1, size);
        block = memory_resize(block, size, size + 20);
        assert(block != NULL);
        memory_put(block, size + 20);
    }
    uintptr_t rounds_left = (uintptr_t)remaining - 1;
    assert(pthread_setspecific(late_key, (void *)rounds_left) == 0);
}

static void *end_late(void *block)
{
    memory_put(block, 100);
    assert(pthread_setspecific(late_key, (void *)(uintptr_t)3) == 0);
    return NULL;
}

/* A thread may allocate to its very end; what it left is counted to the byte. */
static void test_ending_threads(void)
{
    assert(pthread_key_create(&late_key, allocate_late) == 0);
    size_t before = memory_used();
    for (int i = 0; i < 50; i++) {
        void *block = memory_get(100);
        struct thread thread;
        assert(thread_start(&thread, "late", 0, end_late, block) == 0);
        thread_join(&thread);
    }
    assert(memory_used() == before);
    assert(pthread_key_delete(late_key) == 0);
}

/* ---- Faults ------------------------------------------------------------ */

#ifdef TROUPE_FAULTS
/* The n-th allocation fails, once, and nothing is counted for it. */
static void test_faults(void)
{
    size_t before = memory_used();
    fault_arm(3);
    void *first = memory_get(10);
    void *second = memory_get(5000);
    assert(first != NULL && second != NULL);
    assert(memory_get_zeroed(10) == NULL);
    assert(fault_count() == 3);
    memory_put(first, 10);
    memory_put(second, 5000);

    /* A resize that fails leaves the old block as it was. */
    char *block = memory_get(10);
    memcpy(block, "untouched", 10);
    fault_arm(1);
    assert(memory_resize(block, 10, 12) == NULL);
    fault_arm(1);
    assert(memory_resize(block, 10, 4000) == NULL);
    assert(strcmp(block, "untouched") == 0);
    memory_put(block, 10);

    fault_arm(1);
    assert(memory_copy_text("text") == NULL);
    fault_arm(0);
    assert(memory_used() == before);
}
#endif

#ifndef TROUPE_SANITIZED /* there every block is malloc's */

static size_t resident_bytes(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert(file != NULL && fscanf(file, "%*s %zu", &pages) == 1);
    fclose(file);
    return pages * 4096;
}

/* What was free for the most part goes back to the system; what is in use stays. */
static void test_tidy(void)
{
    enum { COUNT = 60000, SIZE = 1000 };
    static unsigned char *blocks[COUNT];
    size_t before = resident_bytes();
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = memory_get(SIZE);
        assert(blocks[i] != NULL);
        memset(blocks[i], i % 251, SIZE);
    }
    size_t most = resident_bytes();
    assert(most - before > (size_t)COUNT * SIZE / 10 * 9);
    for (int i = 0; i < COUNT; i++)
        if (i % 1000 != 0)
            memory_put(blocks[i], SIZE);
    memory_tidy();
    assert(resident_bytes() - before < (most - before) / 2);
    for (int i = 0; i < COUNT; i += 1000) {
        for (int j = 0; j < SIZE; j++)
            assert(blocks[i][j] == i % 251);
        memory_put(blocks[i], SIZE);
    }
}

static atomic_bool trimming_over;

/* Gets, fills, looks at and puts blocks of many sizes, in no order. */
static void *get_and_put(void *argument)
{
    enum { COUNT = 2000 };
    unsigned char *blocks[COUNT] = { NULL };
    size_t sizes[COUNT];
    uint32_t state = *(uint32_t *)argument;
    while (!atomic_load(&trimming_over)) {
        uint32_t at = random_next(&state) % COUNT;
        if (blocks[at] == NULL) {
            sizes[at] = random_next(&state) % MEMORY_SMALL_LIMIT + 1;
            blocks[at] = memory_get(sizes[at]);
            assert(blocks[at] != NULL);
            memset(blocks[at], (int)(at % 251), sizes[at]);
        } else {
            for (size_t i = 0; i < sizes[at]; i += 15)
                assert(blocks[at][i] == at % 251);
            memory_put(blocks[at], sizes[at]);
            blocks[at] = NULL;
        }
    }
    for (int i = 0; i < COUNT; i++)
        if (blocks[i] != NULL)
            memory_put(blocks[i], sizes[i]);
    return NULL;
}

/* Giving back takes nothing from those who use it meanwhile. */
static void test_trim_meanwhile(void)
{
    struct thread threads[3];
    uint32_t seeds[3] = { 1, 2, 3 };
    for (int i = 0; i < 3; i++)
        assert(thread_start(&threads[i], "user", 0, get_and_put, &seeds[i]) == 0);
    for (int i = 0; i < 100; i++)
        store_trim();
    atomic_store(&trimming_over, true);
    for (int i = 0; i < 3; i++)
        thread_join(&threads[i]);
}

#endif

int main(void)
{
#ifndef TROUPE_SANITIZED
    test_tidy();
    test_trim_meanwhile();
#endif
    test_sizes();
    test_zeroed();
    test_text();
    test_resize();
    test_random_order();
    test_handed_over();
    test_ending_threads();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    puts("memory: ok");
    return 0;
}
