/*
 * io_room.h -- what the files of io/ share: the streams, the loop that serves
 * them, and which thread may touch what. Not for other rooms.
 */
#ifndef TROUPE_IO_IO_ROOM_H
#define TROUPE_IO_IO_ROOM_H

#include "io/io.h"

#include "base/thread.h"

#include <sys/types.h>

#define IO_SLICE (64 * 1024) /* read at once from one stream, before the others have their turn */

#define IO_NEVER UINT64_MAX
#define IO_CHILD_PATIENCE_NS (2 * NS_PER_SEC)  /* between SIGTERM and SIGKILL */
#define IO_LINGER_NS         (5 * NS_PER_SEC)  /* for what is buffered when a connection is closed */
#define IO_CONNECT_NS        (10 * NS_PER_SEC)
#define IO_RETRY_NS          (10 * NS_PER_MS)  /* when there was no memory */

/* A send that waits for room in a stream's buffer. One for each actor. */
struct io_waiter {
    struct io_waiter *next;
    struct message   *wake;
};

enum io_phase {
    IO_CONNECTING,
    IO_FLOWING,
    IO_ENDED,   /* nothing more will be read; then the notice of the end is sent */
    IO_TOLD,    /* that was sent */
    IO_CLOSING, /* what is buffered still leaves, the child ends */
};

/* Counted: by the table, by each unhandled message, by whoever holds it for a moment. */
struct io_stream {
    _Atomic uint32_t references;
    struct io       *io;
    stream_id        id;
    enum stream_kind kind;
    /* Fixed when it is made: */
    type_id  item, opened, ended;
    uint32_t window;
    size_t   limit, buffer;
    bool     chunks, half_open, accepted;
    enum stream_errors errors;
    char    *name;                /* owned: path, command or endpoint */
    struct io_stream *listener;   /* a connection: counted; it gave the credit for its opening */
    uint32_t connections_limit;

    /* Any thread: */
    _Atomic actor_id owner;       /* 0: none any more */
    _Atomic uint32_t unhandled;   /* items at the actor */
    _Atomic uint64_t unhandled_bytes;
    _Atomic bool     starved;     /* wants to be told when there is credit again: */
    _Atomic uint32_t resume_at;   /* at so many unhandled */
    _Atomic bool     close_asked; /* by its actor: nothing is handled any more */
    _Atomic bool     abandoned;   /* by its actor's end: not even the notice */
    _Atomic uint32_t owners;      /* that are to be told of its opening: the last of so many */
    _Atomic uint32_t owners_heard; /* and the last that has handled the notice */
    _Atomic bool     end_handled;
    _Atomic uint32_t connections; /* of a listener */

    struct lock lock;
    int      in;                  /* descriptor; written by the loop, under lock */
    int      out;                 /* the same as `in`, or another; guarded by lock */
    bool     writable;            /* guarded by lock, as all to `address` */
    bool     out_connecting;
    bool     shut_asked;          /* `out` is to be shut when all is written */
    bool     shut;                /* it was, or broke: nothing can be written any more */
    bool     mute;                /* it cannot be written to at all */
    struct bytes unsent;          /* from unsent_at on */
    size_t   unsent_at;
    struct io_waiter *waiters;
    pid_t    child;               /* 0: none, or it was waited for; written by the loop */
    char     address[160];        /* where it is or leads */

