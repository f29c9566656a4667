/*
 * peers.c -- the table of peers: who is in it, who must go, and their end.
 *
 * Lifetimes. The table holds one reference and the gateway's thread another,
 * for the events it may be told of. Giving a peer up takes it out of the table
 * at once; its sockets are closed by the gateway's thread, in peers_bury(),
 * when no event for them can be left in its hands.
 */
#include "net/peers.h"

#include "base/log.h"
#include "net/peers_room.h"
#include "net/resolve.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

/* How long libzmq may go on sending what it has for a peer that is given up. */
#define LINGER_MS 1000

void peers_init(struct peers *peers, void *zmq, int epoll, int wake,
                const struct peers_options *options)
{
    *peers = (struct peers){ .zmq = zmq, .epoll = epoll, .wake = wake, .options = *options };
    lock_init(&peers->lock);
    map_init(&peers->table);
}

void peers_fini(struct peers *peers)
{
    map_fini(&peers->table);
    lock_fini(&peers->lock);
}

static struct peer *find_locked(struct peers *peers, const char *endpoint)
{
    struct peer *peer = map_find(&peers->table, endpoint, strlen(endpoint));
    if (peer == NULL)
        return NULL;
    peer->used = ++peers->ticks;
    peer_ref(peer);
    return peer;
}

struct peer *peers_find(struct peers *peers, const char *endpoint)
{
    lock_acquire(&peers->lock);
    struct peer *peer = find_locked(peers, endpoint);
    lock_release(&peers->lock);
    return peer;
}

bool peers_expect(struct peers *peers, const char *host)
{
    char   start[ADDRESS_ENDPOINT_LIMIT + 8];
    size_t size = (size_t)snprintf(start, sizeof start, "tcp://%.*s:", ADDRESS_ENDPOINT_LIMIT - 1,
                                   host);
    bool                    expected = false;
    const struct map_entry *entry;
    size_t                  position = 0;

    lock_acquire(&peers->lock);
    while (!expected && (entry = map_next(&peers->table, &position)) != NULL) {
        struct peer *peer = entry->value;
        expected = strncmp(peer->numeric, start, size) == 0 &&
                   atomic_load_explicit(&peer->reply_endpoint, memory_order_relaxed) != NULL;
    }
    lock_release(&peers->lock);
    return expected;
}

/* FNV-1a: a stranger gains nothing by a collision. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    return hash;
}

static bool has_met_locked(const struct peers *peers, const char *endpoint)
{
    uint64_t hash = hash_of(endpoint);
    for (unsigned i = 0; i < PEERS_MET_MAX; i++)
        if (peers->met[i] == hash)
            return true;
    return false;
}

void peers_meet(struct peers *peers, const char *endpoint)
{
    lock_acquire(&peers->lock);
    if (map_find(&peers->table, endpoint, strlen(endpoint)) == NULL)
        peers->met[peers->met_next++ % PEERS_MET_MAX] = hash_of(endpoint);
    lock_release(&peers->lock);
}

/* Who may go when there is no room, the first first. */
enum dispensable {
    STRANGER_REFUSED, /* and nobody is there */
    STRANGER,         /* never connected yet */
    IDLE,             /* its queue is empty */
    UNCONNECTED,
    INDISPENSABLE,
};

static enum dispensable dispensable(struct peer *peer)
{
    lock_acquire(&peer->lock);
    enum peer_state  state = peer_state(peer);
    bool             held = atomic_load_explicit(&peer->holding, memory_order_relaxed) > 0;
    enum dispensable how = peer->stranger && state == PEER_CONNECTING
                               ? (peer->refused ? STRANGER_REFUSED : STRANGER)
                           : outbox_first(&peer->queue) == NULL && !held ? IDLE
                           : state != PEER_CONNECTED            ? UNCONNECTED
                                                                : INDISPENSABLE;
    lock_release(&peer->lock);
    return how;
}

/* Who is to go, the one unused longest of its kind, or NULL. */
static struct peer *find_dispensable_locked(struct peers *peers)
{
    struct peer            *found = NULL;
    enum dispensable        least = INDISPENSABLE;
    const struct map_entry *entry;
    size_t                  position = 0;

    while ((entry = map_next(&peers->table, &position)) != NULL) {
        struct peer     *peer = entry->value;
        enum dispensable how = dispensable(peer);
        if (how < least || (how == least && found != NULL && peer->used < found->used)) {
            least = how;
            found = peer;
        }
    }
    return found;
}

static void lose(struct peers *peers, const char *endpoint, struct outbox *queue, const char *why)
{
    static struct log_limit    limit = LOG_LIMIT(5);
    const struct outbox_frame *first;
    if (queue->count > 0 && log_allowed(&limit))
        log_warn("gateway: %zu message%s for %s will not be sent: %s", queue->count,
                 queue->count == 1 ? "" : "s", endpoint, why);
    while ((first = outbox_first(queue)) != NULL) {
        peers->options.lost(peers->options.context, endpoint, first->bytes, first->size, why);
        outbox_drop_first(queue);
    }
}

