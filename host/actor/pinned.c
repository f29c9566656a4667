/*
 * pinned.c -- workers that run only certain actors: `thread = "own"`, or the
 * members of a group. Each has its queue and sleeps on its own word.
 */
#include "actor/system.h"
#include "actor/watchdog.h"
#include "actor/workers.h"

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

struct worker *scheduler_pin(struct system *system, const char *thread, int *error)
{
    struct scheduler *scheduler = &system->scheduler;
    const char *group = strncmp(thread, "group:", 6) == 0 ? thread + 6 : "";
    struct worker *worker = NULL;

    if (scheduler->regular == 0) { /* the stage has but one thread */
        *error = 0;
        return &scheduler->stage;
    }
    lock_acquire(&scheduler->lock);
    if (group[0] != '\0')
        for (worker = scheduler->pinned; worker != NULL; worker = worker->pinned_next)
            if (strcmp(worker->group, group) == 0)
                break;
    if (worker == NULL) {
        void *block;
        if (posix_memalign(&block, CACHE_LINE, sizeof *worker) != 0) {
            *error = -ENOMEM;
            goto release;
        }
        worker = block;
        worker_init(worker, system, WORKER_PINNED, 0);
        snprintf(worker->group, sizeof worker->group, "%s", group);
        *error = thread_start(&worker->thread, group[0] != '\0' ? group : "own", WORKER_STACK,
                              pinned_main, worker);
        if (*error != 0) {
            free(worker);
            worker = NULL;
            goto release;
        }
        worker->pinned_next = scheduler->pinned;
        scheduler->pinned = worker;
    }
    worker->users++;
release:
    lock_release(&scheduler->lock);
    return worker;
}

void scheduler_unpin(struct system *system, struct worker *worker)
{
    struct scheduler *scheduler = &system->scheduler;
    if (worker->kind != WORKER_PINNED)
        return;
    lock_acquire(&scheduler->lock);
    if (--worker->users == 0) {
        /* No name finds it any more; it is joined at the latest when the host stops. */
        worker->group[0] = '\0';
        atomic_store_explicit(&worker->retired, true, memory_order_release);
        atomic_fetch_add_explicit(&worker->parking, 1, memory_order_relaxed);
        park_wake(&worker->parking, 1);
    }
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
        watchdog_forget(worker);
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
