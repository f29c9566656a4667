/*
 * test_world.h -- what the tests of actors written in Lua share: a host that is stepped
 * on a stage, the world of its scripts, and what they print and log.
 */
#ifndef TROUPE_SCRIPT_TEST_WORLD_H
#define TROUPE_SCRIPT_TEST_WORLD_H

#include "base/log.h"
#include "script/script.h"
#include "script/vm.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static struct system       host;
static struct script_world world;

/* ---- What scripts print, and what is logged ---- */

static char   printed[65536];
static size_t printed_size;
static char   logged[65536];
static size_t logged_size;

static inline void keep(char *buffer, size_t room, size_t *used, const char *text, size_t size)
{
    assert(*used + size + 2 < room);
    memcpy(buffer + *used, text, size);
    *used += size;
    buffer[*used] = '\0';
}

static inline void keep_print(void *context, const char *line, size_t size)
{
    (void)context;
    keep(printed, sizeof printed, &printed_size, line, size);
}

/* A sink of log_set_sink(). */
static inline void keep_log(void *context, enum log_level level, const char *line)
{
    (void)context, (void)level;
    keep(logged, sizeof logged, &logged_size, line, strlen(line));
    keep(logged, sizeof logged, &logged_size, "\n", 1);
}

static inline void forget_texts(void)
{
    printed_size = logged_size = 0;
    printed[0] = logged[0] = '\0';
}

/* ---- The stage ---- */

typedef void print_function(void *context, const char *line, size_t size);

/* False, with nothing left open, if there is no memory. */
static inline bool try_open_stage(print_function *print)
{
    if (system_open(&host, 0, 1, NULL) != 0)
        return false;
    world = (struct script_world){
        .system = &host,
        .stage = true,
        .seed = 1,
        .defaults = { .memory_bytes = 64u << 20,
                      .slice_ns = 5 * NS_PER_SEC,
                      .ask_timeout_ns = 5 * NS_PER_SEC },
        .print = print,
    };
    if (system_start(&host) == 0 && (world.sources = sources_new(NULL)) != NULL)
        return true;
    system_close(&host);
    return false;
}

static inline void open_stage(void)
{
    forget_texts();
    assert(try_open_stage(keep_print));
}

static inline void run(void)
{
    while (scheduler_step(&host))
        continue;
}

/* Lets so much virtual time pass. */
static inline void advance(uint64_t ms)
{
    uint64_t until = clock_now(&host.clock) + ms * NS_PER_MS;
    run();
    for (uint64_t due; (due = timers_next(host.timers)) <= until; run())
        timers_advance(host.timers, due);
    timers_advance(host.timers, until);
    run();
}

/* Ends the actors, after which there is none, nor a timer of theirs. Returns how many
 * had to be killed. */
static inline unsigned stop_stage(void)
{
    struct shutdown_account account;
    lifecycle_shut_down(&host, clock_now(&host.clock) + 5 * NS_PER_SEC, &account);
    assert(atomic_load(&host.registry.living) == 0);
    assert(timers_count(host.timers) == 0);
    return account.left;
}

static inline void free_stage(void)
{
    sources_free(world.sources);
    system_close(&host);
    assert(vm_count() == 0);
}

static inline void close_stage(void)
{
    assert(stop_stage() == 0);
    free_stage();
}

#endif
