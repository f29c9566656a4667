/*
 * peers_room.h -- what peers.c (the table) asks of peer.c (one peer). Nobody
 * else includes it. Here `_locked` means the lock of the table.
 */
#ifndef TROUPE_NET_PEERS_ROOM_H
#define TROUPE_NET_PEERS_ROOM_H

#include "net/peers.h"

/* A peer to be connected, with two references: the table's and the gateway's
 * thread's. NULL and a sentence in `why`. */
struct peer *peer_new_locked(struct peers *peers, const char *endpoint, const char *numeric,
                             char *why, size_t room);

/* Opens the peer's sockets and watches them; what was made before a failure is
 * undone. 0 or -errno. */
int peer_open_sockets(struct peer *peer);

/* Closes the way there, if it is open; what libzmq has may still leave for
 * `linger_ms`. Under the peer's lock, or before anybody else knows it. The
 * monitor stays the gateway's thread's to close. */
void peer_close_sockets(struct peer *peer, int linger_ms);

/* Waits until `deadline_ns` (monotonic) for the queue to empty, unless there is
 * no hope. Any thread but the gateway's. */
void peer_drain(struct peer *peer, uint64_t deadline_ns);

/* Closes the way there; the peer is out of the table, and its monitor is the
 * gateway's thread's to close. Returns what waited. */
struct outbox peer_give_up_locked(struct peer *peer, int linger_ms);

#endif
