/*
 * observer.h -- one thread that shows what happens to those who look on over the
 * control socket: messages (command_trace.c) and log lines (command_logs.c).
 *
 * It runs no Lua and waits for no actor; it looks a hundred times a second while
 * somebody looks on, and sleeps otherwise.
 */
#ifndef TROUPE_OBSERVER_H
#define TROUPE_OBSERVER_H

#include "host_internal.h"

/* One client that looks on; the first member of what its command makes of it. All
 * functions are called on the observer's thread. */
struct viewer {
    struct viewer         *next;
    struct control_client *client; /* a reference of its own */
    /* 0; else the client is told `why` and its answer ends with that exit code. */
    int  (*begin)(struct viewer *viewer, char *why, size_t room);
    /* Says what there is to say. False: its answer has been ended. */
    bool (*look)(struct viewer *viewer);
    /* Undoes begin(), if that was 0, and frees the viewer; not the client. */
    void (*end)(struct viewer *viewer, bool begun);
};

/* Takes the viewer, whose client it gives a reference: ends it when nobody waits for
 * its answer any more. Starts the thread with the first one. 0, or -errno and the
 * viewer stays the caller's. Only the control thread. */
int  observer_add(struct host *host, struct viewer *viewer);

/* Ends the thread and all viewers. Fine if there is none. When the control thread has
 * ended, and before the host's actors are taken down. */
void observer_close(struct host *host);

#endif
