/*
 * streams_in.c -- incoming streams: the table of them, what is let in, and the
 * acknowledging.
 *
 * Lifetimes. The table holds one reference; each message that is not over holds
 * another, for it may outlive the gateway; so does the list of those with
 * something to acknowledge. A stream that is out of the table has no home.
 */
#include "net/streams_room.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* A host that has just begun may not have all its actors yet. */
#define SETTLING_NS (2 * NS_PER_SEC)

/* So many hellos with no answer heard: what we answer does not get there. */
#define UNHEARD_HELLOS 3

struct incoming {
    _Atomic unsigned references;

    struct lock      lock;
    struct stream_in state;       /* guarded by lock */
    struct streams  *home;        /* guarded by lock; NULL: out of the table */

    bool             listed;      /* guarded by streams->due_lock */
    struct incoming *due_next;    /* guarded by streams->due_lock */

    /* The gateway's thread: */
    struct incoming *newer, *older;
    char             to[ADDRESS_ENDPOINT_LIMIT];
};

static void incoming_unref(struct incoming *in)
{
    /* Release, so that others' use is over; acquire, so that we see it. */
    if (atomic_fetch_sub_explicit(&in->references, 1, memory_order_acq_rel) != 1)
        return;
    lock_fini(&in->lock);
    memory_put(in, sizeof *in);
}

static void incoming_ref(struct incoming *in)
{
    atomic_fetch_add_explicit(&in->references, 1, memory_order_relaxed);
}

/* ---- acknowledging ---- */

/* It has something to acknowledge, now or later. Any thread; its lock may be held. */
static void enlist(struct streams *streams, struct incoming *in)
{
    spin_acquire(&streams->due_lock);
    if (!in->listed) {
        in->listed = true;
        in->due_next = streams->due;
        streams->due = in;
        incoming_ref(in);
    }
    spin_release(&streams->due_lock);
}

/* The peer to answer to, with a reference. NULL: there is none yet, or may be no
 * more now: the other side will say hello again. */
static struct peer *way_to(struct streams *streams, const char *endpoint)
{
    char         why[160];
    struct peer *peer = peers_find(streams->options.peers, endpoint);
    if (LIKELY(peer != NULL))
        return peer;

    if (address_endpoint_is_numeric(endpoint))
        return peers_get_answered(streams->options.peers, endpoint, endpoint, why, sizeof why);
    streams->options.look_up(streams->options.context, endpoint);
    return NULL;
}

/* Sends an $ack, if the connection there is up; else it stays due, and is sent
 * when it is. The gateway's thread, with the stream's lock. */
static void say_locked(struct streams *streams, struct incoming *in)
{
    struct stream_ack ack = stream_in_ack(&in->state, streams->epoch);
    struct bytes      frame;

    in->state.due_ns = 0;
    bytes_init(&frame, 0);
    struct peer *peer = way_to(streams, in->to);
    if (peer != NULL && stream_write_ack(&ack, &frame) == 0 &&
        peer_send_now(peer, frame.data, frame.size) == PEER_SENT) {
        stream_in_said(&in->state);
        streams_count(&streams->acks_out, 1);
    }
    peer_unref(peer);
    bytes_fini(&frame);
}

static void say(struct streams *streams, struct incoming *in)
{
    lock_acquire(&in->lock);
    say_locked(streams, in);
    lock_release(&in->lock);
}

/* A message has come to its end (a message_receipt's `over`). Any thread. */
static void frame_over(void *context, uint64_t number, size_t weight, bool handled)
{
    struct incoming *in = context;

    lock_acquire(&in->lock);
    struct streams *streams = in->home;
    /* What a host that stops could not handle any more is not acknowledged:
     * it comes again when the host does. */
    if (streams != NULL &&
        (handled || !atomic_load_explicit(&streams->options.system->inlet_closed,
                                          memory_order_acquire)) &&
        stream_in_over(&in->state, number, weight)) {
        enlist(streams, in);
        streams_want(streams, &streams->in_wake_ns, 0);
    }
    lock_release(&in->lock);
    incoming_unref(in);
}

