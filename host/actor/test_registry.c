/* test_registry.c -- the promises of registry.h. */
#include "actor/registry.h"
#include "base/fault.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct registry registry;

static void open_with(uint32_t limit)
{
    assert(registry_open(&registry, limit) == 0);
}

static struct actor *add(const char *name, const char *stem)
{
    struct actor *actor;
    assert(registry_add(&registry, name, stem, 0, &actor) == 0);
    registry_publish(&registry, actor);
    return actor;
}

static void end(struct actor *actor)
{
    registry_remove(&registry, actor);
    registry_release(&registry, actor);
}

static actor_id find(const char *name)
{
    return registry_find_name(&registry, name, strlen(name));
}

static bool is_called(actor_id id, const char *name)
{
    char text[ADDRESS_NAME_LIMIT + 1];
    return strcmp(registry_name(&registry, id, text, sizeof text), name) == 0;
}

/* An actor is found by id and by name once it is published, and not after it
 * is removed. */
static void test_find(void)
{
    open_with(10);
    struct actor *actor;
    assert(registry_add(&registry, "pong", NULL, 0, &actor) == 0);
    assert(actor_self(actor) == 0 && find("pong") == 0 && registry.oldest == NULL);
    actor_id id = registry_publish(&registry, actor);
    assert(id != 0 && actor_self(actor) == id && actor_id_generation(id) == 1);
    assert(actor->parent == NULL && strcmp(actor->name, "pong") == 0);
    assert(registry_find(&registry, id) == actor && find("pong") == id);
    assert(registry_find_name(&registry, "pongo", 4) == id && find("pongo") == 0);
    assert(is_called(id, "pong") && is_called(0, "nobody"));
    assert(atomic_load(&registry.living) == 1);

    registry_remove(&registry, actor);
    assert(registry_find(&registry, id) == NULL && find("pong") == 0);
    assert(is_called(id, "an ended actor") && atomic_load(&registry.ended) == 1);
    registry_release(&registry, actor);
    registry_close(&registry);
}

static actor_id add_child(struct actor *parent)
{
    struct actor *child;
    assert(registry_add(&registry, NULL, "child", actor_self(parent), &child) == 0);
    return registry_publish(&registry, child);
}

/* An ending actor's children are handed over, youngest first, in lots; those
 * that have ended or are somebody else's are not among them. */
static void test_children(void)
{
    open_with(20);
    struct actor *parent = add("parent", NULL), *other = add("other", NULL);
    actor_id children[6], lot[4];
    for (int i = 0; i < 6; i++)
        children[i] = add_child(parent);
    actor_id foreign = add_child(other);
    end(registry_find(&registry, children[5]));
    end(registry_find(&registry, children[2]));

    assert(registry_take_children(&registry, parent, lot, 3, false) == 3);
    assert(lot[0] == children[4] && lot[1] == children[3] && lot[2] == children[1]);
    assert(registry_take_children(&registry, parent, lot, 3, false) == 1 && lot[0] == children[0]);
    assert(registry_take_children(&registry, parent, lot, 3, false) == 0);
    end(parent);
    end(registry_find(&registry, children[4]));
    assert(registry_take_children(&registry, other, lot, 3, false) == 1 && lot[0] == foreign);
    end(registry_find(&registry, foreign));
    for (int i = 0; i < 6; i++)
        if (registry_find(&registry, children[i]) != NULL)
            end(registry_find(&registry, children[i]));
    end(other);
    registry_close(&registry);
}

