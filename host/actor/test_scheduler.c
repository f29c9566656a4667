/* test_scheduler.c -- actors in C on workers, on threads of their own, and on the stage. */
#include "actor/system.h"
#include "actor/watchdog.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Passes each Tick on to `peer`, with one less, until there is nothing left. */
struct player {
    actor_id  peer;
    uint64_t  left;
    uint64_t  handled;
    atomic_uint *finished;
    bool      ended;
};

static struct system here;

static void pass_on(struct actor *actor, struct player *player)
{
    struct message *tick = message_new(MESSAGE_ORDINARY, TYPE_TIMEOUT, NULL, 0);
    tick->to = player->peer;
    tick->from = actor_self(actor);
    enum router_answer answer = router_send(actor->system, &tick, 0);
    assert(answer == ROUTER_OK || answer == ROUTER_DOWN);
    message_free(tick);
    scheduler_sent();
}

static enum verdict play(struct actor *actor, struct message *message)
{
    struct player *player = actor->state;
    if (message->kind == MESSAGE_ORDINARY) {
        player->handled++;
        if (player->left > 0) {
            player->left--;
            pass_on(actor, player);
        }
        if (player->left == 0 && player->finished != NULL) {
            atomic_fetch_add(player->finished, 1);
            player->finished = NULL;
        }
    }
    message_free(message);
    return VERDICT_DONE;
}

static enum verdict nothing(struct actor *actor)
{
    (void)actor;
    return VERDICT_DONE;
}

static void end(struct actor *actor)
{
    struct player *player = actor->state;
    player->ended = true;
}

static const struct behaviour player_behaviour = {
    .receive = play, .go_on = nothing, .cut = nothing, .shut_down = nothing, .end = end,
};

static actor_id spawn(struct player *player, const char *name, const char *thread, actor_id parent)
{
    actor_id id;
    char why[128];
    struct spawn options = { .name = name,
                             .stem = "player",
                             .behaviour = &player_behaviour,
                             .state = player,
                             .parent = parent,
                             .mailbox = MAILBOX_OPTIONS_DEFAULT,
                             .thread = thread };
    assert(lifecycle_spawn(&here, &options, &id, why, sizeof why) == 0);
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    return id;
}

static void kick(actor_id to)
{
    struct message *tick = message_new(MESSAGE_ORDINARY, TYPE_TIMEOUT, NULL, 0);
    tick->to = to;
    assert(router_send(&here, &tick, 0) == ROUTER_OK);
}

static void await(atomic_uint *count, unsigned wanted)
{
    atomic_uint nothing_to_wake = 0;
    for (int naps = 0; atomic_load(count) < wanted; naps++) {
        assert(naps < 60000); /* a minute */
        park_wait(&nothing_to_wake, 0, clock_now(&here.clock) + NS_PER_MS);
    }
}

static void shut_down(void)
{
    struct shutdown_account account;
    lifecycle_shut_down(&here, clock_now(&here.clock) + 30 * NS_PER_SEC, &account);
    assert(account.left == 0);
    watchdog_stop(&here);
    assert(scheduler_stop(&here, clock_now(&here.clock) + 30 * NS_PER_SEC));
    system_close(&here);
}

/* Pairs on a pool, in a group and on threads of their own hand each other every
 * message, whoever steals whom; nothing is lost and all sleep in the end. */
static void test_pairs(const char *thread, unsigned pairs, uint64_t rounds)
{
    struct player players[64] = { 0 };
    actor_id ids[64];
    atomic_uint finished = 0;

    assert(system_open(&here, 3, 0, NULL) == 0);
    assert(system_start(&here) == 0);
    for (unsigned i = 0; i < 2 * pairs; i++) {
        players[i].left = rounds;
        players[i].finished = &finished;
        ids[i] = spawn(&players[i], NULL, i % 2 == 0 ? thread : NULL, 0);
    }
    for (unsigned i = 0; i < 2 * pairs; i++)
        players[i].peer = ids[i ^ 1u];
    for (unsigned i = 0; i < pairs; i++)
        kick(ids[2 * i]);
    await(&finished, 2 * pairs);
    shut_down();
    for (unsigned i = 0; i < 2 * pairs; i++) {
        assert(players[i].ended);
        assert(players[i].left == 0);
    }
}

