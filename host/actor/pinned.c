/*
 * pinned.c -- workers that run only certain actors: `thread = "own"`, or the
 * members of a group. Each has its queue and sleeps on its own word.
 */
#include "actor/system.h"
#include "actor/watchdog.h"
#include "actor/workers.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void *pinned_main(void *argument)
{
    struct worker *self = argument;
    struct scheduler *scheduler = &self->system->scheduler;

    worker_self = self;
    atomic_store_explicit(&self->alive, true, memory_order_release);
    while (!atomic_load_explicit(&scheduler->stopping, memory_order_relaxed)) {
        struct actor *actor = queue_pop(self);
        if (actor != NULL) {
            worker_run(self, actor);
            continue;
        }
        unsigned seen = atomic_load_explicit(&self->parking, memory_order_relaxed);
        atomic_store_explicit(&self->parked, true, memory_order_relaxed);
        full_fence();
        if (atomic_load_explicit(&self->length, memory_order_relaxed) == 0 &&
            !atomic_load_explicit(&self->retired, memory_order_relaxed))
            park_wait(&self->parking, seen, UINT64_MAX);
        atomic_store_explicit(&self->parked, false, memory_order_relaxed);
        if (atomic_load_explicit(&self->retired, memory_order_acquire))
            break;
    }
    atomic_store_explicit(&self->alive, false, memory_order_release);
    return NULL;
}

/* ---- Where the thread runs, and how urgently -------------------------------- */

/* What the actors of a thread wish, and whose wish it was. */
struct placement {
    struct cpus cpus;     /* empty: nobody has one */
    int         priority; /* 0: nobody has one */
    char        cpus_of[ADDRESS_NAME_LIMIT + 1];
    char        priority_of[ADDRESS_NAME_LIMIT + 1];
};

static int pin_to_cpus(struct worker *worker, const struct cpus *cpus, const char *name, char *why,
                       size_t room)
{
    struct placement *placement = worker->placement;
    char there[80], wanted[80], reason[120];
    if (cpus_equal(cpus, &placement->cpus))
        return 0;
    if (!cpus_is_empty(&placement->cpus)) {
        snprintf(why, room, "cpu: the thread of group '%s' runs on CPUs %s, as %s wants it, and "
                            "%s wants %s", worker->group,
                 cpus_text(&placement->cpus, there, sizeof there), placement->cpus_of, name,
                 cpus_text(cpus, wanted, sizeof wanted));
        return -EINVAL;
    }
    int error = cpus_pin(&worker->thread, cpus, reason, sizeof reason);
    if (error != 0) {
        snprintf(why, room, "cpu: %s", reason);
        return error;
    }
    placement->cpus = *cpus;
    snprintf(placement->cpus_of, sizeof placement->cpus_of, "%s", name);
    return 0;
}

static int check_priority(const struct worker *worker, int priority, const char *name, char *why,
                          size_t room)
{
    const struct placement *placement = worker->placement;
    if (placement->priority == 0 || placement->priority == priority)
        return 0;
    snprintf(why, room, "priority: the thread of group '%s' has %d, as %s wants it, and %s wants %d",
             worker->group, placement->priority, placement->priority_of, name, priority);
    return -EINVAL;
}

/* As the actor wishes it, unless another of its group wishes otherwise. */
static int place_locked(struct worker *worker, const struct spawn *spawn, const char *name,
                        char *why, size_t room)
{
    bool pins = spawn->cpus != NULL && !cpus_is_empty(spawn->cpus);
    if (!pins && spawn->priority == 0)
        return 0;
    if (worker->placement == NULL)
        worker->placement = memory_get_zeroed(sizeof *worker->placement);
    if (worker->placement == NULL) {
        snprintf(why, room, "out of memory");
        return -ENOMEM;
    }
    struct placement *placement = worker->placement;
    int error = 0;
    if (spawn->priority != 0)
        error = check_priority(worker, spawn->priority, name, why, room);
    if (error == 0 && pins)
        error = pin_to_cpus(worker, spawn->cpus, name, why, room);
    if (error == 0 && spawn->priority != 0 && placement->priority == 0) {
        urgency_grant(worker->system, &worker->thread, spawn->priority, name);
        placement->priority = spawn->priority;
        snprintf(placement->priority_of, sizeof placement->priority_of, "%s", name);
    }
    return error;
}

/* ---- Making and ending them ---------------------------------------------------- */

static struct worker *find_group_locked(struct scheduler *scheduler, const char *group)
{
    struct worker *worker = scheduler->pinned;
    while (worker != NULL && (group[0] == '\0' || strcmp(worker->group, group) != 0))
        worker = worker->pinned_next;
    return worker;
}

