/*
 * actor.h -- an actor: an identity, a mailbox, and a behaviour that C or Lua fills.
 *
 * The structures of actors are never freed, only used again under another id
 * (actor/registry.h), so a sender may touch one without a lock: at worst it
 * finds a closed mailbox, or its message reaches the next tenant, who sees
 * that message->to is not himself and answers as the dead would.
 *
 * The life of an actor on its worker:
 *   born --START--> running --STOP--> draining --> shutting down --> gone
 *                      ^--- START --- halted <----------'   (actor/incarnation.h)
 * Whatever a handler does (waits, is preempted), the next message is handled
 * only when it has ended; unless its behaviour takes others meanwhile, and then
 * the actor waits as long as any of them does.
 */
#ifndef TROUPE_ACTOR_ACTOR_H
#define TROUPE_ACTOR_ACTOR_H

#include "actor/mailbox.h"
#include "actor/timer.h"

struct actor;
struct handler_times;
struct membership;
struct name_wait;
struct rebirth;
struct subject;
struct system;
struct worker;

/* What a behaviour says after it has run for a while. */
enum verdict {
    VERDICT_DONE,      /* ready for the next message */
    VERDICT_WAITING,   /* its handler waits: actor->appetite says for what */
    VERDICT_PREEMPTED, /* suspended where it stood: queue the actor again, then go_on() */
    VERDICT_ENDED,     /* the actor is to end: actor->ended says how */
};

/* How a worker's runaway handler is to be disturbed; see actor/watchdog.h. */
enum interrupt {
    INTERRUPT_PREEMPT,
    INTERRUPT_OVERDUE, /* longer than its slice: report it, or stop it if it says so */
    INTERRUPT_CANCEL,  /* end it if it is what somebody has cancelled: actor->cancelling */
    INTERRUPT_STOP,    /* end it: the host will wait no longer */
};

enum beginning { BEGIN_NOW, BEGIN_LATER, BEGIN_FAILED };

/* What the actor runs. All but `interrupt` are called on the worker that runs
 * the actor; messages given are owned by the behaviour. */
struct behaviour {
    /* Before the START of an incarnation is received: whether it may begin. NULL: it
     * always may. BEGIN_FAILED: never, and a sentence in `why`. */
    enum beginning (*may_begin)(struct actor *actor, char *why, size_t room);
    enum verdict (*receive)(struct actor *actor, struct message *message);
    enum verdict (*go_on)(struct actor *actor);    /* after VERDICT_PREEMPTED */
    enum verdict (*cut)(struct actor *actor);      /* end the wait under way: reason stopping */
    enum verdict (*shut_down)(struct actor *actor); /* the last handler */
    mailbox_chooser *chooses;                      /* for APPETITE_CHOSEN; context is the actor */
    void (*end)(struct actor *actor);              /* free actor->state; the mailbox is closed */
    /* The incarnation has ended and the actor is halted: free what belongs to it
     * alone (again, if renew() failed). NULL: it cannot be started again. */
    void (*halt)(struct actor *actor);
    /* Make a fresh state after halt(). 0, or -errno and a sentence in `why`. */
    int (*renew)(struct actor *actor, char *why, size_t room);
    /* Drop the handlers in hand, which run no more; VERDICT_ENDED. NULL: it has
     * none that wait or are preempted. */
    enum verdict (*kill)(struct actor *actor);
    /* In a signal handler on the actor's worker, while its code runs. */
    void (*interrupt)(struct actor *actor, enum interrupt what);
    /* Same place, when an interrupt found the handler deaf: what it is stuck in. */
    bool (*stuck_in)(struct actor *actor, char *text, size_t room);
};

/* What a handler that waits waits for; see actor/statistics.h. */
enum waiting {
    WAITING_FOR_NOTHING,
    WAITING_FOR_ANSWER,
    WAITING_FOR_ANSWERS, /* to several questions */
    WAITING_FOR_ROOM,    /* in a mailbox, or on the way to another host */
    WAITING_FOR_MESSAGE,
    WAITING_FOR_TIME,    /* it sleeps */
    WAITING_FOR_NAME,    /* that somebody registers it */
};

enum actor_phase {
    PHASE_BORN,
    PHASE_HALTED, /* between two incarnations */
    PHASE_RUNNING,
    PHASE_DRAINING,
    PHASE_SHUTTING_DOWN,
    PHASE_GONE,
};

