/*
 * groups.h -- actors that can be reached together, under the name of their group.
 *
 * A group is there while it has a member. Actors join and leave by themselves;
 * whoever ends leaves all of its groups, and a restart changes nothing. An actor
 * may be in GROUPS_EACH groups: that bounds what all of this can hold.
 *
 * The members of a group stand in a *roster*, in the order of joining. Sending to
 * all of them holds no lock: a roster is counted, and whoever has a reference to
 * it may read what was in it then. Joining appends behind what such a reader
 * looks at; leaving writes a 0 over the id, which a reader may see or not; and
 * when a roster is full, or mostly zeros, another takes its place.
 */
#ifndef TROUPE_ACTOR_GROUPS_H
#define TROUPE_ACTOR_GROUPS_H

#include "actor/actor.h"
#include "base/map.h"
#include "base/suggest.h"

#define GROUPS_EACH 1000

struct groups {
    struct lock lock;    /* a leaf */
    struct map  by_name; /* name -> group; guarded by lock */
};

void groups_open(struct groups *groups);
/* All members have left. */
void groups_close(struct groups *groups);

/* `actor` is in the group from now on, the last of its members; or it was in it
 * already. 0; -EAGAIN: it is in GROUPS_EACH groups; -ENOMEM. What follows, down to
 * groups_leave_all(): only on the worker that runs `actor`. */
int groups_join(struct actor *actor, const char *name, size_t size);

/* False: it is not in that group. What others are publishing at this moment may
 * still come. */
bool groups_leave(struct actor *actor, const char *name, size_t size);
void groups_leave_all(struct actor *actor);

/* Offers the names of the groups that it is in. */
void groups_suggest(const struct actor *actor, struct suggest *suggest);

/* How many members the group has; the first `room` of them go to `ids`, in the
 * order of joining. Any thread. */
size_t groups_members(struct system *system, const char *name, size_t size, actor_id *ids,
                      size_t room);

/* Sends a copy of `model` (MESSAGE_ORDINARY; the caller's still) to every member,
 * the sender too if it is one: to those that were in the group when it began, and
 * perhaps to some that join or leave meanwhile. Waits for nobody: a full mailbox
 * that would have its sender wait refuses, and the message is a dead letter.
 * Returns how many took it; *refused: how many did not. Any thread. */
size_t groups_publish(struct system *system, const char *name, size_t size,
                      const struct message *model, size_t *refused);

#endif
