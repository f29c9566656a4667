/* test_timer.c -- the promises of timer.h: first on the stage, where time stands
 * still, then with threads. */
#include "actor/system.h"
#include "actor/watchdog.h"
#include "base/fault.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct system system_;

/* ---- Actors made of C functions ------------------------------------------ */

struct part {
    void (*on_message)(struct actor *actor, const struct message *content, uint64_t missed);
    void (*on_alarm)(struct actor *actor);
    void *own;
};

static enum verdict receive(struct actor *actor, struct message *message)
{
    const struct part *part = actor->state;
    const struct message *content;
    uint64_t missed;
    bool periodic;
    if (message->flags & MESSAGE_KEPT) {
        if (alarm_rang(actor) && part->on_alarm != NULL)
            part->on_alarm(actor);
        return VERDICT_DONE;
    }
    if (message->kind == MESSAGE_TIMER) {
        if (timer_deliver(message, &content, &missed, &periodic))
            part->on_message(actor, content, missed);
    } else if (message->kind != MESSAGE_START) {
        part->on_message(actor, message, 0);
    }
    message_free(message);
    return VERDICT_DONE;
}

static enum verdict shut_down(struct actor *actor)
{
    (void)actor;
    return VERDICT_DONE;
}

static void be_gone(struct actor *actor) { (void)actor; }

static const struct behaviour behaviour = { .receive = receive,
                                            .shut_down = shut_down,
                                            .end = be_gone };

static actor_id start_actor(struct part *part)
{
    char why[100];
    actor_id id;
    struct spawn spawn = { .stem = "a", .behaviour = &behaviour, .state = part,
                           .mailbox = { .limit = MAILBOX_LIMIT_MAX, .bytes = UINT64_C(1) << 38 } };
    assert(lifecycle_spawn(&system_, &spawn, &id, why, sizeof why) == 0);
    assert(lifecycle_start(&system_, id, NULL, 0) == 0);
    return id;
}

static void open_system(unsigned workers)
{
    assert(system_open(&system_, workers, 0, NULL) == 0);
    assert(system_start(&system_) == 0);
}

static void close_system(void)
{
    struct shutdown_account account;
    bool threads = system_.scheduler.regular > 0;
    lifecycle_shut_down(&system_, clock_now(&system_.clock) + 20 * NS_PER_SEC, &account);
    assert(account.left == 0);
    if (threads) {
        watchdog_stop(&system_);
        assert(scheduler_stop(&system_, clock_now(&system_.clock) + 20 * NS_PER_SEC));
    }
    assert(timers_count(system_.timers) == 0);
    system_close(&system_);
}

/* ---- The heap ------------------------------------------------------------ */

static unsigned dice = 1;

static unsigned throw_dice(unsigned sides)
{
    dice = dice * 1103515245u + 12345u;
    return dice / 65536u % sides;
}

/* What leaves the heap is the least of what is in it, and of equals the one
 * that was put there first. */
static void test_heap(void)
{
    enum { NODES = 300, STEPS = 200000 };
    static struct timer_node nodes[NODES];
    struct timer_heap heap;
    memset(nodes, 0, sizeof nodes);
    assert(timer_heap_open(&heap, NODES) == 0);
    assert(timer_heap_first(&heap) == NULL && timer_heap_next(&heap) == UINT64_MAX);
    for (int step = 0; step < STEPS; step++) {
        struct timer_node *node = &nodes[throw_dice(NODES)];
        uint64_t due_ns = throw_dice(100);
        if (node->position == 0)
            timer_heap_add(&heap, node, due_ns);
        else if (throw_dice(2) == 0)
            timer_heap_move(&heap, node, due_ns);
        else
            timer_heap_remove(&heap, throw_dice(2) == 0 ? timer_heap_first(&heap) : node);
        if (step % 100 != 0)
            continue;
        struct timer_node *least = NULL;
        uint32_t count = 0;
        for (int i = 0; i < NODES; i++) {
            struct timer_node *each = &nodes[i];
            if (each->position == 0)
                continue;
            count++;
            if (least == NULL || each->due_ns < least->due_ns ||
                (each->due_ns == least->due_ns && each->order < least->order))
                least = each;
        }
        assert(timer_heap_first(&heap) == least && heap.count == count);
    }
    uint64_t last_ns = 0, order = 0;
    struct timer_node *node;
    while ((node = timer_heap_first(&heap)) != NULL) {
        assert(node->due_ns > last_ns || (node->due_ns == last_ns && node->order > order));
        last_ns = node->due_ns;
        order = node->order;
        timer_heap_remove(&heap, node);
        assert(node->position == 0);
    }
    timer_heap_close(&heap);
}

