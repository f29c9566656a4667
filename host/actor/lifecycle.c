/*
 * lifecycle.c -- birth and death of actors, and who is told of it.
 */
#include "actor/lifecycle.h"

#include "actor/statistics.h"
#include "actor/subject.h"
#include "actor/system.h"
#include "actor/watches.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>

static bool thread_is_valid(const char *thread)
{
    if (thread == NULL || strcmp(thread, "pool") == 0 || strcmp(thread, "own") == 0)
        return true;
    return strncmp(thread, "group:", 6) == 0 && address_name_is_valid(thread + 6, strlen(thread + 6));
}

static int refuse(int error, char *why, size_t room, const char *text)
{
    snprintf(why, room, "%s", text);
    return error;
}

static uint32_t children_limit(struct system *system, actor_id parent)
{
    const struct actor *actor = registry_find(&system->registry, parent);
    return actor != NULL && actor->children_limit != 0 ? actor->children_limit
                                                       : system->limits.children;
}

/* What registry_add() says of the limits: counts it, and says it in words. */
static int refuse_full(struct system *system, int error, actor_id parent, char *why, size_t room)
{
    struct system_counters *counters = &system->counters;
    atomic_fetch_add_explicit(error == -EAGAIN ? &counters->full_actors : &counters->full_children,
                              1, memory_order_relaxed);
    if (error == -EAGAIN)
        snprintf(why, room, "the host has its limit of %u actors", system->limits.actors);
    else
        snprintf(why, room, "this actor has its limit of %u children",
                 children_limit(system, parent));
    return error;
}

int lifecycle_check_room(struct system *system, actor_id parent, char *why, size_t room)
{
    if (atomic_load_explicit(&system->inlet_closed, memory_order_acquire))
        return refuse(-ESHUTDOWN, why, room, "the host is stopping");
    int error = registry_check_room(&system->registry, parent);
    return error == 0 ? 0 : refuse_full(system, error, parent, why, room);
}

/* Whoever runs the host waits for the end of all actors but the hidden ones. */
static bool all_ended_locked(const struct system *system)
{
    return atomic_load_explicit(&system->registry.living, memory_order_relaxed) <= system->hidden;
}

static void count_hidden(struct system *system)
{
    lock_acquire(&system->lock);
    system->hidden++;
    if (all_ended_locked(system))
        signal_all(&system->changed);
    lock_release(&system->lock);
}

/* One that nobody has seen yet. */
static void unmake(struct actor *actor)
{
    struct registry *registry = &actor->system->registry;
    rebirth_free(actor->rebirth);
    actor->rebirth = NULL;
    registry_remove(registry, actor);
    registry_release(registry, actor);
}

static bool has_own_thread(const char *thread)
{
    return thread != NULL && strcmp(thread, "pool") != 0;
}

