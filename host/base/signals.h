/*
 * signals.h -- the signals by which a person or a supervisor ends a program.
 */
#ifndef TROUPE_BASE_SIGNALS_H
#define TROUPE_BASE_SIGNALS_H

#include <signal.h>

/* SIGINT and SIGTERM. */
static inline sigset_t ending_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    return signals;
}

#endif
