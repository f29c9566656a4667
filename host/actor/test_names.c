/* test_names.c -- the promises of names.h: who has a name has it until he is
 * removed, and whoever waits for a name hears of it, once. */
#include "actor/test_system.h"
#include "base/fault.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Told by a message, waits for a name, and counts the wakes that it gets. */
struct waiter {
    const char *name;
    uint64_t    wait;       /* the number of its last one */
    atomic_uint found;      /* the name was there already */
    atomic_uint woken;
    atomic_uint *order;     /* counted up by each that is woken */
    unsigned    place;      /* what it was then */
};

static enum verdict receive(struct actor *actor, struct message *message)
{
    struct waiter *waiter = actor->state;
    if (message->kind == MESSAGE_ORDINARY) {
        actor_id id;
        assert(names_await(actor, waiter->name, strlen(waiter->name), ++waiter->wait, &id) == 0);
        if (id != 0)
            atomic_fetch_add(&waiter->found, 1);
    } else if (message->kind == MESSAGE_WAKE) {
        assert(message->request == waiter->wait);
        if (waiter->order != NULL)
            waiter->place = atomic_fetch_add(waiter->order, 1);
        atomic_fetch_add(&waiter->woken, 1);
    }
    message_free(message);
    return VERDICT_DONE;
}

static const struct behaviour behaviour = {
    .receive = receive, .go_on = nothing, .cut = nothing, .shut_down = nothing, .end = ends,
};

/* 0: the name is taken. */
static actor_id try_spawn(const char *name, struct waiter *waiter, bool hidden)
{
    actor_id id;
    char why[128];
    struct spawn spawn = { .name = name, .stem = "some", .behaviour = &behaviour,
                           .state = waiter, .mailbox = MAILBOX_OPTIONS_DEFAULT, .hidden = hidden };
    int error = lifecycle_spawn(&here, &spawn, &id, why, sizeof why);
    assert(error == 0 || error == -EEXIST);
    if (error != 0)
        return 0;
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    return id;
}

static actor_id spawn(const char *name, struct waiter *waiter)
{
    actor_id id = try_spawn(name, waiter, false);
    assert(id != 0);
    return id;
}

static actor_id find(const char *name)
{
    return names_find(&here, name, strlen(name));
}

static void kick(actor_id to)
{
    struct message *message = message_new(MESSAGE_ORDINARY, TYPE_TIMEOUT, NULL, 0);
    message->to = to;
    assert(router_send(&here, &message, 0) == ROUTER_OK);
}

/* A name is found while its actor lives; the host's own and unpublished ones are
 * not, but they hold it. */
static void test_find(void)
{
    open_with(0);
    struct waiter waiter = { 0 };
    actor_id a = spawn("a", &waiter);
    actor_id hidden = try_spawn("host", &waiter, true);
    assert(find("a") == a && find("b") == 0 && find("host") == 0);
    assert(names_holder(&here, "a", 1) == a && names_holder(&here, "b", 1) == 0);
    assert(names_holder(&here, "host", 4) == hidden && hidden != 0);
    char near[ADDRESS_NAME_LIMIT + 1];
    assert(registry_suggest(&here.registry, "hots", near, sizeof near) == NULL);
    lifecycle_stop(&here, a, false);
    run();
    assert(find("a") == 0 && names_holder(&here, "a", 1) == 0);
    shut_down();
}

/* All who wait for the name are woken when it is taken, in the order in which
 * they came; who waits for another one is not; and nobody is woken twice. */