static void bury_later_locked(struct peers *peers, struct peer *peer)
{
    peer->dying_next = peers->dying;
    peers->dying = peer;
}

/* Makes room for one more. *evicted gets what waited for whoever had to go, if
 * anybody, with a reference for the caller. False: nobody can go. */
static bool make_room_locked(struct peers *peers, struct peer **evicted, struct outbox *waited)
{
    *evicted = NULL;
    if (peers->table.count < peers->options.limit)
        return true;
    struct peer *oldest = find_dispensable_locked(peers);
    if (oldest == NULL)
        return false;

    map_remove(&peers->table, oldest->endpoint, strlen(oldest->endpoint));
    *waited = peer_give_up_locked(oldest, LINGER_MS);
    bury_later_locked(peers, oldest);
    *evicted = oldest; /* with the table's reference */
    return true;
}

/* Whether it may be done once more. */
static bool may_locked(const struct peers *peers, struct peers_rate *rate, unsigned limit)
{
    uint64_t second = clock_now_coarse(peers->options.clock) / NS_PER_SEC;
    if (rate->second != second)
        *rate = (struct peers_rate){ .second = second };
    return rate->count++ < limit;
}

static struct peer *add_locked(struct peers *peers, const char *endpoint, const char *numeric,
                               struct peer **evicted, struct outbox *waited, char *why,
                               size_t room)
{
    bool stranger = has_met_locked(peers, endpoint);
    if (peers->closed) {
        snprintf(why, room, "this host is stopping");
        return NULL;
    }
    if (stranger && peers->table.count >= peers->options.limit &&
        !may_locked(peers, &peers->displacing, PEERS_STRANGERS_A_SECOND)) {
        snprintf(why, room, "too many others want to be answered: no room for %s now", endpoint);
        return NULL;
    }
    if (!make_room_locked(peers, evicted, waited)) {
        snprintf(why, room, "%u other hosts are connected and busy: no room for %s",
                 peers->options.limit, endpoint);
        return NULL;
    }
    struct peer *peer = peer_new_locked(peers, endpoint, numeric, why, room);
    if (peer == NULL)
        return NULL;
    if (map_set(&peers->table, endpoint, strlen(endpoint), peer) != 0) {
        snprintf(why, room, "no memory for a connection to %s", endpoint);
        struct outbox none = peer_give_up_locked(peer, 0); /* nobody else knew it yet */
        outbox_fini(&none);
        bury_later_locked(peers, peer);
        peer_unref(peer);
        return NULL;
    }
    peer->stranger = stranger;
    peer->used = ++peers->ticks;
    peer_ref(peer);
    return peer;
}

struct peer *peers_get(struct peers *peers, const char *endpoint, char *why, size_t room)
{
    struct peer *peer = peers_find(peers, endpoint);
    if (LIKELY(peer != NULL))
        return peer;

    char numeric[ADDRESS_ENDPOINT_LIMIT];
    if (resolve_endpoint(endpoint, numeric, why, room) != 0)
        return NULL;
    return peers_get_resolved(peers, endpoint, numeric, why, room);
}

