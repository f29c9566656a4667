/*
 * control.h -- the socket through which a running host is looked into and steered.
 *
 * A unix socket `NAME.PID.sock` in a folder of the user's own (control/folder.h),
 * served by a thread of its own, which runs no Lua and waits for no actor: it
 * answers while every worker is stuck, and until the host is gone. Only processes of
 * the same user are heard.
 *
 * The protocol is one JSON object a line. A request names its command in "do":
 *
 *     {"do":"kill","name":"pong"}
 *
 * and is answered with lines of the command's own, the last of which is always
 *
 *     {"end":0}   or   {"end":1,"why":"no actor is called pong here"}
 *
 * where the number is the exit code for the command line. A connection may ask again
 * afterwards. A request that comes before the end of the one before takes its place:
 * the earlier one is ended with 130 (so is a stream of answers stopped). A connection
 * that its other end closes takes back what it asked for; one that it only says
 * nothing more on is closed when the last answer has ended.
 *
 * The room knows no commands: whoever has one adds it. What a command sees as its
 * *client* is one request on one connection.
 */
#ifndef TROUPE_CONTROL_CONTROL_H
#define TROUPE_CONTROL_CONTROL_H

#include "base/bytes.h"

#define CONTROL_CLIENTS_MAX 32               /* connections at once */
#define CONTROL_REQUEST_MAX ((size_t)2 << 20) /* bytes of a request */
#define CONTROL_BUFFER_MAX  ((size_t)1 << 20) /* bytes said and not yet read, of one client */
#define CONTROL_STALLED_NS  (30 * NS_PER_SEC) /* who reads nothing for that long is dropped */

struct control;
struct control_client;
struct control_request;

/* What a command answers to. All three run on the control thread and must not block. */
struct control_command {
    const char *name; /* of "do"; lives as long as the control */

    /* A request. Answers it now (control_say(), control_end()), or keeps
     * control_client_ref(client) and answers later, from any thread. The request is
     * lent for the call. One that is neither ended nor kept is ended with 1. */
    void (*serve)(void *context, struct control_client *client,
                  const struct control_request *request);

    /* Nobody waits any more for the answer of a client that was kept: its connection
     * has gone away, asks something else, or the control ends. Called at most once,
     * and never for a client that has been ended by control_end(). To unref it is
     * still the command's. May be NULL. */
    void (*gone)(void *context, struct control_client *client);

    /* A kept client has read what control_say() could not take more of: room is there
     * again. For answers longer than CONTROL_BUFFER_MAX. May be NULL. */
    void (*more)(void *context, struct control_client *client);

    void *context;
};

/* Opens the socket of a host called `name`; nobody is served before
 * control_start(). A name that no file may have is written with '_', a long one is
 * cut and ends in '~'. Sockets of hosts that are dead are removed. 0; or -errno with
 * a sentence in `why` (the folder is not ours, or cannot be written). */
int  control_open(struct control **control, const char *name, char *why, size_t room);

/* Adds a command: before control_start() only. 0; -EEXIST; -ENOMEM. The struct is copied. */
int  control_add(struct control *control, const struct control_command *command);

int  control_start(struct control *control);

/* Ends the thread: what was asked is ended with 5 (gone() was called), the socket's
 * file is removed. Twice is fine. What commands say afterwards goes nowhere. */
void control_stop(struct control *control);

/* Stops and frees it; the memory goes with the last client that is kept. NULL is fine. */
void control_close(struct control *control);

/* The socket's file. */
const char *control_path(const struct control *control);

/* ---- Asking the request -------------------------------------------------- */

/* The text of a field: lent as long as the request is. NULL: there is none, or it is
 * no text, or one with a NUL in it. */
const char *control_request_text(const struct control_request *request, const char *field);

/* Text number `index`, from 0, of a field that is a list; NULL: there is none (no text). */
const char *control_request_item(const struct control_request *request, const char *field,
                                 size_t index);

/* False: no such field, or it is no number (no integer). */
bool control_request_number(const struct control_request *request, const char *field,
                            double *number);
bool control_request_integer(const struct control_request *request, const char *field,
                             int64_t *integer);

/* Whether the field is true. */
bool control_request_flag(const struct control_request *request, const char *field);

/* ---- Answering: any thread, none of these waits --------------------------- */

struct control_client *control_client_ref(struct control_client *client);
void                   control_client_unref(struct control_client *client);

/* Says a line: one JSON object, without its newline. All of it or nothing: false if
 * nobody waits for it any more (control_client_gone()), or if the client's buffer is
 * full: the caller counts what is lost, or goes on when more() is called. */
bool control_say(struct control_client *client, const char *line, size_t size);

/* Whether nobody waits for the answer any more. */
bool control_client_gone(const struct control_client *client);

/* Ends the answer with an exit code, and a sentence if `why` is not NULL. Always has
 * room; does nothing if it has ended already. */
void control_end(struct control_client *client, int code, const char *why);

#endif
