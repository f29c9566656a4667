/*
 * names.h -- finding actors by name, now or when somebody takes the name, and
 * listing the names there are.
 *
 * A name belongs to the actor that has registered it until that actor is removed
 * (actor/registry.h), by its identity: whoever takes the name afterwards has
 * nothing to fear from the one before. The host's own actors (hidden) are not
 * found or listed here, and neither are names that nobody gave ("counter#7").
 *
 * Waiting. An actor that waits for a name stands in the line of that name, with
 * the message that will wake it ready made (an actor that interleaves may stand in
 * many), and leaves it when it is woken, gives up or ends. The one that takes the
 * name wakes them all, in the order in which they came. No wake-up is lost: who
 * waits joins the line and then looks whether the name is there, who takes the
 * name publishes it and then looks whether somebody waits; each of the two steps
 * is made under a lock that both take, so one of them sees the other.
 */
#ifndef TROUPE_ACTOR_NAMES_H
#define TROUPE_ACTOR_NAMES_H

#include "actor/actor.h"
#include "base/map.h"

struct names {
    struct lock lock;          /* taken before the registry's */
    struct map  awaited;       /* name -> its line; guarded by lock */
    _Atomic uint32_t waiting;  /* actors in all lines; written under lock */
};

void names_open(struct names *names);
/* Nobody may wait any more. */
void names_close(struct names *names);

/* The actor called `name`, or 0. Any thread. */
actor_id names_find(struct system *system, const char *name, size_t size);

/* Whoever has the name, a hidden actor too; 0: it is free. One that is being made
 * is waited for: a few microseconds, but for one that gets a thread of its own.
 * Any thread. */
actor_id names_holder(struct system *system, const char *name, size_t size);

/* The same as names_find(); but if there is nobody, `waiter` stands in line: it is
 * sent a MESSAGE_WAKE for its wait `wait` when an actor of that name is born (who
 * may be gone again when it looks). 0 and *id, 0 if it waits now; -ENOMEM. Only on
 * the worker that runs `waiter`. */
int names_await(struct actor *waiter, const char *name, size_t size, uint64_t wait, actor_id *id);

/* Its wait of that number (0: any) is for no name any more. Harmless if it was not; a
 * wake may still be on its way. Only on the worker that runs it. */
void names_forget(struct actor *waiter, uint64_t wait);

/* `actor` has been published: whoever waits for its name is woken. By
 * lifecycle_spawn() only, before the actor can run. */
void names_announce(struct system *system, const struct actor *actor);

/* Copies names that begin with `prefix`, each with its NUL, to `text` (of
 * NAMES_LOT_ROOM bytes): those of the next lot of actors. Returns the bytes
 * written; *position goes on from 0 to UINT32_MAX, which means that was all. An
 * actor that lives all the while is met exactly once; in no order. The registry is
 * locked for one lot at a time. Any thread. */
#define NAMES_LOT      64
#define NAMES_LOT_ROOM (NAMES_LOT * (ADDRESS_NAME_LIMIT + 1))
size_t names_list(struct system *system, const char *prefix, size_t prefix_size, char *text,
                  uint32_t *position);

#endif
