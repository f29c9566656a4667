/* test_hold.c -- actors are held and let go: on the stage step by step, and under
 * a load of senders, waits, restarts and kills on real threads. */
#include "actor/hold.h"
#include "actor/system.h"
#include "actor/watchdog.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define WORK "Work"
#define WAIT "Wait" /* its handler waits for an answer */

static struct system here;
static type_id type_work, type_wait;

/* An actor in C. What a hold must not let happen is asserted where it would. */
struct held {
    bool     held;             /* as the orders say; its worker's */
    bool     waits;            /* a handler does */
    unsigned number;           /* of that wait */
    bool     preempts;         /* its next handler is preempted once */
    bool     refuses_start;    /* it may not begin yet */
    bool     fails_start;
    uint64_t seen[4];          /* of each sender */
    unsigned handled, answered, worked, went_on, shut_down, timed_out;
    atomic_uint begun, halted, ended;
};

static enum verdict receive(struct actor *actor, struct message *message)
{
    struct held *held = actor->state;
    assert(!held->held);
    enum verdict verdict = held->waits ? VERDICT_WAITING : VERDICT_DONE;
    switch (message->kind) {
    case MESSAGE_START:
        atomic_fetch_add(&held->begun, 1);
        incarnation_started(actor);
        break;
    case MESSAGE_REPLY:
        held->answered++;
        held->waits = false;
        actor_wait_over(actor);
        verdict = VERDICT_DONE;
        break;
    case MESSAGE_WAKE:
        if ((message->flags & MESSAGE_KEPT) && alarm_rang(actor)) {
            held->timed_out++;
            held->waits = false;
            verdict = VERDICT_DONE;
        }
        break;
    default:
        assert(!held->waits);
        if (message->from != 0) {
            assert(message->request == held->seen[message->from] + 1); /* each once, in order */
            held->seen[message->from] = message->request;
        }
        held->handled++;
        if (message->type == type_wait) {
            held->waits = true;
            held->number = (unsigned)actor_wait_begin(actor, APPETITE_CONTROL,
                                                      clock_now(&here.clock) + NS_PER_SEC);
            verdict = VERDICT_WAITING;
        } else if (held->preempts) {
            held->preempts = false;
            verdict = VERDICT_PREEMPTED;
        }
    }
    message_free(message);
    return verdict;
}

static enum verdict go_on(struct actor *actor)
{
    struct held *held = actor->state;
    assert(!held->held);
    held->went_on++;
    return VERDICT_DONE;
}

static enum verdict cut(struct actor *actor)
{
    struct held *held = actor->state;
    assert(!held->held);
    held->waits = false;
    return VERDICT_DONE;
}

static enum verdict shut_down(struct actor *actor)
{
    struct held *held = actor->state;
    assert(!held->held);
    held->shut_down++;
    return VERDICT_ENDED;
}

static enum verdict kill_it(struct actor *actor)
{
    struct held *held = actor->state;
    held->held = held->waits = false;
    return VERDICT_ENDED;
}

static void halt(struct actor *actor)
{
    struct held *held = actor->state;
    held->waits = false;
    atomic_fetch_add(&held->halted, 1);
}

static int renew(struct actor *actor, char *why, size_t room)
{
    (void)actor, (void)why, (void)room;
    return 0;
}

static void end(struct actor *actor)
{
    struct held *held = actor->state;
    atomic_fetch_add(&held->ended, 1);
}

static enum beginning may_begin(struct actor *actor, char *why, size_t room)
{
    struct held *held = actor->state;
    if (held->fails_start)
        snprintf(why, room, "as the test wants it");
    return held->fails_start ? BEGIN_FAILED : held->refuses_start ? BEGIN_LATER : BEGIN_NOW;
}

static const struct behaviour behaviour = {
    .may_begin = may_begin, .receive = receive, .go_on = go_on, .cut = cut, .halt = halt,
    .renew = renew, .kill = kill_it, .shut_down = shut_down, .end = end,
};

