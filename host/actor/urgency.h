/*
 * urgency.h -- threads that run before all others of the machine, and those of
 * the host's own that must come before even them.
 *
 * An actor's thread may ask for SCHED_FIFO. One that computes would then keep
 * the watchdog from stopping it, and the timers and the gateway from their work;
 * so before a thread gets a priority these get a higher one, and if they cannot
 * have it neither can the thread. 99, the highest there is, is theirs alone: who
 * asks for that gets 98.
 */
#ifndef TROUPE_ACTOR_URGENCY_H
#define TROUPE_ACTOR_URGENCY_H

#include "base/thread.h"

#define URGENCY_MAX   99
#define URGENT_THREADS 8

struct system;

struct urgency {
    struct lock lock;
    pthread_t threads[URGENT_THREADS]; /* guarded by lock; the host's own */
    unsigned  count;                   /* guarded by lock */
    int       raised;                  /* guarded by lock; their priority; 0: that of anybody */
    bool      refused;                 /* guarded by lock; somebody's wish, and that was told */
};

void urgency_init(struct urgency *urgency);
void urgency_fini(struct urgency *urgency);

/* The calling thread is one of the host's own, from now on; it leaves before it
 * ends. Does nothing more if there are too many. */
void urgency_enter(struct system *system);
void urgency_leave(struct system *system);

/* Gives the thread `priority`, 1 to URGENCY_MAX, for the sake of the actor called
 * `name`. If the system refuses that is logged, once, with the remedy, and the
 * thread goes on as it is. Threads and processes that it makes do not inherit it. */
void urgency_grant(struct system *system, struct thread *thread, int priority, const char *name);

#endif
