/*
 * streams.h -- reliable delivery to and from other hosts of ours: the streams
 * of this host, and what drives them.
 *
 * Outgoing: one stream for each actor elsewhere that is sent to over a reliable
 * ref (answers to an actor's questions go over its stream). Its frames are kept
 * until they are acknowledged as handled, bounded as a peer's queue is. Incoming:
 * one for each stream that another host has greeted us on. net/stream.h has the
 * protocol, stream_out.h and stream_in.h its two ends; here they meet sockets,
 * threads and time.
 *
 * Any thread may send, and carries out what its stream has to say on the spot;
 * all else (frames in, timers, connections) is the gateway's thread's. What a
 * worker handles it notes in the stream, and the gateway's thread acknowledges.
 *
 * Locks nest in this order: the table's, a stream's, the peers'.
 */
#ifndef TROUPE_NET_STREAMS_H
#define TROUPE_NET_STREAMS_H

#include "actor/system.h"
#include "base/map.h"
#include "message/wire.h"
#include "net/peers.h"
#include "net/stream_in.h"
#include "net/stream_out.h"

#define STREAMS_OUT_MAX   1024u
#define STREAMS_IN_MAX    4096u
#define STREAMS_BYTES_MAX ((size_t)256 << 20) /* kept for all outgoing streams together */

struct outgoing;
struct incoming;

struct streams_options {
    struct system *system;
    struct peers  *peers;
    int            wake; /* eventfd of the gateway's thread; borrowed */
    size_t         queue_messages, queue_bytes; /* of each outgoing stream */
    peers_lost    *lost; /* told of each frame that is given up, on any thread, no lock held */
    /* Asked for a peer at a host that must be looked up first: to be there later.
     * The gateway's thread; never blocks. */
    void         (*look_up)(void *context, const char *endpoint);
    void          *context;
};

struct streams {
    struct streams_options options;
    uint64_t         epoch;    /* fixed */
    uint64_t         began_ns; /* fixed */
    _Atomic size_t   bytes;    /* kept, all outgoing */
    _Atomic uint64_t out_wake_ns; /* when outgoing ones are to be looked at; UINT64_MAX: never */
    _Atomic uint64_t in_wake_ns;  /* the same for incoming */

    struct lock      lock;
    struct signal    changed;     /* while `draining`: something was acknowledged, or is hopeless */
    bool             draining;    /* guarded by lock */
    bool             closed;      /* guarded by lock */
    struct map       by_target;   /* "name@endpoint" -> outgoing; guarded by lock */
    struct map       by_id;       /* the same ones; guarded by lock */
    uint64_t         ticks;       /* guarded by lock; makes `used` */

    struct spin      due_lock;
    struct incoming *due;         /* those with something to acknowledge; guarded by due_lock */

    /* The gateway's thread: */
    struct map       in_by_id;
    struct incoming *newest, *oldest; /* incoming, by their last frame */
    bool             stirred;     /* connections have changed: look at all */

    _Atomic uint64_t resent, duplicates, out_of_order, acks_in, acks_out;
};

void streams_init(struct streams *streams, const struct streams_options *options);
/* The gateway's thread has ended. What is still kept is given up: `why`. */
void streams_close(struct streams *streams, const char *why);
void streams_fini(struct streams *streams);

/* ---- any thread ---- */

enum streams_answer {
    STREAMS_KEPT,     /* it is sent, or will be */
    STREAMS_FULL,     /* too much waits for it already */
    STREAMS_TOO_LONG, /* with its number it is more than a frame may be */
    STREAMS_STRANGER, /* whoever is there knows no streams: `why` */
    STREAMS_GONE,     /* its peer was given up while we looked: get it again */
};

/* Sends the finished frame (which is changed) to `to` over its stream, which is
 * made if need be. `reply_endpoint`, which must stay, is where this peer is to
 * acknowledge. Never blocks. */
enum streams_answer streams_send(struct streams *streams, const struct address *to,
                                 struct peer *peer, const char *reply_endpoint,
                                 struct bytes *frame, char *why, size_t room);

/* Waits until everything was acknowledged by those that can be reached, or
 * `deadline_ns` (monotonic). Any thread but the gateway's, which must still run. */
void streams_drain(struct streams *streams, uint64_t deadline_ns);

/* How many there are now: outgoing with something unacknowledged, and incoming. */
unsigned streams_waiting(struct streams *streams);

/* ---- the gateway's thread ---- */

/* A connection has changed, or has room again. */
void streams_stir(struct streams *streams);
/* How long the gateway's thread may sleep: -1: for ever. */
int  streams_timeout_ms(struct streams *streams);
/* Does what is due. */
void streams_tick(struct streams *streams);

/* A $hello whose answers may go to `to` (normalised); a $ack. */
void streams_hello_in(struct streams *streams, const struct stream_hello *hello, const char *to);
void streams_ack_in(struct streams *streams, const struct stream_ack *ack);
/* A frame of a stream: whether it is the one to deliver now. If so it counts
 * as received; `receipt` is for its message, and the message's end, or
 * streams_refuse(), must follow. */
bool streams_frame_in(struct streams *streams, const struct wire_envelope *envelope,
                      size_t weight, struct message_receipt *receipt);
/* That one cannot be delivered now: it is to come again. */
void streams_refuse(struct streams *streams, const struct message_receipt *receipt, size_t weight);

#endif
