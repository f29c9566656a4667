/*
 * watches_room.h -- what watches.c and links.c share: single watches, the table
 * of their watcher and the list of their target. Nobody else's business.
 *
 * A watch lies in its watcher's table (guarded by the watcher's lock) and, until
 * its notice is sent, in the list of its target (guarded by the target's). It
 * is freed by whoever takes it out of the table, who then looks, under the
 * target's lock, whether it is still in the list.
 */
#ifndef TROUPE_ACTOR_WATCHES_ROOM_H
#define TROUPE_ACTOR_WATCHES_ROOM_H

#include "actor/system.h"
#include "actor/watches.h"

enum {
    WATCH = 1,   /* on_down is wanted */
    LINK = 2,    /* its end may be ours */
    OURS = 4,    /* of a link: we began it, and not only the other one */
    TRAPPED = 8, /* of a link: we want to hear of it, and not to end */
};

struct watch {
    struct watch   *next;           /* in a bucket; guarded by the watcher's lock */
    uint64_t        number;         /* low half: the hash of its target */
    actor_id        watcher;
    actor_id        target;         /* 0: whoever has the address */
    struct address *address;        /* by which it was watched, or NULL; counted */
    _Atomic uint8_t flags;          /* written under the watcher's lock */
    bool            listed;         /* these guarded by the target's lock */
    struct watch   *before, *after;
    struct message *notice;         /* NULL: sent, or the way out has it */
};

struct watches {
    unsigned      mask;
    unsigned      count;
    uint32_t      serial;
    struct watch *buckets[];
};

static inline uint8_t watch_flags(const struct watch *watch)
{
    return atomic_load_explicit(&watch->flags, memory_order_relaxed);
}

static inline void watch_set_flags(struct watch *watch, unsigned flags)
{
    atomic_store_explicit(&watch->flags, (uint8_t)flags, memory_order_relaxed);
}

/* The structure in the slot of that id, whosever it is now; NULL: of 0, or none. */
static inline struct actor *watch_slot(struct system *system, actor_id id)
{
    return id != 0 ? registry_slot(&system->registry, actor_id_slot(id)) : NULL;
}

/* Takes both watch_locks, in order, or that of `one` if `other` is NULL. */
void watch_lock_both(struct actor *one, struct actor *other);
void watch_unlock_both(struct actor *one, struct actor *other);

/* Whether the actor in the slot is `id`; under its lock it then stays so, as far
 * as its watchers go. */
static inline bool watch_target_lives_locked(const struct actor *actor, actor_id id)
{
    return atomic_load_explicit(&actor->id, memory_order_acquire) == id;
}

/* A watch with its notice, in no table and no list yet, and without a number; frees it. */
struct watch *watch_new(struct system *system, actor_id watcher, const struct watch_target *target,
                        unsigned flags);
void          watch_free(struct watch *watch); /* NULL is fine */

/* Sees to it that the living actor `id` has a table with room for one more
 * entry. 0, -ENOMEM or -EMFILE. */
int  watches_prepare(struct actor *actor, actor_id id);
void watches_free_table(struct watches *table);

/* The table of `actor`, under its lock. Where the entry for that target, or of
 * that number, hangs; NULL: there is none. */
struct watch **watch_place_locked(struct actor *actor, const struct watch_target *target);
/* The same, or one that was begun by that address, with one of these flags. */
struct watch **watch_called_locked(struct actor *actor, const struct watch_target *target,
                                   unsigned flags);
struct watch **watch_numbered_locked(struct actor *actor, uint64_t number);
void           watch_add_locked(struct actor *actor, struct watch *watch,
                                const struct watch_target *target); /* numbers it, too */
struct watch  *watch_take_locked(struct watches *table, struct watch **place);

/* Takes back the link that `actor` has begun, unless the other one has, too. */
void link_drop(struct actor *actor, const struct watch_target *target);

/* The list of `target`, under its lock. */
void watch_list_locked(struct actor *target, struct watch *watch);
void watch_unlist_locked(struct actor *target, struct watch *watch);

#endif
