/*
 * shutdown.c -- see shutdown.h: tells, waits, and ends who does not end.
 */
#include "actor/shutdown.h"

#include "actor/system.h"
#include "actor/watchdog.h"
#include "base/bytes.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

#define KILL_GRACE_NS (100 * NS_PER_MS) /* to end in, at least, for those who were killed */

/* system->told, while somebody looks for the next one. */
#define NEXT_IS_SOUGHT UINT64_MAX

/* ---- One after the other ------------------------------------------------- */

/* The youngest actor that was not told to stop, which it is from now on. 0: none. */
static actor_id take_newest(struct system *system)
{
    struct registry *registry = &system->registry;
    lock_acquire(&registry->lock);
    struct actor *each = registry->newest;
    while (each != NULL && each->told_to_stop)
        each = each->born_before;
    actor_id id = each != NULL ? actor_self(each) : 0;
    if (each != NULL)
        each->told_to_stop = true;
    lock_release(&registry->lock);
    return id;
}

static void signal_change(struct system *system)
{
    lock_acquire(&system->lock);
    signal_all(&system->changed);
    lock_release(&system->lock);
}

/* By whoever has set system->told to NEXT_IS_SOUGHT. */
static void tell_next(struct system *system)
{
    actor_id id, sought;
    do {
        id = take_newest(system);
        atomic_fetch_add_explicit(&system->told_count, 1, memory_order_relaxed);
        atomic_store_explicit(&system->told, id, memory_order_seq_cst);
        if (id == 0) {
            signal_change(system);
            return;
        }
        lifecycle_tell(system, id, STOP_FOR_GOOD, true);
        /* Either its end has seen that it was told, and goes on from there; or we
         * see that it has ended. */
        full_fence();
        sought = id;
    } while (registry_find(&system->registry, id) == NULL &&
             atomic_compare_exchange_strong_explicit(&system->told, &sought, NEXT_IS_SOUGHT,
                                                     memory_order_seq_cst, memory_order_relaxed));
}

/* If that actor still is the one that everybody waits for. */
static void go_on_from(struct system *system, actor_id id)
{
    if (atomic_compare_exchange_strong_explicit(&system->told, &id, NEXT_IS_SOUGHT,
                                                memory_order_seq_cst, memory_order_relaxed))
        tell_next(system);
}

void shutdown_ended(struct system *system, actor_id id)
{
    full_fence(); /* see tell_next() */
    if (UNLIKELY(atomic_load_explicit(&system->told, memory_order_seq_cst) == id))
        go_on_from(system, id);
}

/* ---- All at once ----------------------------------------------------------- */

static void stop_all(struct system *system, bool drain)
{
    struct registry *registry = &system->registry;
    uint32_t room = atomic_load_explicit(&registry->living, memory_order_acquire) + 1;
    uint32_t count = 0;
    actor_id *all = memory_get(room * sizeof *all);
    if (all == NULL)
        return; /* the host goes on without them */
    lock_acquire(&registry->lock);
    for (struct actor *each = registry->newest; each != NULL && count < room;
         each = each->born_before) {
        if (drain && each->told_to_stop)
            continue;
        each->told_to_stop = true;
        all[count++] = actor_self(each);
    }
    lock_release(&registry->lock);
    for (uint32_t i = 0; i < count; i++)
        lifecycle_tell(system, all[i], STOP_FOR_GOOD, drain);
    memory_put(all, room * sizeof *all);
}

/* ---- Waiting --------------------------------------------------------------- */

static bool all_have_ended(struct system *system)
{
    return atomic_load_explicit(&system->registry.living, memory_order_acquire) == 0;
}

static bool told_is(struct system *system, actor_id id)
{
    return atomic_load_explicit(&system->told, memory_order_seq_cst) == id;
}

/* Runs the actors on this thread until nobody waits for `id` any more (0: until
 * all have ended); false at the deadline, or when nothing will ever happen again. */
