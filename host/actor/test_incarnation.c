/* test_incarnation.c -- halting and starting again: on the stage step by step, and
 * in races of senders, failures, stops and kills on real threads. */
#include "actor/system.h"
#include "actor/watchdog.h"
#include "base/memory.h"
#include "message/pack.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WORK "Work" /* with a number, which grows for each sender */
#define FAIL "Fail"

static struct system here;
static type_id type_work, type_fail;

enum { SENDERS = 3, CHILDREN = 6 };

/* An actor in C with a state that must be made and freed once an incarnation. */
struct worker_actor {
    bool     has_state;
    uint32_t seen[SENDERS + 1];    /* the last number of each sender: over all incarnations */
    uint32_t of_this_life;         /* messages handled by this incarnation */
    atomic_uint handled, starts, halts, ends;
    uint32_t restarts;             /* at the last start */
    bool     fails_at_start, config_seen;
};

static atomic_int states; /* alive */

static void make_state(struct worker_actor *worker)
{
    assert(!worker->has_state);
    worker->has_state = true;
    worker->of_this_life = 0;
    atomic_fetch_add(&states, 1);
}

static void drop_state(struct worker_actor *worker)
{
    if (worker->has_state)
        atomic_fetch_sub(&states, 1);
    worker->has_state = false;
}

static enum verdict fail(struct actor *actor, bool at_start)
{
    char text[300];
    enum outcome outcome = incarnation_failed(actor, at_start, text, sizeof text);
    if (outcome == OUTCOME_GOES_ON)
        return VERDICT_DONE;
    actor_note_end(actor, "error: as asked");
    actor->ended = outcome == OUTCOME_NOT_BEGUN ? ENDED_AT_START : ENDED_BY_ERROR;
    return VERDICT_ENDED;
}

static enum verdict receive(struct actor *actor, struct message *message)
{
    struct worker_actor *worker = actor->state;
    enum verdict verdict = VERDICT_DONE;
    assert(worker->has_state);
    if (message->kind == MESSAGE_START) {
        assert(worker->of_this_life == 0);
        worker->restarts = actor->restarts;
        worker->config_seen = message->size == 6 && memcmp(message->payload, "config", 6) == 0;
        atomic_fetch_add(&worker->starts, 1);
        if (worker->fails_at_start)
            verdict = fail(actor, true);
        else
            incarnation_started(actor);
    } else if (message->type == type_fail) {
        verdict = fail(actor, false);
    } else if (message->kind == MESSAGE_ORDINARY && message->type == type_work) {
        uint32_t *seen = &worker->seen[message->size];
        assert((uint32_t)message->request > *seen); /* in the order sent, whatever fails meanwhile */
        *seen = (uint32_t)message->request;
        worker->of_this_life++;
        atomic_fetch_add(&worker->handled, 1);
    }
    if (message->kind == MESSAGE_TIMER) {
        const struct message *content;
        uint64_t missed;
        bool periodic;
        if (timer_deliver(message, &content, &missed, &periodic))
            worker->of_this_life += 1000;
    }
    message_free(message);
    return verdict;
}

static enum verdict ended(struct actor *actor)
{
    (void)actor;
    return VERDICT_ENDED;
}

static void halt(struct actor *actor)
{
    struct worker_actor *worker = actor->state;
    drop_state(worker);
    atomic_fetch_add(&worker->halts, 1);
}

static int renew(struct actor *actor, char *why, size_t room)
{
    (void)why, (void)room;
    make_state(actor->state);
    return 0;
}

static void end(struct actor *actor)
{
    struct worker_actor *worker = actor->state;
    drop_state(worker);
    atomic_fetch_add(&worker->ends, 1);
}

static const struct behaviour behaviour = {
    .receive = receive, .go_on = ended, .cut = ended, .shut_down = ended,
    .halt = halt, .renew = renew, .kill = ended, .end = end,
};

static actor_id spawn(struct worker_actor *worker, const char *name, struct spawn options)
{
    actor_id id;
    char why[128];
    options.name = name;
    options.stem = "worker";
    options.behaviour = &behaviour;
    options.state = worker;
    options.mailbox = MAILBOX_OPTIONS_DEFAULT;
    make_state(worker);
    assert(lifecycle_spawn(&here, &options, &id, why, sizeof why) == 0);
    return id;
}

