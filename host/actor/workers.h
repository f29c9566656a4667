/*
 * workers.h -- what the kinds of workers share: scheduler.c (the pool, the
 * stage) and pinned.c. Nobody else includes it.
 */
#ifndef TROUPE_ACTOR_WORKERS_H
#define TROUPE_ACTOR_WORKERS_H

#include "actor/scheduler.h"

void worker_init(struct worker *worker, struct system *system, enum worker_kind kind,
                 unsigned index);

/* Runs the actor for a batch and queues it again if it has more to do. */
void worker_run(struct worker *self, struct actor *actor);

/* Whether the worker's thread ends before the deadline. */
bool worker_ends_in_time(struct worker *worker, uint64_t deadline_ns);

/* A worker's queue: any thread. */
void queue_push(struct worker *worker, struct actor *actor);
struct actor *queue_pop(struct worker *worker);

/* Ends the threads of all pinned workers; pinned_join() frees them then. */
bool pinned_end_in_time(struct system *system, uint64_t deadline_ns);
void pinned_join(struct system *system);

#endif