/* ---- The stage ----------------------------------------------------------- */

/* What an actor has heard. */
struct heard {
    size_t   count;
    uint64_t when_ns[100];
    char     what[100];
    uint64_t missed[100];
};

static void note(struct actor *actor, const struct message *content, uint64_t missed)
{
    struct heard *heard = ((const struct part *)actor->state)->own;
    assert(heard->count < 100);
    heard->when_ns[heard->count] = clock_now(&system_.clock);
    heard->what[heard->count] = (char)content->payload[0];
    heard->missed[heard->count++] = missed;
}

static void note_alarm(struct actor *actor)
{
    struct heard *heard = ((const struct part *)actor->state)->own;
    heard->when_ns[heard->count] = clock_now(&system_.clock);
    heard->what[heard->count++] = '!';
}

static uint64_t now(void) { return clock_now(&system_.clock); }

static void settle(void)
{
    while (scheduler_step(&system_))
        continue;
}

/* Like the stage: from one deadline to the next, actors run in between. */
static void advance(uint64_t by_ns)
{
    uint64_t end_ns = now() + by_ns, next_ns;
    settle();
    while ((next_ns = timers_next(system_.timers)) <= end_ns) {
        timers_advance(system_.timers, next_ns);
        settle();
    }
    timers_advance(system_.timers, end_ns);
}

static int try_start(char what, actor_id to, actor_id owner, uint64_t after_ns,
                     uint64_t interval_ns, struct timer **timer)
{
    struct message *message =
        message_new(to == owner ? MESSAGE_TIMER : MESSAGE_ORDINARY, TYPE_TIMEOUT, &what, 1);
    if (message == NULL)
        return -ENOMEM;
    message->to = to;
    message->from = owner;
    int error = timer_start(system_.timers, &message, now() + after_ns, interval_ns, owner, timer);
    assert((error == 0) == (message == NULL));
    message_free(message);
    return error;
}

static struct timer *start(char what, actor_id to, actor_id owner, uint64_t after_ns,
                           uint64_t interval_ns)
{
    struct timer *timer;
    assert(try_start(what, to, owner, after_ns, interval_ns, &timer) == 0);
    return timer;
}

static struct heard heard;
static struct part listener = { .on_message = note, .on_alarm = note_alarm, .own = &heard };

static actor_id open_stage(void)
{
    memset(&heard, 0, sizeof heard);
    open_system(0);
    actor_id id = start_actor(&listener);
    settle();
    return id;
}

/* Timers fire in order of their time, and then of their start; the clock reads
 * the deadline of each. */