/* Numbers that are nobody's id find nobody. */
static void test_nobody(void)
{
    open_with(10);
    static const actor_id wrong[] = { 0, 1, 5, UINT64_C(1) << 32, UINT64_C(9) << 32 | 1, 300,
                                      REGISTRY_SLOT_LIMIT, UINT32_MAX, UINT64_MAX };
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert(registry_find(&registry, wrong[i]) == NULL);
    struct actor *actor = add("a", NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert(registry_find(&registry, wrong[i]) == NULL);
    end(actor);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert(registry_find(&registry, wrong[i]) == NULL);
    registry_close(&registry);
}

/* A name is taken until its actor is removed; unnamed ones are numbered, and
 * never take a name that somebody has. */
static void test_names(void)
{
    open_with(10);
    struct actor *a = add("pong#2", NULL), *other;
    assert(registry_add(&registry, "pong#2", NULL, 0, &other) == -EEXIST);
    struct actor *b = add(NULL, "pong"), *c = add(NULL, "pong");
    assert(strcmp(b->name, "pong#1") == 0 && strcmp(c->name, "pong#3") == 0);
    end(a);
    a = add("pong#2", NULL);

    char stem[600], text[ADDRESS_NAME_LIMIT + 1];
    memset(stem, 's', sizeof stem - 1);
    stem[sizeof stem - 1] = '\0';
    other = add(NULL, stem);
    assert(strlen(other->name) == ADDRESS_NAME_LIMIT && strstr(other->name, "s#4") != NULL);

    assert(strcmp(registry_suggest(&registry, "png#2", text, sizeof text), "pong#2") == 0);
    assert(registry_suggest(&registry, "zzzzzz", text, sizeof text) == NULL);
    end(a);
    end(b);
    end(c);
    end(other);
    registry_close(&registry);
}

/* No more than the limit at once; slots come again in the order in which they
 * were given back, and never an id. */
static void test_slots(void)
{
    enum { LIMIT = 3 };
    open_with(LIMIT);
    struct actor *actors[LIMIT], *more;
    actor_id ids[LIMIT];
    for (int i = 0; i < LIMIT; i++) {
        actors[i] = add(NULL, "a");
        ids[i] = actor_self(actors[i]);
    }
    assert(registry_add(&registry, NULL, "a", 0, &more) == -EAGAIN);
    assert(registry_add(&registry, "a#1", NULL, 0, &more) == -EEXIST);
    end(actors[1]);
    end(actors[0]);
    assert(add(NULL, "a") == actors[1] && add(NULL, "a") == actors[0]);
    for (int i = 0; i < 2; i++) {
        assert(actor_id_slot(actor_self(actors[i])) == actor_id_slot(ids[i]));
        assert(actor_id_generation(actor_self(actors[i])) == 2);
        assert(registry_find(&registry, ids[i]) == NULL);
    }
    actors[2]->generation = UINT32_MAX;
    end(actors[2]);
    assert(add(NULL, "a") == actors[2]);
    assert(actor_id_generation(actor_self(actors[2])) == 1); /* 0 is left out */
    for (int i = 0; i < LIMIT; i++)
        end(actors[i]);
    registry_close(&registry);
}

/* The list of the living is in order of birth, that is of publishing. */
static void test_order(void)
{
    open_with(10);
    struct actor *a, *b = NULL, *c;
    assert(registry_add(&registry, "a", NULL, 0, &a) == 0);
    b = add("b", NULL);
    registry_publish(&registry, a);
    c = add("c", NULL);
    assert(registry.oldest == b && b->born_after == a && a->born_after == c);
    assert(registry.newest == c && c->born_before == a && a->born_before == b);
    registry_make_newest(&registry, a); /* started again */
    registry_make_newest(&registry, a);
    assert(registry.oldest == b && b->born_after == c && c->born_after == a);
    assert(registry.newest == a && a->born_before == c && a->born_after == NULL);
    registry_make_newest(&registry, b);
    assert(registry.oldest == c && registry.newest == b && c->born_before == NULL);
    registry_make_newest(&registry, c);
    end(a);
    assert(b->born_after == c && c->born_before == b);
    end(c);
    assert(registry.newest == b && b->born_after == NULL);
    end(b);
    assert(registry.newest == NULL && registry.oldest == NULL);

    assert(registry_add(&registry, "d", NULL, 0, &a) == 0); /* taken back unpublished */
    end(a);
    assert(atomic_load(&registry.ended) == 3 && find("d") == 0 && registry.taken == 0);
    registry_close(&registry);
}

/* An actor that is born has no alarm and waits for nobody. */
static void test_fresh(void)
{
    open_with(1000);
    for (int i = 0; i < 300; i++) {
        struct actor *actor = add(NULL, "a");
        assert(atomic_load(&actor->alarm.wanted_ns) == UINT64_MAX);
        assert(atomic_load(&actor->alarm.armed_ns) == UINT64_MAX);
        assert(atomic_load(&actor->edge) == 0 && (uintptr_t)actor % CACHE_LINE == 0);
        atomic_store(&actor->edge, 1);
    }
    while (registry.newest != NULL)
        end(registry.newest);
    assert(atomic_load(&add("a", NULL)->edge) == 0);
    end(registry.newest);
    registry_close(&registry);
}

static _Atomic actor_id shown[64];
static atomic_bool over;

static void *come_and_go(void *argument)
{
    unsigned place = *(unsigned *)argument;
    for (int i = 0; i < 20000; i++) {
        struct actor *actor;
        assert(registry_add(&registry, NULL, "a", 0, &actor) == 0);
        actor->state = argument;
        actor_id id = registry_publish(&registry, actor);
        atomic_store(&shown[(place * 16 + (unsigned)i % 16) % 64], id);
        assert(registry_find(&registry, id) == actor);
        end(actor);
        assert(registry_find(&registry, id) == NULL);
    }
    return NULL;
}

static void *look_around(void *argument)
{
    (void)argument;
    char text[64];
    for (unsigned i = 0; !atomic_load(&over); i++) {
        actor_id id = atomic_load(&shown[i % 64]);
        struct actor *actor = registry_find(&registry, id);
        if (actor != NULL)
            assert(actor->slot == actor_id_slot(id));
        if (i % 16 == 0)
            assert(registry_name(&registry, id, text, sizeof text)[0] != '\0');
    }
    return NULL;
}

/* Many come and go while others look for them. */
static void test_threads(void)
{
    open_with(100);
    unsigned places[3] = { 0, 1, 2 };
    struct thread threads[4];
    atomic_store(&over, false);
    for (int i = 0; i < 3; i++)
        assert(thread_start(&threads[i], "go", 0, come_and_go, &places[i]) == 0);
    assert(thread_start(&threads[3], "look", 0, look_around, NULL) == 0);
    for (int i = 0; i < 3; i++)
        thread_join(&threads[i]);
    atomic_store(&over, true);
    thread_join(&threads[3]);
    assert(atomic_load(&registry.ended) == 60000 && registry.taken == 0);
    registry_close(&registry);
}

#ifdef TROUPE_FAULTS
/* Without memory nothing has changed. */
static void test_faults(void)
{
    int error = -ENOMEM;
    for (uint64_t n = 1; error != 0; n++) {
        fault_arm(n);
        error = registry_open(&registry, 10);
        assert(error == 0 || error == -ENOMEM);
    }
    error = -ENOMEM;
    struct actor *actor;
    for (uint64_t n = 1; error != 0; n++) {
        assert(find("a") == 0 && registry.taken == 0);
        fault_arm(n);
        error = registry_add(&registry, "a", NULL, 0, &actor);
        assert(error == 0 || error == -ENOMEM);
    }
    fault_arm(0);
    registry_publish(&registry, actor);
    end(actor);
    registry_close(&registry);
}
#endif

int main(void)
{
    size_t before = memory_used();
    test_find();
    test_children();
    test_nobody();
    test_names();
    test_slots();
    test_order();
    test_fresh();
    test_threads();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    assert(memory_used() == before);
    puts("registry: ok");
    return 0;
}
