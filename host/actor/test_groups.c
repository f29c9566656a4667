/* test_groups.c -- the promises of groups.h. */
#include "actor/test_system.h"
#include "base/fault.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { PUBLISHERS = 2 };

/* Counts what it gets, from whom; what publishers send are numbers that go up. */
struct member {
    atomic_uint handled;
    uint32_t last[PUBLISHERS];
    bool     restless;         /* each message makes it leave, or join again */
    bool     inside;
};

static enum verdict receive(struct actor *actor, struct message *message)
{
    struct member *member = actor->state;
    if (message->kind == MESSAGE_START && member->restless) {
        member->inside = true;
        assert(groups_join(actor, "crowd", 5) == 0);
    } else if (message->kind == MESSAGE_ORDINARY && message->size == 2 * sizeof(uint32_t)) {
        uint32_t from_number[2];
        memcpy(from_number, message->payload, sizeof from_number);
        assert(from_number[0] < PUBLISHERS);
        assert(from_number[1] > member->last[from_number[0]]); /* in order, and once */
        member->last[from_number[0]] = from_number[1];
        atomic_fetch_add(&member->handled, 1);
    } else if (message->kind == MESSAGE_ORDINARY && member->restless) {
        if (member->inside)
            assert(groups_leave(actor, "crowd", 5));
        else
            assert(groups_join(actor, "crowd", 5) == 0);
        member->inside = !member->inside;
    }
    message_free(message);
    return VERDICT_DONE;
}

static const struct behaviour behaviour = {
    .receive = receive, .go_on = nothing, .cut = nothing, .shut_down = nothing, .end = ends,
};

static struct actor *spawn_with(struct member *member, struct mailbox_options mailbox)
{
    actor_id id;
    char why[128];
    struct spawn spawn = { .stem = "member", .behaviour = &behaviour, .state = member,
                           .mailbox = mailbox };
    assert(lifecycle_spawn(&here, &spawn, &id, why, sizeof why) == 0);
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    return registry_find(&here.registry, id);
}

static struct actor *spawn(struct member *member)
{
    return spawn_with(member, MAILBOX_OPTIONS_DEFAULT);
}

static void stop(struct actor *actor)
{
    lifecycle_stop(&here, actor_self(actor), false);
}

static bool join(struct actor *actor, const char *name)
{
    return groups_join(actor, name, strlen(name)) == 0;
}

static bool leave(struct actor *actor, const char *name)
{
    return groups_leave(actor, name, strlen(name));
}

static size_t count_of(const char *name)
{
    return groups_members(&here, name, strlen(name), NULL, 0);
}

static size_t publish(const char *name, uint32_t from, uint32_t number, size_t *refused)
{
    uint32_t payload[2] = { from, number };
    struct message *model = message_new(MESSAGE_ORDINARY, TYPE_TIMEOUT, payload, sizeof payload);
    size_t taken = groups_publish(&here, name, strlen(name), model, refused);
    message_free(model);
    return taken;
}

/* Members come in the order of joining; joining again changes nothing, leaving
 * and joining puts one at the end; a group is gone with its last member. */
static void test_order(void)
{
    open_with(0);
    struct member members[3] = { 0 };
    struct actor *a = spawn(&members[0]), *b = spawn(&members[1]), *c = spawn(&members[2]);
    run();
    actor_id ids[3];
    assert(count_of("g") == 0 && !leave(a, "g"));
    assert(join(c, "g") && join(a, "g") && join(b, "g") && join(c, "g") && join(a, "other"));
    assert(groups_members(&here, "g", 1, ids, 3) == 3);
    assert(ids[0] == actor_self(c) && ids[1] == actor_self(a) && ids[2] == actor_self(b));
    assert(leave(c, "g") && !leave(c, "g") && join(c, "g"));
    assert(groups_members(&here, "g", 1, ids, 1) == 3 && ids[0] == actor_self(a));
    assert(groups_members(&here, "g", 1, ids, 3) == 3 && ids[2] == actor_self(c));
    assert(leave(a, "g") && leave(b, "g") && leave(c, "g") && count_of("g") == 0);
    assert(here.groups.by_name.count == 1 && count_of("other") == 1);
    shut_down();
    assert(memory_used() == 0);
}

