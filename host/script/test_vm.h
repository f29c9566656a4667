/*
 * test_vm.h -- what the tests of vm, guard and libraries share: a vm with a
 * script in it, and a thread that interrupts what it runs.
 */
#ifndef TROUPE_SCRIPT_TEST_VM_H
#define TROUPE_SCRIPT_TEST_VM_H

#include "base/base.h"
#include "base/test_tsan.h"
#include "base/thread.h"
#include "script/vm.h"

#include <assert.h>
#include <errno.h>
#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static inline uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- Interrupts: SIGURG again and again until the vm has come back ---- */

static struct interrupter {
    struct lock   lock;
    struct signal changed;
    struct thread thread;
    pthread_t     target;
    bool     armed, quit;   /* guarded by lock */
    unsigned delay_us, period_us;
    /* Read by the signal handler, on the thread that sets them. */
    struct vm *volatile vm;
    volatile sig_atomic_t what;
    volatile sig_atomic_t count;
    char c_function[64];    /* filled in if not empty: what the vm was found in */
} interrupter;

static inline void on_urgent(int number)
{
    (void)number;
    if (interrupter.vm == NULL)
        return;
    interrupter.count++;
    if (interrupter.c_function[0] != '\0')
        vm_name_c_function(interrupter.vm, interrupter.c_function, sizeof interrupter.c_function);
    vm_interrupt(interrupter.vm, (enum vm_interrupt)interrupter.what);
}

static inline void pause_us(unsigned us)
{
    struct timespec pause = { .tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000 };
    nanosleep(&pause, NULL);
}

static inline void *interrupt_loop(void *unused)
{
    (void)unused;
    lock_acquire(&interrupter.lock);
    while (!interrupter.quit) {
        if (!interrupter.armed) {
            signal_wait(&interrupter.changed, &interrupter.lock);
            continue;
        }
        unsigned pause = interrupter.delay_us;
        while (interrupter.armed) {
            lock_release(&interrupter.lock);
            if (pause > 0)
                pause_us(pause);
            lock_acquire(&interrupter.lock);
            if (interrupter.armed)
                pthread_kill(interrupter.target, SIGURG);
            pause = interrupter.period_us;
        }
    }
    lock_release(&interrupter.lock);
    return NULL;
}

static inline void interrupter_start(void)
{
    struct sigaction action = { .sa_handler = on_urgent, .sa_flags = SA_RESTART };
    sigaction(SIGURG, &action, NULL);
    lock_init(&interrupter.lock);
    signal_init(&interrupter.changed);
    interrupter.target = pthread_self();
    assert(thread_start(&interrupter.thread, "interrupter", 0, interrupt_loop, NULL) == 0);
}

static inline void interrupter_stop(void)
{
    lock_acquire(&interrupter.lock);
    interrupter.quit = true;
    signal_all(&interrupter.changed);
    lock_release(&interrupter.lock);
    thread_join(&interrupter.thread);
}

static inline void interrupter_arm(struct vm *vm, enum vm_interrupt what, unsigned delay_us,
                                   unsigned period_us)
{
    interrupter.what = (int)what;
    interrupter.count = 0;
    interrupter.vm = vm;
    lock_acquire(&interrupter.lock);
    interrupter.delay_us = delay_us;
    interrupter.period_us = period_us;
    interrupter.armed = true;
    signal_all(&interrupter.changed);
    lock_release(&interrupter.lock);
}

static inline void interrupter_disarm(void)
{
    interrupter.vm = NULL;
    lock_acquire(&interrupter.lock);
    interrupter.armed = false;
    lock_release(&interrupter.lock);
}

/* ---- A vm with a script ---- */

struct rig {
    struct vm         vm;
    struct vm_options options;
    lua_State        *coroutine;
    int               reference;
};

static inline int wait_is_over(lua_State *L, int status, lua_KContext base)
{
    (void)status;
    return lua_gettop(L) - (int)base;
}

/* test.wait(...) -> what the test answers */
static inline int test_wait(lua_State *L)
{
    return vm_wait(L, "wait", wait_is_over, lua_gettop(L));
}

