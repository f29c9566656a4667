/*
 * arena.c -- see arena.h: size classes over chunks cut from larger regions.
 */
#include "script/arena.h"

#include "base/fault.h"
#include "script/arena_join.h"
#include "script/arena_store.h"

#include <string.h>

/* A block that is a stretch of memory by itself, with this in front of it. */
struct arena_large {
    struct arena_large *next, *previous;
    size_t size;               /* of the block, without this header */
    size_t padding; /* keeps blocks aligned to 16 */
};

/* ---- Accounts ------------------------------------------------------------ */

/* What the arena may still take from the process, its waste included. */
static size_t room_left(const struct arena *arena)
{
    if (arena->limit == 0)
        return SIZE_MAX;
    size_t most = arena->limit + arena->limit / 32 + 64u * 1024;
    return most > arena->held ? most - arena->held : 0;
}

static void hold(struct arena *arena, size_t bytes)
{
    arena->held = bytes;
    if (arena->shown != NULL)
        atomic_store_explicit(arena->shown, bytes, memory_order_relaxed);
}

void arena_show(struct arena *arena, _Atomic size_t *shown)
{
    arena->shown = shown;
    hold(arena, arena->held);
}

/* Joins what is free, unless too little has been freed since the last time (four
 * bytes for each piece to handle): else failing at the limit again and again
 * would be quadratic. */
static bool join_again(struct arena *arena)
{
    size_t waste = arena->held - arena->used;
    if (waste > arena->crumbs + 4 * arena->pieces) {
        arena_join(arena);
        return true;
    }
    if (waste < arena->crumbs)
        arena->crumbs = waste;
    return false;
}

/* Whether the arena may take `more` bytes from the process; remembers a refusal. */
static bool make_room(struct arena *arena, size_t more)
{
    if (more <= room_left(arena) || (join_again(arena) && more <= room_left(arena)))
        return true;
    arena->refused = true;
    return false;
}

/* Whether the state may hold `more` bytes; remembers a refusal. */
static bool within_limit(struct arena *arena, size_t more)
{
    if (arena->limit == 0 || (arena->used <= arena->limit && arena->limit - arena->used >= more))
        return true;
    arena->refused = true;
    return false;
}

static void count_up(struct arena *arena, size_t more)
{
    arena->used += more;
    if (arena->used > arena->peak)
        arena->peak = arena->used;
}

/* ---- Large blocks --------------------------------------------------------- */

static void link_large(struct arena *arena, struct arena_large *large)
{
    large->previous = NULL;
    large->next = arena->large;
    if (large->next != NULL)
        large->next->previous = large;
    arena->large = large;
}

static void *large_get(struct arena *arena, size_t size)
{
    if (!make_room(arena, size) || size > SIZE_MAX - sizeof(struct arena_large))
        return NULL;
    struct arena_large *large = stretch_get(sizeof *large + size);
    if (large == NULL)
        return NULL;
    large->size = size;
    link_large(arena, large);
    hold(arena, arena->held + size);
    return large + 1;
}

static void large_put(struct arena *arena, void *block)
{
    struct arena_large *large = (struct arena_large *)block - 1;
    if (large->previous != NULL)
        large->previous->next = large->next;
    else
        arena->large = large->next;
    if (large->next != NULL)
        large->next->previous = large->previous;
    hold(arena, arena->held - large->size);
    stretch_put(large, sizeof *large + large->size);
}

static void *large_resize(struct arena *arena, void *block, size_t size)
{
    struct arena_large *large = (struct arena_large *)block - 1;
    if (size > large->size && !make_room(arena, size - large->size))
        return NULL;
    if (size > SIZE_MAX - sizeof *large)
        return NULL;
    struct arena_large *moved = stretch_resize(large, sizeof *large + large->size,
                                               sizeof *large + size);
    if (moved == NULL)
        return NULL;
    hold(arena, arena->held - moved->size + size);
    moved->size = size;
    if (moved->previous != NULL)
        moved->previous->next = moved;
    else
        arena->large = moved;
    if (moved->next != NULL)
        moved->next->previous = moved;
    return moved + 1;
}

static void drop_large(struct arena *arena)
{
    for (struct arena_large *large = arena->large, *next; large != NULL; large = next) {
        next = large->next;
        stretch_put(large, sizeof *large + large->size);
    }
}

#ifdef TROUPE_SANITIZED

/* ---- Every block on its own ------------------------------------------------ */

void *arena_allocate(void *context, void *block, size_t old_size, size_t new_size)
{
    struct arena *arena = context;
    if (block == NULL)
        old_size = 0;
    if (new_size == 0) {
        if (block != NULL)
            large_put(arena, block);
        arena->used -= old_size;
        return NULL;
    }
    if (new_size > old_size && (!within_limit(arena, new_size - old_size) || fault_hit()))
        return NULL;
    void *moved = block == NULL ? large_get(arena, new_size)
                                : large_resize(arena, block, new_size);
    if (moved == NULL) {
        if (new_size > old_size)
            return NULL;
        moved = block;
    }
    arena->used -= old_size;
    count_up(arena, new_size);
    return moved;
}

