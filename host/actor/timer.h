/*
 * timer.h -- messages that wait for a time, and the deadlines of waits.
 *
 * A *timer* holds a message, ready-made when armed, so that firing cannot
 * fail. An *alarm* is an actor's one deadline: armed lazily, so that a
 * thousand asks with a deadline of 5 s touch the heap about once in 5 s.
 * One heap under one lock, one thread, absolute monotonic deadlines.
 *
 * Cancel against firing. A timer whose target is its own actor can be
 * cancelled until its handler begins: the message in the mailbox points to
 * the timer, and both the handling and the cancelling happen on that actor's
 * worker, so the order is plain. A timer for somebody else can be cancelled
 * while it is in the heap, which the heap's lock decides. (Of a periodic one,
 * also the tick that waits elsewhere comes to nothing.)
 *
 * Periodic timers keep their step: each deadline is the one before plus the
 * interval, however late the tick was fired or handled. At most one tick is
 * under way; those that come due meanwhile are counted as missed, as are all
 * but one after the process was stopped for a while.
 *
 * The alarm. `wanted_ns` is when the actor wants to be woken (UINT64_MAX: not
 * at all); `armed_ns` is when the heap will look at it. The actor stores
 * wanted, then reads armed; the heap's thread, when armed has come, stores
 * armed = none, then reads wanted. Both are sequentially consistent, so
 * either the actor sees that it must arm, or the thread sees the new wish.
 * Withdrawing a wish needs none of this: at worst the alarm rings once for
 * nothing, and alarm_rang() says so.
 *
 * The alarm's message lies inside the actor, and `ringing` says that it is
 * under way: the thread sets it before it sends the message, the actor clears
 * it when it has done with it, and then looks at its wish again. So it is
 * never in a mailbox twice, and a ring that was left out because the last one
 * was still under way is made good.
 */
#ifndef TROUPE_ACTOR_TIMER_H
#define TROUPE_ACTOR_TIMER_H

#include "actor/timer_heap.h"
#include "base/clock.h"
#include "base/thread.h"
#include "message/message.h"

struct actor;
struct system;
struct timers;

/* All off is wanted_ns = armed_ns = UINT64_MAX and the rest zero; the registry
 * makes actors so, and alarm_fini() leaves them so. */
struct alarm {
    _Atomic uint64_t wanted_ns; /* written by its actor only */
    _Atomic uint64_t armed_ns;  /* written under the timers' lock */
    _Atomic bool     ringing;   /* `message` is under way */
    bool             firing;    /* the thread is about to send it; guarded by the timers' lock */
    struct timer_node node;     /* guarded by the timers' lock */
    /* A MESSAGE_WAKE of request 0, reason TIMEOUT, MESSAGE_KEPT. */
    _Alignas(struct message) unsigned char message[sizeof(struct message)];
};

/* Reserves room for limits.timers timers and the alarms of limits.actors
 * actors, so that arming needs none later. Hosts with a manual clock have no
 * thread and are driven by timers_advance(). 0 or -errno. */
int  timers_open(struct timers **timers, struct system *system);
/* Starts the thread (not for a manual clock). */
int  timers_start(struct timers *timers);
/* Stops the thread; cancels timers that are left (there should be none). Whoever
 * still holds one may only timer_unref() it. NULL is fine. */
void timers_close(struct timers *timers);

/* A timer as its owner holds it. Counted: the holder, the heap, and each
 * message of it under way. */
struct timer;

/* Arms a timer that sends `*message` (kind ORDINARY, TIMER or STOP, `to` set) at
 * `due_ns`, and then, if interval_ns > 0, each interval_ns after it. Never
 * early. Takes *message if it succeeds. A stop, and a single message for another
 * actor, is sent as it is; all else arrives as MESSAGE_TIMER, for timer_deliver(). When
 * `owner` (0: nobody) ends, so does the timer; and when its target has ended.
 * 0; -ENOMEM; -EAGAIN: too many timers (system->limits.timers); -ESRCH: the
 * owner has ended. The caller owns one reference. Any thread; no system call
 * unless nothing else is due earlier. */
int timer_start(struct timers *timers, struct message **message, uint64_t due_ns,
                uint64_t interval_ns, actor_id owner, struct timer **timer);

/* The same in two steps, for who must not fail for want of memory later: a timer that
 * is not armed yet; 0 or -ENOMEM. Then, once: 0, -EAGAIN or -ESRCH. */
int timer_make(struct timers *timers, struct message **message, uint64_t interval_ns,
               actor_id owner, struct timer **timer);
int timer_arm(struct timer *timer, uint64_t due_ns);

/* Whether timer_cancel() would prevent a delivery. */
bool timer_is_pending(struct timer *timer, actor_id caller);

/* One more that holds it. */
struct timer *timer_ref(struct timer *timer);

/* Cancels: true if its message will not be delivered (any more) because of
 * this call; see above. `caller` is the actor that runs now, or 0: it may take
 * back what lies in its own mailbox. */
bool timer_cancel(struct timer *timer, actor_id caller);
/* Lets go of the timer, which goes on if it is armed. NULL is fine. */
void timer_unref(struct timer *timer);

/* The receiving actor asks before it handles a MESSAGE_TIMER, once: false: it
 * was cancelled. *missed: ticks that were not delivered since the last one that
 * was. *periodic likewise. *content is what to handle: valid while the message
 * is, and may be the message itself. */
bool timer_deliver(struct message *message, const struct message **content, uint64_t *missed,
                   bool *periodic);
/* What timer_deliver() would give as the content. Whoever owns the message. */
const struct message *timer_peek(const struct message *message);

/* The actor `owner` ends, or its incarnation: what it still has armed is cancelled,
 * and what it has sent itself will not be delivered. While it can still be found
 * in the registry; it must not start another meanwhile. */
void timers_cancel_owned(struct timers *timers, actor_id owner);

/* Wakes the actor with its alarm message at `deadline_ns`; UINT64_MAX: never.
 * Cannot fail. Only its worker. About 10 ns if the heap will look early enough. */
void alarm_set(struct actor *actor, uint64_t deadline_ns);
/* The actor got its alarm message (MESSAGE_WAKE with MESSAGE_KEPT): true if its
 * deadline has really passed; else the alarm has been set again if it must be.
 * The message must not be touched afterwards, also not by message_free(): it
 * may be under way again. Only its worker. */
bool alarm_rang(struct actor *actor);
/* The actor ends: when this returns, nothing of the alarm is under way but what
 * its closed mailbox has handed out. After the mailbox is closed, before the
 * slot is given back. */
void alarm_fini(struct actor *actor);

/* Fires everything due by `now_ns` on the caller's thread, in order of time and
 * then of arming, with the clock at each one's deadline and at last at now_ns:
 * the stage. */
void timers_advance(struct timers *timers, uint64_t now_ns);
/* The earliest deadline, or UINT64_MAX: what the stage advances to. */
uint64_t timers_next(struct timers *timers);
/* Armed timers (not alarms). */
size_t timers_count(struct timers *timers);

#endif
