/* test_tap.c -- the promises of tap.h: one line a message with what became of it, for
 * those who want it and as many as they want; and nothing once they have gone. */
#include "actor/tap.h"
#include "actor/test_system.h"
#include "base/memory.h"
#include "message/pack.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static type_id ping, pong, work;

/* What a tracer was shown. */
struct shown {
    unsigned count;
    struct line {
        uint64_t number;
        char     from[TAP_NAME + 1], to[TAP_NAME + 1], detail[256];
        type_id  type, reply;
        enum tap_kind kind;
        enum tap_outcome outcome;
        uint64_t waited_ns, took_ns;
        uint8_t  payload[TAP_PAYLOAD];
        size_t   shown, size;
    } lines[64]; /* the first ones */
};

static void copy(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from != NULL ? from : "-");
}

static void keep(void *context, const struct tap_line *line)
{
    struct shown *shown = context;
    if (shown->count < 64) {
        struct line *kept = &shown->lines[shown->count];
        *kept = (struct line){ .number = line->number, .type = line->type, .reply = line->reply,
                               .kind = line->kind, .outcome = line->outcome,
                               .waited_ns = line->waited_ns, .took_ns = line->took_ns,
                               .shown = line->shown, .size = line->size };
        copy(kept->from, sizeof kept->from, line->from);
        copy(kept->to, sizeof kept->to, line->to);
        copy(kept->detail, sizeof kept->detail, line->detail);
        if (line->shown > 0)
            memcpy(kept->payload, line->payload, line->shown);
    }
    shown->count++;
}

/* ---- Actors ----------------------------------------------------------------- */

static enum verdict receive(struct actor *actor, struct message *message)
{
    actor_id friend = (actor_id)(uintptr_t)actor->state;
    if (message->kind == MESSAGE_ASK && message->type == ping) {
        struct message *answer = message_new(MESSAGE_REPLY, pong, NULL, 0);
        router_reply(&here, message->from, message->request, &answer, actor_self(actor));
    } else if (message->kind == MESSAGE_ASK) {
        message->kind = MESSAGE_ORDINARY;
        router_refuse(&here, &message, FAILURE_REJECTED, "Unknown message type: Work", NULL);
    } else if (message->kind == MESSAGE_ORDINARY && message->type == ping && friend != 0) {
        struct message *back = message_new(MESSAGE_ORDINARY, work, NULL, 0);
        back->to = friend;
        back->from = actor_self(actor);
        router_send(&here, &back, 0);
        message_free(back);
    }
    message_free(message);
    return VERDICT_DONE;
}

static const struct behaviour behaviour = {
    .receive = receive, .go_on = nothing, .cut = nothing, .shut_down = nothing, .end = ends,
};

static actor_id spawn(const char *name, uint32_t limit, actor_id friend)
{
    actor_id id;
    char why[128];
    struct spawn spawn = { .name = name, .behaviour = &behaviour, .state = (void *)(uintptr_t)friend,
                           .mailbox = { .limit = limit, .bytes = 1 << 20, .overflow = OVERFLOW_FAIL } };
    assert(lifecycle_spawn(&here, &spawn, &id, why, sizeof why) == 0);
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    return id;
}

static enum router_answer send(enum message_kind kind, type_id type, actor_id from, actor_id to,
                               const void *payload, size_t size)
{
    struct message *message = message_new(kind, type, payload, size);
    message->to = to;
    message->from = from;
    message->request = 7;
    enum router_answer answer = router_send(&here, &message, 0);
    message_free(message);
    return answer;
}

static struct tracer *trace(struct shown *shown, const struct tap_filter *filter)
{
    struct tracer *tracer;
    memset(shown, 0, sizeof *shown);
    assert(tracer_open(&tracer, &here, filter, keep, shown) == 0);
    return tracer;
}

/* ---- Promises ----------------------------------------------------------------- */

