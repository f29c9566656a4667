/*
 * gateway.c -- the thread that polls; opening and closing the way to others.
 *
 * Polling is epoll on the descriptors of the ZeroMQ sockets (net/watch.h), so
 * its cost does not grow with the number of peers.
 */
#include "net/gateway.h"

#include "base/log.h"
#include "base/memory.h"
#include "net/gateway_room.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zmq.h>

#define EVENTS_AT_ONCE 64
#define SOCKETS_MAX    4096
#define LINGER_NS      NS_PER_SEC /* at most, when the gateway stops */

#define READ_LAST_NS (100 * NS_PER_MS) /* who goes on sending is not read for ever */

#define KEPT_MS 5  /* how long a handler that is held up may keep frames back */
#define LOOKS   20 /* so often we look in vain before we stop looking */

/* Descriptors a peer needs: three sockets of libzmq (PUSH, and a pair for its
 * monitor) and the connection, twice; and those that the rest of the host needs. */
#define DESCRIPTORS_PER_PEER 5
#define DESCRIPTORS_SPARE    128

static void wake_up(struct gateway *gateway)
{
    (void)!write(gateway->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
}

/* ---- the thread ---- */

static void told(struct gateway *gateway, struct watch *watch)
{
    switch (watch->kind) {
    case WATCH_WAKE:
        (void)!read(gateway->wake, &(uint64_t){ 0 }, sizeof(uint64_t));
        break;
    case WATCH_INLET:
        inbound_told(gateway, watch->owner);
        break;
    case WATCH_DOOR:
        admission_told(watch->owner);
        break;
    case WATCH_INFLOW:
        inflow_told(watch->owner);
        break;
    case WATCH_TICK:
        inbound_ticked(gateway);
        break;
    case WATCH_MONITOR:
        peer_monitor_told(watch->owner);
        streams_stir(&gateway->streams);
        gateway->stirred = true;
        break;
    case WATCH_ROOM:
        peer_room_told(watch->owner);
        streams_stir(&gateway->streams);
        gateway->stirred = true;
        break;
    case WATCH_FLAT_CLIENT:
        flat_client_told(watch->owner);
        break;
    case WATCH_FLAT_SERVER:
        flat_server_told(watch->owner);
        break;
    }
}

/* Frames that were kept back to leave together, by a handler that is held up
 * before it comes to an end: looked for every few milliseconds, until there were
 * none for a while. How long to wait for events, in milliseconds; -1: for ever. */
static int look_for_kept(struct gateway *gateway)
{
    struct peers *peers = &gateway->peers;
    if (LIKELY(!atomic_load_explicit(&peers->attentive, memory_order_relaxed)))
        return -1;
    uint64_t now = clock_now(&gateway->system->clock);
    if (now < gateway->look_ns)
        return KEPT_MS;
    gateway->look_ns = now + KEPT_MS * NS_PER_MS;
    gateway->looks = peers_flush_kept(peers) ? 0 : gateway->looks + 1;
    if (gateway->looks < LOOKS)
        return KEPT_MS;
    gateway->looks = 0;
    atomic_store_explicit(&peers->attentive, false, memory_order_relaxed);
    full_fence(); /* who keeps one from now on sees it, or we see what he kept */
    peers_flush_kept(peers);
    return -1;
}

/* Whether those who speak flat JSON have more to do; else *patience_ms (-1: for
 * ever) is cut to when they have. */
static bool serve_flat(struct gateway *gateway, int *patience_ms)
{
    bool busy = flat_server_serve(&gateway->flat_server);
    busy |= flat_clients_serve(&gateway->flat_clients);

    uint64_t due_ns = gateway->flat_server.due_ns;
    if (gateway->flat_clients.due_ns < due_ns)
        due_ns = gateway->flat_clients.due_ns;
    if (due_ns != UINT64_MAX) {
        uint64_t now_ns = clock_now(&gateway->system->clock);
        int      due_ms = due_ns > now_ns ? (int)((due_ns - now_ns) / NS_PER_MS) + 1 : 0;
        if (*patience_ms < 0 || due_ms < *patience_ms)
            *patience_ms = due_ms;
    }
    return busy;
}

/* Of two times to wait, in milliseconds; -1: for ever. */
static int sooner(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void *gateway_main(void *argument)
{
    struct gateway    *gateway = argument;
    struct epoll_event events[EVENTS_AT_ONCE];

    urgency_enter(gateway->system);
    while (!atomic_load_explicit(&gateway->ending, memory_order_relaxed)) {
        bool busy = inbound_serve_busy(gateway);
        int  patience_ms = sooner(look_for_kept(gateway), streams_timeout_ms(&gateway->streams));
        patience_ms = sooner(patience_ms, vigils_timeout_ms(&gateway->vigils));
        busy |= serve_flat(gateway, &patience_ms);
        int  ready = epoll_wait(gateway->epoll, events, EVENTS_AT_ONCE, busy ? 0 : patience_ms);
        for (int i = 0; i < ready; i++)
            told(gateway, events[i].data.ptr);
        streams_tick(&gateway->streams);
        vigils_tick(&gateway->vigils, gateway->stirred);
        gateway->stirred = false;
        peers_bury(&gateway->peers);
    }
    vigils_tick(&gateway->vigils, false); /* the last ends */
    urgency_leave(gateway->system);
    return NULL;
}

/* ---- opening and closing ---- */

/* Of the descriptors that we may have, other hosts get no more than leaves
 * some for everything else. */
static unsigned peers_we_can_afford(unsigned wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return wanted;
    rlim_t most = limit.rlim_cur > DESCRIPTORS_SPARE
                      ? (limit.rlim_cur - DESCRIPTORS_SPARE) / DESCRIPTORS_PER_PEER
                      : 0;
    if (most < 8)
        most = 8;
    return most < wanted ? (unsigned)most : wanted;
}

static int open_descriptors(struct gateway *gateway)
{
    gateway->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (gateway->epoll < 0)
        return -errno;
    gateway->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (gateway->wake < 0)
        return -errno;
    gateway->on_wake = (struct watch){ WATCH_WAKE, gateway };
    return watch_add(gateway->epoll, gateway->wake, &gateway->on_wake);
}

static void close_descriptors(struct gateway *gateway)
{
    if (gateway->wake >= 0)
        close(gateway->wake);
    if (gateway->epoll >= 0)
        close(gateway->epoll);
}

/* An errand without a frame (streams_options.look_up). */
static void look_up(void *context, const char *endpoint)
{
    struct gateway *gateway = context;
    errands_put(gateway->errands, endpoint, NULL, 0);
}

int gateway_open(struct gateway **out, struct system *system,
                 const struct gateway_options *options, char *why, size_t room)
{
    struct gateway *gateway = memory_get_zeroed(sizeof *gateway);
    if (gateway == NULL) {
        snprintf(why, room, "no memory");
        return -ENOMEM;
    }
    gateway->system = system;
    gateway->epoll = gateway->wake = -1;

    int err = open_descriptors(gateway);
    if (err != 0)
        goto close_descriptors;
    gateway->zmq = zmq_ctx_new();
    if (gateway->zmq == NULL) {
        err = -errno;
        goto close_descriptors;
    }
    zmq_ctx_set(gateway->zmq, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    zmq_ctx_set(gateway->zmq, ZMQ_BLOCKY, 0);
    wire_envelope_init(&gateway->envelope);
    zmq_msg_init(&gateway->frame);

    peers_init(&gateway->peers, gateway->zmq, gateway->epoll, gateway->wake,
               &(struct peers_options){ .clock = &system->clock,
                                        .limit = peers_we_can_afford(options->peers),
                                        .queue_messages = options->queue_messages,
                                        .queue_bytes = options->queue_bytes,
                                        .lost = outbound_lost,
                                        .room = outbound_room,
                                        .context = gateway });
    streams_init(&gateway->streams,
                 &(struct streams_options){ .system = system,
                                            .peers = &gateway->peers,
                                            .wake = gateway->wake,
                                            .queue_messages = options->queue_messages,
                                            .queue_bytes = options->queue_bytes,
                                            .lost = outbound_lost,
                                            .look_up = look_up,
                                            .context = gateway });
    vigils_init(&gateway->vigils, &(struct vigils_options){ .system = system,
                                                            .peers = &gateway->peers,
                                                            .wake = gateway->wake,
                                                            .look_up = look_up,
                                                            .context = gateway });
    flat_clients_init(&gateway->flat_clients, system, gateway->zmq, gateway->epoll, gateway->wake);
    flat_server_init(&gateway->flat_server, system, gateway->epoll, gateway->wake);
    err = gateway_open_ways(gateway, options, why, room);
    if (err != 0) {
        gateway_close(gateway);
        return err;
    }
    system->remote = outbound_port(gateway);
    *out = gateway;
    return 0;

close_descriptors:
    snprintf(why, room, "cannot open the way to other hosts: %s", strerror(-err));
    close_descriptors(gateway);
    memory_put(gateway, sizeof *gateway);
    return err;
}

int gateway_start(struct gateway *gateway)
{
    int err = thread_start(&gateway->thread, "gateway", 0, gateway_main, gateway);
    gateway->running = err == 0;
    return err;
}

/* Waits for zmq_ctx_term(), which waits for sockets that linger. */
static void end_context(struct gateway *gateway)
{
    while (zmq_ctx_term(gateway->zmq) != 0 && errno == EINTR)
        ;
    gateway->zmq = NULL;
}

void gateway_stop(struct gateway *gateway, uint64_t deadline_ns)
{
    if (gateway->zmq == NULL)
        return;
    uint64_t now = clock_now(&gateway->system->clock);
    if (deadline_ns > now + LINGER_NS)
        deadline_ns = now + LINGER_NS;

    atomic_store_explicit(&gateway->stopping, true, memory_order_relaxed);
    if (gateway->running) {
        streams_drain(&gateway->streams, deadline_ns);
        peers_drain(&gateway->peers, deadline_ns);
        flat_clients_flush(&gateway->flat_clients, NULL, deadline_ns);
        flat_server_flush(&gateway->flat_server, deadline_ns);
        atomic_store_explicit(&gateway->ending, true, memory_order_relaxed);
        wake_up(gateway);
        thread_join(&gateway->thread);
        gateway->running = false;
        now = clock_now(&gateway->system->clock);
        inbound_read_last(gateway, now + READ_LAST_NS);
    }
    vigils_close(&gateway->vigils);
    streams_close(&gateway->streams, "not acknowledged in time: it may have been handled");
    now = clock_now(&gateway->system->clock);
    if (gateway->errands != NULL)
        errands_close(gateway->errands);
    int linger_ms = deadline_ns > now ? (int)((deadline_ns - now) / NS_PER_MS) : 0;
    peers_close(&gateway->peers, linger_ms);
    flat_clients_close(&gateway->flat_clients, linger_ms);
    flat_server_close(&gateway->flat_server, linger_ms);
    inlets_close(&gateway->inlets);
    end_context(gateway);
}

void gateway_close(struct gateway *gateway)
{
    if (gateway == NULL)
        return;
    gateway_stop(gateway, 0);
    if (gateway->system->remote.context == gateway)
        gateway->system->remote = (struct remote_port){ 0 };
    vigils_fini(&gateway->vigils);
    streams_fini(&gateway->streams);
    errands_free(gateway->errands);
    peers_fini(&gateway->peers);
    flat_clients_fini(&gateway->flat_clients);
    flat_server_fini(&gateway->flat_server);
    inlets_fini(&gateway->inlets);
    keyring_close(gateway->keys);
    policy_fini(&gateway->allow);
    policy_fini(&gateway->reply_to);
    zmq_msg_close(&gateway->frame);
    wire_envelope_fini(&gateway->envelope);
    address_unref(gateway->last_origin);
    close_descriptors(gateway);
    memory_put(gateway, sizeof *gateway);
}

/* ---- for those who ask ---- */

const char *gateway_endpoint(const struct gateway *gateway)
{
    return gateway->endpoint;
}

const char *gateway_bound(const struct gateway *gateway, unsigned index)
{
    return index < gateway->bound ? gateway->inlets.list[index]->endpoint : NULL;
}

const char *gateway_flat_endpoint(const struct gateway *gateway)
{
    return gateway->flat_server.endpoint;
}

int gateway_reload(struct gateway *gateway, struct keyring_news *news, char *why, size_t room)
{
    if (gateway->keys == NULL) {
        snprintf(why, room, "this host has no keys");
        return -ENOTSUP;
    }
    int err = keyring_reload(gateway->keys, news, why, room);
    if (err == 0)
        peers_drop_misfits(&gateway->peers);
    return err;
}

enum peer_state gateway_peer_state(struct gateway *gateway, const char *endpoint)
{
    const char *flat = address_flat_endpoint(endpoint);
    if (flat != NULL)
        return flat_clients_state(&gateway->flat_clients, flat);
    struct peer *peer = peers_find(&gateway->peers, endpoint);
    if (peer == NULL)
        return PEER_NONE;
    enum peer_state state = peer_state(peer);
    peer_unref(peer);
    return state;
}

bool gateway_flush(struct gateway *gateway, const char *endpoint, uint64_t deadline_ns)
{
    const char *flat = address_flat_endpoint(endpoint);
    if (flat != NULL)
        return flat_clients_flush(&gateway->flat_clients, flat, deadline_ns);
    struct peer *peer = peers_find(&gateway->peers, endpoint);
    if (peer == NULL)
        return false;
    bool done = peer_wait(peer, deadline_ns);
    peer_unref(peer);
    return done;
}

bool gateway_connect(struct gateway *gateway, const char *endpoint, uint64_t deadline_ns,
                     char *why, size_t room)
{
    struct peer *peer = peers_get(&gateway->peers, endpoint, why, room);
    if (peer == NULL)
        return false;
    bool done = peer_wait(peer, deadline_ns);
    if (!done)
        snprintf(why, room, "nobody answers at %s: no connection in time", endpoint);
    peer_unref(peer);
    return done;
}

size_t gateway_waiting(struct gateway *gateway, const char *endpoint)
{
    struct peer *peer = peers_find(&gateway->peers, endpoint);
    if (peer == NULL)
        return 0;
    lock_acquire(&peer->lock);
    size_t waiting = peer->queue.count;
    lock_release(&peer->lock);
    peer_unref(peer);
    return waiting;
}

struct gateway_counts gateway_counts(struct gateway *gateway)
{
#define READ(counter) atomic_load_explicit(&gateway->counter, memory_order_relaxed)
    return (struct gateway_counts){
        .frames_in = READ(frames_in),
        .frames_out = READ(frames_out),
        .full = READ(full),
        .lost = READ(lost),
        .senders_refused = READ(senders_refused),
        .rejects_held = READ(rejects_held),
        .unconfirmed = READ(peers.unconfirmed),
        .flat_asked = READ(flat_clients.asked),
        .flat_lost = READ(flat_clients.lost),
        .flat_served = READ(flat_server.served),
        .keys_refused = READ(keys_refused),
        .connections = READ(inlets.connections.accepted),
        .connections_greeted = READ(inlets.connections.greeted),
        .connections_refused = READ(inlets.admission.refused),
        .connections_cut = READ(inlets.connections.cut),
        .frames_resent = READ(streams.resent),
        .frames_duplicate = READ(streams.duplicates),
        .frames_out_of_order = READ(streams.out_of_order),
        .acks_in = READ(streams.acks_in),
        .acks_out = READ(streams.acks_out),
        .streams_waiting = streams_waiting(&gateway->streams),
    };
#undef READ
}
