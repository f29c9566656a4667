/*
 * gateway.h -- this host's door to others: frames in, frames out.
 *
 * Outward, a message becomes a frame on the thread that sends it, and leaves
 * on that thread if its peer is connected (net/peers.h). Inward, one thread
 * polls all sockets, takes frames apart and gives them to router_receive();
 * it never waits for an actor, a peer or a name server.
 *
 * What comes in is believed in nothing. Only this machine, hosts that were asked
 * something and who is allowed may connect, under CURVE if there are keys; a
 * malformed frame is counted and logged at a bounded rate; a sender's endpoint
 * must be one that may be answered and is not our own, or the sender counts as
 * unknown.
 *
 * Over a reliable ref (net/streams.h) a message is kept until the other host
 * has acknowledged that it was handled, and sent again if need be. A plain
 * peer is sent each message at most once. What waits in a queue when
 * the gateway stops becomes a dead letter; what libzmq already has when a
 * connection is lost for good is gone.
 */
#ifndef TROUPE_NET_GATEWAY_H
#define TROUPE_NET_GATEWAY_H

#include "actor/system.h"
#include "base/holder.h"
#include "net/keyring.h"
#include "net/peers.h"

struct gateway;

struct gateway_options {
    const char *bind;           /* where to listen (`:5001`, port 0: any free one), or NULL */
    const char *const *also_bind; /* where else: NULL-terminated, only with `bind`; or NULL */
    const char *advertise;      /* what others are told instead of the first, or NULL */
    const char *flat;           /* where to answer flat JSON over REQ/REP, or NULL */
    const char *flat_actor;     /* who answers there */
    bool        open;           /* everybody may connect */
    const char *allow;          /* who also may: policy.h's POLICY_ADDRESSES, or NULL */
    const char *reply_to;       /* where answers may go: POLICY_ENDPOINTS; NULL: `any` if what is
                                 * bound is loopback or nothing, else `private` and `allow` */
    const char *curve_key;      /* files (net/keyring.h): both, or NULL */
    const char *curve_peers;
    holder_namer *name_process; /* for who listens already where we want to; or NULL */
    unsigned    peers;          /* other hosts at once */
    size_t      queue_messages; /* waiting for each of them */
    size_t      queue_bytes;
};

#define GATEWAY_OPTIONS_DEFAULT \
    ((struct gateway_options){ .peers = 256, .queue_messages = 1000, .queue_bytes = 8u << 20 })

/* Listens, if `bind` or `flat` say so, on all or on none, and fills system->remote. Beyond loopback it listens
 * only if somebody was allowed (`open`, `allow`) or there are keys; on all interfaces,
 * others are told the address of the one that leads to them. 0; or -errno with a
 * sentence in `why`: -EINVAL for options, -EBADMSG for what is in a file, -EADDRINUSE. */
int gateway_open(struct gateway **out, struct system *system,
                 const struct gateway_options *options, char *why, size_t room);

/* Starts the thread: frames come in and connections are made. 0 or -errno. */
int gateway_start(struct gateway *gateway);

/* Ends the traffic: nothing more is carried, what waits for peers that can be
 * reached has until `deadline_ns` (monotonic) but a second at most to leave, the
 * rest becomes dead letters. Joins the thread. Any thread but the gateway's;
 * once, or not at all. */
void gateway_stop(struct gateway *gateway, uint64_t deadline_ns);

/* Stops at once if need be, and frees. No thread may use system->remote any
 * more. NULL is fine. */
void gateway_close(struct gateway *gateway);

/* Where others reach us: advertised, else bound, with the real port; "" if
 * nothing was bound. Valid until gateway_close(). Any thread. */
const char *gateway_endpoint(const struct gateway *gateway);

/* What was bound: the endpoint number `index`, with the real port; NULL: there are no more.
 * As gateway_endpoint(). */
const char *gateway_bound(const struct gateway *gateway, unsigned index);

/* Where flat JSON is answered, with the real port; "": nowhere. As gateway_endpoint(). */
const char *gateway_flat_endpoint(const struct gateway *gateway);
/* Reads the list of keys again (net/keyring.h): who is no more in it is heard no
 * more, and sent nothing. 0; -ENOTSUP: there are no keys; -errno: the old list
 * stays. Unless 0 with a sentence in `why`. Any thread. */
int gateway_reload(struct gateway *gateway, struct keyring_news *news, char *why, size_t room);

/* The state of the connection to a normalised endpoint. Any thread. */
enum peer_state gateway_peer_state(struct gateway *gateway, const char *endpoint);

/* Waits until everything sent there was handed to libzmq on a connection that
 * is up, or was until just now; gateway_stop() then sees it out. False once `deadline_ns` (monotonic)
 * has passed, or if nothing was ever sent there. */
bool gateway_flush(struct gateway *gateway, const char *endpoint, uint64_t deadline_ns);

/* Waits for a connection to a normalised endpoint, and sends nothing. False, and
 * a sentence in `why`: there is none by `deadline_ns` (monotonic), or cannot be.
 * Any thread but the gateway's. */
bool gateway_connect(struct gateway *gateway, const char *endpoint, uint64_t deadline_ns,
                     char *why, size_t room);

/* How many frames wait in our queue for that peer. Any thread. */
size_t gateway_waiting(struct gateway *gateway, const char *endpoint);

struct gateway_counts {
    uint64_t frames_in;
    uint64_t frames_out;       /* sent or queued */
    uint64_t full;             /* refused: a peer's queue was full */
    uint64_t lost;             /* waited in a queue and will never leave */
    uint64_t senders_refused;  /* frames in whose sender had no acceptable endpoint */
    uint64_t rejects_held;     /* Rejects not sent: too many, or no way */
    uint64_t unconfirmed;      /* taken by libzmq, perhaps lost with a connection; see net/flight.h */
    uint64_t flat_asked;       /* flat requests that we made */
    uint64_t flat_lost;        /* of these: no connection, or no answer */
    uint64_t flat_served;      /* flat requests of others that reached an actor */
    uint64_t keys_refused;     /* frames in, dropped: their key is listed no more */
    uint64_t connections;      /* to our inlets, ever */
    uint64_t connections_greeted; /* of these, whose handshake succeeded: the rest spoke no ZeroMQ,
                                   * gave up or was refused */
    uint64_t connections_refused; /* for their address or key */
    uint64_t connections_cut;  /* sent a message without end */

    /* Reliable delivery (net/streams.h): */
    uint64_t frames_resent;
    uint64_t frames_duplicate;    /* in, dropped: here before */
    uint64_t frames_out_of_order; /* in, dropped: one before it is missing */
    uint64_t acks_in, acks_out;
    unsigned streams_waiting;     /* with something unacknowledged, now */
};
/* A snapshot. Any thread. */
struct gateway_counts gateway_counts(struct gateway *gateway);

/* Appends the same, and how each peer stands, as a packed map: what
 * actor.metrics() hands out as `wire`. Any thread. */
void gateway_measure(struct gateway *gateway, struct bytes *packed);

#endif
