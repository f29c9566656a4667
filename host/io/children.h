/*
 * children.h -- a family of processes and all that happens to it, one event at a time.
 *
 * For a program that starts others, hands on what they write and lives by what becomes
 * of them: their lines, their ends, signals for itself, files that were saved, all come
 * out of children_next(), which waits in one poll(). There is no thread but the
 * watcher's, and that only once a file is watched.
 *
 * Each child leads a process group of its own, so that a ^C at the terminal is ours
 * alone. It is told to end (SIGTERM) when this process dies, however that happens; when
 * it has ended what is left of its group is killed. Besides its output and its errors
 * it has a third stream, descriptor 3, on which it may say how it is doing.
 *
 * Memory is bounded: nothing is read from a stream as long as what was read before is
 * not taken, nor while the outlet that its lines go to is full.
 *
 * The family knows nothing of what the lines mean. One thread, and one family in a
 * process, for it takes SIGINT, SIGTERM, SIGHUP and SIGCHLD.
 */
#ifndef TROUPE_IO_CHILDREN_H
#define TROUPE_IO_CHILDREN_H

#include "base/base.h"

#include <sys/types.h>

#define CHILDREN_LINE_MOST ((size_t)1 << 20) /* a longer line comes in pieces of that */

struct children;

enum children_stream { CHILDREN_OUT, CHILDREN_ERR, CHILDREN_STATUS, CHILDREN_STREAMS };

enum children_news {
    CHILDREN_NOTHING, /* in time */
    CHILDREN_LINE,    /* stream, text: without its newline, any bytes */
    CHILDREN_EXIT,    /* number: its code, or with `signalled` the signal */
    CHILDREN_SIGNAL,  /* number: SIGINT, SIGTERM or SIGHUP, for this process */
    CHILDREN_HANGUP,  /* the terminal that this process was started at has gone */
    CHILDREN_FILE,    /* text: its path as it was watched; number: enum children_file */
    CHILDREN_GONE,    /* stream: nobody reads our own output (errors) any more. Once each */
    CHILDREN_LOST,    /* stream: some of it could not be written; number: errno. Once each */
    CHILDREN_READY,   /* the descriptor that was asked about can be read */
};

enum children_file { CHILDREN_FILE_CHANGED, CHILDREN_FILE_MISSING, CHILDREN_FILE_BACK };

struct children_event {
    enum children_news   news;
    unsigned             child;
    enum children_stream stream;
    const char          *text; /* valid until the next call of any function here */
    size_t               size;
    int                  number;
    bool                 signalled;
};

struct children_request {
    const char *const *arguments; /* NULL-terminated; the first is a path, or found by PATH */
    const char *input;            /* what it reads on its standard input, then that ends */
    size_t      input_size;
};

/* Blocks the signals named above in this thread: those started later inherit that. 0 or
 * -errno; -EBUSY: there is a family already. */
int children_open(struct children **out);
/* Kills what still lives, with its group, and waits for it; says what is kept in the
 * outlets, for half a second at most; unblocks the signals. NULL is fine. */
void children_close(struct children *children);

/* Starts a child: *id is its number in this family, never used again, *pid the process.
 * 0 or -errno; -ENOENT: no such program. */
int children_spawn(struct children *children, const struct children_request *request, unsigned *id,
                   pid_t *pid);
/* Sends a signal to a child, SIGKILL to its whole group. False: it has ended. */
bool children_kill(struct children *children, unsigned id, int signal);

/* Fills in what has happened next, at `deadline_ns` (monotonic; UINT64_MAX: none) the
 * news that nothing has. A child's lines come in their order, what it wrote before a line
 * of its status before that, and all of them before its exit, unless our own output takes
 * none: then they come after it. `descriptor`: also asked about, -1: none. */
void children_next(struct children *children, uint64_t deadline_ns, int descriptor,
                   struct children_event *event);

/* Writes to our own output or errors, in whole and in order, but not at once. */
void children_write(struct children *children, enum children_stream stream, const char *text,
                    size_t size);

/* Events of a file that held `text` when it was last read. 0 or -errno. */
int children_watch(struct children *children, const char *path, const char *text, size_t size);

#endif
