/*
 * watch.h -- what the gateway's epoll descriptor tells it about.
 *
 * A ZeroMQ socket's own descriptor becomes readable when the socket *may* have
 * something to say, and not again until it was asked and had nothing more. So
 * whoever is told must go on until the socket answers EAGAIN, and a socket must
 * have answered EAGAIN once before it is first waited for.
 */
#ifndef TROUPE_NET_WATCH_H
#define TROUPE_NET_WATCH_H

#include "base/base.h"

enum watch_kind {
    WATCH_WAKE,    /* somebody wants the gateway's attention */
    WATCH_INLET,   /* frames may have come in */
    WATCH_DOOR,    /* somebody asks whether he may connect */
    WATCH_INFLOW,  /* a connection to an inlet came or went */
    WATCH_TICK,    /* it is time to look at the connections to our inlets */
    WATCH_MONITOR, /* a peer's connection has changed */
    WATCH_ROOM,    /* a peer may take more frames; told once for each asking */
    WATCH_FLAT_CLIENT, /* a flat answer may have come in, or requests may go out */
    WATCH_FLAT_SERVER, /* flat requests may have come in */
};

/* Lies in the thing that is watched. */
struct watch {
    enum watch_kind kind;
    void           *owner;
};

/* Any thread; `owner` must be whole before, for the gateway's thread may be
 * told at once. 0 or -errno. */
int  watch_add(int epoll, int descriptor, struct watch *watch);
/* The same for WATCH_ROOM, which tells nothing until it is asked. */
int  watch_add_asleep(int epoll, int descriptor, struct watch *watch);
/* Asks to be told once. */
void watch_ask(int epoll, int descriptor, struct watch *watch);
void watch_remove(int epoll, int descriptor);

/* The next event that a socket's monitor tells, without waiting: its number
 * (ZMQ_EVENT_...) and its value. False: there is none. */
bool watch_read_event(void *monitor, unsigned *event, int *value);

/* The descriptor of a ZeroMQ socket. */
int watch_descriptor(void *socket);

#endif
