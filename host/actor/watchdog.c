/*
 * watchdog.c -- sees handlers that run too long, and disturbs them.
 */
#include "actor/watchdog.h"

#include "actor/system.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#define TICK_NS        (2 * NS_PER_MS)  /* while something runs */
#define TICK_CLOSE_NS  (1 * NS_PER_MS)  /* while a handler has been seen twice */
#define TICK_IDLE_NS   (20 * NS_PER_MS)
#define QUIET_TICKS    50               /* ticks without work before it slows down */
#define TIDY_NS        NS_PER_SEC       /* how often memory is looked at */
#define STAND_IN_AFTER 5                /* signals that changed nothing before a spare is started */
#define DEAF_AFTER     5                /* the same before it is asked what it is stuck in */

bool (*watchdog_before_signal)(void);

/* What the watchdog remembers of one worker between two looks. */
struct sight {
    uint32_t epoch;
    uint64_t since_ns;  /* first seen with this epoch */
    uint64_t ran_ns;    /* since then */
    unsigned signals;   /* sent since then, when others might have had their turn */
    unsigned overdue;   /* sent because the slice was over */
    bool     stood_in;
};

struct watchdog {
    struct system *system;
    struct thread  thread;
    bool           running;
    atomic_uint    word;      /* parked on; changed to end it */
    _Atomic bool   stopping;
    _Atomic bool   condemning;
    struct sight   sights[WORKERS_MAX + SPARE_WORKERS_MAX];
    bool           close_look; /* a handler has been seen twice: look again soon */
};

/* On the disturbed thread. The epoch tells whether its handler is still the
 * one that the watchdog meant. */
static void on_signal(int signal_number)
{
    (void)signal_number;
    if (watchdog_before_signal != NULL && watchdog_before_signal())
        return;
    struct worker *worker = worker_self;
    if (worker == NULL || atomic_load_explicit(&worker->interrupt_epoch, memory_order_relaxed) !=
                              atomic_load_explicit(&worker->epoch, memory_order_relaxed))
        return;
    struct actor *actor = atomic_load_explicit(&worker->running, memory_order_relaxed);
    if (actor == NULL)
        return;
    if (atomic_load_explicit(&worker->interrupt_deaf, memory_order_relaxed)) {
        if (!atomic_load_explicit(&worker->stuck_named, memory_order_relaxed) &&
            actor->behaviour->stuck_in != NULL &&
            actor->behaviour->stuck_in(actor, worker->stuck_in, sizeof worker->stuck_in))
            atomic_store_explicit(&worker->stuck_named, true, memory_order_release);
        return;
    }
    if (actor->behaviour->interrupt != NULL)
        actor->behaviour->interrupt(
            actor, (enum interrupt)atomic_load_explicit(&worker->interrupt_what,
                                                        memory_order_relaxed));
}

static void send_signal(struct worker *worker, struct sight *sight, enum interrupt what, bool deaf)
{
    if (!atomic_load_explicit(&worker->alive, memory_order_acquire))
        return;
    atomic_store_explicit(&worker->interrupt_what, (int)what, memory_order_relaxed);
    atomic_store_explicit(&worker->interrupt_deaf, deaf, memory_order_relaxed);
    atomic_store_explicit(&worker->interrupt_epoch, sight->epoch, memory_order_release);
    if (sight->ran_ns >= PREEMPT_AFTER_NS)
        sight->signals++;
    pthread_kill(worker->thread.handle, SIGURG);
}

/* A handler that hears no hook is in a C function. */
static void report_stuck(struct system *system, struct worker *worker, struct actor *actor,
                         uint64_t ran_ns)
{
    char name[ADDRESS_NAME_LIMIT + 1];
    registry_name(&system->registry, actor_self(actor), name, sizeof name);
    const struct log_subject about = { .actor = name };
    log_about(LOG_WARN, &about,
              "a handler has run for %.1f s, stuck in %s, which cannot be interrupted; "
              "others go on beside it", (double)ran_ns / 1e9, worker->stuck_in);
    atomic_store_explicit(&worker->stuck_named, false, memory_order_relaxed);
    atomic_store_explicit(&actor->overdue_told, true, memory_order_relaxed);
}