static bool send(actor_id to, type_id type, unsigned sender, uint32_t number)
{
    char mark[SENDERS + 1] = { 0 };
    struct message *message = message_new(MESSAGE_ORDINARY, type, mark, sender);
    assert(message != NULL);
    message->to = to;
    message->request = number;
    bool sent = router_send(&here, &message, 0) == ROUTER_OK;
    message_free(message);
    return sent;
}

static void run(void)
{
    while (scheduler_step(&here))
        continue;
}

static void advance(uint64_t ns)
{
    uint64_t until_ns = clock_now(&here.clock) + ns, next_ns;
    run();
    while ((next_ns = timers_next(here.timers)) <= until_ns) {
        timers_advance(here.timers, next_ns);
        run();
    }
    timers_advance(here.timers, until_ns);
    run();
}

static void close_stage(void)
{
    struct shutdown_account account;
    lifecycle_shut_down(&here, clock_now(&here.clock) + 5 * NS_PER_SEC, &account);
    assert(account.left == 0);
    assert(timers_count(here.timers) == 0);
    system_close(&here);
    assert(atomic_load(&states) == 0);
}

static struct spawn restarting(void)
{
    return (struct spawn){ .on_failure = ON_FAILURE_RESTART, .restart = RESTART_OPTIONS_DEFAULT };
}

/* It waits, begins again with its config and a fresh state, and handles in order
 * what has come meanwhile. The fourth failure in ten seconds ends the host. */
static void test_restart(void)
{
    struct worker_actor worker = { 0 };
    assert(system_open(&here, 0, 0, NULL) == 0);
    actor_id id = spawn(&worker, "w", restarting());
    assert(lifecycle_start(&here, id, "config", 6) == 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert(send(id, type_work, 1, 10 * i + 1) && send(id, type_fail, 0, 0));
        assert(send(id, type_work, 1, 10 * i + 2));
        run();
        assert(worker.starts == i + 1 && worker.halts == i + 1 && !worker.has_state);
        assert(worker.seen[1] == 10 * i + 1);
        assert(registry_find_name(&here.registry, "w", 1) == id);
        advance(NS_PER_SEC);
        assert(worker.starts == i + 2 && worker.seen[1] == 10 * i + 2);
        assert(worker.restarts == i + 1 && worker.config_seen && worker.of_this_life == 1);
    }
    assert(send(id, type_fail, 0, 0));
    run();
    assert(worker.ends == 1 && here.stop_asked && here.exit_code == 1);
    assert(registry_find_name(&here.registry, "w", 1) == 0);
    close_stage();
}

/* What the last incarnation had armed comes to nothing, even what was queued. */
static void test_timers(void)
{
    struct worker_actor worker = { 0 };
    assert(system_open(&here, 0, 0, NULL) == 0);
    actor_id id = spawn(&worker, "w", restarting());
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    run();
    assert(send(id, type_fail, 0, 0)); /* handled after the first timer has fired */
    for (unsigned i = 0; i < 3; i++) {
        struct timer *timer;
        struct message *message = message_new(MESSAGE_ORDINARY, type_work, NULL, 0);
        message->to = id;
        assert(timer_start(here.timers, &message, clock_now(&here.clock) + i * NS_PER_SEC,
                           i == 2 ? NS_PER_SEC : 0, id, &timer) == 0);
        timer_unref(timer);
    }
    timers_advance(here.timers, clock_now(&here.clock));
    run();
    assert(timers_count(here.timers) == 0);
    advance(10 * NS_PER_SEC);
    assert(worker.starts == 2 && worker.of_this_life == 0);
    close_stage();
}

static void kill_life(actor_id id, uint32_t incarnation)
{
    struct message *kill = message_new(MESSAGE_STOP, TYPE_SHUTDOWN, NULL, 0);
    kill->to = id;
    kill->reason = STOP_KILL;
    kill->request = incarnation;
    incarnation_condemn(&here, kill);
    assert(router_send(&here, &kill, ROUTE_RESERVED) == ROUTER_OK);
}

