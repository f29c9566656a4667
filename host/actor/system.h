/*
 * system.h -- everything the actors of one host share.
 *
 * Built by the roof (host.c) and by tests; each part has its own header and
 * its own locks. Locks nest in this order only: scheduler, names, registry,
 * mailbox (spin), run queue (spin), dead letters, log. The locks of timers, groups
 * and urgency are leaves, and so are the watch locks (spin) of actors, of which two
 * may be held, the lower slot's first.
 */
#ifndef TROUPE_ACTOR_SYSTEM_H
#define TROUPE_ACTOR_SYSTEM_H

#include "actor/deadletters.h"
#include "actor/groups.h"
#include "actor/lifecycle.h"
#include "actor/names.h"
#include "actor/nodes.h"
#include "actor/obituaries.h"
#include "actor/registry.h"
#include "actor/router.h"
#include "actor/scheduler.h"
#include "actor/shutdown.h"
#include "actor/streams.h"
#include "actor/timer.h"
#include "actor/urgency.h"
#include "actor/waits.h"
#include "base/clock.h"

struct system_limits {
    uint32_t actors;        /* at once */
    uint32_t children;      /* of one actor, unless it says otherwise */
    uint32_t timers;
    size_t   dead_letters;
    size_t   memory_bytes;  /* of all scripts: beyond it there are no new ones; 0: none */
};

#define SYSTEM_LIMITS_DEFAULT                                                    \
    ((struct system_limits){ .actors = 1000000, .children = 100000,              \
                             .timers = 1000000, .dead_letters = 1000 })

struct system_counters {
    _Atomic uint64_t unhandled, rejected, late_answers, frames_bad, timers_fired, bad_fields,
        restarts;
    /* What was refused because a limit was reached: */
    _Atomic uint64_t full_actors, full_children, full_timers, full_memory;
};

struct system {
    struct clock        clock;
    struct registry     registry;
    struct names        names;
    struct groups       groups;
    struct nodes        nodes;
    struct scheduler    scheduler;
    struct dead_letters letters;
    struct obituaries   obituaries;
    struct timers      *timers;
    struct lock         waits_lock;
    struct urgency      urgency;
    struct remote_port  remote;   /* all NULL: no way out */
    struct stream_port  streams;  /* all NULL: there are none */
    struct system_limits limits;
    struct system_counters counters;
    void               *owner;    /* the roof's host */
    struct incarnation_hook *incarnation_hooks; /* fixed before system_start() */
    /* The stage: sees every message that an actor is about to handle. */
    void (*observe)(struct system *system, const struct actor *actor,
                    const struct message *message);
    /* The roof's tools: sees what comes from elsewhere before any actor does.
     * True: it has taken *message. The gateway's thread; fixed before that starts. */
    bool (*intercept)(void *context, const char *receiver, struct message **message);
    void  *intercept_context;

    _Atomic bool     inlet_closed; /* shutting down: no new actors, nothing from outside */
    _Atomic uint32_t born_ms;      /* a coarse clock for stamps */

    /* Told under `lock` when an actor ends or somebody asks the host to stop. */
    struct lock   lock;
    struct signal changed;
    uint32_t      hidden;          /* of the living actors: the host's own; guarded by lock */
    bool          stop_asked;      /* guarded by lock */
    int           exit_code;       /* guarded by lock */
    bool          last_error;      /* the last actor ended by an error; guarded by lock */
    _Atomic actor_id begin_watched; /* lifecycle_await_begun() waits for its beginning */
    _Atomic actor_id told;         /* actor/shutdown.c: whose end the others wait for; 0: nobody's */
    _Atomic uint32_t told_count;   /* how many were told */
};

/* `workers` 0 makes a stage: no threads, a clock that stands still. 0 or -errno. */
int  system_open(struct system *system, unsigned workers, uint64_t seed,
                 const struct system_limits *limits);
int  system_start(struct system *system);
/* All actors must have ended, or system_stop() been false. */
void system_close(struct system *system);

/* Asks whoever runs the host to end it with this exit code. Any thread. */
void system_ask_stop(struct system *system, int exit_code);

#endif