static void test_order(void)
{
    actor_id me = open_stage();
    uint64_t begin_ns = now();
    static const char names[] = "efbcagd";
    static const uint64_t after_ms[] = { 30, 40, 10, 10, 0, 50, 20 };
    for (size_t i = 0; i < ARRAY_LENGTH(after_ms); i++)
        timer_unref(start(names[i], me, i % 2 == 0 ? me : 0, after_ms[i] * NS_PER_MS, 0));
    assert(timers_count(system_.timers) == 7 && timers_next(system_.timers) == begin_ns);
    advance(45 * NS_PER_MS);
    assert(heard.count == 6 && memcmp(heard.what, "abcdef", 6) == 0);
    assert(heard.when_ns[3] == begin_ns + 20 * NS_PER_MS && now() == begin_ns + 45 * NS_PER_MS);
    timers_advance(system_.timers, begin_ns + 60 * NS_PER_MS); /* nobody has run */
    assert(heard.count == 6 && timers_count(system_.timers) == 0);
    settle();
    assert(heard.count == 7 && heard.what[6] == 'g');
    assert(timers_next(system_.timers) == UINT64_MAX);
    assert(atomic_load(&system_.counters.timers_fired) == 7);
    close_system();
}

/* A periodic timer does not drift, has at most one tick under way, and counts
 * what was missed: while a tick waited, and while nobody looked at the clock. */
static void test_periodic(void)
{
    actor_id me = open_stage();
    uint64_t begin_ns = now(), step_ns = 10 * NS_PER_MS;
    struct timer *timer = start('t', me, me, step_ns, step_ns);
    advance(3 * step_ns);
    assert(heard.count == 3 && heard.when_ns[2] == begin_ns + 3 * step_ns);
    assert(heard.missed[0] + heard.missed[1] + heard.missed[2] == 0);

    timers_advance(system_.timers, now() + 4 * step_ns + 1); /* the actor does not run */
    settle();
    assert(heard.count == 4 && heard.missed[3] == 3);
    advance(step_ns);
    assert(heard.when_ns[4] == begin_ns + 8 * step_ns && heard.missed[4] == 0);

    clock_set(&system_.clock, now() + 1000 * step_ns); /* the process was stopped */
    advance(0);
    assert(heard.count == 6 && heard.missed[5] == 999);
    advance(step_ns);
    assert(heard.count == 7 && heard.missed[6] == 0);
    assert((heard.when_ns[6] - begin_ns) % step_ns == 0);
    assert(timer_cancel(timer, me) && !timer_cancel(timer, me));
    advance(10 * step_ns);
    assert(heard.count == 7);
    timer_unref(timer);

    timer = start('m', me, me, UINT64_MAX - now(), UINT64_MAX); /* never */
    advance(NS_PER_SEC);
    assert(timer_cancel(timer, me) && heard.count == 7);
    timer_unref(timer);
    close_system();
}

/* What is cancelled is not handled, even if it lies in one's own mailbox; a
 * single message that is on its way to somebody else cannot be called back. */
static void test_cancel(void)
{
    actor_id me = open_stage(), other = start_actor(&listener);
    settle();
    struct timer *in_heap = start('a', me, me, 5, 0), *queued = start('b', me, me, 5, 0);
    struct timer *sent = start('c', other, me, 5, 0), *ticking = start('d', other, me, 5, 5);
    struct timer *own_tick = start('e', me, me, 5, 5), *wrong = start('f', me, me, 5, 0);
    struct timer *away = start('g', other, me, 6, 0);
    assert(timer_cancel(in_heap, me) && timer_cancel(away, me));
    timers_advance(system_.timers, now() + 17);
    assert(timer_cancel(queued, me) && !timer_cancel(queued, me));
    assert(!timer_cancel(sent, me) && !timer_cancel(wrong, other) && !timer_cancel(wrong, 0));
    assert(timer_cancel(ticking, me) && timer_cancel(own_tick, me));
    settle();
    assert(heard.count == 2 && memchr(heard.what, 'c', 2) && memchr(heard.what, 'f', 2));
    assert(!timer_cancel(wrong, me) && timers_count(system_.timers) == 0);
    struct timer *all[] = { in_heap, queued, sent, ticking, own_tick, wrong, away };
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        timer_unref(all[i]);
    close_system();
}

/* Timers end with their owner and with their target. A single message for one
 * who has ended is a dead letter. */
