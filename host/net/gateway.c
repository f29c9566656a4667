/*
 * gateway.c -- the thread that polls, and the port through which actors send.
 *
 * Polling is epoll on the descriptors of the ZeroMQ sockets (net/watch.h), so
 * its cost does not grow with the number of peers. An inlet that had more than
 * one batch is marked busy and looked at again after the others.
 */
#include "net/gateway.h"

#include "base/log.h"
#include "base/memory.h"
#include "message/wire.h"
#include "net/inlets.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zmq.h>

#define BATCH            64 /* frames from one inlet before the others' turn */
#define EVENTS_AT_ONCE   64
#define SOCKETS_MAX      4096
#define LINGER_NS        NS_PER_SEC /* at most, when the gateway stops */
#define KEPT_BYTES       (64u * 1024)
#define NODE_PREFIX      "node:"

/* Descriptors a peer needs: three sockets of libzmq (PUSH, and a pair for its
 * monitor) and the connection; and those that the rest of the host needs. */
#define DESCRIPTORS_PER_PEER 4
#define DESCRIPTORS_SPARE    128

struct gateway {
    struct system *system;
    void          *zmq;
    int            epoll, wake;
    struct watch   on_wake;
    struct inlets  inlets;
    struct peers   peers;
    char           endpoint[ADDRESS_ENDPOINT_LIMIT]; /* fixed by gateway_open() */
    bool           advertised;                       /* `endpoint` is not one of our inlets' */
    bool           running;                          /* the thread; the starter's */
    struct thread  thread;

    /* Only hints, so relaxed: who does not see them yet is only late. */
    _Atomic bool stopping; /* nothing more is carried */
    _Atomic bool ending;   /* the thread is to end */

    /* The gateway's thread: */
    struct wire_envelope envelope;
    zmq_msg_t            frame;
    char known[ADDRESS_ENDPOINT_LIMIT + 32];     /* the last acceptable sender_endpoint as it came, */
    char known_normalised[ADDRESS_ENDPOINT_LIMIT]; /* and in its one spelling */

