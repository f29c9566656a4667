/*
 * streams_out.c -- outgoing streams: the table of them, and how each is kept going.
 *
 * Whoever has given a stream something to do pumps it: does what
 * stream_out_step() says until there is nothing more to do now. What must not
 * happen on an actor's thread, giving a stream up, is left to the gateway's.
 */
#include "net/streams_room.h"

#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define STRANGER_NS (5 * NS_PER_SEC) /* so long nothing is sent to who knows no streams */
#define TARGET_ROOM (ADDRESS_NAME_LIMIT + ADDRESS_ENDPOINT_LIMIT + 2)
#define ASK_MARK    "/ask#"          /* see actor/router.c */

struct outgoing {
    _Atomic unsigned references;     /* the table, each borrower */
    struct peer     *peer;           /* fixed; counted */
    const char      *reply_endpoint; /* fixed */
    uint64_t         id;             /* fixed: state.id */

    struct lock       lock;
    struct stream_out state;         /* guarded by lock, as is the rest */
    unsigned          connection;    /* of the peer, that the state knows of */
    bool              holds;         /* counted in peer->holding */
    bool              gone;          /* given up, or out of the table */
    uint64_t          stranger_until_ns;

    uint64_t used;                   /* guarded by streams->lock */
    char     target[TARGET_ROOM];    /* fixed */
};

/* What a pump leaves for the gateway's thread to do. */
enum pumped { PUMPED, PUMPED_STRANGER, PUMPED_GONE };

static void outgoing_unref(struct outgoing *out)
{
    /* Release, so that others' use is over; acquire, so that we see it. */
    if (out == NULL || atomic_fetch_sub_explicit(&out->references, 1, memory_order_acq_rel) != 1)
        return;
    stream_out_fini(&out->state);
    lock_fini(&out->lock);
    peer_unref(out->peer);
    memory_put(out, sizeof *out);
}

static struct outgoing *outgoing_ref(struct outgoing *out)
{
    atomic_fetch_add_explicit(&out->references, 1, memory_order_relaxed);
    return out;
}

/* ---- one of them: here `_locked` means its own lock ---- */

/* After the state has changed: `before` bytes were kept. */
static void account_locked(struct streams *streams, struct outgoing *out, size_t before)
{
    atomic_fetch_add_explicit(&streams->bytes, out->state.bytes - before, memory_order_relaxed);
    bool holds = !stream_out_is_idle(&out->state);
    if (holds != out->holds)
        peer_hold(out->peer, holds);
    out->holds = holds;
}

/* Tells the state what has become of the connection. */
static void follow_locked(struct outgoing *out, uint64_t now_ns)
{
    unsigned connection = peer_connection(out->peer);
    bool     up = peer_state(out->peer) == PEER_CONNECTED;
    if (out->state.connected && (!up || connection != out->connection))
        stream_out_lost(&out->state);
    if (up && !out->state.connected) {
        out->connection = connection;
        stream_out_connected(&out->state, now_ns);
    }
}

static enum peer_answer say_hello_locked(struct outgoing *out)
{
    struct stream_hello hello = stream_out_hello(&out->state);
    struct bytes        frame;
    enum peer_answer    answer = PEER_FULL;

    snprintf(hello.to, sizeof hello.to, "%s", out->reply_endpoint);
    bytes_init(&frame, 0);
    if (stream_write_hello(&hello, &frame) == 0)
        answer = peer_send_now(out->peer, frame.data, frame.size);
    bytes_fini(&frame);
    return answer;
}

static enum pumped pump_locked(struct streams *streams, struct outgoing *out)
{
    struct stream_out *state = &out->state;
    uint64_t           now_ns = streams_now(streams);

    for (;;) {
        enum peer_answer answer = PEER_SENT;
        follow_locked(out, now_ns);
        enum stream_step step = stream_out_step(state, now_ns);
        switch (step) {
        case STREAM_NOTHING:
            return PUMPED;
        case STREAM_STRANGER:
            return PUMPED_STRANGER;
        case STREAM_RECONNECT:
            log_info("gateway: %s: silent for %.0f s, though connected: connecting anew",
                     out->peer->endpoint, (double)STREAM_SILENCE_NS / (double)NS_PER_SEC);
            peer_reconnect(out->peer, out->connection, now_ns);
            break;
        case STREAM_SAY_HELLO:
            answer = say_hello_locked(out);
            break;
        case STREAM_SEND:
            answer = peer_send_now(out->peer, state->unsent->bytes, state->unsent->size);
            if (answer == PEER_SENT && state->at <= state->top)
                streams_count(&streams->resent, 1);
            break;
        }
        stream_out_did(state, step, answer == PEER_SENT, now_ns);
        if (UNLIKELY(answer == PEER_GONE))
            return PUMPED_GONE;
        if (answer != PEER_SENT)
            return PUMPED;
    }
}

