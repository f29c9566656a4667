/*
 * alarm.c -- an actor's one deadline, for its waits: setting it, and what the
 * heap does when it comes to look at it (see timer.h for how the two agree).
 */
#include "actor/timer.h"

#include "actor/actor.h"
#include "actor/system.h"
#include "actor/timer_room.h"

#include <string.h>

static struct actor *alarmed_of(struct timer_node *node)
{
    return CONTAINER_OF(node, struct actor, alarm.node);
}

/* Pairs with alarm_due_locked(): stores the wish, then looks at the heap's plan. */
void alarm_set(struct actor *actor, uint64_t deadline_ns)
{
    struct alarm *alarm = &actor->alarm;
    if (deadline_ns == UINT64_MAX) {
        atomic_store_explicit(&alarm->wanted_ns, UINT64_MAX, memory_order_relaxed);
        return;
    }
    atomic_store_explicit(&alarm->wanted_ns, deadline_ns, memory_order_seq_cst);
    if (LIKELY(deadline_ns >= atomic_load_explicit(&alarm->armed_ns, memory_order_seq_cst)))
        return;

    struct timers *timers = actor->system->timers;
    bool overslept = false;
    lock_acquire(&timers->lock);
    if (deadline_ns < atomic_load_explicit(&alarm->armed_ns, memory_order_relaxed)) {
        atomic_store_explicit(&alarm->armed_ns, deadline_ns, memory_order_seq_cst);
        alarm->node.is_alarm = true;
        if (alarm->node.position != 0)
            timer_heap_move(&timers->heap, &alarm->node, deadline_ns);
        else
            timer_heap_add(&timers->heap, &alarm->node, deadline_ns);
        overslept = is_overslept_locked(timers, deadline_ns);
    }
    lock_release(&timers->lock);
    if (overslept)
        signal_one(&timers->wake);
}

/* Sequentially consistent, as in alarm_due_locked(): if that found the alarm
 * still ringing and left it at that, then here armed is seen as none, and is
 * set anew unless the deadline has passed. */
bool alarm_rang(struct actor *actor)
{
    struct alarm *alarm = &actor->alarm;
    atomic_store_explicit(&alarm->ringing, false, memory_order_seq_cst);
    uint64_t wanted_ns = atomic_load_explicit(&alarm->wanted_ns, memory_order_relaxed);
    if (wanted_ns == UINT64_MAX)
        return false;
    if (wanted_ns <= clock_now(&actor->system->clock))
        return true;
    alarm_set(actor, wanted_ns);
    return false;
}

void alarm_fini(struct actor *actor)
{
    struct alarm *alarm = &actor->alarm;
    struct timers *timers = actor->system->timers;

    lock_acquire(&timers->lock);
    if (alarm->node.position != 0)
        timer_heap_remove(&timers->heap, &alarm->node);
    atomic_store_explicit(&alarm->wanted_ns, UINT64_MAX, memory_order_relaxed);
    atomic_store_explicit(&alarm->armed_ns, UINT64_MAX, memory_order_relaxed);
    timers->awaiting++;
    while (alarm->firing)
        signal_wait(&timers->fired, &timers->lock);
    timers->awaiting--;
    atomic_store_explicit(&alarm->ringing, false, memory_order_relaxed);
    lock_release(&timers->lock);
}

static struct message *prepare_message(struct alarm *alarm, actor_id to)
{
    struct message *message = (struct message *)(void *)alarm->message;
    memset(message, 0, sizeof *message);
    message->to = to;
    message->kind = MESSAGE_WAKE;
    message->lane = LANE_CONTROL;
    message->reason = FAILURE_TIMEOUT;
    message->flags = MESSAGE_KEPT;
    return message;
}

/* Pairs with alarm_set(): forgets the plan, then looks at the wish. */
bool alarm_due_locked(struct timers *timers, struct timer_node *node, uint64_t now_ns,
                      struct shot *shot)
{
    struct actor *actor = alarmed_of(node);
    struct alarm *alarm = &actor->alarm;
    timer_heap_remove(&timers->heap, &alarm->node);
    atomic_store_explicit(&alarm->armed_ns, UINT64_MAX, memory_order_seq_cst);
    uint64_t wanted_ns = atomic_load_explicit(&alarm->wanted_ns, memory_order_seq_cst);
    if (wanted_ns > now_ns) {
        if (wanted_ns != UINT64_MAX) {
            atomic_store_explicit(&alarm->armed_ns, wanted_ns, memory_order_seq_cst);
            timer_heap_add(&timers->heap, &alarm->node, wanted_ns);
        }
        return false;
    }
    actor_id id = actor_self(actor);
    if (id == 0) /* on its way to alarm_fini() */
        return false;
    if (atomic_exchange_explicit(&alarm->ringing, true, memory_order_seq_cst))
        return false; /* alarm_rang() will look again */
    alarm->firing = true;
    *shot = (struct shot){ .message = prepare_message(alarm, id), .alarmed = actor };
    return true;
}

/* Alarms whose wish is later than the heap thinks would make the stage stop at
 * times when nothing happens. */
void alarms_put_off_locked(struct timers *timers)
{
    struct timer_node *node;
    while ((node = timer_heap_first(&timers->heap)) != NULL && node->is_alarm) {
        struct alarm *alarm = &alarmed_of(node)->alarm;
        uint64_t wanted_ns = atomic_load_explicit(&alarm->wanted_ns, memory_order_relaxed);
        if (wanted_ns <= node->due_ns)
            return;
        atomic_store_explicit(&alarm->armed_ns, wanted_ns, memory_order_relaxed);
        if (wanted_ns == UINT64_MAX)
            timer_heap_remove(&timers->heap, node);
        else
            timer_heap_move(&timers->heap, node, wanted_ns);
    }
}
