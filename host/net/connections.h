/*
 * connections.h -- who is connected to our inlets, and what each of them has
 * sent that no frame has come of.
 *
 * libzmq keeps a multipart message until its last part is there, and knows no
 * limit but one for each part. So for each connection we know from the kernel
 * how much libzmq has read from it, and from the frames how much came out. What
 * is in between is at most one message, for the inlet has been emptied; a
 * connection that holds more than a few frames' worth is shut, and libzmq
 * drops what it kept of it. Others notice nothing.
 *
 * The gateway's thread, but for opening and closing.
 */
#ifndef TROUPE_NET_CONNECTIONS_H
#define TROUPE_NET_CONNECTIONS_H

#include "base/base.h"
#include "net/watch.h"

#include <stdatomic.h>

/* What one connection may have sent of a message, and all of them together. */
#define CONNECTION_HELD_MAX  (4u << 20)
#define CONNECTIONS_HELD_MAX (128u << 20)
#define CONNECTIONS_TICK_MS  100
#define CONNECTIONS_SOON_MS  20 /* until the next tick if one sends much and nothing comes of it */

struct connection; /* one that is open */

/* What we know of the connections to one inlet. Lies in the inlet. */
struct inflow {
    struct watch        watch;
    void               *monitor;
    int                 descriptor;
    struct connections *connections;
    unsigned            open;           /* connections */
    uint64_t            taken;          /* frames since the last tick */
    bool                emptied;        /* nothing was left to take, since the last tick; the user's to set */
    bool                emptied_before; /* the same of the tick before */
};

struct connections {
    struct watch       watch;   /* of the timer */
    int                epoll, timer;
    bool               encrypted;
    struct connection *list;    /* by descriptor */
    size_t             count;   /* of descriptors */
    unsigned           open;
    /* Since the start; any thread may read them. */
    _Atomic uint64_t accepted, greeted, cut;
};

/* `encrypted`: frames come under CURVE. 0 or -errno. */
int  connections_open(struct connections *connections, int epoll, bool encrypted);
void connections_close(struct connections *connections);

/* Begins to watch a PULL socket before it is bound. 0 or -errno. */
int  inflow_open(struct inflow *inflow, struct connections *connections, void *zmq, void *pull);
void inflow_close(struct inflow *inflow, void *pull);

/* Its watch tells: connections come and go. */
void inflow_told(struct inflow *inflow);

/* A frame of `size` bytes came from the connection with this descriptor (-1: not known). */
void inflow_took(struct inflow *inflow, int descriptor, size_t size);

/* The timer tells: looks at all connections, and shuts those that hold too much.
 * Then the inlets are to be looked at, and told with inflow_next_tick(). */
void connections_told(struct connections *connections);
void inflow_next_tick(struct inflow *inflow);

#endif
