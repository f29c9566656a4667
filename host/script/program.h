/*
 * program.h -- the Lua of the `troupe` program itself: its command line.
 *
 * A plain Lua state, unlike those of actors: all libraries, the real os.exit,
 * modules from our own lua/ folder and from where the system keeps them. It
 * runs on the calling thread. What the command line needs of a host it gets
 * through a *port* that the roof fills, as `require "troupe.port"`.
 */
#ifndef TROUPE_SCRIPT_PROGRAM_H
#define TROUPE_SCRIPT_PROGRAM_H

#include "base/base.h"
#include "script/program_security.h"

struct lua_State;
struct tools_port;
struct control_port;
struct children_port;

/* Texts are borrowed for the call in all of these. */
struct program_script {
    const char *path; /* or, if NULL: */
    const char *text;
    const char *name;
    const char *config; /* as of host_spawn_options; NULL: none */
};

/* 0: not said. */
struct program_limits {
    uint32_t actors, children, timers, dead_letters, peers;
    size_t   memory_total, frame_bytes;
    unsigned depth;
    uint64_t shutdown_ms;
};

struct program_run {
    const struct program_script *scripts;
    size_t      count;
    const char *bind, *advertise;      /* NULL: not said; numbers likewise 0 */
    const char *const *also_bind;      /* NULL-terminated */
    const char *flat, *flat_actor;     /* where flat JSON is answered, and by whom */
    unsigned    workers;
    size_t      memory_bytes;
    uint64_t    slice_ms;
    bool        sandbox;               /* of all scripts */
    const char *log_format, *log_level; /* as host_options */
    const char *control;               /* name of the control socket; NULL: none */
    bool        watch;                 /* their files; and with it: */
    uint64_t    trial_ms;              /* of what is reloaded then */
    const char *const *nodes;          /* as host_options, or NULL; as are: */
    const char *topology, *node;
    struct program_limits limits;
    const char *const *arguments;      /* actor.args; NULL-terminated */
    struct program_security security;
};

struct program_message {
    const char *to, *type, *json;
    uint64_t    timeout_ms;
    struct program_security security; /* of the first one counts for all */
};

/* Each answers with an exit code, and a sentence in `why` if it failed ("" if
 * that has been said already). */
struct program_port {
    void *context;
    /* Runs scripts as actors until the host ends. */
    int (*run)(void *context, const struct program_run *run, char *why, size_t room);
    /* Until the frame was handed to the network. */
    int (*send)(void *context, const struct program_message *message, char *why, size_t room);
    /* *type and *json are the caller's, to be freed with free(), if it answers 0. */
    int (*ask)(void *context, const struct program_message *message, char **type, char **json,
               char *why, size_t room);
    /* Makes a new key file and says the public key. */
    int (*make_key)(void *context, const char *path, char *public_key, size_t key_room, char *why,
                    size_t room);
};

struct program {
    int    count;                             /* as of main() */
    char **arguments;
    const char *version;
    const char *share;                        /* the folder that holds our lua/ */
    int  (*open_core)(struct lua_State *L);   /* makes the module troupe.core */
    const struct program_port *port;
    const struct tools_port   *tools;         /* see script/program_tools.h */
    const struct control_port *control;       /* see script/program_control.h */
    const struct children_port *children;     /* see script/program_children.h */
};

/* Runs the command line; returns the exit code. */
int program_run(const struct program *program);

#endif