static void test_order(void)
{
    enum { MANY = 200 };
    static struct waiter waiters[MANY + 1];
    memset(waiters, 0, sizeof waiters);
    atomic_uint order = 0;
    open_with(0);
    struct waiter x = { 0 };
    for (int i = 0; i <= MANY; i++) {
        waiters[i].name = i == MANY ? "y" : "x";
        waiters[i].order = &order;
        kick(spawn(NULL, &waiters[i]));
    }
    run();
    assert(atomic_load(&here.names.waiting) == MANY + 1);
    assert(try_spawn("z", &x, false) != 0 && try_spawn("hidden", &x, true) != 0);
    run();
    assert(atomic_load(&order) == 0);
    actor_id id = spawn("x", &x);
    run();
    assert(atomic_load(&order) == MANY && atomic_load(&here.names.waiting) == 1);
    for (unsigned i = 0; i < MANY; i++)
        assert(waiters[i].place == i && atomic_load(&waiters[i].woken) == 1);
    lifecycle_stop(&here, id, false);
    run();
    spawn("x", &x); /* nobody waits for it any more */
    run();
    assert(atomic_load(&order) == MANY);
    shut_down(); /* also the one that waits for y */
}

/* Whoever waits for a name that is there does not wait; who gives up or ends has left
 * the line, and leaves nothing behind; one that gives up one of its waits goes on with
 * the others. */
static void test_forget(void)
{
    open_with(0);
    struct waiter waiters[4] = { { .name = "x" }, { .name = "x" }, { .name = "x" }, { .name = "x" } };
    actor_id ids[4];
    for (int i = 0; i < 4; i++)
        kick(ids[i] = spawn(NULL, &waiters[i]));
    run();
    size_t used = memory_used();
    names_forget(registry_find(&here.registry, ids[1]), 0);
    names_forget(registry_find(&here.registry, ids[1]), 0);
    lifecycle_stop(&here, ids[0], false);
    run();
    uint64_t first = waiters[2].wait;
    waiters[2].name = "y";
    kick(ids[2]);
    run();
    assert(atomic_load(&here.names.waiting) == 3);
    names_forget(registry_find(&here.registry, ids[2]), first + 7);
    assert(atomic_load(&here.names.waiting) == 3);
    names_forget(registry_find(&here.registry, ids[2]), first);
    assert(atomic_load(&here.names.waiting) == 2 && memory_used() < used);
    struct waiter x = { 0 };
    spawn("x", &x);
    run();
    assert(atomic_load(&waiters[0].woken) == 0 && atomic_load(&waiters[1].woken) == 0);
    assert(atomic_load(&waiters[2].woken) == 0 && atomic_load(&waiters[3].woken) == 1);
    waiters[3].name = "x";
    kick(ids[3]);
    run();
    assert(atomic_load(&waiters[3].found) == 1 && atomic_load(&here.names.waiting) == 1);
    shut_down();
    assert(memory_used() == 0);
}

/* ---- Many threads -------------------------------------------------------- */

#ifdef TROUPE_SANITIZED
enum { TURNS = 300, ROUNDS = 200 };
#else
enum { TURNS = 3000, ROUNDS = 2000 };
#endif

static atomic_bool over;

static void nap(void)
{
    atomic_uint nothing_to_wake = 0;
    park_wait(&nothing_to_wake, 0, clock_now(&here.clock) + 20 * 1000);
}

/* Takes the name whenever it is free; while it has it, it is the one that is
 * found under it, however slowly the one before goes. */
static void *take_turns(void *argument)
{
    struct waiter *state = argument;
    for (unsigned turn = 0; turn < TURNS;) {
        actor_id id = try_spawn("x", state, false);
        if (id == 0) {
            actor_id holder = names_holder(&here, "x", 1);
            assert(holder == 0 || actor_id_generation(holder) > 0);
            nap();
            continue;
        }
        turn++;
        for (int look = 0; look < 20; look++)
            assert(find("x") == id);
        assert(lifecycle_stop(&here, id, false));
        if (turn % 2 == 0) /* else the next try comes while this one dies */
            while (find("x") == id)
                nap();
    }
    return NULL;
}

/* A name is its actor's until that is removed: never does the death of one take
 * the name of the next. Meanwhile an actor that has it all the time is listed
 * exactly once, whatever comes and goes around it. */
