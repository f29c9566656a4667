/*
 * shutdown.h -- all actors of a host end, in order and within a time.
 *
 * The youngest is told first, the next when it has ended: so who was there
 * before somebody, and may be needed by him, is there until the end. The worker
 * on which an actor ends tells the next; whoever runs the host only sees to it
 * that all have been told in time: from a quarter of it on, some go on although
 * those before them have not ended, and at half of it everybody was told.
 */
#ifndef TROUPE_ACTOR_SHUTDOWN_H
#define TROUPE_ACTOR_SHUTDOWN_H

#include "actor/actor.h"

struct shutdown_account {
    unsigned left;          /* actors that had to be killed */
    uint64_t messages;      /* theirs, that no handler has begun with; not those of timers */
    char     names[256];    /* who: "a (3 messages), b (0 messages)" */
};

/* Closes the inlet and stops every actor with drain, in reverse order of birth;
 * who has not ended when nine tenths of the time until `deadline_ns` are over is
 * killed. What becomes a dead letter from now on is counted by target
 * (dead_letters_tally()), but for what the killed had. On the thread that runs
 * the host; without workers (the stage) it runs the actors itself. */
void lifecycle_shut_down(struct system *system, uint64_t deadline_ns,
                         struct shutdown_account *account);

/* The actor `id` has ended, and is found no more. Called by lifecycle_end() only. */
void shutdown_ended(struct system *system, actor_id id);

#endif