static void test_ends(void)
{
    actor_id me = open_stage(), other = start_actor(&listener);
    settle();
    for (int i = 0; i < 200; i++)
        timer_unref(start('x', i % 2 == 0 ? me : other, other, 5, i % 3 == 0 ? 5 : 0));
    timer_unref(start('a', other, me, 10, 0));
    timer_unref(start('t', other, me, 10, 10));
    timer_unref(start('q', other, 0, 1, 10)); /* its tick will lie there unhandled */
    timers_advance(system_.timers, now() + 1);
    assert(timers_count(system_.timers) == 203);
    lifecycle_stop(&system_, other, false);
    settle();
    assert(registry_find(&system_.registry, other) == NULL);
    assert(timers_count(system_.timers) == 3);
    advance(NS_PER_SEC);
    assert(heard.count == 0 && timers_count(system_.timers) == 0);
    assert(dead_letters_total(&system_.letters) == 1);

    struct timer *timer;
    assert(try_start('z', me, other, 5, 0, &timer) == -ESRCH);
    close_system();
}

/* No more timers than the limit; alarms do not count. */
static void test_limit(void)
{
    struct system_limits limits = { .actors = 10, .timers = 3, .dead_letters = 1 };
    struct timer *timers[3], *more;
    assert(system_open(&system_, 0, 0, &limits) == 0);
    actor_id me = start_actor(&listener);
    settle();
    alarm_set(registry_find(&system_.registry, me), now() + NS_PER_SEC);
    for (int i = 0; i < 3; i++)
        timers[i] = start('a', me, me, 5, i == 0 ? 5 : 0);
    assert(try_start('b', me, me, 5, 0, &more) == -EAGAIN);
    assert(timer_cancel(timers[0], me));
    assert(try_start('b', me, me, 5, 5, &more) == 0);
    timer_unref(more);
    for (int i = 0; i < 3; i++)
        timer_unref(timers[i]);
    close_system();
}

/* What is still armed when all is closed is let go. */
static void test_left_over(void)
{
    actor_id me = open_stage();
    timer_unref(start('a', me, 0, NS_PER_SEC, 0));
    struct timer *held = start('b', me, 0, NS_PER_SEC, 5);
    struct shutdown_account account;
    lifecycle_shut_down(&system_, 0, &account);
    settle();
    system_close(&system_);
    timer_unref(held);
}

/* An alarm rings at its deadline, once; a later wish costs the heap nothing
 * and puts it off, a withdrawn one silences it. */
static void test_alarm(void)
{
    actor_id id = open_stage();
    struct actor *me = registry_find(&system_.registry, id);
    uint64_t begin_ns = now();
    alarm_set(me, begin_ns + 100);
    assert(atomic_load(&me->alarm.armed_ns) == begin_ns + 100);
    alarm_set(me, begin_ns + 300);
    assert(atomic_load(&me->alarm.armed_ns) == begin_ns + 100);
    assert(timers_next(system_.timers) == begin_ns + 300); /* the stage does not stop for nothing */
    alarm_set(me, begin_ns + 200);
    assert(timers_next(system_.timers) == begin_ns + 200);
    advance(1000);
    assert(heard.count == 1 && heard.when_ns[0] == begin_ns + 200);

    alarm_set(me, now() + 100);
    alarm_set(me, UINT64_MAX);
    assert(timers_next(system_.timers) == UINT64_MAX);
    advance(1000);
    assert(heard.count == 1);

    /* It rings, and before it is heard the wait is over and another begins. */
    alarm_set(me, now() + 100);
    timers_advance(system_.timers, now() + 100);
    alarm_set(me, UINT64_MAX);
    alarm_set(me, now() + 50);
    timers_advance(system_.timers, now() + 50); /* the first is still under way */
    assert(heard.count == 1);
    settle();
    assert(heard.count == 2 && heard.when_ns[1] == now());
    alarm_set(me, now() + 100);
    timers_advance(system_.timers, now() + 100);
    uint64_t wish_ns = now() + 70;
    alarm_set(me, wish_ns);
    settle(); /* heard for nothing, and set again */
    assert(heard.count == 2);
    advance(1000);
    assert(heard.count == 3 && heard.when_ns[2] == wish_ns);

    /* It ends with a ring under way. */
    alarm_set(me, now());
    lifecycle_stop(&system_, id, false);
    timers_advance(system_.timers, now());
    settle();
    alarm_set(registry_slot(&system_.registry, actor_id_slot(start_actor(&listener))), now() + 5);
    advance(1000);
    assert(heard.count == 4);
    close_system();
}