/* A kill that comes too late does not hit the next incarnation. */
static void test_late_kill(void)
{
    struct worker_actor worker = { 0 };
    assert(system_open(&here, 0, 0, NULL) == 0);
    actor_id id = spawn(&worker, "w", restarting());
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    assert(send(id, type_fail, 0, 0));
    run();
    kill_life(id, 1); /* halted */
    advance(NS_PER_SEC);
    assert(worker.starts == 2);
    kill_life(id, 1);
    assert(!incarnation_is_condemned(registry_find(&here.registry, id)));
    assert(send(id, type_work, 1, 1));
    run();
    assert(worker.seen[1] == 1 && worker.ends == 0);
    kill_life(id, 2);
    assert(incarnation_is_condemned(registry_find(&here.registry, id)));
    run();
    assert(worker.ends == 1); /* a kill is no failure that it restarts of */
    close_stage();
}

static void note_missed(void *context, struct actor *actor)
{
    assert(actor->behaviour != NULL);
    ++*(unsigned *)context;
}

static void note_nothing(void *context, struct actor *actor)
{
    (void)context, (void)actor;
}

/* A kill that finds the actor halted says so, and is not kept for the next incarnation. */
static void test_kill_while_halted(void)
{
    struct worker_actor worker = { 0 };
    unsigned missed = 0;
    struct incarnation_hook hook = { .over = note_nothing, .missed = note_missed,
                                     .context = &missed };
    assert(system_open(&here, 0, 0, NULL) == 0);
    incarnation_listen(&here, &hook);
    actor_id id = spawn(&worker, "w", restarting());
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    assert(send(id, type_fail, 0, 0));
    run();
    assert(worker.starts == 1 && missed == 0);
    incarnation_kill(&here, id);
    run();
    assert(missed == 1);
    advance(NS_PER_SEC);
    assert(worker.starts == 2);
    assert(!incarnation_is_condemned(registry_find(&here.registry, id)));
    kill_life(id, 1); /* of the one before */
    run();
    assert(missed == 2 && worker.ends == 0);
    close_stage();
}

/* A stop ends a halted actor at once, and its mail goes to the dead letters. */
static void test_stop_while_halted(void)
{
    struct worker_actor worker = { 0 };
    assert(system_open(&here, 0, 0, NULL) == 0);
    actor_id id = spawn(&worker, "w", restarting());
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    assert(send(id, type_fail, 0, 0) && send(id, type_work, 1, 1));
    run();
    assert(worker.halts == 1 && worker.ends == 0);
    assert(lifecycle_stop(&here, id, false));
    run();
    assert(worker.ends == 1 && dead_letters_total(&here.letters) == 1);
    assert(!here.stop_asked && !here.last_error);
    close_stage();
}

/* A first start that fails ends the actor; one of a restart is a failure as any. */
static void test_failing_starts(void)
{
    struct worker_actor worker = { .fails_at_start = true };
    assert(system_open(&here, 0, 0, NULL) == 0);
    actor_id id = spawn(&worker, "w", restarting());
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    run();
    assert(worker.ends == 1 && worker.starts == 1 && !here.stop_asked);

    struct worker_actor later = { 0 };
    id = spawn(&later, "later", restarting());
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    run();
    later.fails_at_start = true;
    assert(send(id, type_fail, 0, 0));
    advance(60 * NS_PER_SEC);
    assert(later.starts == 4 && later.ends == 1 && here.stop_asked);
    close_stage();
}

