/*
 * presence.h -- that a program runs, said in the folder of the control sockets: for
 * programs that are no host, such as the one that has started a topology's hosts.
 *
 * A file NAME.PID.up, which its program holds a lock on for as long as it lives and
 * which says in text what it does. A file that nobody has a lock on was left by one
 * that was killed, and is removed by whoever finds it.
 */
#ifndef TROUPE_CONTROL_PRESENCE_H
#define TROUPE_CONTROL_PRESENCE_H

#include "control/folder.h"

#define PRESENCE_TEXT_MOST ((size_t)64 << 10)

struct presence {
    struct control_folder folder;
    int  descriptor;
    char file[CONTROL_FILE_ROOM];
};

/* Says that this process is there. 0 or -errno with a sentence in `why`. */
int  presence_hold(struct presence *presence, const char *name, const char *text, char *why,
                   size_t room);
/* Says something else from now on. 0 or -errno. */
int  presence_say(struct presence *presence, const char *text);
/* It is there no more. */
void presence_end(struct presence *presence);

/* Calls `visit` for each that is there, in no order, with the text of its file, which is
 * valid for the call. 0, also if there is no folder; or -errno with a sentence in `why`. */
int  presence_each(void (*visit)(void *context, const char *file, const char *name, long pid,
                                 const char *text),
                   void *context, char *why, size_t room);

/* A descriptor of the process that holds `file`, which can be read from when it has
 * ended; or -ESRCH: it is there no more; or another -errno. */
int  presence_reach(const char *file);

#endif
