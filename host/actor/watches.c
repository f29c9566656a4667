/*
 * watches.c -- see watches.h.
 */
#include "actor/watches.h"

#include "actor/notice.h"
#include "actor/router.h"
#include "actor/system.h"
#include "actor/watches_room.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOT 64 /* notices taken under the lock at once */

/* Frees a watch that was taken out of its watcher's table. */
static void forget(struct system *system, struct actor_watch *watch)
{
    const struct remote_port *remote = &system->remote;
    struct actor *target = watch_slot(system, watch->target);
    if (watch->target == 0) {
        if (watch->address->endpoint_size > 0 && remote->unwatch != NULL)
            remote->unwatch(remote->context, watch->address, watch->watcher, watch->number);
    } else if (target != NULL) {
        spin_acquire(&target->watch_lock);
        if (watch->listed)
            watch_unlist_locked(target, watch);
        spin_release(&target->watch_lock);
    }
    watch_free(watch);
}

/* The watch is in the table; its notice goes to whoever will send it. */
static void begin_elsewhere(struct system *system, const struct watch_target *target,
                            struct message *notice)
{
    const struct remote_port *remote = &system->remote;
    const char *reason = REASON_NOBODY;
    if (target->address->endpoint_size > 0) {
        if (remote->watch != NULL && remote->watch(remote->context, target->address, &notice))
            return;
        reason = REASON_UNREACHABLE;
    }
    notice_send(system, &notice, reason, false);
}

int watch_begin(struct actor *watcher, const struct watch_target *target)
{
    struct system *system = watcher->system;
    struct actor *other = watch_slot(system, target->id);
    struct message *notice = NULL;
    int error = watches_prepare(watcher, actor_self(watcher));
    if (error != 0)
        return error;
    struct actor_watch *watch = watch_new(system, actor_self(watcher), target, WATCH);
    if (watch == NULL)
        return -ENOMEM;

    watch_lock_both(watcher, other);
    struct actor_watch **known = watch_place_locked(watcher, target);
    if (known != NULL) {
        watch_set_flags(*known, watch_flags(*known) | WATCH);
    } else {
        watch_add_locked(watcher, watch, target);
        if (other != NULL && watch_target_lives_locked(other, target->id)) {
            watch_list_locked(other, watch);
        } else {
            notice = watch->notice;
            watch->notice = NULL;
        }
    }
    watch_unlock_both(watcher, other);
    if (known != NULL)
        watch_free(watch);
    else if (notice != NULL && target->id != 0)
        notice_send(system, &notice, REASON_NOBODY, false);
    else if (notice != NULL)
        begin_elsewhere(system, target, notice);
    return 0;
}

bool watch_end(struct actor *watcher, const struct watch_target *target)
{
    bool was = false;
    for (;;) {
        struct actor_watch *gone = NULL;
        spin_acquire(&watcher->watch_lock);
        struct actor_watch **place = watch_called_locked(watcher, target, WATCH);
        if (place != NULL) {
            watch_set_flags(*place, watch_flags(*place) & ~(unsigned)WATCH);
            if ((watch_flags(*place) & LINK) == 0)
                gone = watch_take_locked(watcher->watches, place);
        }
        spin_release(&watcher->watch_lock);
        if (gone != NULL)
            forget(watcher->system, gone);
        if (place == NULL)
            return was;
        was = true;
    }
}

/* ---- Ends ------------------------------------------------------------------ */

/* The target of the first entry from *bucket on that the actor has begun itself.
 * The table may grow meanwhile: what was not yet looked at goes to later buckets. */
static bool next_begun(struct actor *actor, unsigned *bucket, struct watch_target *target,
                       bool *linked)
{
    bool found = false;
    spin_acquire(&actor->watch_lock);
    struct watches *table = actor->watches;
    while (table != NULL && *bucket <= table->mask) {
        struct actor_watch *each = table->buckets[*bucket];
        while (each != NULL && (watch_flags(each) & (WATCH | OURS)) == 0)
            each = each->next;
        if (each != NULL) {
            *target = (struct watch_target){
                .id = each->target,
                .address = each->address != NULL ? address_ref(each->address) : NULL,
            };
            *linked = (watch_flags(each) & OURS) != 0;
            found = true;
            break;
        }
        ++*bucket;
    }
    spin_release(&actor->watch_lock);
    return found;
}