    /* The loop's own: */
    enum io_phase phase;
    bool     readable;            /* reading may bring something */
    int      refused;             /* why connect() failed at once */
    bool     begun;               /* its descriptors are watched */
    uint32_t owners_told;
    bool     end_told;
    bool     eof;                 /* nothing more can be read: `rest` is all there is */
    bool     parked;              /* its last item waits for room in the mailbox */
    bool     failed;              /* the descriptor is of no use any more */
    bool     blocking;            /* it may block: ask poll() before each read */
    bool     terminal;            /* and is read only in the foreground */
    bool     is_stdin;            /* fixed when it is made */
    bool     plain;               /* a regular file: always readable, never watched */
    unsigned cold;                /* how often its next bytes were not in memory */
    bool     drained;             /* of a closing connection: the other side has ended, too */
    struct bytes rest;            /* read, and not yet delivered; from rest_at on */
    size_t   rest_at;
    char     reason[160];         /* of the end */
    uint64_t due_ns;              /* when to look again by itself */
    void    *packets;             /* of SUBSCRIBE */
    struct bytes frame;           /* its last one; `rest` is a packed message then */
    int      child_watch;         /* pidfd */
    bool     child_exited;
    int      child_code, child_signal;
    struct io_stream *ready_next;
    bool     is_ready;
    struct io_stream *timed_next;
    bool     is_timed, forgotten;

    /* Guarded by io->lock: */
    struct io_stream *asked_next;
    bool     is_asked;
};

struct io {
    struct system       *system;
    struct packet_source packets; /* open NULL: none */
    struct clock         clock;   /* real, also on the stage */
    bool     stage;
    struct lock lock;
    int      epoll, wake;         /* -1 until first used; guarded by lock until then */
    bool     started;             /* guarded by lock */
    bool     stopping;            /* guarded by lock */
    uint64_t stop_ns;             /* patience; guarded by lock */
    bool     stdin_taken;         /* guarded by lock */
    struct io_stream **streams;   /* by slot; guarded by lock */
    uint32_t *generations;
    uint32_t capacity, free_hint, count; /* guarded by lock */
    struct io_stream *asked;      /* to be attended; guarded by lock */
    struct thread thread;

    _Atomic uint64_t bytes_in, bytes_out, items, opened;
    _Atomic uint32_t living;

    /* The loop's own: */
    struct io_stream *ready, *ready_last;
    struct io_stream *timed;
    struct bytes      packed;
    bool              ending;
    uint64_t          end_ns;
    char              slice[IO_SLICE];
};

/* ---- table.c: streams ---- */

struct io_stream *io_stream_new(struct io *io, const struct stream_request *request,
                                const char *name);
struct io_stream *io_stream_ref(struct io_stream *stream);
void io_stream_unref(struct io_stream *stream);
/* Enters it, and has it attended. From now on it is the loop's. 0 or -errno. */
int  io_enter(struct io_stream *stream);
/* The stream, counted; or NULL. Any thread. */
struct io_stream *io_find(struct io *io, stream_id id);
/* Closes its descriptors, and nobody writes to it any more. */
void io_release(struct io_stream *stream);
/* The streams of this actor, or with 0 all, end without a word. */
void io_abandon(struct io *io, actor_id owner);
/* The stream is no more: leaves the table. Loop only. */
void io_forget(struct io_stream *stream);
/* The same for one that never entered it. */
void io_discard(struct io_stream *stream);

/* ---- loop.c ---- */

/* What an epoll event is about, in the low bits of its pointer. */
enum { IO_EVENT_IN = 0, IO_EVENT_OUT = 1, IO_EVENT_CHILD = 2, IO_EVENT_MASK = 3 };

/* The loop is to look at it soon. Any thread. */
void io_ask(struct io_stream *stream);
/* Watches the descriptor, edge-triggered. 0 or -errno; 1: it cannot be watched
 * because it is always ready. Loop only. */
int  io_watch(struct io_stream *stream, int descriptor, unsigned what);
/* Ends the watch and closes it; -1 is fine. Any thread. */
void io_unwatch(struct io *io, int descriptor);
/* To be looked at again at that time (IO_NEVER: not by itself). Loop only. */
void io_set_due(struct io_stream *stream, uint64_t due_ns);

/* The loop's thread; argument is the io. */
void *io_run(void *argument);
/* One round without it: waits at most `wait_ms`. Whether it did anything. */
bool io_step(struct io *io, unsigned wait_ms);
void io_wake(struct io *io);
/* Ends all streams, with io->stop_ns of patience. */
void io_wind_up(struct io *io);
/* Nobody attends streams any more: those that were to be are let go. */
void io_let_all_go(struct io *io);

