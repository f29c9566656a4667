/*
 * actor.c -- runs one batch of an actor's mail, and leads it through its life.
 */
#include "actor/actor.h"

#include "actor/actor_log.h"
#include "actor/hold.h"
#include "actor/incarnation.h"
#include "actor/lifecycle.h"
#include "actor/router.h"
#include "actor/scheduler.h"
#include "actor/statistics.h"
#include "actor/system.h"
#include "actor/tap.h"
#include "actor/watches.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* The watchdog tells handlers apart by the worker's epoch. */
static void begin_code(struct worker *worker)
{
    uint32_t epoch = atomic_load_explicit(&worker->epoch, memory_order_relaxed);
    atomic_store_explicit(&worker->epoch, epoch + 1, memory_order_relaxed);
}

/* The handler that the watchdog looked at has ended, waits, or was preempted. */
static void forget_watch(struct actor *actor, enum verdict verdict)
{
    if (verdict == VERDICT_PREEMPTED) {
        atomic_fetch_add_explicit(
            &actor->ran_ns, atomic_load_explicit(&worker_self->ran_hint_ns, memory_order_relaxed),
            memory_order_relaxed);
        return;
    }
    atomic_store_explicit(&actor->watched, false, memory_order_relaxed);
    atomic_store_explicit(&actor->overdue_told, false, memory_order_relaxed);
    atomic_store_explicit(&actor->ran_ns, 0, memory_order_relaxed);
}

void actor_next_handler(struct actor *actor)
{
    begin_code(worker_self);
    forget_watch(actor, VERDICT_DONE);
}

static void take_in(struct actor *actor, enum verdict verdict)
{
    statistics_end(actor, worker_self, verdict);
    if (UNLIKELY(actor->starting) && verdict != VERDICT_PREEMPTED) {
        actor->starting = false;
        lifecycle_begun(actor);
        if (verdict == VERDICT_WAITING)
            incarnation_start_waits(actor);
    }
    if (UNLIKELY(atomic_load_explicit(&actor->watched, memory_order_relaxed)))
        forget_watch(actor, verdict);
    actor->preempted = verdict == VERDICT_PREEMPTED;
    actor->busy = verdict == VERDICT_PREEMPTED || verdict == VERDICT_WAITING;
    if (LIKELY(verdict == VERDICT_DONE)) {
        atomic_store_explicit(&actor->handling, TYPE_NONE, memory_order_relaxed);
        return;
    }
    if (verdict == VERDICT_ENDED) {
        if (actor->phase < PHASE_DRAINING)
            actor->phase = PHASE_DRAINING; /* of nothing */
        actor->drain_left = 0;
    }
}

/* The handler that waits goes on, to its end. */
static void cut(struct actor *actor, struct worker *worker)
{
    if (!actor->busy || actor->preempted)
        return;
    begin_code(worker);
    take_in(actor, actor->behaviour->cut(actor));
}

static void wind_down(struct actor *actor, struct worker *worker, bool drain)
{
    if (actor->phase == PHASE_BORN) {
        actor->phase = PHASE_SHUTTING_DOWN; /* it never began: no on_shutdown */
        return;
    }
    if (actor->phase >= PHASE_SHUTTING_DOWN && drain)
        return;
    if (actor->phase < PHASE_DRAINING)
        actor->phase = PHASE_DRAINING;
    else if (drain)
        return;
    /* What is queued now; not what it goes on sending to itself. */
    actor->drain_left = drain ? mailbox_length(&actor->box) : 0;
    cut(actor, worker);
}

/* Nothing of it runs any more, not even on_shutdown. */
static void kill_now(struct actor *actor, struct worker *worker)
{
    actor_note_end(actor, "killed");
    hold_break(actor);
    begin_code(worker);
    take_in(actor, actor->behaviour->kill != NULL ? actor->behaviour->kill(actor) : VERDICT_ENDED);
    actor->phase = PHASE_SHUTTING_DOWN;
}

/* Whether the actor ends of a stop of that kind; notes how. */
static bool is_to_stop(struct actor *actor, const struct message *message)
{
    switch ((enum stop_how)message->reason) {
    case STOP_ASKED:
        incarnation_unwanted(actor);
        actor->for_good = actor->for_good || !actor->supervised;
        return true;
    case STOP_FOR_GOOD:
        actor->for_good = true;
        return true;
    case STOP_HALT:
        incarnation_ordered_to_halt(actor);
        return true;
    case STOP_KILL:
        if (message->request == atomic_load_explicit(&actor->incarnation, memory_order_relaxed))
            return true;
        incarnation_missed(actor);
        return false;
    case STOP_DROP: /* it is not halted (any more), but may never have begun */
        actor->for_good = actor->for_good || actor->phase == PHASE_BORN;
        return actor->phase == PHASE_BORN;
    }
    UNREACHABLE();
}

static void stop(struct actor *actor, struct worker *worker, struct message *message)
{
    bool drain = (message->flags & MESSAGE_DRAIN) != 0;
    bool stops = is_to_stop(actor, message), kills = message->reason == STOP_KILL;
    message_free(message);
    if (!stops)
        return;
    if (kills)
        kill_now(actor, worker);
    else
        wind_down(actor, worker, drain);
}

