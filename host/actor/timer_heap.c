/*
 * timer_heap.c -- what is due next: a heap of deadlines, four children a node.
 */
#include "actor/timer_heap.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>

#define CHILDREN 4

int timer_heap_open(struct timer_heap *heap, uint32_t capacity)
{
    *heap = (struct timer_heap){ .capacity = capacity };
    heap->places = memory_get(capacity * sizeof *heap->places);
    return heap->places != NULL ? 0 : -ENOMEM;
}

void timer_heap_close(struct timer_heap *heap)
{
    memory_put(heap->places, heap->capacity * sizeof *heap->places);
    *heap = (struct timer_heap){ 0 };
}

static inline bool is_before(const struct timer_place *a, const struct timer_place *b)
{
    if (LIKELY(a->due_ns != b->due_ns))
        return a->due_ns < b->due_ns;
    return a->node->order < b->node->order;
}

static inline void put_at(struct timer_heap *heap, uint32_t index, struct timer_place place)
{
    heap->places[index] = place;
    place.node->position = index + 1;
}

/* Both let `place` sink or rise from the gap at `index`, and fill the gap. */

static void rise(struct timer_heap *heap, uint32_t index, struct timer_place place)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / CHILDREN;
        if (!is_before(&place, &heap->places[parent]))
            break;
        put_at(heap, index, heap->places[parent]);
        index = parent;
    }
    put_at(heap, index, place);
}

static void sink(struct timer_heap *heap, uint32_t index, struct timer_place place)
{
    for (;;) {
        uint64_t first = (uint64_t)index * CHILDREN + 1;
        if (first >= heap->count)
            break;
        uint64_t end = first + CHILDREN < heap->count ? first + CHILDREN : heap->count;
        uint32_t least = (uint32_t)first;
        for (uint32_t child = least + 1; child < end; child++) {
            if (is_before(&heap->places[child], &heap->places[least]))
                least = child;
        }
        if (!is_before(&heap->places[least], &place))
            break;
        put_at(heap, index, heap->places[least]);
        index = least;
    }
    put_at(heap, index, place);
}

static void settle(struct timer_heap *heap, uint32_t index, struct timer_place place)
{
    if (index > 0 && is_before(&place, &heap->places[(index - 1) / CHILDREN]))
        rise(heap, index, place);
    else
        sink(heap, index, place);
}

static struct timer_place place_of(struct timer_heap *heap, struct timer_node *node,
                                   uint64_t due_ns)
{
    node->due_ns = due_ns;
    node->order = ++heap->orders;
    return (struct timer_place){ .due_ns = due_ns, .node = node };
}

void timer_heap_add(struct timer_heap *heap, struct timer_node *node, uint64_t due_ns)
{
    assert(node->position == 0 && heap->count < heap->capacity);
    rise(heap, heap->count++, place_of(heap, node, due_ns));
}

void timer_heap_move(struct timer_heap *heap, struct timer_node *node, uint64_t due_ns)
{
    settle(heap, node->position - 1, place_of(heap, node, due_ns));
}

void timer_heap_remove(struct timer_heap *heap, struct timer_node *node)
{
    uint32_t gap = node->position - 1;
    node->position = 0;
    heap->count--;
    if (gap != heap->count)
        settle(heap, gap, heap->places[heap->count]);
}
