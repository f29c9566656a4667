/*
 * shutdown.c -- all actors of a host end, in order and within a time.
 */
#include "actor/shutdown.h"

#include "actor/system.h"
#include "actor/watchdog.h"
#include "base/bytes.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

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
