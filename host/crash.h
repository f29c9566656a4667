/*
 * crash.h -- a crash of this process says in one line where it was.
 */
#ifndef TROUPE_CRASH_H
#define TROUPE_CRASH_H

/* From here on SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT write one line to
 * stderr (the signal, the thread, the actor and what it was handling) and then
 * end the process as they would have: with a core dump if the system makes any.
 * Not in builds with a sanitizer, which has a report of its own. */
void crash_report_install(void);

#endif
