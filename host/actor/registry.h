/*
 * registry.h -- finds an actor by id or by name.
 *
 * Slots hold the actors themselves, in chunks that never move or go away, so
 * finding by id takes no lock. Names, births and the free list have one lock.
 *
 * A slot that is given back goes to the end of the free list and gets the next
 * generation when it is used again, so no id is used twice. Slot 0 is never
 * used: its id is one that nobody has, so that id 0 finds nobody.
 */
#ifndef TROUPE_ACTOR_REGISTRY_H
#define TROUPE_ACTOR_REGISTRY_H

#include "actor/actor.h"
#include "base/map.h"

#define REGISTRY_CHUNK      256
#define REGISTRY_SLOT_LIMIT (1u << 24)

struct registry {
    struct lock lock;
    struct map  names;                 /* name -> actor; guarded by lock */
    struct actor *_Atomic *chunks;     /* fixed array; each chunk is published once */
    uint32_t used;                     /* slots ever used, with slot 0; guarded by lock */
    uint32_t taken;                    /* slots in use now, without it; guarded by lock */
    uint32_t limit;                    /* of taken; fixed by registry_open() */
    uint32_t children_limit;           /* of an actor with none of its own; fixed before the first */
    struct actor *free_head, *free_tail; /* guarded by lock */
    struct actor *oldest, *newest;     /* living actors in order of birth; guarded by lock */
    uint64_t births;                   /* numbers unnamed actors; guarded by lock */
    _Atomic uint32_t living;           /* published; lifecycle_end() takes one off at last */
    _Atomic uint64_t ended;            /* published and removed */
};

/* Room for `limit` actors at once (at most REGISTRY_SLOT_LIMIT - 1). 0 or -ENOMEM. */
int  registry_open(struct registry *registry, uint32_t limit);
/* If an actor is left, its thread is stuck in it: then the memory stays as it is. */
void registry_close(struct registry *registry);

/* The structure in a slot, whoever's it is now; NULL if the slot was never made. */
static inline struct actor *registry_slot(struct registry *registry, uint32_t slot)
{
    if (UNLIKELY(slot >= REGISTRY_SLOT_LIMIT))
        return NULL;
    struct actor *chunk =
        atomic_load_explicit(&registry->chunks[slot / REGISTRY_CHUNK], memory_order_acquire);
    return LIKELY(chunk != NULL) ? &chunk[slot % REGISTRY_CHUNK] : NULL;
}

/* The actor with this id, or NULL if it is gone. The structure stays valid
 * memory for ever, but may become somebody else's at any moment (see actor.h). */
static inline struct actor *registry_find(struct registry *registry, actor_id id)
{
    struct actor *actor = registry_slot(registry, actor_id_slot(id));
    if (UNLIKELY(actor == NULL))
        return NULL;
    return LIKELY(atomic_load_explicit(&actor->id, memory_order_acquire) == id) ? actor : NULL;
}

/* The id of the living actor called `name`, or 0. */
actor_id registry_find_name(struct registry *registry, const char *name, size_t size);

/* Copies the name of an actor, or "nobody" / "an ended actor"; returns `text`. */
const char *registry_name(struct registry *registry, actor_id id, char *text, size_t room);

/* A free slot, registered as `name` (NULL: `stem`#N). 0 and *actor, whose id is
 * not yet set (registry_publish() does that), whose `name` and `parent` are, and
 * whose other fields are as the last tenant left them (zero at first; the alarm
 * off). -EEXIST: the name is taken; -EAGAIN: the limit of actors is reached;
 * -EMLINK: the parent's limit of children; -ENOMEM. */
int  registry_add(struct registry *registry, const char *name, const char *stem, actor_id parent,
                  struct actor **actor);
/* Whether registry_add() would find room for a child of `parent` now: 0, -EAGAIN, -EMLINK. */
int  registry_check_room(struct registry *registry, actor_id parent);
/* Makes a slot visible under its new id, which it returns, as the youngest actor. */
actor_id registry_publish(struct registry *registry, struct actor *actor);
/* From now on it counts as the youngest: it has been started again. Its place among
 * its siblings stays. */
void registry_make_newest(struct registry *registry, struct actor *actor);
/* Takes up to `room` children from an actor that ends, youngest first: their ids
 * in `children`; returns how many. They have no parent from then on; with
 * `mourned` the actor can wait for their ends (registry_mourns). */
unsigned registry_take_children(struct registry *registry, struct actor *actor,
                                actor_id *children, unsigned room, bool mourned);
/* Whether children that were taken from the actor so have not yet ended: then
 * registry_remove() of the last of them says whom to wake. */
bool registry_mourns(struct registry *registry, struct actor *actor);
/* Up to `room` of them. */
unsigned registry_mourned(struct registry *registry, struct actor *actor, actor_id *children,
                          unsigned room);

/* The name is free again, the id finds nobody, and it waits for nobody; then,
 * when nothing refers to the structure any more, registry_release() gives the
 * slot back. An actor that was never published is taken back the same way.
 * Returns who waited for the end of this one (registry_mourns) as the last, or 0. */
actor_id registry_remove(struct registry *registry, struct actor *actor);
void registry_release(struct registry *registry, struct actor *actor);

/* The name nearest to `name`, copied to `text` and returned; NULL if none is
 * near. Not those of the host's own actors. For "did you mean". */
const char *registry_suggest(struct registry *registry, const char *name, char *text, size_t room);

#endif
