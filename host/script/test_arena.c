/* The arena: what it promises of limits, accounts, shrinking and dropping. */
#include "script/arena.h"

#include "base/thread.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- A small allocation history, checked byte by byte ---- */

#define SLOTS 512

struct slot {
    unsigned char *block;
    size_t         size;
    unsigned char  fill;
};

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t random_size(uint64_t *state)
{
    switch (random_next(state) % 8) {
    case 0:
        return 1 + random_next(state) % 60000;
    case 1:
    case 2:
        return 1 + random_next(state) % 3000;
    default:
        return 1 + random_next(state) % 200;
    }
}

static void check(const struct slot *slot, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert(slot->block[i] == slot->fill);
}

/* Blocks keep their bytes, do not overlap, are aligned; `used` is their sum. */
static void *test_history(void *seed)
{
    uint64_t state = (uint64_t)(uintptr_t)seed;
    struct arena arena;
    struct slot slots[SLOTS] = { { NULL, 0, 0 } };
    size_t sum = 0;
    arena_init(&arena, 0);
    for (int round = 0; round < 40000; round++) {
        struct slot *slot = &slots[random_next(&state) % SLOTS];
        size_t size = random_next(&state) % 4 == 0 ? 0 : random_size(&state);
        size_t kept = slot->size < size ? slot->size : size;
        /* When there is no block, old_size is a type tag of Lua's. */
        size_t told = slot->block == NULL ? random_next(&state) % 9 : slot->size;
        unsigned char *block = arena_allocate(&arena, slot->block, told, size);
        assert((block == NULL) == (size == 0));
        assert((uintptr_t)block % 16 == 0);
        sum = sum - slot->size + size;
        assert(arena.used == sum && arena.peak >= sum);
        slot->block = block;
        slot->size = size;
        check(slot, kept);
        slot->fill = (unsigned char)random_next(&state);
        if (size > 0)
            memset(block, slot->fill, size);
    }
    for (int i = 0; i < SLOTS; i++) {
        check(&slots[i], slots[i].size);
        if (i % 2 == 0) {
            arena_allocate(&arena, slots[i].block, slots[i].size, 0);
            sum -= slots[i].size;
        }
    }
    assert(arena.used == sum && !arena.refused);
    arena_drop(&arena);
    assert(arena.used == 0 && arena.held == 0 && arena.chunks == NULL && arena.large == NULL);
    return NULL;
}

/* The limit holds for small and large blocks alike; what is freed can be used again. */
static void test_limit(void)
{
    struct arena arena;
    arena_init(&arena, 100000);
    void *large = arena_allocate(&arena, NULL, 0, 60000);
    assert(large != NULL && !arena.refused);
    assert(arena_allocate(&arena, NULL, 0, 50000) == NULL && arena.refused);
    arena.refused = false;
    assert(arena_allocate(&arena, large, 60000, 100001) == NULL && arena.refused);
    arena.refused = false;
    unsigned count = 0;
    while (arena_allocate(&arena, NULL, 0, 100) != NULL)
        count++;
    assert(count == 400 && arena.refused && arena.used == 100000);
    assert(arena_allocate(&arena, NULL, 0, SIZE_MAX - 8) == NULL);
    assert(arena_allocate(&arena, large, 60000, 0) == NULL);
    assert(arena_allocate(&arena, NULL, 0, 50000) != NULL);
    arena_drop(&arena);
    assert(arena.limit == 100000 && arena.used == 0 && !arena.refused);
    assert(arena_allocate(&arena, NULL, 0, 1000) != NULL);
    arena_drop(&arena);
}

/* Freed blocks of one size do not let the arena grow far beyond its limit
 * when the next ones are larger. */
static void test_held(void)
{
    struct arena arena;
    size_t limit = 1024 * 1024;
    arena_init(&arena, limit);
    static void *blocks[1 << 16];
    for (size_t size = 16; size <= 2048; size += 16) {
        unsigned count = 0;
        while (count < ARRAY_LENGTH(blocks)
               && (blocks[count] = arena_allocate(&arena, NULL, 0, size)) != NULL)
            count++;
        while (count-- > 0)
            arena_allocate(&arena, blocks[count], size, 0);
        assert(arena.used == 0);
        assert(arena.held <= limit + limit / 32 + 64 * 1024);
    }
    arena_drop(&arena);
}

static size_t cap_of(const struct arena *arena)
{
    return arena->limit + arena->limit / 32 + 64 * 1024;
}

static void check_accounts(const struct arena *arena, size_t sum)
{
    assert(arena->used == sum && arena->peak >= sum && sum <= arena->limit);
    assert(arena->held >= sum && arena->held <= cap_of(arena));
}

/* As many blocks of `size` as the arena gives, a list through their first word. */
static void *fill(struct arena *arena, size_t size, size_t *count)
{
    void *all = NULL, *block;
    for (*count = 0; (block = arena_allocate(arena, NULL, 0, size)) != NULL; ++*count) {
        memcpy(block, &all, sizeof all);
        all = block;
    }
    return all;
}

