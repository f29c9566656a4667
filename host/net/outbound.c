/*
 * outbound.c -- frames out: the port through which actors send to other hosts.
 *
 * A message becomes a frame on the thread that sends it, in a buffer of that
 * thread, and goes to its peer (net/peers.h); Rejects go the same way.
 */
#include "net/gateway_room.h"

#include "actor/notice.h"
#include "actor/tap.h"
#include "net/places.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_BYTES (64u * 1024)
#define RECENT     8 /* peers that one activation finds again quickly */

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
        bytes_init(scratch, wire_frame_limit());
    }
    scratch->limit = wire_frame_limit();
    bytes_clear(scratch, KEPT_BYTES);
    return scratch;
}

/* ---- a message leaves ---- */

/* What writing one frame needs to know of where it goes. */
struct passage {
    struct gateway *gateway;
    struct peer    *peer;
    bool            again; /* not the first to it in this activation */
};

/* ---- peers that this activation has sent to ---- */

/* Found again without a look into the table; each with a reference. */
static _Thread_local struct {
    struct peer *peers[RECENT];
    unsigned     count;
} recent;

static struct peer *find_recent(const char *endpoint)
{
    for (unsigned i = 0; i < recent.count; i++)
        if (strcmp(recent.peers[i]->endpoint, endpoint) == 0)
            return recent.peers[i];
    return NULL;
}

/* Takes over the caller's reference. Only where the end of an activation will
 * call flush(). */
static void remember(struct peer *peer)
{
    if (worker_self == NULL || recent.count == RECENT)
        peer_unref(peer);
    else
        recent.peers[recent.count++] = peer;
}

/* The activation is over, or one of the peers is. */
static void flush(void *context)
{
    (void)context;
    for (unsigned i = 0; i < recent.count; i++) {
        peer_flush(recent.peers[i]);
        peer_unref(recent.peers[i]);
    }
    recent.count = 0;
}

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
                  (gateway->advertised ||
                   (!gateway->everywhere && (address_endpoint_is_loopback(peer->numeric) ||
                                             !address_endpoint_is_loopback(gateway->endpoint))));
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

static const char *own_place(void *context)
{
    char why[160];
    return reply_endpoint(context, why, sizeof why);
}

static enum router_answer say_too_long(const struct message *message, char *why, size_t room)
{
    snprintf(why, room, "%s is larger than a frame may be (%zu bytes)", type_name(message->type),
             wire_frame_limit());
    return ROUTER_REFUSED;
}

/* Whether the peer can be told that what we pass on is from `origin`, elsewhere, so that
 * it answers there; else `why` says why not. */
static bool may_speak_for(const struct passage *passage, const struct address *origin, char *why,
                          size_t room)
{
    const char *endpoint = address_endpoint(origin), *because;
    if (address_flat_endpoint(endpoint) != NULL)
        because = "its sender speaks flat JSON";
    else if (passage->gateway->keys != NULL) /* the peer would take that endpoint for our key's */
        because = "with keys nobody speaks for another";
    else if (address_endpoint_is_loopback(endpoint) &&
             !address_endpoint_is_loopback(passage->peer->numeric))
        because = "its sender's address is one of this machine only";
    else
        return true;
    snprintf(why, room, "a question from elsewhere cannot be passed on to %s (%s): ask it anew, and "
                        "reply with the answer", passage->peer->endpoint, because);
    return false;
}

