/*
 * lifecycle.h -- birth and death of actors, and who is told of it.
 */
#ifndef TROUPE_ACTOR_LIFECYCLE_H
#define TROUPE_ACTOR_LIFECYCLE_H

#include "actor/incarnation.h"
#include "base/cpus.h"

struct spawn {
    const char *name;               /* NULL: `stem`#N */
    const char *stem;
    const struct behaviour *behaviour;
    void       *state;              /* the actor's if the spawn succeeds */
    actor_id    parent;             /* ends with it; 0: none */
    struct mailbox_options mailbox;
    uint32_t    children;           /* at once; 0: the host's limit */
    uint64_t    slice_ns;           /* a handler that runs longer is reported; 0: 5 s */
    const char *thread;             /* NULL or "pool", "own", "group:NAME" */
    const struct cpus *cpus;        /* its thread runs there only; NULL or empty: anywhere */
    int         priority;           /* of its thread, 1 to 99; 0: that of any thread */
    bool        hidden;             /* the host's own: does not keep the host alive, has any name */
    bool        takes_any;          /* it has a use for messages of whatever type */
    bool        interleaves;        /* it may have several handlers under way */
    size_t      memory;             /* bytes that `state` holds */
    bool        traps_exits;        /* the end of one it is linked to is told, and does not end it */
    enum on_failure on_failure;
    struct restart_options restart; /* of ON_FAILURE_RESTART */
    bool        supervised;         /* its parent starts it, and decides when it has ended */
    bool        announced;          /* its parent is told when it begins: see incarnation.h */
    bool        contained;          /* its failure takes neither its parent along nor the host */
    struct subject *subject;        /* what it runs, for people; NULL: nothing named */
    const void *config;             /* supervised: the payload of its START; copied */
    size_t      config_size;
};

/* Makes an actor, registers its name and opens its mailbox; nothing runs until
 * lifecycle_start(). 0 and *id; negative errno with a sentence in `why`:
 * -EEXIST, -EAGAIN or -EMLINK (the host's limit, the parent's), -ENOMEM, -EINVAL, -ESHUTDOWN (the host stops). */
int lifecycle_spawn(struct system *system, const struct spawn *spawn, actor_id *id,
                    char *why, size_t room);

/* Whether a spawn would be refused for a limit or because the host stops: the same
 * answers, before anything was made for it. */
int lifecycle_check_room(struct system *system, actor_id parent, char *why, size_t room);

/* Sends START with `config` (packed map; size 0: none), which it keeps for its
 * restarts; its handler runs first. */
int lifecycle_start(struct system *system, actor_id id, const void *config, size_t size);

/* Waits until the handler of START has ended or waits itself, or the actor is
 * gone, or `deadline_ns`: so that what is started next begins after it. Not on
 * a worker, not on a stage. */
void lifecycle_await_begun(struct system *system, actor_id id, uint64_t deadline_ns);
/* That it is so. Called by actor_run() only. */
void lifecycle_begun(struct actor *actor);

/* In what way an actor is to end: `reason` of a MESSAGE_STOP. */
enum stop_how {
    STOP_ASKED,    /* a supervised one is halted, any other ends */
    STOP_FOR_GOOD, /* its parent has ended, or the host does */
    STOP_HALT,     /* its supervisor halts it; it was in the incarnation `request` then */
    STOP_DROP,     /* its supervisor needs it no more: only if it does not run */
    STOP_KILL,     /* the incarnation `request`, at once */
};

/* Tells an actor to end so. False if it is gone already. */
bool lifecycle_tell(struct system *system, actor_id id, enum stop_how how, bool drain);

/* Asks an actor to end (STOP_ASKED). False if it is gone already. */
bool lifecycle_stop(struct system *system, actor_id id, bool drain);

/* The children of an actor whose incarnation ends are told to end for good, the
 * youngest first; with `mourned`, registry_mourns() tells when they have. */
void lifecycle_end_children(struct actor *parent, bool mourned);

/* The actor's last act, on its own worker: closes, refuses what is left, ends
 * children, frees. Called by actor_run() only. */
void lifecycle_end(struct actor *actor);

#endif