static bool run_until(struct system *system, actor_id id, uint64_t deadline_ns)
{
    while (id != 0 ? told_is(system, id) : !all_have_ended(system)) {
        if (scheduler_step(system))
            continue;
        uint64_t next_ns = timers_next(system->timers);
        if (next_ns > deadline_ns || next_ns == UINT64_MAX)
            return false;
        timers_advance(system->timers, next_ns);
    }
    return true;
}

static bool await_all(struct system *system, uint64_t deadline_ns)
{
    if (system->scheduler.regular == 0)
        return run_until(system, 0, deadline_ns);
    bool in_time = true;
    lock_acquire(&system->lock);
    while (in_time && !all_have_ended(system))
        in_time = signal_wait_until(&system->changed, &system->lock, deadline_ns);
    lock_release(&system->lock);
    return all_have_ended(system);
}

/* Waits for `id`, and for whoever is told after it, but only until `until_ns`. */
static void await_told(struct system *system, actor_id id, uint64_t until_ns)
{
    if (system->scheduler.regular == 0) {
        if (!run_until(system, id, until_ns))
            go_on_from(system, id);
        return;
    }
    /* Who goes on from one to the next does not wake us: only at the last. */
    lock_acquire(&system->lock);
    while (!told_is(system, 0) && signal_wait_until(&system->changed, &system->lock, until_ns))
        continue;
    lock_release(&system->lock);
}

/* When the others go on without those who were told: not before a quarter of the
 * time is over, and at half of it all must have been told. */
struct pace {
    uint64_t begin_ns, end_ns;
    uint32_t actors;
};

/* When `told` of them are too few. */
static uint64_t too_few_from(const struct pace *pace, uint32_t told)
{
    if (told >= pace->actors)
        return pace->end_ns;
    return pace->begin_ns + (pace->end_ns - pace->begin_ns) / pace->actors * told;
}

static void tell_all_in_turn(struct system *system, uint64_t deadline_ns)
{
    uint64_t now_ns = clock_now(&system->clock);
    uint64_t quarter_ns = deadline_ns > now_ns ? (deadline_ns - now_ns) / 4 : 0;
    uint32_t living = atomic_load_explicit(&system->registry.living, memory_order_acquire);
    struct pace pace = { now_ns + quarter_ns, now_ns + 2 * quarter_ns, living > 0 ? living : 1 };
    actor_id id;

    tell_next(system);
    while ((id = atomic_load_explicit(&system->told, memory_order_seq_cst)) != 0) {
        if (id == NEXT_IS_SOUGHT) {
            cpu_relax();
            continue;
        }
        uint32_t told = atomic_load_explicit(&system->told_count, memory_order_relaxed);
        uint64_t until_ns = too_few_from(&pace, told);
        now_ns = clock_now(&system->clock);
        if (now_ns >= pace.end_ns) {
            stop_all(system, true);
            return;
        }
        if (now_ns >= until_ns)
            go_on_from(system, id);
        else
            await_told(system, id, until_ns);
    }
}

/* ---- The account ------------------------------------------------------------ */

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
    uint64_t now_ns = clock_now(&system->clock);
    uint64_t kill_ns = deadline_ns > now_ns ? deadline_ns - (deadline_ns - now_ns) / 10 : now_ns;

    memset(account, 0, sizeof *account);
    atomic_store_explicit(&system->inlet_closed, true, memory_order_release);
    dead_letters_tally(&system->letters, true);
    tell_all_in_turn(system, kill_ns);
    if (await_all(system, kill_ns))
        return;

    dead_letters_tally(&system->letters, false);
    account_for(system, account);
    stop_all(system, false);
    if (system->scheduler.regular > 0) {
        watchdog_condemn_all(system);
        now_ns = clock_now(&system->clock);
        await_all(system, deadline_ns > now_ns + KILL_GRACE_NS ? deadline_ns
                                                               : now_ns + KILL_GRACE_NS);
    } else {
        while (scheduler_step(system))
            continue;
    }
    dead_letters_tally(&system->letters, true);
}
