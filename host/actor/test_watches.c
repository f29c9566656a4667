/* test_watches.c -- the promises of watches.h: whoever watches is told once, who
 * has stopped watching never, and who is linked does not stay behind; also when
 * all of it happens at the same instant on other threads. */
#include "actor/notice.h"
#include "actor/system.h"
#include "actor/watchdog.h"
#include "actor/watches.h"
#include "base/fault.h"
#include "base/memory.h"
#include "message/pack.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MEMBERS_MAX 4000

static struct system here;
static type_id do_watch, do_unwatch, do_link, do_unlink, do_drop, do_fail, do_finish;
static atomic_uint finished;

/* What an actor has begun and heard of the member with that number. */
struct account {
    actor_id id;
    bool begun, ended_by_us;
    unsigned downs;
};

struct member {
    actor_id id;
    bool     ended;
    unsigned downs;          /* of all */
    char     reason[700];    /* of the last */
    char     name[300];
    struct account *accounts; /* one for each of `members`, or NULL */
};

static struct member members[MEMBERS_MAX];

static struct account *account_of(struct member *member, actor_id id)
{
    for (unsigned i = 0; i < MEMBERS_MAX; i++)
        if (member->accounts[i].id == id)
            return &member->accounts[i];
    assert(!"it has begun no watch of that id");
    return NULL;
}

static void read_text(const struct message *message, const char *field, char *text, size_t room)
{
    struct pack_item item;
    const uint8_t *at = pack_field(message->payload, field);
    assert(at != NULL);
    pack_read(at, &item);
    assert(item.tag == PACK_STRING);
    snprintf(text, room, "%.*s", (int)item.size, item.text);
}

static void hear(struct member *member, const struct message *down)
{
    struct pack_item who;
    pack_read(pack_field(down->payload, "who"), &who);
    assert(who.tag == PACK_ACTOR);
    read_text(down, "reason", member->reason, sizeof member->reason);
    read_text(down, "name", member->name, sizeof member->name);
    member->downs++;
    if (member->accounts != NULL) {
        struct account *account = account_of(member, who.actor);
        assert(!account->ended_by_us);
        account->downs++;
    }
}

static enum verdict obey(struct actor *actor, struct message *message)
{
    struct member *member = actor->state;
    enum verdict verdict = VERDICT_DONE;
    unsigned number = 0;
    if (message->kind == MESSAGE_ORDINARY && message->size == sizeof number)
        memcpy(&number, message->payload, sizeof number);
    struct watch_target target = { .id = members[number].id };
    struct account *account = member->accounts != NULL ? &member->accounts[number] : NULL;

    if (message->kind != MESSAGE_ORDINARY) {
        assert(message->kind == MESSAGE_START);
    } else if (message->type == TYPE_DOWN) {
        hear(member, message);
    } else if (message->type == do_watch) {
        if (account != NULL)
            *account = (struct account){ .id = target.id, .begun = true };
        assert(watch_begin(actor, &target) == 0);
    } else if (message->type == do_unwatch) {
        bool was = watch_end(actor, &target);
        assert(account == NULL || was != (account->downs > 0));
        if (account != NULL)
            account->ended_by_us = true;
    } else if (message->type == do_link) {
        assert(link_begin(actor, &target) == 0);
    } else if (message->type == do_unlink) {
        link_end(actor, &target);
    } else if (message->type == do_drop) {
        watches_drop(actor);
    } else if (message->type == do_fail) {
        actor->ended = ENDED_BY_ERROR;
        actor_note_end(actor, "error: as asked");
        verdict = VERDICT_ENDED;
    } else if (message->type == do_finish) {
        atomic_fetch_add(&finished, 1);
    }
    message_free(message);
    return verdict;
}

static enum verdict nothing(struct actor *actor)
{
    (void)actor;
    return VERDICT_ENDED;
}

static void end(struct actor *actor)
{
    struct member *member = actor->state;
    member->ended = true;
}

static const struct behaviour member_behaviour = {
    .receive = obey, .go_on = nothing, .cut = nothing, .shut_down = nothing, .end = end,
};

