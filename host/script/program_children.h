/*
 * program_children.h -- processes that the command line starts and hears of, and that it
 * runs itself; as `require "troupe.processes"`.
 *
 * program: the path of this program.
 * open() -> family; or nil, why. One at a time; it takes SIGINT, SIGTERM and SIGHUP.
 *
 *   family:spawn{ program, argument..., input = text? } -> child, pid; or nil, why. A child
 *       is a number that no other child of the family gets. It leads a process group of its
 *       own, and gets SIGTERM when this process dies. What it writes to its output, its
 *       errors and to descriptor 3, its status, comes by next().
 *   family:kill(child, signal) -> boolean: it still lived. "TERM", "KILL" (its whole group),
 *       "INT", "HUP", "USR1"
 *   family:next(seconds?, descriptor?) -> event; or nil: nothing in time (never without
 *       `seconds`). An event has a `kind`:
 *       "line"    child, stream = "out", "err" or "status", text: any bytes, no newline;
 *                 a line of more than 1 MiB comes in pieces
 *       "exit"    child, and code, or signal = "KILL" or a number. Its lines came before,
 *                 unless our own output takes none for now
 *       "signal"  name = "INT", "TERM", "HUP": for this process
 *       "hangup"  the terminal has gone
 *       "file"    path, what = "changed", "missing" or "back" (as it was)
 *       "gone"    stream: nobody reads our "out" or "err" any more. Once each
 *       "lost"    stream, why: some of it could not be written. Once each
 *       "ready"   the descriptor that was asked about can be read
 *   family:write(stream, text): to our own "out" or "err"; never waits. What is printed
 *       otherwise may come out of order.
 *   family:watch(path, text) -> true; or nil, why. Events of a file that held `text`.
 *   family:close(): kills what still lives; writes the rest. Also its __close and __gc.
 *
 * hold(name, text) -> presence; or nil, why: `name.PID.up` in the folder of the control
 *     sockets says that this process is there, and `text`, until presence:close();
 *     presence:say(text) says something else.
 * present() -> { { name=, pid=, file=, text= }... } sorted; or nil, why
 * reach(file) -> process; or nil, why ("it has ended")
 *   process:kill(signal) -> boolean
 *   process:wait(seconds) -> boolean: it has ended
 *   process:close()
 *
 * The roof fills the port (host/tools_children.c). One thread: that of the command line.
 */
#ifndef TROUPE_SCRIPT_PROGRAM_CHILDREN_H
#define TROUPE_SCRIPT_PROGRAM_CHILDREN_H

#include "base/base.h"

struct lua_State;
struct family;
struct presence;

enum family_news {
    FAMILY_NOTHING,
    FAMILY_LINE,
    FAMILY_EXIT,
    FAMILY_SIGNAL,
    FAMILY_HANGUP,
    FAMILY_FILE,
    FAMILY_GONE,
    FAMILY_LOST,
    FAMILY_READY,
};

struct family_event {
    enum family_news news;
    unsigned    child;
    const char *stream; /* "out", "err", "status" */
    const char *what;   /* of a file */
    const char *text;   /* valid until the next call */
    size_t      size;
    int         number; /* a signal, an exit code, an errno */
    bool        signalled;
};

/* Takes what is found. May raise: own nothing while you tell. */
typedef void presence_visit(void *context, const char *file, const char *name, long pid,
                            const char *text);

/* Unless it says otherwise a function answers 0 or -errno. */
struct children_port {
    int  (*open)(struct family **family);
    void (*close)(struct family *family);
    int  (*spawn)(struct family *family, const char *const *arguments, const char *input,
                  size_t input_size, unsigned *child, long *pid);
    bool (*kill)(struct family *family, unsigned child, int signal);
    void (*next)(struct family *family, uint64_t deadline_ns, int descriptor,
                 struct family_event *event);
    void (*write)(struct family *family, bool errors, const char *text, size_t size);
    int  (*watch)(struct family *family, const char *path, const char *text, size_t size);

    int  (*hold)(struct presence **presence, const char *name, const char *text, char *why,
                 size_t room);
    int  (*say)(struct presence *presence, const char *text);
    void (*end)(struct presence *presence);
    int  (*present)(presence_visit *visit, void *context, char *why, size_t room);
    int  (*reach)(const char *file); /* a descriptor of the process, or -errno */
};

/* Makes the module; its upvalue is the port. */
int program_children_open(struct lua_State *L);

/* ---- For program_presence.c -------------------------------------------------- */

/* Sets its functions in the table on top of the stack. */
void program_presence_add(struct lua_State *L, const struct children_port *port);
/* The number of the signal called by the string at `index`. Raises. */
int  program_check_signal(struct lua_State *L, int index);

#endif