static struct worker *start_locked(struct system *system, const char *group, int *error)
{
    struct scheduler *scheduler = &system->scheduler;
    void *block;
    *error = -posix_memalign(&block, CACHE_LINE, sizeof(struct worker));
    if (*error != 0)
        return NULL;
    struct worker *worker = block;
    worker_init(worker, system, WORKER_PINNED, 0);
    snprintf(worker->group, sizeof worker->group, "%s", group);
    *error = thread_start(&worker->thread, group[0] != '\0' ? group : "own", WORKER_STACK,
                          pinned_main, worker);
    if (*error != 0) {
        free(worker);
        return NULL;
    }
    worker->pinned_next = scheduler->pinned;
    scheduler->pinned = worker;
    return worker;
}

/* No name finds it any more; it is joined at the latest when the host stops. */
static void retire_locked(struct worker *worker)
{
    worker->group[0] = '\0';
    atomic_store_explicit(&worker->retired, true, memory_order_release);
    atomic_fetch_add_explicit(&worker->parking, 1, memory_order_relaxed);
    park_wake(&worker->parking, 1);
}

struct worker *scheduler_pin(struct system *system, const struct spawn *spawn, const char *name,
                             int *error, char *why, size_t room)
{
    struct scheduler *scheduler = &system->scheduler;
    const char *group = strncmp(spawn->thread, "group:", 6) == 0 ? spawn->thread + 6 : "";

    *error = 0;
    if (scheduler->regular == 0) /* the stage has but one thread */
        return &scheduler->stage;
    lock_acquire(&scheduler->lock);
    struct worker *worker = find_group_locked(scheduler, group);
    if (worker == NULL)
        worker = start_locked(system, group, error);
    if (worker == NULL)
        snprintf(why, room, "the thread could not be made: %s", strerror(-*error));
    else
        *error = place_locked(worker, spawn, name, why, room);
    if (*error == 0)
        worker->users++;
    else if (worker != NULL && worker->users == 0)
        retire_locked(worker);
    lock_release(&scheduler->lock);
    return *error == 0 ? worker : NULL;
}

void scheduler_unpin(struct system *system, struct worker *worker)
{
    struct scheduler *scheduler = &system->scheduler;
    if (worker->kind != WORKER_PINNED)
        return;
    lock_acquire(&scheduler->lock);
    if (--worker->users == 0)
        retire_locked(worker);
    lock_release(&scheduler->lock);
}

/* Frees pinned workers whose threads have ended; `all`: waits for those that
 * have not. With scheduler->lock held. */
static void reap_locked(struct scheduler *scheduler, bool all)
{
    struct worker **link = &scheduler->pinned;
    while (*link != NULL) {
        struct worker *worker = *link;
        bool ended = atomic_load_explicit(&worker->retired, memory_order_acquire) &&
                     !atomic_load_explicit(&worker->alive, memory_order_acquire);
        if (!all && !ended) {
            link = &worker->pinned_next;
            continue;
        }
        *link = worker->pinned_next;
        thread_join(&worker->thread);
        scheduler->handled_before +=
            atomic_load_explicit(&worker->handled, memory_order_relaxed);
        watchdog_forget(worker);
        memory_put(worker->placement, sizeof *worker->placement);
        free(worker);
    }
}

void scheduler_reap(struct system *system)
{
    struct scheduler *scheduler = &system->scheduler;
    lock_acquire(&scheduler->lock);
    reap_locked(scheduler, false);
    lock_release(&scheduler->lock);
}

/* Tells all of them to end; true if one has not yet. */
static bool retire_all(struct scheduler *scheduler)
{
    bool any_runs = false;
    lock_acquire(&scheduler->lock);
    for (struct worker *each = scheduler->pinned; each != NULL; each = each->pinned_next) {
        atomic_store_explicit(&each->retired, true, memory_order_release);
        atomic_fetch_add_explicit(&each->parking, 1, memory_order_seq_cst);
        park_wake(&each->parking, 1);
        any_runs = any_runs || atomic_load_explicit(&each->alive, memory_order_acquire);
    }
    lock_release(&scheduler->lock);
    return any_runs;
}

/* The lock is not kept meanwhile: the watchdog needs it to disturb a handler
 * that does not end, and an actor that ends to let go of its thread. */
bool pinned_end_in_time(struct system *system, uint64_t deadline_ns)
{
    atomic_uint nothing = 0;
    while (retire_all(&system->scheduler)) {
        uint64_t now_ns = clock_now(&system->clock);
        if (now_ns >= deadline_ns)
            return false;
        park_wait(&nothing, 0, now_ns + NS_PER_MS);
    }
    return true;
}

void pinned_join(struct system *system)
{
    struct scheduler *scheduler = &system->scheduler;
    lock_acquire(&scheduler->lock);
    reap_locked(scheduler, true);
    lock_release(&scheduler->lock);
}