void watches_drop(struct actor *actor)
{
    struct watch_target target;
    unsigned bucket = 0;
    bool linked;
    while (next_begun(actor, &bucket, &target, &linked)) {
        watch_end(actor, &target);
        if (linked)
            link_drop(actor, &target);
        address_unref((struct address *)(uintptr_t)target.address);
    }
}

static bool is_fatal(const struct actor_watch *watch, bool normal)
{
    return !normal && (watch_flags(watch) & (LINK | TRAPPED)) == LINK;
}

static void tell(struct actor *actor, const char *reason)
{
    struct message *notices[LOT];
    bool urgent[LOT];
    bool normal = strcmp(reason, REASON_NORMAL) == 0;
    unsigned count;
    do {
        count = 0;
        spin_acquire(&actor->watch_lock);
        while (actor->watchers != NULL && count < LOT) {
            struct actor_watch *watch = actor->watchers;
            watch_unlist_locked(actor, watch);
            urgent[count] = is_fatal(watch, normal);
            notices[count++] = watch->notice;
            watch->notice = NULL;
        }
        spin_release(&actor->watch_lock);
        for (unsigned i = 0; i < count; i++)
            notice_send(actor->system, &notices[i], reason, urgent[i]);
    } while (count == LOT);
}

void watches_end(struct actor *actor, const char *reason)
{
    tell(actor, reason);

    /* Nobody adds to it any more: the id is gone. */
    spin_acquire(&actor->watch_lock);
    struct watches *table = actor->watches;
    actor->watches = NULL;
    spin_release(&actor->watch_lock);
    if (table == NULL)
        return;
    for (unsigned i = 0; i <= table->mask; i++)
        while (table->buckets[i] != NULL)
            forget(actor->system, watch_take_locked(table, &table->buckets[i]));
    watches_free_table(table);
}

/* ---- Hearing --------------------------------------------------------------- */

static enum heard meaning_of(const struct actor *actor, uint8_t flags, bool normal)
{
    if ((flags & LINK) && !actor->traps_exits && !normal)
        return HEARD_FATAL;
    return (flags & WATCH) || ((flags & LINK) && actor->traps_exits) ? HEARD_DOWN : HEARD_NOTHING;
}

enum heard watches_hear(struct actor *actor, struct message **notice, char *why, size_t room)
{
    struct message *message = *notice;
    struct actor_watch *heard = NULL;
    enum heard meaning = HEARD_NOTHING;
    const char *name, *reason;
    size_t name_size, reason_size;
    notice_read(message, &name, &name_size, &reason, &reason_size);
    bool normal = reason_size == strlen(REASON_NORMAL) &&
                  memcmp(reason, REASON_NORMAL, reason_size) == 0;
    bool again = false;

    spin_acquire(&actor->watch_lock);
    struct actor_watch **place = watch_numbered_locked(actor, message->request);
    if (place != NULL) {
        meaning = meaning_of(actor, watch_flags(*place), normal);
        /* It came as one that ends the actor, and the link is gone since then: a
         * handler may be in hand. */
        again = meaning == HEARD_DOWN && message->lane == LANE_CONTROL;
        if (!again) /* it has left its target's list, or was never in one */
            heard = watch_take_locked(actor->watches, place);
    }
    spin_release(&actor->watch_lock);

    watch_free(heard);
    if (again) {
        message->lane = LANE_NOTICE;
        router_send(actor->system, &message, ROUTE_RESERVED);
        meaning = HEARD_NOTHING;
    }
    *notice = NULL;
    if (meaning == HEARD_DOWN) {
        message->kind = MESSAGE_ORDINARY;
        message->request = 0;
        *notice = message;
        return meaning;
    }
    if (meaning == HEARD_FATAL)
        snprintf(why, room, "error: linked %.*s ended: %.*s", (int)name_size, name,
                 (int)reason_size, reason);
    message_free(message);
    return meaning;
}
