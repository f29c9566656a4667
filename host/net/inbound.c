/*
 * inbound.c -- frames in: taken from the inlets, taken apart, and handed to the
 * router as messages, with a sender only where answers may go.
 *
 * An inlet that had more than one batch is marked busy and looked at again
 * after the others.
 */
#include "net/gateway_room.h"

#include "base/log.h"
#include "message/reject.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BATCH 64 /* frames from one inlet before the others' turn */

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

static void say_unanswered(const char *endpoint)
{
    static struct log_limit limit = LOG_LIMIT(1);
    if (log_allowed(&limit))
        log_warn("gateway: a sender at %s is not answered: --reply-to does not have it", endpoint);
}

/* Whether answers may go to the endpoint that the frame gives; if so it is in
 * known_normalised. */
static bool accept_sender(struct gateway *gateway, const char *endpoint)
{
    if (LIKELY(endpoint[0] != '\0' && strcmp(gateway->known, endpoint) == 0))
        return true;

    char normalised[ADDRESS_ENDPOINT_LIMIT];
    if (address_endpoint_normalise(endpoint, strlen(endpoint), false, false, normalised,
                                   NULL, 0) != 0)
        return false;
    if (!policy_has(&gateway->reply_to, normalised) &&
        !(gateway->reply_allowed && policy_has(&gateway->allow, normalised))) {
        say_unanswered(normalised);
        return false;
    }
    if (is_our_own(gateway, normalised))
        return false;
    snprintf(gateway->known, sizeof gateway->known, "%s", endpoint);
    snprintf(gateway->known_normalised, sizeof gateway->known_normalised, "%s", normalised);
    gateway->user_told = false;
    peers_meet(&gateway->peers, normalised);
    return true;
}

/* Who bears a listed key is answered under it where he says that he is. */
static void learn_key(struct gateway *gateway)
{
    if (gateway->keys == NULL || gateway->user_told)
        return;
    if (keyring_learn(gateway->keys, gateway->known_normalised, gateway->user))
        peers_drop_misfits(&gateway->peers);
    gateway->user_told = true;
}

/* The sender as an address, or NULL: nobody that we can answer. */
static struct address *origin_of(struct gateway *gateway, bool reliable)
{
    const struct wire_envelope *envelope = &gateway->envelope;
    if (envelope->sender_actor[0] == '\0')
        return NULL;
    if (!accept_sender(gateway, envelope->sender_endpoint)) {
        count(&gateway->senders_refused);
        return NULL;
    }
    learn_key(gateway);
    struct address *last = gateway->last_origin;
    if (LIKELY(last != NULL && last->reliable == reliable &&
               strcmp(address_name(last), envelope->sender_actor) == 0 &&
               strcmp(address_endpoint(last), gateway->known_normalised) == 0))
        return address_ref(last);
    address_unref(last);
    gateway->last_origin =
        address_new(envelope->sender_actor, strlen(envelope->sender_actor),
                    gateway->known_normalised, strlen(gateway->known_normalised));
    if (gateway->last_origin == NULL)
        return NULL;
    gateway->last_origin->reliable = reliable; /* answers go back as the message came */
    return address_ref(gateway->last_origin);
}

/* A new name gets a number only where it may be of use, and within limits. */
static type_id type_of(struct gateway *gateway)
{
    const struct wire_envelope *envelope = &gateway->envelope;
    size_t  size = strlen(envelope->message_type);
    type_id type = type_find(envelope->message_type, size);
    if (LIKELY(type != TYPE_NONE))
        return type;
    return type_intern_foreign(envelope->message_type, size,
                               router_takes_any(gateway->system, envelope->receiver));
}

/* An answer that was waited for counts, whatever it is called. */
static bool may_be_untyped(const struct wire_envelope *envelope)
{
    return envelope->message_type[0] != '\0' && router_is_question(envelope->receiver);
}

/* A message without a type that we could name has no handler anywhere. */
static void refuse_untyped(struct gateway *gateway, const struct address *origin)
{
    const struct wire_envelope *envelope = &gateway->envelope;
    char                        reason[600];
    bool known = registry_find_name(&gateway->system->registry, envelope->receiver,
                                    strlen(envelope->receiver)) != 0;

    static struct log_limit limit = LOG_LIMIT(5);
    count(&gateway->system->counters.rejected);
    if (known)
        snprintf(reason, sizeof reason, "Unknown message type: %s", envelope->message_type);
    else
        snprintf(reason, sizeof reason, "Actor '%s' not found", envelope->receiver);
    if (log_allowed(&limit))
        log_warn("gateway: %.100s from %.100s%s%.140s was rejected: %s", envelope->message_type,
                 origin != NULL ? address_name(origin) : "somebody elsewhere",
                 origin != NULL ? "@" : "", origin != NULL ? address_endpoint(origin) : "", reason);
    if (origin != NULL)
        outbound_send_reject(gateway, origin, envelope->message_type, envelope->receiver, reason);
}