static bool others_wait(struct system *system, struct worker *worker)
{
    if (worker->kind == WORKER_PINNED)
        return atomic_load_explicit(&worker->length, memory_order_relaxed) > 0;
    return scheduler_has_queued(system);
}

static void preempt(struct worker *worker, struct sight *sight)
{
    atomic_store_explicit(&worker->ran_hint_ns, sight->ran_ns, memory_order_relaxed);
    send_signal(worker, sight, INTERRUPT_PREEMPT, false);
}

/* Its slice is over. A hook that is not heard after a few signals: every other
 * one asks what C function it is in. Once told of, it makes way like any other. */
static void look_overdue(struct watchdog *dog, struct worker *worker, struct sight *sight,
                         struct actor *actor, uint64_t total_ns)
{
    sight->overdue++;
    bool odd = sight->overdue % 2 != 0;
    bool told = atomic_load_explicit(&actor->overdue_told, memory_order_relaxed);
    if (!told && atomic_load_explicit(&worker->stuck_named, memory_order_acquire))
        report_stuck(dog->system, worker, actor, total_ns);
    if (told && !odd && sight->ran_ns >= PREEMPT_AFTER_NS && others_wait(dog->system, worker)) {
        preempt(worker, sight);
        return;
    }
    bool deaf = !told && !odd && sight->overdue > DEAF_AFTER;
    send_signal(worker, sight, INTERRUPT_OVERDUE, deaf);
}

static void look_at(struct watchdog *dog, struct worker *worker, struct sight *sight,
                    uint64_t now_ns)
{
    struct system *system = dog->system;
    uint32_t epoch = atomic_load_explicit(&worker->epoch, memory_order_relaxed);
    struct actor *actor = atomic_load_explicit(&worker->running, memory_order_acquire);

    if (actor == NULL || epoch != sight->epoch) {
        *sight = (struct sight){ .epoch = epoch, .since_ns = now_ns };
        /* Many short handlers in a row: let it end its batch now and then. */
        if (actor != NULL && others_wait(system, worker))
            atomic_store_explicit(&worker->hurry, true, memory_order_relaxed);
        return;
    }
    dog->close_look = true;
    sight->ran_ns = now_ns - sight->since_ns;
    uint64_t total_ns = sight->ran_ns + atomic_load_explicit(&actor->ran_ns, memory_order_relaxed);
    atomic_store_explicit(&actor->watched, true, memory_order_relaxed);

    if (atomic_load_explicit(&dog->condemning, memory_order_relaxed) ||
        incarnation_is_condemned(actor)) {
        send_signal(worker, sight, INTERRUPT_STOP, false);
        return;
    }
    if (atomic_load_explicit(&actor->cancelling, memory_order_relaxed)) {
        send_signal(worker, sight, INTERRUPT_CANCEL, false);
        return;
    }
    if (total_ns >= atomic_load_explicit(&actor->slice_ns, memory_order_relaxed)) {
        look_overdue(dog, worker, sight, actor, total_ns);
        return;
    }
    bool waiting = others_wait(system, worker);
    if (waiting && worker->kind == WORKER_POOL)
        scheduler_wake(system); /* somebody may be asleep beside a slot that is not served */
    if (waiting && sight->ran_ns >= PREEMPT_AFTER_NS)
        preempt(worker, sight);
}

/* A worker that does not come back from C: somebody has to do its work. */
static void stand_in(struct watchdog *dog, struct worker *worker, struct sight *sight)
{
    if (sight->signals < STAND_IN_AFTER || sight->stood_in || worker->kind != WORKER_POOL ||
        !others_wait(dog->system, worker))
        return;
    if (!scheduler_add_spare(dog->system))
        return;
    sight->stood_in = true;
    atomic_store_explicit(&worker->stuck, true, memory_order_relaxed);
}

