/*
 * probe.h -- what answers at an endpoint, found out with plain sockets and
 * without sending a message: for `troupe doctor`.
 *
 * A probe connects, shakes hands as a PUSH socket of ZeroMQ does (ZMTP 3, RFC
 * 23) and hangs up. To a peer that is one who came and went; no byte of it can
 * be taken for a frame. Only a server that shakes no hands of ZeroMQ's and says
 * nothing either is told that nothing more will come, for some then say what
 * they are.
 */
#ifndef TROUPE_NET_PROBE_H
#define TROUPE_NET_PROBE_H

#include "message/address.h"

enum probe_outcome {
    PROBE_OK,        /* shook hands */
    PROBE_REFUSED,   /* nobody listens on that port */
    PROBE_NO_WAY,    /* no connection can be made: `error` */
    PROBE_NO_ANSWER, /* no connection in time */
    PROBE_SILENT,    /* connected, and nothing was said */
    PROBE_CLOSED,    /* hung up before hands were shaken */
    PROBE_STRANGER,  /* speaks something else: `said` is how it begins */
    PROBE_OLD,       /* a ZMTP older than 3.0 */
    PROBE_MECHANISM, /* wants `mechanism`, and not NULL */
    PROBE_DENIED,    /* said no: `said` is its reason */
    PROBE_STALLED,   /* greeted, and then fell silent */
};

struct probe {
    enum probe_outcome outcome;
    int      error;                         /* errno, of PROBE_NO_WAY */
    char     local[ADDRESS_ENDPOINT_LIMIT]; /* our end, "127.0.0.1:43210"; "": no connection */
    uint64_t connect_ns, handshake_ns;      /* how long they took */
    char     mechanism[24];                 /* what it greets with: "NULL" */
    char     socket_type[32];               /* once hands were shaken: "PULL" */
    char     said[128];                     /* whatever bytes they are */
    size_t   said_size;
};

/* "ok", "refused", "no_way", ...: stable. */
const char *probe_outcome_name(enum probe_outcome outcome);

/* Probes a normalised endpoint with a numeric host. Each of its steps has
 * `timeout_ms`. Waits; any thread. */
void probe_endpoint(const char *endpoint, uint64_t timeout_ms, struct probe *probe);

/* Looks up a host name: writes its addresses, as in endpoints and separated by
 * spaces, into `addresses`. 0; -ETIMEDOUT or -EHOSTUNREACH with a sentence in
 * `why`. A look-up that takes too long is left behind on a thread of its own. */
int probe_resolve(const char *host, uint64_t timeout_ms, char *addresses, size_t size, char *why,
                  size_t room);

/* Whether somebody listens on this TCP port of this machine. */
bool probe_port_is_taken(uint16_t port);

/* The version of libzmq ("4.3.4", valid for ever), and whether it has CURVE. */
const char *probe_library(bool *curve);

#endif
