/*
 * flat_client_room.h -- what flat_client.c (who is asked, the sockets) and
 * flat_answers.c (what becomes of a request) share. Nobody else includes it.
 */
#ifndef TROUPE_NET_FLAT_CLIENT_ROOM_H
#define TROUPE_NET_FLAT_CLIENT_ROOM_H

#include "net/flat_client.h"

struct flat_request {
    struct flat_request *next;    /* guarded by the lock of the clients */
    uint64_t             number;
    uint64_t             born_ns;
    actor_id             from;    /* who gets the answer; 0: nobody */
    uint64_t             request; /* its wait; 0: it does not wait */
    type_id              type;
    struct address      *to;
    size_t               size;
    char                 text[];
};

/* A request for `message`, whose text is `text`; NULL: no memory. */
struct flat_request *flat_request_new(const struct message *message, struct address *to,
                                      const struct bytes *text, uint64_t now_ns);
void                 flat_request_free(struct flat_request *request);

/* There will be no answer: whoever waits is told, else it is a dead letter.
 * Frees the request. */
void flat_request_lose(struct flat_clients *clients, struct flat_request *request,
                       const char *why);

/* A text came for the request, which is freed: it is delivered. The gateway's thread. */
void flat_request_answered(struct flat_client *client, struct flat_request *request,
                           const char *text, size_t size);
/* Counts and logs what is no answer at all. */
void flat_bad_answer(struct flat_client *client, const char *why);

#endif
