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

struct actor_watch {
    struct actor_watch *next;       /* in a bucket; guarded by the watcher's lock */
    uint64_t        number;         /* low half: the hash of its target */
    actor_id        watcher;
    actor_id        target;         /* 0: whoever has the address */
    struct address *address;        /* by which it was watched, or NULL; counted */
    _Atomic uint8_t flags;          /* written under the watcher's lock */
    bool            listed;         /* these guarded by the target's lock */
    struct actor_watch *before, *after;
    struct message *notice;         /* NULL: sent, or the way out has it */
};

struct watches {
    unsigned      mask;
    unsigned      count;
    uint32_t      serial;
    struct actor_watch *buckets[];
};

static inline uint8_t watch_flags(const struct actor_watch *watch)
{
    return atomic_load_explicit(&watch->flags, memory_order_relaxed);
}

static inline void watch_set_flags(struct actor_watch *watch, unsigned flags)
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
struct actor_watch *watch_new(struct system *system, actor_id watcher, const struct watch_target *target,
                        unsigned flags);
void          watch_free(struct actor_watch *watch); /* NULL is fine */

/* Sees to it that the living actor `id` has a table with room for one more
 * entry. 0, -ENOMEM or -EMFILE. */
int  watches_prepare(struct actor *actor, actor_id id);
void watches_free_table(struct watches *table);

/* The table of `actor`, under its lock. Where the entry for that target, or of
 * that number, hangs; NULL: there is none. */
struct actor_watch **watch_place_locked(struct actor *actor, const struct watch_target *target);
/* The same, or one that was begun by that address, with one of these flags. */
struct actor_watch **watch_called_locked(struct actor *actor, const struct watch_target *target,
                                   unsigned flags);
struct actor_watch **watch_numbered_locked(struct actor *actor, uint64_t number);
void           watch_add_locked(struct actor *actor, struct actor_watch *watch,
                                const struct watch_target *target); /* numbers it, too */
struct actor_watch  *watch_take_locked(struct watches *table, struct actor_watch **place);

/* Takes back the link that `actor` has begun, unless the other one has, too. */
void link_drop(struct actor *actor, const struct watch_target *target);

/* The list of `target`, under its lock. */
void watch_list_locked(struct actor *target, struct actor_watch *watch);
void watch_unlist_locked(struct actor *target, struct actor_watch *watch);

#endif
