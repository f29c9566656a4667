/*
 * subscriptions.c -- see subscriptions.h.
 */
#include "net/subscriptions.h"

#include "base/thread.h"
#include "net/resolve.h"
#include "net/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define WAITING_FRAMES 1000 /* in libzmq's hands, before the publisher drops */

struct subscriptions {
    struct lock lock;
    void       *zmq; /* guarded by lock; NULL: not made yet */
};

struct subscriptions *subscriptions_new(void)
{
    struct subscriptions *subscriptions = calloc(1, sizeof *subscriptions);
    if (subscriptions != NULL)
        lock_init(&subscriptions->lock);
    return subscriptions;
}

void subscriptions_free(struct subscriptions *subscriptions)
{
    if (subscriptions == NULL)
        return;
    while (subscriptions->zmq != NULL && zmq_ctx_term(subscriptions->zmq) != 0 && errno == EINTR)
        continue;
    lock_fini(&subscriptions->lock);
    free(subscriptions);
}

static void *context_of(struct subscriptions *subscriptions)
{
    lock_acquire(&subscriptions->lock);
    if (subscriptions->zmq == NULL)
        subscriptions->zmq = zmq_ctx_new();
    void *zmq = subscriptions->zmq;
    lock_release(&subscriptions->lock);
    return zmq;
}

static int set_number(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

static bool set_options(void *socket, const char *prefix, size_t prefix_size, size_t limit)
{
    int64_t most = (int64_t)limit;
    return set_number(socket, ZMQ_LINGER, 0) == 0 && set_number(socket, ZMQ_IPV6, 1) == 0 &&
           set_number(socket, ZMQ_RCVHWM, WAITING_FRAMES) == 0 &&
           set_number(socket, ZMQ_RECONNECT_IVL_MAX, 2000) == 0 &&
           set_number(socket, ZMQ_TCP_KEEPALIVE, 1) == 0 &&
           set_number(socket, ZMQ_TCP_KEEPALIVE_IDLE, 60) == 0 &&
           zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &most, sizeof most) == 0 &&
           zmq_setsockopt(socket, ZMQ_SUBSCRIBE, prefix, prefix_size) == 0;
}

static int open_socket(void *context, const char *endpoint, const char *prefix, size_t prefix_size,
                       size_t limit, void **packets, int *descriptor, char *why, size_t room)
{
    char numeric[ADDRESS_ENDPOINT_LIMIT];
    int error = resolve_endpoint(endpoint, numeric, why, room);
    if (error != 0)
        return error;
    void *zmq = context_of(context);
    void *socket = zmq != NULL ? zmq_socket(zmq, ZMQ_SUB) : NULL;
    if (socket != NULL && set_options(socket, prefix, prefix_size, limit) &&
        zmq_connect(socket, numeric) == 0) {
        *packets = socket;
        *descriptor = watch_descriptor(socket);
        return 0;
    }
    error = errno;
    if (socket != NULL)
        zmq_close(socket);
    snprintf(why, room, "cannot subscribe to %s: %s", endpoint, zmq_strerror(error));
    return -error;
}

static int receive(void *socket, struct bytes *frame, bool *more)
{
    zmq_msg_t message;
    int size, error = 0;
    zmq_msg_init(&message);
    do {
        size = zmq_msg_recv(&message, socket, ZMQ_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size < 0) {
        error = errno == EAGAIN ? 0 : -errno;
    } else {
        bytes_clear(frame, SIZE_MAX);
        bytes_append(frame, zmq_msg_data(&message), zmq_msg_size(&message));
        *more = zmq_msg_more(&message) != 0;
        error = frame->failed ? -ENOMEM : 1;
    }
    zmq_msg_close(&message);
    return error;
}

static void close_socket(void *socket)
{
    zmq_close(socket);
}

struct packet_source subscriptions_source(struct subscriptions *subscriptions)
{
    return (struct packet_source){
        .context = subscriptions,
        .open = open_socket,
        .receive = receive,
        .close = close_socket,
    };
}
