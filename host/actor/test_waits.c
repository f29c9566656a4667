/* test_waits.c -- the promises of waits.h: every circle is found, and no other. */
#include "actor/system.h"
#include "actor/waits.h"
#include "base/memory.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static struct system system_;

static struct actor *add_named(const char *name)
{
    struct actor *actor;
    assert(registry_add(&system_.registry, name, "x", 0, &actor) == 0);
    actor->system = &system_;
    registry_publish(&system_.registry, actor);
    return actor;
}

static void end(struct actor *actor)
{
    registry_remove(&system_.registry, actor);
    registry_release(&system_.registry, actor);
}

static char said[200]; /* by begin() and move(), on the first thread */

/* Starts the next wait of `actor`; true if it may wait. */
static bool begin(struct actor *actor, struct actor *target)
{
    said[0] = '\0';
    return waits_begin(actor, actor_self(target), ++actor->waits, said, sizeof said);
}

static void finish(struct actor *actor)
{
    waits_end(&system_, actor_self(actor), actor->waits);
}

static bool move(struct actor *waiter, struct actor *target)
{
    said[0] = '\0';
    return waits_move(&system_, actor_self(waiter), waiter->waits, actor_self(target), said,
                      sizeof said);
}

static bool waits(const struct actor *actor)
{
    return atomic_load(&actor->edge) != 0;
}

/* The one that closes a circle is refused, and the circle is named; the others
 * go on waiting, and it may wait for somebody else. */
static void test_circles(void)
{
    struct actor *a = add_named("a"), *b = add_named("b"), *c = add_named("c");

    assert(!begin(a, a) && strcmp(said, "a -> a") == 0 && !waits(a));
    assert(begin(a, b) && begin(b, c));
    assert(!begin(c, a) && strcmp(said, "c -> a -> b -> c") == 0);
    assert(waits(a) && waits(b) && !waits(c));
    assert(!begin(c, b) && strcmp(said, "c -> b -> c") == 0);
    finish(b);
    assert(!waits(b) && begin(c, b));
    finish(a);
    finish(c);
    assert(!waits(a) && !waits(c));

    /* A line that ends, and one that runs into a circle of others. */
    assert(begin(a, b) && begin(b, c));
    struct actor *d = add_named("d");
    assert(begin(d, a));
    atomic_store(&c->edge, atomic_load(&a->edge)); /* b -> c -> b: its closer has not looked yet */
    struct actor *e = add_named("e");
    assert(begin(e, d));
    end(e);
    end(d);
    end(c);
    end(b);
    end(a);
}

/* A wait is ended by its number only. */
static void test_numbers(void)
{
    struct actor *a = add_named("a"), *b = add_named("b");
    assert(begin(a, b));
    waits_end(&system_, actor_self(a), a->waits - 1);
    waits_end(&system_, actor_self(a), a->waits + 1);
    waits_end(&system_, actor_self(b), a->waits);
    waits_end(&system_, 0, a->waits);
    assert(waits(a));
    finish(a);
    assert(!waits(a));
    finish(a);
    end(b);
    end(a);
}

/* An edge does not lead to the next tenant of its target's slot. */
static void test_tenants(void)
{
    struct actor *a = add_named("a"), *b = add_named("b");
    actor_id was = actor_self(b);
    assert(begin(a, b));
    end(b);
    struct actor *next, *others[20];
    size_t count = 0;
    while ((next = add_named(NULL)) != b)
        others[count++] = next;
    assert(begin(next, a)); /* no circle: a waits for the one before */
    finish(next);
    finish(a);
    assert(waits_begin(a, was, ++a->waits, said, sizeof said) && !waits(a)); /* gone already */
    waits_end(&system_, was, next->waits);
    while (count > 0)
        end(others[--count]);
    end(next);
    end(a);
}

/* A question that is passed on takes its edge along, unless that closes a
 * circle. */
static void test_move(void)
{
    struct actor *a = add_named("a"), *b = add_named("b"), *c = add_named("c");
    assert(begin(a, b) && move(a, c));
    assert(begin(b, a)); /* a waits for c now */
    assert(!begin(c, b) && strcmp(said, "c -> b -> a -> c") == 0);
    assert(!move(a, b) && strcmp(said, "a -> b -> a") == 0);
    assert(!move(a, a) && strcmp(said, "a -> a") == 0);
    assert(!begin(c, a)); /* it still waits for c */
    finish(a);
    assert(!waits(a) && move(a, c) && !waits(a)); /* nothing to move */
    finish(b);
    end(c);
    end(b);
    end(a);
}

