/*
 * timer_room.h -- what timer.c (one timer), alarm.c (an actor's alarm) and
 * timers.c (the heap of both, and its thread) share. Nobody else includes it.
 *
 * The heap's lock is a leaf: what is due is collected under it, and sent without.
 */
#ifndef TROUPE_ACTOR_TIMER_ROOM_H
#define TROUPE_ACTOR_TIMER_ROOM_H

#include "actor/timer.h"

#define BATCH_LIMIT 64

/* Something that came due: a message to send and a reference to drop. */
struct shot {
    struct message *message; /* or NULL */
    struct timer   *timer;   /* or NULL */
    struct actor   *alarmed; /* whose alarm it is, or NULL */
};

struct timers {
    struct system    *system;
    struct lock       lock;
    struct signal     wake;         /* told when the thread sleeps too long, or must end */
    struct signal     fired;        /* told when a batch was sent and somebody waits for that */
    struct timer_heap heap;         /* guarded by lock, like all below */
    size_t            armed;        /* timers in the heap */
    uint64_t          asleep_until; /* the thread's; 0: it is awake or has been told */
    unsigned          awaiting;     /* in alarm_fini() */
    bool              stopping;
    bool              running;      /* the thread was started */
    struct thread     thread;
    struct shot       batch[BATCH_LIMIT]; /* only who fires */
};

/* Whether the thread must be woken for something that is due at `due_ns`; it
 * is told once. To be followed by a signal when the lock is released. */
static inline bool is_overslept_locked(struct timers *timers, uint64_t due_ns)
{
    if (LIKELY(due_ns >= timers->asleep_until))
        return false;
    timers->asleep_until = 0;
    return true;
}

/* The heap has come to a timer that is due, first in it; the timer leaves the
 * heap, or stays with its next deadline. True: *shot is to be fired. */
bool timer_due_locked(struct timer_node *node, uint64_t now_ns, struct shot *shot);
/* The end of all timers: cancels one that is still in the heap, and drops the
 * heap's reference. */
void timer_forget(struct timer_node *node);

/* The heap has come to look at an alarm, first in it; the alarm leaves the heap,
 * or is put where its actor wants it by now. True: *shot is to be fired, and
 * the alarm is `firing` until its message is out of our hands. */
bool alarm_due_locked(struct timers *timers, struct timer_node *node, uint64_t now_ns,
                      struct shot *shot);
/* Puts alarms at the head of the heap where their actors want them by now. */
void alarms_put_off_locked(struct timers *timers);

#endif