static void test_successors(void)
{
    static char text[NAMES_LOT_ROOM];
    struct waiter states[3] = { 0 }, steady = { 0 };
    struct thread threads[3];
    open_with(2);
    spawn("steady", &steady);
    for (int i = 0; i < 3; i++)
        assert(thread_start(&threads[i], "take", 0, take_turns, &states[i]) == 0);
    for (int look = 0; look < 2000; look++) {
        unsigned seen = 0;
        for (uint32_t position = 0; position != UINT32_MAX;) {
            size_t size = names_list(&here, "s", 1, text, &position);
            for (const char *each = text; each < text + size; each += strlen(each) + 1) {
                assert(strcmp(each, "steady") == 0);
                seen++;
            }
        }
        assert(seen == 1);
    }
    for (int i = 0; i < 3; i++)
        thread_join(&threads[i]);
    shut_down();
}

/* Waiters begin to wait while the name is being taken: none is forgotten. */
static void test_no_wake_is_lost(void)
{
    enum { WAITERS = 8 };
    static struct waiter waiters[WAITERS];
    actor_id ids[WAITERS];
    struct waiter x = { 0 };
    memset(waiters, 0, sizeof waiters);
    open_with(2);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i].name = "x";
        ids[i] = spawn(NULL, &waiters[i]);
    }
    for (unsigned round = 1; round <= ROUNDS; round++) {
        for (int i = 0; i < WAITERS; i++)
            kick(ids[i]);
        for (unsigned i = 0; i < round % 64; i++)
            cpu_relax();
        actor_id id = spawn("x", &x);
        for (int i = 0; i < WAITERS; i++) {
            for (int naps = 0;
                 atomic_load(&waiters[i].found) + atomic_load(&waiters[i].woken) < round; naps++) {
                assert(naps < 1000000);
                nap();
            }
        }
        assert(atomic_load(&here.names.waiting) == 0);
        lifecycle_stop(&here, id, false);
        while (find("x") != 0)
            nap();
    }
    for (int i = 0; i < WAITERS; i++)
        assert(atomic_load(&waiters[i].found) + atomic_load(&waiters[i].woken) == ROUNDS);
    shut_down();
}

static void *give_up(void *argument)
{
    (void)argument;
    struct waiter x = { 0 };
    while (!atomic_load(&over)) {
        actor_id id = spawn("x", &x);
        lifecycle_stop(&here, id, false);
        while (find("x") != 0)
            nap();
    }
    return NULL;
}

/* Waiters come and end while the name comes and goes: nothing is left of them. */
static void test_waiters_end(void)
{
    static struct waiter waiter = { .name = "x" };
    struct thread thread;
    open_with(2);
    atomic_store(&over, false);
    assert(thread_start(&thread, "x", 0, give_up, NULL) == 0);
    for (int i = 0; i < TURNS; i++) {
        struct waiter *own = memory_get_zeroed(sizeof *own);
        own->name = waiter.name;
        actor_id id = spawn(NULL, own);
        kick(id);
        lifecycle_stop(&here, id, i % 2 == 0);
        for (int naps = 0; registry_find(&here.registry, id) != NULL; naps++) {
            assert(naps < 1000000);
            nap();
        }
        memory_put(own, sizeof *own);
    }
    atomic_store(&over, true);
    thread_join(&thread);
    assert(atomic_load(&here.names.waiting) == 0);
    shut_down();
}

#ifdef TROUPE_FAULTS
/* Without memory nobody waits, and nothing is left. */
static void test_faults(void)
{
    open_with(0);
    struct waiter waiter = { 0 };
    struct actor *actor = registry_find(&here.registry, spawn(NULL, &waiter));
    run();
    size_t used = memory_used();
    int error = -ENOMEM;
    for (uint64_t n = 1; error != 0; n++) {
        actor_id id;
        fault_arm(n);
        error = names_await(actor, "x", 1, 1, &id);
        fault_arm(0);
        assert(error == 0 || error == -ENOMEM);
        if (error != 0)
            assert(atomic_load(&here.names.waiting) == 0);
    }
    names_forget(actor, 0);
    assert(here.names.awaited.count == 0 && memory_used() >= used);
    shut_down();
}
#endif

int main(void)
{
    test_find();
    test_order();
    test_forget();
    test_successors();
    test_no_wake_is_lost();
    test_waiters_end();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    assert(memory_used() == 0);
    puts("names: ok");
    return 0;
}