void arena_join(struct arena *arena)
{
    (void)arena; /* free blocks are with malloc */
}

void arena_drop(struct arena *arena)
{
    drop_large(arena);
    hold(arena, 0);
    arena_init(arena, arena->limit);
}

#else

/* ---- Size classes ----------------------------------------------------------- */

/* Steps of 16 bytes up to 256, of 64 up to 1024, of 128 up to 2048. */
static inline unsigned class_of(size_t size)
{
    if (LIKELY(size <= 256))
        return (unsigned)((size + 15) / 16) - 1;
    if (size <= 1024)
        return 16 + (unsigned)((size + 63) / 64) - 5;
    return 28 + (unsigned)((size + 127) / 128) - 9;
}

static inline size_t class_bytes(unsigned class)
{
    if (LIKELY(class < 16))
        return 16 * ((size_t)class + 1);
    if (class < 28)
        return 64 * ((size_t)class - 16 + 5);
    return 128 * ((size_t)class - 28 + 9);
}

/* The largest class whose blocks are not larger than `size` (at least 16). */
static unsigned class_within(size_t size)
{
    unsigned class = size >= ARENA_CLASS_LIMIT ? ARENA_CLASS_COUNT - 1 : class_of(size);
    return class_bytes(class) > size ? class - 1 : class;
}

static inline void list_block(struct arena *arena, void *block, unsigned class)
{
    memcpy(block, &arena->free_blocks[class], sizeof(void *));
    arena->free_blocks[class] = block;
}

static inline void *unlist_block(struct arena *arena, unsigned class)
{
    void *block = arena->free_blocks[class];
    memcpy(&arena->free_blocks[class], block, sizeof(void *));
    return block;
}

/* Lists the memory from `start` to `end`, cut into as few blocks as possible. */
static void list_rest(struct arena *arena, char *start, const char *end)
{
    while (end - start >= 16) {
        unsigned class = class_within((size_t)(end - start));
        list_block(arena, start, class);
        start += class_bytes(class);
    }
}

/* Takes the smallest free block that is not smaller than those of `class`, uses
 * its front and lists the rest; NULL if there is none. */
static void *split_block(struct arena *arena, unsigned class)
{
    for (unsigned larger = class; larger < ARENA_CLASS_COUNT; larger++) {
        if (arena->free_blocks[larger] == NULL)
            continue;
        char *block = unlist_block(arena, larger);
        list_rest(arena, block + class_bytes(class), block + class_bytes(larger));
        return block;
    }
    return NULL;
}

#define CHUNK_FOR_ANY (2 * ARENA_CLASS_LIMIT) /* bytes; a chunk in which every small block fits */

/* Opens a new chunk with room for `size` bytes, the larger the more the arena holds. */
static bool refill(struct arena *arena, size_t size)
{
    size_t wanted = arena->chunks == NULL ? CHUNK_FIRST : arena->held / 8;
    size_t room = room_left(arena);
    unsigned size_class = 0;
    while (size_class + 1 < CHUNK_SIZES && chunk_bytes(size_class + 1) <= wanted
           && chunk_bytes(size_class + 1) <= room)
        size_class++;
    while (chunk_bytes(size_class) - sizeof(struct arena_chunk) < size)
        size_class++;
    if (chunk_bytes(size_class) > room) {
        arena->refused = true;
        return false;
    }
    struct arena_chunk *chunk = chunk_get(size_class);
    if (chunk == NULL)
        return false;
    list_rest(arena, arena->bump, arena->bump_end);
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    hold(arena, arena->held + chunk_bytes(size_class));
    arena->bump = (char *)(chunk + 1);
    arena->bump_end = (char *)chunk + chunk_bytes(size_class);
    return true;
}

static void *small_get(struct arena *arena, size_t size)
{
    unsigned class = class_of(size);
    if (LIKELY(arena->free_blocks[class] != NULL))
        return unlist_block(arena, class);
    size_t bytes = class_bytes(class);
    if (UNLIKELY((size_t)(arena->bump_end - arena->bump) < bytes)) {
        void *block = split_block(arena, class);
        if (block == NULL && UNLIKELY(room_left(arena) < CHUNK_FOR_ANY) && join_again(arena))
            block = split_block(arena, class);
        if (block != NULL)
            return block;
        if (!refill(arena, bytes))
            return NULL;
    }
    void *block = arena->bump;
    arena->bump += bytes;
    return block;
}

static inline bool is_small(size_t size)
{
    return size <= ARENA_CLASS_LIMIT;
}

/* ---- Joining ---------------------------------------------------------------- */

/* Takes all that is free out of the lists, and what is left of the newest chunk. */
static struct piece *take_pieces(struct arena *arena)
{
    struct piece *pieces = NULL;
    list_rest(arena, arena->bump, arena->bump_end);
    arena->bump = arena->bump_end = NULL;
    for (unsigned class = 0; class < ARENA_CLASS_COUNT; class++) {
        while (arena->free_blocks[class] != NULL) {
            struct piece *piece = unlist_block(arena, class);
            piece->size = class_bytes(class);
            piece->next = pieces;
            pieces = piece;
        }
    }
    return pieces;
}

