/*
 * incarnation.h -- one life of an actor after another.
 *
 * What a handler leaves behind when it fails, or when a supervisor stops its
 * actor, is an *incarnation* that has ended. Its state, timers, questions and
 * children go with it; the actor's id, name, mailbox with its mail, thread and
 * limits stay. Until it is started again the actor is halted: mail waits under
 * the mailbox's limits, control messages are seen to.
 *
 *   running --a failure, HALT--> draining --> shutting down --> halted --START, the wait is over--> running
 *
 * Who decides. With `failure = "restart"` the actor does, within its budget
 * (actor/budget.h). A *supervised* actor is halted whenever its incarnation
 * ends, for whatever reason, and its parent is told and decides. What is not
 * to be started again ends for good (lifecycle_end()), and with "escalate", or
 * when the budget is used up, its parent fails with it, and so up to an actor
 * without a parent, whose failure ends the host.
 *
 * Only lifecycle_spawn() makes an actor that can be started again, of a
 * behaviour that has `halt` and `renew`. All here runs on the actor's worker,
 * but for what says otherwise.
 */
#ifndef TROUPE_ACTOR_INCARNATION_H
#define TROUPE_ACTOR_INCARNATION_H

#include "actor/actor.h"
#include "actor/budget.h"

struct spawn;

/* What becomes of an actor when a handler of it fails. */
enum on_failure { ON_FAILURE_CONTINUE, ON_FAILURE_STOP, ON_FAILURE_RESTART, ON_FAILURE_ESCALATE };

/* The same, decided: */
enum outcome {
    OUTCOME_GOES_ON,
    OUTCOME_ENDS,      /* its incarnation does, and what comes then is arranged */
    OUTCOME_NOT_BEGUN, /* it ends, for its first on_start failed */
};

/* What an actor that can be started again keeps for that. */
struct rebirth;

/* For lifecycle_spawn(): 0 and *rebirth, NULL if this actor need not be able to
 * be started again; -ENOMEM. */
int  rebirth_new(const struct actor *actor, const struct spawn *spawn, struct rebirth **rebirth);
void rebirth_free(struct rebirth *rebirth); /* NULL is fine */

/* A handler has failed (on_start, if `at_start`): what comes of it; if a restart
 * is due it is taken from the budget. `text` gets it in words, "the actor
 * restarts (2 of 3 in 10 s)". */
enum outcome incarnation_failed(struct actor *actor, bool at_start, char *text, size_t room);
/* Its on_start waits, for the first time; and: it has ended well. */
void incarnation_start_waits(struct actor *actor);
void incarnation_started(struct actor *actor);

/* These are called by actor_run() only, and take the message that they are
 * given. Those that return one return the START of an incarnation that begins
 * now, for the behaviour to handle; or NULL. */

/* A START for an actor that is not halted. */
struct message *incarnation_start(struct actor *actor, struct message *message);
/* Whether the actor, whose incarnation has ended, is to be halted; else
 * lifecycle_end() comes. */
bool incarnation_halts(const struct actor *actor);
struct message *incarnation_halt(struct actor *actor);
/* A control message for a halted actor. */
struct message *incarnation_halted_receive(struct actor *actor, struct message *message);
/* An order to end has found nothing to be ended: tells the hooks, and sees that the
 * incarnation that comes next is not killed for it. */
void incarnation_missed(struct actor *actor);
/* Whoever wanted it to be started once it is halted wants that no more. */
void incarnation_unwanted(struct actor *actor);
/* It has its supervisor's order to halt; it is not halted yet. */
void incarnation_ordered_to_halt(struct actor *actor);
/* Its on_shutdown waits, and it is to be halted: bounds that. */
void incarnation_limit_shutdown(struct actor *actor);
/* It could not even begin, for that reason: it ends, or begins again. */
void incarnation_stillborn(struct actor *actor, const char *why);
/* A child's failure is this actor's: it drains nothing more, if it is PHASE_DRAINING now. */
void incarnation_child_failed(struct actor *actor, struct message *message);

/* What ends with every incarnation, be it the last; tells the hooks.
 * For incarnation_halt() and lifecycle_end() only. */
void incarnation_over(struct actor *actor);
/* The actor with this id has ended, and is found no more; tells the hooks. */
void incarnation_gone(struct system *system, actor_id id);
/* The actor has ended for good: if that was a failure to be passed on, its
 * parent fails, or the host ends. While its name is still known. */
void incarnation_escalate(struct actor *actor);

/* Called on its worker when an incarnation of any actor ends: then actor->phase
 * is PHASE_HALTED or PHASE_GONE, and actor->incarnation is still its number. `gone`, which
 * may be NULL, after the last: then its name is free, and its mail refused. `missed`, which
 * may be NULL, on its worker when an order to end found it halted, or in a later incarnation. */
struct incarnation_hook {
    void (*over)(void *context, struct actor *actor);
    void (*gone)(void *context, actor_id id);
    void (*missed)(void *context, struct actor *actor);
    void  *context;
    struct incarnation_hook *next;
};
/* `hook` stays the caller's, and in use until system_close(). Before system_start(). */
void incarnation_listen(struct system *system, struct incarnation_hook *hook);

/* ---- By a supervisor, of its own children. Any thread. ---- */

/* Whether the actor lives, and `supervisor` is who decides about it. */
bool incarnation_is_supervised(struct system *system, actor_id id, actor_id supervisor);

/* Starts a new or a halted actor. Then a notice ChildStarted {who, name,
 * restarts} comes to its parent when its on_start has ended well; or ChildHalted. */
int incarnation_order_start(struct system *system, actor_id id);

/* Ends the incarnation with on_shutdown; it is killed if it has not ended by
 * `deadline_ns`. A notice ChildHalted {who, name, reason, failed, started,
 * restarts, halts} comes to the parent, also if it was halted before; `halts` says
 * how many of these orders the child had obeyed then, so that the answer to one is
 * told from the notice of an end that it crossed. 0; -ESRCH: it has
 * ended for good; -EAGAIN (too many timers), -ENOMEM. */
int incarnation_order_halt(struct system *system, actor_id id, uint64_t deadline_ns);

/* Ends for good an actor that is halted or was never started. */
int incarnation_order_drop(struct system *system, actor_id id);

/* ---- By the parent of an actor that was spawned as `announced`, which decides about
 * itself like any other. Any thread. ---- */

/* Whether the actor lives, and `parent` is who is told of its beginning: by a notice
 * ChildWaits {who, name, restarts} if its on_start waits, and by a ChildStarted when
 * that has ended well; at every restart again. */
bool incarnation_is_announced(struct system *system, actor_id id, actor_id parent);

/* ---- Killing ---- */

/* Ends the running incarnation wherever it stands (but in a C function), without
 * on_shutdown, with the reason "killed". Any thread. */
void incarnation_kill(struct system *system, actor_id id);

/* The message, a STOP_KILL, is about to be sent to its receiver: a handler that
 * runs will be disturbed. Any thread. */
void incarnation_condemn(struct system *system, const struct message *message);

/* Whether the incarnation that runs now was condemned. Any thread. */
bool incarnation_is_condemned(const struct actor *actor);

#endif