/* False: the host has its limit of actors now. */
static bool spawn(unsigned number, const char *name, bool traps_exits)
{
    char why[128];
    struct spawn options = { .name = name, .stem = "member", .behaviour = &member_behaviour,
                             .state = &members[number], .mailbox = MAILBOX_OPTIONS_DEFAULT,
                             .traps_exits = traps_exits };
    struct account *accounts = members[number].accounts;
    members[number] = (struct member){ .accounts = accounts };
    if (lifecycle_spawn(&here, &options, &members[number].id, why, sizeof why) != 0)
        return false;
    assert(lifecycle_start(&here, members[number].id, NULL, 0) == 0);
    return true;
}

/* Tells the member `to` to do something with the member `about`. */
static void tell(unsigned to, type_id what, unsigned about)
{
    struct message *message = message_new(MESSAGE_ORDINARY, what, &about, sizeof about);
    assert(message != NULL);
    message->to = members[to].id;
    router_send(&here, &message, ROUTE_RESERVED);
    message_free(message); /* it has ended */
}

static void run(void)
{
    while (scheduler_step(&here))
        continue;
}

static void open_stage(void)
{
    assert(system_open(&here, 0, 0, NULL) == 0);
}

static void open_workers(uint32_t actors)
{
    struct system_limits limits = SYSTEM_LIMITS_DEFAULT;
    limits.actors = actors;
    atomic_store(&finished, 0);
    assert(system_open(&here, 3, 0, &limits) == 0);
    assert(system_start(&here) == 0);
}

static void shut_down(void)
{
    struct shutdown_account account;
    lifecycle_shut_down(&here, clock_now(&here.clock) + 30 * NS_PER_SEC, &account);
    assert(account.left == 0);
    if (here.scheduler.regular > 0)
        watchdog_stop(&here);
    assert(scheduler_stop(&here, clock_now(&here.clock) + 30 * NS_PER_SEC));
    system_close(&here);
}

static void nap(void)
{
    atomic_uint nobody = 0;
    park_wait(&nobody, 0, clock_now(&here.clock) + NS_PER_MS / 2);
}

/* Waits until only `count` actors live, and all that the others had to say is said. */
static void await_living(uint32_t count)
{
    for (int naps = 0; atomic_load(&here.registry.living) > count; naps++) {
        assert(naps < 120000);
        nap();
    }
}

static void await_finished(unsigned count)
{
    for (int naps = 0; atomic_load(&finished) < count; naps++) {
        assert(naps < 120000);
        nap();
    }
}

static uint32_t drawn = 1;

static uint32_t draw(uint32_t below)
{
    drawn = drawn * 1664525u + 1013904223u;
    return (drawn >> 8) % below;
}

/* ---- On the stage --------------------------------------------------------- */

/* A Down has the reason, also one that is longer than the room kept for it, and the name. */
static void test_reasons(void)
{
    open_stage();
    spawn(0, "watcher", false);
    spawn(1, "one", false);
    spawn(2, "two", false);
    tell(0, do_watch, 1);
    tell(0, do_watch, 2);
    run();
    lifecycle_stop(&here, members[1].id, false);
    run();
    assert(members[0].downs == 1);
    assert(strcmp(members[0].reason, "normal") == 0 && strcmp(members[0].name, "one") == 0);

    char reason[ACTOR_REASON_ROOM];
    memset(reason, 'x', sizeof reason);
    reason[sizeof reason - 1] = '\0';
    actor_note_end(registry_find(&here.registry, members[2].id), reason);
    lifecycle_stop(&here, members[2].id, false);
    run();
    assert(members[0].downs == 2 && strcmp(members[0].reason, reason) == 0);

    tell(0, do_watch, 2); /* it has ended */
    run();
    assert(members[0].downs == 3 && strcmp(members[0].reason, REASON_NOBODY) == 0);
    shut_down();
}

