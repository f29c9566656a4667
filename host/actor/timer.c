/*
 * timer.c -- messages that wait for a time, and the deadlines of waits.
 *
 * The thread collects what is due under the lock, at most BATCH_LIMIT at a
 * time, and sends it without the lock: so the timers' lock is a leaf, and
 * starting a timer never waits for a mailbox.
 */
#include "actor/timer.h"

#include "actor/actor.h"
#include "actor/registry.h"
#include "actor/router.h"
#include "actor/system.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#define BATCH_LIMIT 64

struct timer {
    struct timers *timers;
    atomic_uint    references;  /* the holder, the heap, each MESSAGE_TIMER under way */
    actor_id       owner;       /* these three fixed by timer_start() */
    actor_id       target;
    uint64_t       interval_ns; /* 0: fires once */

    /* Guarded by timers->lock: */
    struct timer_node node;
    struct message *message;    /* what it sends; if periodic, the template of it */
    struct message *carrier;    /* periodic: the next tick, ready-made */
    uint64_t        missed;     /* ticks not delivered since the last that was */
    bool            queued;     /* a MESSAGE_TIMER of it was sent and not delivered yet */
    bool            cancelled;
    struct timer   *next_owned, **owned_link; /* in owner's list while armed */
};

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

static struct timer *timer_of(struct timer_node *node)
{
    return CONTAINER_OF(node, struct timer, node);
}

static struct actor *alarmed_of(struct timer_node *node)
{
    return CONTAINER_OF(node, struct actor, alarm.node);
}

static uint64_t later(uint64_t ns, uint64_t more_ns)
{
    return more_ns < UINT64_MAX - ns ? ns + more_ns : UINT64_MAX;
}

/* Whether the thread must be woken for something that is due at `due_ns`; it
 * is told once. To be followed by a signal when the lock is released. */
static bool is_overslept_locked(struct timers *timers, uint64_t due_ns)
{
    if (LIKELY(due_ns >= timers->asleep_until))
        return false;
    timers->asleep_until = 0;
    return true;
}

/* ---- One timer ----------------------------------------------------------- */

static struct timer *timer_ref(struct timer *timer)
{
    atomic_fetch_add_explicit(&timer->references, 1, memory_order_relaxed);
    return timer;
}

/* Touches nothing but the timer itself: the timers may be closed. */
void timer_unref(struct timer *timer)
{
    if (timer == NULL ||
        atomic_fetch_sub_explicit(&timer->references, 1, memory_order_acq_rel) != 1)
        return;
    message_free(timer->message);
    message_free(timer->carrier);
    memory_put(timer, sizeof *timer);
}

/* A tick of a periodic timer, to be pointed at it when it is sent. */
static struct message *make_carrier(const struct message *template)
{
    struct message *carrier = message_new(MESSAGE_TIMER, template->type, NULL, 0);
    if (carrier != NULL) {
        carrier->to = template->to;
        carrier->from = template->from;
        carrier->lane = template->lane;
    }
    return carrier;
}

static void disarm_locked(struct timer *timer)
{
    struct timers *timers = timer->timers;
    timer_heap_remove(&timers->heap, &timer->node);
    timers->armed--;
    if (timer->owned_link == NULL)
        return;
    *timer->owned_link = timer->next_owned;
    if (timer->next_owned != NULL)
        timer->next_owned->owned_link = timer->owned_link;
    timer->next_owned = NULL;
    timer->owned_link = NULL;
}

static void arm_locked(struct timer *timer, struct actor *owner, uint64_t due_ns)
{
    struct timers *timers = timer->timers;
    timer_heap_add(&timers->heap, &timer->node, due_ns);
    timers->armed++;
    if (owner == NULL)
        return;
    timer->owned_link = &owner->timers;
    timer->next_owned = owner->timers;
    if (timer->next_owned != NULL)
        timer->next_owned->owned_link = &timer->next_owned;
    owner->timers = timer;
}

