/*
 * hold.c -- see hold.h.
 *
 * A held actor is `busy` and has an appetite of its own, so that whoever runs
 * actors need not ask whether one is held; what it was before comes back at the end.
 */
#include "actor/hold.h"

#include "actor/router.h"
#include "actor/scheduler.h"
#include "actor/statistics.h"

#include <string.h>

struct message *hold_order_new(actor_id to, enum hold_step step, const struct hold_order *order,
                               const struct message_receipt *receipt)
{
    struct message *message =
        receipt != NULL ? message_new_tracked(MESSAGE_HOLD, TYPE_RELOAD, order, sizeof *order, receipt)
                        : message_new(MESSAGE_HOLD, TYPE_RELOAD, order, sizeof *order);
    if (message == NULL)
        return NULL;
    message->to = to;
    message->reason = (uint8_t)step;
    return message;
}

void hold_order_send(struct system *system, struct message *order)
{
    router_send(system, &order, ROUTE_RESERVED);
    message_free(order); /* its actor is gone */
}

static void begin(struct actor *actor)
{
    struct hold *hold = &actor->hold;
    if (hold->count++ > 0)
        return;
    hold->busy = actor->busy;
    hold->appetite = (uint8_t)actor->appetite;
    actor->busy = true;
    actor->appetite = APPETITE_HELD;
    mailbox_reconsider(&actor->box);
    statistics_held(actor, true);
}

/* What may come to it again is looked at as if it were new. */
static void go_on(struct actor *actor)
{
    actor->busy = actor->hold.busy;
    actor->appetite = (enum appetite)actor->hold.appetite;
    mailbox_reconsider(&actor->box);
    statistics_held(actor, false);
}

static struct message *end(struct actor *actor)
{
    struct hold *hold = &actor->hold;
    if (hold->count == 0 || --hold->count > 0)
        return NULL; /* it was killed, and has begun again since; or others hold it */
    go_on(actor);
    struct message *start = hold->start;
    hold->start = NULL;
    return start;
}

struct message *hold_receive(struct actor *actor, struct message *message)
{
    enum hold_step step = (enum hold_step)message->reason;
    struct hold_order order;
    memcpy(&order, message->payload, sizeof order);
    if (step == HOLD_BEGIN)
        begin(actor);
    if (order.run != NULL)
        order.run(order.context, actor);
    struct message *start = step == HOLD_END ? end(actor) : NULL;
    message_free(message);
    return start;
}

void hold_start(struct actor *actor, struct message *start)
{
    begin(actor);
    actor->hold.start = start;
}

void hold_break(struct actor *actor)
{
    if (actor->hold.count == 0)
        return;
    go_on(actor);
    message_free(actor->hold.start);
    actor->hold = (struct hold){ 0 };
}
