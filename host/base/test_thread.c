/*
 * test_thread.c -- the promises of thread.h.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/memory.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, TURNS = 20000 };

struct counter {
    struct lock lock;
    struct spin spin;
    long        by_lock; /* guarded by lock */
    long        by_spin; /* guarded by spin */
};

static void *count_up(void *argument)
{
    struct counter *counter = argument;
    for (int i = 0; i < TURNS; i++) {
        lock_acquire(&counter->lock);
        counter->by_lock++;
        lock_release(&counter->lock);
        spin_acquire(&counter->spin);
        counter->by_spin++;
        spin_release(&counter->spin);
    }
    return NULL;
}

/* Lock and spin lock let one thread in at a time. */
static void test_exclusion(void)
{
    struct counter counter = {0};
    struct thread threads[THREADS];
    lock_init(&counter.lock);
    for (int i = 0; i < THREADS; i++)
        assert(thread_start(&threads[i], "count", 0, count_up, &counter) == 0);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    assert(counter.by_lock == THREADS * TURNS);
    assert(counter.by_spin == THREADS * TURNS);
    lock_fini(&counter.lock);
}

/* Two threads take turns, by signal and by parking word. */
struct turns {
    struct lock   lock;
    struct signal changed;
    int           turn;   /* guarded by lock */
    atomic_uint   parked; /* whose turn it is, as a parking word */
};

static void take_turns(struct turns *turns, unsigned me)
{
    for (int i = 0; i < 2000; i++) {
        lock_acquire(&turns->lock);
        while (turns->turn != (int)me)
            signal_wait(&turns->changed, &turns->lock);
        turns->turn = !me;
        signal_one(&turns->changed);
        lock_release(&turns->lock);
    }
    for (int i = 0; i < 2000; i++) {
        while (atomic_load_explicit(&turns->parked, memory_order_acquire) != me)
            park_wait(&turns->parked, !me, UINT64_MAX);
        atomic_store_explicit(&turns->parked, !me, memory_order_release);
        park_wake(&turns->parked, 1);
    }
}

static void *take_second_turns(void *turns)
{
    take_turns(turns, 1);
    return NULL;
}

/* No wake-up is lost, by signal or by parking word. */
static void test_waking(void)
{
    struct turns turns = {0};
    struct thread second;
    lock_init(&turns.lock);
    signal_init(&turns.changed);
    assert(thread_start(&second, "second", 0, take_second_turns, &turns) == 0);
    take_turns(&turns, 0);
    thread_join(&second);
    signal_fini(&turns.changed);
    lock_fini(&turns.lock);
}

/* A wait ends at its deadline, at once if that has passed; parking does not
 * begin if the word has changed. */
static void test_deadlines(void)
{
    struct clock clock;
    struct lock lock;
    struct signal signal;
    clock_init(&clock, false);
    lock_init(&lock);
    signal_init(&signal);

    lock_acquire(&lock);
    assert(!signal_wait_until(&signal, &lock, 0));
    uint64_t deadline_ns = clock_now(&clock) + NS_PER_MS;
    while (signal_wait_until(&signal, &lock, deadline_ns))
        ;
    assert(clock_now(&clock) >= deadline_ns);
    lock_release(&lock);

    atomic_uint word = 5;
    park_wait(&word, 5, 0);
    park_wait(&word, 4, UINT64_MAX);
    deadline_ns = clock_now(&clock) + NS_PER_MS;
    while (clock_now(&clock) < deadline_ns)
        park_wait(&word, 5, deadline_ns);

    signal_fini(&signal);
    lock_fini(&lock);
}

/* The manual clock moves when told, and only forward. */
static void test_manual_clock(void)
{
    struct clock clock;
    clock_init(&clock, true);
    assert(clock_now(&clock) == NS_PER_SEC && clock_now_coarse(&clock) == NS_PER_SEC);
    clock_set(&clock, 3 * NS_PER_SEC);
    clock_set(&clock, 2 * NS_PER_SEC);
    assert(clock_now(&clock) == 3 * NS_PER_SEC);
}

static void *look_around(void *argument)
{
    char *name = argument;
    assert(pthread_getname_np(pthread_self(), name, 16) == 0);

    sigset_t mask;
    assert(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
    static const int free_ones[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGURG};
    static const int blocked_ones[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGALRM, SIGUSR1};
    for (size_t i = 0; i < ARRAY_LENGTH(free_ones); i++)
        assert(!sigismember(&mask, free_ones[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(blocked_ones); i++)
        assert(sigismember(&mask, blocked_ones[i]));
    return NULL;
}

/* A thread has its name, cut to 15 bytes, and its signals blocked; the one who
 * started it keeps its own mask. Even an absurdly small stack is made to do. */
static void test_start(void)
{
    char name[16] = "";
    struct thread thread;
    assert(thread_start(&thread, "a name much too long", 1, look_around, name) == 0);
    thread_join(&thread);
    assert(strcmp(name, "a name much too") == 0);

    sigset_t mask;
    assert(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
    assert(!sigismember(&mask, SIGTERM));
}

static void *say_done(void *argument)
{
    atomic_uint *done = argument;
    atomic_store_explicit(done, 1, memory_order_release);
    park_wake(done, 1);
    return NULL;
}

/* A detached thread needs nobody to wait for it. */
static void test_detach(void)
{
    static atomic_uint done;
    struct thread thread;
    assert(thread_start(&thread, "detached", 0, say_done, &done) == 0);
    thread_detach(&thread);
    while (atomic_load_explicit(&done, memory_order_acquire) == 0)
        park_wait(&done, 0, UINT64_MAX);
}

#ifdef TROUPE_FAULTS
/* Without memory no thread starts, and the caller hears why. */
static void test_faults(void)
{
    struct thread thread;
    fault_arm(1);
    assert(thread_start(&thread, "none", 0, look_around, NULL) == -ENOMEM);
    fault_arm(0);
}
#endif

int main(void)
{
    test_exclusion();
    test_waking();
    test_deadlines();
    test_manual_clock();
    test_start();
    test_detach();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    puts("thread: ok");
    return 0;
}
