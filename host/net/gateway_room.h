/*
 * gateway_room.h -- what gateway.c (the thread, opening and closing), inbound.c
 * (frames in) and outbound.c (frames out) share. Nobody else includes it.
 */
#ifndef TROUPE_NET_GATEWAY_ROOM_H
#define TROUPE_NET_GATEWAY_ROOM_H

#include "message/wire.h"
#include "net/errands.h"
#include "net/flat_client.h"
#include "net/flat_server.h"
#include "net/gateway.h"
#include "net/inlets.h"
#include "net/policy.h"
#include "net/streams.h"
#include "net/vigils.h"

#include <string.h>
#include <zmq.h>

struct gateway {
    struct system *system;
    void          *zmq;
    int            epoll, wake;
    struct watch   on_wake;
    struct inlets  inlets;
    struct peers   peers;
    struct streams streams;
    struct vigils  vigils;
    bool           stirred; /* connections have changed; the gateway's thread */
    struct flat_clients flat_clients;
    struct flat_server  flat_server;
    struct keyring *keys;                            /* fixed; NULL: no CURVE */
    struct policy  allow, reply_to;                  /* fixed */
    bool           open;                             /* fixed: everybody may connect */
    bool           reply_allowed;                    /* fixed: who is allowed is also answered */
    struct errands *errands;
    char           endpoint[ADDRESS_ENDPOINT_LIMIT]; /* fixed by gateway_open() */
    bool           advertised;                       /* `endpoint` is not one of our inlets' */
    bool           everywhere;                       /* fixed: the first is bound to all interfaces */
    unsigned       bound;                            /* fixed: of the inlets, those that were asked for */
    bool           running;                          /* the thread; the starter's */
    struct thread  thread;

    /* Only hints, so relaxed: who does not see them yet is only late. */
    _Atomic bool stopping; /* nothing more is carried */
    _Atomic bool ending;   /* the thread is to end */

    /* The gateway's thread: */
    uint64_t             look_ns; /* when to look for kept frames again */
    unsigned             looks;   /* in a row that found none */
    struct wire_envelope envelope;
    zmq_msg_t            frame;
    char known[ADDRESS_ENDPOINT_LIMIT + 32];     /* the last acceptable sender_endpoint as it came, */
    char known_normalised[ADDRESS_ENDPOINT_LIMIT]; /* and in its one spelling */
    char user[KEY_TEXT];                         /* whose the last frame was, */
    unsigned user_edition;                       /* and by which list of keys he was let in; */
    bool     user_told;                          /* that he is at `known` is in the keyring */

    type_id         last_type;   /* of frames that begin as that in `envelope`; TYPE_NONE: not known */
    actor_id        last_to;     /* who got the last of these; 0: nobody */
    struct address *last_origin; /* counted: frames come in runs from one sender; NULL: none yet */

    _Atomic uint64_t frames_in, frames_out, full, lost, senders_refused, rejects_held,
        keys_refused;
};

static inline void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static inline bool is_our_own(struct gateway *gateway, const char *endpoint)
{
    return strcmp(gateway->endpoint, endpoint) == 0 || inlets_have(&gateway->inlets, endpoint);
}

/* Reads the policies and the keys, and listens. 0, or -errno with a sentence in
 * `why`; gateway_close() undoes it in either case. */
int gateway_open_ways(struct gateway *gateway, const struct gateway_options *options, char *why,
                      size_t room);

/* What comes in: the gateway's thread. */

/* Takes frames from the inlet, a batch at most; then it is marked busy. */
void inbound_told(struct gateway *gateway, struct inlet *inlet);
/* Gives each busy inlet its turn. Whether any still is. */
bool inbound_serve_busy(struct gateway *gateway);
/* When the gateway's thread has ended and nothing is sent any more: what libzmq has
 * received already is refused and counted, instead of being dropped with its socket. */
void inbound_read_last(struct gateway *gateway, uint64_t deadline_ns);
/* Whether a connection from `host` may come in (an admission_judge). */
bool inbound_may_connect(void *context, const char *host, const char *key);
/* The timer of the connections tells. */
void inbound_ticked(struct gateway *gateway);

/* What goes out: any thread. */

/* What system->remote is to be. */
struct remote_port outbound_port(struct gateway *gateway);
/* Sends a Reject, unless too many have gone there already. */
void outbound_send_reject(struct gateway *gateway, const struct address *origin,
                          const char *type, const char *rejected_by, const char *reason);
/* There is room again for who waited (a peers_room). */
void outbound_room(void *context, uint64_t waiter, uint64_t wait);
/* A frame that waited and never leaves becomes a dead letter (a peers_lost). */
void outbound_lost(void *context, const char *endpoint, const void *frame, size_t size,
                   const char *why);

#endif