#ifdef TROUPE_FAULTS
/* Without memory a timer is refused, or a tick counts as missed. */
static void test_faults(void)
{
    actor_id me = open_stage();
    struct timer *timer;
    int error = -ENOMEM;
    for (uint64_t n = 1; error != 0; n++) {
        fault_arm(n);
        error = try_start('a', me, me, 10, 10, &timer);
        assert(error == 0 || error == -ENOMEM);
    }
    fault_arm(0);
    timers_advance(system_.timers, now() + 10);
    fault_arm(1); /* no carrier for the next tick... */
    settle();
    assert(heard.count == 1 && fault_count() > 0);
    fault_arm(1); /* ...and none when it is due */
    timers_advance(system_.timers, now() + 10);
    settle();
    assert(heard.count == 1);
    fault_arm(0);
    advance(10);
    assert(heard.count == 2 && heard.missed[1] == 1);
    assert(timer_cancel(timer, me));
    timer_unref(timer);
    close_system();
}
#endif

/* ---- Threads ------------------------------------------------------------- */

#ifdef TROUPE_SANITIZED
enum { RACES = 60000, MANY = 20000 };
#else
enum { RACES = 1000000, MANY = 100000 };
#endif
#define RACING_NS (3 * NS_PER_SEC) /* at most, for each of the races */

/* Waits for a state that other threads bring about: looks each millisecond, and
 * gives up after a minute, so that what never comes fails and does not hang. */
#define AWAIT(state)                                                    \
    for (int looks = 0; !(state); looks++) {                            \
        atomic_uint nothing_to_wake = 0;                                \
        assert(looks < 60000);                                          \
        park_wait(&nothing_to_wake, 0, now() + NS_PER_MS);              \
    }

/* One timer of a race, told by its number in the payload. */
struct racer {
    struct timer *timer;
    uint64_t      due_ns;
    _Atomic int   handled;
    _Atomic bool  cancelled;
};

enum { FIELD = 64 };

struct race {
    struct racer    racers[FIELD]; /* those under way; taken again in turn */
    unsigned        next, random;
    _Atomic unsigned started, handled, cancelled;
    atomic_bool     over;
    uint64_t        until_ns;
};

static struct race race;

static void start_racer(struct racer *racer, uint32_t number, actor_id to, actor_id owner)
{
    struct message *message = message_new(to == owner ? MESSAGE_TIMER : MESSAGE_ORDINARY,
                                          TYPE_TIMEOUT, &number, sizeof number);
    assert(message != NULL);
    message->to = to;
    race.random = race.random * 1103515245u + 12345u;
    racer->due_ns = now() + race.random / 65536u % 30000;
    atomic_store(&racer->handled, 0);
    atomic_store(&racer->cancelled, false);
    assert(timer_start(system_.timers, &message, racer->due_ns, 0, owner, &racer->timer) == 0);
    atomic_fetch_add(&race.started, 1);
}

/* Cancelled means not handled, ever; and nothing is handled early or twice. */
static void note_racer(const struct message *content)
{
    uint32_t number;
    memcpy(&number, content->payload, sizeof number);
    struct racer *racer = &race.racers[number % FIELD];
    assert(now() >= racer->due_ns);
    assert(!atomic_load(&racer->cancelled));
    assert(atomic_fetch_add(&racer->handled, 1) == 0);
    atomic_fetch_add(&race.handled, 1);
}

