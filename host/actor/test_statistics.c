/* test_statistics.c -- what is seen of actors while they run, wait, and are stuck. */
#include "actor/statistics.h"
#include "actor/test_system.h"
#include "base/memory.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS = 2, CROWD = 100 };
#define PATIENCE_NS (30 * NS_PER_SEC)

static type_id work, wait_type, stick, fail;
static atomic_bool released;

/* A message of type Stick keeps its worker until `released`; Wait makes the handler
 * wait for the next one; Work takes the number of microseconds that it carries. */
static enum verdict receive(struct actor *actor, struct message *message)
{
    enum verdict verdict = VERDICT_DONE;
    if (message->type == stick) {
        while (!atomic_load(&released))
            sched_yield();
    } else if (message->type == fail) {
        statistics_failed(actor);
    } else if (message->type == wait_type) {
        statistics_waits(actor, WAITING_FOR_ANSWER, work);
        statistics_waits_at(actor, message->from, NULL);
        actor->appetite = APPETITE_ALL;
        verdict = VERDICT_WAITING;
    } else if (message->type == work) {
        uint32_t us;
        memcpy(&us, message->payload, sizeof us);
        uint64_t until_ns = clock_now(&here.clock) + us * (uint64_t)1000;
        while (clock_now(&here.clock) < until_ns)
            cpu_relax();
        statistics_waits_no_more(actor);
    }
    message_free(message);
    return verdict;
}

static const struct behaviour behaviour = {
    .receive = receive, .go_on = nothing, .cut = nothing, .shut_down = nothing, .end = ends,
};

static actor_id spawn(const char *name, const char *thread, struct subject *subject)
{
    actor_id id;
    char why[128];
    struct spawn options = { .name = name,
                             .stem = "actor",
                             .behaviour = &behaviour,
                             .mailbox = MAILBOX_OPTIONS_DEFAULT,
                             .thread = thread,
                             .subject = subject,
                             .memory = 12345 };
    assert(lifecycle_spawn(&here, &options, &id, why, sizeof why) == 0);
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    return id;
}

static void send_in(actor_id to, type_id type, enum message_lane lane, uint32_t us, actor_id from)
{
    struct message *message = message_new(MESSAGE_ORDINARY, type, &us, sizeof us);
    message->to = to;
    message->from = from;
    message->lane = (uint8_t)lane;
    assert(router_send(&here, &message, 0) == ROUTER_OK);
}

static void send(actor_id to, type_id type, uint32_t us)
{
    send_in(to, type, LANE_ORDINARY, us, 0);
}

/* ---- Looking ---- */

struct search {
    actor_id id;
    struct actor_report *found;
    unsigned count;
};

static bool note(void *context, const struct actor_report *report)
{
    struct search *search = context;
    search->count++;
    if (report->id == search->id)
        *search->found = *report;
    return true;
}

static struct actor_report look(actor_id id)
{
    struct actor_report report = { .id = 0 };
    struct search search = { .id = id, .found = &report };
    uint32_t slot = 0;
    do
        statistics_each(&here, &slot, 7, note, &search);
    while (slot != 0);
    return report;
}

static struct actor_report await(actor_id id, enum activity activity, uint64_t handled)
{
    uint64_t until_ns = clock_now(&here.clock) + PATIENCE_NS;
    struct actor_report report;
    do {
        assert(clock_now(&here.clock) < until_ns);
        sched_yield();
        report = look(id);
    } while (report.activity != activity || report.handled < handled);
    return report;
}

static void pass(uint64_t ns)
{
    atomic_uint nothing_comes = 0;
    uint64_t until_ns = clock_now(&here.clock) + ns;
    while (clock_now(&here.clock) < until_ns)
        park_wait(&nothing_comes, 0, until_ns);
}

/* ---- The promises ---- */

