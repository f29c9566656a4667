/*
 * scheduler.h -- worker threads, and who runs next.
 *
 * Each worker has a queue and a *next* slot. An actor that is woken on a
 * worker goes into its next slot and runs there when the batch under way
 * ends: two actors that talk never touch a futex. What it displaces goes into
 * the queue, from which idle workers steal; the slot too is stolen when it
 * has lain there for a few microseconds. Workers that find nothing spin a
 * little, then sleep.
 *
 * Lost wake-ups. Who queues work publishes it, then (after a full fence) looks
 * for sleepers; who wants to sleep counts itself as a sleeper, then (after the
 * same fence) looks for work once more. One of the two sees the other.
 *
 * On the stage there are no threads: scheduler_step() runs one actor for one
 * message on the caller's thread, picked by the stage's seed.
 */
#ifndef TROUPE_ACTOR_SCHEDULER_H
#define TROUPE_ACTOR_SCHEDULER_H

#include "actor/actor.h"

#include <signal.h>

#define WORKERS_MAX       64
#define SPARE_WORKERS_MAX 8
/* Legal scripts go 200 C calls deep: 256 KiB crashed, 512 KiB held. The
 * sanitizers' frames are larger, and they keep something of the stack. */
#ifdef TROUPE_SANITIZED
#define WORKER_STACK (8 * 1024 * 1024)
#else
#define WORKER_STACK (1024 * 1024)
#endif

enum worker_kind { WORKER_POOL, WORKER_PINNED, WORKER_STAGE };

struct worker {
    /* Read by thieves: */
    _Alignas(CACHE_LINE) struct spin lock;
    struct actor *head, *tail;            /* guarded by lock */
    _Atomic unsigned length;              /* of the queue; written under lock */
    _Alignas(CACHE_LINE) _Atomic(struct actor *) next; /* filled only by its worker, emptied by anyone */

    /* Read by the watchdog; written by the worker: */
    _Alignas(CACHE_LINE) _Atomic uint32_t epoch; /* changes with each handler that begins or goes on */
    _Atomic(struct actor *) running;             /* whose code runs now, or NULL */
    _Atomic bool     hurry;                      /* end the batch: others wait */
    _Atomic bool     stuck;                      /* in C for long: a spare worker stands in */
    _Atomic bool     alive;                      /* its thread runs: may be signalled */
    /* Set by the watchdog before it sends SIGURG: */
    _Atomic uint32_t interrupt_epoch;
    _Atomic int      interrupt_what;             /* enum interrupt */
    _Atomic bool     interrupt_deaf;             /* ask what it is stuck in */
    char             stuck_in[192];               /* written in the signal handler, then */
    _Atomic bool     stuck_named;
    _Atomic uint64_t ran_hint_ns;                /* how long the handler ran before it was preempted */
    struct sight    *sight;                      /* pinned: the watchdog's own; owned by it */

    _Alignas(CACHE_LINE) struct system *system;
    enum worker_kind kind;
    unsigned index;
    unsigned turns;                       /* actors run; for fairness */
    unsigned slot_turns;                  /* of these in a row from the next slot */
    unsigned fruitless;                   /* spins in a row that found nothing */
    _Atomic uint64_t handled;             /* messages; written by it, read by anybody */
    uint64_t timed_ns;                    /* when the stretch began that is being timed; 0: none is */
    uint32_t timed_ms;                    /* on the coarse clock: when it last timed a handler */
    unsigned sends;                       /* in the batch under way */
    bool     sent_away;                   /* in the batch under way, to another host */
    struct thread thread;
    atomic_uint parking;                  /* pinned workers park here */
    _Atomic bool parked;
    _Atomic bool retired;                 /* pinned: its last actor has ended */
    unsigned users;                       /* pinned: its actors; guarded by scheduler->lock */
    char     group[ADDRESS_NAME_LIMIT + 1]; /* pinned: "NAME" of the group, "" for an own thread */
    struct worker *pinned_next;           /* guarded by scheduler->lock */
    struct placement *placement;          /* pinned: as its actors wish it; guarded by scheduler->lock */
};

struct scheduler {
    struct worker workers[WORKERS_MAX + SPARE_WORKERS_MAX];
    unsigned      regular;                /* workers asked for; spares come after */
    _Atomic unsigned started;             /* regular and spare threads made so far */
    _Atomic unsigned surplus;             /* spares that should rest */
    struct worker inject;                 /* a queue for work from threads that are no workers */
    atomic_uint   wake_word;
    _Atomic int   sleepers, spinning;
    _Atomic bool  stopping;
    struct lock   lock;
    struct worker *pinned;                /* guarded by lock */
    uint64_t      handled_before;         /* messages, by pinned ones that are no more; guarded by lock */
    struct worker stage;                  /* the stage's only worker */
    uint64_t      seed;                   /* of the stage's choices; 0: first come, first served */
    struct watchdog *watchdog;
};

/* The worker that this thread is, or NULL. */
extern _Thread_local struct worker *worker_self __attribute__((tls_model("initial-exec")));

/* `workers` 0: the stage. */
int  scheduler_open(struct system *system, unsigned workers, uint64_t seed);
int  scheduler_start(struct system *system);
/* Ends and joins all threads that can be ended within `deadline_ns`; false if
 * one is stuck in C and was left behind. */
bool scheduler_stop(struct system *system, uint64_t deadline_ns);
void scheduler_close(struct system *system);

/* Queues an actor whose mailbox answered WOKE. Any thread. */
void scheduler_ready(struct actor *actor);

/* The worker for spawn->thread ("own", "group:NAME"), made if need be, on the CPUs
 * and with the priority that the spawn of the actor called `name` asks for; counts
 * one user. NULL with -errno in *error, and a sentence in `why`. */
struct spawn;
struct worker *scheduler_pin(struct system *system, const struct spawn *spawn, const char *name,
                             int *error, char *why, size_t room);
void           scheduler_unpin(struct system *system, struct worker *worker);

/* After each send from a handler: an activation that sends much lets another
 * worker begin with what it made ready. */
void scheduler_sent(void);

/* Frees the threads of pinned workers that have no actor any more. */
void scheduler_reap(struct system *system);

/* Starts or wakes a spare worker; false: there are enough. Only the watchdog. */
bool scheduler_add_spare(struct system *system);

/* Wakes a sleeping worker, if any, to look for work. */
void scheduler_wake(struct system *system);

/* The stage: runs one actor for one message. False: nobody is ready. */
bool scheduler_step(struct system *system);

/* Whether anybody besides the running actors is ready: preemption is wanted. */
bool scheduler_has_queued(struct system *system);

#endif
