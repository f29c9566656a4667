/*
 * peer.c -- one peer: a PUSH socket under its lock, its state and its queue.
 *
 * Handing over. `asked` means: libzmq had no room, and the gateway's thread
 * will be told once when it has. Until it was told only that thread touches the
 * socket, so the telling cannot be swallowed by another.
 *
 * Sending together. libzmq's thread sleeps when it has nothing to send, and to
 * wake it takes longer than to make a frame. So of a handler's frames to one
 * peer the first leaves at once, and those after it in lots: a lot is one wake,
 * one write to the network, and one read on the other side.
 */
#include "net/peers.h"

#include "base/log.h"
#include "base/memory.h"
#include "net/peers_room.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

/* So many frames leave together: measured, 8 to 64 are alike, and larger lots
 * only let the other side wait. */
#define LOT 32

/* After so long somebody is told that a peer does not come. */
#define ABSENT_S 3

/* ---- making and closing one ---- */

void peer_unref(struct peer *peer)
{
    /* Release, so that others' use is over; acquire, so that we see it. */
    if (peer == NULL ||
        atomic_fetch_sub_explicit(&peer->references, 1, memory_order_acq_rel) != 1)
        return;
    outbox_fini(&peer->queue);
    flight_fini(&peer->flight);
    signal_fini(&peer->changed);
    lock_fini(&peer->lock);
    memory_put(peer, sizeof *peer);
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
    peer->number = ++peers->made;
    peer->on_monitor = (struct watch){ WATCH_MONITOR, peer };
    peer->on_room = (struct watch){ WATCH_ROOM, peer };
    lock_init(&peer->lock);
    signal_init(&peer->changed);
    flight_init(&peer->flight);
    outbox_init(&peer->queue, peers->options.queue_messages, peers->options.queue_bytes);

    int err = peer_open_sockets(peer);
    if (err != 0) {
        if (err == -ENOKEY)
            snprintf(why, room, "the key of %s is not known: add a line 'KEY %s' to the file of "
                     "--curve-peers", endpoint, endpoint);
        else
            snprintf(why, room, "cannot connect to %s: %s", endpoint, zmq_strerror(-err));
        atomic_store_explicit(&peer->references, 1, memory_order_relaxed);
        peer_unref(peer);
        return NULL;
    }
    return peer;
}

/* ---- frames ---- */

