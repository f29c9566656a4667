/*
 * errands.h -- Rejects, and connections, to hosts that must be looked up first, for
 * who cannot wait.
 *
 * A name server may be silent for ten seconds; the gateway's thread must not be.
 * It leaves the frame here, and a thread of its own (started when first needed) looks the
 * host up and sends it. The queue is short: what finds it full is not sent.
 */
#ifndef TROUPE_NET_ERRANDS_H
#define TROUPE_NET_ERRANDS_H

#include "net/peers.h"

#define ERRANDS_MAX 64

struct errands;

/* `dropped` counts what was kept and could not be sent after all. NULL: no memory. */
struct errands *errands_new(struct peers *peers, _Atomic uint64_t *dropped);

/* Keeps a copy of a frame for a normalised endpoint; of no bytes: to make the peer,
 * and send nothing. False: it will not be done.
 * Any thread; never blocks. */
bool errands_put(struct errands *errands, const char *endpoint, const void *frame, size_t size);

/* Drops what was not sent, and takes no more. Does not wait for a name server: a thread
 * that does is left behind, and touches no peer any more. Before peers_close(). */
void errands_close(struct errands *errands);
/* Nobody may put any more. NULL is fine. */
void errands_free(struct errands *errands);

#endif
