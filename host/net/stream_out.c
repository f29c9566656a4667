/*
 * stream_out.c -- the sending end of one stream.
 */
#include "net/stream_out.h"

#include "base/memory.h"
#include "message/wire.h"

#include <string.h>

void stream_out_init(struct stream_out *stream, uint64_t id, size_t frames_limit,
                     size_t bytes_limit)
{
    *stream = (struct stream_out){
        .id = id,
        .frames_limit = frames_limit,
        .bytes_limit = bytes_limit,
        .base = 1,
        .at = 1,
        .next = 1,
        .retry_ns = STREAM_RETRY_NS,
    };
}

static void forget_first(struct stream_out *stream)
{
    struct stream_frame *first = stream->head;
    stream->head = first->next;
    if (stream->head == NULL)
        stream->tail = NULL;
    stream->bytes -= first->size;
    if (stream->base < stream->at) {
        stream->flying -= first->size;
    } else { /* handled in an epoch that was thought lost, and not sent again */
        stream->at++;
        stream->unsent = first->next;
    }
    stream->base++;
    memory_put(first, sizeof *first + first->size);
}

void stream_out_fini(struct stream_out *stream)
{
    while (stream->head != NULL)
        forget_first(stream);
}

static bool is_open(const struct stream_out *stream)
{
    return stream->connected && stream->heard >= stream->greeting;
}

/* There was news: the next hello is due when there has been none for a while. */
static void rest(struct stream_out *stream, uint64_t now_ns)
{
    stream->retry_ns = STREAM_RETRY_NS;
    stream->due_ns = now_ns + STREAM_RETRY_NS;
}

bool stream_out_put(struct stream_out *stream, const void *frame, size_t size, uint64_t now_ns)
{
    if (!stream_out_has_room(stream, size) || stream->next > (uint64_t)WIRE_SEQUENCE_MAX)
        return false;
    struct stream_frame *kept = memory_get(sizeof *kept + size);
    if (kept == NULL)
        return false;
    kept->next = NULL;
    kept->size = size;
    memcpy(kept->bytes, frame, size);

    if (stream_out_is_idle(stream)) {
        stream->asked_ns = 0; /* nobody waited for an answer */
        rest(stream, now_ns);
        if (!is_open(stream))
            stream->due_ns = now_ns;
    }
    if (stream->tail == NULL)
        stream->head = kept;
    else
        stream->tail->next = kept;
    stream->tail = kept;
    if (stream->unsent == NULL)
        stream->unsent = kept;
    stream->bytes += size;
    stream->next++;
    return true;
}

void stream_out_connected(struct stream_out *stream, uint64_t now_ns)
{
    stream->connected = true;
    stream->greeting = stream->hellos + 1;
    stream->asked_ns = 0;
    stream->due_ns = now_ns;
    stream->retry_ns = STREAM_RETRY_NS;
}

void stream_out_lost(struct stream_out *stream)
{
    stream->connected = false;
}

/* Sends again from the number `from`, which is kept. */
static void go_back(struct stream_out *stream, uint64_t from)
{
    if (from >= stream->at)
        return;
    stream->flying = 0;
    stream->unsent = stream->head;
    for (stream->at = stream->base; stream->at < from; stream->at++) {
        stream->flying += stream->unsent->size;
        stream->unsent = stream->unsent->next;
    }
}

/* What the ack says of frames that are on their way. */
static void take_in(struct stream_out *stream, const struct stream_ack *ack)
{
    bool refused = ack->refusals != stream->refusals;

    stream->received = ack->received;
    stream->allowed = ack->received + ack->credit;
    stream->refusals = ack->refusals;
    if (refused || (ack->hello == stream->hellos && ack->received + 1 < stream->probed))
        go_back(stream, ack->received + 1);
}