static actor_id spawn(struct held *held, struct spawn options)
{
    actor_id id;
    char why[128];
    options.stem = "held";
    options.behaviour = &behaviour;
    options.state = held;
    options.mailbox = MAILBOX_OPTIONS_DEFAULT;
    assert(lifecycle_spawn(&here, &options, &id, why, sizeof why) == 0);
    return id;
}

static void send_kind(actor_id to, enum message_kind kind, type_id type, uint64_t request)
{
    struct message *message = message_new(kind, type, NULL, 0);
    message->to = to;
    message->request = request;
    router_send(&here, &message, kind == MESSAGE_REPLY ? ROUTE_RESERVED : 0);
    message_free(message);
}

static void send(actor_id to, type_id type)
{
    send_kind(to, MESSAGE_ORDINARY, type, 0);
}

/* What the orders do: the flag is what the handlers look at. */
static void take_hold(void *context, struct actor *actor)
{
    (void)context;
    struct held *held = actor->state;
    assert(actor_is_held(actor));
    held->held = true;
}

static void work(void *context, struct actor *actor)
{
    (void)context;
    struct held *held = actor->state;
    held->worked++;
}

static void let_go(void *context, struct actor *actor)
{
    (void)context;
    struct held *held = actor->state;
    held->held = false;
}

static void order(actor_id to, enum hold_step step, const struct message_receipt *receipt)
{
    struct hold_order what = { .run = step == HOLD_BEGIN  ? take_hold
                                      : step == HOLD_WORK ? work
                                                          : let_go };
    struct message *message = hold_order_new(to, step, &what, receipt);
    assert(message != NULL);
    hold_order_send(&here, message);
}

static void run(void)
{
    while (scheduler_step(&here))
        continue;
}

static actor_id begin_stage(struct held *held, struct spawn options)
{
    assert(system_open(&here, 0, 0, NULL) == 0);
    actor_id id = spawn(held, options);
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    run();
    return id;
}

static void close_stage(void)
{
    struct shutdown_account account;
    lifecycle_shut_down(&here, clock_now(&here.clock) + NS_PER_SEC, &account);
    assert(account.left == 0);
    system_close(&here);
}

/* Between two messages: mail queues, in order; work is done meanwhile. */
static void test_between_messages(void)
{
    struct held held = { 0 };
    actor_id id = begin_stage(&held, (struct spawn){ 0 });
    send(id, type_work);
    order(id, HOLD_BEGIN, NULL);
    send(id, type_work);
    run(); /* the order is a control message: it is before both */
    assert(held.handled == 0 && held.held);
    order(id, HOLD_WORK, NULL);
    order(id, HOLD_BEGIN, NULL); /* by another, too */
    order(id, HOLD_END, NULL);
    run();
    assert(held.worked == 1 && held.handled == 0);
    order(id, HOLD_END, NULL);
    run();
    assert(held.handled == 2);
    order(id, HOLD_END, NULL); /* nobody holds it */
    run();
    close_stage();
    assert(held.shut_down == 1);
}

/* In a wait: its answer waits, and so does its deadline, which runs on. */
static void test_in_a_wait(void)
{
    struct held held = { 0 };
    actor_id id = begin_stage(&held, (struct spawn){ 0 });
    send(id, type_wait);
    send(id, type_work);
    run();
    assert(held.waits && held.handled == 1);
    order(id, HOLD_BEGIN, NULL);
    send_kind(id, MESSAGE_REPLY, type_work, held.number);
    run();
    assert(held.answered == 0);
    order(id, HOLD_WORK, NULL);
    order(id, HOLD_END, NULL);
    run();
    assert(held.answered == 1 && held.handled == 2 && held.worked == 1);

    send(id, type_wait);
    run();
    order(id, HOLD_BEGIN, NULL);
    run();
    timers_advance(here.timers, clock_now(&here.clock) + 2 * NS_PER_SEC);
    run();
    assert(held.timed_out == 0);
    order(id, HOLD_END, NULL);
    run();
    assert(held.timed_out == 1 && !held.waits);
    close_stage();
}

