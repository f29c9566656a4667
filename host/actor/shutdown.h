/*
 * shutdown.h -- all actors of a host end, in order and within a time.
 */
#ifndef TROUPE_ACTOR_SHUTDOWN_H
#define TROUPE_ACTOR_SHUTDOWN_H

#include "actor/actor.h"

/* Stops every actor with drain, in reverse order of birth, until
 * `deadline_ns`; what is left then is condemned. Returns how many actors were
 * left and sums up their undelivered mail. On the thread that runs the host;
 * `step` is called while waiting if there are no workers (the stage). */
struct shutdown_account {
    unsigned stopped, left;
    uint64_t messages;      /* that no handler has begun with; not those of timers */
    char     names[256];    /* of actors left, "a (3 messages), b (0 messages)" */
};
void lifecycle_shut_down(struct system *system, uint64_t deadline_ns,
                         struct shutdown_account *account);

#endif
