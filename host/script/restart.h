/*
 * restart.h -- a script's actor is halted, and begins again with a fresh state:
 * the behaviour's halt, renew and kill (see actor/incarnation.h).
 *
 * The `struct script` stays the actor's for life. The old state is freed before
 * the new one is made, and as soon as the actor is halted: one that is full is
 * never there beside its successor, and one that waits to be started holds none.
 */
#ifndef TROUPE_SCRIPT_RESTART_H
#define TROUPE_SCRIPT_RESTART_H

#include "script/script.h"

void         restart_halt(struct actor *actor);
/* With the source that is current now. */
int          restart_renew(struct actor *actor, char *why, size_t room);
/* For an actor that has a state but has not begun in it: a new one, with the source
 * that is current now. As renew(); after a failure there is none. */
int          restart_anew(struct actor *actor, char *why, size_t room);
enum verdict restart_kill(struct actor *actor);

/* script->source is another one now: for whoever looks at the actor, or for all that
 * run a source. */
void restart_moved(struct script *script);

/* Ends all that the incarnation has to do with others: its handlers in hand,
 * questions kept open (their askers are told `reason` and `text`), and timers'
 * handles. No Lua runs. */
void restart_let_go(struct script *script, enum failure_reason reason, const char *text);

#endif