/* An incarnation that ends drops what it began, and keeps what others did. */
static void test_drop(void)
{
    open_stage();
    spawn(0, "self", true);
    for (unsigned i = 1; i <= 20; i++)
        spawn(i, NULL, true);
    for (unsigned i = 1; i <= 20; i++)
        tell(0, i % 2 ? do_watch : do_link, i);
    tell(3, do_link, 0);
    tell(4, do_link, 0);
    tell(5, do_watch, 0);
    run();
    tell(0, do_drop, 0);
    run();
    for (unsigned i = 1; i <= 20; i++)
        if (i < 3 || i > 5)
            tell(i, do_fail, 0);
    run();
    assert(members[0].downs == 0);
    tell(3, do_fail, 0);
    tell(4, do_fail, 0);
    run();
    assert(members[0].downs == 2); /* the links of these two */
    tell(0, do_fail, 0);
    run();
    assert(members[5].downs == 1);
    shut_down();
}

/* What has a table of many takes them all back, from either side. */
static void test_many(void)
{
    open_stage();
    spawn(0, "hub", false);
    for (unsigned i = 1; i <= 500; i++) {
        spawn(i, NULL, false);
        tell(0, do_watch, i);
        tell(i, do_link, 0);
    }
    run();
    for (unsigned i = 1; i <= 500; i++)
        tell(i % 2 ? i : 0, do_unlink, i % 2 ? 0 : i);
    for (unsigned i = 1; i <= 250; i++)
        tell(0, do_unwatch, i);
    run();
    for (unsigned i = 1; i <= 500; i++)
        tell(i, do_fail, 0);
    run();
    assert(members[0].downs == 250 && !members[0].ended);
    shut_down();
}

/* Without memory a watch fails cleanly; a death tells all the same. */
static void test_no_memory(void)
{
#ifdef TROUPE_FAULTS
    for (uint64_t n = 1;; n++) {
        open_stage();
        spawn(0, "self", true);
        spawn(1, "other", false);
        run();
        struct actor *self = registry_find(&here.registry, members[0].id);
        struct watch_target target = { .id = members[1].id };
        fault_arm(n);
        int error = n % 2 ? watch_begin(self, &target) : link_begin(self, &target);
        bool through = fault_count() < n;
        fault_arm(0);
        assert(error == 0 || error == -ENOMEM);
        char reason[200];
        memset(reason, 'y', sizeof reason);
        reason[sizeof reason - 1] = '\0';
        actor_note_end(registry_find(&here.registry, members[1].id), reason);
        struct message *stop = message_new(MESSAGE_STOP, TYPE_SHUTDOWN, NULL, 0);
        stop->to = members[1].id;
        router_send(&here, &stop, ROUTE_RESERVED);
        fault_arm(1); /* and for the long reason there is no room: it is cut */
        run();
        fault_arm(0);
        assert(members[0].downs == (error == 0 ? 1 : 0));
        assert(error != 0 || strncmp(members[0].reason, "yyyyyyyyyy", 10) == 0);
        shut_down();
        if (through && n > 8)
            return;
    }
#endif
}

/* ---- On threads ------------------------------------------------------------- */

/* Watchers and their targets on three workers, in few slots that are used again
 * and again. Each watch that was not taken back is told once, the others never. */
static void test_watch_races(unsigned targets)
{
    enum { WATCHERS = 6 };
    open_workers(WATCHERS + 12);
    for (unsigned w = 0; w < WATCHERS; w++) {
        members[w].accounts = memory_get_zeroed(MEMBERS_MAX * sizeof(struct account));
        spawn(w, NULL, false);
    }
    for (unsigned t = WATCHERS; t < WATCHERS + targets; t++) {
        while (!spawn(t, NULL, false))
            nap();
        unsigned stop_at = draw(2 * WATCHERS);
        for (unsigned step = 0; step < 2 * WATCHERS; step++) {
            if (step == stop_at)
                lifecycle_stop(&here, members[t].id, false);
            if (step < WATCHERS)
                tell(step, do_watch, t);
            else if (draw(3) == 0)
                tell(step - WATCHERS, do_unwatch, t);
        }
    }
    await_living(WATCHERS);
    for (unsigned w = 0; w < WATCHERS; w++)
        tell(w, do_finish, 0);
    await_finished(WATCHERS);
    shut_down();
    unsigned told = 0;
    for (unsigned w = 0; w < WATCHERS; w++) {
        for (unsigned t = WATCHERS; t < WATCHERS + targets; t++) {
            const struct account *account = &members[w].accounts[t];
            assert(account->begun && account->downs <= 1);
            assert(account->downs == 1 || account->ended_by_us);
            told += account->downs;
        }
        memory_put(members[w].accounts, MEMBERS_MAX * sizeof(struct account));
        members[w].accounts = NULL;
    }
    assert(told > 0);
}

