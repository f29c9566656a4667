/*
 * streams_room.h -- what streams.c (the whole), streams_out.c (outgoing) and
 * streams_in.c (incoming) share. Nobody else includes it.
 */
#ifndef TROUPE_NET_STREAMS_ROOM_H
#define TROUPE_NET_STREAMS_ROOM_H

#include "net/streams.h"

static inline uint64_t streams_now(struct streams *streams)
{
    return clock_now(&streams->options.system->clock);
}

static inline void streams_count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

/* A random number that is not 0. */
uint64_t streams_random(void);

/* The gateway's thread is to look (at *word's kind) at `due_ns` at the latest. */
void streams_want(struct streams *streams, _Atomic uint64_t *word, uint64_t due_ns);
/* The same on the gateway's thread itself. */
void streams_note(_Atomic uint64_t *word, uint64_t due_ns);

/* streams_out.c, on the gateway's thread: */
void outgoing_tick(struct streams *streams);
void outgoing_close_all(struct streams *streams, const char *why);
/* Whether it is worth while to wait for any of them. */
bool outgoing_have_hope_locked(struct streams *streams);

/* streams_in.c, on the gateway's thread: */
void incoming_tick(struct streams *streams, bool all);
void incoming_close_all(struct streams *streams);

#endif
