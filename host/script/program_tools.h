/*
 * program_tools.h -- what the command line's tools need of the house below:
 * time and terminals, listening, measuring, probing; as `require "troupe.tools"`.
 *
 * The roof fills the port (host/tools.c). Texts are borrowed for the call.
 * Unless it says otherwise a function answers 0, or -errno with a sentence in
 * `why`. One thread: that of the command line.
 */
#ifndef TROUPE_SCRIPT_PROGRAM_TOOLS_H
#define TROUPE_SCRIPT_PROGRAM_TOOLS_H

#include "base/base.h"
#include "script/program_security.h"

struct lua_State;

/* ---- Listening: whoever is named, everything that comes ---------------- */

struct listening;

struct tools_listen {
    const char *bind;
    const char *advertise; /* NULL: what is bound */
    const char *name;      /* who is listened for; NULL: everybody */
    struct program_security security;
};

enum tools_news {
    TOOLS_MESSAGE,
    TOOLS_TIMED_OUT,
    TOOLS_INTERRUPTED, /* SIGINT */
    TOOLS_TERMINATED,  /* SIGTERM */
    TOOLS_READER_GONE, /* nobody reads our output any more */
};

struct tools_heard {
    uint64_t    time_ms; /* since 1970 */
    const char *from;    /* "ping@tcp://127.0.0.1:5002", or NULL: nobody who can be answered */
    const char *to, *type, *json;
};

/* ---- Measuring --------------------------------------------------------- */

struct bench;

struct tools_bench {
    const char *to, *type, *json;
    bool        asks;       /* else sends */
    uint64_t    count;      /* messages in all */
    uint32_t    window;     /* questions in flight at once */
    double      rate;       /* begun a second; 0: as soon as possible */
    uint64_t    timeout_ms; /* for an answer, and for a connection */
    struct program_security security;
};

struct tools_measured {
    uint64_t begun, done;                      /* done: answered, or handed to the network */
    uint64_t timed_out, rejected, unreachable; /* those that were not */
    uint64_t late;                             /* answers after their deadline */
    uint64_t elapsed_ns;
    uint64_t least_ns, mean_ns, p50_ns, p90_ns, p99_ns, p999_ns, greatest_ns; /* of answers */
    bool     over;
    bool     interrupted;
    bool     given_up;   /* nothing came back any more */
    char     why[512];   /* the first of what went wrong, or "" */
};

#define TOOLS_WINDOW_MAX 1000

/* ---- Finding out ------------------------------------------------------- */

/* Takes facts as they are found. May raise: own nothing while you tell. */
struct tools_ear {
    void  *context;
    void (*text)(void *context, const char *key, const char *text, size_t size);
    void (*number)(void *context, const char *key, uint64_t number);
};

/* ---- The port ---------------------------------------------------------- */

struct tools_port {
    int  (*listen)(struct listening **out, const struct tools_listen *options, char *why,
                   size_t room);
    const char *(*listen_endpoint)(const struct listening *listening);
    /* Waits for something to happen; *heard is valid until the next call. */
    enum tools_news (*listen_next)(struct listening *listening, uint64_t timeout_ms,
                                   struct tools_heard *heard);
    /* Answers the message that came last. -ESRCH: it has no sender. */
    int  (*listen_reply)(struct listening *listening, const char *type, const char *json,
                         char *why, size_t room);
    /* Rejects the message that came last; nothing, if it has no sender. */
    void (*listen_reject)(struct listening *listening, const char *reason);
    /* Sends in the name of the actor `from` at our endpoint; "name@tcp://..." is `to`. It
     * waits there until it can leave. */
    int  (*listen_send)(struct listening *listening, const char *from, const char *to,
                        const char *type, const char *json, char *why, size_t room);
    /* How many have come and were not asked for yet. */
    size_t (*listen_waiting)(struct listening *listening);
    void (*listen_close)(struct listening *listening); /* NULL is fine */

    /* Connects. -EHOSTUNREACH: nobody there in time; -EINVAL. */
    int  (*bench)(struct bench **out, const struct tools_bench *options, char *why, size_t room);
    /* Measures on for so long, or until it is over. */
    void (*bench_go_on)(struct bench *bench, uint64_t for_ms);
    void (*bench_read)(struct bench *bench, struct tools_measured *measured);
    void (*bench_close)(struct bench *bench); /* NULL is fine */

    /* The addresses of a host name, separated by spaces and written as in an
     * endpoint. -ETIMEDOUT, -EHOSTUNREACH. */
    int  (*resolve)(const char *host, uint64_t timeout_ms, char *addresses, size_t size,
                    char *why, size_t room);
    /* Connects to a normalised endpoint with a numeric host, shakes hands as a
     * PUSH socket does and hangs up; no message is sent. Tells what net/probe.h
     * has found: outcome, reason, local, connect_ns, handshake_ns, mechanism,
     * socket_type, said. */
    void (*probe)(const char *endpoint, uint64_t timeout_ms, const struct tools_ear *ear);
    /* The one spelling of an endpoint, in `out` of `size` bytes. -EINVAL. */
    int  (*normalise)(const char *endpoint, bool numeric_only, char *out, size_t size, char *why,
                      size_t room);
    /* Whether a list of hosts is one as --allow takes it, or with `words` as
     * --reply-to does. -EINVAL. */
    int  (*hosts)(const char *list, bool words, char *why, size_t room);
    /* Whether somebody listens on this port of ours. */
    bool (*port_is_taken)(uint16_t port);
    /* Which process that is, as far as /proc tells, and what it is called; `host` is numeric,
     * anything else means whichever address. False: it does not tell, or nobody listens. */
    bool (*port_holder)(const char *host, uint16_t port, long *pid, char *name, size_t room);
    /* Tells of this machine and installation: zmq, curve, files, cores, share. */
    void (*facts)(const struct tools_ear *ear);
};

/* Makes the module; its port (a light userdata) is the first upvalue. */
int tools_open(struct lua_State *L);

#endif
