/*
 * peer.c -- one peer: a PUSH socket under its lock, its state and its queue.
 *
 * Handing over. `asked` means: libzmq had no room, and the gateway's thread
 * will be told once when it has. While something waits in the queue only that
 * thread touches the socket, so the telling cannot be swallowed by another.
 */
#include "net/peers.h"

#include "base/log.h"
#include "base/memory.h"
#include "net/peers_room.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

/* How many frames libzmq may hold for one peer: enough to keep its thread busy
 * while ours is woken, few enough to lose. */
#define SEND_HIGH_WATER 100

#define EVENTS (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED)

static const struct {
    int option, value;
} push_options[] = {
    { ZMQ_SNDHWM, SEND_HIGH_WATER },
    { ZMQ_LINGER, 0 },
    { ZMQ_RECONNECT_IVL, 100 },
    { ZMQ_RECONNECT_IVL_MAX, 5000 },
    { ZMQ_CONNECT_TIMEOUT, 3000 },
    { ZMQ_HANDSHAKE_IVL, 5000 },
    /* A peer whose machine vanished is noticed in about two minutes, also when
     * idle. Heartbeats would be quicker but give up slow peers too, and what
     * is under way with them: they are for reliable links. */
    { ZMQ_TCP_KEEPALIVE, 1 },
    { ZMQ_TCP_KEEPALIVE_IDLE, 60 },
    { ZMQ_TCP_KEEPALIVE_INTVL, 15 },
    { ZMQ_TCP_KEEPALIVE_CNT, 4 },
};

/* ---- making and closing one ---- */

void peer_unref(struct peer *peer)
{
    /* Release, so that others' use is over; acquire, so that we see it. */
    if (peer == NULL ||
        atomic_fetch_sub_explicit(&peer->references, 1, memory_order_acq_rel) != 1)
        return;
    outbox_fini(&peer->queue);
    signal_fini(&peer->changed);
    lock_fini(&peer->lock);
    memory_put(peer, sizeof *peer);
}

/* A PAIR socket that hears of the connection. Its first EAGAIN is waited for
 * here (see net/watch.h). */
static void *open_monitor(struct peers *peers, void *push)
{
    char name[64];
    snprintf(name, sizeof name, "inproc://monitor-%llu", (unsigned long long)++peers->made);
    if (zmq_socket_monitor(push, name, EVENTS) != 0)
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

static void close_sockets_locked(struct peer *peer, int linger_ms)
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

/* Sockets and watches; what was made before a failure is undone. 0 or -errno. */
static int open_sockets(struct peer *peer)
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

    peer->monitor = open_monitor(peers, peer->push);
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

struct peer *peer_new_locked(struct peers *peers, const char *endpoint, const char *numeric,
                             char *why, size_t room)
{
    struct peer *peer = memory_get_zeroed(sizeof *peer);
    if (peer == NULL) {
        snprintf(why, room, "no memory for a connection to %s", endpoint);
        return NULL;
    }
    atomic_init(&peer->references, 2);
    atomic_init(&peer->state, PEER_CONNECTING);
    atomic_init(&peer->reply_endpoint, NULL);
    snprintf(peer->endpoint, sizeof peer->endpoint, "%s", endpoint);
    snprintf(peer->numeric, sizeof peer->numeric, "%s", numeric);
    peer->peers = peers;
    peer->on_monitor = (struct watch){ WATCH_MONITOR, peer };
    peer->on_room = (struct watch){ WATCH_ROOM, peer };
    lock_init(&peer->lock);
    signal_init(&peer->changed);
    outbox_init(&peer->queue, peers->options.queue_messages, peers->options.queue_bytes);

    int err = open_sockets(peer);
    if (err != 0) {
        snprintf(why, room, "cannot connect to %s: %s", endpoint, zmq_strerror(-err));
        atomic_store_explicit(&peer->references, 1, memory_order_relaxed);
        peer_unref(peer);
        return NULL;
    }
    return peer;
}

/* ---- frames ---- */

/* Gives libzmq a frame. False: it has no room. */
static bool hand_over_locked(struct peer *peer, const void *frame, size_t size)
{
    for (;;) {
        if (zmq_send(peer->push, frame, size, ZMQ_DONTWAIT) >= 0)
            return true;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return false;
        /* A send looks for news of room at most once a millisecond; asking
         * for events always does. */
        int    events = 0;
        size_t room = sizeof events;
        if (zmq_getsockopt(peer->push, ZMQ_EVENTS, &events, &room) != 0 ||
            !(events & ZMQ_POLLOUT))
            return false;
    }
}

static void ask_for_room_locked(struct peer *peer)
{
    if (peer->asked)
        return;
    peer->asked = true;
    watch_ask(peer->peers->epoll, peer->push_descriptor, &peer->on_room);
}

enum peer_answer peer_send(struct peer *peer, const void *frame, size_t size, uint64_t now)
{
    enum peer_answer answer = PEER_SENT;

    lock_acquire(&peer->lock);
    bool connected = peer_state(peer) == PEER_CONNECTED;
    if (UNLIKELY(peer->push == NULL)) {
        answer = PEER_GONE;
    } else if (!connected || outbox_first(&peer->queue) != NULL ||
               !hand_over_locked(peer, frame, size)) {
        answer = outbox_put(&peer->queue, frame, size, now) ? PEER_QUEUED : PEER_FULL;
        if (connected)
            ask_for_room_locked(peer);
    }
    lock_release(&peer->lock);
    return answer;
}

static void tell_locked(struct peer *peer)
{
    if (peer->waiting > 0)
        signal_all(&peer->changed);
}

static void flush_locked(struct peer *peer)
{
    const struct outbox_frame *first;
    while ((first = outbox_first(&peer->queue)) != NULL) {
        if (!hand_over_locked(peer, first->bytes, first->size)) {
            ask_for_room_locked(peer);
            return;
        }
        outbox_drop_first(&peer->queue);
    }
    tell_locked(peer);
}

void peer_room_told(struct peer *peer)
{
    lock_acquire(&peer->lock);
    peer->asked = false;
    if (peer->push != NULL && peer_state(peer) == PEER_CONNECTED)
        flush_locked(peer);
    lock_release(&peer->lock);
}

bool peer_may_reject(struct peer *peer, uint64_t now)
{
    lock_acquire(&peer->lock);
    uint64_t second = now / NS_PER_SEC;
    if (peer->rejects_second != second) {
        peer->rejects_second = second;
        peer->rejects = 0;
    }
    bool may = peer->rejects < PEER_REJECTS_A_SECOND;
    peer->rejects += may;
    lock_release(&peer->lock);
    return may;
}

/* ---- the connection ---- */

static void set_state_locked(struct peer *peer, enum peer_state state)
{
    atomic_store_explicit(&peer->state, (int)state, memory_order_relaxed);
    tell_locked(peer);
}

static void connection_event(struct peer *peer, unsigned event)
{
    size_t queued = 0;
    bool   news = true;

    lock_acquire(&peer->lock);
    enum peer_state before = peer_state(peer);
    if (peer->push == NULL) {
        news = false;
    } else if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        peer->refused = false;
        set_state_locked(peer, PEER_CONNECTED);
        queued = peer->queue.count;
        flush_locked(peer);
    } else if (event == ZMQ_EVENT_DISCONNECTED && before == PEER_CONNECTED) {
        set_state_locked(peer, PEER_LOST);
    } else {
        peer->refused = true;
        tell_locked(peer);
        news = false;
    }
    lock_release(&peer->lock);

    if (!news)
        return;
    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
        log_debug("gateway: %s: connected, %zu frames had waited", peer->endpoint, queued);
    else
        log_debug("gateway: %s: connection lost", peer->endpoint);
}

