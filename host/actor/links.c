/*
 * links.c -- what two actors have of each other that share one fate; see watches.h.
 */
#include "actor/notice.h"
#include "actor/system.h"
#include "actor/watches_room.h"

#include <errno.h>

/* One half of a link: what `watcher` has of `target`. *spare is used and NULL if
 * there was nothing yet. Both locks are held, both live. */
static void tie_locked(struct actor *watcher, struct actor *target, struct actor_watch **spare,
                       const struct watch_target *whom, unsigned flags)
{
    if (watcher->traps_exits)
        flags |= TRAPPED;
    struct actor_watch **known = watch_place_locked(watcher, whom);
    struct actor_watch *watch = known != NULL ? *known : *spare;
    if (known == NULL) {
        *spare = NULL;
        watch_add_locked(watcher, watch, whom);
        watch_list_locked(target, watch);
    }
    watch_set_flags(watch, watch_flags(watch) | flags);
}

/* The other end is gone: our half alone. Its notice, to be sent; NULL: it is on
 * its way. */
static struct message *tie_to_nobody_locked(struct actor *actor, struct actor_watch **spare,
                                            const struct watch_target *target)
{
    struct message *notice = NULL;
    struct actor_watch **known = watch_place_locked(actor, target);
    struct actor_watch *watch = known != NULL ? *known : *spare;
    if (known == NULL) {
        *spare = NULL;
        watch_add_locked(actor, watch, target);
        notice = watch->notice;
        watch->notice = NULL;
    }
    unsigned trapped = actor->traps_exits ? TRAPPED : 0;
    watch_set_flags(watch, watch_flags(watch) | LINK | OURS | trapped);
    return notice;
}

int link_begin(struct actor *actor, const struct watch_target *target)
{
    struct system *system = actor->system;
    actor_id self = actor_self(actor);
    struct watch_target back = { .id = self };
    struct actor *other = watch_slot(system, target->id);
    int error = watches_prepare(actor, self);
    if (error == 0 && other != NULL)
        error = watches_prepare(other, target->id);
    if (error != 0)
        return error;
    struct actor_watch *ours = watch_new(system, self, target, 0);
    struct actor_watch *theirs = other != NULL ? watch_new(system, target->id, &back, 0) : NULL;
    if (ours == NULL || (theirs == NULL && other != NULL)) {
        watch_free(ours);
        watch_free(theirs);
        return -ENOMEM;
    }
    struct message *notice = NULL;
    watch_lock_both(actor, other);
    if (other != NULL && watch_target_lives_locked(other, target->id)) {
        tie_locked(actor, other, &ours, target, LINK | OURS);
        tie_locked(other, actor, &theirs, &back, LINK);
    } else {
        notice = tie_to_nobody_locked(actor, &ours, target);
    }
    watch_unlock_both(actor, other);
    watch_free(ours);
    watch_free(theirs);
    if (notice != NULL)
        notice_send(system, &notice, REASON_NOBODY, !actor->traps_exits);
    return 0;
}

/* Takes half a link back. An entry that is nothing any more is the caller's,
 * out of the table and, if `target` lives, of its list. Both locks are held. */
static struct actor_watch *untie_locked(struct actor *watcher, struct actor *target,
                                  const struct watch_target *whom)
{
    struct actor_watch **place = watch_place_locked(watcher, whom);
    if (place == NULL || (watch_flags(*place) & LINK) == 0)
        return NULL;
    unsigned flags = watch_flags(*place) & WATCH;
    watch_set_flags(*place, flags);
    if (flags != 0)
        return NULL;
    struct actor_watch *gone = watch_take_locked(watcher->watches, place);
    if (gone->listed)
        watch_unlist_locked(target, gone);
    return gone;
}

/* The id of one that the actor is linked to, and calls so; 0: nobody yet. */
static bool find_linked(struct actor *actor, const struct watch_target *target, actor_id *id,
                        struct address **address)
{
    spin_acquire(&actor->watch_lock);
    struct actor_watch **place = watch_called_locked(actor, target, LINK);
    if (place != NULL) {
        *id = (*place)->target;
        *address = (*place)->address != NULL ? address_ref((*place)->address) : NULL;
    }
    spin_release(&actor->watch_lock);
    return place != NULL;
}

/* Whether the other one has begun this link, too. Both locks are held. */
static bool is_theirs_locked(struct actor *other, const struct watch_target *back)
{
    struct actor_watch **place = watch_place_locked(other, back);
    return place != NULL && (watch_flags(*place) & OURS) != 0;
}

static void untie(struct actor *actor, const struct watch_target *target, bool unless_theirs)
{
    struct watch_target back = { .id = actor_self(actor) };
    struct actor *other = watch_slot(actor->system, target->id);
    struct actor_watch *ours = NULL, *theirs = NULL;

    watch_lock_both(actor, other);
    bool lives = other != NULL && watch_target_lives_locked(other, target->id);
    if (unless_theirs && lives && is_theirs_locked(other, &back)) {
        struct actor_watch **place = watch_place_locked(actor, target);
        if (place != NULL)
            watch_set_flags(*place, watch_flags(*place) & ~(unsigned)OURS);
    } else {
        ours = untie_locked(actor, other, target);
        if (lives)
            theirs = untie_locked(other, actor, &back);
    }
    watch_unlock_both(actor, other);
    watch_free(ours);
    watch_free(theirs);
}

void link_drop(struct actor *actor, const struct watch_target *target)
{
    untie(actor, target, true);
}

bool link_end(struct actor *actor, const struct watch_target *target)
{
    struct watch_target linked = { 0 };
    struct address *address = NULL;
    bool was = false;
    while (find_linked(actor, target, &linked.id, &address)) {
        linked.address = address;
        untie(actor, &linked, false);
        address_unref(address);
        was = true;
    }
    return was;
}