/* A failure climbs over those that do not restart, to the one that does. */
static void test_escalation(void)
{
    struct worker_actor top = { 0 }, middle = { 0 }, bottom = { 0 }, other = { 0 };
    assert(system_open(&here, 0, 0, NULL) == 0);
    actor_id first = spawn(&top, "top", restarting());
    assert(lifecycle_start(&here, first, NULL, 0) == 0);
    actor_id second = spawn(&middle, "middle", (struct spawn){ .parent = first });
    assert(lifecycle_start(&here, second, NULL, 0) == 0);
    actor_id third = spawn(&bottom, "bottom", (struct spawn){ .parent = second,
                                                             .on_failure = ON_FAILURE_ESCALATE });
    assert(lifecycle_start(&here, third, NULL, 0) == 0);
    actor_id fourth = spawn(&other, "other", (struct spawn){ .parent = first });
    assert(lifecycle_start(&here, fourth, NULL, 0) == 0);
    run();
    assert(send(third, type_fail, 0, 0));
    run();
    assert(bottom.ends == 1 && middle.ends == 1 && other.ends == 1 && top.ends == 0);
    assert(top.halts == 1);
    advance(NS_PER_SEC);
    assert(top.starts == 2 && !here.stop_asked);
    close_stage();
}

/* ---- Under a supervisor, on threads --------------------------------------- */

struct supervisor {
    actor_id children[CHILDREN];
    uint32_t incarnation[CHILDREN]; /* of the child as the notices have it: starts so far */
    atomic_uint started, halted, ended;
    atomic_bool closing;            /* what is halted now is dropped */
};

static unsigned child_of(const struct supervisor *supervisor, actor_id id)
{
    unsigned i = 0;
    while (i < CHILDREN && supervisor->children[i] != id)
        i++;
    assert(i < CHILDREN);
    return i;
}

static enum verdict supervise(struct actor *actor, struct message *message)
{
    struct supervisor *supervisor = actor->state;
    if (message->kind == MESSAGE_NOTICE) {
        unsigned child = child_of(supervisor, message->from);
        if (message->type == TYPE_CHILD_STARTED) {
            atomic_fetch_add(&supervisor->started, 1);
        } else {
            assert(message->type == TYPE_CHILD_HALTED);
            atomic_fetch_add(&supervisor->halted, 1);
            if (atomic_load(&supervisor->closing))
                incarnation_order_drop(actor->system, supervisor->children[child]);
            else
                incarnation_order_start(actor->system, supervisor->children[child]);
        }
    }
    message_free(message);
    return VERDICT_DONE;
}

static void supervisor_end(struct actor *actor)
{
    struct supervisor *supervisor = actor->state;
    atomic_fetch_add(&supervisor->ended, 1);
}

static const struct behaviour supervisor_behaviour = {
    .receive = supervise, .go_on = ended, .cut = ended, .shut_down = ended, .end = supervisor_end,
};

