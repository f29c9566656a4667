/*
 * stream_in.h -- the receiving end of one stream: what was received, what of it
 * is handled, and what is to be acknowledged when.
 *
 * Pure, as stream_out.h is. Frames are taken in order only. What is taken may be
 * handled in any order; `handled` is up to where there is no gap. At most
 * STREAM_WINDOW frames and STREAM_WINDOW_BYTES are taken and not yet handled.
 * When a frame finds no room behind this (a mailbox is full) it is refused: not
 * taken, and then credit is 0, until some of what was taken is handled or a
 * hello asks; from then on `open` frames are let in, fewer than before.
 *
 * Acknowledging is delayed a little, so that one $ack serves for many frames.
 */
#ifndef TROUPE_NET_STREAM_IN_H
#define TROUPE_NET_STREAM_IN_H

#include "net/stream.h"

#define STREAM_ACK_DELAY_NS (10 * NS_PER_MS)
#define STREAM_ACK_EVERY    32u /* handled frames, at the latest; or of bytes: */
#define STREAM_ACK_BYTES    (STREAM_WINDOW_BYTES / 8)
#define STREAM_OPEN_MIN     8u

struct stream_in {
    uint64_t id;
    uint64_t hello;    /* the last that was seen */
    uint64_t received, handled;
    uint64_t done[STREAM_WINDOW / 64]; /* bit N % STREAM_WINDOW, of handled + 1 to received */
    size_t   bytes;    /* received and not handled, so far as known */
    uint32_t open;     /* how many may be received and not handled */
    uint32_t run;      /* taken since `open` last changed */
    bool     refused;
    uint64_t refusals;

    uint64_t said_handled;
    size_t   unsaid;   /* bytes handled since */
    uint64_t due_ns;   /* the next $ack; 0: now, UINT64_MAX: none */
};

enum stream_verdict {
    STREAM_TAKE,      /* the one that is due: stream_in_take(), then perhaps stream_in_refuse() */
    STREAM_DUPLICATE, /* was here before */
    STREAM_AHEAD,     /* one before it is missing */
    STREAM_NO_ROOM,   /* the other side does not keep to its credit: refused */
};

/* A stream that nothing is known of but this hello. */
void stream_in_init(struct stream_in *stream, const struct stream_hello *hello);

/* A hello for it has come; it wants an answer now. False: an old one. */
bool stream_in_hello(struct stream_in *stream, const struct stream_hello *hello);

/* What to do with frame `number`. */
enum stream_verdict stream_in_judge(struct stream_in *stream, uint64_t number);
/* It is taken; before it can be handled. `weight` is its message's. */
void stream_in_take(struct stream_in *stream, size_t weight, uint64_t now_ns);
/* The one that was just taken was not delivered: as if it had never come.
 * Also for one that was not taken yet (`weight` 0, `taken` false). */
void stream_in_refuse(struct stream_in *stream, bool taken, size_t weight);

/* A taken frame was handled. Whether to acknowledge at once. */
bool stream_in_over(struct stream_in *stream, uint64_t number, size_t weight);

/* What is to be acknowledged; and that it was. */
struct stream_ack stream_in_ack(const struct stream_in *stream, uint64_t epoch);
void stream_in_said(struct stream_in *stream);

static inline bool stream_in_is_idle(const struct stream_in *stream)
{
    return stream->handled == stream->received;
}

#endif