/* Whether the bearer of the frame's key is still let in: the list may have
 * changed since he connected. */
static bool is_listed(struct gateway *gateway)
{
    if (gateway->keys == NULL)
        return true;
    unsigned    edition = keyring_edition(gateway->keys);
    const char *user = zmq_msg_gets(&gateway->frame, "User-Id");
    if (LIKELY(user != NULL && gateway->user_edition == edition &&
               strcmp(gateway->user, user) == 0))
        return true;
    if (user == NULL || !keyring_lists(gateway->keys, user)) {
        count(&gateway->keys_refused);
        return false;
    }
    snprintf(gateway->user, sizeof gateway->user, "%s", user);
    gateway->user_edition = edition;
    gateway->user_told = false;
    return true;
}

/* A word about a stream, for nobody's mailbox. Nothing is answered to what is
 * no such word, or comes from where no answers may go. */
static void stream_word_in(struct gateway *gateway)
{
    const struct wire_envelope *envelope = &gateway->envelope;
    struct stream_hello         hello;
    struct stream_ack           ack;

    if (strcmp(envelope->message_type, STREAM_HELLO) == 0) {
        if (!stream_read_hello(envelope->message.data, &hello))
            count(&gateway->system->counters.frames_bad);
        else if (accept_sender(gateway, hello.to))
            streams_hello_in(&gateway->streams, &hello, gateway->known_normalised);
        else
            count(&gateway->senders_refused);
    } else if (strcmp(envelope->message_type, STREAM_ACK) == 0 &&
               stream_read_ack(envelope->message.data, &ack)) {
        streams_ack_in(&gateway->streams, &ack);
    } else {
        count(&gateway->system->counters.frames_bad);
    }
}

/* A word about watches, likewise. */
static void vigil_word_in(struct gateway *gateway)
{
    const struct wire_envelope *envelope = &gateway->envelope;
    const char         *type = envelope->message_type;
    struct vigils      *vigils = &gateway->vigils;
    struct vigil_pulse  pulse;
    struct vigil_alive  alive;
    struct vigil_reader list;

    if (strcmp(type, VIGIL_PULSE) == 0 && vigil_read_pulse(envelope->message.data, &pulse)) {
        if (accept_sender(gateway, pulse.to)) {
            learn_key(gateway);
            vigils_pulse_in(vigils, &pulse, gateway->known_normalised);
        } else {
            count(&gateway->senders_refused);
        }
    } else if (strcmp(type, VIGIL_ALIVE) == 0 && vigil_read_alive(envelope->message.data, &alive)) {
        vigils_alive_in(vigils, &alive);
    } else if (!vigil_read_list(envelope->message.data, &list)) {
        count(&gateway->system->counters.frames_bad);
    } else if (strcmp(type, VIGIL_WATCH) == 0) {
        vigils_watch_in(vigils, &list);
    } else if (strcmp(type, VIGIL_UNWATCH) == 0) {
        vigils_unwatch_in(vigils, &list);
    } else if (strcmp(type, VIGIL_DOWN) == 0) {
        vigils_down_in(vigils, &list);
    } else {
        count(&gateway->system->counters.frames_bad);
    }
}

