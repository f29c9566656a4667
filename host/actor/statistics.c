/*
 * statistics.c -- what is counted and timed of each actor (see statistics.h).
 */
#include "actor/statistics.h"

#include "actor/handler_times.h"
#include "actor/lifecycle.h"
#include "base/memory.h"

/* ---- An actor's life ------------------------------------------------------ */

void statistics_born(struct actor *actor, const struct spawn *spawn)
{
    statistics_held(actor, false);
    actor->interleaves = spawn->interleaves;
    actor->timing = false;
    actor->timed_ns = 0;
    atomic_store_explicit(&actor->last_type, TYPE_NONE, memory_order_relaxed);
    atomic_store_explicit(&actor->since_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&actor->waiting, WAITING_FOR_NOTHING, memory_order_relaxed);
    atomic_store_explicit(&actor->handled, 0, memory_order_relaxed);
    atomic_store_explicit(&actor->errors, 0, memory_order_relaxed);
    atomic_store_explicit(&actor->memory, spawn->memory, memory_order_relaxed);
    /* marked_ms of the last tenant will do: the first rate is nobody's. */
    actor->marked_handled = 0;
    actor->rate = 0;
}

void statistics_forget(struct actor *actor)
{
    subject_unref(actor->subject);
    actor->subject = NULL;
    /* Pairs with the load in statistics_look.c; both hold the registry's lock. */
    memory_put(atomic_exchange_explicit(&actor->times, NULL, memory_order_acquire),
               sizeof(struct handler_times));
    statistics_waits_at(actor, 0, NULL);
}

/* ---- Timing --------------------------------------------------------------- */

void statistics_time(struct actor *actor, struct worker *worker, enum message_kind kind,
                     uint32_t now_ms)
{
    if (worker->kind == WORKER_STAGE)
        return; /* its clock stands still */
    worker->timed_ms = now_ms;
    bool begins = !actor->busy || actor->interleaves;
    if (begins && (kind == MESSAGE_WAKE || kind == MESSAGE_REPLY || kind == MESSAGE_FAILURE) &&
        !actor->busy)
        return; /* too late for the handler that waited for it */
    if (!begins && !actor->timing)
        return; /* it has run before, untimed */
    worker->timed_ns = clock_now(&actor->system->clock);
}

void statistics_timed(struct actor *actor, struct worker *worker, enum verdict verdict)
{
    uint64_t ran_ns = actor->timed_ns + clock_now(&actor->system->clock) - worker->timed_ns;
    bool over = verdict == VERDICT_DONE || verdict == VERDICT_ENDED;
    worker->timed_ns = 0;
    actor->timing = !over && !(actor->interleaves && verdict == VERDICT_WAITING);
    actor->timed_ns = actor->timing ? ran_ns : 0;
    if (actor->timing)
        return;
    struct handler_times *times = atomic_load_explicit(&actor->times, memory_order_relaxed);
    if (UNLIKELY(times == NULL)) {
        times = memory_get_zeroed(sizeof *times);
        if (times == NULL)
            return; /* the next one will do */
        atomic_store_explicit(&actor->times, times, memory_order_release);
    }
    handler_times_add(times, ran_ns);
}

void statistics_untimed(struct actor *actor, type_id type)
{
    struct worker *worker = worker_self;
    uint64_t all = atomic_load_explicit(&worker->handled, memory_order_relaxed);
    uint64_t handled = atomic_load_explicit(&actor->handled, memory_order_relaxed);
    uint32_t now_ms = atomic_load_explicit(&actor->system->born_ms, memory_order_relaxed);
    worker->timed_ns = 0;
    actor->timing = false;
    actor->timed_ns = 0;
    atomic_store_explicit(&worker->handled, all + 1, memory_order_relaxed);
    atomic_store_explicit(&actor->handled, handled + 1, memory_order_relaxed);
    atomic_store_explicit(&actor->since_ms, now_ms, memory_order_relaxed);
    atomic_store_explicit(&actor->last_type, type, memory_order_relaxed);
    statistics_waits_no_more(actor);
}

/* ---- By a behaviour ------------------------------------------------------- */

void statistics_failed(struct actor *actor)
{
    uint32_t errors = atomic_load_explicit(&actor->errors, memory_order_relaxed);
    atomic_store_explicit(&actor->errors, errors + 1, memory_order_relaxed);
}

void statistics_waits_at(struct actor *actor, actor_id here, struct address *elsewhere)
{
    spin_acquire(&actor->waits_lock);
    struct address *before = actor->waits_elsewhere;
    actor->waits_here = here;
    actor->waits_elsewhere = elsewhere;
    spin_release(&actor->waits_lock);
    address_unref(before);
}
