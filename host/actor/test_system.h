/*
 * test_system.h -- what the tests of actors share: a host, opened with workers or stepped
 * by the test, and the calls of a behaviour that have nothing to do.
 */
#ifndef TROUPE_ACTOR_TEST_SYSTEM_H
#define TROUPE_ACTOR_TEST_SYSTEM_H

#include "actor/system.h"
#include "actor/watchdog.h"

#include <assert.h>

static struct system here;

/* ---- For behaviours ---- */

static inline enum verdict nothing(struct actor *actor)
{
    (void)actor;
    return VERDICT_DONE;
}

static inline void ends(struct actor *actor)
{
    (void)actor;
}

/* ---- The host ---- */

static inline void run(void)
{
    while (scheduler_step(&here))
        continue;
}

static inline void open_with(unsigned workers)
{
    assert(system_open(&here, workers, 0, NULL) == 0);
    assert(system_start(&here) == 0);
}

static inline void shut_down(void)
{
    struct shutdown_account account;
    bool threads = here.scheduler.regular > 0;
    lifecycle_shut_down(&here, clock_now(&here.clock) + 60 * NS_PER_SEC, &account);
    assert(account.left == 0);
    if (threads) {
        watchdog_stop(&here);
        assert(scheduler_stop(&here, clock_now(&here.clock) + 60 * NS_PER_SEC));
    }
    assert(here.groups.by_name.count == 0);
    system_close(&here);
}

#endif
