/*
 * watches.h -- who is told of whose end.
 *
 * A *watch* brings its watcher one notice (actor/notice.h) when the target has
 * ended. A *link* is a watch in both directions whose notice ends the one who
 * hears it, unless the end was normal or it traps exits. One actor has at most
 * one entry for another, which is a watch, a link or both: it hears of each end
 * once.
 *
 * Each actor has a table of those it watches and a list of those who watch it,
 * both under its watch_lock, a leaf that is held for a few instructions (two of
 * them only for links, the lower slot's first). Who ends tells its list in lots,
 * without the lock. A notice on its way belongs to nobody's table: it counts
 * only if the watcher still has an entry of its number. So after an unwatch
 * nothing is heard, even if the notice lay in the mailbox already, and never twice.
 *
 * The id of an actor is gone before its list is told: who comes later finds
 * nobody, under the same lock.
 */
#ifndef TROUPE_ACTOR_WATCHES_H
#define TROUPE_ACTOR_WATCHES_H

#include "actor/actor.h"

#define WATCHES_LIMIT 1000000 /* that one actor can have at once */

/* Whom. `address` (and `text`, which shows it) is how the watcher calls it, if not
 * by its id; `id` 0: who is not on this host, or has that name here. All borrowed. */
struct watch_target {
    actor_id id;
    const struct address *address;
    const char *text;
};

/* All of these on the worker of `watcher`. The target is another actor.
 *
 * From now on `watcher` is told of its end; at once, if there is no such actor.
 * 0, also if it is watched already; -ENOMEM; -EMFILE: WATCHES_LIMIT. */
int  watch_begin(struct actor *watcher, const struct watch_target *target);
/* No more, neither of this actor nor of others that were watched by the same
 * address. False if there was none. */
bool watch_end(struct actor *watcher, const struct watch_target *target);

/* The same for a link, which only an actor of this host can be tied by. */
int  link_begin(struct actor *actor, const struct watch_target *target);
bool link_end(struct actor *actor, const struct watch_target *target);

/* Drops the watches that the actor has begun, and the links that it (and not
 * the other one) has. Those who watch it stay. On its worker. */
void watches_drop(struct actor *actor);

/* The actor has ended, its id is gone: tells whoever watched it, and drops all it
 * had. Called by lifecycle_end() only, before the slot is released. */
void watches_end(struct actor *actor, const char *reason);

enum heard {
    HEARD_NOTHING, /* it was cancelled: freed */
    HEARD_DOWN,    /* to be handled: *notice is an ordinary message now */
    HEARD_FATAL,   /* a link takes the actor down: freed, and `why` is its reason */
};

/* What a notice means for the actor that has taken it from its mailbox. */
enum heard watches_hear(struct actor *actor, struct message **notice, char *why, size_t room);

#endif