/* What comes when the incarnation has ended. (A supervised actor is halted.) */
enum afterwards {
    AFTERWARDS_END,
    AFTERWARDS_RESTART,
    AFTERWARDS_ESCALATE, /* it ends, and its parent fails with it */
};

/* How an actor ended. */
enum ending {
    ENDED_NORMALLY,
    ENDED_BY_ERROR,
    ENDED_AT_START, /* by an error, before its start was over */
};

/* While somebody holds the actor: actor/hold.h. */
struct hold {
    unsigned        count;    /* of those who do */
    bool            busy;     /* and what it was before */
    uint8_t         appetite; /* enum appetite, likewise */
    struct message *start;    /* owned: its START that waits; or NULL */
};

struct actor {
    struct mailbox box;

    _Atomic actor_id id;              /* 0: the slot is free */
    _Atomic uint64_t edge;            /* whom its handler waits for: actor/waits.h */
    struct system *system;
    const struct behaviour *behaviour;
    void          *state;             /* the behaviour's */
    struct actor  *run_next;          /* in a run queue; guarded by that queue */
    struct worker *home;              /* its own or its group's worker; NULL: the pool */

    /* Only the worker that runs it: */
    enum appetite    appetite;
    _Atomic uint8_t  phase;           /* enum actor_phase; for people, any thread may read it */
    uint8_t          ended;           /* enum ending */
    char            *end_reason;      /* owned; NULL: normal; see actor_note_end() */
    bool             busy;            /* a handler waits or is preempted */
    bool             preempted;
    bool             starting;        /* its first handler runs, and has not waited yet */
    _Atomic bool     begun;           /* that is over; for lifecycle_await_begun() */
    _Atomic bool     takes_any;       /* of whatever type; fixed by the spawn, read by any thread */
    bool             hidden;          /* the host's own: keeps no host alive; fixed by the spawn */
    _Atomic bool     has_streams;     /* or had: whoever gives it one says so first */
    bool             vital;           /* ENDED_AT_START ends the host; set before it begins */
    bool             traps_exits;     /* a link's end is told to it; fixed by the spawn */
    uint8_t          on_failure;      /* enum on_failure; fixed by the spawn */
    uint8_t          afterwards;      /* enum afterwards */
    bool             supervised;      /* its parent decides what comes when it ends; fixed by the spawn */
    bool             announced;       /* its parent is told when it begins; likewise */
    bool             contained;       /* its failure climbs no higher; fixed by the spawn */
    bool             for_good;        /* and not any more: the next end is the last */
    bool             started;         /* on_start of this incarnation has ended well */
    _Atomic uint32_t restarts;        /* read like phase: how many incarnations came before this one */
    uint32_t         parent_incarnation; /* of the parent, at the spawn */
    actor_id         parent_id;       /* 0: it never had one; fixed by the spawn */
    struct rebirth  *rebirth;         /* NULL: it cannot be started again */
    char            *chain;           /* owned; of failures that have climbed up to it, or NULL */
    struct hold      hold;
    uint32_t         drain_left;      /* messages still to be handled while draining */
    uint32_t         waits;           /* number of the last wait: unique for this id */

    struct membership *memberships;   /* of groups: actor/groups.h */

    struct name_wait *_Atomic name_wait; /* those of its waits that stand in lines; written under the names' lock */
    struct alarm     alarm;           /* the deadline of its wait */
    struct timer    *timers;          /* it owns, armed; guarded by the timers' lock */

    _Atomic uint32_t incarnation;     /* from 1; written by its worker only */
    _Atomic uint64_t condemned;       /* which incarnation is to be killed: generation, number */

    /* Between the watchdog and the worker: */
    _Atomic uint64_t slice_ns;        /* how long a handler may run; set by the spawn */
    _Atomic bool     watched;         /* the watchdog has seen the handler in hand twice */
    _Atomic bool     overdue_told;    /* and it was reported */
    _Atomic bool     cancelling;      /* somebody waits no more for what it runs: the behaviour,
                                       * asked by INTERRUPT_CANCEL, knows whether it is that */
    _Atomic uint64_t ran_ns;          /* of the handler in hand, before it was last preempted */
    _Atomic uint8_t  log_level;       /* of what is said of it; actor/actor_log.h */
    _Atomic type_id  handling;        /* what its handler is about; TYPE_NONE: it has none in hand */