int lifecycle_spawn(struct system *system, const struct spawn *spawn, actor_id *id, char *why,
                    size_t room)
{
    if (atomic_load_explicit(&system->inlet_closed, memory_order_acquire))
        return refuse(-ESHUTDOWN, why, room, "the host is stopping");
    if (spawn->name != NULL && !spawn->hidden &&
        !address_name_is_valid(spawn->name, strlen(spawn->name)))
        return refuse(-EINVAL, why, room, "a name is made of letters, digits, '_', '.' and '-'");
    if (!thread_is_valid(spawn->thread))
        return refuse(-EINVAL, why, room, "thread must be \"pool\", \"own\" or \"group:NAME\"");

    if (!has_own_thread(spawn->thread) && spawn->cpus != NULL && !cpus_is_empty(spawn->cpus))
        return refuse(-EINVAL, why, room, "cpu needs thread = \"own\" or \"group:NAME\"");
    if (!has_own_thread(spawn->thread) && spawn->priority != 0)
        return refuse(-EINVAL, why, room, "priority needs thread = \"own\" or \"group:NAME\"");

    struct actor *actor;
    int error = registry_add(&system->registry, spawn->name, spawn->stem, spawn->parent, &actor);
    if (error != 0) {
        if (error == -EEXIST)
            snprintf(why, room, "an actor named '%s' exists already", spawn->name);
        else if (error == -EAGAIN || error == -EMLINK)
            refuse_full(system, error, spawn->parent, why, room);
        else
            snprintf(why, room, "out of memory");
        return error;
    }

    actor->system = system;
    actor->behaviour = spawn->behaviour;
    actor->state = spawn->state;
    actor->appetite = APPETITE_CONTROL;
    actor->phase = PHASE_BORN;
    actor->ended = ENDED_NORMALLY;
    actor->end_reason = NULL;
    atomic_store_explicit(&actor->log_level, LOG_AS_ALL, memory_order_relaxed);
    actor->on_failure = (uint8_t)spawn->on_failure;
    actor->afterwards = AFTERWARDS_END;
    actor->supervised = spawn->supervised;
    actor->announced = spawn->announced;
    actor->contained = spawn->contained;
    actor->for_good = actor->started = false;
    actor->restarts = 0;
    actor->chain = NULL;
    actor->parent_id = spawn->parent;
    const struct actor *parent = registry_find(&system->registry, spawn->parent);
    actor->parent_incarnation =
        parent != NULL ? atomic_load_explicit(&parent->incarnation, memory_order_relaxed) : 0;
    atomic_store_explicit(&actor->incarnation, 1, memory_order_relaxed);
    atomic_store_explicit(&actor->condemned, 0, memory_order_relaxed);
    atomic_store_explicit(&actor->cancelling, false, memory_order_relaxed);
    actor->busy = actor->preempted = actor->starting = false;
    atomic_store_explicit(&actor->handling, TYPE_NONE, memory_order_relaxed);
    atomic_store_explicit(&actor->begun, false, memory_order_relaxed);
    atomic_store_explicit(&actor->takes_any, spawn->takes_any, memory_order_relaxed);
    actor->hidden = spawn->hidden;
    actor->vital = false;
    actor->children_limit = spawn->children;
    actor->traps_exits = spawn->traps_exits;
    atomic_store_explicit(&actor->has_streams, false, memory_order_relaxed);
    actor->told_to_stop = false;
    atomic_store_explicit(&actor->slice_ns, spawn->slice_ns != 0 ? spawn->slice_ns : 5 * NS_PER_SEC,
                          memory_order_relaxed);
    actor->drain_left = 0;
    statistics_born(actor, spawn);
    /* actor->waits runs on from tenant to tenant: see waits.h. */
    atomic_store_explicit(&actor->edge, 0, memory_order_relaxed);
    if (rebirth_new(actor, spawn, &actor->rebirth) != 0) {
        unmake(actor);
        return refuse(-ENOMEM, why, room, "out of memory");
    }
    actor->home = NULL;
    if (has_own_thread(spawn->thread)) {
        actor->home = scheduler_pin(system, spawn, actor->name, &error, why, room);
        if (actor->home == NULL) {
            unmake(actor);
            return error;
        }
    }
    if (spawn->subject != NULL)
        subject_set(actor, spawn->subject);
    mailbox_open(&actor->box, &spawn->mailbox);
    *id = registry_publish(&system->registry, actor);
    names_announce(system, actor);
    if (spawn->hidden)
        count_hidden(system);
    /* Asleep from here on: the START that follows wakes it. */
    if (!mailbox_sleep(&actor->box))
        scheduler_ready(actor);
    return 0;
}

int lifecycle_start(struct system *system, actor_id id, const void *config, size_t size)
{
    struct message *start = message_new(MESSAGE_START, TYPE_START, config, size);
    if (start == NULL) {
        lifecycle_stop(system, id, false);
        return -ENOMEM;
    }
    start->to = id;
    router_send(system, &start, ROUTE_RESERVED);
    message_free(start);
    return 0;
}

void lifecycle_begun(struct actor *actor)
{
    struct system *system = actor->system;
    /* Pairs with the store in lifecycle_await_begun(): one of the two sees the other. */
    atomic_store_explicit(&actor->begun, true, memory_order_seq_cst);
    if (LIKELY(atomic_load_explicit(&system->begin_watched, memory_order_seq_cst) !=
               actor_self(actor)))
        return;
    lock_acquire(&system->lock);
    signal_all(&system->changed);
    lock_release(&system->lock);
}

void lifecycle_await_begun(struct system *system, actor_id id, uint64_t deadline_ns)
{
    lock_acquire(&system->lock);
    atomic_store_explicit(&system->begin_watched, id, memory_order_seq_cst);
    for (;;) {
        struct actor *actor = registry_find(&system->registry, id);
        if (actor == NULL || atomic_load_explicit(&actor->begun, memory_order_seq_cst) ||
            !signal_wait_until(&system->changed, &system->lock, deadline_ns))
            break;
    }
    atomic_store_explicit(&system->begin_watched, 0, memory_order_relaxed);
    lock_release(&system->lock);
}

