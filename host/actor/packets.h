/*
 * packets.h -- the port to sources of whole frames that are not plain file
 * descriptors: ZeroMQ's SUB sockets. Filled by net/, used by io/, which never meet.
 */
#ifndef TROUPE_ACTOR_PACKETS_H
#define TROUPE_ACTOR_PACKETS_H

#include "base/bytes.h"

struct packet_source {
    void *context;
    /* Subscribes to what begins with the prefix at the normalised `endpoint`.
     * 0; or -errno and a sentence in `why`. *descriptor becomes readable when
     * receive() may have something again after it had nothing, once: it is
     * edge-triggered, whatever it looks like. One thread at a time. */
    int (*open)(void *context, const char *endpoint, const char *prefix, size_t prefix_size,
                size_t limit, void **packets, int *descriptor, char *why, size_t room);
    /* Replaces *frame by the next frame, and says in *more whether it goes with
     * the one that follows. 1: done. 0: there is none now. -errno. */
    int (*receive)(void *packets, struct bytes *frame, bool *more);
    void (*close)(void *packets);
};

#endif