    /* Written by its worker, for anybody to look at: actor/statistics.h */
    _Atomic type_id  last_type;       /* of the last message that it was given */
    _Atomic uint32_t since_ms;        /* on the coarse clock: its handler runs, or waits, since then */
    _Atomic bool     shown_held;      /* a reload holds it */
    bool             timing;          /* its worker's only: the handler in hand is being timed */
    bool             interleaves;     /* several of its handlers may be under way; fixed by the spawn */
    _Atomic uint64_t handled;         /* messages given to its behaviour */
    uint64_t         timed_ns;        /* its worker's only: how long the one being timed has run */
    _Atomic uint32_t errors;          /* handlers that failed */
    _Atomic uint64_t waiting;         /* enum waiting, and above it the type that it is about */
    _Atomic size_t   memory;          /* bytes that its state holds */
    struct handler_times *_Atomic times; /* NULL: none was timed; freed under the registry's lock */
    struct spin      waits_lock;
    actor_id         waits_here;      /* whom its wait is for, if no edge says it; or 0; written by */
    struct address  *waits_elsewhere; /* its worker, under waits_lock; one reference, or NULL */

    /* actor/watches.h, which says what it guards: */
    struct spin      watch_lock;
    struct actor_watch *watchers;     /* of this actor, in order; guarded by it */
    struct watches  *watches;         /* that it has begun, and links; likewise. NULL: none yet */

    /* Guarded by the registry's lock: */
    const char      *name;            /* owned; NULL: the slot is free */
    struct subject  *subject;         /* what it runs, one reference; NULL: nothing named; subject.h */
    uint32_t         marked_ms;       /* when it was last looked at ... */
    uint32_t         marked_handled;  /* ... and what `handled` was then, low bits */
    float            rate;            /* messages a second before that */
    uint32_t         generation;      /* of the tenant, or of the last one */
    bool             told_to_stop;    /* by the shutdown of the host */
    uint32_t         slot;            /* fixed: its place in the registry */
    struct actor    *parent;          /* NULL: none, or it has ended */
    struct actor    *children;        /* the youngest */
    uint32_t         children_count;
    uint32_t         children_limit;  /* 0: the host's; set by the spawn, before it begins */
    actor_id         mourner;         /* who waits for its end, as its parent did before; or 0 */
    uint32_t         mourned;         /* how many it waits for */
    bool             mourns;          /* and it wants to be told of the last of them */
    struct actor    *older_sibling, *younger_sibling;
    struct actor    *born_before, *born_after; /* all actors, in order of birth */
    struct actor    *free_next;
};

static inline actor_id actor_self(const struct actor *actor)
{
    return atomic_load_explicit(&actor->id, memory_order_relaxed);
}

enum actor_fate {
    FATE_ASLEEP, /* do not touch it again */
    FATE_READY,  /* queue it again */
    FATE_GONE,   /* it has ended; do not touch it again */
};

/* Runs the actor for a batch: at most `messages`, and not on after the
 * worker was told to hurry. Only on the worker it was queued for. */
enum actor_fate actor_run(struct actor *actor, unsigned messages);

/* Why the actor ends, as those are told who watch it: "normal", "error: ...",
 * "killed", "memory", "slow", or what it gave as the reason of its exit. The
 * first reason noted stands; NULL notes nothing, and cuts at ACTOR_REASON_ROOM.
 * Only its worker. */
#define ACTOR_REASON_ROOM 600
void actor_note_end(struct actor *actor, const char *reason);
static inline const char *actor_end_reason(const struct actor *actor)
{
    if (actor->end_reason != NULL)
        return actor->end_reason;
    return actor->ended == ENDED_NORMALLY ? "normal" : "error"; /* there was no memory for it */
}

/* A new wait of the actor's handler begins, until `deadline_ns` (UINT64_MAX:
 * none): returns its number. actor_wait_over() ends it. */
uint64_t actor_wait_begin(struct actor *actor, enum appetite appetite, uint64_t deadline_ns);
void     actor_wait_over(struct actor *actor);
/* Another of its handlers goes on within the same call of its behaviour: with a
 * slice of its own. */
void     actor_next_handler(struct actor *actor);
/* Whoever waits for room that this actor has already made is let in: before it
 * waits itself, or a circle would be seen that is none. */
void     actor_settle(struct actor *actor);
/* Whether a message of kind WAKE or an answer belongs to the wait under way. */
static inline bool actor_waits_as(const struct actor *actor, uint64_t request)
{
    return actor->busy && request == actor->waits;
}

#endif
