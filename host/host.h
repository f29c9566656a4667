/*
 * host.h -- embed a host of actors in a C program. The only public header.
 *
 * A *host* runs actors: Lua scripts, or C behaviours of yours. Make one, spawn
 * actors, run it; send and ask from any thread.
 *
 *     struct host *host;
 *     char why[HOST_WHY];
 *     if (host_make(&host, NULL, why, sizeof why) != 0) ...
 *     host_spawn(host, "pong.lua", NULL, NULL, why, sizeof why);
 *     int code = host_run(host);     // until its last actor has ended
 *     host_free(host);
 *
 * Payloads are JSON texts of one object, as on the wire: integers are exact,
 * `[]` and `{}` differ, NULL means {}. Texts given are borrowed for the call;
 * texts received belong to whoever the function says.
 *
 * Answers: 0, or a negative errno with a sentence in `why` (cut to its room).
 */
#ifndef TROUPE_HOST_H
#define TROUPE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HOST_API __attribute__((visibility("default")))
#define HOST_WHY 512 /* room that every `why` fits into */

struct host;

/* Fields of 0 or NULL take the default in brackets. */
struct host_options {
    unsigned    workers;          /* pool threads [one a core] */
    bool        stepped;          /* no threads, a clock that stands still: host_step(), host_advance() */
    uint64_t    seed;             /* stepped: picks who runs next [first come, first served] */
    const char *bind;             /* endpoint to listen on, ":5001"; beyond loopback only with
                                   * open, allow or curve_key [none] */
    const char *const *also_bind; /* with bind: more of them, 47 at most, NULL-terminated; all are
                                   * this host, and one that cannot be bound fails them all [none] */
    const char *advertise;        /* endpoint that peers reply to [the bound one, the first of several;
                                   * of one on all interfaces, the address that leads to the peer] */
    bool        open;             /* everybody may connect [this machine, and who was asked] */
    const char *allow;            /* and these: "10.0.0.7,10.1.0.0/16,fd00::/8" [nobody else] */
    const char *reply_to;         /* where answers may go: "any" (numeric address), "loopback",
                                   * "private", hosts ("10.0.0.7,risk:5002"), or several of it
                                   * ["any"; if bound beyond loopback "private" and allow] */
    const char *curve_key;        /* file of our CURVE key, as host_make_key() makes it; all traffic
                                   * is encrypted then, and the process leaves no core dumps [none] */
    const char *curve_peers;      /* file of the keys that are let in: lines "KEY [ENDPOINT...]" */
    const char *flat;             /* endpoint where flat JSON is answered over REQ/REP, ":5555" [none] */
    const char *flat_actor;       /* with flat: the actor that answers, by its name */
    const char *control;          /* name under which `troupe ps`, `kill` and others find the host, by
                                   * a socket that only this user may open. If it cannot be made
                                   * that is logged, and the host does without [no socket] */
    const char *log_format;       /* "text", or "json": one object a line, docs/operations.md; for the
                                   * process, as is log_level [as it was: "text" at first] */
    const char *log_level;        /* "debug", "info", "warn" or "error": what is below it is not
                                   * written [as it was: "info" at first] */
    const char *const *arguments; /* actor.args, NULL-terminated [none] */
    size_t      memory_bytes;     /* of one script [256 MiB] */
    uint64_t    slice_ms;         /* a handler that runs longer is reported [5000] */
    uint64_t    shutdown_ms;      /* budget of a shutdown [5000] */
    uint32_t    actors;           /* at once [1000000] */
    uint32_t    children;         /* of one actor, at once, unless it says otherwise [100000] */
    uint32_t    timers;           /* at once [1000000] */
    uint32_t    dead_letters;     /* that are kept [1000] */
    uint32_t    peers;            /* other hosts that are spoken to, at once [256] */
    size_t      memory_total;     /* of all scripts of the process: beyond it there are no new
                                   * actors [three quarters of what the process may have] */
    size_t      frame_bytes;      /* of a message to or from elsewhere; for the process [1 MiB] */
    unsigned    depth;            /* of tables in tables in one; for the process [64, at most] */
    bool        watch;            /* a script, or a module that it requires, is reloaded when its
                                   * file is saved; shipped actors are not; not if stepped [no] */
    uint64_t    watch_trial_ms;   /* with watch: a handler error within that time brings the
                                   * version before back [no trial; a day at most] */
    const char *const *nodes;     /* where `name@node` leads: names of nodes and their endpoints
                                   * ("": this host) in turn, NULL-terminated [nowhere] */
    const char *topology;         /* for who looks at the host: the topology that it runs a part */
    const char *node;             /* of, and that part [none] */
};