/* One that it is linked to has ended badly: so does this one, as when it is
 * asked to stop. */
static void fall(struct actor *actor, struct worker *worker, const char *why)
{
    static struct log_limit limit = LOG_LIMIT(5);
    if (actor->phase == PHASE_HALTED && actor->supervised)
        return; /* it has ended; its supervisor decides */
    if (log_allowed(&limit))
        actor_log(actor, LOG_WARN, "it ends: %s", why);
    incarnation_unwanted(actor);
    actor->for_good = actor->for_good || !actor->supervised;
    actor_note_end(actor, why);
    actor->ended = ENDED_BY_ERROR;
    if (actor->phase == PHASE_HALTED)
        actor->phase = PHASE_SHUTTING_DOWN;
    else
        wind_down(actor, worker, false);
}

/* A notice of an end: true if it is to be handled. */
static bool hear(struct actor *actor, struct worker *worker, struct message **notice)
{
    char why[ACTOR_REASON_ROOM];
    enum heard heard = watches_hear(actor, notice, why, sizeof why);
    if (heard == HEARD_FATAL)
        fall(actor, worker, why);
    return heard == HEARD_DOWN;
}

/* Whether its behaviour lets it; else `start` waits, or the actor ends. */
static bool may_begin(struct actor *actor, struct worker *worker, struct message *start)
{
    char why[ACTOR_REASON_ROOM];
    if (LIKELY(actor->behaviour->may_begin == NULL))
        return true;
    atomic_store_explicit(&worker->running, NULL, memory_order_relaxed); /* nothing to interrupt */
    enum beginning beginning = actor->behaviour->may_begin(actor, why, sizeof why);
    atomic_store_explicit(&worker->running, actor, memory_order_release);
    if (LIKELY(beginning == BEGIN_NOW))
        return true;
    if (beginning == BEGIN_LATER) {
        hold_start(actor, start);
        return false;
    }
    message_free(start);
    incarnation_stillborn(actor, why);
    return false;
}

/* The START of an incarnation that begins now; NULL: none does. */
static void begin(struct actor *actor, struct worker *worker, struct message *start)
{
    if (start == NULL || !may_begin(actor, worker, start))
        return;
    actor->phase = PHASE_RUNNING;
    actor->appetite = APPETITE_ALL;
    actor->starting = true;
    begin_code(worker);
    atomic_store_explicit(&actor->handling, TYPE_START, memory_order_relaxed);
    statistics_untimed(actor, TYPE_START);
    take_in(actor, actor->behaviour->receive(actor, start));
}

/* True: it was one that the behaviour does not see. */
static bool control(struct actor *actor, struct worker *worker, struct message *message)
{
    if (UNLIKELY(message->kind == MESSAGE_HOLD)) {
        begin_code(worker);
        begin(actor, worker, hold_receive(actor, message));
        return true;
    }
    if (UNLIKELY(actor->phase == PHASE_HALTED)) {
        if (actor_is_held(actor)) { /* a kill: nothing of it runs */
            incarnation_missed(actor);
            message_free(message);
            return true;
        }
        begin(actor, worker, incarnation_halted_receive(actor, message));
        return true;
    }
    switch (message->kind) {
    case MESSAGE_STOP:
        stop(actor, worker, message);
        return true;
    case MESSAGE_START:
        begin(actor, worker, incarnation_start(actor, message));
        return true;
    case MESSAGE_FAIL:
        incarnation_child_failed(actor, message);
        if (actor->phase == PHASE_DRAINING)
            cut(actor, worker);
        return true;
    default:
        return false;
    }
}

static void send_wakes(struct actor *actor, struct message *wakes)
{
    while (wakes != NULL) {
        struct message *wake = wakes;
        wakes = atomic_load_explicit(&wake->next, memory_order_relaxed);
        waits_end(actor->system, wake->to, wake->request);
        router_send(actor->system, &wake, ROUTE_RESERVED);
        message_free(wake); /* its sender is gone */
    }
}

static void receive(struct actor *actor, struct worker *worker, struct message *message)
{
    if (UNLIKELY(message->flags & MESSAGE_TRACED))
        tap_began(message);
    if (UNLIKELY(message->to != actor_self(actor))) {
        /* Meant for the one who had this slot before. */
        router_refuse(actor->system, &message, FAILURE_DOWN, "the actor has ended", NULL);
        return;
    }
    if (UNLIKELY(message->kind == MESSAGE_DOWN) && !hear(actor, worker, &message))
        return;
    if (UNLIKELY(worker->kind == WORKER_STAGE) && actor->system->observe != NULL)
        actor->system->observe(actor->system, actor, message);
    if (UNLIKELY(message->lane == LANE_CONTROL)) {
        if (control(actor, worker, message))
            return;
    } else if (actor->phase == PHASE_DRAINING && actor->drain_left > 0 &&
               message->kind != MESSAGE_TIMER && message->kind != MESSAGE_STREAM &&
               message->lane != LANE_NOTICE) {
        /* (Those take no room: they were not counted.) */
        actor->drain_left--;
    }
    begin_code(worker);
    if (!actor->busy)
        atomic_store_explicit(&actor->handling, message->type, memory_order_relaxed);
    statistics_begin(actor, worker, message);
    take_in(actor, actor->behaviour->receive(actor, message));
}