/* Whoever ends has left all its groups, before anybody else can have its slot. */
static void test_end(void)
{
    open_with(0);
    struct member members[2] = { 0 };
    struct actor *a = spawn(&members[0]), *b = spawn(&members[1]);
    run();
    char name[16];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "g%d", i);
        assert(join(a, name) && (i % 2 == 0 || join(b, name)));
    }
    stop(a);
    run();
    assert(here.groups.by_name.count == 10 && a->memberships == NULL);
    actor_id ids[2];
    assert(groups_members(&here, "g1", 2, ids, 2) == 1 && ids[0] == actor_self(b));
    size_t refused;
    assert(publish("g1", 0, 1, &refused) == 1 && refused == 0);
    run();
    assert(atomic_load(&members[1].handled) == 1 && atomic_load(&members[0].handled) == 0);
    shut_down();
}

/* An actor can be in so many groups and no more. */
static void test_limit(void)
{
    open_with(0);
    struct member member = { 0 };
    struct actor *a = spawn(&member);
    run();
    char name[16];
    for (int i = 0; i < GROUPS_EACH; i++) {
        snprintf(name, sizeof name, "g%d", i);
        assert(join(a, name));
    }
    assert(groups_join(a, "more", 4) == -EAGAIN && groups_join(a, "g0", 2) == 0);
    assert(leave(a, "g500") && join(a, "more") && count_of("more") == 1);
    shut_down();
}

/* A full mailbox refuses its copy, or drops one as it is told to; what is refused
 * is a dead letter, and nobody else is kept waiting. */
static void test_full(void)
{
    open_with(0);
    struct member members[3] = { 0 };
    struct mailbox_options small = MAILBOX_OPTIONS_DEFAULT, dropping = MAILBOX_OPTIONS_DEFAULT;
    small.limit = dropping.limit = 1;
    dropping.overflow = OVERFLOW_DROP_NEW;
    struct actor *a = spawn_with(&members[0], small), *b = spawn(&members[1]);
    struct actor *c = spawn_with(&members[2], dropping);
    run();
    assert(join(a, "g") && join(b, "g") && join(c, "g"));
    size_t refused;
    assert(publish("g", 0, 1, &refused) == 3 && refused == 0);
    assert(publish("g", 0, 2, &refused) == 2 && refused == 1);
    assert(dead_letters_total(&here.letters) == 2);
    run();
    assert(atomic_load(&members[0].handled) == 1 && atomic_load(&members[1].handled) == 2);
    assert(atomic_load(&members[2].handled) == 1);
    assert(publish("nobody", 0, 3, &refused) == 0 && refused == 0);
    shut_down();
}

/* However many come and go, the members and their order are those of a plain list,
 * and the memory is that of those that are left. */
static void test_model(void)
{
    enum { ACTORS = 300, STEPS = 30000 };
    static struct member member;
    static struct actor *actors[ACTORS];
    static actor_id model[ACTORS], ids[ACTORS];
    bool inside[ACTORS] = { 0 };
    size_t count = 0;
    uint32_t random = 1;
    open_with(0);
    for (int i = 0; i < ACTORS; i++)
        actors[i] = spawn(&member);
    run();
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525u + 1013904223u;
        unsigned i = (random >> 8) % ACTORS;
        bool growing = step / 5000 % 2 == 0; /* full and nearly empty in turn */
        if (!inside[i] && (growing || (random >> 20) % 16 == 0)) {
            assert(join(actors[i], "g"));
            model[count++] = actor_self(actors[i]);
            inside[i] = true;
        } else if (inside[i] && (!growing || (random >> 20) % 16 == 0)) {
            assert(leave(actors[i], "g"));
            size_t at = 0;
            while (model[at] != actor_self(actors[i]))
                at++;
            memmove(&model[at], &model[at + 1], (--count - at) * sizeof *model);
            inside[i] = false;
        }
        if (step % 50 != 0)
            continue;
        assert(groups_members(&here, "g", 1, ids, ACTORS) == count);
        assert(memcmp(ids, model, count * sizeof *ids) == 0);
    }
    shut_down();
    assert(memory_used() == 0);
}