void peer_monitor_told(struct peer *peer)
{
    for (;;) {
        /* Two parts: the event's number (16 bits) and value, then an endpoint. */
        unsigned char head[6] = { 0 };
        char          endpoint[ADDRESS_ENDPOINT_LIMIT];
        int           size = zmq_recv(peer->monitor, head, sizeof head, ZMQ_DONTWAIT);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return;
        zmq_recv(peer->monitor, endpoint, sizeof endpoint, ZMQ_DONTWAIT);
        uint16_t event;
        memcpy(&event, head, sizeof event);
        if (size == (int)sizeof head)
            connection_event(peer, event);
    }
}

bool peer_wait(struct peer *peer, uint64_t deadline_ns)
{
    bool in_time = true;

    lock_acquire(&peer->lock);
    peer->waiting++;
    while (in_time && peer->push != NULL &&
           (peer_state(peer) != PEER_CONNECTED || outbox_first(&peer->queue) != NULL))
        in_time = signal_wait_until(&peer->changed, &peer->lock, deadline_ns);
    peer->waiting--;
    bool done = peer_state(peer) == PEER_CONNECTED && outbox_first(&peer->queue) == NULL;
    lock_release(&peer->lock);
    return done;
}

/* Whether waiting makes sense: something waits, and nothing is known against it. */
static bool has_hope_locked(struct peer *peer)
{
    return outbox_first(&peer->queue) != NULL && peer_state(peer) != PEER_LOST && !peer->refused;
}

void peer_drain(struct peer *peer, uint64_t deadline_ns)
{
    bool in_time = true;

    lock_acquire(&peer->lock);
    peer->waiting++;
    while (in_time && peer->push != NULL && has_hope_locked(peer))
        in_time = signal_wait_until(&peer->changed, &peer->lock, deadline_ns);
    peer->waiting--;
    lock_release(&peer->lock);
}

/* ---- giving it up ---- */

/* Takes what waits in the queue of a peer that is given up. */
static struct outbox take_queue_locked(struct peer *peer)
{
    struct outbox taken = peer->queue;
    outbox_init(&peer->queue, 0, 0);
    return taken;
}

struct outbox peer_give_up_locked(struct peer *peer, int linger_ms)
{
    lock_acquire(&peer->lock);
    close_sockets_locked(peer, peer_state(peer) == PEER_CONNECTED ? linger_ms : 0);
    struct outbox waited = take_queue_locked(peer);
    tell_locked(peer);
    lock_release(&peer->lock);
    return waited;
}
