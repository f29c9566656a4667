/*
 * vigils_room.h -- what vigils.c (the whole), vigils_out.c and vigils_in.c share.
 * Nobody else includes it.
 */
#ifndef TROUPE_NET_VIGILS_ROOM_H
#define TROUPE_NET_VIGILS_ROOM_H

#include "net/vigils.h"

static inline uint64_t vigils_now(struct vigils *vigils)
{
    return clock_now(&vigils->options.system->clock);
}

/* A random number that is not 0. */
uint64_t vigils_random(void);

/* The gateway's thread is to look at `due_ns` at the latest. Any thread. */
void vigils_want(struct vigils *vigils, uint64_t due_ns);

/* Their part of a tick: when to look again. */
uint64_t vigils_out_tick(struct vigils *vigils, uint64_t now_ns);
uint64_t vigils_in_tick(struct vigils *vigils, uint64_t now_ns);

void vigils_out_close(struct vigils *vigils);
void vigils_in_fini(struct vigils *vigils);

#endif
