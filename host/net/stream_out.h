/*
 * stream_out.h -- the sending end of one stream: what it keeps, and what is to
 * be said next.
 *
 * Pure: it knows no socket, no lock and no clock. Its owner tells it what
 * happened and at what time, asks stream_out_step() what to do, does that, and
 * says how it went with stream_out_did().
 *
 * Frames are kept until they are acknowledged as handled, at most
 * `frames_limit` and `bytes_limit`. The other side has STREAM_PATIENCE_NS to
 * answer the first hello ever: who does not knows no streams. Later one that is
 * silent for STREAM_SILENCE_NS although asked is given a new connection.
 */
#ifndef TROUPE_NET_STREAM_OUT_H
#define TROUPE_NET_STREAM_OUT_H

#include "net/stream.h"

#define STREAM_RETRY_NS     (300 * NS_PER_MS) /* without news: a hello; then twice as long, */
#define STREAM_RETRY_MAX_NS (2 * NS_PER_SEC)  /* up to this */
#define STREAM_PATIENCE_NS  (5 * NS_PER_SEC)
#define STREAM_SILENCE_NS   (3 * NS_PER_SEC)

struct stream_frame {
    struct stream_frame *next;
    size_t               size;
    uint8_t              bytes[];
};

struct stream_out {
    uint64_t id;
    size_t   frames_limit, bytes_limit;

    struct stream_frame *head, *tail; /* numbers base to next - 1 */
    struct stream_frame *unsent;      /* number `at`; NULL: all were sent */
    uint64_t base, at, next;
    uint64_t top;       /* the highest number that was ever sent */
    size_t   bytes;     /* kept */
    size_t   flying;    /* of base to at - 1 */

    bool     connected;
    bool     acquainted; /* it has acknowledged something, once */
    uint64_t epoch;      /* of the other side, when it did so last; 0: never */
    uint64_t received;   /* up to here, it says */
    uint64_t allowed;    /* up to here it takes frames */
    uint64_t refusals;   /* its count of them */
    uint64_t hellos;     /* sent; the number of the last */
    uint64_t greeting;   /* the first one of this connection */
    uint64_t heard;      /* the last one that was answered */
    uint64_t probed;     /* `at` when the last was sent */

    uint64_t asked_ns;   /* when the first unanswered hello was due; 0: all answered */
    uint64_t due_ns;     /* the next hello */
    uint64_t retry_ns;
};

enum stream_step {
    STREAM_NOTHING,   /* until stream_out_due() */
    STREAM_SAY_HELLO, /* stream_out_hello() */
    STREAM_SEND,      /* the frame `unsent` */
    STREAM_RECONNECT, /* the connection is dead, whatever TCP says */
    STREAM_STRANGER,  /* it knows no streams: give up */
};

void stream_out_init(struct stream_out *stream, uint64_t id, size_t frames_limit,
                     size_t bytes_limit);
/* Frees what is kept. */
void stream_out_fini(struct stream_out *stream);

static inline bool stream_out_is_idle(const struct stream_out *stream)
{
    return stream->head == NULL;
}

/* Keeps a copy of the frame under the number stream->next. False: there is no
 * room, or no memory. */
bool stream_out_put(struct stream_out *stream, const void *frame, size_t size, uint64_t now_ns);
static inline bool stream_out_has_room(const struct stream_out *stream, size_t size)
{
    return stream->next - stream->base < stream->frames_limit &&
           stream->bytes + size <= stream->bytes_limit;
}

/* A new connection is up; it is down. */
void stream_out_connected(struct stream_out *stream, uint64_t now_ns);
void stream_out_lost(struct stream_out *stream);

/* An $ack for this stream has come. False: it cannot be true, and was ignored. */
bool stream_out_ack(struct stream_out *stream, const struct stream_ack *ack, uint64_t now_ns);

/* What to do now. Changes nothing. */
enum stream_step stream_out_step(const struct stream_out *stream, uint64_t now_ns);
/* That was done (HELLO, SEND, RECONNECT), or (`done` false) had no room. */
void stream_out_did(struct stream_out *stream, enum stream_step step, bool done, uint64_t now_ns);
/* When something will have to be done if nothing happens: UINT64_MAX: never. */
uint64_t stream_out_due(const struct stream_out *stream);

/* All of the hello that is to be said now, but for `to`. */
struct stream_hello stream_out_hello(const struct stream_out *stream);

#endif