    _Atomic uint64_t frames_in, frames_out, full, lost, senders_refused, rejects_held;
};

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void wake_up(struct gateway *gateway)
{
    (void)!write(gateway->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
}

/* ---- a frame is written in a buffer of the thread that sends it ---- */

static _Thread_local struct bytes scratch_of_thread;
static pthread_once_t             scratch_once = PTHREAD_ONCE_INIT;
static pthread_key_t              scratch_end;

static void free_scratch(void *scratch)
{
    bytes_fini(scratch);
}

static void make_scratch_key(void)
{
    if (pthread_key_create(&scratch_end, free_scratch) != 0)
        abort();
}

/* Empty; valid until the next call on this thread. */
static struct bytes *scratch_take(void)
{
    struct bytes *scratch = &scratch_of_thread;
    if (UNLIKELY(scratch->capacity == 0)) {
        pthread_once(&scratch_once, make_scratch_key);
        (void)pthread_setspecific(scratch_end, scratch);
        bytes_init(scratch, WIRE_FRAME_LIMIT);
    }
    bytes_clear(scratch, KEPT_BYTES);
    return scratch;
}

/* ---- outward ---- */

/* What writing one frame needs to know of where it goes. */
struct passage {
    struct gateway *gateway;
    struct peer    *peer;
};

/* Where answers from this peer are to be sent. NULL and a sentence in `why`. */
static const char *reply_endpoint(const struct passage *passage, char *why, size_t room)
{
    struct gateway *gateway = passage->gateway;
    struct peer    *peer = passage->peer;

    /* Pairs with the release below: who sees the pointer sees the text. */
    const char *known = atomic_load_explicit(&peer->reply_endpoint, memory_order_acquire);
    if (LIKELY(known != NULL))
        return known;

    /* A loopback address means nothing on another machine, unless our user
     * says that it does. */
    bool serves = gateway->endpoint[0] != '\0' &&
                  (gateway->advertised || address_endpoint_is_loopback(peer->numeric) ||
                   !address_endpoint_is_loopback(gateway->endpoint));
    const char *found = serves ? gateway->endpoint
                               : inlets_towards(&gateway->inlets, peer->numeric, why, room);
    if (found != NULL)
        atomic_store_explicit(&peer->reply_endpoint, found, memory_order_release);
    return found;
}

/* A reference in a payload becomes "name@endpoint". */
static size_t actor_text(void *context, uint64_t actor, char *text, size_t room)
{
    const struct passage *passage = context;
    struct registry      *registry = &passage->gateway->system->registry;
    char                  name[ADDRESS_NAME_LIMIT + 1], why[160];

    const char *endpoint = reply_endpoint(passage, why, sizeof why);
    if (endpoint == NULL)
        return 0;
    int size = snprintf(text, room, "%s@%s", registry_name(registry, actor, name, sizeof name),
                        endpoint);
    return size > 0 && (size_t)size < room ? (size_t)size : 0;
}

static enum router_answer write_frame(struct passage *passage, const struct address *to,
                                      const char *from_name, const struct message *message,
                                      struct bytes *frame, char *why, size_t room)
{
    const char *from_endpoint = NULL;
    if (from_name != NULL) {
        from_endpoint = reply_endpoint(passage, why, room);
        if (from_endpoint == NULL)
            return ROUTER_UNREACHABLE;
    }
    struct json_error error;
    switch (wire_write(from_name, from_endpoint, address_name(to), type_name(message->type),
                       message->payload, message->size, actor_text, passage, frame, &error)) {
    case 0:
        return ROUTER_OK;
    case -ENOMEM:
        snprintf(why, room, "%s is larger than a frame may be (%d bytes)",
                 type_name(message->type), WIRE_FRAME_LIMIT);
        return ROUTER_REFUSED;
    default:
        snprintf(why, room, "%s", error.reason);
        return ROUTER_REFUSED;
    }
}

static enum router_answer say_full(struct gateway *gateway, struct peer *peer, char *why,
                                   size_t room)
{
    count(&gateway->full);
    snprintf(why, room, "too much already waits for %s, which %s", peer->endpoint,
             peer_state(peer) == PEER_CONNECTED ? "takes it slowly" : "cannot be reached");
    return ROUTER_FULL;
}

static enum router_answer carry_to(struct passage *passage, const struct address *to,
                                   const char *from_name, const struct message *message,
                                   enum peer_answer *answer, char *why, size_t room)
{
    struct gateway *gateway = passage->gateway;
    struct bytes   *frame = scratch_take();

    enum router_answer written =
        write_frame(passage, to, from_name, message, frame, why, room);
    if (written != ROUTER_OK)
        return written;
    *answer = peer_send(passage->peer, frame->data, frame->size,
                        clock_now_coarse(&gateway->system->clock));
    if (*answer == PEER_FULL)
        return say_full(gateway, passage->peer, why, room);
    return ROUTER_OK;
}

static bool is_our_own(struct gateway *gateway, const char *endpoint)
{
    return strcmp(gateway->endpoint, endpoint) == 0 || inlets_have(&gateway->inlets, endpoint);
}

/* A reference that spells out our own endpoint is one to an actor here. */
static enum router_answer carry_home(struct gateway *gateway, const struct address *to,
                                     struct message **message, char *why, size_t room)
{
    struct address *here = address_new(address_name(to), to->name_size, "", 0);
    if (here == NULL) {
        snprintf(why, room, "no memory");
        return ROUTER_UNREACHABLE;
    }
    enum router_answer answer =
        router_send_address(gateway->system, here, message, 0, why, room);
    address_unref(here);
    return answer;
}

static enum router_answer carry(void *context, const struct address *to, const char *from_name,
                                struct message **message, char *why, size_t room)
{
    struct gateway *gateway = context;
    const char     *endpoint = address_endpoint(to);

    if (UNLIKELY(is_our_own(gateway, endpoint)))
        return carry_home(gateway, to, message, why, room);
    if (UNLIKELY(atomic_load_explicit(&gateway->stopping, memory_order_relaxed))) {
        snprintf(why, room, "this host is stopping");
        return ROUTER_UNREACHABLE;
    }
    if (UNLIKELY(strncmp(endpoint, NODE_PREFIX, strlen(NODE_PREFIX)) == 0)) {
        snprintf(why, room, "no node '%s' is known here", endpoint + strlen(NODE_PREFIX));
        return ROUTER_UNREACHABLE;
    }

    enum router_answer answer;
    enum peer_answer   sent;
    do {
        struct peer *peer = peers_get(&gateway->peers, endpoint, why, room);
        if (peer == NULL)
            return ROUTER_UNREACHABLE;
        sent = PEER_SENT;
        answer = carry_to(&(struct passage){ gateway, peer }, to, from_name, *message, &sent,
                          why, room);
        peer_unref(peer);
    } while (UNLIKELY(sent == PEER_GONE &&
                      !atomic_load_explicit(&gateway->stopping, memory_order_relaxed)));

    if (answer != ROUTER_OK)
        return answer;
    if (UNLIKELY(sent == PEER_GONE)) {
        snprintf(why, room, "this host is stopping");
        return ROUTER_UNREACHABLE;
    }
    count(&gateway->frames_out);
    message_free(*message);
    *message = NULL;
    return ROUTER_OK;
}

/* Sends a Reject, unless too many have gone there already. */
static void send_reject(struct gateway *gateway, const struct address *origin,
                        const char *type, const char *rejected_by, const char *reason)
{
    struct bytes *frame = scratch_take();
    uint64_t      now = clock_now(&gateway->system->clock);
    char          why[160];

    if (atomic_load_explicit(&gateway->stopping, memory_order_relaxed) ||
        wire_write_reject(address_name(origin), type, reason, rejected_by, frame) != 0)
        return;
    /* The endpoint is numeric, so that no name server is asked. */
    struct peer *peer = peers_get(&gateway->peers, address_endpoint(origin), why, sizeof why);
    if (peer == NULL || !peer_may_reject(peer, now) ||
        peer_send(peer, frame->data, frame->size, now) >= PEER_FULL)
        count(&gateway->rejects_held);
    else
        count(&gateway->frames_out);
    peer_unref(peer);
}

static void reject(void *context, const struct message *message, const char *rejected_by,
                   const char *reason)
{
    /* A Reject is never answered by another. */
    if (message->origin == NULL || type_alike(message->type) == type_alike(TYPE_REJECT))
        return;
    send_reject(context, message->origin, type_name(message->type), rejected_by, reason);
}

static const char *own_endpoint(void *context)
{
    return gateway_endpoint(context);
}

/* ---- what never leaves ---- */

/* A frame that waited becomes a message again, for the dead letters. */
static void frame_lost(void *context, const char *endpoint, const void *frame, size_t size,
                       const char *why)
{
    struct gateway      *gateway = context;
    struct wire_envelope envelope;
    struct json_error    error;
    struct message      *message = NULL;
    char                 target[ADDRESS_NAME_LIMIT + ADDRESS_ENDPOINT_LIMIT + 2];

    count(&gateway->lost);
    wire_envelope_init(&envelope);
    if (wire_read(frame, size, &JSON_LIMITS_DEFAULT, &envelope, &error) == 0 &&
        strcmp(envelope.message_type, "Reject") != 0) /* only an answer to a stranger */
        message = message_new(MESSAGE_ORDINARY,
                              type_intern(envelope.message_type, strlen(envelope.message_type)),
                              envelope.message.data, envelope.message.size);
    if (message != NULL) {
        snprintf(target, sizeof target, "%s@%s", envelope.receiver, endpoint);
        dead_letters_put(&gateway->system->letters, &message, FAILURE_UNREACHABLE,
                         envelope.sender_actor[0] != '\0' ? envelope.sender_actor : "nobody",
                         target, why);
        message_free(message);
    }
    wire_envelope_fini(&envelope);
}

/* ---- inward ---- */

static void bad_frame(struct gateway *gateway, const uint8_t *frame, size_t size,
                      const char *reason)
{
    static struct log_limit limit = LOG_LIMIT(5);

    count(&gateway->system->counters.frames_bad);
    if (!log_allowed(&limit))
        return;
    char   start[64 * 4 + 1];
    size_t length = 0;
    for (size_t i = 0; i < size && i < 64; i++) {
        bool plain = frame[i] >= ' ' && frame[i] <= '~' && frame[i] != '\\';
        length += (size_t)snprintf(start + length, sizeof start - length,
                                   plain ? "%c" : "\\x%02x", frame[i]);
    }
    start[length] = '\0';
    log_warn("gateway: a frame of %zu bytes is refused: %s; it begins %s%s", size, reason, start,
             size > 64 ? "..." : "");
}

/* Whether answers may go to the endpoint that the frame gives; if so it is in
 * known_normalised. */
static bool accept_sender(struct gateway *gateway, const char *endpoint)
{
    if (LIKELY(strcmp(gateway->known, endpoint) == 0))
        return true;

    char normalised[ADDRESS_ENDPOINT_LIMIT];
    if (address_endpoint_normalise(endpoint, strlen(endpoint), true, false, normalised,
                                   NULL, 0) != 0 ||
        is_our_own(gateway, normalised))
        return false;
    snprintf(gateway->known, sizeof gateway->known, "%s", endpoint);
    snprintf(gateway->known_normalised, sizeof gateway->known_normalised, "%s", normalised);
    return true;
}

/* The sender as an address, or NULL: nobody that we can answer. */
static struct address *origin_of(struct gateway *gateway)
{
    const struct wire_envelope *envelope = &gateway->envelope;
    if (envelope->sender_actor[0] == '\0')
        return NULL;
    if (!accept_sender(gateway, envelope->sender_endpoint)) {
        count(&gateway->senders_refused);
        return NULL;
    }
    return address_new(envelope->sender_actor, strlen(envelope->sender_actor),
                       gateway->known_normalised, strlen(gateway->known_normalised));
}

/* A message without a type that we could name has no handler anywhere. */
static void refuse_untyped(struct gateway *gateway, const struct address *origin)
{
    const struct wire_envelope *envelope = &gateway->envelope;
    char                        reason[600];
    bool known = registry_find_name(&gateway->system->registry, envelope->receiver,
                                    strlen(envelope->receiver)) != 0;

    count(&gateway->system->counters.rejected);
    if (known)
        snprintf(reason, sizeof reason, "Unknown message type: %s", envelope->message_type);
    else
        snprintf(reason, sizeof reason, "Actor '%s' not found", envelope->receiver);
    if (origin != NULL)
        send_reject(gateway, origin, envelope->message_type, envelope->receiver, reason);
}

static void frame_in(struct gateway *gateway, const uint8_t *frame, size_t size)
{
    struct wire_envelope *envelope = &gateway->envelope;
    struct json_error     error;

    count(&gateway->frames_in);
    int err = wire_read((const char *)frame, size, &JSON_LIMITS_DEFAULT, envelope, &error);
    if (err != 0) {
        bad_frame(gateway, frame, size, err == -EINVAL ? error.reason : "no memory");
        return;
    }
    struct address *origin = origin_of(gateway);
    type_id         type = type_intern(envelope->message_type, strlen(envelope->message_type));
    if (type == TYPE_NONE) {
        refuse_untyped(gateway, origin);
        address_unref(origin);
        return;
    }
    struct message *message =
        message_new(MESSAGE_ORDINARY, type, envelope->message.data, envelope->message.size);
    if (message == NULL) {
        bad_frame(gateway, frame, size, "no memory");
        address_unref(origin);
        return;
    }
    message->origin = origin;
    router_receive(gateway->system, envelope->receiver, &message);
    message_free(message); /* NULL if it was taken */
}

static void inlet_told(struct gateway *gateway, struct inlet *inlet)
{
    for (unsigned i = 0; i < BATCH; i++) {
        int size = zmq_msg_recv(&gateway->frame, inlet->pull, ZMQ_DONTWAIT);
        if (size < 0) {
            inlet->busy = errno == EINTR;
            return;
        }
        frame_in(gateway, zmq_msg_data(&gateway->frame), (size_t)size);
    }
    inlet->busy = true;
}

static bool serve_busy_inlets(struct gateway *gateway)
{
    bool     busy = false;
    unsigned inlets = atomic_load_explicit(&gateway->inlets.count, memory_order_acquire);
    for (unsigned i = 0; i < inlets; i++) {
        struct inlet *inlet = &gateway->inlets.list[i];
        if (inlet->busy)
            inlet_told(gateway, inlet);
        busy |= inlet->busy;
    }
    return busy;
}

/* From this machine anybody may; from elsewhere, who was asked something. */
static bool may_connect(void *context, const char *host)
{
    struct gateway *gateway = context;
    char            endpoint[ADDRESS_ENDPOINT_LIMIT];
    snprintf(endpoint, sizeof endpoint, "tcp://%.200s:1", host);
    return address_endpoint_is_loopback(endpoint) || peers_expect(&gateway->peers, host);
}

/* ---- the thread ---- */

static void told(struct gateway *gateway, struct watch *watch)
{
    switch (watch->kind) {
    case WATCH_WAKE:
        (void)!read(gateway->wake, &(uint64_t){ 0 }, sizeof(uint64_t));
        break;
    case WATCH_INLET:
        inlet_told(gateway, watch->owner);
        break;
    case WATCH_DOOR:
        admission_told(watch->owner);
        break;
    case WATCH_MONITOR:
        peer_monitor_told(watch->owner);
        break;
    case WATCH_ROOM:
        peer_room_told(watch->owner);
        break;
    }
}

static void *gateway_main(void *argument)
{
    struct gateway    *gateway = argument;
    struct epoll_event events[EVENTS_AT_ONCE];

    while (!atomic_load_explicit(&gateway->ending, memory_order_relaxed)) {
        bool busy = serve_busy_inlets(gateway);
        int  ready = epoll_wait(gateway->epoll, events, EVENTS_AT_ONCE, busy ? 0 : -1);
        for (int i = 0; i < ready; i++)
            told(gateway, events[i].data.ptr);
        peers_bury(&gateway->peers);
    }
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

static int listen_on(struct gateway *gateway, const struct gateway_options *options, char *why,
                     size_t room)
{
    char endpoint[ADDRESS_ENDPOINT_LIMIT];
    int  err;

    if (options->bind != NULL) {
        err = address_endpoint_normalise(options->bind, strlen(options->bind), false, true,
                                         endpoint, why, room);
        if (err != 0)
            return err;
        if (!address_endpoint_is_loopback(endpoint)) {
            snprintf(why, room,
                     "cannot listen on %s: beyond loopback it would be open to everybody, so "
                     "only 127.0.0.1 and [::1] may be bound", endpoint);
            return -EACCES;
        }
        const struct inlet *inlet;
        err = inlets_add(&gateway->inlets, endpoint, &inlet, why, room);
        if (err != 0)
            return err;
        snprintf(gateway->endpoint, sizeof gateway->endpoint, "%s", inlet->endpoint);
    }
    if (options->advertise == NULL)
        return 0;
    if (options->bind == NULL) {
        snprintf(why, room, "cannot advertise %s: nothing is bound", options->advertise);
        return -EINVAL;
    }
    err = address_endpoint_normalise(options->advertise, strlen(options->advertise), false,
                                     false, endpoint, why, room);
    if (err == 0)
        snprintf(gateway->endpoint, sizeof gateway->endpoint, "%s", endpoint);
    gateway->advertised = err == 0;
    return err;
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

    inlets_init(&gateway->inlets, gateway->zmq, gateway->epoll, may_connect, gateway);
    peers_init(&gateway->peers, gateway->zmq, gateway->epoll, gateway->wake,
               &(struct peers_options){ .limit = peers_we_can_afford(options->peers),
                                        .queue_messages = options->queue_messages,
                                        .queue_bytes = options->queue_bytes,
                                        .lost = frame_lost,
                                        .context = gateway });
    err = listen_on(gateway, options, why, room);
    if (err != 0) {
        gateway_close(gateway);
        return err;
    }
    system->remote = (struct remote_port){
        .context = gateway, .carry = carry, .reject = reject, .own_endpoint = own_endpoint,
    };
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
        peers_drain(&gateway->peers, deadline_ns);
        atomic_store_explicit(&gateway->ending, true, memory_order_relaxed);
        wake_up(gateway);
        thread_join(&gateway->thread);
        gateway->running = false;
    }
    now = clock_now(&gateway->system->clock);
    peers_close(&gateway->peers,
                deadline_ns > now ? (int)((deadline_ns - now) / NS_PER_MS) : 0);
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
    peers_fini(&gateway->peers);
    inlets_fini(&gateway->inlets);
    zmq_msg_close(&gateway->frame);
    wire_envelope_fini(&gateway->envelope);
    close_descriptors(gateway);
    memory_put(gateway, sizeof *gateway);
}

/* ---- for those who ask ---- */

const char *gateway_endpoint(const struct gateway *gateway)
{
    return gateway->endpoint;
}

enum peer_state gateway_peer_state(struct gateway *gateway, const char *endpoint)
{
    struct peer *peer = peers_find(&gateway->peers, endpoint);
    if (peer == NULL)
        return PEER_NONE;
    enum peer_state state = peer_state(peer);
    peer_unref(peer);
    return state;
}

bool gateway_flush(struct gateway *gateway, const char *endpoint, uint64_t deadline_ns)
{
    struct peer *peer = peers_find(&gateway->peers, endpoint);
    if (peer == NULL)
        return false;
    bool done = peer_wait(peer, deadline_ns);
    peer_unref(peer);
    return done;
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
    };
#undef READ
}
