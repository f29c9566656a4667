/*
 * streams.h -- the port to what brings lines, chunks and connections to actors.
 *
 * A stream belongs to one actor and sends it items (MESSAGE_ITEM), as far as
 * the actor keeps up: at most `window` of them are unhandled at any time. At
 * last comes one notice of its end (MESSAGE_STREAM). A connection also says
 * that it has opened, and brings nothing until that notice was handled.
 *
 * The port is filled by io/ and used by script/, which never meet. Streams are
 * known by numbers that are never used twice. Any thread, unless it says else.
 */
#ifndef TROUPE_ACTOR_STREAMS_H
#define TROUPE_ACTOR_STREAMS_H

#include "base/bytes.h"
#include "message/message.h"

typedef uint64_t stream_id;

enum stream_kind {
    STREAM_LINES,     /* of a file; "-" is the standard input */
    STREAM_PROCESS,   /* a child process: its output, and its input to write to */
    STREAM_LISTEN,    /* brings connections, which are streams of their own */
    STREAM_CONNECT,   /* one connection to elsewhere */
    STREAM_SUBSCRIBE, /* frames of a publisher */
};

enum stream_errors { ERRORS_INHERIT, ERRORS_LINES, ERRORS_NONE }; /* a child's stderr */

#define STREAM_WINDOW_DEFAULT 256
#define STREAM_WINDOW_MAX     1000000
#define STREAM_WINDOW_BYTES   (1u << 20) /* of unhandled items; but one may always be on its way */
#define STREAM_LIMIT_DEFAULT  (1u << 20)
#define STREAM_BUFFER_DEFAULT (1u << 20)
#define STREAM_CONNECTIONS_DEFAULT 10000

/* What to open; all texts are borrowed for the call. */
struct stream_request {
    enum stream_kind kind;
    const char *target;           /* a path, or a normalised endpoint */
    const char *const *arguments; /* PROCESS: NULL-terminated, the program first */
    const char *folder;           /* PROCESS: where it runs; NULL: here */
    enum stream_errors errors;    /* PROCESS */
    const char *prefix;           /* SUBSCRIBE */
    size_t      prefix_size;
    actor_id    owner;
    type_id     item, opened, ended; /* of the messages */
    uint32_t    window;           /* items; 1 to STREAM_WINDOW_MAX */
    size_t      limit;            /* bytes of one item */
    size_t      buffer;           /* bytes that may wait to be written */
    bool        chunks;           /* bytes as they come, not lines */
    bool        half_open;        /* a connection stays open for writing when nothing more comes */
    uint32_t    connections;      /* LISTEN: at once */
};

enum stream_answer {
    STREAM_OK,
    STREAM_FULL,    /* no room in its buffer */
    STREAM_PARKED,  /* the same, and a MESSAGE_WAKE for the wait will come: try again then */
    STREAM_GONE,    /* it can be written to no more */
    STREAM_MUTE,    /* it never could be written to */
    STREAM_NOT_YOURS, /* it belongs to another actor, or has ended */
};

struct stream_port {
    void *context;
    /* 0 and *id, or -errno and a sentence in `why`. */
    int (*open)(void *context, const struct stream_request *request, stream_id *id, char *why,
                size_t room);
    /* Writes all of the bytes, or none: what does not go out at once waits in the
     * stream's buffer. With a `wait` the actor `waiter` is woken after PARKED. */
    enum stream_answer (*write)(void *context, stream_id id, const void *bytes, size_t size,
                                actor_id waiter, uint64_t wait);
    /* Nothing more will be written: the other side reads the end after what is buffered. */
    enum stream_answer (*shut_down)(void *context, stream_id id);
    /* No item of it is handled from now on; what is buffered is still written
     * out, within a bounded time. False: it has ended. */
    bool (*close)(void *context, stream_id id);
    /* From now on what it brings goes to `to`, first of all the notice of its
     * opening: OK, or NOT_YOURS. That actor's has_streams must be set before. */
    enum stream_answer (*hand_over)(void *context, stream_id id, actor_id from, actor_id to);
    /* Writes what it is ("tcp://127.0.0.1:5001") into `text`, and into `address`
     * where it is (a listener) or where it leads (a connection), or "". False:
     * it has ended. */
    bool (*describe)(void *context, stream_id id, char *text, size_t room, char *address,
                     size_t address_room);
    /* The incarnation of this actor has ended: so do all its streams, without a word. */
    void (*abandon)(void *context, actor_id owner);
    /* Whether an ITEM or NOTICE that was taken from a mailbox is still wanted. */
    bool (*admits)(const struct message *message);
    /* Appends a packed map of what it has counted. */
    void (*measure)(void *context, struct bytes *packed);
    /* Without a thread: does what can be done at once, after waiting at most
     * `wait_ms` for something to do. Whether it did anything. Only on the stage. */
    bool (*step)(void *context, unsigned wait_ms);
};

#endif
