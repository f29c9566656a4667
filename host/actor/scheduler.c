/*
 * scheduler.c -- worker threads, and who runs next. See the header for how no
 * wake-up is lost.
 */
#include "actor/scheduler.h"

#include "actor/system.h"
#include "actor/workers.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BATCH_MESSAGES 64     /* of one actor, before others have their turn */
#define CROWD          64     /* so many in a queue have whole batches ... */
#define BATCH_LEAST    4      /* ... and with more of them it gets as small as that */
#define SLOT_TURNS     64     /* of the next slot in a row, before the queue has its turn */
#define INJECT_TURNS   61     /* look at the injected work at least this often */
#define SPIN_NS        20000  /* before a worker sleeps */
#define FRUITLESS_SPINS 4     /* in a row: then it spins no more, but each ... */
#define RETRY_SPIN     32     /* ... so-manieth time */
#define STEAL_SLOT_NS  3000   /* a next slot that has lain so long is anybody's */
#define SENDS_WAKE     8      /* the so-manieth send of an activation wakes another worker */

_Thread_local struct worker *worker_self __attribute__((tls_model("initial-exec")));

void worker_init(struct worker *worker, struct system *system, enum worker_kind kind,
                        unsigned index)
{
    memset(worker, 0, sizeof *worker);
    worker->system = system;
    worker->kind = kind;
    worker->index = index;
}

/* ---- queues ---- */

void queue_push(struct worker *worker, struct actor *actor)
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

struct actor *queue_pop(struct worker *worker)
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

/* Spinning pays when work comes in bursts, and steals the processor from
 * everybody else (the gateway, the peer's process) when it does not: after a
 * few spins for nothing only now and then one more is tried. */
static bool spinning_pays(struct worker *self)
{
    return self->fruitless < FRUITLESS_SPINS || self->fruitless++ % RETRY_SPIN == 0;
}

static struct actor *spin_for_work(struct scheduler *scheduler, struct worker *self)
{
    if (!spinning_pays(self))
        return NULL;
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
    self->fruitless = actor != NULL ? 0 : self->fruitless + 1;
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

/* After a long turn the injected work comes first: who goes round in the
 * worker's own queue would keep it waiting for INJECT_TURNS such turns. */
static void look_at_injected(struct worker *self)
{
    self->turns = INJECT_TURNS - 1;
}

/* Where thousands are ready each has a smaller batch, so that who is woken now and
 * then does not wait for whole batches of all of them. */
static unsigned batch_of(const struct worker *self)
{
    unsigned length = atomic_load_explicit(&self->length, memory_order_relaxed);
    if (LIKELY(length <= CROWD))
        return BATCH_MESSAGES;
    unsigned batch = BATCH_MESSAGES * CROWD / length;
    return batch > BATCH_LEAST ? batch : BATCH_LEAST;
}

void worker_run(struct worker *self, struct actor *actor)
{
    if (actor_run(actor, batch_of(self)) == FATE_READY) {
        if (UNLIKELY(actor->preempted))
            look_at_injected(self);
        queue_push(self, actor);
        if (self->kind == WORKER_POOL)
            wake_one(&self->system->scheduler);
    }
    if (UNLIKELY(atomic_load_explicit(&self->hurry, memory_order_relaxed))) {
        atomic_store_explicit(&self->hurry, false, memory_order_relaxed);
        look_at_injected(self);
    }
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
            worker_run(self, actor);
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

static bool add_spare_locked(struct scheduler *scheduler)
{
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

bool scheduler_add_spare(struct system *system)
{
    struct scheduler *scheduler = &system->scheduler;
    lock_acquire(&scheduler->lock); /* one that is made is one that scheduler_stop() joins */
    bool added = !atomic_load_explicit(&scheduler->stopping, memory_order_relaxed) &&
                 add_spare_locked(scheduler);
    lock_release(&scheduler->lock);
    return added;
}

void scheduler_wake(struct system *system)
{
    wake_one(&system->scheduler);
}

/* Whether the thread ends before the deadline: looked at in short naps, for
 * there is nothing to wait on when one is stuck in C. */
bool worker_ends_in_time(struct worker *worker, uint64_t deadline_ns)
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

    lock_acquire(&scheduler->lock);
    atomic_store_explicit(&scheduler->stopping, true, memory_order_seq_cst);
    lock_release(&scheduler->lock);
    atomic_fetch_add_explicit(&scheduler->wake_word, 1, memory_order_seq_cst);
    park_wake(&scheduler->wake_word, INT32_MAX);
    unsigned started = atomic_load_explicit(&scheduler->started, memory_order_acquire);
    for (unsigned i = 0; i < started; i++) {
        atomic_fetch_add_explicit(&scheduler->workers[i].parking, 1, memory_order_seq_cst);
        park_wake(&scheduler->workers[i].parking, 1);
    }
    for (unsigned i = 0; i < started; i++)
        ended = worker_ends_in_time(&scheduler->workers[i], deadline_ns) && ended;
    ended = pinned_end_in_time(system, deadline_ns) && ended;
    for (unsigned i = 0; i < started; i++)
        if (ended || !atomic_load_explicit(&scheduler->workers[i].alive, memory_order_acquire))
            thread_join(&scheduler->workers[i].thread);
    if (ended)
        pinned_join(system);
    else
        scheduler_reap(system);
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