static struct timer *make_timer(struct timers *timers, struct message *message,
                                uint64_t interval_ns, actor_id owner)
{
    struct timer *timer = memory_get_zeroed(sizeof *timer);
    if (timer == NULL)
        return NULL;
    timer->timers = timers;
    atomic_init(&timer->references, 2); /* the holder's and the heap's */
    timer->owner = owner;
    timer->target = message->to;
    timer->interval_ns = interval_ns;
    if (interval_ns > 0) {
        timer->carrier = make_carrier(message);
        if (timer->carrier == NULL) {
            memory_put(timer, sizeof *timer);
            return NULL;
        }
    }
    return timer;
}

int timer_start(struct timers *timers, struct message **message, uint64_t due_ns,
                uint64_t interval_ns, actor_id owner, struct timer **timer)
{
    struct actor *actor = NULL;
    if (owner != 0) {
        actor = registry_find(&timers->system->registry, owner);
        if (actor == NULL)
            return -ESRCH;
    }
    struct timer *made = make_timer(timers, *message, interval_ns, owner);
    if (made == NULL)
        return -ENOMEM;

    lock_acquire(&timers->lock);
    if (UNLIKELY(timers->armed >= timers->system->limits.timers)) {
        lock_release(&timers->lock);
        message_free(made->carrier);
        memory_put(made, sizeof *made);
        return -EAGAIN;
    }
    made->message = *message;
    *message = NULL;
    if (made->target == owner && made->message->kind != MESSAGE_TIMER) {
        assert(made->message->origin == NULL);
        made->message->kind = MESSAGE_TIMER;
    }
    arm_locked(made, actor, due_ns);
    bool overslept = is_overslept_locked(timers, due_ns);
    lock_release(&timers->lock);
    if (UNLIKELY(overslept))
        signal_one(&timers->wake);
    *timer = made;
    return 0;
}

/* Takes an armed timer out for good. *message gets what need not be kept: a
 * periodic one's template may be what a handler is looking at. The heap's
 * reference is the caller's to drop. */
static void cancel_armed_locked(struct timer *timer, struct message **message)
{
    disarm_locked(timer);
    timer->cancelled = true;
    struct message **unneeded = timer->interval_ns > 0 ? &timer->carrier : &timer->message;
    *message = *unneeded;
    *unneeded = NULL;
}

bool timer_cancel(struct timer *timer, actor_id caller)
{
    struct timers *timers = timer->timers;
    struct message *message = NULL;
    bool prevented = false;

    lock_acquire(&timers->lock);
    bool armed = timer->node.position != 0;
    if (armed) {
        cancel_armed_locked(timer, &message);
        prevented = true;
    } else if (timer->queued && !timer->cancelled && caller == timer->target) {
        timer->cancelled = true;
        prevented = true;
    }
    lock_release(&timers->lock);

    message_free(message);
    if (armed)
        timer_unref(timer);
    return prevented;
}

bool timer_deliver(struct message *message, const struct message **content, uint64_t *missed,
                   bool *periodic)
{
    struct timer *timer = message->timer;
    struct message *next = NULL;
    *periodic = timer->interval_ns > 0;
    *content = *periodic ? timer->message : message;
    if (*periodic)
        next = make_carrier(timer->message); /* if not, the thread tries once more */

    lock_acquire(&timer->timers->lock);
    bool wanted = !timer->cancelled;
    timer->queued = false;
    *missed = timer->missed;
    timer->missed = 0;
    if (next != NULL && wanted && timer->carrier == NULL) {
        timer->carrier = next;
        next = NULL;
    }
    lock_release(&timer->timers->lock);
    message_free(next);
    return wanted;
}

