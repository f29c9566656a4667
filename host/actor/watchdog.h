/*
 * watchdog.h -- sees handlers that run too long, and disturbs them.
 *
 * One thread that looks at every worker each few milliseconds while there is
 * work. It costs a handler that behaves nothing. A worker whose handler has
 * run for 5 ms while others wait is sent SIGURG; the signal handler runs on
 * the worker's own thread and asks the actor's behaviour to suspend itself
 * (behaviour->interrupt). If that does nothing (C code), a spare worker is
 * started beside it. After the actor's slice the handler is reported, once,
 * or stopped; a condemned handler is signalled until it has ended, and so is one
 * that a prompt has cancelled.
 */
#ifndef TROUPE_ACTOR_WATCHDOG_H
#define TROUPE_ACTOR_WATCHDOG_H

#include "actor/scheduler.h"

#define PREEMPT_AFTER_NS (5 * NS_PER_MS)

int  watchdog_start(struct system *system);
void watchdog_stop(struct system *system);

/* A pinned worker goes away. */
void watchdog_forget(struct worker *worker);

/* Takes the signal, for those who send it before there is a watchdog: the
 * first scripts are loaded before the host's threads start. 0 or -errno. */
int watchdog_listen(void);

/* Asked first by the signal handler, on the disturbed thread: true if the
 * signal was meant for something that no worker runs (a script that loads). */
extern bool (*watchdog_before_signal)(void);

/* Ends every handler that runs now or later: the shutdown's budget is over. */
void watchdog_condemn_all(struct system *system);

#endif