static void let_go_of_racers(void)
{
    for (int i = 0; i < FIELD; i++) {
        timer_unref(race.racers[i].timer);
        race.racers[i].timer = NULL;
    }
}

/* An actor that starts timers for itself and cancels those that are still out
 * when it comes round to them. It keeps itself running by messages. */
static void race_on(struct actor *actor, const struct message *content, uint64_t missed)
{
    (void)missed;
    if (content->kind == MESSAGE_TIMER) {
        note_racer(content);
        return;
    }
    actor_id me = actor_self(actor);
    for (int i = 0; i < 16; i++) {
        struct racer *racer = &race.racers[race.next % FIELD];
        if (racer->timer != NULL) {
            bool cancelled = timer_cancel(racer->timer, me);
            assert(cancelled == (atomic_load(&racer->handled) == 0));
            if (cancelled) {
                atomic_store(&racer->cancelled, true);
                atomic_fetch_add(&race.cancelled, 1);
            }
            timer_unref(racer->timer);
            racer->timer = NULL;
        }
        if (atomic_load(&race.started) < RACES && now() < race.until_ns)
            start_racer(racer, race.next % FIELD, me, me);
        race.next++;
    }
    if (atomic_load(&race.handled) + atomic_load(&race.cancelled) == atomic_load(&race.started) &&
        (atomic_load(&race.started) >= RACES || now() >= race.until_ns)) {
        let_go_of_racers(); /* those handled since we last came round to them */
        atomic_store(&race.over, true);
        return;
    }
    struct message *go = message_new(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0);
    go->to = me;
    assert(router_send(&system_, &go, ROUTE_RESERVED) == ROUTER_OK);
}

/* An actor's cancel against its own timers: what was cancelled does not come. */
static void test_race_with_self(void)
{
    memset(&race, 0, sizeof race);
    open_system(2);
    race.until_ns = now() + RACING_NS;
    struct part racing = { .on_message = race_on };
    struct message *go = message_new(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0);
    go->to = start_actor(&racing);
    assert(router_send(&system_, &go, ROUTE_RESERVED) == ROUTER_OK);
    AWAIT(atomic_load(&race.over));
    assert(atomic_load(&race.handled) > 0 && atomic_load(&race.cancelled) > 0);
    printf("  own timers: %u started, %u cancelled\n", atomic_load(&race.started),
           atomic_load(&race.cancelled));
    close_system();
}

static void take_racer(struct actor *actor, const struct message *content, uint64_t missed)
{
    (void)actor;
    (void)missed;
    note_racer(content);
}

/* Another thread's cancel against timers for an actor: each is either
 * cancelled or handled, never both, never neither. */
static void test_race_with_others(void)
{
    memset(&race, 0, sizeof race);
    open_system(2);
    struct part taking = { .on_message = take_racer };
    actor_id to = start_actor(&taking);
    race.until_ns = now() + RACING_NS;
    for (; atomic_load(&race.started) < RACES && now() < race.until_ns; race.next++) {
        struct racer *racer = &race.racers[race.next % FIELD];
        if (racer->timer != NULL) {
            if (timer_cancel(racer->timer, 0)) {
                atomic_store(&racer->cancelled, true);
                atomic_fetch_add(&race.cancelled, 1);
            } else {
                while (atomic_load(&racer->handled) == 0)
                    cpu_relax();
            }
            timer_unref(racer->timer);
        }
        start_racer(racer, race.next % FIELD, to, 0);
    }
    for (int i = 0; i < FIELD; i++)
        timer_unref(race.racers[i].timer);
    AWAIT(atomic_load(&race.handled) + atomic_load(&race.cancelled) ==
          atomic_load(&race.started));
    printf("  for others: %u started, %u cancelled\n", atomic_load(&race.started),
           atomic_load(&race.cancelled));
    close_system();
}