void arena_join(struct arena *arena)
{
    struct arena_chunk *empty;
    struct piece *pieces = pieces_join(take_pieces(arena), &arena->chunks, &empty);
    for (struct arena_chunk *chunk = empty; chunk != NULL; chunk = chunk->next)
        hold(arena, arena->held - chunk_size(chunk));
    if (empty != NULL)
        chunks_put(empty);
    arena->pieces = 0;
    for (struct arena_chunk *chunk = arena->chunks; chunk != NULL; chunk = chunk->next)
        arena->pieces++;
    for (struct piece *piece = pieces, *next; piece != NULL; piece = next) {
        next = piece->next;
        arena->pieces += 1 + piece->size / ARENA_CLASS_LIMIT;
        list_rest(arena, (char *)piece, (char *)piece + piece->size);
    }
    arena->crumbs = arena->held - arena->used;
}

/* ---- The allocator ---------------------------------------------------------- */

static void put(struct arena *arena, void *block, size_t size)
{
    if (LIKELY(is_small(size)))
        list_block(arena, block, class_of(size));
    else
        large_put(arena, block);
}

static void *resize(struct arena *arena, void *block, size_t old_size, size_t new_size)
{
    if (is_small(old_size) && is_small(new_size)) {
        if (class_of(old_size) == class_of(new_size))
            return block;
    } else if (!is_small(old_size) && !is_small(new_size)) {
        return large_resize(arena, block, new_size);
    }
    void *moved = is_small(new_size) ? small_get(arena, new_size) : large_get(arena, new_size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, old_size < new_size ? old_size : new_size);
    put(arena, block, old_size);
    return moved;
}

/* Makes a block smaller when no other is to be had. */
static void *shrink_in_place(struct arena *arena, char *block, size_t old_size, size_t new_size)
{
    if (!is_small(new_size))
        return block;
    size_t bytes = class_bytes(class_of(new_size));
    if (is_small(old_size)) {
        list_rest(arena, block + bytes, block + class_bytes(class_of(old_size)));
        return block;
    }
    /* It will be freed as the small block that it is said to be, and stays
     * by itself until the drop all the same. */
    void *moved = large_resize(arena, block, bytes);
    return moved != NULL ? moved : block;
}

static void *allocate_slow(struct arena *arena, void *block, size_t old_size, size_t new_size)
{
    if (block == NULL) {
        if (new_size == 0)
            return NULL;
        if (UNLIKELY(!within_limit(arena, new_size) || fault_hit()))
            return NULL;
        block = LIKELY(is_small(new_size)) ? small_get(arena, new_size)
                                           : large_get(arena, new_size);
        if (LIKELY(block != NULL))
            count_up(arena, new_size);
        return block;
    }
    if (new_size == 0) {
        if (old_size > 0)
            put(arena, block, old_size);
        arena->used -= old_size;
        return NULL;
    }
    bool grows = new_size > old_size;
    if (grows && UNLIKELY(!within_limit(arena, new_size - old_size) || fault_hit()))
        return NULL;
    void *moved = resize(arena, block, old_size, new_size);
    if (moved == NULL) {
        if (grows)
            return NULL;
        moved = shrink_in_place(arena, block, old_size, new_size);
    }
    arena->used -= old_size;
    count_up(arena, new_size);
    return moved;
}

#define COMMON_SIZE 256 /* bytes; classes are steps of 16 up to here */

static inline bool is_common(size_t size)
{
    return size - 1 < COMMON_SIZE;
}

/* Nine of ten calls take a small block from a list or put one there. */
void *arena_allocate(void *context, void *block, size_t old_size, size_t new_size)
{
    struct arena *arena = context;
    if (LIKELY(new_size == 0 && block != NULL && is_common(old_size))) {
        list_block(arena, block, (unsigned)(old_size - 1) / 16);
        arena->used -= old_size;
        return NULL;
    }
#ifndef TROUPE_FAULTS
    if (LIKELY(block == NULL && is_common(new_size))) {
        unsigned class = (unsigned)(new_size - 1) / 16;
        size_t used = arena->used + new_size;
        if (LIKELY(arena->free_blocks[class] != NULL && used <= arena->ceiling)) {
            arena->used = used;
            if (used > arena->peak)
                arena->peak = used;
            return unlist_block(arena, class);
        }
    }
#endif
    return allocate_slow(arena, block, old_size, new_size);
}

void arena_drop(struct arena *arena)
{
    drop_large(arena);
    if (arena->chunks != NULL)
        chunks_put(arena->chunks);
    hold(arena, 0);
    arena_init(arena, arena->limit);
}

#endif

void arena_init(struct arena *arena, size_t limit_bytes)
{
    *arena = (struct arena){ .limit = 0 };
    arena_set_limit(arena, limit_bytes);
}

void arena_set_limit(struct arena *arena, size_t limit_bytes)
{
    arena->limit = limit_bytes;
    arena->ceiling = limit_bytes != 0 ? limit_bytes : SIZE_MAX;
}