/* Takes away what is kept, for lose(). */
static struct stream_out give_up_locked(struct streams *streams, struct outgoing *out)
{
    struct stream_out taken = out->state;
    out->gone = true;
    stream_out_init(&out->state, out->id, 0, 0);
    account_locked(streams, out, taken.bytes);
    return taken;
}

static void lose(struct streams *streams, const struct outgoing *out, struct stream_out *taken,
                 const char *why)
{
    const struct streams_options *options = &streams->options;
    for (const struct stream_frame *each = taken->head; each != NULL; each = each->next)
        options->lost(options->context, out->peer->endpoint, each->bytes, each->size, why);
    stream_out_fini(taken);
}

/* ---- the table: here `_locked` means streams->lock ---- */

static void remove_locked(struct streams *streams, struct outgoing *out)
{
    if (map_find(&streams->by_target, out->target, strlen(out->target)) != out)
        return;
    map_remove(&streams->by_target, out->target, strlen(out->target));
    map_remove(&streams->by_id, (const char *)&out->id, sizeof out->id);
    outgoing_unref(out); /* somebody else's reference is left */
}

/* Out of the table, with all that it kept. The caller has a reference. */
static void discard(struct streams *streams, struct outgoing *out, const char *why)
{
    static struct log_limit limit = LOG_LIMIT(5);

    lock_acquire(&streams->lock);
    remove_locked(streams, out);
    lock_release(&streams->lock);
    lock_acquire(&out->lock);
    struct stream_out taken = give_up_locked(streams, out);
    lock_release(&out->lock);
    uint64_t frames = taken.next - taken.base;
    if (frames > 0 && log_allowed(&limit))
        log_warn("gateway: %llu message%s for %s over a reliable ref will not be sent again: %s",
                 (unsigned long long)frames, frames == 1 ? "" : "s", out->target, why);
    lose(streams, out, &taken, why);
}

/* The one unused longest, of those that keep nothing, or (`waiting`) whose peer
 * is not connected. */
static struct outgoing *oldest_locked(struct streams *streams, bool waiting)
{
    struct outgoing        *oldest = NULL;
    const struct map_entry *entry;
    size_t                  position = 0;

    while ((entry = map_next(&streams->by_target, &position)) != NULL) {
        struct outgoing *out = entry->value;
        if (oldest != NULL && oldest->used < out->used)
            continue;
        lock_acquire(&out->lock);
        bool fits = waiting ? peer_state(out->peer) != PEER_CONNECTED
                            : stream_out_is_idle(&out->state);
        lock_release(&out->lock);
        if (fits)
            oldest = out;
    }
    return oldest;
}

static struct outgoing *new_locked(struct streams *streams, const char *target, struct peer *peer,
                                   const char *reply_endpoint)
{
    struct outgoing *out = memory_get_zeroed(sizeof *out);
    if (out == NULL)
        return NULL;
    atomic_init(&out->references, 1);
    lock_init(&out->lock);
    out->peer = peer_ref(peer);
    out->reply_endpoint = reply_endpoint;
    out->id = streams_random();
    snprintf(out->target, sizeof out->target, "%s", target);
    stream_out_init(&out->state, out->id, streams->options.queue_messages,
                    streams->options.queue_bytes);
    if (map_set(&streams->by_id, (const char *)&out->id, sizeof out->id, out) != 0)
        goto unref;
    if (map_set(&streams->by_target, target, strlen(target), out) == 0)
        return out;
    map_remove(&streams->by_id, (const char *)&out->id, sizeof out->id);
unref:
    outgoing_unref(out);
    return NULL;
}

/* The stream to `target`, made if need be, with a reference. *evicted gets the
 * one that had to go for it, with a reference. NULL: no room or no memory. */