/* Watchers end while their targets do. */
static void test_both_end(unsigned rounds)
{
    open_workers(MEMBERS_MAX);
    for (unsigned i = 0; i < 2 * rounds; i += 2) {
        while (!spawn(i, NULL, draw(2)) || !spawn(i + 1, NULL, draw(2)))
            nap();
        tell(i, draw(2) ? do_watch : do_link, i + 1);
        tell(i + 1, draw(2) ? do_watch : do_link, i);
        tell(i, draw(2) ? do_unlink : do_unwatch, i + 1);
        lifecycle_stop(&here, members[i + draw(2)].id, false);
        tell(i, do_fail, 0);
        tell(i + 1, do_fail, 0);
    }
    await_living(0);
    shut_down();
}

/* Groups whose members tie themselves to one, or are tied by it, while it fails:
 * nobody stays behind. A last link makes a circle of it. */
static void test_links_race(unsigned groups)
{
    enum { SIZE = 6 };
    open_workers(MEMBERS_MAX);
    for (unsigned g = 0; g < groups; g++) {
        unsigned first = g * SIZE;
        for (unsigned i = 0; i < SIZE; i++)
            spawn(first + i, NULL, false);
        unsigned fail_at = 1 + draw(SIZE);
        for (unsigned i = 1; i <= SIZE; i++) {
            if (i == fail_at)
                tell(first, do_fail, 0);
            if (i == SIZE)
                break;
            /* (One that has failed does as it is told no more.) */
            tell(first + i, do_link, i % 3 == 0 ? first + i - 1 : first);
            if (draw(2))
                tell(first, do_link, first + i);
        }
    }
    await_living(0);
    shut_down();
    for (unsigned i = 0; i < groups * SIZE; i++)
        assert(members[i].ended);
}

/* One death, and all the others hear of it. */
static void test_fan_out(unsigned watchers)
{
    open_workers(MEMBERS_MAX);
    spawn(0, "star", false);
    for (unsigned i = 1; i <= watchers; i++) {
        spawn(i, NULL, false);
        tell(i, do_watch, 0);
        tell(i, do_finish, 0);
    }
    await_finished(watchers);
    uint64_t began_ns = clock_now(&here.clock);
    lifecycle_stop(&here, members[0].id, false);
    await_living(watchers);
    for (unsigned i = 1; i <= watchers; i++)
        tell(i, do_finish, 0);
    await_finished(2 * watchers);
    uint64_t took_ns = clock_now(&here.clock) - began_ns;
    for (unsigned i = 1; i <= watchers; i++)
        assert(members[i].downs == 1);
    assert(took_ns < 30 * NS_PER_SEC);
    printf("watches: %u watchers were told in %.1f ms\n", watchers, (double)took_ns / 1e6);
    shut_down();
}

int main(void)
{
    do_watch = type_intern("DoWatch", 7);
    do_unwatch = type_intern("DoUnwatch", 9);
    do_link = type_intern("DoLink", 6);
    do_unlink = type_intern("DoUnlink", 8);
    do_drop = type_intern("DoDrop", 6);
    do_fail = type_intern("DoFail", 6);
    do_finish = type_intern("DoFinish", 8);
    test_reasons();
    test_drop();
    test_many();
    test_no_memory();
    test_watch_races(3900);
    test_both_end(1900);
    test_links_race(650);
    test_fan_out(3000);
    assert(memory_used() == 0);
    puts("watches: ok");
    return 0;
}