struct peer *peers_get_resolved(struct peers *peers, const char *endpoint, const char *numeric,
                                char *why, size_t room)
{
    struct peer  *evicted = NULL;
    struct outbox waited;
    lock_acquire(&peers->lock);
    struct peer *peer = find_locked(peers, endpoint); /* another thread may have been quicker */
    if (peer == NULL)
        peer = add_locked(peers, endpoint, numeric, &evicted, &waited, why, room);
    bool dying = peers->dying != NULL;
    lock_release(&peers->lock);

    if (dying)
        (void)!write(peers->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
    if (evicted != NULL) {
        lose(peers, evicted->endpoint, &waited, "given up: too many other hosts");
        peer_unref(evicted);
    }
    return peer;
}

struct peer *peers_get_answered(struct peers *peers, const char *endpoint, const char *numeric,
                                char *why, size_t room)
{
    lock_acquire(&peers->lock);
    struct peer *peer = find_locked(peers, endpoint);
    bool may = peer != NULL || may_locked(peers, &peers->answering, PEERS_ANSWERED_A_SECOND);
    lock_release(&peers->lock);
    if (peer == NULL && may)
        peer = peers_get_resolved(peers, endpoint, numeric, why, room);
    else if (!may)
        snprintf(why, room, "too many others want to be answered: %s is not, now", endpoint);
    return peer;
}

/* A peer whose key is another by now, out of the table and with its reference. */
static struct peer *take_misfit_locked(struct peers *peers, struct outbox *waited)
{
    const struct map_entry *entry;
    size_t                  position = 0;
    while ((entry = map_next(&peers->table, &position)) != NULL) {
        struct peer *peer = entry->value;
        lock_acquire(&peer->lock);
        bool fits = peer->push == NULL || keyring_still_fits(peers->options.keys, peer->push,
                                                             peer->endpoint, peer->numeric);
        lock_release(&peer->lock);
        if (fits)
            continue;
        map_remove(&peers->table, peer->endpoint, strlen(peer->endpoint));
        *waited = peer_give_up_locked(peer, 0);
        bury_later_locked(peers, peer);
        return peer;
    }
    return NULL;
}

void peers_drop_misfits(struct peers *peers)
{
    for (;;) {
        struct outbox waited;
        lock_acquire(&peers->lock);
        struct peer *misfit = take_misfit_locked(peers, &waited);
        lock_release(&peers->lock);
        if (misfit == NULL)
            break;
        lose(peers, misfit->endpoint, &waited, "given up: its key is listed no more");
        peer_unref(misfit);
    }
    (void)!write(peers->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
}

void peers_bury(struct peers *peers)
{
    lock_acquire(&peers->lock);
    struct peer *dying = peers->dying;
    peers->dying = NULL;
    lock_release(&peers->lock);

    while (dying != NULL) {
        struct peer *peer = dying;
        dying = peer->dying_next;
        zmq_close(peer->monitor);
        peer_unref(peer);
    }
}

/* The oldest peer of the table made after *after, which moves on; with a reference. */
static struct peer *next_peer(struct peers *peers, uint64_t *after)
{
    struct peer            *next = NULL;
    const struct map_entry *entry;
    size_t                  position = 0;

    lock_acquire(&peers->lock);
    while ((entry = map_next(&peers->table, &position)) != NULL) {
        struct peer *peer = entry->value;
        if (peer->number > *after && (next == NULL || peer->number < next->number))
            next = peer;
    }
    if (next != NULL) {
        *after = next->number;
        peer_ref(next);
    }
    lock_release(&peers->lock);
    return next;
}

bool peers_flush_kept(struct peers *peers)
{
    const struct map_entry *entry;
    size_t                  position = 0;
    bool                    any = false;

    lock_acquire(&peers->lock);
    while ((entry = map_next(&peers->table, &position)) != NULL) {
        struct peer *peer = entry->value;
        any |= atomic_load_explicit(&peer->kept, memory_order_relaxed);
        peer_flush(peer);
    }
    lock_release(&peers->lock);
    return any;
}

void peers_each(struct peers *peers, void (*visit)(void *context, const struct peer_report *report),
                void *context)
{
    const struct map_entry *entry;
    size_t                  position = 0;
    uint64_t                now = clock_now_coarse(peers->options.clock);

    lock_acquire(&peers->lock);
    while ((entry = map_next(&peers->table, &position)) != NULL) {
        struct peer *peer = entry->value;
        lock_acquire(&peer->lock);
        const struct outbox_frame *first = outbox_first(&peer->queue);
        struct peer_report report = {
            .endpoint = peer->endpoint,
            .state = peer_state(peer),
            .queued = peer->queue.count,
            .queued_bytes = peer->queue.bytes,
            .oldest_ns = first != NULL && now > first->born_ns ? now - first->born_ns : 0,
            .sent = peer->sent,
            .full = peer->full,
            .unconfirmed = peer->unconfirmed,
        };
        lock_release(&peer->lock);
        visit(context, &report);
    }
    lock_release(&peers->lock);
}

void peers_drain(struct peers *peers, uint64_t deadline_ns)
{
    struct peer *peer;
    uint64_t     after = 0;
    while ((peer = next_peer(peers, &after)) != NULL) {
        peer_drain(peer, deadline_ns);
        peer_unref(peer);
    }
}

void peers_close(struct peers *peers, int linger_ms)
{
    struct peer *peer;
    uint64_t     first = 0;

    lock_acquire(&peers->lock);
    peers->closed = true;
    lock_release(&peers->lock);
    peers_bury(peers);
    for (; (peer = next_peer(peers, &first)) != NULL; first = 0) {
        lock_acquire(&peers->lock);
        map_remove(&peers->table, peer->endpoint, strlen(peer->endpoint));
        struct outbox waited = peer_give_up_locked(peer, linger_ms);
        lock_release(&peers->lock);

        lose(peers, peer->endpoint, &waited,
             peer_state(peer) == PEER_CONNECTING ? "never connected" : "not sent in time");
        zmq_close(peer->monitor);
        peer_unref(peer); /* the table's */
        peer_unref(peer); /* the gateway's thread's */
        peer_unref(peer); /* ours */
    }
}