static _Atomic unsigned arrived;
static _Atomic uint64_t latest_ns;

static void count_arrival(struct actor *actor, const struct message *content, uint64_t missed)
{
    (void)actor;
    (void)missed;
    uint64_t due_ns;
    memcpy(&due_ns, content->payload, sizeof due_ns);
    uint64_t at_ns = now();
    assert(at_ns >= due_ns);
    if (at_ns > atomic_load(&latest_ns))
        atomic_store(&latest_ns, at_ns);
    atomic_fetch_add(&arrived, 1);
}

/* Very many timers due at one instant all arrive, none early. */
static void test_bunch(void)
{
    open_system(2);
    struct part counting = { .on_message = count_arrival };
    actor_id to[4];
    for (int i = 0; i < 4; i++)
        to[i] = start_actor(&counting);
    atomic_store(&arrived, 0);
    uint64_t begin_ns = now(), due_ns = begin_ns + 300 * NS_PER_MS;
    for (int i = 0; i < MANY; i++) {
        struct message *message =
            message_new(MESSAGE_ORDINARY, TYPE_TIMEOUT, &due_ns, sizeof due_ns);
        message->to = to[i % 4];
        struct timer *timer;
        assert(timer_start(system_.timers, &message, due_ns, 0, 0, &timer) == 0);
        timer_unref(timer);
    }
    uint64_t armed_ns = now();
    AWAIT(atomic_load(&arrived) >= MANY);
    printf("  %d at once: %.0f ns each to start, the last handled %.1f ms late\n", MANY,
           (double)(armed_ns - begin_ns) / MANY,
           (double)(atomic_load(&latest_ns) - due_ns) / 1e6);
    close_system();
}

/* An actor that sets its alarm again and again: later, earlier, not at all. */
struct sleeper {
    struct part part; /* first: it is found through it */
    unsigned    random;
    uint64_t    wanted_ns;
    _Atomic unsigned rung;
};

static struct sleeper sleepers[8];

static void set_again(struct actor *actor)
{
    struct sleeper *sleeper = ((const struct part *)actor->state)->own;
    assert(now() >= sleeper->wanted_ns);
    atomic_fetch_add(&sleeper->rung, 1);
    for (int i = 0; i < 3; i++) { /* the last one counts */
        sleeper->random = sleeper->random * 1103515245u + 12345u;
        sleeper->wanted_ns = now() + sleeper->random / 65536u % 60000;
        if (sleeper->random / 16 % 4 == 0)
            alarm_set(actor, UINT64_MAX);
        alarm_set(actor, sleeper->wanted_ns);
    }
}

static void set_first(struct actor *actor, const struct message *content, uint64_t missed)
{
    (void)content;
    (void)missed;
    set_again(actor);
}

/* No alarm is lost, and none comes early, however it is set. */
static void test_alarms(void)
{
    open_system(2);
    for (unsigned i = 0; i < ARRAY_LENGTH(sleepers); i++) {
        struct sleeper *sleeper = &sleepers[i];
        *sleeper = (struct sleeper){ .random = i + 1 };
        sleeper->part = (struct part){ .on_message = set_first, .on_alarm = set_again,
                                       .own = sleeper };
        struct message *go = message_new(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0);
        go->to = start_actor(&sleeper->part);
        assert(router_send(&system_, &go, ROUTE_RESERVED) == ROUTER_OK);
    }
    unsigned total = 0;
    enum { RINGS_A_TURN = 500 };
    for (int turn = 0; turn < 10; turn++) {
        unsigned before[ARRAY_LENGTH(sleepers)];
        for (unsigned i = 0; i < ARRAY_LENGTH(sleepers); i++)
            before[i] = atomic_load(&sleepers[i].rung);
        for (unsigned i = 0; i < ARRAY_LENGTH(sleepers); i++) {
            /* One that missed its alarm would sleep for ever. */
            AWAIT(atomic_load(&sleepers[i].rung) - before[i] >= RINGS_A_TURN);
            total += atomic_load(&sleepers[i].rung) - before[i];
        }
    }
    printf("  alarms: %u rung\n", total);
    close_system();
}

