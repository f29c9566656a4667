/*
 * thread.c -- see thread.h.
 */
#include "base/thread.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* For answers that can only be wrong by our own mistake. Not through the log,
 * which stands on locks itself. */
static void must(int err, const char *what)
{
    if (LIKELY(err == 0))
        return;
    dprintf(STDERR_FILENO, "thread: %s: %s\n", what, strerror(err));
    abort();
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){
        .tv_sec = (time_t)(ns / NS_PER_SEC),
        .tv_nsec = (long)(ns % NS_PER_SEC),
    };
}

/* ---- Locks and signals ------------------------------------------------- */

void lock_init(struct lock *lock)
{
    must(pthread_mutex_init(&lock->mutex, NULL), "lock_init");
}

void lock_fini(struct lock *lock)
{
    must(pthread_mutex_destroy(&lock->mutex), "lock_fini");
}

void lock_acquire(struct lock *lock)
{
    must(pthread_mutex_lock(&lock->mutex), "lock_acquire");
}

void lock_release(struct lock *lock)
{
    must(pthread_mutex_unlock(&lock->mutex), "lock_release");
}

void signal_init(struct signal *signal)
{
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes), "signal_init");
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), "signal_init");
    must(pthread_cond_init(&signal->condition, &attributes), "signal_init");
    must(pthread_condattr_destroy(&attributes), "signal_init");
}

void signal_fini(struct signal *signal)
{
    must(pthread_cond_destroy(&signal->condition), "signal_fini");
}

void signal_wait(struct signal *signal, struct lock *lock)
{
    must(pthread_cond_wait(&signal->condition, &lock->mutex), "signal_wait");
}

bool signal_wait_until(struct signal *signal, struct lock *lock, uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX) {
        signal_wait(signal, lock);
        return true;
    }
    struct timespec deadline = timespec_of(deadline_ns);
    int err = pthread_cond_timedwait(&signal->condition, &lock->mutex, &deadline);
    if (err == ETIMEDOUT)
        return false;
    must(err, "signal_wait_until");
    return true;
}

void signal_one(struct signal *signal)
{
    must(pthread_cond_signal(&signal->condition), "signal_one");
}

void signal_all(struct signal *signal)
{
    must(pthread_cond_broadcast(&signal->condition), "signal_all");
}

/* ---- Spinning and parking ---------------------------------------------- */

void spin_acquire_slow(struct spin *spin)
{
    for (unsigned turn = 1;; turn++) {
        /* Look before asking again: looking leaves the line where it is. */
        if (!atomic_load_explicit(&spin->taken, memory_order_relaxed) &&
            !atomic_exchange_explicit(&spin->taken, 1, memory_order_acquire))
            return;
        /* Whoever has it may have lost its core: let it run. */
        if (turn % 64 == 0)
            sched_yield();
        else
            cpu_relax();
    }
}

static_assert(sizeof(atomic_uint) == sizeof(uint32_t), "a futex word has 32 bits");

void park_wait(atomic_uint *word, unsigned seen, uint64_t deadline_ns)
{
    struct timespec deadline = timespec_of(deadline_ns);
    long answer = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen,
                          deadline_ns == UINT64_MAX ? NULL : &deadline, NULL,
                          FUTEX_BITSET_MATCH_ANY);
    if (answer != 0 && errno != EAGAIN && errno != EINTR && errno != ETIMEDOUT)
        must(errno, "park_wait");
}

void park_wake(atomic_uint *word, int count)
{
    if (syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0) < 0)
        must(errno, "park_wake");
}

/* ---- Threads ----------------------------------------------------------- */

#define NAME_BYTES         16 /* the kernel's limit, with the NUL */
#define SIGNAL_STACK_BYTES (32 * 1024)

struct start {
    void *(*body)(void *);
    void *argument;
    bool  has_room; /* on its stack, for another one */
    char  name[NAME_BYTES];
};

#ifndef TROUPE_SANITIZED
/* Signal handlers that ask for it (SA_ONSTACK) have a stack of their own, for
 * when the thread's is used up. Sanitizers bring one. */
static __attribute__((noinline)) void *run_with_signal_stack(const struct start *start)
{
    char stack[SIGNAL_STACK_BYTES];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    bool has_other = sigaltstack(&other, NULL) == 0;
    void *result = start->body(start->argument);
    if (has_other)
        sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    return result;
}
#endif

static void *run(void *argument)
{
    struct start start = *(struct start *)argument;
    memory_put(argument, sizeof start);
    pthread_setname_np(pthread_self(), start.name); /* only for people: may fail */
#ifndef TROUPE_SANITIZED
    if (start.has_room)
        return run_with_signal_stack(&start);
#endif
    return start.body(start.argument);
}

/* A thread inherits the CPUs of the one that makes it, which may have been pinned. */
static void free_of_cpus(pthread_attr_t *attributes)
{
    cpu_set_t here, all;
    if (sched_getaffinity(getpid(), sizeof all, &all) != 0 ||
        sched_getaffinity(0, sizeof here, &here) != 0 || CPU_EQUAL(&here, &all))
        return;
    pthread_attr_setaffinity_np(attributes, sizeof all, &all);
}

static int create(struct thread *thread, size_t stack_bytes, struct start *start)
{
    pthread_attr_t attributes;
    int err = pthread_attr_init(&attributes);
    if (err != 0)
        return -err;
    if (stack_bytes > 0) {
        size_t least = (size_t)PTHREAD_STACK_MIN;
        err = pthread_attr_setstacksize(&attributes, stack_bytes > least ? stack_bytes : least);
    }
    free_of_cpus(&attributes);
    if (err == 0)
        err = pthread_create(&thread->handle, &attributes, run, start);
    must(pthread_attr_destroy(&attributes), "thread_start");
    return -err;
}

int thread_start(struct thread *thread, const char *name, size_t stack_bytes,
                 void *(*body)(void *), void *argument)
{
    struct start *start = memory_get(sizeof *start);
    if (start == NULL)
        return -ENOMEM;
    *start = (struct start){.body = body,
                            .argument = argument,
                            .has_room = stack_bytes == 0 || stack_bytes >= 8 * SIGNAL_STACK_BYTES};
    snprintf(start->name, sizeof start->name, "%s", name);

    /* The new thread inherits the mask, so it never runs without it. */
    static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGURG};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < ARRAY_LENGTH(kept); i++)
        sigdelset(&blocked, kept[i]);
    must(pthread_sigmask(SIG_SETMASK, &blocked, &before), "thread_start");
    int err = create(thread, stack_bytes, start);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL), "thread_start");

    if (err != 0)
        memory_put(start, sizeof *start);
    return err;
}

void thread_join(struct thread *thread)
{
    must(pthread_join(thread->handle, NULL), "thread_join");
}

void thread_detach(struct thread *thread)
{
    must(pthread_detach(thread->handle), "thread_detach");
}
