/*
 * flat_server.h -- answers hosts that speak flat JSON over REQ/REP, as the
 * family does with its registry (message/flat.h says what the text is like).
 *
 * Each request becomes a message to one actor, whose env:reply is the answer.
 * Whoever asks always hears something, for a REQ socket waits until it does:
 * what is no flat JSON, has a type that is not known or may not come from
 * outside, or gets no reply from the actor, is answered with {"error": ...}.
 *
 * A ROUTER socket, bound as an inlet is, which keeps many askers apart; only
 * the gateway's thread uses it. Answers wait in a bounded list until that
 * thread sends them.
 */
#ifndef TROUPE_NET_FLAT_SERVER_H
#define TROUPE_NET_FLAT_SERVER_H

#include "actor/system.h"
#include "base/bytes.h"
#include "base/thread.h"
#include "message/flat.h"
#include "net/inlets.h"

#define FLAT_ANSWER_NS   (60 * NS_PER_SEC) /* in which the actor must answer */
#define FLAT_SERVED_MAX  1024              /* requests at once that wait for their answers */

struct flat_ticket;

struct flat_server {
    struct watch   watch;       /* fixed, as are: */
    struct system *system;
    int            epoll, wake, descriptor;
    char           endpoint[ADDRESS_ENDPOINT_LIMIT]; /* with the real port; "": there is no server */
    char           actor[ADDRESS_NAME_LIMIT + 1];

    /* The gateway's thread: */
    void          *router;      /* NULL: there is no server */
    bool           busy;        /* may have more: look again without being told */
    struct bytes   fields;
    uint64_t       due_ns;      /* when the oldest request is given up; UINT64_MAX: there is none */

    struct lock         lock;
    struct signal       changed;            /* no answer waits any more */
    struct flat_ticket *oldest, *newest;    /* guarded by lock, as the rest */
    unsigned            count;
    unsigned            answered;           /* of these, whose answers wait to be sent */
    uint64_t            numbered;
    _Atomic uint64_t    served;
};

/* No server yet. */
void flat_server_init(struct flat_server *server, struct system *system, int epoll, int wake);
/* Listens on a normalised endpoint (port 0: any that is free) for the actor of
 * that name. 0, or -errno with a sentence in `why`. Before the gateway's thread runs. */
int  flat_server_open(struct flat_server *server, struct inlets *inlets, const char *endpoint,
                      const char *actor, char *why, size_t room);
/* The gateway's thread must have ended. */
void flat_server_close(struct flat_server *server, int linger_ms);
void flat_server_fini(struct flat_server *server);

/* Whether `address` is who asked one of our requests. */
bool flat_server_knows(const struct flat_server *server, const struct address *address);
/* Answers it with *message, which it takes, or with an error. As the `carry` of
 * actor/router.h; UNREACHABLE: it has its answer, or has waited too long. Any thread. */
enum router_answer flat_server_answer(struct flat_server *server, const struct address *to,
                                      struct message **message, char *why, size_t room);
void flat_server_refuse(struct flat_server *server, const struct address *to, const char *reason);

/* Waits until all answers that were given are sent. False once `deadline_ns` (monotonic)
 * has passed. Any thread but the gateway's, which must run. */
bool flat_server_flush(struct flat_server *server, uint64_t deadline_ns);

/* The gateway's thread: its watch tells; and in each turn, the next before
 * server->due_ns. Whether it is still busy. */
void flat_server_told(struct flat_server *server);
bool flat_server_serve(struct flat_server *server);

#endif
