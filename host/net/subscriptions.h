/*
 * subscriptions.h -- SUB sockets as sources of frames, for streams.
 *
 * They have a ZeroMQ context of their own, made with the first of them: the
 * gateway's sockets and its rules for who may come in are not concerned. Each
 * socket is used by one thread at a time; whoever hands it on does so under a lock.
 */
#ifndef TROUPE_NET_SUBSCRIPTIONS_H
#define TROUPE_NET_SUBSCRIPTIONS_H

#include "actor/packets.h"

struct subscriptions;

/* NULL: no memory. */
struct subscriptions *subscriptions_new(void);

/* The port through which they are opened; valid as long as they are. */
struct packet_source subscriptions_source(struct subscriptions *subscriptions);

/* All of them must have been closed. NULL is fine. */
void subscriptions_free(struct subscriptions *subscriptions);

#endif
