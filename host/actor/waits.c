/*
 * waits.c -- who waits for whom, and whether it is a circle; the header has
 * the reasons.
 *
 * An edge is one word: the target's slot (24 bits), the low bits of its
 * generation (16) and of the wait's number (24). To be taken for another, an
 * edge would have to be looked at while its slot gets 65,536 new tenants, or
 * an answer would have to be late by exactly 16.7 million waits. 0 is no edge,
 * and is nobody's: slot 0 is not used.
 */
#include "actor/waits.h"

#include "actor/registry.h"
#include "actor/system.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define WAIT_BITS       24
#define WAIT_MASK       ((UINT64_C(1) << WAIT_BITS) - 1)
#define GENERATION_MASK UINT64_C(0xffff)
#define SLOT_SHIFT      40

static_assert(REGISTRY_SLOT_LIMIT <= 1u << (64 - SLOT_SHIFT), "a slot fits into an edge");

/* How many actors of a circle are named. */
#define NAMED 16

struct circle {
    actor_id named[NAMED];
    uint64_t length;
    uint64_t sum; /* of all its edges, in order */
};

static uint64_t make_edge(actor_id target, uint64_t wait)
{
    return (uint64_t)actor_id_slot(target) << SLOT_SHIFT |
           (actor_id_generation(target) & GENERATION_MASK) << WAIT_BITS | (wait & WAIT_MASK);
}

static bool is_edge_of(uint64_t edge, uint64_t wait)
{
    return edge != 0 && (edge & WAIT_MASK) == (wait & WAIT_MASK);
}

static uint64_t load_edge(const struct actor *actor)
{
    return atomic_load_explicit(&actor->edge, memory_order_seq_cst);
}

/* True if the edge was `from`; it is `to` now. */
static bool change_edge(struct actor *actor, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(&actor->edge, &from, to, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

static actor_id load_id(const struct actor *actor)
{
    return atomic_load_explicit(&actor->id, memory_order_seq_cst);
}

/* The actor that an edge leads to, if it lives. */
static struct actor *follow(struct system *system, uint64_t edge, actor_id *id)
{
    struct actor *actor = registry_slot(&system->registry, (uint32_t)(edge >> SLOT_SHIFT));
    if (actor == NULL)
        return NULL;
    *id = load_id(actor);
    uint64_t generation = edge >> WAIT_BITS & GENERATION_MASK;
    bool lives = *id != 0 && (actor_id_generation(*id) & GENERATION_MASK) == generation;
    return lives ? actor : NULL;
}

static void note(struct circle *circle, actor_id id, uint64_t edge)
{
    if (circle->length < NAMED)
        circle->named[circle->length] = id;
    circle->length++;
    circle->sum = (circle->sum ^ edge) * UINT64_C(0x9E3779B97F4A7C15);
    circle->sum ^= circle->sum >> 29;
}

/* Walks from `start` along the edges; true if they lead back to it. They may
 * also lead into a circle without `start`, whose closer waits for the lock that
 * we hold: the walk leaves a mark at every step that is a power of two, and
 * ends when it comes to the mark (Brent). */
static bool walk_locked(struct system *system, struct actor *start, struct circle *circle)
{
    struct actor *at = start, *mark = NULL;
    actor_id id = load_id(start);
    memset(circle, 0, sizeof *circle);
    for (;;) {
        uint64_t edge = load_edge(at);
        if (edge == 0 || load_id(at) != id) /* the edge of this id, not of the next */
            return false;
        note(circle, id, edge);
        if ((circle->length & (circle->length - 1)) == 0)
            mark = at;
        at = follow(system, edge, &id);
        if (at == start)
            return true;
        if (at == NULL || at == mark)
            return false;
    }
}

static bool is_circle_locked(struct system *system, struct actor *start, struct circle *circle)
{
    struct circle again;
    return walk_locked(system, start, circle) && walk_locked(system, start, &again) &&
           circle->length == again.length && circle->sum == again.sum;
}

/* Appends to what is written so far; what does not fit ends in "...". */
static void append(char *text, size_t room, const char *more)
{
    size_t size = strlen(text);
    if ((size_t)snprintf(text + size, room - size, "%s", more) >= room - size && room > 3)
        memcpy(text + room - 4, "...", 4);
}

/* "a -> b -> a". Without the lock, for the names have one of their own. */
static void describe(struct system *system, const struct circle *circle, char *text, size_t room)
{
    char name[ADDRESS_NAME_LIMIT + 1];
    if (room == 0)
        return;
    text[0] = '\0';
    for (uint64_t i = 0; i < circle->length && i < NAMED; i++) {
        append(text, room, registry_name(&system->registry, circle->named[i], name, sizeof name));
        append(text, room, " -> ");
    }
    if (circle->length > NAMED)
        append(text, room, "... -> ");
    append(text, room, registry_name(&system->registry, circle->named[0], name, sizeof name));
}

bool waits_begin(struct actor *actor, actor_id target, uint64_t wait, char *circle, size_t room)
{
    actor_settle(actor);
    struct system *system = actor->system;
    struct actor *other = registry_find(&system->registry, target);
    if (UNLIKELY(other == NULL))
        return true; /* the send will find that out */

    uint64_t edge = make_edge(target, wait);
    atomic_store_explicit(&actor->edge, edge, memory_order_seq_cst);
    if (LIKELY(load_edge(other) == 0))
        return true;

    struct circle found;
    lock_acquire(&system->waits_lock);
    bool closed = is_circle_locked(system, actor, &found);
    if (closed)
        change_edge(actor, edge, 0);
    lock_release(&system->waits_lock);
    if (closed)
        describe(system, &found, circle, room);
    return !closed;
}

void waits_end(struct system *system, actor_id waiter, uint64_t wait)
{
    struct actor *actor = registry_find(&system->registry, waiter);
    if (actor == NULL)
        return;
    uint64_t edge = load_edge(actor);
    while (is_edge_of(edge, wait) && load_id(actor) == waiter) {
        if (change_edge(actor, edge, 0))
            return;
        edge = load_edge(actor); /* it was moved meanwhile, or ended */
    }
}

bool waits_move(struct system *system, actor_id waiter, uint64_t wait, actor_id target,
                char *circle, size_t room)
{
    struct actor *actor = registry_find(&system->registry, waiter);
    if (actor == NULL)
        return true;

    struct circle found;
    bool closed = false;
    lock_acquire(&system->waits_lock);
    uint64_t old = load_edge(actor), edge = make_edge(target, wait);
    if (is_edge_of(old, wait) && load_id(actor) == waiter && change_edge(actor, old, edge)) {
        closed = is_circle_locked(system, actor, &found);
        if (closed)
            change_edge(actor, edge, old); /* unless the wait is over */
    }
    lock_release(&system->waits_lock);
    if (closed)
        describe(system, &found, circle, room);
    return !closed;
}

actor_id waits_target(struct system *system, const struct actor *actor)
{
    actor_id id = 0;
    uint64_t edge = load_edge(actor);
    return edge != 0 && follow(system, edge, &id) != NULL ? id : 0;
}