static void frame_in(struct gateway *gateway, const uint8_t *frame, size_t size)
{
    struct wire_envelope *envelope = &gateway->envelope;
    struct json_error     error;

    count(&gateway->frames_in);
    if (!is_listed(gateway))
        return;
    struct json_limits limits = wire_json_limits();
    int err = wire_read((const char *)frame, size, &limits, envelope, &error);
    if (!envelope->again) { /* whatever becomes of this one, the next may begin like it */
        gateway->last_type = TYPE_NONE;
        gateway->last_to = 0;
    }
    if (err != 0) {
        bad_frame(gateway, frame, size, err == -EINVAL ? error.reason : "no memory");
        return;
    }
    if (UNLIKELY(strcmp(envelope->receiver, STREAM_RECEIVER) == 0)) {
        stream_word_in(gateway);
        return;
    }
    if (UNLIKELY(strcmp(envelope->receiver, VIGIL_RECEIVER) == 0)) {
        vigil_word_in(gateway);
        return;
    }
    struct message_receipt receipt;
    const size_t           weight = sizeof(struct message) + envelope->message.size;
    const bool             tracked = envelope->sequence != 0;
    if (UNLIKELY(tracked) && !streams_frame_in(&gateway->streams, envelope, weight, &receipt))
        return;

    struct address *origin = origin_of(gateway, tracked);
    type_id         type = gateway->last_type;
    if (type == TYPE_NONE)
        type = gateway->last_type = type_of(gateway);
    if (UNLIKELY(type == TYPE_NONE) && !may_be_untyped(envelope)) {
        refuse_untyped(gateway, origin);
        address_unref(origin);
        if (tracked)
            receipt.over(receipt.context, receipt.number, weight, true);
        return;
    }
    if (UNLIKELY(type_alike(type) == TYPE_REJECT))
        reject_normalise(&envelope->message);
    struct message *message =
        UNLIKELY(tracked)
            ? message_new_tracked(MESSAGE_ORDINARY, type, envelope->message.data,
                                  envelope->message.size, &receipt)
            : message_new(MESSAGE_ORDINARY, type, envelope->message.data, envelope->message.size);
    if (message == NULL) {
        bad_frame(gateway, frame, size, "no memory");
        address_unref(origin);
        if (tracked)
            streams_refuse(&gateway->streams, &receipt, weight);
        return;
    }
    message->origin = origin;
    message->flags |= MESSAGE_TEXT | MESSAGE_REMOTE;
    gateway->last_to = router_receive_again(gateway->system, gateway->last_to,
                                            envelope->receiver, &message);
    if (UNLIKELY(message != NULL) && tracked) { /* its mailbox is full */
        message_untrack(message);
        streams_refuse(&gateway->streams, &receipt, weight);
    }
    message_free(message); /* NULL if it was taken */
}

void inbound_told(struct gateway *gateway, struct inlet *inlet)
{
    for (unsigned i = 0; i < BATCH; i++) {
        int size = zmq_msg_recv(&gateway->frame, inlet->pull, ZMQ_DONTWAIT);
        if (size < 0) {
            inlet->busy = errno == EINTR;
            inlet->inflow.emptied |= !inlet->busy;
            return;
        }
        inflow_took(&inlet->inflow, zmq_msg_get(&gateway->frame, ZMQ_SRCFD), (size_t)size);
        frame_in(gateway, zmq_msg_data(&gateway->frame), (size_t)size);
    }
    inlet->busy = true;
}

bool inbound_serve_busy(struct gateway *gateway)
{
    bool     busy = false;
    unsigned inlets = atomic_load_explicit(&gateway->inlets.count, memory_order_acquire);
    for (unsigned i = 0; i < inlets; i++) {
        struct inlet *inlet = gateway->inlets.list[i];
        if (inlet->busy)
            inbound_told(gateway, inlet);
        busy |= inlet->busy;
    }
    return busy;
}

void inbound_read_last(struct gateway *gateway, uint64_t deadline_ns)
{
    unsigned inlets = atomic_load_explicit(&gateway->inlets.count, memory_order_acquire);
    for (unsigned i = 0; i < inlets; i++) {
        struct inlet *inlet = gateway->inlets.list[i];
        do
            inbound_told(gateway, inlet);
        while (inlet->busy && clock_now(&gateway->system->clock) < deadline_ns);
    }
}

void inbound_ticked(struct gateway *gateway)
{
    connections_told(&gateway->inlets.connections);
    unsigned inlets = atomic_load_explicit(&gateway->inlets.count, memory_order_acquire);
    for (unsigned i = 0; i < inlets; i++) {
        struct inlet *inlet = gateway->inlets.list[i];
        inflow_next_tick(&inlet->inflow);
        inlet->busy |= inlet->inflow.open > 0; /* to see that it is empty */
    }
}

/* From this machine anybody may, and who was asked something; from elsewhere who
 * is allowed, which under CURVE everybody is unless only some are named. */
static bool may_address(struct gateway *gateway, const char *endpoint)
{
    char        host[ADDRESS_ENDPOINT_LIMIT];
    const char *start = endpoint + strlen("tcp://");
    snprintf(host, sizeof host, "%.*s", (int)(strrchr(start, ':') - start), start);
    if (address_endpoint_is_loopback(endpoint) || peers_expect(&gateway->peers, host))
        return true;
    return gateway->allow.count > 0 ? policy_has(&gateway->allow, endpoint)
                                    : gateway->open || gateway->keys != NULL;
}

bool inbound_may_connect(void *context, const char *host, const char *key)
{
    struct gateway *gateway = context;
    char            text[ADDRESS_ENDPOINT_LIMIT], endpoint[ADDRESS_ENDPOINT_LIMIT];
    snprintf(text, sizeof text, "tcp://%.200s:1", host);
    if (address_endpoint_normalise(text, strlen(text), true, false, endpoint, NULL, 0) != 0)
        return false;
    if (gateway->keys != NULL && !keyring_lists(gateway->keys, key))
        return false;
    return may_address(gateway, endpoint);
}