/* A message that is handled is one line: who, to whom, what, and how long. */
static void test_handled(void)
{
    struct shown shown;
    actor_id a = spawn("alice", 8, 0), b = spawn("bob", 8, a);
    run();
    struct tracer *tracer = trace(&shown, &(struct tap_filter){ .type = "Ping" });
    const uint8_t payload[] = { 1, 2, 3 };
    assert(send(MESSAGE_ORDINARY, ping, a, b, payload, sizeof payload) == ROUTER_OK);
    assert(send(MESSAGE_ORDINARY, ping, 0, a, NULL, 0) == ROUTER_OK);
    run();
    tap_collect(true);
    assert(shown.count == 2);
    struct line *line = &shown.lines[0];
    if (strcmp(line->to, "bob") != 0) /* who runs first is nobody's promise */
        line = &shown.lines[1];
    assert(strcmp(line->from, "alice") == 0 && strcmp(line->to, "bob") == 0);
    assert(line->type == ping && line->kind == TAP_SEND && line->outcome == TAP_HANDLED);
    assert(line->size == 3 && line->shown == 3 && memcmp(line->payload, payload, 3) == 0);
    assert(line->waited_ns != TAP_UNKNOWN && line->took_ns != TAP_UNKNOWN);
    struct line *other = line == &shown.lines[0] ? &shown.lines[1] : &shown.lines[0];
    assert(strcmp(other->from, "-") == 0 && other->number != line->number);
    tracer_close(tracer);

    send(MESSAGE_ORDINARY, ping, a, b, NULL, 0); /* nobody looks any more */
    run();
    tap_collect(true);
    assert(shown.count == 2 && !tap_is_on());
    lifecycle_stop(&here, a, false);
    lifecycle_stop(&here, b, false);
    run();
}

/* A question says with what it was answered; what nobody handles, and what finds no
 * room or nobody, says so. */
static void test_outcomes(void)
{
    struct shown shown;
    actor_id a = spawn("alice", 8, 0), b = spawn("bob", 1, 0);
    run();
    struct tracer *tracer = trace(&shown, &(struct tap_filter){ .to = "b*" });
    struct shown replies;
    struct tracer *other = trace(&replies, &(struct tap_filter){ .kinds = 1u << TAP_REPLY });
    assert(send(MESSAGE_ASK, ping, a, b, NULL, 0) == ROUTER_OK);
    run();
    assert(send(MESSAGE_ASK, work, a, b, NULL, 0) == ROUTER_OK);
    run();
    assert(send(MESSAGE_ORDINARY, ping, a, b, NULL, 0) == ROUTER_OK);
    assert(send(MESSAGE_ORDINARY, ping, a, b, NULL, 0) == ROUTER_FULL);
    lifecycle_stop(&here, b, false);
    run();
    tap_collect(true);
    assert(replies.count == 1 && strcmp(replies.lines[0].from, "bob") == 0);
    assert(strcmp(replies.lines[0].to, "alice") == 0 && replies.lines[0].type == pong);

    unsigned handled = 0, unhandled = 0, refused = 0, dead = 0, stopped = 0;
    for (unsigned i = 0; i < shown.count; i++) {
        const struct line *line = &shown.lines[i];
        assert(strcmp(line->to, "bob") == 0);
        if (line->kind == TAP_STOP)
            stopped++;
        else if (line->outcome == TAP_HANDLED) {
            handled++;
            assert(line->kind == TAP_ASK && line->reply == pong);
        } else if (line->outcome == TAP_UNHANDLED) {
            unhandled++;
            assert(line->kind == TAP_ASK && strcmp(line->detail, "Unknown message type: Work") == 0);
        } else if (line->outcome == TAP_REFUSED) {
            refused++;
            assert(strcmp(line->detail, "the mailbox is full") == 0);
        } else if (line->outcome == TAP_DEAD) {
            dead++;
            assert(strcmp(line->detail, "the actor has ended") == 0);
        }
    }
    assert(handled == 1 && unhandled == 1 && refused == 1 && dead == 1 && stopped == 1);
    tracer_close(tracer);
    tracer_close(other);
    lifecycle_stop(&here, a, false);
    run();
}

static unsigned count_sent(const struct tap_filter *filter, actor_id from, actor_id to)
{
    struct shown shown;
    struct tracer *tracer = trace(&shown, filter);
    send(MESSAGE_ORDINARY, ping, from, to, NULL, 0);
    send(MESSAGE_ORDINARY, ping, from, to, NULL, 0); /* the second time the name is known */
    run();
    tap_collect(true);
    tracer_close(tracer);
    return shown.count;
}

