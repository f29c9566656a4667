/*
 * inlets.h -- where frames come in: the endpoints that this host listens on.
 *
 * The first are those that were asked for (--bind). A host that has none, or
 * none that the other side could reach, opens one of its own on a free port
 * when it first needs an answer from there. Inlets stay until the end.
 */
#ifndef TROUPE_NET_INLETS_H
#define TROUPE_NET_INLETS_H

#include "base/holder.h"
#include "base/thread.h"
#include "message/address.h"
#include "net/admission.h"
#include "net/connections.h"
#include "net/keyring.h"
#include "net/watch.h"

#define INLETS_MAX 64
#define BINDS_MAX  48 /* of these, that may be asked for: the others are found when needed */
#define FACES_MAX  16

/* An endpoint of an inlet that listens on all interfaces, as seen from one side. */
struct face {
    char endpoint[ADDRESS_ENDPOINT_LIMIT];
};

struct inlet {
    struct watch  watch;      /* fixed */
    void         *pull;       /* the gateway's thread, once it is published */
    int           descriptor; /* fixed */
    bool          busy;       /* may have more: look again without being told; the gateway's thread */
    struct inflow inflow;     /* the gateway's thread */
    char          endpoint[ADDRESS_ENDPOINT_LIMIT]; /* fixed: with the real port */
    const char   *port;       /* fixed: inside of endpoint */
    bool          everywhere; /* fixed: on all interfaces */
    unsigned      faces_count; /* guarded by inlets->lock; each face is fixed */
    struct face   faces[FACES_MAX];
};

struct inlets {
    void            *zmq;       /* borrowed */
    int              epoll;     /* borrowed */
    struct keyring  *keys;      /* borrowed; NULL: no CURVE */
    admission_judge *judge;     /* fixed, as is its context */
    void            *context;
    holder_namer    *name_process; /* of who listens there already; NULL: by the program's name */
    struct connections connections; /* to all of them */
    struct lock      lock;      /* of adding */
    bool             closed;    /* guarded by lock, as is: */
    unsigned         opened;    /* once it is closed: how many there were */
    struct admission admission; /* opened with the first inlet */
    /* Written with release when list[count] is whole, read with acquire. */
    _Atomic unsigned count;
    struct inlet    *list[INLETS_MAX]; /* owned */
};

/* `judge` decides who may connect; with `keys` (or NULL) only under CURVE. 0 or -errno. */
int inlets_init(struct inlets *inlets, void *zmq, int epoll, struct keyring *keys,
                admission_judge *judge, void *context);

/* Closes all, and opens no more. The gateway's thread must have ended. */
void inlets_close(struct inlets *inlets);

void inlets_fini(struct inlets *inlets);

/* Listens on a normalised endpoint; port 0: any that is free. *inlet stays valid
 * until inlets_fini(). 0, or -errno with a sentence in `why`. Any thread. */
int inlets_add(struct inlets *inlets, const char *endpoint, struct inlet **inlet, char *why,
               size_t room);

/* Binds a socket of another type (ZMQ_ROUTER) as inlets are, with the same options and
 * the same admission; it is the caller's, to be closed before inlets_close(), and
 * `bound` (ADDRESS_ENDPOINT_LIMIT bytes) gets its endpoint with the real port. As inlets_add(). */
int inlets_bind(struct inlets *inlets, int type, const char *endpoint, void **socket,
                char *bound, char *why, size_t room);

/* The endpoint of the inlet on the interface that leads to the numeric endpoint
 * `target`, opened if need be; of one on all interfaces, that interface's address
 * with its port. Valid until inlets_fini(). NULL, and a sentence in `why`. Any thread. */
const char *inlets_towards(struct inlets *inlets, const char *target, char *why, size_t room);

/* What to say of where an inlet is: of one on all interfaces, the first address of
 * ours that others may reach. Valid until inlets_fini(). Any thread. */
const char *inlets_show(struct inlets *inlets, struct inlet *inlet);

/* Whether an endpoint for binding stands for all interfaces. */
bool inlets_is_everywhere(const char *endpoint);

/* Whether we listen at this numeric endpoint. Any thread. */
bool inlets_have(struct inlets *inlets, const char *endpoint);

#endif