/* A long circle is found whole, and told as far as there is room. */
static void test_long(void)
{
    enum { MANY = 2000 };
    static struct actor *actors[MANY];
    char name[16], small[16];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "a%d", i);
        actors[i] = add_named(name);
    }
    for (int i = 1; i < MANY; i++)
        assert(begin(actors[i], actors[(i + 1) % MANY]));
    assert(!begin(actors[0], actors[1]));
    assert(strcmp(said, "a0 -> a1 -> a2 -> a3 -> a4 -> a5 -> a6 -> a7 -> a8 -> a9 -> a10 -> a11 -> "
                        "a12 -> a13 -> a14 -> a15 -> ... -> a0") == 0);
    actor_id first = actor_self(actors[1]);
    assert(!waits_begin(actors[0], first, ++actors[0]->waits, small, sizeof small));
    assert(strcmp(small, "a0 -> a1 -> ...") == 0);
    assert(!waits_begin(actors[0], first, ++actors[0]->waits, small, 2));
    assert(!waits_begin(actors[0], first, ++actors[0]->waits, NULL, 0));
    for (int i = 0; i < MANY; i++)
        end(actors[i]);
}

/* ---- Many threads -------------------------------------------------------- */

/* Lets `parties` threads begin each round as nearly at once as can be. */
struct barrier {
    atomic_uint arrived, round;
};

static void meet(struct barrier *barrier, unsigned parties)
{
    unsigned round = atomic_load(&barrier->round);
    if (atomic_fetch_add(&barrier->arrived, 1) + 1 == parties) {
        atomic_store(&barrier->arrived, 0);
        atomic_store(&barrier->round, round + 1);
        return;
    }
    for (unsigned turn = 1; atomic_load(&barrier->round) == round; turn++) {
        if (turn % 256 == 0)
            sched_yield();
        else
            cpu_relax();
    }
}

/* Shifts two threads against each other by a little more each round. */
static void dawdle(int turns)
{
    for (int i = 0; i < turns; i++)
        cpu_relax();
}

/* How long each of the rings is tried, and how much is played. */
#define TRIED_NS NS_PER_SEC
#ifdef TROUPE_SANITIZED
enum { QUESTIONS = 3000 };
#else
enum { QUESTIONS = 30000 };
#endif

struct ring {
    struct barrier barrier;
    unsigned       size;
    uint64_t       until_ns;
    struct actor  *actors[4];
    atomic_uint    refused;
    atomic_bool    odd;
    atomic_bool    over; /* set by member 0 before the last meeting of a round */
};

static struct clock clock_; /* the system's stands still */

struct member {
    struct ring *ring;
    unsigned     index;
};

static void *close_rings(void *argument)
{
    struct member *member = argument;
    struct ring *ring = member->ring;
    struct actor *self = ring->actors[member->index];
    actor_id next = actor_self(ring->actors[(member->index + 1) % ring->size]);
    char circle[64];
    for (int round = 0; !atomic_load(&ring->over); round++) {
        meet(&ring->barrier, ring->size);
        dawdle(member->index == 0 ? round % 8 : round / 8 % 8);
        if (!waits_begin(self, next, ++self->waits, circle, sizeof circle))
            atomic_fetch_add(&ring->refused, 1);
        meet(&ring->barrier, ring->size);
        if (member->index == 0) {
            if (atomic_exchange(&ring->refused, 0) != 1)
                atomic_store(&ring->odd, true);
            atomic_store(&ring->over, clock_now(&clock_) > ring->until_ns);
        }
        waits_end(&system_, actor_self(self), self->waits);
        meet(&ring->barrier, ring->size);
    }
    return NULL;
}

/* B waits for C; then, while A begins to wait for B, C answers B and at once
 * waits for A: edges of a circle that never is one. A's thread plays B too. */
static void *answer_in_time(void *argument)
{
    struct member *member = argument;
    struct ring *ring = member->ring;
    struct actor *a = ring->actors[0], *c = ring->actors[1], *b = ring->actors[2];
    char circle[64];
    for (int round = 0; !atomic_load(&ring->over); round++) {
        if (member->index == 0)
            assert(waits_begin(b, actor_self(c), ++b->waits, circle, sizeof circle));
        meet(&ring->barrier, ring->size);
        dawdle(member->index == 0 ? round % 8 : round / 8 % 8);
        bool may;
        if (member->index == 0) {
            may = waits_begin(a, actor_self(b), ++a->waits, circle, sizeof circle);
        } else {
            waits_end(&system_, actor_self(b), b->waits);
            may = waits_begin(c, actor_self(a), ++c->waits, circle, sizeof circle);
        }
        if (!may)
            atomic_store(&ring->odd, true);
        meet(&ring->barrier, ring->size);
        waits_end(&system_, actor_self(member->index == 0 ? a : c),
                  (member->index == 0 ? a : c)->waits);
        if (member->index == 0)
            atomic_store(&ring->over, clock_now(&clock_) > ring->until_ns);
        meet(&ring->barrier, ring->size);
    }
    return NULL;
}

