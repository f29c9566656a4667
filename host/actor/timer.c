/*
 * timer.c -- one timer: arming it, cancelling it, and what it sends when due.
 */
#include "actor/timer.h"

#include "actor/actor.h"
#include "actor/registry.h"
#include "actor/system.h"
#include "actor/timer_room.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>

struct timer {
    struct timers *timers;
    atomic_uint    references;  /* the holder, the heap, each MESSAGE_TIMER under way */
    actor_id       owner;       /* these four fixed before it is armed */
    actor_id       target;
    uint64_t       interval_ns; /* 0: fires once */
    uint32_t       incarnation; /* of the owner */

    /* Guarded by timers->lock: */
    struct timer_node node;
    struct message *message;    /* what it sends; if periodic, the template of it */
    struct message *carrier;    /* periodic: the next tick, ready-made */
    uint64_t        missed;     /* ticks not delivered since the last that was */
    bool            queued;     /* a MESSAGE_TIMER of it was sent and not delivered yet */
    bool            cancelled;
    struct timer   *next_owned, **owned_link; /* in owner's list while armed */
};

static struct timer *timer_of(struct timer_node *node)
{
    return CONTAINER_OF(node, struct timer, node);
}

static uint64_t later(uint64_t ns, uint64_t more_ns)
{
    return more_ns < UINT64_MAX - ns ? ns + more_ns : UINT64_MAX;
}

struct timer *timer_ref(struct timer *timer)
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

static uint32_t incarnation_of(const struct actor *actor)
{
    return atomic_load_explicit(&actor->incarnation, memory_order_relaxed);
}

int timer_make(struct timers *timers, struct message **message, uint64_t interval_ns,
               actor_id owner, struct timer **timer)
{
    struct timer *made = memory_get_zeroed(sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->timers = timers;
    atomic_init(&made->references, 1);
    made->owner = owner;
    made->target = (*message)->to;
    made->interval_ns = interval_ns;
    if (interval_ns > 0) {
        made->carrier = make_carrier(*message);
        if (made->carrier == NULL) {
            memory_put(made, sizeof *made);
            return -ENOMEM;
        }
    }
    made->message = *message;
    *message = NULL;
    *timer = made;
    return 0;
}

int timer_arm(struct timer *timer, uint64_t due_ns)
{
    struct timers *timers = timer->timers;
    struct actor  *actor = NULL;
    if (timer->owner != 0) {
        actor = registry_find(&timers->system->registry, timer->owner);
        if (actor == NULL)
            return -ESRCH;
    }
    lock_acquire(&timers->lock);
    if (UNLIKELY(timers->armed >= timers->system->limits.timers)) {
        lock_release(&timers->lock);
        atomic_fetch_add_explicit(&timers->system->counters.full_timers, 1, memory_order_relaxed);
        return -EAGAIN;
    }
    timer->incarnation = actor != NULL ? incarnation_of(actor) : 0;
    if (timer->target == timer->owner && timer->message->kind != MESSAGE_STOP) {
        assert(timer->message->kind == MESSAGE_TIMER || timer->message->origin == NULL);
        timer->message->kind = MESSAGE_TIMER;
    }
    timer_ref(timer); /* the heap's */
    arm_locked(timer, actor, due_ns);
    bool overslept = is_overslept_locked(timers, due_ns);
    lock_release(&timers->lock);
    if (UNLIKELY(overslept))
        signal_one(&timers->wake);
    return 0;
}

int timer_start(struct timers *timers, struct message **message, uint64_t due_ns,
                uint64_t interval_ns, actor_id owner, struct timer **timer)
{
    struct timer *made;
    int error = timer_make(timers, message, interval_ns, owner, &made);
    if (error != 0)
        return error;
    error = timer_arm(made, due_ns);
    if (error == 0) {
        *timer = made;
        return 0;
    }
    *message = made->message;
    made->message = NULL;
    timer_unref(made);
    return error;
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

bool timer_is_pending(struct timer *timer, actor_id caller)
{
    lock_acquire(&timer->timers->lock);
    bool pending = timer->node.position != 0 ||
                   (timer->queued && !timer->cancelled && caller == timer->target);
    lock_release(&timer->timers->lock);
    return pending;
}

/* Whether its owner made it for itself, in an incarnation that has ended since. */
static bool is_left_over(struct timer *timer)
{
    if (timer->owner == 0 || timer->owner != timer->target)
        return false;
    const struct actor *owner = registry_find(&timer->timers->system->registry, timer->owner);
    return owner != NULL && incarnation_of(owner) != timer->incarnation;
}

const struct message *timer_peek(const struct message *message)
{
    const struct timer *timer = message->timer;
    return timer != NULL && timer->interval_ns > 0 ? timer->message : message;
}

bool timer_deliver(struct message *message, const struct message **content, uint64_t *missed,
                   bool *periodic)
{
    struct timer *timer = message->timer;
    struct message *next = NULL;
    bool left_over = is_left_over(timer);
    *periodic = timer->interval_ns > 0;
    *content = *periodic ? timer->message : message;
    if (*periodic)
        next = make_carrier(timer->message); /* if not, the thread tries once more */

    lock_acquire(&timer->timers->lock);
    bool wanted = !timer->cancelled && !left_over;
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

/* ---- Coming due ---------------------------------------------------------- */

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

bool timer_due_locked(struct timer_node *node, uint64_t now_ns, struct shot *shot)
{
    struct timer *timer = timer_of(node);
    if (timer->interval_ns > 0)
        return tick_locked(timer->timers, timer, now_ns, shot);
    fire_once_locked(timer, shot);
    return true;
}

void timer_forget(struct timer_node *node)
{
    struct timer *timer = timer_of(node);
    struct message *message;
    cancel_armed_locked(timer, &message);
    message_free(message);
    timer_unref(timer);
}
