/*
 * scheduler.c -- worker threads, and who runs next. See the header for how no
 * wake-up is lost.
 */
#include "actor/scheduler.h"

#include "actor/system.h"
#include "actor/watchdog.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BATCH_MESSAGES 64     /* of one actor, before others have their turn */
#define SLOT_TURNS     64     /* of the next slot in a row, before the queue has its turn */
#define INJECT_TURNS   61     /* look at the injected work at least this often */
#define SPIN_NS        20000  /* before a worker sleeps */
#define STEAL_SLOT_NS  3000   /* a next slot that has lain so long is anybody's */
#define SENDS_WAKE     8      /* the so-manieth send of an activation wakes another worker */

_Thread_local struct worker *worker_self __attribute__((tls_model("initial-exec")));

static void worker_init(struct worker *worker, struct system *system, enum worker_kind kind,
                        unsigned index)
{
    memset(worker, 0, sizeof *worker);
    worker->system = system;
    worker->kind = kind;
    worker->index = index;
}

/* ---- queues ---- */

static void queue_push(struct worker *worker, struct actor *actor)
{
    actor->run_next = NULL;
    spin_acquire(&worker->lock);
    if (worker->tail == NULL)
        worker->head = actor;
    else
        worker->tail->run_next = actor;
    worker->tail = actor;
    atomic_store_explicit(&worker->length,
                          atomic_load_explicit(&worker->length, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    spin_release(&worker->lock);
}

static struct actor *queue_pop(struct worker *worker)
{
    if (atomic_load_explicit(&worker->length, memory_order_relaxed) == 0)
        return NULL;
    spin_acquire(&worker->lock);
    struct actor *actor = worker->head;
    if (actor != NULL) {
        worker->head = actor->run_next;
        if (worker->head == NULL)
            worker->tail = NULL;
        atomic_store_explicit(&worker->length,
                              atomic_load_explicit(&worker->length, memory_order_relaxed) - 1,
                              memory_order_relaxed);
    }
    spin_release(&worker->lock);
    return actor;
}

static struct actor *take_slot(struct worker *worker)
{
    if (atomic_load_explicit(&worker->next, memory_order_relaxed) == NULL)
        return NULL;
    return atomic_exchange_explicit(&worker->next, NULL, memory_order_acquire);
}

/* ---- waking ---- */

static void wake_one(struct scheduler *scheduler)
{
    full_fence(); /* the work is visible before we look */
    if (atomic_load_explicit(&scheduler->sleepers, memory_order_relaxed) > 0 &&
        atomic_load_explicit(&scheduler->spinning, memory_order_relaxed) == 0) {
        atomic_fetch_add_explicit(&scheduler->wake_word, 1, memory_order_relaxed);
        park_wake(&scheduler->wake_word, 1);
    }
}

static void wake_pinned(struct worker *worker)
{
    full_fence();
    if (atomic_load_explicit(&worker->parked, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&worker->parking, 1, memory_order_relaxed);
        park_wake(&worker->parking, 1);
    }
}

void scheduler_ready(struct actor *actor)
{
    struct worker *self = worker_self;
    struct scheduler *scheduler = &actor->system->scheduler;

    if (UNLIKELY(scheduler->regular == 0)) {
        queue_push(&scheduler->stage, actor);
        return;
    }
    if (UNLIKELY(actor->home != NULL)) {
        struct worker *home = actor->home;
        queue_push(home, actor);
        if (home != self)
            wake_pinned(home);
        return;
    }
    if (UNLIKELY(self == NULL || self->kind != WORKER_POOL || self->system != actor->system)) {
        queue_push(&scheduler->inject, actor);
        wake_one(scheduler);
        return;
    }
    /* Only we fill the slot; thieves may empty it. */
    if (atomic_load_explicit(&self->next, memory_order_relaxed) == NULL) {
        atomic_store_explicit(&self->next, actor, memory_order_release);
        return;
    }
    struct actor *displaced = atomic_exchange_explicit(&self->next, actor, memory_order_acq_rel);
    if (displaced != NULL) {
        queue_push(self, displaced);
        wake_one(scheduler);
    }
}

void scheduler_sent(void)
{
    struct worker *self = worker_self;
    if (self != NULL && ++self->sends == SENDS_WAKE && self->kind == WORKER_POOL)
        wake_one(&self->system->scheduler);
}

bool scheduler_has_queued(struct system *system)
{
    struct scheduler *scheduler = &system->scheduler;
    if (atomic_load_explicit(&scheduler->inject.length, memory_order_relaxed) > 0 ||
        atomic_load_explicit(&scheduler->stage.length, memory_order_relaxed) > 0)
        return true;
    unsigned started = atomic_load_explicit(&scheduler->started, memory_order_acquire);
    for (unsigned i = 0; i < started; i++)
        if (atomic_load_explicit(&scheduler->workers[i].length, memory_order_relaxed) > 0 ||
            atomic_load_explicit(&scheduler->workers[i].next, memory_order_relaxed) != NULL)
            return true;
    return false;
}

/* ---- finding work ---- */

static struct actor *steal_queued(struct scheduler *scheduler, struct worker *self)
{
    unsigned started = atomic_load_explicit(&scheduler->started, memory_order_acquire);
    for (unsigned i = 1; i < started; i++) {
        struct actor *actor = queue_pop(&scheduler->workers[(self->index + i) % started]);
        if (actor != NULL)
            return actor;
    }
    return NULL;
}

static struct actor *find_work(struct scheduler *scheduler, struct worker *self)
{
    struct actor *actor;

    if (UNLIKELY(++self->turns % INJECT_TURNS == 0) &&
        (actor = queue_pop(&scheduler->inject)) != NULL)
        return actor;
    /* A pair that talks lives in the slot; the queue must not starve behind it. */
    if (LIKELY(++self->slot_turns < SLOT_TURNS) && (actor = take_slot(self)) != NULL)
        return actor;
    self->slot_turns = 0;
    if ((actor = queue_pop(self)) != NULL || (actor = take_slot(self)) != NULL ||
        (actor = queue_pop(&scheduler->inject)) != NULL)
        return actor;
    return steal_queued(scheduler, self);
}

/* What a thief has seen in the slots of others, and since when. */
struct lookout {
    struct actor *seen[WORKERS_MAX + SPARE_WORKERS_MAX];
    uint64_t      since_ns[WORKERS_MAX + SPARE_WORKERS_MAX];
};

/* Takes a slot whose owner does not get round to it. */
static struct actor *steal_slot(struct scheduler *scheduler, struct worker *self,
                                struct lookout *lookout, uint64_t now_ns)
{
    unsigned started = atomic_load_explicit(&scheduler->started, memory_order_acquire);
    for (unsigned i = 1; i < started; i++) {
        unsigned victim = (self->index + i) % started;
        struct worker *worker = &scheduler->workers[victim];
        struct actor *actor = atomic_load_explicit(&worker->next, memory_order_relaxed);
        if (actor == NULL || actor != lookout->seen[victim]) {
            lookout->seen[victim] = actor;
            lookout->since_ns[victim] = now_ns;
        } else if (now_ns - lookout->since_ns[victim] > STEAL_SLOT_NS) {
            lookout->seen[victim] = NULL;
            actor = take_slot(worker);
            if (actor != NULL)
                return actor;
        }
    }
    return NULL;
}

static struct actor *steal_any_slot(struct scheduler *scheduler, struct worker *self)
{
    unsigned started = atomic_load_explicit(&scheduler->started, memory_order_acquire);
    for (unsigned i = 1; i < started; i++) {
        struct actor *actor = take_slot(&scheduler->workers[(self->index + i) % started]);
        if (actor != NULL)
            return actor;
    }
    return NULL;
}

static struct actor *spin_for_work(struct scheduler *scheduler, struct worker *self)
{
    struct lookout lookout = { .seen = { NULL } };
    struct actor *actor = NULL;
    uint64_t now_ns = clock_now(&self->system->clock);
    uint64_t end_ns = now_ns + SPIN_NS;

    atomic_fetch_add_explicit(&scheduler->spinning, 1, memory_order_seq_cst);
    while (actor == NULL && now_ns < end_ns &&
           !atomic_load_explicit(&scheduler->stopping, memory_order_relaxed)) {
        for (int i = 0; i < 50; i++)
            cpu_relax();
        actor = find_work(scheduler, self);
        now_ns = clock_now(&self->system->clock);
        if (actor == NULL)
            actor = steal_slot(scheduler, self, &lookout, now_ns);
    }
    atomic_fetch_sub_explicit(&scheduler->spinning, 1, memory_order_seq_cst);
    return actor;
}

static struct actor *sleep_for_work(struct scheduler *scheduler, struct worker *self)
{
    unsigned seen = atomic_load_explicit(&scheduler->wake_word, memory_order_relaxed);
    atomic_fetch_add_explicit(&scheduler->sleepers, 1, memory_order_relaxed);
    full_fence(); /* counted before we look once more */
    struct actor *actor = find_work(scheduler, self);
    if (actor == NULL && !atomic_load_explicit(&scheduler->stopping, memory_order_relaxed)) {
        park_wait(&scheduler->wake_word, seen, UINT64_MAX);
        actor = find_work(scheduler, self);
        if (actor == NULL) /* the watchdog wakes for slots that lie */
            actor = steal_any_slot(scheduler, self);
    }
    atomic_fetch_sub_explicit(&scheduler->sleepers, 1, memory_order_relaxed);
    return actor;
}

/* ---- worker threads ---- */

static void run_actor(struct worker *self, struct actor *actor)
{
    if (actor_run(actor, BATCH_MESSAGES) == FATE_READY) {
        queue_push(self, actor);
        if (self->kind == WORKER_POOL)
            wake_one(&self->system->scheduler);
    }
    if (UNLIKELY(atomic_load_explicit(&self->hurry, memory_order_relaxed)))
        atomic_store_explicit(&self->hurry, false, memory_order_relaxed);
}

/* A spare worker rests when the one it stood in for is back. */
static bool should_rest(struct scheduler *scheduler, struct worker *self)
{
    if (LIKELY(self->index < scheduler->regular))
        return false;
    unsigned surplus = atomic_load_explicit(&scheduler->surplus, memory_order_relaxed);
    while (surplus > 0)
        if (atomic_compare_exchange_weak_explicit(&scheduler->surplus, &surplus, surplus - 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return true;
    return false;
}

static void rest(struct scheduler *scheduler, struct worker *self)
{
    unsigned seen = atomic_load_explicit(&self->parking, memory_order_acquire);
    struct actor *left = take_slot(self);
    if (left != NULL)
        queue_push(self, left); /* from where anybody takes it */
    atomic_store_explicit(&self->parked, true, memory_order_seq_cst);
    wake_one(scheduler);
    while (atomic_load_explicit(&self->parked, memory_order_acquire) &&
           !atomic_load_explicit(&scheduler->stopping, memory_order_relaxed)) {
        park_wait(&self->parking, seen, UINT64_MAX);
        seen = atomic_load_explicit(&self->parking, memory_order_acquire);
    }
}

static void *pool_main(void *argument)
{
    struct worker *self = argument;
    struct scheduler *scheduler = &self->system->scheduler;

    worker_self = self;
    atomic_store_explicit(&self->alive, true, memory_order_release);
    while (!atomic_load_explicit(&scheduler->stopping, memory_order_relaxed)) {
        struct actor *actor = find_work(scheduler, self);
        if (actor == NULL && (actor = spin_for_work(scheduler, self)) == NULL)
            actor = sleep_for_work(scheduler, self);
        if (actor != NULL)
            run_actor(self, actor);
        if (UNLIKELY(atomic_load_explicit(&self->stuck, memory_order_relaxed))) {
            atomic_store_explicit(&self->stuck, false, memory_order_relaxed);
            atomic_fetch_add_explicit(&scheduler->surplus, 1, memory_order_relaxed);
        }
        if (UNLIKELY(should_rest(scheduler, self)))
            rest(scheduler, self);
    }
    atomic_store_explicit(&self->alive, false, memory_order_release);
    return NULL;
}

static void *pinned_main(void *argument)
{
    struct worker *self = argument;
    struct scheduler *scheduler = &self->system->scheduler;

    worker_self = self;
    atomic_store_explicit(&self->alive, true, memory_order_release);
    while (!atomic_load_explicit(&scheduler->stopping, memory_order_relaxed)) {
        struct actor *actor = queue_pop(self);
        if (actor != NULL) {
            run_actor(self, actor);
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

/* ---- pinned workers ---- */

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
static void reap_pinned_locked(struct scheduler *scheduler, bool all)
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
    reap_pinned_locked(scheduler, false);
    lock_release(&scheduler->lock);
}

/* ---- opening and closing ---- */

int scheduler_open(struct system *system, unsigned workers, uint64_t seed)
{
    struct scheduler *scheduler = &system->scheduler;
    scheduler->regular = workers > WORKERS_MAX ? WORKERS_MAX : workers;
    scheduler->seed = seed;
    lock_init(&scheduler->lock);
    for (unsigned i = 0; i < ARRAY_LENGTH(scheduler->workers); i++)
        worker_init(&scheduler->workers[i], system, WORKER_POOL, i);
    worker_init(&scheduler->inject, system, WORKER_POOL, 0);
    worker_init(&scheduler->stage, system, WORKER_STAGE, 0);
    return 0;
}

static int start_worker(struct scheduler *scheduler, unsigned index)
{
    char name[16];
    snprintf(name, sizeof name, index < scheduler->regular ? "worker-%u" : "spare-%u", index);
    struct worker *worker = &scheduler->workers[index];
    int error = thread_start(&worker->thread, name, WORKER_STACK, pool_main, worker);
    if (error == 0)
        atomic_store_explicit(&scheduler->started, index + 1, memory_order_release);
    return error;
}

int scheduler_start(struct system *system)
{
    struct scheduler *scheduler = &system->scheduler;
    for (unsigned i = 0; i < scheduler->regular; i++) {
        int error = start_worker(scheduler, i);
        if (error != 0)
            return error;
    }
    return 0;
}

bool scheduler_add_spare(struct system *system)
{
    struct scheduler *scheduler = &system->scheduler;
    unsigned started = atomic_load_explicit(&scheduler->started, memory_order_relaxed);

    for (unsigned i = scheduler->regular; i < started; i++) {
        struct worker *spare = &scheduler->workers[i];
        if (!atomic_load_explicit(&spare->parked, memory_order_acquire))
            continue;
        atomic_store_explicit(&spare->parked, false, memory_order_release);
        atomic_fetch_add_explicit(&spare->parking, 1, memory_order_release);
        park_wake(&spare->parking, 1);
        return true;
    }
    if (started < scheduler->regular || started - scheduler->regular >= SPARE_WORKERS_MAX)
        return false;
    return start_worker(scheduler, started) == 0;
}

void scheduler_wake(struct system *system)
{
    wake_one(&system->scheduler);
}

/* Whether the thread ends before the deadline: looked at in short naps, for
 * there is nothing to wait on when one is stuck in C. */
static bool ends_in_time(struct worker *worker, uint64_t deadline_ns)
{
    atomic_uint nothing = 0;
    while (atomic_load_explicit(&worker->alive, memory_order_acquire)) {
        uint64_t now_ns = clock_now(&worker->system->clock);
        if (now_ns >= deadline_ns)
            return false;
        park_wait(&nothing, 0, now_ns + NS_PER_MS);
    }
    return true;
}

bool scheduler_stop(struct system *system, uint64_t deadline_ns)
{
    struct scheduler *scheduler = &system->scheduler;
    bool ended = true;

    atomic_store_explicit(&scheduler->stopping, true, memory_order_seq_cst);
    atomic_fetch_add_explicit(&scheduler->wake_word, 1, memory_order_seq_cst);
    park_wake(&scheduler->wake_word, INT32_MAX);
    unsigned started = atomic_load_explicit(&scheduler->started, memory_order_acquire);
    for (unsigned i = 0; i < started; i++) {
        atomic_fetch_add_explicit(&scheduler->workers[i].parking, 1, memory_order_seq_cst);
        park_wake(&scheduler->workers[i].parking, 1);
    }
    lock_acquire(&scheduler->lock);
    for (struct worker *each = scheduler->pinned; each != NULL; each = each->pinned_next) {
        atomic_store_explicit(&each->retired, true, memory_order_release);
        atomic_fetch_add_explicit(&each->parking, 1, memory_order_seq_cst);
        park_wake(&each->parking, 1);
    }
    for (unsigned i = 0; i < started; i++)
        ended = ends_in_time(&scheduler->workers[i], deadline_ns) && ended;
    for (struct worker *each = scheduler->pinned; each != NULL; each = each->pinned_next)
        ended = ends_in_time(each, deadline_ns) && ended;
    if (ended) {
        for (unsigned i = 0; i < started; i++)
            thread_join(&scheduler->workers[i].thread);
        reap_pinned_locked(scheduler, true);
    }
    lock_release(&scheduler->lock);
    return ended;
}

void scheduler_close(struct system *system)
{
    lock_fini(&system->scheduler.lock);
}

/* ---- the stage ---- */

/* A small generator of our own, so that a seed means the same everywhere. */
static uint64_t next_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static struct actor *pick_for_stage(struct scheduler *scheduler)
{
    struct worker *stage = &scheduler->stage;
    unsigned length = atomic_load_explicit(&stage->length, memory_order_relaxed);
    if (length == 0)
        return NULL;
    uint64_t skip = scheduler->seed != 0 ? next_random(&scheduler->seed) % length : 0;
    while (skip-- > 0)
        queue_push(stage, queue_pop(stage));
    return queue_pop(stage);
}

bool scheduler_step(struct system *system)
{
    struct scheduler *scheduler = &system->scheduler;
    struct worker *before = worker_self;
    struct actor *actor = pick_for_stage(scheduler);
    if (actor == NULL)
        return false;
    worker_self = &scheduler->stage;
    if (actor_run(actor, 1) == FATE_READY)
        queue_push(&scheduler->stage, actor);
    worker_self = before;
    return true;
}
