/*
 * inlets.h -- where frames come in: the endpoints that this host listens on.
 *
 * The first is the one that was asked for (--bind). A host that has none, or
 * none that the other side could reach, opens one of its own on a free port
 * when it first needs an answer from there. Inlets stay until the end.
 */
#ifndef TROUPE_NET_INLETS_H
#define TROUPE_NET_INLETS_H

#include "base/thread.h"
#include "message/address.h"
#include "net/admission.h"
#include "net/watch.h"

#define INLETS_MAX 8

struct inlet {
    struct watch watch;      /* fixed */
    void        *pull;       /* the gateway's thread, once it is published */
    int          descriptor; /* fixed */
    bool         busy;       /* may have more: look again without being told; the gateway's thread */
    char         endpoint[ADDRESS_ENDPOINT_LIMIT]; /* fixed: with the real port */
};

struct inlets {
    void            *zmq;       /* borrowed */
    int              epoll;     /* borrowed */
    admission_judge *judge;     /* fixed, as is its context */
    void            *context;
    struct lock      lock;      /* of adding */
    bool             closed;    /* guarded by lock */
    struct admission admission; /* opened with the first inlet */
    /* Written with release when list[count] is whole, read with acquire. */
    _Atomic unsigned count;
    struct inlet     list[INLETS_MAX];
};

/* `judge` decides who may connect. */
void inlets_init(struct inlets *inlets, void *zmq, int epoll, admission_judge *judge,
                 void *context);

/* Closes all, and opens no more. The gateway's thread must have ended. */
void inlets_close(struct inlets *inlets);

void inlets_fini(struct inlets *inlets);

/* Listens on a normalised endpoint; port 0: any that is free. *inlet stays valid
 * until inlets_fini(). 0, or -errno with a sentence in `why`. Any thread. */
int inlets_add(struct inlets *inlets, const char *endpoint, const struct inlet **inlet,
               char *why, size_t room);

/* Binds a socket of another type (ZMQ_ROUTER) as inlets are, with the same options and
 * the same admission; it is the caller's, to be closed before inlets_close(), and
 * `bound` (ADDRESS_ENDPOINT_LIMIT bytes) gets its endpoint with the real port. As inlets_add(). */
int inlets_bind(struct inlets *inlets, int type, const char *endpoint, void **socket,
                char *bound, char *why, size_t room);

/* The endpoint of the inlet on the interface that leads to the numeric endpoint
 * `target`, opened if need be; valid until inlets_fini(). NULL, and a sentence
 * in `why`. Any thread. */
const char *inlets_towards(struct inlets *inlets, const char *target, char *why, size_t room);

/* Whether we listen there. Any thread. */
bool inlets_have(struct inlets *inlets, const char *endpoint);

#endif