bool lifecycle_tell(struct system *system, actor_id id, enum stop_how how, bool drain)
{
    struct message *message = message_new(MESSAGE_STOP, TYPE_SHUTDOWN, NULL, 0);
    if (message == NULL) {
        log_error("lifecycle: an actor could not be stopped: out of memory");
        return false;
    }
    message->to = id;
    message->reason = (uint8_t)how;
    if (drain)
        message->flags |= MESSAGE_DRAIN;
    bool there = router_send(system, &message, ROUTE_RESERVED) == ROUTER_OK;
    message_free(message);
    return there;
}

bool lifecycle_stop(struct system *system, actor_id id, bool drain)
{
    return lifecycle_tell(system, id, STOP_ASKED, drain);
}

/* Told while it is still there, in lots, for the lock is not held while sending. */
void lifecycle_end_children(struct actor *parent, bool mourned)
{
    struct system *system = parent->system;
    actor_id lot[32];
    unsigned count;
    do {
        count = registry_take_children(&system->registry, parent, lot, ARRAY_LENGTH(lot), mourned);
        for (unsigned i = 0; i < count; i++)
            lifecycle_tell(system, lot[i], STOP_FOR_GOOD, false);
    } while (count == ARRAY_LENGTH(lot));
}

static void refuse_all(struct system *system, struct message *messages, struct parked *parked)
{
    while (messages != NULL) {
        struct message *message = messages;
        messages = atomic_load_explicit(&message->next, memory_order_relaxed);
        if (message->flags & MESSAGE_KEPT)
            continue;
        router_refuse(system, &message, FAILURE_DOWN, "the actor has ended", NULL);
    }
    while (parked != NULL) {
        struct parked *each = parked;
        parked = each->next;
        struct message *message = each->message;
        if (message->kind != MESSAGE_ASK && each->wake != NULL) {
            struct message *wake = each->wake;
            wake->reason = FAILURE_DOWN;
            waits_end(system, wake->to, wake->request);
            router_send(system, &wake, ROUTE_RESERVED);
            message_free(wake);
        } else {
            message_free(each->wake);
        }
        router_refuse(system, &message, FAILURE_DOWN, "the actor has ended", NULL);
        memory_put(each, sizeof *each);
    }
}

/* The last of the children that somebody waits for has ended. */
static void wake_mourner(struct system *system, actor_id mourner)
{
    if (mourner == 0)
        return;
    struct message *wake = message_new(MESSAGE_WAKE, TYPE_NONE, NULL, 0);
    if (wake == NULL)
        return; /* its patience will be over */
    wake->to = mourner;
    router_send(system, &wake, ROUTE_RESERVED);
    message_free(wake);
}

void lifecycle_end(struct actor *actor)
{
    struct system *system = actor->system;
    actor_id id = actor_self(actor);
    bool by_error = actor->ended != ENDED_NORMALLY;
    bool ends_host = actor->vital && actor->ended == ENDED_AT_START;
    bool hidden = actor->hidden;
    struct worker *home = actor->home;
    struct message *messages;
    struct parked *parked;

    incarnation_over(actor);
    groups_leave_all(actor);
    mailbox_close(&actor->box, &messages, &parked);
    /* Refused before the name is gone: the dead letters say whose they were. */
    refuse_all(system, messages, parked);
    actor->behaviour->end(actor);
    lifecycle_end_children(actor, false);
    incarnation_escalate(actor);
    wake_mourner(system, registry_remove(&system->registry, actor));
    watches_end(actor, actor_end_reason(actor)); /* its name is free when they hear of it */
    memory_free_text(actor->end_reason);
    memory_free_text(actor->chain);
    actor->end_reason = actor->chain = NULL;
    rebirth_free(actor->rebirth);
    actor->rebirth = NULL;
    alarm_fini(actor);
    atomic_store_explicit(&actor->edge, 0, memory_order_relaxed);
    registry_release(&system->registry, actor); /* the structure may be somebody else's now */
    if (home != NULL)
        scheduler_unpin(system, home);
    incarnation_gone(system, id);
    shutdown_ended(system, id);

    lock_acquire(&system->lock);
    atomic_fetch_sub_explicit(&system->registry.living, 1, memory_order_acq_rel);
    if (hidden)
        system->hidden--;
    else
        system->last_error = by_error;
    if (ends_host && !system->stop_asked) { /* not system_ask_stop(): the lock is held */
        system->stop_asked = true;
        system->exit_code = 1;
    }
    if (ends_host || all_ended_locked(system) ||
        atomic_load_explicit(&system->begin_watched, memory_order_relaxed) == id)
        signal_all(&system->changed);
    lock_release(&system->lock);
}