static inline int test_exit(lua_State *L)
{
    return vm_die(L, VM_EXIT);
}

static inline int open_test_library(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "wait", test_wait }, { "exit", test_exit }, { NULL, NULL } };
    luaL_newlib(L, functions);
    return 1;
}

static const struct vm_library test_libraries[] = { { "test", open_test_library }, { NULL, NULL } };

static inline void rig_open(struct rig *rig, size_t memory_limit)
{
    rig->options = (struct vm_options){ .memory_limit = memory_limit,
                                        .libraries = test_libraries };
    assert(vm_open(&rig->vm, &rig->options) == 0);
    rig->coroutine = vm_coroutine(&rig->vm, &rig->reference);
    assert(rig->coroutine != NULL);
}

static inline void rig_close(struct rig *rig)
{
    vm_close(&rig->vm);
    assert(rig->vm.arena.used == 0 && rig->vm.arena.held == 0);
}

/* Pushes a chunk whose environment is the script's. */
static inline void rig_push(struct rig *rig, const char *text)
{
    lua_State *L = rig->coroutine;
    if (luaL_loadbufferx(L, text, strlen(text), "=test", "t") != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, rig->vm.environment);
    assert(lua_setupvalue(L, -2, 1) != NULL);
}

/* Makes the handler coroutine fit again. */
static inline void rig_recover(struct rig *rig)
{
    if (vm_recover(&rig->vm, rig->coroutine))
        return;
    luaL_unref(rig->vm.L, LUA_REGISTRYINDEX, rig->reference);
    rig->coroutine = vm_coroutine(&rig->vm, &rig->reference);
    assert(rig->coroutine != NULL);
}

/* Runs a text as a handler, answering 1, 2, 3... to its waits. */
static inline enum vm_result rig_run(struct rig *rig, const char *text)
{
    int answer = 0;
    rig_push(rig, text);
    enum vm_result result = vm_resume(&rig->vm, rig->coroutine, 0);
    while (result == VM_WAITING || result == VM_PREEMPTED) {
        if (result == VM_WAITING)
            lua_pushinteger(rig->coroutine, ++answer);
        result = vm_resume(&rig->vm, rig->coroutine, result == VM_WAITING ? 1 : 0);
    }
    return result;
}

/* What is on top of the handler coroutine, which may be a dead one, as a text. */
static inline const char *rig_text(struct rig *rig)
{
    assert(lua_checkstack(rig->coroutine, 8));
    return lua_gettop(rig->coroutine) > 0 ? luaL_tolstring(rig->coroutine, -1, NULL) : "nothing";
}

/* Runs a text that must return true. */
static inline void rig_check_at(struct rig *rig, const char *text, int line)
{
    if (rig_run(rig, text) == VM_DONE && lua_toboolean(rig->coroutine, -1))
        return;
    fprintf(stderr, "test at line %d: %s\n%s\n", line, rig_text(rig), text);
    abort();
}
#define rig_check(rig, text) rig_check_at(rig, text, __LINE__)

/* Runs a text that must fail with an error that has `part` in it. */
static inline void rig_check_fails_at(struct rig *rig, const char *text, const char *part, int line)
{
    enum vm_result result = rig_run(rig, text);
    const char *message = rig_text(rig);
    if (result == VM_FAILED && strstr(message, part) != NULL) {
        rig_recover(rig);
        return;
    }
    fprintf(stderr, "test at line %d: result %d, \"%s\" without \"%s\"\n%s\n", line, (int)result,
            message, part, text);
    abort();
}
#define rig_check_fails(rig, text, part) rig_check_fails_at(rig, text, part, __LINE__)

/* Runs the tests on a thread whose stack is a worker's: 1 MB. (The thread
 * sanitizer keeps three quarters of a megabyte of its own there.) */
static inline int run_on_small_stack(void *(*tests)(void *))
{
    struct thread thread;
    if (thread_start(&thread, "tests", (UNDER_TSAN ? 2 : 1) * 1024 * 1024, tests, NULL) != 0)
        return 1;
    thread_join(&thread);
    return 0;
}

#endif