static struct outgoing *get(struct streams *streams, const char *target, struct peer *peer,
                            const char *reply_endpoint, struct outgoing **evicted)
{
    *evicted = NULL;
    lock_acquire(&streams->lock);
    struct outgoing *out = map_find(&streams->by_target, target, strlen(target));
    if (out == NULL && streams->by_target.count >= STREAMS_OUT_MAX) {
        struct outgoing *oldest = oldest_locked(streams, false);
        if (oldest == NULL)
            oldest = oldest_locked(streams, true);
        if (oldest == NULL)
            goto release;
        *evicted = outgoing_ref(oldest);
        remove_locked(streams, oldest);
    }
    if (out == NULL && !streams->closed)
        out = new_locked(streams, target, peer, reply_endpoint);
    if (out != NULL) {
        out->used = ++streams->ticks;
        outgoing_ref(out);
    }
release:
    lock_release(&streams->lock);
    return out;
}

/* All that are there, with references; `all` has room for STREAMS_OUT_MAX. */
static unsigned get_all(struct streams *streams, struct outgoing **all)
{
    const struct map_entry *entry;
    size_t                  position = 0;
    unsigned                count = 0;

    lock_acquire(&streams->lock);
    while ((entry = map_next(&streams->by_target, &position)) != NULL) {
        assert(count < STREAMS_OUT_MAX);
        all[count++] = outgoing_ref(entry->value);
    }
    lock_release(&streams->lock);
    return count;
}

/* ---- sending ---- */

static enum streams_answer put_locked(struct streams *streams, struct outgoing *out,
                                      const struct peer *peer, struct bytes *frame, char *why,
                                      size_t room)
{
    struct stream_out *state = &out->state;
    uint64_t           now_ns = streams_now(streams);
    size_t             before = state->bytes;

    if (out->gone || out->peer != peer)
        return STREAMS_GONE;
    if (out->stranger_until_ns != 0) {
        if (now_ns >= out->stranger_until_ns)
            return STREAMS_GONE; /* another try, with another stream */
        snprintf(why, room, "%s does not acknowledge: it is no Troupe host, or cannot connect to %s",
                 peer->endpoint, out->reply_endpoint);
        return STREAMS_STRANGER;
    }
    if (!stream_out_has_room(state, frame->size) ||
        atomic_load_explicit(&streams->bytes, memory_order_relaxed) > STREAMS_BYTES_MAX)
        return STREAMS_FULL;
    if (wire_add_stream(frame, out->id, state->next) != 0)
        return STREAMS_TOO_LONG;
    follow_locked(out, now_ns);
    if (!stream_out_put(state, frame->data, frame->size, now_ns))
        return STREAMS_FULL;
    account_locked(streams, out, before);
    return STREAMS_KEPT;
}

/* "name@endpoint"; the one-shot names of an actor's questions are its own. */
static void write_target(const struct address *to, char *target)
{
    const char *name = address_name(to);
    const char *mark = strstr(name, ASK_MARK);
    snprintf(target, TARGET_ROOM, "%.*s@%s", mark != NULL ? (int)(mark - name) : (int)to->name_size,
             name, address_endpoint(to));
}

enum streams_answer streams_send(struct streams *streams, const struct address *to,
                                 struct peer *peer, const char *reply_endpoint,
                                 struct bytes *frame, char *why, size_t room)
{
    char             target[TARGET_ROOM];
    struct outgoing *evicted;
    uint64_t         due_ns = UINT64_MAX;

    write_target(to, target);
    struct outgoing *out = get(streams, target, peer, reply_endpoint, &evicted);
    if (UNLIKELY(evicted != NULL)) {
        discard(streams, evicted, "given up: too many other actors are sent to");
        outgoing_unref(evicted);
    }
    if (out == NULL)
        return STREAMS_FULL;

    lock_acquire(&out->lock);
    enum streams_answer answer = put_locked(streams, out, peer, frame, why, room);
    if (LIKELY(answer == STREAMS_KEPT))
        due_ns = pump_locked(streams, out) == PUMPED ? stream_out_due(&out->state) : 0;
    lock_release(&out->lock);

    if (UNLIKELY(answer == STREAMS_GONE))
        discard(streams, out, "given up: too many other hosts");
    streams_want(streams, &streams->out_wake_ns, due_ns);
    outgoing_unref(out);
    return answer;
}

/* ---- the gateway's thread ---- */

