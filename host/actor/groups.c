/*
 * groups.c -- actors that can be reached together, under the name of their group.
 */
#include "actor/groups.h"

#include "actor/system.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>

#define FIRST_ROOM 4

/* Ids in the order of joining, 0 for those that have left. */
struct roster {
    _Atomic uint32_t references;
    uint32_t room;
    _Atomic actor_id ids[];
};

struct group {
    struct roster *roster;        /* all below guarded by groups->lock */
    struct membership **members;  /* of the ids in the roster; NULL: has left */
    uint32_t used;                /* of the roster, with those that have left */
    uint32_t count;               /* of members */
    size_t   size;
    char     name[];              /* fixed, with a NUL */
};

/* actor->memberships, the latest first. The list is its actor's. */
struct membership {
    struct group      *group;     /* fixed */
    struct membership *next;
    uint32_t           index;     /* in the group's roster; guarded by groups->lock */
};

void groups_open(struct groups *groups)
{
    lock_init(&groups->lock);
    map_init(&groups->by_name);
}

void groups_close(struct groups *groups)
{
    map_fini(&groups->by_name);
    lock_fini(&groups->lock);
}

/* ---- Rosters ------------------------------------------------------------- */

static size_t roster_size(uint32_t room)
{
    return sizeof(struct roster) + room * sizeof(_Atomic actor_id);
}

static struct roster *roster_new(uint32_t room)
{
    struct roster *roster = memory_get(roster_size(room));
    if (roster == NULL)
        return NULL;
    atomic_init(&roster->references, 1);
    roster->room = room;
    return roster;
}

static void roster_unref(struct roster *roster)
{
    /* Release, so that others' reads are over; acquire, so that we see them. */
    if (roster != NULL &&
        atomic_fetch_sub_explicit(&roster->references, 1, memory_order_acq_rel) == 1)
        memory_put(roster, roster_size(roster->room));
}

static actor_id roster_at(const struct roster *roster, uint32_t index)
{
    return atomic_load_explicit(&roster->ids[index], memory_order_relaxed);
}

/* The roster of a group as it is now, with a reference; NULL: there is no such group. */
static struct roster *roster_of(struct groups *groups, const char *name, size_t size,
                                uint32_t *used)
{
    struct roster *roster = NULL;
    lock_acquire(&groups->lock);
    const struct group *group = map_find(&groups->by_name, name, size);
    if (group != NULL) {
        roster = group->roster;
        *used = group->used;
        atomic_fetch_add_explicit(&roster->references, 1, memory_order_relaxed);
    }
    lock_release(&groups->lock);
    return roster;
}

/* ---- Groups -------------------------------------------------------------- */

static void free_group(struct group *group)
{
    if (group->roster != NULL)
        memory_put((void *)group->members, group->roster->room * sizeof *group->members);
    roster_unref(group->roster);
    memory_put(group, sizeof *group + group->size + 1);
}

/* Moves the members, close together, to a roster with another `room`. */
static int resize_locked(struct group *group, uint32_t room)
{
    struct roster *roster = roster_new(room);
    struct membership **members = memory_get(room * sizeof *members);
    if (roster == NULL || members == NULL) {
        roster_unref(roster);
        memory_put((void *)members, room * sizeof *members);
        return -ENOMEM;
    }
    uint32_t used = 0;
    for (uint32_t i = 0; i < group->used; i++) {
        if (group->members[i] == NULL)
            continue;
        members[used] = group->members[i];
        members[used]->index = used;
        atomic_init(&roster->ids[used++], roster_at(group->roster, i));
    }
    if (group->roster != NULL)
        memory_put((void *)group->members, group->roster->room * sizeof *members);
    roster_unref(group->roster);
    group->roster = roster;
    group->members = members;
    group->used = used;
    return 0;
}

static struct group *group_locked(struct groups *groups, const char *name, size_t size)
{
    struct group *group = map_find(&groups->by_name, name, size);
    if (group != NULL)
        return group;
    group = memory_get_zeroed(sizeof *group + size + 1);
    if (group == NULL)
        return NULL;
    group->size = size;
    memcpy(group->name, name, size);
    if (resize_locked(group, FIRST_ROOM) == 0 &&
        map_set(&groups->by_name, name, size, group) == 0)
        return group;
    free_group(group);
    return NULL;
}

static void remove_group_locked(struct groups *groups, struct group *group)
{
    map_remove(&groups->by_name, group->name, group->size);
    free_group(group);
}

/* Room for one more: more of it, or that of those that have left. */
static int make_room_locked(struct group *group)
{
    uint32_t room = group->roster->room;
    if (group->used < room)
        return 0;
    return resize_locked(group, group->count > room / 2 ? room * 2 : room);
}