/* A handler that was preempted goes on before its actor is held. */
static void test_preempted(void)
{
    struct held held = { 0 };
    actor_id id = begin_stage(&held, (struct spawn){ 0 });
    held.preempts = true;
    send(id, type_work);
    assert(scheduler_step(&here) && held.handled == 1);
    order(id, HOLD_BEGIN, NULL);
    run();
    assert(held.went_on == 1 && held.held);
    order(id, HOLD_END, NULL);
    close_stage();
}

/* A stop waits; a kill does not, in whatever it was held. */
static void test_stop_and_kill(void)
{
    struct held held = { 0 }, waiting = { 0 };
    actor_id id = begin_stage(&held, (struct spawn){ 0 });
    actor_id other = spawn(&waiting, (struct spawn){ 0 });
    assert(lifecycle_start(&here, other, NULL, 0) == 0);
    send(other, type_wait);
    run();
    order(id, HOLD_BEGIN, NULL);
    order(other, HOLD_BEGIN, NULL);
    lifecycle_stop(&here, id, true);
    run();
    assert(held.shut_down == 0);
    incarnation_kill(&here, other);
    run();
    assert(waiting.ended == 1 && waiting.shut_down == 0);
    order(other, HOLD_END, NULL); /* nobody there */
    order(id, HOLD_END, NULL);
    run();
    assert(held.shut_down == 1 && held.ended == 1);
    close_stage();
}

/* One that may not begin waits with its START, and is asked again. */
static void test_start(void)
{
    struct held held = { .refuses_start = true }, killed = { .refuses_start = true };
    struct held failing = { .fails_start = true };
    actor_id id = begin_stage(&held, (struct spawn){ 0 });
    send(id, type_work);
    run();
    assert(held.begun == 0 && held.handled == 0);
    order(id, HOLD_END, NULL);
    run();
    assert(held.begun == 0); /* it still may not */
    held.refuses_start = false;
    order(id, HOLD_BEGIN, NULL); /* somebody else comes in between */
    order(id, HOLD_END, NULL);
    run();
    assert(held.begun == 0);
    order(id, HOLD_END, NULL);
    run();
    assert(held.begun == 1 && held.handled == 1);

    id = spawn(&killed, (struct spawn){ 0 });
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    run();
    incarnation_kill(&here, id);
    run();
    assert(killed.begun == 0 && killed.ended == 1);

    id = spawn(&failing, (struct spawn){ 0 });
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    run();
    assert(failing.begun == 0 && failing.ended == 1);
    close_stage();
}

/* A halted actor is held as well: its restart waits, and a kill is not for it. */
static void test_halted(void)
{
    struct held held = { 0 };
    struct restart_options restart = RESTART_OPTIONS_DEFAULT;
    actor_id id = begin_stage(&held, (struct spawn){ .on_failure = ON_FAILURE_RESTART,
                                                     .restart = restart });
    struct actor *actor = registry_find(&here.registry, id);
    char text[200];
    assert(incarnation_failed(actor, false, text, sizeof text) == OUTCOME_ENDS);
    actor->phase = PHASE_DRAINING; /* as a handler that failed leaves it */
    send(id, type_work);
    run();
    assert(held.halted == 1 && held.begun == 1);
    order(id, HOLD_BEGIN, NULL);
    run();
    held.held = false; /* it is what its next incarnation would look at */
    timers_advance(here.timers, clock_now(&here.clock) + 10 * NS_PER_SEC);
    incarnation_kill(&here, id);
    run();
    assert(held.begun == 1 && held.handled == 0);
    order(id, HOLD_WORK, NULL);
    order(id, HOLD_END, NULL);
    run();
    assert(held.begun == 2 && held.handled == 1 && held.worked == 1);
    close_stage();
}

static void count_over(void *context, uint64_t number, size_t weight, bool handled)
{
    (void)number, (void)weight, (void)handled;
    atomic_fetch_add((atomic_uint *)context, 1);
}