void timers_cancel_owned(struct timers *timers, actor_id owner)
{
    struct actor *actor = registry_find(&timers->system->registry, owner);
    if (actor == NULL)
        return;
    size_t count;
    do { /* in lots: an actor with a million timers must not stop all others */
        struct timer *timer[BATCH_LIMIT];
        struct message *message[BATCH_LIMIT];
        lock_acquire(&timers->lock);
        for (count = 0; count < BATCH_LIMIT && actor->timers != NULL; count++) {
            timer[count] = actor->timers;
            cancel_armed_locked(timer[count], &message[count]);
        }
        lock_release(&timers->lock);
        for (size_t i = 0; i < count; i++) {
            message_free(message[i]);
            timer_unref(timer[i]);
        }
    } while (count == BATCH_LIMIT);
}

/* ---- An actor's alarm ---------------------------------------------------- */

/* Pairs with ring_locked(): stores the wish, then looks at the heap's plan. */
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

/* Sequentially consistent, as in ring_locked(): if that found the alarm still
 * ringing and left it at that, then here armed is seen as none, and is set
 * anew unless the deadline has passed. */
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

/* ---- Firing -------------------------------------------------------------- */

/* The heap has come to look at an alarm, first in it. Pairs with alarm_set():
 * forgets the plan, then looks at the wish. True: *shot is to be fired. */
static bool ring_locked(struct timers *timers, struct actor *actor, uint64_t now_ns,
                        struct shot *shot)
{
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

/* A timer that fires once leaves the heap, whose reference goes with the shot. */
static void fire_once_locked(struct timer *timer, struct shot *shot)
{
    disarm_locked(timer);
    *shot = (struct shot){ .message = timer->message };
    timer->message = NULL;
    if (shot->message->kind == MESSAGE_TIMER) {
        shot->message->timer = timer;
        timer->queued = true;
    } else {
        shot->timer = timer;
    }
}

/* A periodic timer stays in the heap, one or more steps on. True: *shot is to be fired. */
static bool tick_locked(struct timers *timers, struct timer *timer, uint64_t now_ns,
                        struct shot *shot)
{
    uint64_t due_ns = timer->node.due_ns;
    uint64_t ticks = 1 + (now_ns - due_ns) / timer->interval_ns;
    timer_heap_move(&timers->heap, &timer->node,
                    later(due_ns + (ticks - 1) * timer->interval_ns, timer->interval_ns));

    timer->missed += ticks;
    if (timer->queued) {
        /* Left lying for ever if the target has ended: then the timer ends too. */
        if (registry_find(&timers->system->registry, timer->target) != NULL)
            return false;
        *shot = (struct shot){ .timer = timer };
        cancel_armed_locked(timer, &shot->message); /* no message: the carrier is out */
        return true;
    }
    if (timer->carrier == NULL)
        timer->carrier = make_carrier(timer->message);
    if (timer->carrier == NULL)
        return false; /* no memory: this tick is a missed one */
    timer->missed--;
    timer->queued = true;
    *shot = (struct shot){ .message = timer->carrier };
    timer->carrier = NULL;
    shot->message->timer = timer_ref(timer);
    return true;
}

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
        if (node->is_alarm) {
            count += ring_locked(timers, alarmed_of(node), now_ns, shot);
        } else if (timer_of(node)->interval_ns > 0) {
            count += tick_locked(timers, timer_of(node), now_ns, shot);
        } else {
            fire_once_locked(timer_of(node), shot);
            count++;
        }
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
        if (router_send(timers->system, &message, ROUTE_RESERVED) != ROUTER_OK) {
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
    return NULL;
}

/* ---- The manual clock ---------------------------------------------------- */

/* Alarms whose wish is later than the heap thinks would make the stage stop at
 * times when nothing happens. */
static void put_off_alarms_locked(struct timers *timers)
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

uint64_t timers_next(struct timers *timers)
{
    lock_acquire(&timers->lock);
    if (timers->system->clock.manual)
        put_off_alarms_locked(timers);
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
        if (node->is_alarm) {
            timer_heap_remove(&timers->heap, node);
            continue;
        }
        struct timer *timer = timer_of(node);
        struct message *message;
        cancel_armed_locked(timer, &message);
        message_free(message);
        timer_unref(timer);
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