/* An actor that has handled what came is idle, and what it did was counted. */
static void test_counting(void)
{
    struct subject *subject = subject_new("examples/x.lua", 1, 0x1234);
    actor_id id = spawn("counter", NULL, subject);
    subject_note_version(subject, "2.1");
    for (int i = 0; i < 500; i++)
        send(id, work, 0);
    send(id, fail, 0);
    struct actor_report report = await(id, ACTIVITY_IDLE, 502);
    assert(report.handled == 502); /* with Start */
    assert(report.errors == 1 && report.restarts == 0);
    assert(report.last_type == fail && report.handling == TYPE_NONE);
    assert(report.queued == 0 && !report.has_oldest && report.for_ns == 0);
    assert(report.memory == 12345);
    assert(strcmp(report.name, "counter") == 0);
    uint64_t until_ns = clock_now(&here.clock) + PATIENCE_NS;
    while (strcmp(look(id).thread, "pool") != 0) /* its worker has not quite let go of it */
        assert(clock_now(&here.clock) < until_ns);
    assert(report.has_subject && strcmp(report.path, "examples/x.lua") == 0);
    assert(strcmp(report.subject.version, "2.1") == 0 && report.subject.number == 1);
    assert(report.timed > 0);

    /* The rate is of what came between two marks. */
    pass((STATISTICS_MARK_MS + 50) * NS_PER_MS);
    uint32_t slot = 0;
    do
        statistics_mark(&here, &slot, 5);
    while (slot != 0);
    uint64_t marked_ns = clock_now(&here.clock);
    for (int i = 0; i < 100; i++)
        send(id, work, 0);
    await(id, ACTIVITY_IDLE, 602);
    pass((STATISTICS_MARK_MS + 50) * NS_PER_MS);
    report = look(id);
    double most_s = (double)(clock_now(&here.clock) - marked_ns) / 1e9;
    assert(report.rate > 0 && report.rate <= 100 / (STATISTICS_MARK_MS / 1000.0) + 1);
    assert(report.rate >= 100 / most_s * 0.9 - 1);

    /* A new version in its place, after an attempt that has failed. */
    subject_note_failure(subject, "x.lua:7: no");
    report = look(id);
    assert(report.subject.failed == 1 && strcmp(report.subject.error, "x.lua:7: no") == 0);
    subject_forget_failures(subject);
    assert(look(id).subject.failed == 0);
    struct subject *next = subject_new("examples/x.lua", 2, 0x5678);
    subject_set(registry_find(&here.registry, id), next);
    subject_unref(next);
    report = look(id);
    assert(report.subject.number == 2 && report.subject.hash == 0x5678);
    subject_unref(subject);
    lifecycle_stop(&here, id, false);
}

/* Every worker is stuck, and all is seen: who runs, where, on what; what waits, in
 * which lane, and for how long. */
static void test_stuck(void)
{
    actor_id stuck[WORKERS + 1], ready;
    atomic_store(&released, false);
    ready = spawn("ready", NULL, NULL);
    await(ready, ACTIVITY_IDLE, 1);
    for (int i = 0; i < WORKERS; i++)
        stuck[i] = spawn(NULL, NULL, NULL);
    stuck[WORKERS] = spawn("alone", "own", NULL);
    for (int i = 0; i <= WORKERS; i++)
        send(stuck[i], stick, 0);
    for (int i = 0; i <= WORKERS; i++)
        await(stuck[i], ACTIVITY_RUNNING, 2);

    for (int i = 0; i < 3; i++)
        send(stuck[0], work, 0);
    send_in(stuck[0], work, LANE_HIGH, 0, 0);
    lifecycle_stop(&here, stuck[0], false);
    send(ready, work, 0);
    pass(100 * NS_PER_MS);
    struct actor_report report = look(stuck[0]);
    assert(report.activity == ACTIVITY_RUNNING && report.handling == stick);
    assert(strncmp(report.thread, "worker-", 7) == 0 || strncmp(report.thread, "spare-", 6) == 0);
    assert(report.for_ns >= 50 * NS_PER_MS);
    assert(report.queued == 4 && report.high == 1 && report.control == 1);
    assert(report.has_oldest && report.oldest_ns >= 50 * NS_PER_MS);
    assert(report.oldest_ns <= report.for_ns);
    assert(strcmp(look(stuck[WORKERS]).thread, "own") == 0);

    struct host_report host;
    statistics_of_host(&here, &host);
    assert(host.workers == WORKERS && host.pinned >= 1);
    assert(host.busy >= WORKERS + 1 && host.actors >= WORKERS + 2);

    atomic_store(&released, true);
    await(ready, ACTIVITY_IDLE, 2);
    for (int i = 1; i <= WORKERS; i++)
        lifecycle_stop(&here, stuck[i], false);
    lifecycle_stop(&here, ready, false);
}