/* Patterns, types and kinds choose; types as handlers are found. */
static void test_filters(void)
{
    actor_id a = spawn("worker-12", 8, 0), b = spawn("bob", 8, 0);
    run();
    assert(count_sent(&(struct tap_filter){ .from = "worker-*" }, a, b) == 2);
    assert(count_sent(&(struct tap_filter){ .from = "w*-?2" }, a, b) == 2);
    assert(count_sent(&(struct tap_filter){ .from = "worker" }, a, b) == 0);
    assert(count_sent(&(struct tap_filter){ .from = "*2?" }, a, b) == 0);
    assert(count_sent(&(struct tap_filter){ .to = "worker-*" }, a, b) == 0);
    assert(count_sent(&(struct tap_filter){ .actor = "worker-*" }, a, b) == 2);
    assert(count_sent(&(struct tap_filter){ .actor = "b?b" }, a, b) == 2);
    assert(count_sent(&(struct tap_filter){ .actor = "nobody" }, a, b) == 0);
    assert(count_sent(&(struct tap_filter){ .from = "worker-*" }, 0, b) == 0);
    assert(count_sent(&(struct tap_filter){ .type = "pi_ng" }, a, b) == 2);
    assert(count_sent(&(struct tap_filter){ .type = "Pong" }, a, b) == 0);
    assert(count_sent(&(struct tap_filter){ .kinds = 1u << TAP_ASK }, a, b) == 0);
    assert(count_sent(&(struct tap_filter){ .kinds = 1u << TAP_ASK | 1u << TAP_SEND }, a, b) == 2);

    struct tracer *tracer;
    char long_name[TAP_NAME + 2];
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    assert(tracer_open(&tracer, &here, &(struct tap_filter){ .to = long_name }, keep, NULL) == -EINVAL);
    assert(tracer_open(&tracer, &here, &(struct tap_filter){ .type = "" }, keep, NULL) == -EINVAL);
    assert(!tap_is_on());
    lifecycle_stop(&here, a, false);
    lifecycle_stop(&here, b, false);
    run();
}

/* One in so many; not more than so many a second, and it says how many were left out. */
static void test_bounds(void)
{
    struct shown some, few;
    uint64_t skipped, lost;
    actor_id b = spawn("bob", 4000, 0);
    run();
    struct tracer *sampled = trace(&some, &(struct tap_filter){ .sample = 10 });
    struct tracer *limited = trace(&few, &(struct tap_filter){ .limit = 200, .type = "Work" });
    for (unsigned i = 0; i < 300; i++)
        send(MESSAGE_ORDINARY, work, 0, b, NULL, 0);
    run();
    tap_collect(true);
    assert(some.count == 30);
    tracer_missed(limited, &skipped, &lost);
    assert(lost == 0 && few.count + skipped == 300 && few.count >= 2 && skipped > 0);
    tracer_missed(sampled, &skipped, &lost);
    assert(skipped == 0 && lost == 0);
    tracer_close(sampled);
    tracer_close(limited);

    /* Nobody collects: the memory is bounded, and what has no room is counted. */
    struct tracer *neglected = trace(&some, &(struct tap_filter){ .limit = TAP_LIMIT_MAX });
    for (unsigned i = 0; i < 3000; i++) {
        send(MESSAGE_ORDINARY, work, 0, b, NULL, 0);
        if (i % 100 == 0)
            run();
    }
    run();
    tap_collect(true);
    tracer_missed(neglected, &skipped, &lost);
    assert(some.count > 0 && lost > 0);
    uint64_t before = lost;
    some.count = 0;
    send(MESSAGE_ORDINARY, work, 0, b, NULL, 0); /* and there is room again */
    run();
    tap_collect(true);
    tracer_missed(neglected, &skipped, &lost);
    assert(lost == before && some.count == 1);
    tracer_close(neglected);
    lifecycle_stop(&here, b, false);
    run();
}