/* One that was enlisted, with the list's reference, or NULL. It stays `listed`. */
static struct incoming *take_due(struct streams *streams)
{
    spin_acquire(&streams->due_lock);
    struct incoming *in = streams->due;
    if (in != NULL)
        streams->due = in->due_next;
    spin_release(&streams->due_lock);
    return in;
}

static void put_back(struct streams *streams, struct incoming *list)
{
    while (list != NULL) {
        struct incoming *in = list;
        list = in->due_next;
        spin_acquire(&streams->due_lock);
        in->due_next = streams->due;
        streams->due = in;
        spin_release(&streams->due_lock);
    }
}

/* Says what it has to say if it is time. Whether it is to be looked at later. */
static bool look_after(struct streams *streams, struct incoming *in)
{
    lock_acquire(&in->lock);
    uint64_t due_ns = in->home != NULL ? in->state.due_ns : UINT64_MAX;
    bool     now = due_ns <= streams_now(streams);
    if (now)
        say_locked(streams, in);
    lock_release(&in->lock);
    if (!now)
        streams_note(&streams->in_wake_ns, due_ns);
    return !now && due_ns != UINT64_MAX;
}

void incoming_tick(struct streams *streams, bool all)
{
    struct incoming *in, *later = NULL;

    atomic_store_explicit(&streams->in_wake_ns, UINT64_MAX, memory_order_seq_cst);
    while ((in = take_due(streams)) != NULL) {
        if (look_after(streams, in)) {
            in->due_next = later;
            later = in;
            continue;
        }
        spin_acquire(&streams->due_lock);
        in->listed = false;
        spin_release(&streams->due_lock);
        incoming_unref(in);
    }
    put_back(streams, later);

    /* And those who could not be told: their connection may be up now. */
    for (in = all ? streams->newest : NULL; in != NULL; in = in->older) {
        lock_acquire(&in->lock);
        if (in->state.due_ns == 0)
            say_locked(streams, in);
        lock_release(&in->lock);
    }
}

/* ---- the table ---- */

static void unlink_incoming(struct streams *streams, struct incoming *in)
{
    *(in->newer != NULL ? &in->newer->older : &streams->newest) = in->older;
    *(in->older != NULL ? &in->older->newer : &streams->oldest) = in->newer;
}

static void link_newest(struct streams *streams, struct incoming *in)
{
    in->newer = NULL;
    in->older = streams->newest;
    *(in->older != NULL ? &in->older->newer : &streams->oldest) = in;
    streams->newest = in;
}

static void forget(struct streams *streams, struct incoming *in)
{
    unlink_incoming(streams, in);
    map_remove(&streams->in_by_id, (const char *)&in->state.id, sizeof in->state.id);
    lock_acquire(&in->lock);
    in->home = NULL;
    lock_release(&in->lock);
    incoming_unref(in);
}

static struct incoming *find(struct streams *streams, uint64_t id)
{
    struct incoming *in = map_find(&streams->in_by_id, (const char *)&id, sizeof id);
    if (in != NULL && in != streams->newest) {
        unlink_incoming(streams, in);
        link_newest(streams, in);
    }
    return in;
}

/* The one unused longest gives way; but nobody whose messages are still here. */
static bool make_room(struct streams *streams)
{
    if (streams->in_by_id.count < STREAMS_IN_MAX)
        return true;
    struct incoming *in = streams->oldest;
    for (; in != NULL; in = in->newer) {
        lock_acquire(&in->lock);
        bool idle = stream_in_is_idle(&in->state);
        lock_release(&in->lock);
        if (idle)
            break;
    }
    if (in == NULL)
        return false;
    forget(streams, in);
    return true;
}