/* ---- Joining and leaving -------------------------------------------------- */

/* Where the list of its memberships points to that of the group; at NULL if there
 * is none. *count: how many are before it. */
static struct membership **find_membership(struct actor *actor, const char *name, size_t size,
                                           unsigned *count)
{
    struct membership **link = &actor->memberships;
    for (*count = 0; *link != NULL; link = &(*link)->next, ++*count)
        if ((*link)->group->size == size && memcmp((*link)->group->name, name, size) == 0)
            break;
    return link;
}

static int join_locked(struct groups *groups, struct membership *membership, actor_id id,
                       const char *name, size_t size)
{
    struct group *group = group_locked(groups, name, size);
    if (group == NULL)
        return -ENOMEM;
    if (make_room_locked(group) != 0)
        return -ENOMEM; /* only of one that has members: a new one has room */
    membership->group = group;
    membership->index = group->used;
    group->members[group->used] = membership;
    atomic_store_explicit(&group->roster->ids[group->used++], id, memory_order_relaxed);
    group->count++;
    return 0;
}

int groups_join(struct actor *actor, const char *name, size_t size)
{
    struct groups *groups = &actor->system->groups;
    unsigned count;
    if (*find_membership(actor, name, size, &count) != NULL)
        return 0;
    if (count >= GROUPS_EACH)
        return -EAGAIN;
    struct membership *membership = memory_get(sizeof *membership);
    if (membership == NULL)
        return -ENOMEM;

    lock_acquire(&groups->lock);
    int error = join_locked(groups, membership, actor_self(actor), name, size);
    lock_release(&groups->lock);
    if (error != 0) {
        memory_put(membership, sizeof *membership);
        return error;
    }
    membership->next = actor->memberships;
    actor->memberships = membership;
    return 0;
}

static void leave(struct groups *groups, struct membership *membership)
{
    struct group *group = membership->group;
    lock_acquire(&groups->lock);
    atomic_store_explicit(&group->roster->ids[membership->index], 0, memory_order_relaxed);
    group->members[membership->index] = NULL;
    if (--group->count == 0)
        remove_group_locked(groups, group);
    else if (group->roster->room > FIRST_ROOM && group->count <= group->roster->room / 8)
        resize_locked(group, group->roster->room / 4); /* without memory it stays as it is */
    lock_release(&groups->lock);
    memory_put(membership, sizeof *membership);
}

bool groups_leave(struct actor *actor, const char *name, size_t size)
{
    unsigned count;
    struct membership **link = find_membership(actor, name, size, &count);
    struct membership *membership = *link;
    if (membership == NULL)
        return false;
    *link = membership->next;
    leave(&actor->system->groups, membership);
    return true;
}

void groups_leave_all(struct actor *actor)
{
    while (actor->memberships != NULL) {
        struct membership *membership = actor->memberships;
        actor->memberships = membership->next;
        leave(&actor->system->groups, membership);
    }
}

void groups_suggest(const struct actor *actor, struct suggest *suggest)
{
    for (const struct membership *each = actor->memberships; each != NULL; each = each->next)
        suggest_offer(suggest, each->group->name);
}

/* ---- All of them ----------------------------------------------------------- */

size_t groups_members(struct system *system, const char *name, size_t size, actor_id *ids,
                      size_t room)
{
    uint32_t used = 0;
    size_t count = 0;
    struct roster *roster = roster_of(&system->groups, name, size, &used);
    for (uint32_t i = 0; i < used; i++) {
        actor_id id = roster_at(roster, i);
        if (id == 0)
            continue;
        if (count < room)
            ids[count] = id;
        count++;
    }
    roster_unref(roster);
    return count;
}

size_t groups_publish(struct system *system, const char *name, size_t size,
                      const struct message *model, size_t *refused)
{
    uint32_t used = 0;
    size_t taken = 0;
    *refused = 0;
    struct roster *roster = roster_of(&system->groups, name, size, &used);
    for (uint32_t i = 0; i < used; i++) {
        actor_id id = roster_at(roster, i);
        if (id == 0)
            continue;
        struct message *message =
            message_new((enum message_kind)model->kind, model->type, model->payload, model->size);
        if (message == NULL) {
            ++*refused;
            continue;
        }
        message->to = id;
        message->from = model->from;
        message->lane = model->lane;
        switch (router_send(system, &message, 0)) {
        case ROUTER_OK:
            scheduler_sent();
            taken++;
            break;
        case ROUTER_FULL:
            router_refuse(system, &message, FAILURE_FULL, "published: the mailbox was full", NULL);
            ++*refused;
            break;
        default: /* it has just ended, and is no member any more */
            message_free(message);
        }
    }
    roster_unref(roster);
    return taken;
}