/* ---- io.c ---- */

/* Makes descriptors and the thread, if that is still to be done. 0 or -errno. */
int  io_begin(struct io *io);
/* "too many open files" with the limit, or strerror(); borrowed. */
const char *io_explain(int error, char *text, size_t room);

/* ---- port.c ---- */

void io_fill_port(struct io *io, struct stream_port *port);

/* ---- attend.c: what a stream does next ---- */

/* Does what can be done now, for one slice. True: there is more to do at once. */
bool io_attend(struct io_stream *stream);
/* Nothing more will be read; the reason, if it is not given already. */
void io_finish(struct io_stream *stream, const char *format, ...) PRINTF_LIKE(2, 3);

/* ---- deliver.c: items and notices, and credit ---- */

/* Whether an item may be sent now; if not, it is attended when it may. */
bool io_may_deliver(struct io_stream *stream);
/* Sends an item: the text, or what was packed. False: not now
 * (it is asked for again); or the actor has ended, and stream->abandoned says so. */
bool io_deliver_text(struct io_stream *stream, const char *text, size_t size);
/* The map of an item as far as it is the same for all: { stream = ... }, to be closed at `head`. */
void io_begin_item(struct io_stream *stream, struct bytes *packed, size_t *head);
bool io_deliver_packed(struct io_stream *stream, struct bytes *packed);
bool io_notify_open(struct io_stream *stream, uint32_t owner);
bool io_notify_end(struct io_stream *stream);
/* stream_port.admits */
bool io_admits(const struct message *message);

/* ---- split.c: bytes become items ---- */

/* Delivers what is complete in the `size` bytes; returns how many are done with.
 * -EMSGSIZE: an item is longer than the limit. With `last` what is left is an
 * item, too. *starved: it had to stop for want of credit. */
ssize_t io_split(struct io_stream *stream, const char *bytes, size_t size, bool last,
                 bool *starved);

/* ---- write.c: what actors write to streams ---- */

enum stream_answer io_write(struct io_stream *stream, const void *bytes, size_t size,
                            actor_id waiter, uint64_t wait);
enum stream_answer io_shut_down(struct io_stream *stream);
/* Writes on what is buffered. True: nothing is left, or nothing can be written. */
bool io_flush(struct io_stream *stream, bool now_writable);
/* Whoever waits for room tries again: there is some, or it is over. */
void io_wake_writers(struct io_stream *stream);

/* ---- file.c, child.c, socket.c: kinds of sources ---- */

int  io_open_file(struct io_stream *stream, const char *path, char *why, size_t room);
/* Reads at most `room` bytes: so many, 0 at the end, -EAGAIN, or -errno. */
ssize_t io_read(struct io_stream *stream, void *bytes, size_t room);

int  io_open_child(struct io_stream *stream, const struct stream_request *request, char *why,
                   size_t room);
/* Has it ended? Then its output is over, too, as far as it can be read. */
bool io_child_exited(struct io_stream *stream);
/* Asks it (and its group) to end, or makes it. */
void io_child_signal(struct io_stream *stream, int signal);
/* It has exited: what is left of its group is killed, and it is waited for. */
void io_child_reap(struct io_stream *stream);

int  io_open_listener(struct io_stream *stream, const char *endpoint, char *why, size_t room);
int  io_open_connection(struct io_stream *stream, const char *endpoint, char *why, size_t room);
/* Accepts at most a few. True: there may be more. */
bool io_accept(struct io_stream *listener);
/* The outgoing connection is there (1), not yet (0), or -errno. */
int  io_connected(struct io_stream *stream);

/* ---- packets.c ---- */

int  io_open_packets(struct io_stream *stream, const struct stream_request *request, char *why,
                     size_t room);
/* Delivers one message, if there is one and there is credit. True: there may be more. */
bool io_take_packets(struct io_stream *stream);
/* Its descriptor is watched no more, but the source's to close. */
void io_close_packets(struct io_stream *stream, int descriptor);

#endif
