/*
 * peer_sockets.c -- the sockets of a peer: PUSH, and a monitor that hears of its connection.
 */
#include "net/peers_room.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

/* How many frames libzmq may hold for one peer: enough to keep its thread busy
 * while ours is woken, few enough to lose. */
#define SEND_HIGH_WATER 256

/* Bytes that the network may hold for it (the kernel doubles it). What has left
 * and was not read is lost with the peer, so it is kept as small as speed allows:
 * measured on loopback, 16 KiB and no limit at all carry the same. */
#define SEND_BUFFER (64 * 1024)

#define EVENTS (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED)

static const struct {
    int option, value;
} push_options[] = {
    { ZMQ_SNDHWM, SEND_HIGH_WATER },
    { ZMQ_LINGER, 0 },
    { ZMQ_SNDBUF, SEND_BUFFER },
    { ZMQ_RECONNECT_IVL, 100 },
    { ZMQ_RECONNECT_IVL_MAX, 5000 },
    { ZMQ_CONNECT_TIMEOUT, 3000 },
    { ZMQ_HANDSHAKE_IVL, 5000 },
    /* A peer whose machine vanished is noticed in half a minute when idle; TCP
     * itself answers, so that no slow peer is given up. Heartbeats of ZeroMQ's own
     * would end connections to the family's Rust peers, whose library (zeromq, for
     * Rust) knows no command but READY. Streams (net/stream.h) have their own. */
    { ZMQ_TCP_KEEPALIVE, 1 },
    { ZMQ_TCP_KEEPALIVE_IDLE, 15 },
    { ZMQ_TCP_KEEPALIVE_INTVL, 5 },
    { ZMQ_TCP_KEEPALIVE_CNT, 3 },
};

/* A PAIR socket that hears of the connection. Its first EAGAIN is waited for
 * here (see net/watch.h). */
static void *open_monitor(struct peer *peer)
{
    struct peers *peers = peer->peers;
    char name[64];
    snprintf(name, sizeof name, "inproc://monitor-%llu", (unsigned long long)peer->number);
    if (zmq_socket_monitor(peer->push, name, EVENTS) != 0)
        return NULL;
    void *monitor = zmq_socket(peers->zmq, ZMQ_PAIR);
    if (monitor == NULL)
        return NULL;

    char none;
    zmq_setsockopt(monitor, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    if (zmq_connect(monitor, name) != 0 || zmq_recv(monitor, &none, 0, ZMQ_DONTWAIT) != -1 ||
        errno != EAGAIN) {
        int err = errno;
        zmq_close(monitor);
        errno = err;
        return NULL;
    }
    return monitor;
}

void peer_close_sockets(struct peer *peer, int linger_ms)
{
    if (peer->push == NULL)
        return;
    watch_remove(peer->peers->epoll, peer->push_descriptor);
    watch_remove(peer->peers->epoll, peer->monitor_descriptor);
    zmq_socket_monitor(peer->push, NULL, 0);
    zmq_setsockopt(peer->push, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_close(peer->push);
    peer->push = NULL;
}

int peer_open_sockets(struct peer *peer)
{
    struct peers *peers = peer->peers;
    int           err = 0;

    peer->push = zmq_socket(peers->zmq, ZMQ_PUSH);
    if (peer->push == NULL)
        return -errno;
    for (size_t i = 0; i < ARRAY_LENGTH(push_options); i++)
        zmq_setsockopt(peer->push, push_options[i].option, &push_options[i].value, sizeof(int));
    int ipv6 = strchr(peer->numeric, '[') != NULL;
    zmq_setsockopt(peer->push, ZMQ_IPV6, &ipv6, sizeof ipv6);
    if (peers->options.keys != NULL)
        err = keyring_guard_peer(peers->options.keys, peer->push, peer->endpoint, peer->numeric);
    if (err != 0)
        goto close_push;

    peer->monitor = open_monitor(peer);
    if (peer->monitor == NULL) {
        err = -errno;
        goto close_push;
    }
    peer->push_descriptor = watch_descriptor(peer->push);
    peer->monitor_descriptor = watch_descriptor(peer->monitor);
    err = watch_add_asleep(peers->epoll, peer->push_descriptor, &peer->on_room);
    if (err == 0)
        err = watch_add(peers->epoll, peer->monitor_descriptor, &peer->on_monitor);
    if (err == 0 && zmq_connect(peer->push, peer->numeric) != 0)
        err = -errno;
    if (err == 0)
        return 0;

    watch_remove(peers->epoll, peer->push_descriptor);
    watch_remove(peers->epoll, peer->monitor_descriptor);
close_push:
    zmq_socket_monitor(peer->push, NULL, 0);
    if (peer->monitor != NULL)
        zmq_close(peer->monitor);
    zmq_close(peer->push);
    return err;
}
