/*
 * timers.c -- the heap of timers and alarms, and the thread that fires them.
 *
 * The thread collects what is due under the lock, at most BATCH_LIMIT at a
 * time, and sends it without the lock: so the timers' lock is a leaf, and
 * starting a timer never waits for a mailbox.
 */
#include "actor/timer.h"

#include "actor/incarnation.h"
#include "actor/router.h"
#include "actor/system.h"
#include "actor/timer_room.h"
#include "base/memory.h"

#include <errno.h>
#include <sys/prctl.h>

/* ---- Firing -------------------------------------------------------------- */

/* Collects what is due, up to a batch. *looked counts what was looked at, also
 * alarms that only had to be set later. */
static size_t collect_locked(struct timers *timers, uint64_t now_ns, size_t *looked)
{
    size_t count = 0;
    for (*looked = 0; *looked < BATCH_LIMIT; ++*looked) {
        struct timer_node *node = timer_heap_first(&timers->heap);
        if (node == NULL || node->due_ns > now_ns)
            break;
        struct shot *shot = &timers->batch[count];
        if (node->is_alarm)
            count += alarm_due_locked(timers, node, now_ns, shot);
        else
            count += timer_due_locked(node, now_ns, shot);
    }
    return count;
}

static void fire_alarm(struct timers *timers, struct shot *shot)
{
    /* Not taken: the mailbox has closed, and alarm_fini() comes. */
    (void)router_send(timers->system, &shot->message, ROUTE_RESERVED);
}

static void fire_timer(struct timers *timers, struct shot *shot)
{
    struct message *message = shot->message;
    if (message != NULL) {
        atomic_fetch_add_explicit(&timers->system->counters.timers_fired, 1,
                                  memory_order_relaxed);
        /* A delayed send to another has no more right to room than a send; a
         * timer's own message lies there once at most. */
        unsigned how = message->kind == MESSAGE_TIMER ? ROUTE_RESERVED : 0;
        if (message->kind == MESSAGE_STOP)
            incarnation_condemn(timers->system, message);
        enum router_answer answer = router_send(timers->system, &message, how);
        if (answer == ROUTER_FULL) {
            router_refuse(timers->system, &message, FAILURE_FULL, "the mailbox was full", NULL);
        } else if (answer != ROUTER_OK) {
            if (message->kind == MESSAGE_TIMER)
                timer_cancel(message->timer, 0); /* nobody there, for ever */
            router_refuse(timers->system, &message, FAILURE_DOWN, "the actor has ended", NULL);
        }
    }
    timer_unref(shot->timer);
}

/* Sends the batch; nothing may be locked. Alarms are `firing` until their
 * message is out of our hands: alarm_fini() waits for that. */
static void fire(struct timers *timers, size_t count)
{
    size_t alarms = 0;
    for (size_t i = 0; i < count; i++) {
        struct shot *shot = &timers->batch[i];
        if (shot->alarmed != NULL) {
            fire_alarm(timers, shot);
            timers->batch[alarms++].alarmed = shot->alarmed;
        } else {
            fire_timer(timers, shot);
        }
    }
    if (alarms == 0)
        return;
    lock_acquire(&timers->lock);
    for (size_t i = 0; i < alarms; i++)
        timers->batch[i].alarmed->alarm.firing = false;
    bool awaited = timers->awaiting > 0;
    lock_release(&timers->lock);
    if (awaited)
        signal_all(&timers->fired);
}

static void *timers_main(void *argument)
{
    struct timers *timers = argument;
    prctl(PR_SET_TIMERSLACK, 1UL); /* wake as late as need be, not 50 us later */
    urgency_enter(timers->system);

    lock_acquire(&timers->lock);
    while (!timers->stopping) {
        size_t looked;
        size_t count = collect_locked(timers, clock_now(&timers->system->clock), &looked);
        if (looked > 0) {
            lock_release(&timers->lock);
            fire(timers, count);
            lock_acquire(&timers->lock);
            continue;
        }
        timers->asleep_until = timer_heap_next(&timers->heap);
        signal_wait_until(&timers->wake, &timers->lock, timers->asleep_until);
        timers->asleep_until = 0;
    }
    lock_release(&timers->lock);
    urgency_leave(timers->system);
    return NULL;
}

/* ---- The manual clock ---------------------------------------------------- */

uint64_t timers_next(struct timers *timers)
{
    lock_acquire(&timers->lock);
    if (timers->system->clock.manual)
        alarms_put_off_locked(timers);
    uint64_t due_ns = timer_heap_next(&timers->heap);
    lock_release(&timers->lock);
    return due_ns;
}

void timers_advance(struct timers *timers, uint64_t now_ns)
{
    struct clock *clock = &timers->system->clock;
    uint64_t due_ns;
    while ((due_ns = timers_next(timers)) <= now_ns && due_ns != UINT64_MAX) {
        size_t looked;
        clock_set(clock, due_ns);
        lock_acquire(&timers->lock);
        size_t count = collect_locked(timers, clock_now(clock), &looked);
        lock_release(&timers->lock);
        fire(timers, count);
    }
    clock_set(clock, now_ns);
}

size_t timers_count(struct timers *timers)
{
    lock_acquire(&timers->lock);
    size_t count = timers->armed;
    lock_release(&timers->lock);
    return count;
}

/* ---- All of them --------------------------------------------------------- */

int timers_open(struct timers **timers, struct system *system)
{
    uint64_t room = (uint64_t)system->limits.actors + system->limits.timers;
    if (room > UINT32_MAX)
        return -ENOMEM;
    struct timers *made = memory_get_zeroed(sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    int error = timer_heap_open(&made->heap, (uint32_t)room);
    if (error != 0) {
        memory_put(made, sizeof *made);
        return error;
    }
    made->system = system;
    lock_init(&made->lock);
    signal_init(&made->wake);
    signal_init(&made->fired);
    message_timer_release = timer_unref;
    *timers = made;
    return 0;
}

int timers_start(struct timers *timers)
{
    if (timers->system->clock.manual)
        return 0;
    int error = thread_start(&timers->thread, "timers", 0, timers_main, timers);
    timers->running = error == 0;
    return error;
}

static void forget_all(struct timers *timers)
{
    struct timer_node *node;
    while ((node = timer_heap_first(&timers->heap)) != NULL) {
        if (node->is_alarm)
            timer_heap_remove(&timers->heap, node);
        else
            timer_forget(node);
    }
}

void timers_close(struct timers *timers)
{
    if (timers == NULL)
        return;
    if (timers->running) {
        lock_acquire(&timers->lock);
        timers->stopping = true;
        lock_release(&timers->lock);
        signal_one(&timers->wake);
        thread_join(&timers->thread);
    }
    forget_all(timers);
    timer_heap_close(&timers->heap);
    signal_fini(&timers->fired);
    signal_fini(&timers->wake);
    lock_fini(&timers->lock);
    memory_put(timers, sizeof *timers);
}