/* Makes a host; nothing runs yet. `options` may be NULL. Errors: -EINVAL (a bad
 * option, a file that is missing or open to others), -EBADMSG (what is in a key
 * file), -EADDRINUSE and others of the bind, -ENOMEM. */
HOST_API int host_make(struct host **host, const struct host_options *options, char *why,
                       size_t room);

/* Ends what still runs, without ceremony, and frees the host. NULL is fine. Not
 * from inside an actor. False: a thread is stuck in C code and was left behind
 * with the memory it uses; the process may go on, or had better end. */
HOST_API bool host_free(struct host *host);

/* How to spawn; as host_options. */
struct host_spawn_options {
    const char *name;    /* [the file's stem with #N] */
    const char *config;  /* JSON object: the script's self.config; {"$ref": "book@:5001"} in it is
                          * a ref, here or elsewhere, as actor.ref() makes it [{}] */
    const char *thread;  /* "pool", "own", "group:NAME" [the script's, or pool] */
    const char *failure; /* "continue", "stop", "restart", "escalate" [the script's, or continue] */
    bool        sandbox; /* no files, programs or C modules: docs/operations.md */
    bool        held;    /* registered, but on_start waits for host_start_actor() */
    bool        vital;   /* if its on_start fails, the host ends with 1 */
};

typedef uint64_t host_actor; /* an actor of this host; 0: none; never used twice */

/* Spawns the script at `path`, looked for in the current folder and among the
 * shipped actors. *actor may be NULL. -ENOENT: no such script; -EINVAL: it does
 * not load (why has file:line); -EEXIST: the name is taken. Any thread. */
HOST_API int host_spawn(struct host *host, const char *path,
                        const struct host_spawn_options *options, host_actor *actor, char *why,
                        size_t room);

/* The same from a text; `chunk_name` is what errors call it ("=(command line)"). */
HOST_API int host_spawn_text(struct host *host, const char *chunk_name, const char *text,
                             const struct host_spawn_options *options, host_actor *actor,
                             char *why, size_t room);

/* Lets a held actor begin. -ESRCH: it is not held. */
HOST_API int host_start_actor(struct host *host, host_actor actor);

/* Asks an actor to end, with `drain` after it has handled the mail it has now.
 * False: it has ended already. Any thread, actors included. */
HOST_API bool host_end_actor(struct host *host, host_actor actor, bool drain);

/* A C behaviour. `receive` runs on a worker, one message at a time per actor;
 * it must not block for long. A question that it does not answer is answered
 * with no_reply when it returns. Unless 0 is returned `context` stays the
 * caller's. Any thread. */
struct host_message;
struct host_behaviour {
    void (*receive)(void *context, const struct host_message *message);
    void (*end)(void *context); /* the actor has ended: free the context; may be NULL */
};
HOST_API int host_spawn_c(struct host *host, const char *name,
                          const struct host_behaviour *behaviour, void *context,
                          host_actor *actor, char *why, size_t room);

/* Inside `receive`, for its message only: */
HOST_API const char *host_message_type(const struct host_message *message); /* "Start" comes first, "Shutdown" last */
HOST_API const char *host_message_json(const struct host_message *message); /* NULL: it has no JSON form (NaN, bytes) */
HOST_API bool        host_message_asked(const struct host_message *message);
HOST_API host_actor  host_message_self(const struct host_message *message);
HOST_API host_actor  host_message_from(const struct host_message *message); /* 0: nobody, or elsewhere */
/* Answers a question, or sends back to the sender of a plain message. */
HOST_API int host_reply(const struct host_message *message, const char *type, const char *json,
                        char *why, size_t room);

/* From now on `name@node` leads to this endpoint, to this host ("") or nowhere (NULL).
 * -EINVAL: a bad name or endpoint; -EAGAIN: more than 10000 names; -ENOMEM. Any thread,
 * actors included. */
HOST_API int host_set_node(struct host *host, const char *node, const char *endpoint, char *why,
                           size_t room);

/* The living actor called `name`, or 0. Any thread. */
HOST_API host_actor host_find(struct host *host, const char *name);

/* How many actors live; `text` gets who, and how much mail each has: "a (3
 * messages), b (0 messages)", cut to its room. Any thread. */
HOST_API size_t host_living(struct host *host, char *text, size_t room);

/* Writes what the host does to the file descriptor, as lines for people: its actors,
 * with the mail that waits and what each handles and waits for, and its counters. Runs
 * no Lua and waits for no actor. Any thread; not from a signal handler. */
HOST_API void host_dump(struct host *host, int fd);

/* Sends to "pong", "pong@tcp://10.0.0.5:5001" or "pong@risk"; never waits. Inside `receive`
 * the sender is the receiving actor. -ESRCH: nobody there; -EAGAIN: the mailbox
 * or the way out is full; -EHOSTUNREACH; -EINVAL: bad JSON or address. Any thread. */
