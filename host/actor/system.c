/*
 * system.c -- builds the parts that the actors of one host share, bottom up.
 */
#include "actor/system.h"

#include "actor/watchdog.h"

#include <string.h>

int system_open(struct system *system, unsigned workers, uint64_t seed,
                const struct system_limits *limits)
{
    memset(system, 0, sizeof *system);
    system->limits = limits != NULL ? *limits : SYSTEM_LIMITS_DEFAULT;
    clock_init(&system->clock, workers == 0);
    atomic_init(&system->born_ms, (uint32_t)(clock_now(&system->clock) / NS_PER_MS));
    lock_init(&system->lock);
    lock_init(&system->waits_lock);
    urgency_init(&system->urgency);
    signal_init(&system->changed);
    names_open(&system->names);
    groups_open(&system->groups);
    nodes_open(&system->nodes);

    int error = registry_open(&system->registry, system->limits.actors);
    if (error != 0)
        goto fini_locks;
    system->registry.children_limit = system->limits.children;
    error = dead_letters_open(&system->letters, system->limits.dead_letters, 4u << 20);
    if (error != 0)
        goto close_registry;
    system->letters.clock_ms = &system->born_ms;
    obituaries_open(system);
    error = timers_open(&system->timers, system);
    if (error != 0)
        goto close_letters;
    error = scheduler_open(system, workers, seed);
    if (error != 0)
        goto close_timers;
    return 0;

close_timers:
    timers_close(system->timers);
close_letters:
    obituaries_close(system);
    dead_letters_close(&system->letters);
close_registry:
    registry_close(&system->registry);
fini_locks:
    nodes_close(&system->nodes);
    groups_close(&system->groups);
    names_close(&system->names);
    signal_fini(&system->changed);
    urgency_fini(&system->urgency);
    lock_fini(&system->waits_lock);
    lock_fini(&system->lock);
    return error;
}

int system_start(struct system *system)
{
    if (system->scheduler.regular == 0)
        return 0;
    int error = timers_start(system->timers);
    if (error == 0)
        error = scheduler_start(system);
    if (error == 0)
        error = watchdog_start(system);
    return error;
}

void system_close(struct system *system)
{
    timers_close(system->timers);
    scheduler_close(system);
    obituaries_close(system);
    dead_letters_close(&system->letters);
    registry_close(&system->registry);
    nodes_close(&system->nodes);
    groups_close(&system->groups);
    names_close(&system->names);
    signal_fini(&system->changed);
    urgency_fini(&system->urgency);
    lock_fini(&system->waits_lock);
    lock_fini(&system->lock);
}

void system_ask_stop(struct system *system, int exit_code)
{
    lock_acquire(&system->lock);
    if (!system->stop_asked) {
        system->stop_asked = true;
        system->exit_code = exit_code;
    }
    signal_all(&system->changed);
    lock_release(&system->lock);
}
