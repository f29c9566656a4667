/*
 * timer_heap.h -- what is due next: a heap of deadlines, four children a node.
 *
 * Not locked: the owner sees to that. Equal deadlines leave in the order in
 * which they came. All its room is there from the start, so that nothing that
 * is put into it later can fail; memory that was never used is only reserved.
 */
#ifndef TROUPE_ACTOR_TIMER_HEAP_H
#define TROUPE_ACTOR_TIMER_HEAP_H

#include "base/base.h"

/* Lives inside what is to be woken. */
struct timer_node {
    uint64_t due_ns;
    uint64_t order;    /* among equal deadlines */
    uint32_t position; /* in the heap + 1; 0: not in it */
    bool     is_alarm; /* the owner's */
};

/* The deadline stands beside the pointer: comparing touches no node. */
struct timer_place {
    uint64_t           due_ns;
    struct timer_node *node;
};

struct timer_heap {
    struct timer_place *places;
    uint32_t count, capacity;
    uint64_t orders; /* given so far */
};

/* Room for `capacity` nodes. 0 or -ENOMEM. */
int  timer_heap_open(struct timer_heap *heap, uint32_t capacity);
/* The nodes that are still in it are forgotten. */
void timer_heap_close(struct timer_heap *heap);

/* Puts a node that is not in the heap; there is room. */
void timer_heap_add(struct timer_heap *heap, struct timer_node *node, uint64_t due_ns);
/* Gives a node in the heap a new deadline, behind those with the same. */
void timer_heap_move(struct timer_heap *heap, struct timer_node *node, uint64_t due_ns);
/* Takes a node out of the heap. */
void timer_heap_remove(struct timer_heap *heap, struct timer_node *node);

/* The node that is due next, or NULL. */
static inline struct timer_node *timer_heap_first(const struct timer_heap *heap)
{
    return heap->count > 0 ? heap->places[0].node : NULL;
}

/* When it is due, or UINT64_MAX. */
static inline uint64_t timer_heap_next(const struct timer_heap *heap)
{
    return heap->count > 0 ? heap->places[0].due_ns : UINT64_MAX;
}

#endif