bool stream_out_ack(struct stream_out *stream, const struct stream_ack *ack, uint64_t now_ns)
{
    if (ack->received >= stream->next || ack->hello > stream->hellos || ack->hello == 0)
        return false;

    bool news = ack->handled >= stream->base;
    while (stream->base <= ack->handled)
        forget_first(stream);

    if (ack->epoch != stream->epoch) {
        /* Only who answers a hello of this connection is there now; anybody
         * else has ended, and we read his last words. */
        if (!stream->connected || ack->hello < stream->greeting)
            return true;
        stream->epoch = ack->epoch;
        stream->acquainted = true;
        stream->received = stream->allowed = 0;
        stream->refusals = ack->refusals;
        go_back(stream, ack->received + 1 > stream->base ? ack->received + 1 : stream->base);
        news = true;
    }
    /* Less than before: from elsewhen, or it has forgotten the stream meanwhile. */
    if (ack->received >= stream->received || ack->hello == stream->hellos) {
        news |= ack->received > stream->received || ack->received + ack->credit > stream->allowed;
        take_in(stream, ack);
    }
    if (ack->hello > stream->heard)
        stream->heard = ack->hello;
    stream->asked_ns = 0;
    if (news)
        rest(stream, now_ns);
    return true;
}

enum stream_step stream_out_step(const struct stream_out *stream, uint64_t now_ns)
{
    if (!stream->connected || stream_out_is_idle(stream))
        return STREAM_NOTHING;
    if (stream->asked_ns != 0) {
        uint64_t silence_ns = now_ns - stream->asked_ns;
        if (!stream->acquainted && silence_ns >= STREAM_PATIENCE_NS)
            return STREAM_STRANGER;
        if (stream->acquainted && silence_ns >= STREAM_SILENCE_NS)
            return STREAM_RECONNECT;
    }
    if (now_ns >= stream->due_ns)
        return STREAM_SAY_HELLO;
    if (is_open(stream) && stream->unsent != NULL && stream->at <= stream->allowed &&
        (stream->flying == 0 || stream->flying + stream->unsent->size <= STREAM_WINDOW_BYTES))
        return STREAM_SEND;
    return STREAM_NOTHING;
}

void stream_out_did(struct stream_out *stream, enum stream_step step, bool done, uint64_t now_ns)
{
    switch (step) {
    case STREAM_SEND:
        if (!done)
            return; /* its owner is told when there is room */
        stream->flying += stream->unsent->size;
        stream->unsent = stream->unsent->next;
        if (stream->at > stream->top)
            stream->top = stream->at;
        stream->at++;
        return;
    case STREAM_SAY_HELLO:
        if (stream->asked_ns == 0)
            stream->asked_ns = now_ns;
        stream->due_ns = now_ns + stream->retry_ns;
        if (!done)
            return;
        stream->hellos++;
        stream->probed = stream->at;
        stream->retry_ns = stream->retry_ns * 2 < STREAM_RETRY_MAX_NS ? stream->retry_ns * 2
                                                                      : STREAM_RETRY_MAX_NS;
        return;
    case STREAM_RECONNECT:
        stream_out_lost(stream);
        return;
    case STREAM_NOTHING:
    case STREAM_STRANGER:
        return;
    }
}

uint64_t stream_out_due(const struct stream_out *stream)
{
    if (!stream->connected || stream_out_is_idle(stream))
        return UINT64_MAX;
    uint64_t due_ns = stream->due_ns;
    if (stream->asked_ns != 0) {
        uint64_t end_ns = stream->asked_ns +
                          (stream->acquainted ? STREAM_SILENCE_NS : STREAM_PATIENCE_NS);
        if (end_ns < due_ns)
            due_ns = end_ns;
    }
    return due_ns;
}

struct stream_hello stream_out_hello(const struct stream_out *stream)
{
    return (struct stream_hello){
        .stream = stream->id,
        .hello = stream->hellos + 1,
        .base = stream->base,
        .heard = stream->heard,
    };
}
