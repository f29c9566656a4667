/*
 * arena_join.c -- see arena_join.h: lists are sorted in place, and walked once.
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

static void *merge_sort(void *list)
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

#define BUCKET_BITS 8
#define NEAR_BITS   15 /* what lies within 32 KiB is sorted in the processor's cache */

/* Sorts what lies within 2^bits bytes from `low`; for all else it is only slower.
 * A merge sort of blocks all over the memory waits for each of them in each round,
 * so they are first put near their neighbours. A few calls deep: each takes
 * BUCKET_BITS off. */
static void *sort_within(void *list, uintptr_t low, unsigned bits)
{
    if (bits <= NEAR_BITS)
        return merge_sort(list);
    void *buckets[1u << BUCKET_BITS] = { NULL };
    unsigned shift = bits - BUCKET_BITS;
    for (void *next; list != NULL; list = next) {
        next = next_of(list);
        uintptr_t distance = (uintptr_t)list > low ? (uintptr_t)list - low : 0;
        size_t place = distance >> shift;
        if (place >= ARRAY_LENGTH(buckets))
            place = ARRAY_LENGTH(buckets) - 1;
        set_next(list, buckets[place]);
        buckets[place] = list;
    }
    void *all = NULL;
    for (size_t place = ARRAY_LENGTH(buckets); place-- > 0;) {
        if (buckets[place] != NULL)
            all = merge(sort_within(buckets[place], low + (place << shift), shift), all);
    }
    return all;
}

/* Nearly all pieces lie between the first and the last of the sorted chunks. */
static struct piece *sort_pieces(struct piece *pieces, const struct arena_chunk *chunks)
{
    if (chunks == NULL)
        return merge_sort(pieces);
    const struct arena_chunk *last = chunks;
    while (last->next != NULL)
        last = last->next;
    uintptr_t bytes = (uintptr_t)last + chunk_size(last) - (uintptr_t)chunks;
    unsigned bits = 0;
    while (bytes >> bits != 0)
        bits++;
    return sort_within(pieces, (uintptr_t)chunks, bits);
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
    *chunks = merge_sort(*chunks);
    pieces = sort_pieces(pieces, *chunks);
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