/* A group is one thread, however long its name is; another name, another thread. */
static void test_group_names(void)
{
    struct player players[3] = { { 0 } };
    char thread[6 + ADDRESS_NAME_LIMIT + 1];
    memset(thread, 'g', sizeof thread - 1);
    memcpy(thread, "group:", 6);
    thread[sizeof thread - 1] = '\0';

    assert(system_open(&here, 1, 0, NULL) == 0);
    assert(system_start(&here) == 0);
    actor_id one = spawn(&players[0], "one", thread, 0);
    actor_id two = spawn(&players[1], "two", thread, 0);
    thread[sizeof thread - 2] = 'h';
    actor_id other = spawn(&players[2], "other", thread, 0);
    struct worker *home = registry_find(&here.registry, one)->home;
    assert(registry_find(&here.registry, two)->home == home);
    assert(registry_find(&here.registry, other)->home != home);
    shut_down();
}

/* Ending a parent ends its children; their names are free again, their ids find
 * nobody, and messages to them are refused. */
static void test_children(void)
{
    struct player parent = { 0 }, child = { 0 }, other = { 0 };
    assert(system_open(&here, 0, 0, NULL) == 0);
    actor_id parent_id = spawn(&parent, "parent", NULL, 0);
    actor_id child_id = spawn(&child, "child", NULL, parent_id);
    actor_id other_id = spawn(&other, "other", NULL, 0);
    while (scheduler_step(&here))
        continue;
    assert(registry_find_name(&here.registry, "child", 5) == child_id);
    assert(lifecycle_stop(&here, parent_id, false));
    while (scheduler_step(&here))
        continue;
    assert(parent.ended && child.ended && !other.ended);
    assert(registry_find_name(&here.registry, "child", 5) == 0);
    assert(!lifecycle_stop(&here, child_id, false));
    actor_id again = spawn(&child, "child", NULL, other_id);
    assert(again != child_id);
    shut_down();
    assert(other.ended);
}

/* An actor that is stopped before it began never runs; stop with drain handles
 * what is queued, without drain it goes to the dead letters. */
static void test_stopping(void)
{
    struct player drained = { 0 }, dropped = { 0 };
    assert(system_open(&here, 0, 0, NULL) == 0);
    actor_id drained_id = spawn(&drained, NULL, NULL, 0);
    actor_id dropped_id = spawn(&dropped, NULL, NULL, 0);
    while (scheduler_step(&here))
        continue;
    for (int i = 0; i < 5; i++) {
        kick(drained_id);
        kick(dropped_id);
    }
    lifecycle_stop(&here, drained_id, true);
    lifecycle_stop(&here, dropped_id, false);
    while (scheduler_step(&here))
        continue;
    assert(drained.handled == 5 && drained.ended);
    assert(dropped.handled == 0 && dropped.ended);
    assert(dead_letters_total(&here.letters) == 5);
    shut_down();
}

/* The same seed picks the same order; another seed another. */
static void test_seeds(void)
{
    uint64_t order[3][40];
    for (int run = 0; run < 3; run++) {
        struct player players[8] = { { 0 } };
        actor_id ids[8];
        assert(system_open(&here, 0, run == 2 ? 7 : 3, NULL) == 0);
        for (int i = 0; i < 8; i++)
            ids[i] = spawn(&players[i], NULL, NULL, 0);
        while (scheduler_step(&here))
            continue;
        for (int i = 0; i < 8; i++)
            for (int k = 0; k < 5; k++)
                kick(ids[i]);
        for (int step = 0; step < 40; step++) {
            assert(scheduler_step(&here));
            order[run][step] = 0;
            for (unsigned i = 0; i < 8; i++)
                order[run][step] = order[run][step] * 7 + players[i].handled;
        }
        shut_down();
    }
    assert(memcmp(order[0], order[1], sizeof order[0]) == 0);
    assert(memcmp(order[0], order[2], sizeof order[0]) != 0);
}

/* The host may hold no more actors than its limit says. */
static void test_limit(void)
{
    struct player players[3] = { { 0 } };
    struct system_limits limits = SYSTEM_LIMITS_DEFAULT;
    char why[128];
    actor_id id;
    limits.actors = 2;
    assert(system_open(&here, 0, 0, &limits) == 0);
    spawn(&players[0], NULL, NULL, 0);
    spawn(&players[1], "two", NULL, 0);
    struct spawn third = { .stem = "player", .behaviour = &player_behaviour, .state = &players[2],
                           .mailbox = MAILBOX_OPTIONS_DEFAULT };
    assert(lifecycle_spawn(&here, &third, &id, why, sizeof why) != 0);
    assert(strstr(why, "limit of 2 actors") != NULL);
    shut_down();
}

int main(void)
{
    test_pairs(NULL, 1, 100000);
    test_pairs(NULL, 20, 3000);
    test_pairs("own", 3, 1000);
    test_pairs("group:clerks", 5, 1000);
    test_group_names();
    test_children();
    test_stopping();
    test_seeds();
    test_limit();
    assert(memory_used() == 0);
    puts("scheduler: ok");
    return 0;
}
