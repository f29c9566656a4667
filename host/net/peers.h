/*
 * peers.h -- the other hosts we send to: a socket, a state and a queue for each.
 *
 * A peer is known by its normalised endpoint. Its PUSH socket is used by
 * whatever thread sends to it, always under the peer's own lock (libzmq asks
 * for no more than a full fence between two threads), so that a frame leaves
 * on the thread that wrote it. Frames go to libzmq only while the peer is
 * connected and nothing waits before them; else they wait in the peer's own
 * bounded queue, from which the gateway's thread sends on when the connection
 * is there or has room again. Sending never blocks, so no peer holds up
 * another, nor an actor.
 *
 * IMMEDIATE stays 0: libzmq then keeps the few frames it already has (SNDHWM)
 * over a lost connection and sends them first on the next one, before ours.
 *
 * The table is bounded: who comes when it is full takes the place of a stranger
 * who was never connected (a frame gave his endpoint, and anybody may give any),
 * else of the peer unused longest, by preference of one for which nothing waits.
 */
#ifndef TROUPE_NET_PEERS_H
#define TROUPE_NET_PEERS_H

#include "base/clock.h"
#include "base/map.h"
#include "base/thread.h"
#include "message/address.h"
#include "net/flight.h"
#include "net/keyring.h"
#include "net/outbox.h"
#include "net/watch.h"

enum peer_state {
    PEER_NONE,       /* no such peer */
    PEER_CONNECTING, /* never yet heard */
    PEER_CONNECTED,
    PEER_LOST,       /* was connected; libzmq tries again and again */
};

enum peer_answer {
    PEER_SENT,   /* libzmq has it, on a connection that is up */
    PEER_QUEUED,
    PEER_FULL,   /* its queue has no room */
    PEER_GONE,   /* given up while we looked: get it again */
};

struct peer {
    _Atomic unsigned references; /* the table, the gateway's thread, each borrower */
    char             endpoint[ADDRESS_ENDPOINT_LIMIT]; /* fixed */
    char             numeric[ADDRESS_ENDPOINT_LIMIT];  /* fixed: what libzmq is told */
    struct peers    *peers;                            /* fixed */
    bool             stranger;                         /* fixed: a frame named it before we did */
    struct watch     on_monitor, on_room;              /* fixed */
    int              monitor_descriptor, push_descriptor; /* fixed */

    /* What answers from there are to be sent to; NULL until somebody asked.
     * Written with release by who found it out, as are the bytes it points to. */
    _Atomic(const char *) reply_endpoint;

    struct lock        lock;
    struct signal      changed;        /* state changed, or the queue has become empty */
    unsigned           waiting;        /* for `changed`; guarded by lock */
    void              *push;           /* guarded by lock; NULL: given up */
    struct outbox      queue;          /* guarded by lock */
    struct room_waiter *waiters;       /* for room in the queue; guarded by lock */
    bool               asked;          /* told when there is room; guarded by lock */
    _Atomic bool       kept;           /* the queue holds what may leave at once; written under lock */
    bool               refused;        /* could not connect since last heard; guarded by lock */
    bool               absence_told;   /* since last heard; guarded by lock */
    _Atomic int        state;          /* enum peer_state; written under lock */
    struct flight      flight;         /* guarded by lock */
    uint64_t           sent;           /* frames that libzmq took; guarded by lock */
    uint64_t           full;           /* refused: no room; guarded by lock */
    uint64_t           unconfirmed;    /* see net/flight.h; guarded by lock */
    uint64_t           rejects_second; /* guarded by lock */
    unsigned           rejects;        /* in that second; guarded by lock */

    _Atomic unsigned   connections;    /* made so far; written under lock */
    _Atomic unsigned   holding;        /* streams that keep frames for it */
    _Atomic bool       streamless;     /* that it knows no streams has been said */
    uint64_t           renewed_ns;     /* peer_reconnect(); guarded by lock */