static enum router_answer write_frame(struct passage *passage, const struct address *to,
                                      const char *from_name, const struct message *message,
                                      struct bytes *frame, char *why, size_t room)
{
    const char *from_endpoint = NULL;
    const struct address *origin = message->kind == MESSAGE_ORDINARY ? message->origin : NULL;
    if (UNLIKELY(origin != NULL)) {
        if (may_speak_for(passage, origin, why, room)) {
            from_name = address_name(origin);
            from_endpoint = address_endpoint(origin);
        } else if (router_is_question(address_name(origin))) {
            return ROUTER_UNREACHABLE;
        }
    } else if (from_name != NULL) {
        from_endpoint = reply_endpoint(passage, why, room);
        if (from_endpoint == NULL)
            return ROUTER_UNREACHABLE;
    }
    struct json_error error;
    struct places     places;
    int written = places_open(&places, &passage->gateway->system->nodes, message, own_place, passage);
    if (written == 0)
        written = wire_write(from_name, from_endpoint, address_name(to), type_name(message->type),
                             places.payload, places.size, actor_text, passage, frame, &error);
    places_close(&places);
    switch (written) {
    case 0:
        return ROUTER_OK;
    case -ENOMEM:
        return say_too_long(message, why, room);
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

/* The same over its stream. */
static enum router_answer carry_reliably(const struct passage *passage, const struct address *to,
                                         const struct message *message, struct bytes *frame,
                                         enum peer_answer *answer, char *why, size_t room)
{
    struct gateway *gateway = passage->gateway;
    const char     *endpoint = reply_endpoint(passage, why, room);
    if (endpoint == NULL)
        return ROUTER_UNREACHABLE;
    switch (streams_send(&gateway->streams, to, passage->peer, endpoint, frame, why, room)) {
    case STREAMS_KEPT:
        return ROUTER_OK;
    case STREAMS_FULL:
        return say_full(gateway, passage->peer, why, room);
    case STREAMS_TOO_LONG:
        return say_too_long(message, why, room);
    case STREAMS_STRANGER:
        return ROUTER_UNREACHABLE;
    case STREAMS_GONE:
        *answer = PEER_GONE;
        return ROUTER_OK;
    }
    UNREACHABLE();
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
    if (to->reliable)
        return carry_reliably(passage, to, message, frame, answer, why, room);
    *answer = peer_send(passage->peer, frame->data, frame->size, passage->again,
                        clock_now_coarse(&gateway->system->clock));
    if (*answer == PEER_FULL)
        return say_full(gateway, passage->peer, why, room);
    return ROUTER_OK;
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

/* To who speaks flat JSON: an answer to one of our askers, or a request of ours. */
static enum router_answer carry_flat(struct gateway *gateway, const struct address *to,
                                     struct message **message, char *why, size_t room)
{
    return flat_server_knows(&gateway->flat_server, to)
               ? flat_server_answer(&gateway->flat_server, to, message, why, room)
               : flat_clients_carry(&gateway->flat_clients, to, message, why, room);
}

static enum router_answer carry(void *context, const struct address *to, const char *from_name,
                                struct message **message, char *why, size_t room)
{
    struct gateway *gateway = context;
    const char     *endpoint = places_find(&gateway->system->nodes, to);

    if (UNLIKELY(endpoint == NULL)) {
        nodes_explain(&gateway->system->nodes, address_node(address_endpoint(to)), why, room);
        return ROUTER_UNREACHABLE;
    }
    if (UNLIKELY(is_our_own(gateway, endpoint)))
        return carry_home(gateway, to, message, why, room);
    if (UNLIKELY(atomic_load_explicit(&gateway->stopping, memory_order_relaxed))) {
        snprintf(why, room, "this host is stopping");
        return ROUTER_UNREACHABLE;
    }
    if (UNLIKELY(address_flat_endpoint(endpoint) != NULL))
        return carry_flat(gateway, to, message, why, room);

    enum router_answer answer;
    enum peer_answer   sent;
    do {
        struct peer *peer = find_recent(endpoint);
        bool         again = peer != NULL;
        if (!again && (peer = peers_get(&gateway->peers, endpoint, why, room)) == NULL)
            return ROUTER_UNREACHABLE;
        sent = PEER_SENT;
        answer = carry_to(&(struct passage){ gateway, peer, again }, to, from_name, *message,
                          &sent, why, room);
        if (!again)
            remember(peer);
        if (UNLIKELY(sent == PEER_GONE))
            flush(NULL); /* look it up anew */
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

/* To be told of its end (net/vigils.h). */
static bool watch(void *context, const struct address *to, struct message **notice)
{
    struct gateway *gateway = context;
    const char     *endpoint = places_find(&gateway->system->nodes, to);
    char            why[160];

    if (endpoint == NULL)
        return false;
    if (*endpoint == '\0' || is_our_own(gateway, endpoint)) {
        notice_send(gateway->system, notice, REASON_NOBODY, false);
        return true;
    }
    if (atomic_load_explicit(&gateway->stopping, memory_order_relaxed))
        return false;
    struct peer *peer = peers_get(&gateway->peers, endpoint, why, sizeof why);
    if (peer == NULL)
        return false;
    const char *reply =
        reply_endpoint(&(struct passage){ gateway, peer, false }, why, sizeof why);
    bool begun = reply != NULL && vigils_watch(&gateway->vigils, peer, reply, address_name(to), notice);
    peer_unref(peer);
    return begun;
}

static void unwatch(void *context, const struct address *to, actor_id watcher, uint64_t number)
{
    struct gateway *gateway = context;
    (void)to;
    vigils_unwatch(&gateway->vigils, (struct vigil_key){ watcher, number });
}

static bool await_room(void *context, const struct address *to, actor_id waiter, uint64_t wait)
{
    struct gateway *gateway = context;
    const char     *endpoint = places_find(&gateway->system->nodes, to);
    struct peer    *peer = endpoint != NULL ? peers_find(&gateway->peers, endpoint) : NULL;
    bool            waits = peer != NULL && peer_await_room(peer, waiter, wait);
    peer_unref(peer);
    return waits;
}

/* A peer has room again (a peers_room). */
void outbound_room(void *context, uint64_t waiter, uint64_t wait)
{
    struct gateway *gateway = context;
    struct message *wake = message_new(MESSAGE_WAKE, TYPE_NONE, NULL, 0);
    if (wake == NULL)
        return; /* its deadline will tell it */
    wake->to = waiter;
    wake->request = wait;
    router_send(gateway->system, &wake, ROUTE_RESERVED);
    message_free(wake);
}

void outbound_send_reject(struct gateway *gateway, const struct address *origin,
                          const char *type, const char *rejected_by, const char *reason)
{
    struct bytes *frame = scratch_take();
    uint64_t      now = clock_now(&gateway->system->clock);
    char          why[160];

    if (atomic_load_explicit(&gateway->stopping, memory_order_relaxed) ||
        wire_write_reject(address_name(origin), type, reason, rejected_by, frame) != 0)
        return;
    struct peer *peer = peers_find(&gateway->peers, address_endpoint(origin));
    if (peer == NULL && !address_endpoint_is_numeric(address_endpoint(origin))) {
        /* This may be the gateway's thread, which asks no name server. */
        if (!errands_put(gateway->errands, address_endpoint(origin), frame->data, frame->size))
            count(&gateway->rejects_held);
        return;
    }
    if (peer == NULL)
        peer = peers_get_answered(&gateway->peers, address_endpoint(origin),
                                  address_endpoint(origin), why, sizeof why);
    if (peer == NULL || !peer_may_reject(peer, now) ||
        peer_send(peer, frame->data, frame->size, false, now) >= PEER_FULL)
        count(&gateway->rejects_held);
    else
        count(&gateway->frames_out);
    peer_unref(peer);
}

static void reject(void *context, const struct message *message, const char *rejected_by,
                   const char *reason)
{
    struct gateway *gateway = context;
    if (message->origin != NULL && address_flat_endpoint(address_endpoint(message->origin)) != NULL) {
        if (flat_server_knows(&gateway->flat_server, message->origin))
            flat_server_refuse(&gateway->flat_server, message->origin, reason);
        return; /* who has answered us flat is told nothing */
    }
    /* A Reject is never answered by another. */
    if (message->origin == NULL || type_alike(message->type) == type_alike(TYPE_REJECT))
        return;
    outbound_send_reject(context, message->origin, type_name(message->type), rejected_by, reason);
}

static void measure(void *context, struct bytes *packed)
{
    gateway_measure(context, packed);
}

static const char *own_endpoint(void *context)
{
    return gateway_endpoint(context);
}

static bool is_own(void *context, const char *endpoint)
{
    return is_our_own(context, endpoint);
}

struct remote_port outbound_port(struct gateway *gateway)
{
    return (struct remote_port){
        .context = gateway,
        .carry = carry,
        .flush = flush,
        .await_room = await_room,
        .watch = watch,
        .unwatch = unwatch,
        .reject = reject,
        .measure = measure,
        .own_endpoint = own_endpoint,
        .is_own = is_own,
    };
}

/* ---- what never leaves ---- */

/* A frame that waited becomes a message again, for the dead letters. */
void outbound_lost(void *context, const char *endpoint, const void *frame, size_t size,
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
        if (tap_is_on())
            tap_passed(tap_passing(gateway->system, message, target), TAP_DEAD, why);
        dead_letters_put(&gateway->system->letters, &message, FAILURE_UNREACHABLE,
                         envelope.sender_actor[0] != '\0' ? envelope.sender_actor : "nobody",
                         target, why);
        message_free(message);
    }
    wire_envelope_fini(&envelope);
}
