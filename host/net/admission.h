/*
 * admission.h -- who may connect to our inlets: ZeroMQ's ZAP (RFC 27), answered.
 *
 * libzmq asks for each connection before anything is read from it. That it
 * asks also keeps out whoever shakes no hands: without it any line of text
 * sent to the port would be delivered as a frame (ZMTP 1.0). The key of who is
 * let in becomes the "User-Id" of his frames.
 */
#ifndef TROUPE_NET_ADMISSION_H
#define TROUPE_NET_ADMISSION_H

#include "base/base.h"
#include "net/key_file.h"
#include "net/watch.h"

#include <stdatomic.h>

/* Set as ZMQ_ZAP_DOMAIN on every socket that is bound. */
#define ADMISSION_DOMAIN "troupe"

/* Whether a connection from `host`, written as in an endpoint (`10.0.0.7`,
 * `[fe80::1]`), may come in; `key` is the one that it has proven (in Z85), "" without
 * CURVE. The gateway's thread. */
typedef bool admission_judge(void *context, const char *host, const char *key);

struct admission {
    struct watch     watch;
    void            *door; /* the gateway's thread, once it is watched; NULL: closed */
    int              epoll, descriptor;
    admission_judge *judge;
    void            *context;
    _Atomic uint64_t refused; /* connections, since the start */
};

/* Before the first socket of this context is bound. 0 or -errno. */
int  admission_open(struct admission *admission, void *zmq, int epoll, admission_judge *judge,
                    void *context);
/* The gateway's thread must have ended. */
void admission_close(struct admission *admission);

/* Answers all who ask. The gateway's thread. */
void admission_told(struct admission *admission);

#endif
