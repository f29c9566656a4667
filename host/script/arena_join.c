/*
 * arena_join.c -- see arena_join.h: a merge sort of lists in place, and a walk.
 */
#include "script/arena_join.h"

#include "script/arena_store.h"

#include <string.h>

/* ---- Sorting, of anything linked through its first word --------------------- */

static inline void *next_of(const void *block)
{
    void *next;
    memcpy(&next, block, sizeof next);
    return next;
}

static inline void set_next(void *block, void *next)
{
    memcpy(block, &next, sizeof next);
}

static inline bool is_before(const void *block, const void *other)
{
    return (uintptr_t)block < (uintptr_t)other;
}

/* Merges two sorted lists. */
static void *merge(void *one, void *other)
{
    void *merged = NULL;
    void *last = &merged;
    while (one != NULL && other != NULL) {
        if (is_before(other, one)) {
            void *higher = one;
            one = other;
            other = higher;
        }
        set_next(last, one);
        last = one;
        one = next_of(one);
    }
    set_next(last, one != NULL ? one : other);
    return merged;
}

/* Cuts from *list the front that rises, or that falls, and returns it rising. */
static void *take_run(void **list)
{
    void *first = *list, *last = first;
    void *next = next_of(first);
    while (next != NULL && is_before(last, next)) {
        last = next;
        next = next_of(next);
    }
    set_next(last, NULL);
    while (first == last && next != NULL && is_before(next, first)) {
        void *after = next_of(next);
        set_next(next, first);
        first = last = next;
        next = after;
    }
    *list = next;
    return first;
}

static void *sort_by_address(void *list)
{
    void *sorted[64] = { NULL }; /* at each place 2^place runs merged, or none */
    while (list != NULL) {
        void *run = take_run(&list);
        unsigned place = 0;
        for (; sorted[place] != NULL; place++) {
            run = merge(sorted[place], run);
            sorted[place] = NULL;
        }
        sorted[place] = run;
    }
    void *all = NULL;
    for (unsigned place = 0; place < ARRAY_LENGTH(sorted); place++)
        all = merge(sorted[place], all);
    return all;
}

/* ---- Joining ----------------------------------------------------------------- */

static void absorb_neighbours(struct piece *piece)
{
    struct piece *next = piece->next;
    while (next != NULL && (char *)piece + piece->size == (char *)next) {
        piece->size += next->size;
        next = next->next;
    }
    piece->next = next;
}

static bool fills(const struct piece *piece, const struct arena_chunk *chunk)
{
    return (const void *)piece == (const void *)(chunk + 1)
           && piece->size == chunk_size(chunk) - sizeof *chunk;
}

/* Chunks stay apart without further ado: between two there is a head. */
struct piece *pieces_join(struct piece *pieces, struct arena_chunk **chunks,
                          struct arena_chunk **empty)
{
    pieces = sort_by_address(pieces);
    *chunks = sort_by_address(*chunks);
    *empty = NULL;
    struct piece **link = &pieces;
    while (*link != NULL) {
        struct piece *piece = *link;
        absorb_neighbours(piece);
        while (*chunks != NULL && is_before(*chunks + 1, piece))
            chunks = &(*chunks)->next;
        struct arena_chunk *chunk = *chunks;
        if (chunk == NULL || !fills(piece, chunk)) {
            link = &piece->next;
            continue;
        }
        *link = piece->next;
        *chunks = chunk->next;
        chunk->next = *empty;
        *empty = chunk;
    }
    return pieces;
}
