/*
 * children_room.h -- what the files of a family of children share. Not for others.
 */
#ifndef TROUPE_IO_CHILDREN_ROOM_H
#define TROUPE_IO_CHILDREN_ROOM_H

#include "io/children.h"

#include "base/bytes.h"
#include "io/outlet.h"
#include "io/watcher.h"

#include <limits.h>
#include <signal.h>

#define CHILDREN_READ  ((size_t)64 << 10) /* at once from one stream */
#define CHILDREN_WATCH_ROOM (PATH_MAX + 2) /* a note of the watcher: a letter, a path, a NUL */

struct child_stream {
    int          descriptor; /* -1: it has ended */
    struct bytes data;       /* read, and from `begin` on not yet told */
    size_t       begin, searched;
    bool         cut;        /* its data goes on a line of which a piece was told */
    bool         bounded;    /* the child has ended: so much is left in the pipe */
    size_t       left;
};

struct child {
    struct child *next;
    unsigned      id;
    pid_t         pid;    /* 0: it was waited for */
    int           input;  /* -1: all is written, or nobody wants it */
    char         *text;   /* for `input` */
    size_t        text_size, written;
    struct child_stream streams[CHILDREN_STREAMS];
    bool          exited, told, signalled;
    int           number; /* its code, or the signal */
};

struct children {
    struct child *list;   /* in the order of their start */
    struct child *turn;   /* whose lines come next */
    unsigned      count, last_id;
    int           signals; /* signalfd */
    sigset_t      mask_before;
    pid_t         wisher;  /* who sent the last ending signal; 0: the terminal, or nobody */
    int           wish;
    uint64_t      wished_ns;
    bool          had_terminal, hung_up; /* the latter was told */
    struct outlet outlets[2];
    struct outlet *outlet_of[2];         /* the same twice, if both are one file */
    bool          gone_told[2], lost_told[2];
    struct watcher *watcher;             /* NULL: not yet */
    int           notes[2];              /* a pipe from its thread; -1: not yet */
    char          note[CHILDREN_WATCH_ROOM];
    size_t        note_size;
    struct pollfd *polled;               /* a block of memory_get() */
    size_t        polled_room;
};

/* ---- children_start.c ---- */

/* Starts the process of `child`, whose descriptors it sets. 0 or -errno. */
int children_start(struct child *child, const struct children_request *request);
/* Writes of its input what is taken at once; closes it at the end. */
void children_feed(struct child *child);
/* Looks whether it has ended: kills what is left of its group, and waits for it. */
void children_look(struct child *child);

/* ---- children_lines.c ---- */

void children_stream_init(struct child_stream *stream, int descriptor);
void children_stream_close(struct child_stream *stream);
/* Reads once. */
void children_stream_read(struct child_stream *stream);
/* The child has ended: what is in the pipe now is all that is read of it. */
void children_stream_bound(struct child_stream *stream);
/* The next line, or piece of a long one; at the stream's end also what has no newline. */
bool children_stream_line(struct child_stream *stream, const char **text, size_t *size);

/* ---- children_watch.c ---- */

/* The next note of the watcher, if one is there. */
bool children_take_note(struct children *children, struct children_event *event);
void children_unwatch(struct children *children);

#endif