/* This thread plays the worker of an actor that wishes anew at the very moment
 * when the heap, armed for a wish that was withdrawn, comes to look: one of the
 * two sees the other, or the actor would sleep for ever. */
static void test_alarm_meets_heap(void)
{
    struct actor *actor;
    struct message *wakes, *message;
    struct parked *parked;
    open_system(2);
    assert(registry_add(&system_.registry, NULL, "a", 0, &actor) == 0);
    actor->system = &system_;
    mailbox_open(&actor->box, &MAILBOX_OPTIONS_DEFAULT);
    actor_id me = registry_publish(&system_.registry, actor);
    /* Keeps the timers' thread from going to sleep, so that it is in time. */
    struct timer *restless = start('r', me, 0, 0, 500);

    unsigned rounds = 0;
    for (uint64_t until_ns = now() + NS_PER_SEC; now() < until_ns; rounds++) {
        uint64_t first_ns = now() + 2000;
        alarm_set(actor, first_ns);
        alarm_set(actor, UINT64_MAX);
        while (now() + 200 < first_ns + rounds % 64 * 32)
            cpu_relax();
        uint64_t wish_ns = first_ns + 4000;
        alarm_set(actor, wish_ns);
        for (bool rung = false; !rung;) {
            assert(now() < wish_ns + 10 * NS_PER_SEC);
            message = mailbox_take(&actor->box, APPETITE_CONTROL, NULL, NULL, &wakes);
            if (message != NULL) {
                rung = alarm_rang(actor);
                assert(!rung || now() >= wish_ns);
            }
        }
        alarm_set(actor, UINT64_MAX);
    }
    printf("  alarms: %u met the heap\n", rounds);

    timer_cancel(restless, 0);
    timer_unref(restless);
    mailbox_close(&actor->box, &message, &parked);
    while (message != NULL) {
        struct message *each = message;
        message = atomic_load(&each->next);
        message_free(each);
    }
    registry_remove(&system_.registry, actor);
    alarm_fini(actor);
    registry_release(&system_.registry, actor);
    atomic_fetch_sub(&system_.registry.living, 1);
    close_system();
}

static void set_short(struct actor *actor, const struct message *content, uint64_t missed)
{
    (void)missed;
    alarm_set(actor, now() + content->request % 40000);
}

/* Actors end while their alarm is about to ring; the next tenants of their
 * slots hear nothing of it. */
static void test_alarm_ends(void)
{
    open_system(2);
    struct part setting = { .on_message = set_short };
    uint64_t until_ns = now() + NS_PER_SEC;
    unsigned ended = 0;
    while (now() < until_ns) {
        actor_id ids[8];
        for (unsigned i = 0; i < 8; i++) {
            ids[i] = start_actor(&setting);
            struct message *go = message_new(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0);
            go->to = ids[i];
            go->request = ended * 7919u + i * 5000u;
            assert(router_send(&system_, &go, ROUTE_RESERVED) == ROUTER_OK);
        }
        for (unsigned i = 0; i < 8; i++) {
            lifecycle_stop(&system_, ids[i], true);
            ended++;
        }
        while (atomic_load(&system_.registry.living) > 200)
            cpu_relax();
    }
    printf("  alarms: %u actors ended\n", ended);
    close_system();
}

int main(void)
{
    size_t before = memory_used();
    test_heap();
    test_order();
    test_periodic();
    test_cancel();
    test_ends();
    test_limit();
    test_left_over();
    test_alarm();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    assert(memory_used() == before);
    test_race_with_self();
    test_race_with_others();
    test_bunch();
    test_alarms();
    test_alarm_meets_heap();
    test_alarm_ends();
    puts("timer: ok");
    return 0;
}
