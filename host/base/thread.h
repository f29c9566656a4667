/*
 * thread.h -- lock, signal, spin lock, parking word and named thread.
 *
 * Every pthread answer is checked; one that can only be our own mistake aborts.
 */
#ifndef TROUPE_BASE_THREAD_H
#define TROUPE_BASE_THREAD_H

#include "base/base.h"

#include <pthread.h>
#include <stdatomic.h>

struct lock { pthread_mutex_t mutex; };

void lock_init(struct lock *lock);
void lock_fini(struct lock *lock);
void lock_acquire(struct lock *lock);
void lock_release(struct lock *lock);

/* A condition, waited for under its lock, on the monotonic clock. */
struct signal { pthread_cond_t condition; };

void signal_init(struct signal *signal);
void signal_fini(struct signal *signal);
void signal_wait(struct signal *signal, struct lock *lock);
/* False once `deadline_ns` (monotonic) has passed. UINT64_MAX: no deadline. */
bool signal_wait_until(struct signal *signal, struct lock *lock, uint64_t deadline_ns);
void signal_one(struct signal *signal);
void signal_all(struct signal *signal);

/* For a few instructions only; never held across a call that may block. */
struct spin { atomic_int taken; };

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Everything before is visible to others before anything after is read. The
 * thread sanitizer knows no fences; a read-modify-write is one to the machine. */
static inline void full_fence(void)
{
#ifdef __SANITIZE_THREAD__
    static _Atomic int nothing;
    atomic_fetch_add_explicit(&nothing, 0, memory_order_seq_cst);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

void spin_acquire_slow(struct spin *spin);

static inline void spin_acquire(struct spin *spin)
{
    if (LIKELY(!atomic_exchange_explicit(&spin->taken, 1, memory_order_acquire)))
        return;
    spin_acquire_slow(spin);
}

static inline void spin_release(struct spin *spin)
{
    atomic_store_explicit(&spin->taken, 0, memory_order_release);
}

/* Sleeps while *word == seen, until woken or `deadline_ns` (monotonic;
 * UINT64_MAX: none). May return early: look again. */
void park_wait(atomic_uint *word, unsigned seen, uint64_t deadline_ns);
/* Wakes up to `count` threads parked on `word` (which the caller has changed). */
void park_wake(atomic_uint *word, int count);

struct thread { pthread_t handle; };

/* Starts `body(argument)` on a thread called `name` (cut to 15 bytes), with a
 * stack of `stack_bytes` (0: the system's default) and all signals blocked but
 * those a fault raises and SIGURG, on all CPUs of the process, wherever its
 * maker runs. 0 or -errno. */
int  thread_start(struct thread *thread, const char *name, size_t stack_bytes,
                  void *(*body)(void *), void *argument);
void thread_join(struct thread *thread);
void thread_detach(struct thread *thread);

#endif