HOST_API int host_send(struct host *host, const char *to, const char *type, const char *json,
                       char *why, size_t room);

/* Waits until what was sent to actors elsewhere, at the place that `to` names,
 * has been handed to the network: what is sent may otherwise be lost if the
 * host ends at once. -EHOSTUNREACH: no connection in time; -ETIMEDOUT: there is
 * one, but who is there takes too slowly. Any thread. */
HOST_API int host_flush(struct host *host, const char *to, uint64_t timeout_ms, char *why,
                        size_t room);

/* Asks and waits for the answer; not from inside an actor. On 0 *reply_type and
 * *reply_json are the caller's, to be freed with free(). -ETIMEDOUT; -ESRCH: it
 * has ended, failed or gave no answer (why says); -ECONNREFUSED: a Reject, reason in
 * why; -EHOSTUNREACH: no connection by the deadline. On a stepped host it steps. */
HOST_API int host_ask(struct host *host, const char *to, const char *type, const char *json,
                      uint64_t timeout_ms, char **reply_type, char **reply_json, char *why,
                      size_t room);

/* Starts the threads; host_run() does it if it was not done. */
HOST_API int host_start(struct host *host);

/* Runs until the last actor has ended or somebody stopped the host; then shuts
 * down: every actor is stopped with its mail handled, in reverse order of
 * birth, within the budget. Returns the exit code: host_stop()'s, or 1 if the
 * last actor ended by an error, or 0; and 1 for 0 if the budget was too short. */
HOST_API int host_run(struct host *host);

/* Asks the host to stop with this exit code; the first one counts. Any thread,
 * actors included; not from a signal handler. */
HOST_API void host_stop(struct host *host, int code);

/* For who is about to leave the process without waiting for the host's end: kills
 * the child processes of its streams, which would else be left. Any thread; not
 * from a signal handler. */
HOST_API void host_kill_children(struct host *host);

/* A stepped host: one message of one actor; false: nobody has anything to do. */
HOST_API bool host_step(struct host *host);
/* A stepped host: runs all there is to do, moves the clock on by `ns` (timers
 * fire in order, at their time), until idle. */
HOST_API void host_advance(struct host *host, uint64_t ns);

/* The endpoint that peers reach this host at ("tcp://127.0.0.1:5001"), or "". */
HOST_API const char *host_endpoint(const struct host *host);

/* The endpoint number `index` (from 0) that it listens on, with the real port; NULL: there
 * are no more. */
HOST_API const char *host_bound(const struct host *host, unsigned index);

/* The file of its control socket, or "". */
HOST_API const char *host_control(const struct host *host);

/* The endpoint where flat JSON is answered ("tcp://127.0.0.1:5555"), or "". */
HOST_API const char *host_flat_endpoint(const struct host *host);
/* Reads the file of `curve_peers` again: keys that are gone from it are let in no
 * more, nor heard where they are connected. Writes a sentence into `why` in any case.
 * -ENOTSUP: there is none; else unless 0 the old list stays. Any thread. */
HOST_API int host_reload(struct host *host, char *why, size_t room);

/* How scripts are reloaded; zeros will do. */
struct host_reload_options {
    bool        undo;     /* back to the version before, without on_reload */
    uint64_t    trial_ms; /* not 0: the first handler error within that time brings all back */
    const char *asked_by; /* for the log; NULL: nobody to name */
};

/* Reads scripts (NULL-terminated `paths`, of scripts or modules; NULL: all that are in
 * use) and the modules they require again, and puts what has changed in the place of
 * the old code: in all actors that run it, between two messages, or in none. Their
 * state, mail, timers and names stay. Waits for the outcome; not from inside an actor.
 * `options` may be NULL. 0: done, or nothing had changed. -ECANCELED: refused, and the
 * old code goes on everywhere; -ENOENT: no such script is in use, or there is none to go
 * back to; -ESHUTDOWN: the host ends; -EINVAL; -ENOMEM; -EAGAIN: no thread. Unless 0
 * `why` has a sentence. `report` (may be NULL) gets a JSON object, to be freed with
 * free(), or NULL: see lua/troupe/meta.lua, troupe.ReloadReport. On a stepped host it steps. */
HOST_API int host_reload_scripts(struct host *host, const char *const *paths,
                                 const struct host_reload_options *options, char **report,
                                 char *why, size_t room);

/* Makes a CURVE key pair in a new file that only its owner can read; its public key,
 * 40 characters, goes into `public_key`. -EEXIST: the file is there already. */
#define HOST_KEY 41
HOST_API int host_make_key(const char *path, char public_key[HOST_KEY], char *why, size_t room);

/* "0.1.0". */
HOST_API const char *host_version(void);

#ifdef __cplusplus
}
#endif

#endif