/* Waiting is seen, with whom it is for; and it is no time of the handler's. */
static void test_waiting(void)
{
    actor_id asked = spawn("asked", NULL, NULL), id = spawn("waits", NULL, NULL);
    await(id, ACTIVITY_IDLE, 1);
    for (int i = 0; i < 3; i++) {
        pass(30 * NS_PER_MS); /* the coarse clock moves on: it is timed */
        send_in(id, wait_type, LANE_ORDINARY, 0, asked);
        struct actor_report report = await(id, ACTIVITY_WAITING, 2 + 2 * (uint64_t)i);
        assert(report.waiting == WAITING_FOR_ANSWER && report.waits_type == work);
        assert(strcmp(report.target, "asked") == 0 && report.handling == wait_type);
        pass(400 * NS_PER_MS);
        report = look(id);
        assert(report.for_ns >= 300 * NS_PER_MS);
        send(id, work, 2000);
        report = await(id, ACTIVITY_IDLE, 3 + 2 * (uint64_t)i);
        assert(report.target[0] == '\0');
    }
    struct actor_report report = look(id);
    assert(report.timed >= 1);
    assert(report.p50_ns >= 1900000 && report.p50_ns < 400 * NS_PER_MS); /* both stretches */

    statistics_held(registry_find(&here.registry, id), true);
    assert(look(id).activity == ACTIVITY_HELD);
    statistics_held(registry_find(&here.registry, id), false);
    lifecycle_stop(&here, id, false);
    lifecycle_stop(&here, asked, false);
}

static bool first_three(void *context, const struct actor_report *report)
{
    unsigned *count = context;
    assert(report->name[0] != '\0');
    return ++*count % 3 != 0;
}

/* All are seen once, in parts as small as one likes. */
static void test_parts(void)
{
    actor_id crowd[CROWD];
    for (int i = 0; i < CROWD; i++)
        crowd[i] = spawn(NULL, NULL, NULL);
    struct actor_report ignored;
    for (uint32_t most = 1; most <= 1000; most *= 10) {
        struct search search = { .id = 0, .found = &ignored };
        uint32_t slot = 0;
        do
            statistics_each(&here, &slot, most, note, &search);
        while (slot != 0);
        assert(search.count == CROWD);
    }
    unsigned count = 0;
    uint32_t slot = 0;
    do
        statistics_each(&here, &slot, 1000, first_three, &count);
    while (slot != 0);
    assert(count == CROWD);
    for (int i = 0; i < CROWD; i++)
        lifecycle_stop(&here, crowd[i], false);
}

/* They come, work and go while they are looked at. */
static void test_turmoil(void)
{
    struct subject *subjects[2] = { subject_new("a.lua", 1, 1), subject_new("a.lua", 2, 2) };
    actor_id stays = spawn("stays", NULL, subjects[0]);
    struct actor_report ignored;
    for (int round = 0; round < 200; round++) {
        actor_id id = spawn(NULL, NULL, subjects[round % 2]);
        for (int i = 0; i < 20; i++)
            send(id, i % 2 == 0 ? work : fail, 1);
        subject_set(registry_find(&here.registry, stays), subjects[round % 2]);
        subject_note_failure(subjects[0], "no");
        struct search search = { .id = stays, .found = &ignored };
        uint32_t slot = 0;
        statistics_each(&here, &slot, 1000, note, &search);
        assert(search.count >= 1);
        lifecycle_stop(&here, id, round % 2 == 0);
    }
    lifecycle_stop(&here, stays, false);
    subject_unref(subjects[0]);
    subject_unref(subjects[1]);
}

static void wait_for_end_of_all(void)
{
    lock_acquire(&here.lock);
    while (atomic_load(&here.registry.living) > 0)
        signal_wait(&here.changed, &here.lock);
    lock_release(&here.lock);
}

int main(void)
{
    struct system_limits limits = SYSTEM_LIMITS_DEFAULT;
    work = type_intern("Work", 4);
    wait_type = type_intern("Wait", 4);
    stick = type_intern("Stick", 5);
    fail = type_intern("Fail", 4);
    size_t before = memory_used();

    assert(system_open(&here, WORKERS, 0, &limits) == 0);
    assert(system_start(&here) == 0);
    test_counting();
    wait_for_end_of_all();
    test_stuck();
    wait_for_end_of_all();
    test_waiting();
    wait_for_end_of_all();
    test_parts();
    wait_for_end_of_all();
    test_turmoil();
    wait_for_end_of_all();
    struct shutdown_account account;
    lifecycle_shut_down(&here, clock_now(&here.clock) + PATIENCE_NS, &account);
    assert(account.left == 0);
    watchdog_stop(&here);
    assert(scheduler_stop(&here, clock_now(&here.clock) + PATIENCE_NS));
    system_close(&here);
    assert(memory_used() == before);
    return 0;
}
