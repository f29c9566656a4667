/*
 * flight.h -- how many frames may be lost when a connection is.
 *
 * libzmq says nothing of what became of a frame. What is known: TCP knows which
 * bytes the other machine has not acknowledged, and a frame that the other
 * process had not read when it died was in most cases handed over only just
 * before. So on a connection that is lost a frame counts as *unconfirmed* if it
 * is among the bytes not acknowledged, or was handed over within the last
 * FLIGHT_NS. Of a peer that lags further behind more may be lost; of those
 * that libzmq still held some are sent on the next connection all the same.
 *
 * The peer's lock guards a flight.
 */
#ifndef TROUPE_NET_FLIGHT_H
#define TROUPE_NET_FLIGHT_H

#include "base/base.h"

#define FLIGHT_NS      (100 * NS_PER_MS)
#define FLIGHT_BUCKETS 8

struct flight {
    int      descriptor; /* of the connection, a copy; -1: none */
    uint64_t frames, bytes; /* handed over on this connection */
    struct flight_bucket {
        uint64_t slice; /* time / the width of a bucket */
        uint64_t frames;
    } buckets[FLIGHT_BUCKETS];
};

void flight_init(struct flight *flight);
void flight_fini(struct flight *flight);

/* A connection to the numeric endpoint `to` is up; `descriptor` was its own when
 * that was noticed: looked at only if it still leads there. */
void flight_begin(struct flight *flight, int descriptor, const char *to);

/* libzmq has taken a frame of `size` bytes. */
void flight_add(struct flight *flight, size_t size, uint64_t now_ns);

/* The connection is gone: how many frames are unconfirmed. */
uint64_t flight_end(struct flight *flight, uint64_t now_ns);

#endif
