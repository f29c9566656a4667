/*
 * rebirth.h -- what incarnation.c (halting, and beginning again), outcome.c (what
 * comes of a failure) and orders.c (what supervisors say and hear) share. Nobody
 * else includes it.
 */
#ifndef TROUPE_ACTOR_REBIRTH_H
#define TROUPE_ACTOR_REBIRTH_H

#include "actor/incarnation.h"
#include "actor/system.h"

struct rebirth {
    struct budget *budget;     /* NULL: supervised */
    void    *config;           /* owned: the payload of START */
    size_t   config_size;
    uint32_t begun;            /* incarnations so far */
    uint32_t halts;            /* orders of its supervisor to halt that it has obeyed */
    bool     has_state;        /* the behaviour's; it begins with one */
    bool     untold;           /* the supervisor is still to hear that it is halted */
    bool     children_killed;
    bool     has_deadline;     /* its supervisor's order to halt says until when it may take */
    uint64_t wait_ns;          /* before the restart */
    uint64_t due_ns;           /* UINT64_MAX: nobody has said that it is to be started */
    uint64_t patience_ns;      /* until then it waits for the children that end */
};

static inline uint32_t incarnation_number(const struct actor *actor)
{
    return atomic_load_explicit(&actor->incarnation, memory_order_relaxed);
}

/* Room for what incarnation_failed() writes. */
#define OUTCOME_ROOM (ADDRESS_NAME_LIMIT + 200)

/* Sends its supervisor the notice `type` about the actor, ChildWaits,
 * ChildStarted or ChildHalted. False: there is no memory for it. */
bool incarnation_tell(struct actor *actor, type_id type);

/* Kills the incarnation that runs now if it has not ended by then. 0, or -errno
 * as of timer_start(). Any thread. */
int incarnation_kill_at(struct system *system, const struct actor *actor, uint64_t deadline_ns);

#endif