/* ---- Many threads -------------------------------------------------------- */

#ifdef TROUPE_SANITIZED
enum { STEADY = 20, RESTLESS = 10, PUBLISHED = 150 };
#else
enum { STEADY = 100, RESTLESS = 50, PUBLISHED = 1000 };
#endif

static _Atomic uint64_t taken_in_all;

static void *publish_all(void *argument)
{
    uint32_t self = *(uint32_t *)argument;
    for (uint32_t number = 1; number <= PUBLISHED; number++) {
        size_t refused;
        size_t taken = publish("crowd", self, number, &refused);
        assert(refused == 0 && taken >= STEADY);
        atomic_fetch_add(&taken_in_all, taken);
    }
    return NULL;
}

/* While members come and go and end, those that stay get all that is published,
 * in each publisher's order; nobody gets anything twice; and what was taken was
 * handled. */
static void test_threads(void)
{
    static struct member members[STEADY + RESTLESS];
    static struct actor *actors[STEADY + RESTLESS];
    struct mailbox_options mailbox = { .limit = 1000000, .bytes = 1u << 30 };
    uint32_t selves[PUBLISHERS] = { 0, 1 };
    struct thread threads[PUBLISHERS];
    memset(members, 0, sizeof members);
    atomic_store(&taken_in_all, 0);
    open_with(2);
    for (unsigned i = 0; i < STEADY + RESTLESS; i++) {
        /* Those that stay join as restless ones do, but nothing moves them. */
        members[i].restless = true;
        actors[i] = spawn_with(&members[i], mailbox);
    }
    while (count_of("crowd") < STEADY + RESTLESS)
        sched_yield();
    for (int i = 0; i < PUBLISHERS; i++)
        assert(thread_start(&threads[i], "publish", 0, publish_all, &selves[i]) == 0);
    uint64_t moves = 0;
    while (count_of("crowd") >= STEADY && moves < 200000) {
        unsigned i = STEADY + (unsigned)(moves++ % RESTLESS);
        struct message *move = message_new(MESSAGE_ORDINARY, TYPE_TIMEOUT, NULL, 0);
        move->to = actor_self(actors[i]);
        router_send(&here, &move, 0);
        message_free(move);
        if (moves % 1000 == 0 && moves / 1000 <= RESTLESS / 2)
            stop(actors[STEADY + moves / 1000]);
        uint64_t least = atomic_load(&members[0].handled);
        if (least == PUBLISHERS * PUBLISHED)
            break;
    }
    for (int i = 0; i < PUBLISHERS; i++)
        thread_join(&threads[i]);
    uint64_t handled = 0;
    shut_down(); /* handles what is queued */
    for (unsigned i = 0; i < STEADY + RESTLESS; i++)
        handled += atomic_load(&members[i].handled);
    for (unsigned i = 0; i < STEADY; i++)
        assert(atomic_load(&members[i].handled) == PUBLISHERS * PUBLISHED);
    assert(handled <= atomic_load(&taken_in_all)); /* less what those stopped had queued */
    assert(memory_used() == 0);
}

#ifdef TROUPE_FAULTS
/* Without memory one is not in the group, and the group is as it was. */
static void test_faults(void)
{
    open_with(0);
    struct member members[2] = { 0 };
    struct actor *a = spawn(&members[0]), *b = spawn(&members[1]);
    run();
    int error = -ENOMEM;
    for (uint64_t n = 1; error != 0; n++) {
        fault_arm(n);
        error = groups_join(a, "g", 1);
        fault_arm(0);
        assert(error == 0 || error == -ENOMEM);
        assert(count_of("g") == (error == 0 ? 1 : 0));
        assert(error == 0 || (a->memberships == NULL && here.groups.by_name.count == 0));
    }
    assert(join(b, "g"));
    size_t refused;
    fault_arm(2); /* the model, then the first copy */
    assert(publish("g", 0, 1, &refused) == 1 && refused == 1);
    fault_arm(0);
    run();
    shut_down();
}
#endif

int main(void)
{
    test_order();
    test_end();
    test_limit();
    test_full();
    test_model();
    test_threads();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    assert(memory_used() == 0);
    puts("groups: ok");
    return 0;
}
