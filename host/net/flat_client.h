/*
 * flat_client.h -- asks hosts that speak flat JSON over REQ/REP: the family's
 * registry (message/flat.h says what the text is like).
 *
 * An address `registry@flat:tcp://host:port` is carried by this room. What is
 * sent there is a request, and what comes back is its answer: to a question
 * the reply, else an ordinary message to whoever sent. {"error": ...} comes
 * back as a Reject. The name in front of the @ is for people; one port has one
 * who answers.
 *
 * Each endpoint has a DEALER socket that numbers its requests: a REP socket
 * returns the frames in front of the text, so that answers find their
 * question, late ones are known as such, and an endpoint that has lost a
 * request holds up none of the others (a REQ socket would wait for ever).
 *
 * Any thread puts requests into a bounded list; only the gateway's thread uses
 * the sockets. What finds no connection, or no answer, in time is given up.
 */
#ifndef TROUPE_NET_FLAT_CLIENT_H
#define TROUPE_NET_FLAT_CLIENT_H

#include "actor/system.h"
#include "base/bytes.h"
#include "base/thread.h"
#include "message/flat.h"
#include "net/keyring.h"
#include "net/peers.h"
#include "net/watch.h"

#define FLAT_CONNECT_NS  (5 * NS_PER_SEC)  /* to be handed to a connection */
#define FLAT_PATIENCE_NS (60 * NS_PER_SEC) /* and to be answered */

#define FLAT_CLIENTS_MAX    16                /* endpoints */
#define FLAT_REQUESTS_MAX   1024              /* to each of them, not yet answered */
#define FLAT_REQUEST_BYTES  (8u * 1024 * 1024) /* and the texts of these */

struct flat_request;

struct flat_client {
    struct watch         watch;                            /* fixed, as are: */
    struct flat_clients *clients;
    char                 endpoint[ADDRESS_ENDPOINT_LIMIT]; /* normalised, without "flat:" */
    char                 numeric[ADDRESS_ENDPOINT_LIMIT];
    void                *dealer;     /* the gateway's thread, as the next two; NULL: not yet open */
    int                  descriptor;
    bool                 busy;       /* may have more: look again without being told */

    struct flat_request *oldest, *newest; /* guarded by the clients' lock, as the rest */
    struct flat_request *unsent;     /* the first that libzmq has not got; NULL: none */
    size_t               count, bytes;
    uint64_t             numbered;
};

struct flat_clients {
    struct system *system; /* borrowed, as zmq; fixed */
    void          *zmq;
    struct keyring *keys;                        /* borrowed; NULL: no CURVE */
    int            epoll, wake;
    struct lock    lock;
    struct signal  changed;                      /* all is sent, for flat_clients_flush() */
    bool           closed;                       /* guarded by lock */
    unsigned       count;                        /* guarded by lock */
    struct flat_client *list[FLAT_CLIENTS_MAX];  /* each fixed once it counts */
    _Atomic bool   pending;                      /* something was put; only a hint for serve() */
    _Atomic uint64_t asked, lost;

    /* The gateway's thread: */
    struct bytes fields;
    bool         busy;                           /* one of them is */
    uint64_t     due_ns;  /* when the next request is given up; UINT64_MAX: there is none */
};

void flat_clients_init(struct flat_clients *clients, struct system *system, void *zmq, int epoll,
                       int wake);
/* Gives up all that is not answered, and takes nothing more. The gateway's
 * thread must have ended. */
void flat_clients_close(struct flat_clients *clients, int linger_ms);
void flat_clients_fini(struct flat_clients *clients);

/* Takes *message as a request to `to`, an address with a flat endpoint. As the
 * `carry` of actor/router.h. Any thread but the gateway's; may wait for a name server
 * when the endpoint is new. */
enum router_answer flat_clients_carry(struct flat_clients *clients, const struct address *to,
                                      struct message **message, char *why, size_t room);

/* How it stands with an endpoint (without "flat:"): CONNECTED once all was
 * handed to libzmq on a connection that was up. Any thread. */
enum peer_state flat_clients_state(struct flat_clients *clients, const char *endpoint);
/* Waits until it is so, or with NULL until it is so with all. False once `deadline_ns`
 * (monotonic) has passed. Any thread but the gateway's, which must run. */
bool flat_clients_flush(struct flat_clients *clients, const char *endpoint, uint64_t deadline_ns);

/* The gateway's thread: its watch tells; and in each turn: sends what was put,
 * reads on, gives up what is too old; the next time before clients->due_ns.
 * Whether any is still busy. */
void flat_client_told(struct flat_client *client);
bool flat_clients_serve(struct flat_clients *clients);

#endif