    void        *monitor;    /* the gateway's thread */
    uint64_t     number;     /* fixed: the how manyeth it is */
    uint64_t     used;       /* guarded by peers->lock */
    struct peer *dying_next; /* guarded by peers->lock */
};

/* Told of each frame that will never leave, on any thread, with no lock held. */
typedef void peers_lost(void *context, const char *endpoint, const void *frame, size_t size,
                        const char *why);

/* Tells who waited for room. Any thread; under the peer's lock. */
typedef void peers_room(void *context, uint64_t waiter, uint64_t wait);

struct peers_options {
    struct clock   *clock;
    struct keyring *keys;       /* borrowed; NULL: no CURVE */
    unsigned    limit;          /* peers at once */
    size_t      queue_messages; /* for each peer */
    size_t      queue_bytes;
    peers_lost *lost;
    peers_room *room;
    void       *context;
};

#define PEERS_MET_MAX 2048 /* endpoints that frames gave last */

/* Strangers who may take somebody's place: libzmq closes sockets later than we do,
 * and faster than this they would pile up. */
#define PEERS_STRANGERS_A_SECOND 1000

/* Connections made only to tell somebody no, or that a stream is heard: whoever
 * invents endpoints must not keep us from answering those who exist. */
#define PEERS_ANSWERED_A_SECOND 100

/* How often something was done in one second. */
struct peers_rate {
    uint64_t second;
    unsigned count;
};

struct peers {
    void                *zmq;   /* the context; borrowed */
    int                  epoll; /* borrowed */
    int                  wake;  /* eventfd of the gateway's thread; borrowed */
    struct peers_options options;
    struct lock          lock;  /* before that of any peer */
    struct map           table; /* endpoint -> peer; guarded by lock */
    uint64_t             ticks; /* guarded by lock; makes `used` */
    uint64_t             made;  /* guarded by lock; names monitors */
    struct peer         *dying; /* given up, monitors still open; guarded by lock */
    bool                 closed; /* guarded by lock */
    uint64_t             met[PEERS_MET_MAX]; /* hashes, a ring; guarded by lock */
    unsigned             met_next;           /* guarded by lock */
    _Atomic uint64_t     unconfirmed; /* of all peers there ever were */
    /* The gateway's thread looks for frames that were kept back and forgotten.
     * Set by who keeps one, so that it begins to; see peers_flush_kept(). */
    _Atomic bool         attentive;
    struct peers_rate    displacing;         /* by strangers; guarded by lock */
    struct peers_rate    answering;          /* guarded by lock */
};

void peers_init(struct peers *peers, void *zmq, int epoll, int wake,
                const struct peers_options *options);

/* Waits until `deadline_ns` (monotonic) for the queues of all peers that are connected, or may
 * yet be for the first time. Any thread; the gateway's thread must still run. */
void peers_drain(struct peers *peers, uint64_t deadline_ns);

/* Gives up all peers, and makes no more: what libzmq has for those that are
 * connected may still leave for `linger_ms`, what waits in queues is lost. Call
 * it when the gateway's thread has ended, and before the context ends. Others
 * may still send, in vain. */
void peers_close(struct peers *peers, int linger_ms);

/* Frees the table; nobody may send any more. */
void peers_fini(struct peers *peers);

/* The peer at a normalised endpoint, made if need be; the caller owns a
 * reference. NULL and a sentence in `why`. Any thread but the gateway's may
 * name a host; making it may then wait for a name server. */
struct peer *peers_get(struct peers *peers, const char *endpoint, char *why, size_t room);
/* The same for an endpoint that was looked up already. Any thread. */
struct peer *peers_get_resolved(struct peers *peers, const char *endpoint, const char *numeric,
                                char *why, size_t room);
/* The same for who must only be answered, because a frame said that he is there:
 * NULL also if PEERS_ANSWERED_A_SECOND such peers were made in this second. Any
 * thread. */
struct peer *peers_get_answered(struct peers *peers, const char *endpoint, const char *numeric,
                                char *why, size_t room);