/* Gives libzmq a frame. False: it has no room. */
static bool hand_over_locked(struct peer *peer, const void *frame, size_t size, uint64_t now)
{
    for (;;) {
        if (zmq_send(peer->push, frame, size, ZMQ_DONTWAIT) >= 0) {
            flight_add(&peer->flight, size, now);
            peer->sent++;
            return true;
        }
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

/* Tells threads. */
static void tell_locked(struct peer *peer)
{
    if (peer->waiting > 0)
        signal_all(&peer->changed);
}

/* ---- who waits for room ---- */

struct room_waiter {
    struct room_waiter *next;
    uint64_t            waiter, wait;
};

bool peer_await_room(struct peer *peer, uint64_t waiter, uint64_t wait)
{
    struct room_waiter *entry = memory_get(sizeof *entry);
    bool                waits = false;
    if (entry == NULL)
        return false;
    lock_acquire(&peer->lock);
    if (peer->push != NULL && peer_state(peer) == PEER_CONNECTED && peer->asked &&
        outbox_is_crowded(&peer->queue)) {
        *entry = (struct room_waiter){ peer->waiters, waiter, wait };
        peer->waiters = entry;
        waits = true;
    }
    lock_release(&peer->lock);
    if (!waits)
        memory_put(entry, sizeof *entry);
    return waits;
}

static void tell_waiters_locked(struct peer *peer)
{
    const struct peers_options *options = &peer->peers->options;
    while (UNLIKELY(peer->waiters != NULL)) {
        struct room_waiter *entry = peer->waiters;
        peer->waiters = entry->next;
        options->room(options->context, entry->waiter, entry->wait);
        memory_put(entry, sizeof *entry);
    }
}

static void flush_locked(struct peer *peer)
{
    const struct outbox_frame *first;
    uint64_t                   now = clock_now_coarse(peer->peers->options.clock);
    atomic_store_explicit(&peer->kept, false, memory_order_relaxed);
    while ((first = outbox_first(&peer->queue)) != NULL) {
        if (!hand_over_locked(peer, first->bytes, first->size, now)) {
            ask_for_room_locked(peer);
            break;
        }
        outbox_drop_first(&peer->queue);
    }
    if (!outbox_is_crowded(&peer->queue))
        tell_waiters_locked(peer);
    if (first == NULL)
        tell_locked(peer);
}

/* Marks that the queue holds what nobody but its putter thinks of. */
static void keep_locked(struct peer *peer)
{
    struct peers *peers = peer->peers;
    if (atomic_load_explicit(&peer->kept, memory_order_relaxed))
        return;
    atomic_store_explicit(&peer->kept, true, memory_order_relaxed);
    full_fence(); /* kept before we look: see peers_flush_kept() */
    if (!atomic_load_explicit(&peers->attentive, memory_order_relaxed) &&
        !atomic_exchange_explicit(&peers->attentive, true, memory_order_relaxed))
        (void)!write(peers->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static enum peer_answer put_locked(struct peer *peer, const void *frame, size_t size, bool more,
                                   uint64_t now)
{
    bool put = outbox_put(&peer->queue, frame, size, now);
    if (peer_state(peer) != PEER_CONNECTED || peer->asked)
        return put ? PEER_QUEUED : PEER_FULL;
    if (more && put && peer->queue.count < LOT)
        keep_locked(peer);
    else
        flush_locked(peer);
    return put ? PEER_QUEUED : PEER_FULL;
}

enum peer_answer peer_send(struct peer *peer, const void *frame, size_t size, bool more,
                           uint64_t now)
{
    enum peer_answer answer = PEER_SENT;

    lock_acquire(&peer->lock);
    bool connected = peer_state(peer) == PEER_CONNECTED;
    if (UNLIKELY(peer->push == NULL))
        answer = PEER_GONE;
    else if (more || !connected || outbox_first(&peer->queue) != NULL ||
             !hand_over_locked(peer, frame, size, now))
        answer = put_locked(peer, frame, size, more, now);
    peer->full += answer == PEER_FULL;
    lock_release(&peer->lock);
    return answer;
}

enum peer_answer peer_send_now(struct peer *peer, const void *frame, size_t size)
{
    enum peer_answer answer = PEER_FULL;

    lock_acquire(&peer->lock);
    if (UNLIKELY(peer->push == NULL)) {
        answer = PEER_GONE;
    } else if (peer_state(peer) == PEER_CONNECTED && !peer->asked) {
        if (outbox_first(&peer->queue) != NULL)
            flush_locked(peer);
        uint64_t now = clock_now_coarse(peer->peers->options.clock);
        if (outbox_first(&peer->queue) == NULL && hand_over_locked(peer, frame, size, now))
            answer = PEER_SENT;
        else
            ask_for_room_locked(peer);
    }
    lock_release(&peer->lock);
    return answer;
}

void peer_flush(struct peer *peer)
{
    if (!atomic_load_explicit(&peer->kept, memory_order_relaxed))
        return;
    lock_acquire(&peer->lock);
    if (peer->push != NULL && peer_state(peer) == PEER_CONNECTED && !peer->asked)
        flush_locked(peer);
    lock_release(&peer->lock);
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
    if (state != PEER_CONNECTED)
        tell_waiters_locked(peer);
}

/* How many messages wait for a peer that has not come, if it is time to say so:
 * once for each absence. */
static size_t absent_too_long_locked(struct peer *peer)
{
    const struct outbox_frame *first = outbox_first(&peer->queue);
    uint64_t                   now = clock_now_coarse(peer->peers->options.clock);
    if (peer->absence_told || first == NULL || now < first->born_ns + ABSENT_S * NS_PER_SEC)
        return 0;
    peer->absence_told = true;
    return peer->queue.count;
}

static void lost_locked(struct peer *peer)
{
    uint64_t unconfirmed =
        flight_end(&peer->flight, clock_now_coarse(peer->peers->options.clock));
    peer->unconfirmed += unconfirmed;
    atomic_fetch_add_explicit(&peer->peers->unconfirmed, unconfirmed, memory_order_relaxed);
    set_state_locked(peer, PEER_LOST);
}

/* `value` is what libzmq tells with the event: of a connection its descriptor. */
static void connection_event(struct peer *peer, unsigned event, int value)
{
    size_t queued = 0;
    bool   news = true;

    lock_acquire(&peer->lock);
    enum peer_state before = peer_state(peer);
    if (peer->push == NULL) {
        news = false;
    } else if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        peer->refused = false;
        peer->absence_told = false;
        flight_begin(&peer->flight, value, peer->numeric);
        /* Release: who sees the number sees that it is another connection. */
        atomic_fetch_add_explicit(&peer->connections, 1, memory_order_release);
        set_state_locked(peer, PEER_CONNECTED);
        queued = peer->queue.count;
        flush_locked(peer);
    } else if (event == ZMQ_EVENT_DISCONNECTED && before == PEER_CONNECTED) {
        lost_locked(peer);
    } else {
        peer->refused = true;
        tell_locked(peer);
        news = false;
        queued = absent_too_long_locked(peer);
    }
    lock_release(&peer->lock);

    if (!news && queued > 0)
        log_warn("gateway: no connection to %s yet; %zu message%s wait%s for it, the first for "
                 "more than %d s", peer->endpoint, queued, queued == 1 ? "" : "s",
                 queued == 1 ? "s" : "", ABSENT_S);
    if (!news)
        return;
    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
        log_debug("gateway: %s: connected, %zu frames had waited", peer->endpoint, queued);
    else
        log_debug("gateway: %s: connection lost", peer->endpoint);
}

void peer_monitor_told(struct peer *peer)
{
    unsigned event;
    int      value;
    while (watch_read_event(peer->monitor, &event, &value))
        connection_event(peer, event, value);
}

void peer_reconnect(struct peer *peer, unsigned connection, uint64_t now_ns)
{
    lock_acquire(&peer->lock);
    if (peer->push != NULL && peer_state(peer) == PEER_CONNECTED &&
        peer_connection(peer) == connection && now_ns - peer->renewed_ns > PEER_RENEW_NS) {
        peer->renewed_ns = now_ns;
        lost_locked(peer);
        zmq_disconnect(peer->push, peer->numeric);
        zmq_connect(peer->push, peer->numeric);
    }
    lock_release(&peer->lock);
}

bool peer_has_hope(struct peer *peer)
{
    lock_acquire(&peer->lock);
    bool hope = peer->push != NULL && peer_state(peer) != PEER_LOST && !peer->refused;
    lock_release(&peer->lock);
    return hope;
}

/* A connection that is lost by now has taken all there was, or something would wait. */
static bool has_handed_over_locked(struct peer *peer)
{
    return peer_state(peer) != PEER_CONNECTING && outbox_first(&peer->queue) == NULL;
}

bool peer_wait(struct peer *peer, uint64_t deadline_ns)
{
    bool in_time = true;

    peer_flush(peer);
    lock_acquire(&peer->lock);
    peer->waiting++;
    while (in_time && peer->push != NULL && !has_handed_over_locked(peer))
        in_time = signal_wait_until(&peer->changed, &peer->lock, deadline_ns);
    peer->waiting--;
    bool done = has_handed_over_locked(peer);
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

    peer_flush(peer);
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
    flight_fini(&peer->flight); /* or the connection would stay */
    peer_close_sockets(peer, peer_state(peer) == PEER_CONNECTED ? linger_ms : 0);
    struct outbox waited = take_queue_locked(peer);
    tell_locked(peer);
    tell_waiters_locked(peer);
    lock_release(&peer->lock);
    return waited;
}
