/*
 * holder.h -- which process listens on a TCP port of this machine, as far as /proc tells.
 */
#ifndef TROUPE_BASE_HOLDER_H
#define TROUPE_BASE_HOLDER_H

#include "base/base.h"

#define HOLDER_NAME_ROOM 64

enum holder_answer {
    HOLDER_UNKNOWN, /* nobody listens there (any more), or /proc does not tell */
    HOLDER_FOUND,   /* `pid` and `name` */
    HOLDER_OTHERS,  /* a process of another `user`, of which no more can be seen */
};

struct holder {
    long     pid;
    unsigned user;
    char     name[HOLDER_NAME_ROOM]; /* of the program, "python3"; printable */
};

/* What else people call a process of this machine; false: nothing that is known. */
typedef bool holder_namer(long pid, char *text, size_t room);

/* Looks for who listens on `port` at the numeric address `host` ("127.0.0.1", "::1"), or
 * at all addresses; any that listens on that port will do if `host` is "*" or no address.
 * Reads many small files: for when something has gone wrong. Any thread. */
enum holder_answer holder_find(const char *host, uint16_t port, struct holder *holder);

#endif