static struct incoming *add(struct streams *streams, const struct stream_hello *hello)
{
    if (!make_room(streams))
        return NULL;
    struct incoming *in = memory_get_zeroed(sizeof *in);
    if (in == NULL)
        return NULL;
    atomic_init(&in->references, 1);
    lock_init(&in->lock);
    stream_in_init(&in->state, hello);
    in->home = streams;
    if (map_set(&streams->in_by_id, (const char *)&hello->stream, sizeof hello->stream, in) != 0) {
        incoming_unref(in);
        return NULL;
    }
    link_newest(streams, in);
    return in;
}

void incoming_close_all(struct streams *streams)
{
    struct incoming *in;
    while ((in = streams->newest) != NULL) {
        lock_acquire(&in->lock);
        if (in->state.due_ns != UINT64_MAX)
            say_locked(streams, in); /* the last words */
        lock_release(&in->lock);
        forget(streams, in);
    }
    while ((in = take_due(streams)) != NULL)
        incoming_unref(in);
}

/* ---- what comes in ---- */

/* The other side goes on asking though we answer: the way there is dead. */
static void renew_way(struct streams *streams, const struct incoming *in)
{
    struct peer *peer = peers_find(streams->options.peers, in->to);
    if (peer != NULL)
        peer_reconnect(peer, peer_connection(peer), streams_now(streams));
    peer_unref(peer);
}

void streams_hello_in(struct streams *streams, const struct stream_hello *hello, const char *to)
{
    struct incoming *in = find(streams, hello->stream);
    bool             fresh = true;

    if (in == NULL) {
        in = add(streams, hello);
    } else {
        lock_acquire(&in->lock);
        fresh = stream_in_hello(&in->state, hello);
        lock_release(&in->lock);
    }
    if (in == NULL || !fresh)
        return;
    snprintf(in->to, sizeof in->to, "%s", to);
    if (hello->hello > hello->heard + UNHEARD_HELLOS)
        renew_way(streams, in);
    say(streams, in);
}

/* Whether whoever the frame is for can get it, or never will. */
static bool is_expected_soon(struct streams *streams, const char *receiver)
{
    struct system *system = streams->options.system;
    return streams_now(streams) - streams->began_ns < SETTLING_NS &&
           strstr(receiver, "/ask#") == NULL &&
           registry_find_name(&system->registry, receiver, strlen(receiver)) == 0;
}

bool streams_frame_in(struct streams *streams, const struct wire_envelope *envelope,
                      size_t weight, struct message_receipt *receipt)
{
    struct incoming *in = find(streams, envelope->stream);
    if (in == NULL) { /* from before we were there: its stream will greet us */
        streams_count(&streams->out_of_order, 1);
        return false;
    }
    if (atomic_load_explicit(&streams->options.system->inlet_closed, memory_order_acquire))
        return false;
    bool too_soon = is_expected_soon(streams, envelope->receiver);

    lock_acquire(&in->lock);
    enum stream_verdict verdict = stream_in_judge(&in->state, envelope->sequence);
    if (verdict == STREAM_TAKE && UNLIKELY(too_soon))
        verdict = STREAM_NO_ROOM;
    switch (verdict) {
    case STREAM_TAKE:
        stream_in_take(&in->state, weight, streams_now(streams));
        *receipt = (struct message_receipt){ frame_over, in, in->state.received, weight };
        incoming_ref(in);
        enlist(streams, in);
        streams_note(&streams->in_wake_ns, in->state.due_ns);
        break;
    case STREAM_DUPLICATE:
        streams_count(&streams->duplicates, 1);
        break;
    case STREAM_AHEAD:
        streams_count(&streams->out_of_order, 1);
        break;
    case STREAM_NO_ROOM:
        stream_in_refuse(&in->state, false, 0);
        say_locked(streams, in);
        break;
    }
    lock_release(&in->lock);
    return verdict == STREAM_TAKE;
}

void streams_refuse(struct streams *streams, const struct message_receipt *receipt, size_t weight)
{
    struct incoming *in = receipt->context;
    lock_acquire(&in->lock);
    stream_in_refuse(&in->state, true, weight);
    say_locked(streams, in);
    lock_release(&in->lock);
    incoming_unref(in);
}