/* Whoever ordered is told when it is over, also of an actor that is gone. */
static void test_receipts(void)
{
    struct held held = { 0 };
    atomic_uint over = 0;
    struct message_receipt receipt = { .over = count_over, .context = &over };
    actor_id id = begin_stage(&held, (struct spawn){ 0 });
    order(id, HOLD_BEGIN, &receipt);
    assert(atomic_load(&over) == 0);
    run();
    assert(atomic_load(&over) == 1);
    order(id, HOLD_WORK, &receipt);
    incarnation_kill(&here, id);
    order(id, HOLD_END, &receipt);
    run();
    assert(atomic_load(&over) == 3 && held.worked == 1 && held.ended == 1);
    order(id, HOLD_END, &receipt);
    assert(atomic_load(&over) == 4);
    close_stage();
}

/* ---- On threads ------------------------------------------------------------ */

enum { ACTORS = 8, SENDERS = 3 };
static actor_id ids[ACTORS];
static struct held all[ACTORS];
static atomic_bool done;
static unsigned rounds;

static void nap(void)
{
    atomic_uint nothing = 0;
    park_wait(&nothing, 0, clock_now(&here.clock) + NS_PER_MS / 10);
}

static void *send_all(void *argument)
{
    uint64_t sender = (uint64_t)(uintptr_t)argument;
    uint64_t sent[ACTORS] = { 0 };
    while (!atomic_load(&done)) {
        for (unsigned i = 0; i < ACTORS; i++) {
            struct message *message = message_new(MESSAGE_ORDINARY, type_work, NULL, 0);
            message->to = ids[i];
            message->from = sender;
            message->request = ++sent[i];
            while (router_send(&here, &message, 0) == ROUTER_FULL && !atomic_load(&done))
                nap();
            message_free(message); /* NULL, but for the last */
        }
    }
    return NULL;
}

static void await_count(atomic_uint *count, unsigned wanted)
{
    while (atomic_load(count) < wanted)
        nap();
}

/* All are held again and again while mail pours in; none handles anything then,
 * and each gets all of it, in order. The last of them is killed in a hold. */
static void test_load(void)
{
    struct thread senders[SENDERS];
    atomic_uint over;
    assert(system_open(&here, 3, 0, NULL) == 0 && system_start(&here) == 0);
    for (unsigned i = 0; i < ACTORS; i++) {
        ids[i] = spawn(&all[i], (struct spawn){ .thread = i == 0 ? "own" : NULL });
        assert(lifecycle_start(&here, ids[i], NULL, 0) == 0);
    }
    for (unsigned i = 0; i < SENDERS; i++)
        assert(thread_start(&senders[i], "sender", 0, send_all, (void *)(uintptr_t)(i + 1)) == 0);
    for (unsigned round = 0; round < rounds; round++) {
        struct message_receipt receipt = { .over = count_over, .context = &over };
        for (enum hold_step step = HOLD_BEGIN; step <= HOLD_END; step++) {
            atomic_store(&over, 0);
            for (unsigned i = 0; i < ACTORS; i++)
                order(ids[i], step, &receipt);
            await_count(&over, ACTORS);
            if (step == HOLD_WORK && round + 1 == rounds) {
                incarnation_kill(&here, ids[ACTORS - 1]);
                await_count(&all[ACTORS - 1].ended, 1);
            }
        }
    }
    atomic_store(&done, true);
    for (unsigned i = 0; i < SENDERS; i++)
        thread_join(&senders[i]);
    struct shutdown_account account;
    lifecycle_shut_down(&here, clock_now(&here.clock) + 30 * NS_PER_SEC, &account);
    assert(account.left == 0);
    for (unsigned i = 0; i < ACTORS; i++)
        assert(all[i].worked == rounds && all[i].handled > 0);
    watchdog_stop(&here);
    assert(scheduler_stop(&here, clock_now(&here.clock) + 30 * NS_PER_SEC));
    system_close(&here);
}

int main(void)
{
    type_work = type_intern(WORK, strlen(WORK));
    type_wait = type_intern(WAIT, strlen(WAIT));
#ifdef TROUPE_SANITIZED
    rounds = 300;
#else
    rounds = 1000;
#endif
    test_between_messages();
    test_in_a_wait();
    test_preempted();
    test_stop_and_kill();
    test_start();
    test_halted();
    test_receipts();
    test_load();
    return 0;
}