/* The same if it is there, else NULL. */
struct peer *peers_find(struct peers *peers, const char *endpoint);
static inline struct peer *peer_ref(struct peer *peer)
{
    atomic_fetch_add_explicit(&peer->references, 1, memory_order_relaxed);
    return peer;
}
void         peer_unref(struct peer *peer);

/* Gives up those whose key is not the one that they were connected with; what
 * waited for them is lost. Any thread. */
void peers_drop_misfits(struct peers *peers);

/* A frame has given this endpoint: a peer that is yet to be made there is a
 * stranger. Any thread. */
void peers_meet(struct peers *peers, const char *endpoint);

/* Whether answers are expected from this host (as in a numeric endpoint). Any thread. */
bool peers_expect(struct peers *peers, const char *host);

static inline enum peer_state peer_state(struct peer *peer)
{
    return (enum peer_state)atomic_load_explicit(&peer->state, memory_order_relaxed);
}

/* Sends a copy of the frame, or keeps one. With `more` the caller expects to
 * send more at once and calls peer_flush() at last: until then a few frames may
 * be kept back, to leave together. Any thread; never blocks. */
enum peer_answer peer_send(struct peer *peer, const void *frame, size_t size, bool more,
                           uint64_t now_ns);

/* The same, but nothing is kept: PEER_SENT, PEER_GONE, or PEER_FULL, which is to
 * say not now: the gateway's thread will be told when it may go. */
enum peer_answer peer_send_now(struct peer *peer, const void *frame, size_t size);

/* The number of the connection that is up, or was last; 0: none yet. */
static inline unsigned peer_connection(struct peer *peer)
{
    return atomic_load_explicit(&peer->connections, memory_order_acquire);
}

/* That connection is dead, whatever TCP says: makes another, unless that was
 * done PEER_RENEW_NS ago or less. What libzmq had for it is gone. */
#define PEER_RENEW_NS (2 * NS_PER_SEC)
void peer_reconnect(struct peer *peer, unsigned connection, uint64_t now_ns);

/* One stream more (or less) keeps frames for it; who keeps some is no idle peer. */
static inline void peer_hold(struct peer *peer, bool more)
{
    atomic_fetch_add_explicit(&peer->holding, more ? 1u : -1u, memory_order_relaxed);
}

/* Whether it is connected, or may yet be for the first time. Any thread. */
bool peer_has_hope(struct peer *peer);

/* After PEER_FULL: tells (peers_options.room) `waiter` once there is room again, or
 * the connection is lost. False if there is room, or no connection. Any thread. */
bool peer_await_room(struct peer *peer, uint64_t waiter, uint64_t wait);

/* Sends on what was kept back. Any thread; never blocks. */
void peer_flush(struct peer *peer);

/* The same for all peers: should whoever keeps something back be held up. True
 * if there was anything. The gateway's thread. */
bool peers_flush_kept(struct peers *peers);

/* Waits until nothing waits for it and it is, or was, connected. False once
 * `deadline_ns` (monotonic) has passed. Any thread but the gateway's. */
bool peer_wait(struct peer *peer, uint64_t deadline_ns);

/* Whether a Reject may go there now: at most PEER_REJECTS_A_SECOND. */
#define PEER_REJECTS_A_SECOND 100
bool peer_may_reject(struct peer *peer, uint64_t now_ns);

/* What may be said of a peer. */
struct peer_report {
    const char     *endpoint;
    enum peer_state state;
    size_t          queued, queued_bytes;
    uint64_t        oldest_ns; /* how long the first of them has waited */
    uint64_t        sent, full, unconfirmed;
};

/* Calls `visit` for each peer, in no order, under the table's lock. Any thread. */
void peers_each(struct peers *peers, void (*visit)(void *context, const struct peer_report *report),
                void *context);

/* The gateway's thread: its watches tell. */
void peer_monitor_told(struct peer *peer);
void peer_room_told(struct peer *peer);
/* The gateway's thread, while no event it was told of is still unread: closes
 * the sockets of peers that were given up. */
void peers_bury(struct peers *peers);

#endif
