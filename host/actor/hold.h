/*
 * hold.h -- an actor held where it is, while somebody works on it.
 *
 * Its safe points are between two messages, and where its handlers wait; one that
 * was preempted goes on first. A held actor takes nothing but orders and a kill:
 * its mail queues, answers, wakes and the deadlines that pass meanwhile wait, and
 * so does a stop. Whoever holds actors lets them go before a host shuts down.
 *
 * Orders come as messages (MESSAGE_HOLD), in order, and are carried out on the
 * actor's worker: also by actors that have not begun, or are halted. Holds are
 * counted, for two may want it held; a kill ends them all.
 *
 * An actor is held at its start, too, if its behaviour does not let it begin
 * (behaviour->may_begin): its START waits for the release.
 */
#ifndef TROUPE_ACTOR_HOLD_H
#define TROUPE_ACTOR_HOLD_H

#include "actor/actor.h"

enum hold_step {
    HOLD_BEGIN, /* it is held from now on */
    HOLD_WORK,  /* held or not, nothing of it runs meanwhile */
    HOLD_END,   /* it goes on afterwards, unless it is held by another, too */
};

struct hold_order {
    /* Called on the actor's worker, held as it is after HOLD_BEGIN and before
     * HOLD_END; may run its code. NULL: nothing is to be done. */
    void (*run)(void *context, struct actor *actor);
    void  *context;
};

/* An order that is ready to be sent, so that sending it cannot fail. `receipt`
 * (message/message.h) tells when it is over, be it that the actor has ended before;
 * NULL: nobody wants to know. NULL when there is no memory. */
struct message *hold_order_new(actor_id to, enum hold_step step, const struct hold_order *order,
                               const struct message_receipt *receipt);
/* Sends it, or frees it if the actor is gone. Any thread. */
void hold_order_send(struct system *system, struct message *order);

static inline bool actor_is_held(const struct actor *actor)
{
    return actor->hold.count > 0;
}

/* ---- For actor_run() only ---- */

/* Carries out an order. A START that waited, if it may be tried again now; else NULL. */
struct message *hold_receive(struct actor *actor, struct message *order);
/* It may not begin yet: held, and keeps `start`. */
void hold_start(struct actor *actor, struct message *start);
/* It was killed: it is not held any more. */
void hold_break(struct actor *actor);

#endif
