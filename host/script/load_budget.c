/*
 * load_budget.c -- see load_budget.h.
 */
#include "script/load_budget.h"

#include "actor/watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define LOAD_BUDGET_NS NS_PER_SEC
#define LOAD_REPEAT_NS (10 * NS_PER_MS)

/* Texts whose top level has ended in time, by their hash: one of many with the
 * same place forgets the other, and is watched once more. */
static _Atomic uint64_t known_to_end[256];

/* What this thread loads under a timer; read by the signal handler. */
static _Thread_local struct vm *volatile loading_vm __attribute__((tls_model("initial-exec")));
static _Thread_local volatile uint64_t loading_until_ns __attribute__((tls_model("initial-exec")));

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* In the signal handler. A signal that comes before the second is over is the
 * watchdog's, and meant for the handler that spawns. */
static bool interrupt_loading(void)
{
    struct vm *vm = loading_vm;
    if (vm == NULL || monotonic_ns() < loading_until_ns)
        return false;
    vm_interrupt(vm, VM_INTERRUPT_STOP);
    return true;
}

static void install(void)
{
    watchdog_before_signal = interrupt_loading;
    watchdog_listen();
}

/* The timer sends the signal again and again: __close handlers may run too. */
static bool arm(timer_t *timer, struct vm *vm)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);

    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG };
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, timer) != 0)
        return false;
    loading_until_ns = monotonic_ns() + LOAD_BUDGET_NS;
    loading_vm = vm;
    struct itimerspec when = {
        .it_value = { .tv_sec = LOAD_BUDGET_NS / NS_PER_SEC },
        .it_interval = { .tv_nsec = LOAD_REPEAT_NS },
    };
    timer_settime(*timer, 0, &when, NULL);
    return true;
}

bool load_budget_is_known(const struct script *script)
{
    uint64_t hash = source_hash(script->source);
    return atomic_load_explicit(&known_to_end[hash % ARRAY_LENGTH(known_to_end)],
                                memory_order_relaxed) == hash;
}

static enum vm_result run(struct script *script, lua_State *coroutine, int arguments, bool watched)
{
    struct vm *outer = loading_vm;
    uint64_t outer_until_ns = loading_until_ns;
    timer_t timer;
    bool armed = watched && !script->world->stage && arm(&timer, &script->vm);

    script->vm.loading = true;
    enum vm_result result = vm_resume(&script->vm, coroutine, arguments);
    script->vm.loading = false;

    if (armed) {
        timer_delete(timer);
        loading_vm = outer;
        loading_until_ns = outer_until_ns;
    }
    return result;
}

enum vm_result load_budget_run(struct script *script, bool trusted)
{
    uint64_t hash = source_hash(script->source);
    enum vm_result result = run(script, script->hand.coroutine, 1,
                                !trusted || !load_budget_is_known(script));
    if (result == VM_DONE)
        atomic_store_explicit(&known_to_end[hash % ARRAY_LENGTH(known_to_end)], hash,
                              memory_order_relaxed);
    return result;
}

enum vm_result load_budget_watch(struct script *script, lua_State *coroutine, int arguments)
{
    return run(script, coroutine, arguments, true);
}