/* True if anything runs. */
static bool look_round(struct watchdog *dog, uint64_t now_ns)
{
    struct scheduler *scheduler = &dog->system->scheduler;
    unsigned started = atomic_load_explicit(&scheduler->started, memory_order_acquire);
    bool busy = false;

    dog->close_look = false;
    for (unsigned i = 0; i < started; i++) {
        struct worker *worker = &scheduler->workers[i];
        look_at(dog, worker, &dog->sights[i], now_ns);
        stand_in(dog, worker, &dog->sights[i]);
        busy = busy || atomic_load_explicit(&worker->running, memory_order_relaxed) != NULL;
    }
    lock_acquire(&scheduler->lock);
    for (struct worker *each = scheduler->pinned; each != NULL; each = each->pinned_next) {
        if (each->sight == NULL && (each->sight = memory_get_zeroed(sizeof *each->sight)) == NULL)
            continue;
        look_at(dog, each, each->sight, now_ns);
        busy = busy || atomic_load_explicit(&each->running, memory_order_relaxed) != NULL;
    }
    lock_release(&scheduler->lock);
    scheduler_reap(dog->system);
    return busy;
}

static void *watchdog_main(void *argument)
{
    struct watchdog *dog = argument;
    struct system *system = dog->system;
    unsigned quiet = 0;
    uint64_t tidied_ns = clock_now(&system->clock);

    urgency_enter(system);
    while (!atomic_load_explicit(&dog->stopping, memory_order_acquire)) {
        uint64_t now_ns = clock_now(&system->clock);
        atomic_store_explicit(&system->born_ms, (uint32_t)(now_ns / NS_PER_MS),
                              memory_order_relaxed);
        quiet = look_round(dog, now_ns) ? 0 : quiet + 1;
        if (now_ns - tidied_ns >= TIDY_NS) {
            memory_tidy();
            tidied_ns = now_ns;
        }
        uint64_t tick_ns = dog->close_look         ? TICK_CLOSE_NS
                           : quiet < QUIET_TICKS ? TICK_NS
                                                 : TICK_IDLE_NS;
        park_wait(&dog->word, 0, now_ns + tick_ns);
    }
    urgency_leave(system);
    return NULL;
}

int watchdog_listen(void)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    return sigaction(SIGURG, &action, NULL) == 0 ? 0 : -errno;
}

int watchdog_start(struct system *system)
{
    struct watchdog *dog = memory_get_zeroed(sizeof *dog);
    if (dog == NULL)
        return -ENOMEM;
    dog->system = system;

    int error = watchdog_listen();
    if (error == 0)
        error = thread_start(&dog->thread, "watchdog", 0, watchdog_main, dog);
    if (error != 0) {
        memory_put(dog, sizeof *dog);
        return error;
    }
    system->scheduler.watchdog = dog;
    return 0;
}

void watchdog_stop(struct system *system)
{
    struct watchdog *dog = system->scheduler.watchdog;
    if (dog == NULL)
        return;
    atomic_store_explicit(&dog->stopping, true, memory_order_release);
    atomic_fetch_add_explicit(&dog->word, 1, memory_order_relaxed);
    park_wake(&dog->word, 1);
    thread_join(&dog->thread);
    system->scheduler.watchdog = NULL;
    memory_put(dog, sizeof *dog);
}

void watchdog_forget(struct worker *worker)
{
    memory_put(worker->sight, sizeof *worker->sight);
    worker->sight = NULL;
}

void watchdog_condemn_all(struct system *system)
{
    struct watchdog *dog = system->scheduler.watchdog;
    if (dog != NULL)
        atomic_store_explicit(&dog->condemning, true, memory_order_relaxed);
}