/* Frees each block of the list but every `kept`th (0: none is kept), and returns those. */
static void *free_blocks(struct arena *arena, void *block, size_t size, size_t kept)
{
    void *rest = NULL, *next;
    for (size_t i = 1; block != NULL; i++, block = next) {
        memcpy(&next, block, sizeof next);
        if (kept == 0 || i % kept != 0) {
            arena_allocate(arena, block, size, 0);
        } else {
            memcpy(block, &rest, sizeof rest);
            rest = block;
        }
    }
    return rest;
}

/* What was full of blocks of one size has room for any other once they are free. */
static void test_sizes_in_turn(void)
{
    static const size_t sizes[] = { 32, 200, 1000, 65536, 16, 2048, 48, 3000, 256, 1000000, 32 };
    struct arena arena;
    arena_init(&arena, 16 * 1024 * 1024);
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        size_t count;
        void *blocks = fill(&arena, sizes[i], &count);
        check_accounts(&arena, count * sizes[i]);
        assert(arena.used > arena.limit / 10 * 8 && arena.refused);
        free_blocks(&arena, blocks, sizes[i], 0);
        check_accounts(&arena, 0);
    }
    arena_drop(&arena);
}

/* A little that stays here and there does not keep the rest from being used. */
static void test_some_stay(void)
{
    struct arena arena;
    size_t count;
    arena_init(&arena, 16 * 1024 * 1024);
    void *small = fill(&arena, 32, &count);
    void *few = free_blocks(&arena, small, 32, 1024);
    size_t stays = arena.used;
    void *larger = fill(&arena, 1000, &count);
    assert(count > arena.limit / 1000 / 10 * 8);
    check_accounts(&arena, stays + count * 1000);
    free_blocks(&arena, larger, 1000, 0);
    free_blocks(&arena, few, 32, 0);
    larger = fill(&arena, 65536, &count);
    assert(count == arena.limit / 65536);
    free_blocks(&arena, larger, 65536, 0);
    check_accounts(&arena, 0);
    arena_drop(&arena);
}

/* A joined arena gives its chunks back, and is as good as new. */
static void test_giving_back(void)
{
    struct arena arena;
    size_t count;
    arena_init(&arena, 4 * 1024 * 1024);
    arena_join(&arena);
    for (int round = 0; round < 3; round++) {
        void *blocks = fill(&arena, 32, &count);
        assert(count == arena.limit / 32 && arena.held >= arena.limit);
        void *few = free_blocks(&arena, blocks, 32, count / 3);
        arena_join(&arena);
        assert(arena.held >= arena.used && arena.held <= 4 * 64 * 1024);
        free_blocks(&arena, few, 32, 0);
        arena_join(&arena);
        assert(arena.used == 0 && arena.held == 0);
    }
    arena_drop(&arena);
}

/* At the limit a failure costs little, whatever lies free in crumbs. */
static void test_failing_often(void)
{
    struct arena arena;
    size_t count;
    arena_init(&arena, 64 * 1024 * 1024);
    void *half = free_blocks(&arena, fill(&arena, 16, &count), 16, 2);
#ifndef TROUPE_SANITIZED /* there, malloc joins them */
    size_t used = arena.used;
    for (int i = 0; i < 200000; i++)
        assert(arena_allocate(&arena, NULL, 0, 4 * 1024 * 1024) == NULL);
    for (int i = 0; i < 200000; i++) { /* and a bit comes and goes */
        arena_allocate(&arena, arena_allocate(&arena, NULL, 0, 16), 16, 0);
        assert(arena_allocate(&arena, NULL, 0, 4 * 1024 * 1024) == NULL);
    }
    assert(arena.used == used);
#endif
    free_blocks(&arena, half, 16, 0);
    assert(arena_allocate(&arena, NULL, 0, 4 * 1024 * 1024) != NULL);
    arena_drop(&arena);
}

/* A history near the limit: what is joined on the way is nobody's. */
static void test_history_at_limit(uint64_t state, bool joins)
{
    static struct slot slots[8192];
    struct arena arena;
    size_t sum = 0, refused = 0;
    arena_init(&arena, 1024 * 1024);
    memset(slots, 0, sizeof slots);
    for (int round = 0; round < 300000; round++) {
        /* The sizes that are asked for most change, so that old crumbs are of no use. */
        size_t usual = 16u << (round / 20000 % 8);
        struct slot *slot = &slots[random_next(&state) % ARRAY_LENGTH(slots)];
        size_t size = random_next(&state) % 3 == 0 ? 0
                      : random_next(&state) % 64 == 0 ? random_size(&state)
                      : 1 + random_next(&state) % usual;
        unsigned char *block = arena_allocate(&arena, slot->block, slot->size, size);
        if (block == NULL && size > 0) {
            assert(size > slot->size);
            refused++;
            check(slot, slot->size);
            continue;
        }
        sum = sum - slot->size + size;
        check_accounts(&arena, sum);
        size_t kept = slot->size < size ? slot->size : size;
        *slot = (struct slot){ block, size, slot->fill };
        check(slot, kept);
        slot->fill = (unsigned char)random_next(&state);
        if (size > 0)
            memset(block, slot->fill, size);
        if (joins && random_next(&state) % 256 == 0) {
            arena_join(&arena);
            check_accounts(&arena, sum);
        }
    }
    assert(refused > 1000);
    for (size_t i = 0; i < ARRAY_LENGTH(slots); i++) {
        check(&slots[i], slots[i].size);
        if (slots[i].block != NULL)
            arena_allocate(&arena, slots[i].block, slots[i].size, 0);
    }
    check_accounts(&arena, 0);
    arena_drop(&arena);
}

