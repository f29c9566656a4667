/*
 * lifecycle.c -- birth and death of actors, and who is told of it.
 */
#include "actor/lifecycle.h"

#include "actor/system.h"
#include "actor/watchdog.h"
#include "base/bytes.h"
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

    struct actor *actor;
    int error = registry_add(&system->registry, spawn->name, spawn->stem, spawn->parent, &actor);
    if (error != 0) {
        if (error == -EEXIST)
            snprintf(why, room, "an actor named '%s' exists already", spawn->name);
        else if (error == -EAGAIN)
            snprintf(why, room, "the host has its limit of %u actors", system->limits.actors);
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
    actor->busy = actor->preempted = actor->starting = false;
    atomic_store_explicit(&actor->begun, false, memory_order_relaxed);
    atomic_store_explicit(&actor->takes_any, spawn->takes_any, memory_order_relaxed);
    actor->hidden = spawn->hidden;
    actor->vital = false;
    actor->told_to_stop = false;
    atomic_store_explicit(&actor->slice_ns, spawn->slice_ns != 0 ? spawn->slice_ns : 5 * NS_PER_SEC,
                          memory_order_relaxed);
    actor->drain_left = 0;
    /* actor->waits runs on from tenant to tenant: see waits.h. */
    atomic_store_explicit(&actor->edge, 0, memory_order_relaxed);
    actor->home = NULL;
    if (spawn->thread != NULL && strcmp(spawn->thread, "pool") != 0) {
        actor->home = scheduler_pin(system, spawn->thread, &error);
        if (actor->home == NULL) {
            registry_remove(&system->registry, actor);
            registry_release(&system->registry, actor);
            return refuse(error, why, room, "the thread could not be made");
        }
    }
    mailbox_open(&actor->box, &spawn->mailbox);
    *id = registry_publish(&system->registry, actor);
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

bool lifecycle_stop(struct system *system, actor_id id, bool drain)
{
    struct message *message = message_new(MESSAGE_STOP, TYPE_SHUTDOWN, NULL, 0);
    if (message == NULL) {
        log_error("lifecycle: an actor could not be stopped: out of memory");
        return false;
    }
    message->to = id;
    if (drain)
        message->flags |= MESSAGE_DRAIN;
    bool there = router_send(system, &message, ROUTE_RESERVED) == ROUTER_OK;
    message_free(message);
    return there;
}

/* Its children end with it: told while it is still there, in lots, for the
 * lock is not held while sending. */
static void stop_children(struct actor *parent)
{
    struct system *system = parent->system;
    actor_id lot[32];
    unsigned count;
    do {
        count = registry_take_children(&system->registry, parent, lot, ARRAY_LENGTH(lot));
        for (unsigned i = 0; i < count; i++)
            lifecycle_stop(system, lot[i], false);
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

    timers_cancel_owned(system->timers, id);
    mailbox_close(&actor->box, &messages, &parked);
    /* Refused before the name is gone: the dead letters say whose they were. */
    refuse_all(system, messages, parked);
    actor->behaviour->end(actor);
    stop_children(actor);
    memory_free_text(actor->end_reason);
    actor->end_reason = NULL;
    registry_remove(&system->registry, actor);
    alarm_fini(actor);
    atomic_store_explicit(&actor->edge, 0, memory_order_relaxed);
    registry_release(&system->registry, actor); /* the structure may be somebody else's now */
    if (home != NULL)
        scheduler_unpin(system, home);

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
    if (ends_host || all_ended_locked(system) || system->end_watched == id ||
        atomic_load_explicit(&system->begin_watched, memory_order_relaxed) == id)
        signal_all(&system->changed);
    lock_release(&system->lock);
}

/* Waits until the actor `id` has ended; false at the deadline. */
static bool await_end(struct system *system, actor_id id, uint64_t deadline_ns)
{
    if (system->scheduler.regular == 0) {
        while (registry_find(&system->registry, id) != NULL) {
            if (scheduler_step(system))
                continue;
            uint64_t next_ns = timers_next(system->timers);
            if (next_ns > deadline_ns || next_ns == UINT64_MAX)
                return false;
            timers_advance(system->timers, next_ns);
        }
        return true;
    }
    bool in_time = true;
    lock_acquire(&system->lock);
    system->end_watched = id;
    while (in_time && registry_find(&system->registry, id) != NULL)
        in_time = signal_wait_until(&system->changed, &system->lock, deadline_ns);
    system->end_watched = 0;
    lock_release(&system->lock);
    return registry_find(&system->registry, id) == NULL;
}

/* The youngest actor; with `untold`, of those not yet told to stop, which it
 * then is. 0: none. */
static actor_id newest(struct system *system, bool untold)
{
    struct registry *registry = &system->registry;
    lock_acquire(&registry->lock);
    struct actor *each = registry->newest;
    while (each != NULL && untold && each->told_to_stop)
        each = each->born_before;
    actor_id id = each != NULL ? actor_self(each) : 0;
    if (untold && each != NULL)
        each->told_to_stop = true;
    lock_release(&registry->lock);
    return id;
}

/* Waits for those that are left: true if nobody is. */
static bool await_all(struct system *system, uint64_t deadline_ns)
{
    actor_id id;
    while ((id = newest(system, false)) != 0)
        if (!await_end(system, id, deadline_ns))
            return false;
    return true;
}

static void stop_all(struct system *system)
{
    struct registry *registry = &system->registry;
    uint32_t room = atomic_load_explicit(&registry->living, memory_order_acquire) + 1;
    uint32_t count = 0;
    actor_id *all = memory_get(room * sizeof *all);
    if (all == NULL)
        return; /* the host goes on without them */
    lock_acquire(&registry->lock);
    for (struct actor *each = registry->newest; each != NULL && count < room;
         each = each->born_before)
        all[count++] = actor_self(each);
    lock_release(&registry->lock);
    for (uint32_t i = 0; i < count; i++)
        lifecycle_stop(system, all[i], false);
    memory_put(all, room * sizeof *all);
}

static void account_for(struct system *system, struct shutdown_account *account)
{
    struct registry *registry = &system->registry;
    struct bytes names;
    bytes_init(&names, sizeof account->names - 1);

    lock_acquire(&registry->lock);
    for (struct actor *each = registry->oldest; each != NULL; each = each->born_after) {
        uint32_t messages = mailbox_unhandled(&each->box);
        account->left++;
        account->messages += messages;
        bytes_printf(&names, "%s%s (%u message%s)", names.size > 0 ? ", " : "", each->name, messages,
                     messages == 1 ? "" : "s");
    }
    lock_release(&registry->lock);
    snprintf(account->names, sizeof account->names, "%s%s", bytes_text(&names),
             names.failed ? ", ..." : "");
    bytes_fini(&names);
}

void lifecycle_shut_down(struct system *system, uint64_t deadline_ns,
                         struct shutdown_account *account)
{
    memset(account, 0, sizeof *account);
    atomic_store_explicit(&system->inlet_closed, true, memory_order_release);
    /* One that does not end keeps the older ones waiting for half of what is
     * left of the budget, and no longer. */
    actor_id id;
    while ((id = newest(system, true)) != 0) {
        uint64_t now_ns = clock_now(&system->clock);
        uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
        lifecycle_stop(system, id, true);
        if (await_end(system, id, now_ns + left_ns / 2))
            account->stopped++;
    }
    if (await_all(system, deadline_ns))
        return;
    account_for(system, account);
    /* The budget is over: all that is left is stopped at once, whatever it
     * does; a moment to do it in, then the host goes on without it. */
    stop_all(system);
    if (system->scheduler.regular > 0) {
        watchdog_condemn_all(system);
        await_all(system, clock_now(&system->clock) + 100 * NS_PER_MS);
    } else {
        while (scheduler_step(system))
            continue;
    }
}