/* There is room for so many tracers; one that has gone makes room for another. */
static void test_many(void)
{
    struct shown shown[TAP_TRACERS_MAX];
    struct tracer *tracers[TAP_TRACERS_MAX], *more;
    actor_id b = spawn("bob", 8, 0);
    run();
    for (unsigned i = 0; i < TAP_TRACERS_MAX; i++)
        tracers[i] = trace(&shown[i], &(struct tap_filter){ .to = i % 2 == 0 ? "bob" : "eve" });
    assert(tracer_open(&more, &here, &(struct tap_filter){ 0 }, keep, NULL) == -EBUSY);
    send(MESSAGE_ORDINARY, work, 0, b, NULL, 0);
    run();
    tracer_close(tracers[2]);
    tracers[2] = trace(&shown[2], &(struct tap_filter){ .to = "bob" }); /* sees nothing from before */
    tap_collect(true);
    for (unsigned i = 0; i < TAP_TRACERS_MAX; i++)
        assert(shown[i].count == (i % 2 == 0 && i != 2 ? 1 : 0));
    for (unsigned i = 0; i < TAP_TRACERS_MAX; i++)
        tracer_close(tracers[i]);
    lifecycle_stop(&here, b, false);
    run();
}

/* What has not been handled after a second is shown as it is, and again when it is. */
static void test_slow(void)
{
    struct shown shown;
    actor_id b = spawn("bob", 8, 0);
    run();
    struct tracer *tracer = trace(&shown, &(struct tap_filter){ .type = "Work" });
    send(MESSAGE_ORDINARY, work, 0, b, NULL, 0);
    struct timespec begun, now;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    do {
        tap_collect(true);
        sched_yield();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (shown.count == 0 && now.tv_sec - begun.tv_sec < 60);
    assert(shown.count == 1 && shown.lines[0].outcome == TAP_WAITING);
    assert(shown.lines[0].waited_ns >= TAP_SLOW_NS && shown.lines[0].took_ns == TAP_UNKNOWN);
    run();
    tap_collect(true);
    assert(shown.count == 2 && shown.lines[1].outcome == TAP_HANDLED);
    assert(shown.lines[1].number == shown.lines[0].number);
    tracer_close(tracer);
    lifecycle_stop(&here, b, false);
    run();
}

/* ---- Threads -------------------------------------------------------------------- */

static atomic_bool over;

static void *send_for_ever(void *argument)
{
    actor_id to = (actor_id)(uintptr_t)argument;
    while (!atomic_load(&over)) {
        send(MESSAGE_ORDINARY, ping, 0, to, NULL, 0);
        sched_yield();
    }
    return NULL;
}

/* Tracers come and go while messages fly on several threads: each sees only its own. */
static void test_threads(void)
{
    struct thread one, other;
    open_with(2);
    actor_id a = spawn("alice", 64, 0), b = spawn("bob", 64, a);
    assert(thread_start(&one, "one", 0, send_for_ever, (void *)(uintptr_t)b) == 0);
    assert(thread_start(&other, "other", 0, send_for_ever, (void *)(uintptr_t)b) == 0);
    for (unsigned i = 0; i < 200; i++) {
        struct shown works, pings;
        struct tracer *tracer = trace(&works, &(struct tap_filter){ .from = "bob", .limit = TAP_LIMIT_MAX });
        struct tracer *second = trace(&pings, &(struct tap_filter){ .to = "b?b", .sample = 3 });
        for (unsigned round = 0; round < 1000 && (works.count < 5 || pings.count < 5); round++) {
            tap_collect(round % 2 == 0);
            sched_yield();
        }
        tracer_close(tracer);
        tap_collect(true);
        tracer_close(second);
        for (unsigned at = 0; at < works.count && at < 64; at++) {
            assert(strcmp(works.lines[at].from, "bob") == 0 && strcmp(works.lines[at].to, "alice") == 0);
            assert(works.lines[at].type == work);
        }
        for (unsigned at = 0; at < pings.count && at < 64; at++)
            assert(strcmp(pings.lines[at].to, "bob") == 0);
    }
    atomic_store(&over, true);
    thread_join(&one);
    thread_join(&other);
    shut_down();
}

int main(void)
{
    ping = type_intern("Ping", 4);
    pong = type_intern("Pong", 4);
    work = type_intern("Work", 4);
    open_with(0);
    test_handled();
    test_outcomes();
    test_filters();
    test_bounds();
    test_many();
    test_slow();
    shut_down();
    test_threads();
    puts("tap: ok");
    return 0;
}