/* A block may be made smaller at any time, also when nothing else can be had. */
static void test_shrinking(void)
{
    static const size_t sizes[] = { 100000, 50000, 3000, 2048, 1500, 300, 100, 16, 1 };
    struct arena arena;
    arena_init(&arena, 0);
    unsigned char *block = arena_allocate(&arena, NULL, 0, sizes[0]);
    memset(block, 7, sizes[0]);
    arena_set_limit(&arena, 1); /* from now on nothing new */
    for (size_t i = 1; i < ARRAY_LENGTH(sizes); i++) {
        block = arena_allocate(&arena, block, sizes[i - 1], sizes[i]);
        assert(block != NULL && arena.used == sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            assert(block[at] == 7);
    }
    arena_allocate(&arena, block, 1, 0);
    assert(arena.used == 0);
    arena_drop(&arena);
}

/* What a block leaves behind it when it is made smaller is free like any other. */
static void test_shrinking_in_place(void)
{
    struct arena arena;
    size_t count;
    arena_init(&arena, 1024 * 1024);
    unsigned char *large = arena_allocate(&arena, NULL, 0, 100000);
    memset(large, 7, 100000);
    void *small = NULL, *block = fill(&arena, 257, &count), *next;
    size_t held = arena.held;
    large = arena_allocate(&arena, large, 100000, 1000);
    assert(arena.held <= held - 98000);
    for (; block != NULL; block = next) {
        memcpy(&next, block, sizeof next);
        void *smaller = arena_allocate(&arena, block, 257, 16);
        memcpy(smaller, &small, sizeof small);
        small = smaller;
    }
    check_accounts(&arena, 1000 + 16 * count);
    for (size_t i = 0; i < 1000; i++)
        assert(large[i] == 7);
    arena_allocate(&arena, large, 1000, 0);
    free_blocks(&arena, small, 16, 0);
    arena_join(&arena);
    assert(arena.used == 0 && arena.held <= 1024);
    arena_drop(&arena);
}

/* Very large blocks keep their bytes as they become larger and smaller. */
static void test_very_large(void)
{
    static const size_t sizes[] = { 3000, 200000, 300000, 5000000, 262144, 262100, 20000000, 100 };
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        unsigned char *block = arena_allocate(&arena, NULL, 0, sizes[i]);
        memset(block, 9, sizes[i]);
        size_t size = sizes[i], sure = size;
        for (size_t j = 0; j < ARRAY_LENGTH(sizes); j++) {
            block = arena_allocate(&arena, block, size, sizes[j]);
            size = sizes[j];
            sure = sure < size ? sure : size;
            assert(block != NULL && (uintptr_t)block % 16 == 0 && arena.used == size);
            for (size_t at = 0; at < sure; at++)
                assert(block[at] == 9);
            block[size - 1] = 9;
        }
        arena_allocate(&arena, block, size, 0);
    }
    assert(arena.used == 0);
    assert(arena_allocate(&arena, NULL, 0, 1000000) != NULL); /* the drop finds it */
    arena_drop(&arena);
}

/* Many arenas at once, dropped in another order and on another thread. */
static void *drop_arenas(void *arenas)
{
    for (size_t i = 0; i < 1000; i++)
        arena_drop(&((struct arena *)arenas)[(i * 7919) % 1000]);
    return NULL;
}

static void test_many(void)
{
    static struct arena arenas[1000];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_LENGTH(arenas); i++) {
            arena_init(&arenas[i], 0);
            for (size_t size = 1; size < 3000; size += 97)
                memset(arena_allocate(&arenas[i], NULL, 0, size), 1, size);
        }
        struct thread thread;
        assert(thread_start(&thread, "drops", 0, drop_arenas, arenas) == 0);
        thread_join(&thread);
    }
}

static void test_threads(void)
{
    struct thread threads[4];
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert(thread_start(&threads[i], "history", 0, test_history, (void *)(i + 1)) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        thread_join(threads + i);
}

int main(void)
{
    test_history((void *)99);
    test_limit();
    test_held();
    test_sizes_in_turn();
    test_some_stay();
    test_giving_back();
    test_failing_often();
    test_history_at_limit(1, false);
    test_history_at_limit(2, true);
    test_shrinking();
    test_shrinking_in_place();
    test_very_large();
    test_many();
    test_threads();
    return 0;
}