/* A stopping actor whose handler has ended: what comes next? True: it is gone. */
static bool wind_up(struct actor *actor, struct worker *worker)
{
    if (actor->phase == PHASE_DRAINING && actor->drain_left == 0) {
        actor->phase = PHASE_SHUTTING_DOWN;
        begin_code(worker);
        atomic_store_explicit(&actor->handling, TYPE_SHUTDOWN, memory_order_relaxed);
        statistics_untimed(actor, TYPE_SHUTDOWN);
        take_in(actor, actor->behaviour->shut_down(actor));
        if (actor->busy) {
            incarnation_limit_shutdown(actor);
            return false;
        }
    }
    if (actor->phase != PHASE_SHUTTING_DOWN)
        return false;
    if (incarnation_halts(actor)) {
        begin(actor, worker, incarnation_halt(actor));
        return false;
    }
    actor->phase = PHASE_GONE;
    atomic_store_explicit(&worker->running, NULL, memory_order_relaxed); /* nothing to interrupt */
    lifecycle_end(actor);
    return true;
}

static enum actor_fate run(struct actor *actor, struct worker *worker, unsigned messages)
{
    if (UNLIKELY(actor->preempted)) {
        if (incarnation_is_condemned(actor)) {
            kill_now(actor, worker);
        } else {
            begin_code(worker);
            statistics_go_on(actor, worker);
            take_in(actor, actor->behaviour->go_on(actor));
        }
        if (actor->preempted)
            return FATE_READY;
    }
    for (;;) {
        if (UNLIKELY(actor->phase >= PHASE_DRAINING) && !actor->busy && wind_up(actor, worker))
            return FATE_GONE;
        if (UNLIKELY(actor->preempted || messages-- == 0 ||
                     atomic_load_explicit(&worker->hurry, memory_order_relaxed)))
            return FATE_READY;

        struct message *wakes;
        enum appetite appetite = actor->busy ? actor->appetite
                                 : actor->phase <= PHASE_HALTED ? APPETITE_CONTROL
                                                                : APPETITE_ALL;
        struct message *message =
            mailbox_take(&actor->box, appetite, actor->behaviour->chooses, actor, &wakes);
        if (UNLIKELY(wakes != NULL))
            send_wakes(actor, wakes);
        if (message != NULL) {
            receive(actor, worker, message);
            continue;
        }
        if (UNLIKELY(actor->phase == PHASE_DRAINING) && !actor->busy) {
            actor->drain_left = 0; /* some of what was counted came to nothing */
            continue;
        }
        /* Once asleep it may run elsewhere at once: a signal that comes now must
         * not find it here. */
        atomic_store_explicit(&worker->running, NULL, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
        if (mailbox_sleep(&actor->box))
            return FATE_ASLEEP;
        atomic_store_explicit(&worker->running, actor, memory_order_release);
    }
}

/* What was kept back to be sent together leaves now. */
static void flush(struct worker *worker)
{
    const struct remote_port *remote = &worker->system->remote;
    worker->sent_away = false;
    if (remote->flush != NULL)
        remote->flush(remote->context);
}

enum actor_fate actor_run(struct actor *actor, unsigned messages)
{
    struct worker *worker = worker_self;

    worker->sends = 0;
    atomic_store_explicit(&worker->running, actor, memory_order_release); /* to the watchdog */
    enum actor_fate fate = run(actor, worker, messages);
    atomic_store_explicit(&worker->running, NULL, memory_order_relaxed);
    begin_code(worker);
    if (UNLIKELY(worker->sent_away))
        flush(worker);
    return fate;
}

void actor_note_end(struct actor *actor, const char *reason)
{
    char text[ACTOR_REASON_ROOM];
    if (reason == NULL || actor->end_reason != NULL)
        return;
    size_t size = strlen(reason);
    if (size >= sizeof text) {
        size = sizeof text - 1;
        while (size > 0 && ((unsigned char)reason[size] & 0xc0) == 0x80) /* within a letter of UTF-8 */
            size--;
    }
    snprintf(text, sizeof text, "%.*s", (int)size, reason);
    actor->end_reason = memory_copy_text(text);
}

uint64_t actor_wait_begin(struct actor *actor, enum appetite appetite, uint64_t deadline_ns)
{
    actor->appetite = appetite;
    if (appetite == APPETITE_CHOSEN)
        mailbox_reconsider(&actor->box);
    alarm_set(actor, deadline_ns);
    if (++actor->waits == 0) /* 0 is no wait; see waits.h */
        actor->waits = 1;
    return actor->waits;
}

void actor_settle(struct actor *actor)
{
    struct message *wakes = mailbox_settle(&actor->box);
    if (UNLIKELY(wakes != NULL))
        send_wakes(actor, wakes);
}

void actor_wait_over(struct actor *actor)
{
    alarm_set(actor, UINT64_MAX);
}