static void run_ring(unsigned size, void *(*body)(void *))
{
    struct ring ring = { .size = size, .until_ns = clock_now(&clock_) + TRIED_NS };
    struct member members[4];
    struct thread threads[4];
    for (unsigned i = 0; i < ARRAY_LENGTH(ring.actors); i++)
        ring.actors[i] = add_named(NULL);
    for (unsigned i = 0; i < size; i++) {
        members[i] = (struct member){ .ring = &ring, .index = i };
        assert(thread_start(&threads[i], "ring", 0, body, &members[i]) == 0);
    }
    for (unsigned i = 0; i < size; i++)
        thread_join(&threads[i]);
    assert(!atomic_load(&ring.odd));
    for (unsigned i = 0; i < ARRAY_LENGTH(ring.actors); i++)
        end(ring.actors[i]);
}

/* A question that its asker sees answered by a number. */
struct question {
    struct question *next;
    struct actor    *asker;
    uint64_t         wait;
};

/* An actor that asks others at random, and answers or passes on what it is
 * asked only while it does not wait. */
struct player {
    struct actor     *actor;
    struct spin       lock;
    struct question  *asked;    /* guarded by lock */
    struct question   own;
    _Atomic uint64_t  answered; /* the wait that was */
    unsigned          random;
    unsigned          refused;
};

enum { PLAYERS = 6 };
static struct player players[PLAYERS];
static atomic_uint   still_asking;

static unsigned throw_dice(struct player *player, unsigned sides)
{
    player->random = player->random * 1103515245u + 12345u;
    return player->random / 65536u % sides;
}

static struct player *player_of(const struct actor *actor)
{
    for (int i = 0; i < PLAYERS; i++)
        if (players[i].actor == actor)
            return &players[i];
    UNREACHABLE();
}

static void hand_over(struct player *to, struct question *question)
{
    spin_acquire(&to->lock);
    question->next = to->asked;
    to->asked = question;
    spin_release(&to->lock);
}

static void serve(struct player *self)
{
    char circle[64];
    spin_acquire(&self->lock);
    struct question *asked = self->asked;
    self->asked = NULL;
    spin_release(&self->lock);
    while (asked != NULL) {
        struct question *question = asked;
        asked = question->next;
        struct player *other = &players[throw_dice(self, PLAYERS)];
        if (throw_dice(self, 3) == 0 && other != self &&
            waits_move(&system_, actor_self(question->asker), question->wait,
                       actor_self(other->actor), circle, sizeof circle)) {
            hand_over(other, question);
            continue;
        }
        uint64_t wait = question->wait;
        struct player *asker = player_of(question->asker);
        waits_end(&system_, actor_self(asker->actor), wait);
        atomic_store(&asker->answered, wait);
    }
}

static void *play(void *argument)
{
    struct player *self = argument;
    struct actor *actor = self->actor;
    char circle[64];
    for (int i = 0; i < QUESTIONS; i++) {
        struct player *other = &players[throw_dice(self, PLAYERS)];
        serve(self);
        if (!waits_begin(actor, actor_self(other->actor), ++actor->waits, circle,
                         sizeof circle)) {
            self->refused++;
            continue;
        }
        assert(other != self);
        self->own = (struct question){ .asker = actor, .wait = actor->waits };
        hand_over(other, &self->own);
        for (unsigned turn = 1; atomic_load(&self->answered) != actor->waits; turn++)
            if (turn % 64 == 0)
                sched_yield();
    }
    atomic_fetch_sub(&still_asking, 1);
    while (atomic_load(&still_asking) > 0) {
        serve(self);
        sched_yield();
    }
    return NULL;
}

/* Whoever asks and passes on at random never gets stuck: a circle that was
 * missed would hang this test. */
static void test_play(void)
{
    struct thread threads[PLAYERS];
    unsigned refused = 0;
    atomic_store(&still_asking, PLAYERS);
    for (unsigned i = 0; i < PLAYERS; i++)
        players[i] = (struct player){ .actor = add_named(NULL), .random = i + 1 };
    for (int i = 0; i < PLAYERS; i++)
        assert(thread_start(&threads[i], "play", 0, play, &players[i]) == 0);
    for (int i = 0; i < PLAYERS; i++) {
        thread_join(&threads[i]);
        refused += players[i].refused;
    }
    assert(refused >= QUESTIONS / 2); /* a sixth of all ask themselves */
    for (int i = 0; i < PLAYERS; i++)
        end(players[i].actor);
}

int main(void)
{
    size_t before = memory_used();
    assert(system_open(&system_, 0, 0, NULL) == 0);
    test_circles();
    test_numbers();
    test_tenants();
    test_move();
    test_long();
    for (unsigned size = 2; size <= 4; size++)
        run_ring(size, close_rings);
    run_ring(2, answer_in_time);
    test_play();
    system_close(&system_);
    assert(memory_used() == before);
    puts("waits: ok");
    return 0;
}