struct sender {
    struct thread thread;
    unsigned number; /* from 1 */
    unsigned rounds;
    struct supervisor *supervisor;
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Sends work in order, and now and then makes trouble. */
static void *send_main(void *argument)
{
    struct sender *sender = argument;
    uint64_t random = sender->number;
    for (uint32_t number = 1; number <= sender->rounds; number++) {
        for (unsigned i = 0; i < CHILDREN; i++) {
            actor_id child = sender->supervisor->children[i];
            send(child, type_work, sender->number, number);
            switch (next_random(&random) % 64) {
            case 0:
            case 1:
                send(child, type_fail, 0, 0);
                break;
            case 2:
                lifecycle_stop(&here, child, false);
                break;
            case 3:
                incarnation_order_halt(&here, child, clock_now(&here.clock));
                break;
            case 4:
                incarnation_order_halt(&here, child, clock_now(&here.clock) + NS_PER_SEC);
                break;
            case 5:
                incarnation_kill(&here, child);
                break;
            case 6:
                incarnation_order_start(&here, child);
                break;
            }
        }
    }
    return NULL;
}

static bool await(atomic_uint *count, unsigned wanted)
{
    atomic_uint nothing_to_wake = 0;
    for (int naps = 0; atomic_load(count) < wanted; naps++) {
        if (naps > 60000)
            return false;
        park_wait(&nothing_to_wake, 0, clock_now(&here.clock) + NS_PER_MS);
    }
    return true;
}

/* Whatever happens at the same time: the order holds, each incarnation has one
 * state, and at last every child is dropped. */
static void test_races(unsigned rounds)
{
    struct supervisor supervisor = { 0 };
    struct worker_actor workers[CHILDREN] = { 0 };
    struct sender senders[SENDERS];
    char why[128], name[16];
    actor_id id;

    assert(system_open(&here, 3, 0, NULL) == 0);
    assert(system_start(&here) == 0);
    struct spawn options = { .name = "supervisor", .stem = "s", .behaviour = &supervisor_behaviour,
                             .state = &supervisor, .mailbox = MAILBOX_OPTIONS_DEFAULT };
    assert(lifecycle_spawn(&here, &options, &id, why, sizeof why) == 0);
    for (unsigned i = 0; i < CHILDREN; i++) {
        snprintf(name, sizeof name, "child%u", i);
        supervisor.children[i] =
            spawn(&workers[i], name, (struct spawn){ .parent = id, .supervised = true,
                                                     .on_failure = ON_FAILURE_STOP,
                                                     .config = "config", .config_size = 6 });
        assert(incarnation_is_supervised(&here, supervisor.children[i], id));
    }
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    for (unsigned i = 0; i < CHILDREN; i++)
        assert(incarnation_order_start(&here, supervisor.children[i]) == 0);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){ .number = i + 1, .rounds = rounds, .supervisor = &supervisor };
        assert(thread_start(&senders[i].thread, "sender", 0, send_main, &senders[i]) == 0);
    }
    for (unsigned i = 0; i < SENDERS; i++)
        thread_join(&senders[i].thread);

    atomic_store(&supervisor.closing, true);
    for (unsigned i = 0; i < CHILDREN; i++)
        incarnation_order_halt(&here, supervisor.children[i], clock_now(&here.clock) + NS_PER_SEC);
    for (unsigned i = 0; i < CHILDREN; i++) {
        assert(await(&workers[i].ends, 1));
        assert(workers[i].config_seen);
        assert(workers[i].starts <= workers[i].halts);
        assert(incarnation_order_start(&here, supervisor.children[i]) == -ESRCH);
    }
    assert(atomic_load(&states) == 0);
    assert(lifecycle_stop(&here, id, false));
    assert(await(&supervisor.ended, 1));
    struct shutdown_account account;
    lifecycle_shut_down(&here, clock_now(&here.clock) + 30 * NS_PER_SEC, &account);
    assert(account.left == 0);
    watchdog_stop(&here);
    assert(scheduler_stop(&here, clock_now(&here.clock) + 30 * NS_PER_SEC));
    system_close(&here);
}

/* The end of the supervisor is the end of all, whatever they are in. */
static void test_supervisor_ends(void)
{
    struct supervisor supervisor = { 0 };
    struct worker_actor workers[3] = { 0 };
    char why[128];
    actor_id id, children[3];
    assert(system_open(&here, 0, 0, NULL) == 0);
    struct spawn options = { .name = "supervisor", .stem = "s", .behaviour = &supervisor_behaviour,
                             .state = &supervisor, .mailbox = MAILBOX_OPTIONS_DEFAULT };
    assert(lifecycle_spawn(&here, &options, &id, why, sizeof why) == 0);
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    atomic_store(&supervisor.closing, true);
    for (unsigned i = 0; i < 3; i++) {
        children[i] = spawn(&workers[i], NULL, (struct spawn){ .parent = id, .supervised = true });
        supervisor.children[i] = children[i];
    }
    assert(incarnation_order_start(&here, children[1]) == 0); /* 0 is never started */
    assert(incarnation_order_start(&here, children[2]) == 0);
    run();
    assert(supervisor.started == 2);
    lifecycle_stop(&here, id, false);
    run();
    for (unsigned i = 0; i < 3; i++)
        assert(workers[i].ends == 1);
    assert(supervisor.halted == 0 && workers[0].starts == 0);
    close_stage();
}

int main(void)
{
    type_work = type_intern(WORK, strlen(WORK));
    type_fail = type_intern(FAIL, strlen(FAIL));
    test_restart();
    test_timers();
    test_late_kill();
    test_kill_while_halted();
    test_stop_while_halted();
    test_failing_starts();
    test_escalation();
    test_supervisor_ends();
    test_races(30000);
    return 0;
}
