/*
 * stream_in.c -- the receiving end of one stream.
 */
#include "net/stream_in.h"

#include <string.h>

static uint64_t bit_of(uint64_t number) { return UINT64_C(1) << number % 64; }

static uint64_t *word_of(struct stream_in *stream, uint64_t number)
{
    return &stream->done[number % STREAM_WINDOW / 64];
}

/* Moves `handled` on over what is done. */
static void advance(struct stream_in *stream)
{
    while (stream->handled < stream->received) {
        uint64_t  next = stream->handled + 1;
        uint64_t *word = word_of(stream, next);
        if (!(*word & bit_of(next)))
            return;
        *word &= ~bit_of(next);
        stream->handled = next;
    }
}

void stream_in_init(struct stream_in *stream, const struct stream_hello *hello)
{
    *stream = (struct stream_in){
        .id = hello->stream,
        .hello = hello->hello,
        .received = hello->base - 1,
        .handled = hello->base - 1,
        .said_handled = hello->base - 1,
        .open = STREAM_WINDOW,
        .due_ns = 0,
    };
}

/* The other side has heard from somebody (from who was here before us) that all
 * before `base` is handled, and holds it no more. */
static void skip_to(struct stream_in *stream, uint64_t base)
{
    if (base - 1 >= stream->received) {
        memset(stream->done, 0, sizeof stream->done);
        stream->received = stream->handled = base - 1;
        return;
    }
    while (stream->handled < base - 1) {
        stream->handled++;
        *word_of(stream, stream->handled) &= ~bit_of(stream->handled);
    }
    advance(stream);
}

bool stream_in_hello(struct stream_in *stream, const struct stream_hello *hello)
{
    if (hello->hello <= stream->hello)
        return false;
    stream->hello = hello->hello;
    if (hello->base > stream->handled + 1)
        skip_to(stream, hello->base);
    stream->refused = false;
    stream->due_ns = 0;
    return true;
}

enum stream_verdict stream_in_judge(struct stream_in *stream, uint64_t number)
{
    if (number <= stream->received)
        return STREAM_DUPLICATE;
    if (number > stream->received + 1)
        return STREAM_AHEAD;
    /* The other side counts the bytes of frames; packed they may be more. */
    if (stream->received - stream->handled >= STREAM_WINDOW ||
        stream->bytes > 4 * STREAM_WINDOW_BYTES)
        return STREAM_NO_ROOM;
    return STREAM_TAKE;
}

void stream_in_take(struct stream_in *stream, size_t weight, uint64_t now_ns)
{
    stream->received++;
    stream->bytes += weight;
    if (++stream->run >= stream->open && stream->open < STREAM_WINDOW) {
        stream->open = stream->open * 2 < STREAM_WINDOW ? stream->open * 2 : STREAM_WINDOW;
        stream->run = 0;
    }
    if (stream->due_ns == UINT64_MAX)
        stream->due_ns = now_ns + STREAM_ACK_DELAY_NS;
}

void stream_in_refuse(struct stream_in *stream, bool taken, size_t weight)
{
    if (taken) {
        stream->received--;
        stream->bytes -= weight;
    }
    if (!stream->refused) {
        stream->open = stream->open / 2 > STREAM_OPEN_MIN ? stream->open / 2 : STREAM_OPEN_MIN;
        stream->run = 0;
    }
    stream->refused = true;
    stream->refusals++;
    stream->due_ns = 0;
}

bool stream_in_over(struct stream_in *stream, uint64_t number, size_t weight)
{
    stream->bytes -= weight;
    stream->unsaid += weight;
    if (number <= stream->handled || number > stream->received)
        return false; /* it was skipped meanwhile */
    *word_of(stream, number) |= bit_of(number);
    advance(stream);

    /* Somebody waits for credit; or no $ack would come by itself any more. */
    bool now = stream->refused || stream->handled - stream->said_handled >= STREAM_ACK_EVERY ||
               (stream->unsaid >= STREAM_ACK_BYTES && stream->handled > stream->said_handled) ||
               (stream->due_ns == UINT64_MAX && stream->handled == stream->received);
    stream->refused = false;
    if (now)
        stream->due_ns = 0;
    return now;
}

struct stream_ack stream_in_ack(const struct stream_in *stream, uint64_t epoch)
{
    uint64_t unhandled = stream->received - stream->handled;
    bool     room = !stream->refused && unhandled < stream->open;
    return (struct stream_ack){
        .stream = stream->id,
        .hello = stream->hello,
        .epoch = epoch,
        .handled = stream->handled,
        .received = stream->received,
        .refusals = stream->refusals,
        .credit = room ? (uint32_t)(stream->open - unhandled) : 0,
    };
}

void stream_in_said(struct stream_in *stream)
{
    stream->said_handled = stream->handled;
    stream->unsaid = 0;
    stream->due_ns = UINT64_MAX;
}