static void tell_drain(struct streams *streams)
{
    lock_acquire(&streams->lock);
    if (streams->draining)
        signal_all(&streams->changed);
    lock_release(&streams->lock);
}

/* Whoever is there knows no streams. The stream stays, to say so for a while. */
static void give_up_stranger(struct streams *streams, struct outgoing *out)
{
    char why[ADDRESS_ENDPOINT_LIMIT + 80];

    lock_acquire(&out->lock);
    struct stream_out taken = give_up_locked(streams, out);
    out->gone = false;
    out->stranger_until_ns = streams_now(streams) + STRANGER_NS;
    lock_release(&out->lock);

    uint64_t frames = taken.next - taken.base;
    snprintf(why, sizeof why, "never acknowledged: no Troupe host, or it cannot connect to %s",
             out->reply_endpoint);
    if (!atomic_exchange_explicit(&out->peer->streamless, true, memory_order_relaxed))
        log_warn("gateway: %s takes connections but acknowledges nothing: it is no Troupe host, "
                 "or cannot connect to %s; %llu message%s for it over reliable refs will not be "
                 "sent", out->peer->endpoint, out->reply_endpoint, (unsigned long long)frames,
                 frames == 1 ? "" : "s");
    lose(streams, out, &taken, why);
}

static void look_after(struct streams *streams, struct outgoing *out)
{
    lock_acquire(&out->lock);
    enum pumped pumped = out->gone ? PUMPED : pump_locked(streams, out);
    uint64_t    due_ns = stream_out_due(&out->state);
    lock_release(&out->lock);

    switch (pumped) {
    case PUMPED:
        streams_note(&streams->out_wake_ns, due_ns);
        break;
    case PUMPED_STRANGER:
        give_up_stranger(streams, out);
        break;
    case PUMPED_GONE:
        discard(streams, out, "given up: too many other hosts");
        break;
    }
}

void outgoing_tick(struct streams *streams)
{
    struct outgoing *all[STREAMS_OUT_MAX];

    atomic_store_explicit(&streams->out_wake_ns, UINT64_MAX, memory_order_seq_cst);
    unsigned count = get_all(streams, all);
    for (unsigned i = 0; i < count; i++) {
        look_after(streams, all[i]);
        outgoing_unref(all[i]);
    }
    tell_drain(streams);
}

void streams_ack_in(struct streams *streams, const struct stream_ack *ack)
{
    lock_acquire(&streams->lock);
    struct outgoing *out =
        map_find(&streams->by_id, (const char *)&ack->stream, sizeof ack->stream);
    if (out != NULL)
        outgoing_ref(out);
    lock_release(&streams->lock);
    if (out == NULL)
        return; /* of a stream that is over, or never was */

    lock_acquire(&out->lock);
    size_t before = out->state.bytes;
    if (!out->gone && stream_out_ack(&out->state, ack, streams_now(streams))) {
        streams_count(&streams->acks_in, 1);
        account_locked(streams, out, before);
    }
    lock_release(&out->lock);
    look_after(streams, out);
    outgoing_unref(out);
    tell_drain(streams);
}

bool outgoing_have_hope_locked(struct streams *streams)
{
    const struct map_entry *entry;
    size_t                  position = 0;
    bool                    hope = false;

    while (!hope && (entry = map_next(&streams->by_target, &position)) != NULL) {
        struct outgoing *out = entry->value;
        lock_acquire(&out->lock);
        hope = !stream_out_is_idle(&out->state) && peer_has_hope(out->peer);
        lock_release(&out->lock);
    }
    return hope;
}

unsigned streams_waiting(struct streams *streams)
{
    const struct map_entry *entry;
    size_t                  position = 0;
    unsigned                waiting = 0;

    lock_acquire(&streams->lock);
    while ((entry = map_next(&streams->by_target, &position)) != NULL) {
        struct outgoing *out = entry->value;
        lock_acquire(&out->lock);
        waiting += !stream_out_is_idle(&out->state);
        lock_release(&out->lock);
    }
    lock_release(&streams->lock);
    return waiting;
}

void outgoing_close_all(struct streams *streams, const char *why)
{
    struct outgoing *all[STREAMS_OUT_MAX];
    unsigned         count = get_all(streams, all);
    for (unsigned i = 0; i < count; i++) {
        discard(streams, all[i], why);
        outgoing_unref(all[i]);
    }
}
