/*
 * control_room.h -- what the files of the control room share.
 *
 * The control thread owns connections: what they have read, and what is on its way out.
 * A client, one request, is shared with the command that serves it.
 */
#ifndef TROUPE_CONTROL_ROOM_H
#define TROUPE_CONTROL_ROOM_H

#include "base/thread.h"
#include "control/control.h"
#include "control/folder.h"

#include <poll.h>

#define CONTROL_WHY 256

enum client_state {
    CLIENT_OPEN,
    CLIENT_ENDED, /* by control_end() */
    CLIENT_GONE,  /* nobody waits for the answer any more */
};

struct control_client {
    atomic_int      references;
    struct control *control;        /* counted */
    const struct control_command *command;

    struct lock  lock;
    struct bytes said;              /* guarded by lock, as: */
    _Atomic int  state;             /* enum client_state; read by any thread */
    bool         starved;           /* something did not fit into `said` */
};

struct connection {
    int          descriptor;
    struct bytes in;                /* read, and not a whole request yet */
    size_t       searched;          /* of it, for a newline */
    struct bytes out;               /* from `written` on still to be sent */
    size_t       written;
    struct control_client *client;  /* its request in hand, or NULL */
    bool         ended;             /* the other end says nothing more */
    bool         deaf;              /* we listen no more: what comes is dropped */
    bool         broken;            /* to be closed at once */
    uint64_t     heard_ns;          /* when something was last read from it */
    uint64_t     stalled_ns;        /* since when it reads nothing of what waits; 0: it does */
};

struct control {
    atomic_int references;          /* the owner, and each client */
    struct control_folder folder;
    char       file[CONTROL_FILE_ROOM];
    char       path[PATH_MAX + CONTROL_FILE_ROOM];
    int        listener;
    int        wake;                /* eventfd */
    bool       started, stopped;    /* the owner's */
    _Atomic bool stopping;
    struct thread thread;
    struct control_command *commands; /* fixed by control_start() */
    size_t     command_count;

    /* Only the control thread: */
    struct connection *connections; /* CONTROL_CLIENTS_MAX of them; the first `count` are open */
    size_t     count;
};

/* One request, read. */
struct control_request {
    struct bytes packed;            /* a map */
    char        *texts;             /* as large: a string that was asked for lies where it lies
                                     * in `packed` with its tag, one byte earlier and with a NUL */
};

/* 0; -EINVAL or -ENOMEM with a sentence. */
int  request_read(struct control_request *request, const char *line, size_t size, char *why,
                  size_t room);
void request_free(struct control_request *request);

/* A client with one reference; NULL: no memory. */
struct control_client *client_new(struct control *control, const struct control_command *command);
/* Nobody waits for its answer any more: what it has said is forgotten. Whether it was open. */
bool client_leave(struct control_client *client);
/* Moves what was said to `out`. Whether it has ended. */
bool client_take(struct control_client *client, struct bytes *out);
/* Whether something has not fitted, and now would; says so once. */
bool client_was_starved(struct control_client *client);

/* Writes {"end":code,"why":why} and a newline. */
void write_end(struct bytes *out, int code, const char *why);

void control_wake(struct control *control);
void control_unref(struct control *control);

/* The body of the control thread. */
void *control_run(void *control);

/* Reads, answers and writes what there is on a connection; `events` is what poll() says. */
void connection_attend(struct control *control, struct connection *connection, short events,
                       uint64_t now_ns);
/* What poll() is to look for. */
short connection_events(const struct connection *connection);
/* Whether it may have to be closed for the time that passes. */
bool connection_has_deadline(const struct connection *connection);
/* Nobody answers any more: `code` and `why` is said if something was asked; closes it. */
void connection_close(struct connection *connection, int code, const char *why);

#endif
