/*
 * script.h -- the Lua behaviour: an actor whose handlers are `on_<type>`
 * functions of a script.
 *
 * One `struct script` per actor (actor->state). It lives on the worker that
 * runs the actor; nothing in it is shared, but `source` and `world`.
 *
 * The way of a message: receive -> dispatch (script/dispatch.h) finds the
 * handler by type id in a small cache, unpacks onto the handler coroutine and
 * resumes it. A handler that waits leaves a `struct wait` behind; the answer,
 * a wake or a stop fills in its result and the coroutine is resumed.
 */
#ifndef TROUPE_SCRIPT_SCRIPT_H
#define TROUPE_SCRIPT_SCRIPT_H

#include "actor/system.h"
#include "base/bytes.h"
#include "script/source.h"
#include "script/unit.h"
#include "script/vm.h"

/* What all scripts of one host share; made by the roof, outlives them. */
struct script_world {
    struct system  *system;
    struct sources *sources;
    bool     stage;               /* deterministic, with an instruction budget */
    uint64_t seed;                /* stage */
    uint64_t made;                /* stage: scripts so far, which is part of the seed of each */
    char   **arguments;           /* actor.args; NULL-terminated */
    const char *const *package_path;
    struct reloads *reloads;      /* script/reload.h; NULL: there are none */
    unsigned over_budget;         /* stage: handlers that used up their instructions */
    struct script_defaults {
        size_t   memory_bytes;    /* 256 MiB */
        uint64_t slice_ns;        /* 5 s */
        uint64_t ask_timeout_ns;  /* 5 s */
    } defaults;
    /* print() in scripts: one whole line with its newline; NULL: stdout. */
    void (*print)(void *context, const char *line, size_t size);
    void *print_context;
    /* What is odd about a script, as it is loaded, in one sentence; NULL: it is logged. */
    void (*warn)(void *context, const char *text);
    void *warn_context;
};

/* Which messages are handled while a handler waits. */
enum interleaving { INTERLEAVE_UNSET, INTERLEAVE_NONE, INTERLEAVE_ALL, INTERLEAVE_SOME };
#define INTERLEAVED_TYPES 64

/* What a spawn may set; the script's own fields are the defaults of what is
 * not set here. Texts are borrowed for the call. */
struct script_options {
    const char *name;             /* NULL: unnamed */
    const uint8_t *config;        /* packed map; size 0: none */
    size_t      config_size;
    const char *thread;           /* NULL: the script's, else "pool" */
    struct cpus cpus;             /* of that thread; empty: the script's, else any */
    int         priority;         /* likewise; 0: the script's, else none */
    const char *slow;             /* NULL: the script's, else "report"; "stop" */
    size_t      memory_bytes;     /* 0: the script's, else the world's default */
    uint64_t    slice_ns;         /* likewise */
    bool        has_mailbox;      /* else the script's */
    struct mailbox_options mailbox; /* fields of 0 in limit and bytes: the script's */
    bool        has_overflow;
    bool        has_failure;      /* else the script's, else ON_FAILURE_CONTINUE */
    enum on_failure failure;
    bool        has_restart;
    struct restart_options restart; /* fields of 0: the script's, else the default */
    enum interleaving interleave; /* UNSET: the script's, else NONE */
    unsigned    interleaved_count;
    type_id     interleaved[INTERLEAVED_TYPES]; /* SOME: of these types */
    bool        hidden;           /* the host's own: does not keep the host alive */
    bool        supervised;       /* its parent starts it, and decides when it has ended: then
                                   * `config` is kept for its start */
    bool        announced;        /* its parent is told when it begins */
    uint32_t    children;         /* at once; 0: the script's, else the host's limit */
    bool        sandbox;          /* the spawner's to say only; see script/sandbox.h */
    bool        says_sandbox;     /* it was said, whatever it was */
    const char *within;           /* the file must be in this folder ("/home/x/"); NULL: anywhere */
    bool        if_absent;        /* an actor that has the name will do: for actor.spawn */
    const uint8_t *types;         /* declared before its top level runs: script/declared.h */
    size_t      types_size;       /* 0: none */
    const char *source;           /* its text, which then is in no file; NULL: it is looked for */
    size_t      source_size;
    bool        has_trap_exit, trap_exit; /* ends of those it is linked to are told; else the script's */
};

/* Finds, loads and registers a script as an actor, but does not start it yet
 * (lifecycle_start). With options->source `path` is only what the text is called, and
 * where other files are looked for. `beside` is the path of the spawning script, or NULL;
 * `parent` may be 0. 0 and *id; -ENOENT no such file; -EINVAL does not load
 * (why has file:line, or names the bad option); others as lifecycle_spawn(). */
int script_spawn(struct script_world *world, const char *path, const char *beside, actor_id parent,
                 const struct script_options *options, actor_id *id, char *why, size_t room);
/* The same from a source in hand (`-e`, the stage). */
int script_spawn_source(struct script_world *world, struct source *source, actor_id parent,
                        const struct script_options *options, actor_id *id, char *why, size_t room);

/* ------------------------------------------------ inside script/ only ---- */

enum wait_kind { WAIT_NONE, WAIT_ASK, WAIT_ALL, WAIT_ANY, WAIT_ROOM, WAIT_RECEIVE, WAIT_SLEEP,
                 WAIT_NAME };

/* What the handler waits for. One at a time; the outcome is read by the
 * continuation of the function that waits, on its own Lua stack. */
struct wait {
    enum wait_kind kind;
    enum failure_reason failure;  /* FAILURE_NONE: it has come */
    uint32_t number;              /* actor_wait_begin()'s */
    bool     parked;              /* the message waits for room */
    bool     unparked;            /* and was taken back: it reached nobody */
    bool     periodic;            /* RECEIVE: it is a periodic timer's message */
    type_id  type;                /* ASK, ROOM: of the message, for error texts */
    unsigned open;                /* ALL, ANY: questions without an answer */
    actor_id target;              /* ASK, ROOM: here; 0: elsewhere */
    uint64_t timeout_ns;
    uint64_t deadline_ns;
    struct message *answer;       /* owned: a REPLY or FAILURE, or the message of RECEIVE */
    const type_id *types;         /* RECEIVE: what is wanted, folded; on the function's Lua stack */
    size_t   type_count;
    uint64_t missed;              /* RECEIVE: and so many of its ticks passed meanwhile */
};

/* Where the handler of a type is; see dispatch.h. */
struct handler_cache {
    type_id type;                 /* TYPE_NONE: free */
    int     reference;            /* registry; LUA_NOREF: there is none */
    uint8_t parameters;           /* of the function; 255: any number */
    bool    is_any;               /* it is on_any */
    bool    warned;               /* that there is none has been said */
};
#define HANDLER_CACHE 8           /* power of two, grows when three quarters are full */

/* The number of a type name that scripts write in sends, by the address of the
 * Lua string. That address may have become another string's: verified. */
struct type_cache {
    const char *text;
    const char *name;             /* type_name() */
    uint32_t    size;
    type_id     type;
};
#define TYPE_CACHE 4              /* power of two */

/* A handler from its message to its end: the one in hand, or one that is set
 * aside (interleave.h). */
struct activation {
    lua_State *coroutine;
    int        coroutine_reference;
    type_id    type;
    struct message       *current; /* owned; NULL: on_shutdown */
    const struct message *content; /* what it is shown: `current`, or a timer's; NULL: nothing */
    uint64_t serial;              /* an env of an older one is over */
    uint64_t missed;              /* ticks of a periodic timer */
    bool     periodic;
    bool     owed;                /* `current` is a question that nobody has answered */
    bool     unhandled;           /* there was no handler */
    bool     waiting;             /* `wait` is under way */
    bool     stopping;            /* its waits end with `stopping` at once */
    uint8_t  cut_waits;           /* of these, since it was told so */
    bool     began_stopping;      /* it began when the actor was draining already */
    struct held *held;            /* questions of receive() and answers from elsewhere; api_env.c */
    struct asking *asking, **asking_end; /* start_ask()ed questions, oldest first; api_asking.c */
    struct asking *asked;         /* those that have their answer */
    struct wait wait;
};

/* Small: there is one for each actor, and 1280 bytes is what there is a block for. */
struct script {
    struct vm vm;
    struct actor        *actor;   /* NULL until it has begun */
    struct script_world *world;
    struct source       *source;
    int        handlers;          /* registry: the script's table, or its environment */
    int        self_reference;    /* registry: `self`; LUA_NOREF until START */
    struct env *answer_env;       /* of the last answer, anchored by its reference; api_env.c */
    int        answer_env_reference;
    unsigned   cache_mask;        /* of `cache` */
    unsigned   cache_used;        /* entries of `cache` */
    uint32_t   rounds;            /* of actor.all and actor.any */
    uint64_t   serial;            /* of the last handler that began */
    struct interleave *interleave; /* NULL: while a handler waits nothing else is handled */

    struct activation hand;       /* the handler in hand; its coroutine is there also when none is */

    bool     over;                /* no handler runs any more, not even on_shutdown */
    bool     shutting;            /* on_shutdown has begun */
    bool     stops_when_slow;     /* slow = "stop" */
    bool     refs_installed;      /* api_install_refs() has been here */
    bool     takes_any;           /* it has an on_any */
    bool     interleave_given;    /* by its spawner: a new version does not change it */
    struct declared_types *declared; /* by actor.message(); NULL: none; declared.h */
    struct declared_types *given; /* owned: by its spawner, for every version and incarnation; NULL: none */
    struct held *deferred;        /* questions kept open by env:defer(); api_env.c */

    struct handler_cache *cache;  /* first_cache, or a block of cache_mask + 1 */
    struct handler_cache first_cache[HANDLER_CACHE];
    struct type_cache    types[TYPE_CACHE];

    struct staging *staging;      /* of a new version, and what the last one left; NULL: none */
    uint64_t last_timer_id;       /* actor.next_timer_id() */
    struct timer_handle *timers;  /* handles of timers in this state; api_time.c */
    char    *exit_reason;         /* of actor.exit(); owned, may be NULL */
    char    *last_report;         /* of a handler that failed, also before a restart; owned; or NULL */
    char     version[16];         /* "" if it says none; cut */
    struct vm_options vm_options;
    struct source_instance instance; /* among those that run `source`; the last member: it stays
                                      * where it is at a restart */
};

static inline double script_slice_seconds(const struct script *script)
{
    return (double)atomic_load_explicit(&script->actor->slice_ns, memory_order_relaxed) / 1e9;
}

static inline struct script *script_of(lua_State *L)
{
    return (struct script *)(void *)vm_of(L); /* vm is the first member */
}

extern const struct behaviour script_behaviour;

/* Frees a script that runs nothing, and its state if it has one. */
void script_free(struct script *script);
/* Its lua_atpanic(). */
int  script_panic(lua_State *L);

/* ---- Waits: script.c. In this order: script_may_wait(), all that may raise,
 * script_wait_begin(), what needs the wait's number, then script_wait() or
 * script_wait_over(). ---- */

/* Whether the handler in hand must not wait any more: its actor was told to
 * stop while it ran. (One that began while the actor drains may.) */
static inline bool script_is_cut(const struct script *script)
{
    return script->hand.stopping ||
           (script->actor->phase >= PHASE_DRAINING && !script->hand.began_stopping);
}

/* Raises if a C call is in the way. False: the handler in hand is being cut,
 * and waits no more (FAILURE_STOPPING). */
bool script_may_wait(lua_State *L, const char *what);

/* A new wait of the handler, in script->hand.wait; `timeout_ns` UINT64_MAX: none. */
struct wait *script_wait_begin(struct script *script, enum wait_kind kind, enum appetite appetite,
                               uint64_t timeout_ns);
/* It ends before the handler was suspended. */
void script_wait_over(struct script *script);

/* Suspends the handler; does not return. `go_on` runs when the wait is over,
 * with script->hand.wait telling the outcome. */
int script_wait(lua_State *L, const char *what, lua_KFunction go_on);
/* The same, for somebody elsewhere, of whom people are told: takes a reference; or NULL. */
int script_wait_for(lua_State *L, const char *what, struct address *elsewhere, lua_KFunction go_on);

/* Publishes that the wait `number` of the handler in hand is for `target`, as
 * waits_begin() does, unless the actor handles other messages meanwhile. */
bool script_waits_for(struct script *script, actor_id target, uint64_t number, char *circle,
                      size_t room);

/* The handler in hand goes on, until it ends or waits again: script.c. */
enum verdict script_resume(struct script *script);

/* A handler begins that is none of the script's: `function` runs on its coroutine. The
 * caller has filled in script->hand.current, content, type, owed. */
enum verdict script_run(struct script *script, lua_CFunction function);

/* All handlers that have begun are over, where they wait: whoever asked is told
 * `reason` and `text`, what they left elsewhere is taken back. No Lua code runs,
 * nor may it any more in this state. */
void script_drop_handlers(struct script *script, enum failure_reason reason, const char *text);

/* What ends a wait; they take the message. A REPLY or FAILURE; a WAKE (the
 * deadline, or room in a mailbox); what receive() waits for. */
enum verdict script_answered(struct script *script, struct message *message);
enum verdict script_woken(struct script *script, struct message *message);
enum verdict script_received(struct script *script, struct message *message);
/* It was in vain: takes back what it left elsewhere; and then the handler goes on. */
void script_withdraw(struct script *script, enum failure_reason reason);
enum verdict script_give_up(struct script *script, enum failure_reason reason);

/* When `timeout_ns` from now is over. */
uint64_t script_deadline(struct script *script, uint64_t timeout_ns);

/* Pushes nil and a `why`: {reason=, text=} with __tostring; returns 2. */
int script_push_failure(lua_State *L, enum failure_reason reason, const char *text);

/* Time from an argument: "250ms", "2s", "1m", "1h", or seconds as a number.
 * Raises a clear error (`what` names it, and `option`, unless NULL, which one of
 * its options) for others, negative, NaN, > 1e9 s. */
uint64_t script_check_duration(lua_State *L, int index, const char *what, const char *option);
/* The same as text, without raising: true and *ns. */
bool script_parse_duration(const char *text, size_t size, uint64_t *ns);

/* Why the handler failed, as far as only the script can say: */
struct failure {
    struct bytes own_text; /* what the __tostring of the error object says; empty: it has none */
    struct bytes inside;   /* for report_context, as is `place` */
    char         place[96];
};

/* Fills *failure in; before anything else runs in the state. May run Lua code
 * of the script, which can do nothing but compute, for a short while. */
void script_failure_init(struct script *script, struct failure *failure);
void script_failure_fini(struct failure *failure);

/* Prints one report for the failed handler. */
void script_report(struct script *script, struct failure *failure, const char *outcome);

/* The name of an actor (a json_actor_text); `context` is the script or its vm. */
size_t script_actor_text(void *context, uint64_t id, char *text, size_t room);

/* What a word for `failure` means; false: it is none of SCRIPT_FAILURES. */
#define SCRIPT_FAILURES "\"continue\", \"stop\", \"restart\" or \"escalate\""
bool script_find_failure(const char *word, enum on_failure *failure);

/* One spawn option from the value at `index`, be it an option of actor.spawn
 * or a field of the script's table: name, config, types, source, if_absent, thread, failure, restart,
 * slow, memory, slice, mailbox, trap_exit. Texts point into Lua strings that the caller keeps;
 * config is packed into a Lua string that is pushed, and types are read into a userdata
 * that is (the only ones that push, and the only ones that may raise). 1: taken. 0: no such option.
 * -EINVAL: a sentence in `why`, which begins with the option's name. */
int script_read_option(lua_State *L, const char *option, int index, struct script_options *options,
                       char *why, size_t room);
/* After it has answered 0: the sentence that says so of the option's name at
 * `index`, with the one that may have been meant. -EINVAL. */
int script_refuse_option(lua_State *L, int index, char *why, size_t room);

/* The names of these options, by numbers from 0; NULL: there are no more. */
const char *script_option_name(size_t index);

/* vm_library openers: the global `actor`, `log`. */
int api_actor_open(lua_State *L);
int api_log_open(lua_State *L);
/* Fills the ref methods' table on top of the stack: send, try_send, ask, start_ask, stop. */
void api_ref_methods(lua_State *L);
/* actor.all, actor.any, actor.receive, actor.sleep. */
int api_all(lua_State *L);
int api_any(lua_State *L);
int api_receive(lua_State *L);
int api_sleep(lua_State *L);
/* actor.lookup, actor.names, actor.backlog; actor.join, actor.leave, actor.members, actor.publish. */
int api_lookup(lua_State *L);
int api_names(lua_State *L);
int api_backlog(lua_State *L);
int api_join(lua_State *L);
int api_leave(lua_State *L);
int api_members(lua_State *L);
int api_publish(lua_State *L);
/* actor.message, actor.spawn, actor.metrics, actor.after, actor.every, actor.registry. */
int api_message(lua_State *L);
int api_spawn(lua_State *L);
int api_metrics(lua_State *L);
/* actor.stream, and its sources: api_stream.c. */
int api_stream(lua_State *L);
int api_lines(lua_State *L);
int api_process(lua_State *L);
int api_listen(lua_State *L);
int api_connect(lua_State *L);
int api_subscribe(lua_State *L);
/* What a stream has sent, if it is still wanted; else it is freed: NULL. */
struct message *api_stream_admit(const struct script *script, struct message *message);
/* The incarnation ends, and its streams with it. */
void api_streams_end(struct script *script);
/* A size at `index`: "64KiB", or a number of bytes; 1 to `limit`. Never raises. */
bool script_read_bytes(lua_State *L, int index, uint64_t limit, uint64_t *bytes);
int api_registry(lua_State *L);
int api_after(lua_State *L);
int api_every(lua_State *L);
/* actor.watch, actor.unwatch, actor.link, actor.unlink. */
int api_watch(lua_State *L);
int api_unwatch(lua_State *L);
int api_link(lua_State *L);
int api_unlink(lua_State *L);
/* actor.dead_letters, actor.watch_dead_letters. */
int api_dead_letters(lua_State *L);
int api_watch_dead_letters(lua_State *L);
/* Gives the state's refs their methods, the first time it is asked. May raise.
 * Whoever pushes a ref into a state calls it before. */
void api_install_refs(lua_State *L);
/* Raises while the script's top level runs: `what` cannot be done there. */
void api_refuse_loading(lua_State *L, const char *what);
/* Arms a timer of the running actor (interval_ns 0: once) and pushes its
 * handle, or nil and why; returns how many it pushed. The packed payload may
 * be the thread's scratch. */
int api_start_timer(lua_State *L, actor_id to, type_id type, const uint8_t *packed, size_t size,
                    enum message_lane lane, uint64_t delay_ns, uint64_t interval_ns);
/* The actor ends: its handles let go of their timers. Before vm_close(). */
void api_timers_end(struct script *script);

/* What becomes of a message in hand, and envs: api_env.c.
 * Pushes an env for script->hand.current. */
void api_push_env(lua_State *L, struct script *script);
/* Pushes an env for a message that a handler has received or been answered;
 * takes *message. May raise: then *message may still be the caller's. */
void api_push_env_of(lua_State *L, struct script *script, struct message **message);
/* The handler in hand has ended: what it owes is answered with `reason`. */
void api_questions_over(struct script *script, enum failure_reason reason, const char *text);
/* The incarnation ends: deferred questions too are answered. */
void api_deferred_end(struct script *script, enum failure_reason reason, const char *text);

/* An answer to a start_ask()ed question: takes it, true. False: it is none. */
bool api_asking_answer(struct script *script, struct message *message);
/* The wait for some of them is cut or over time. */
void api_asking_cut(struct script *script, enum failure_reason reason);
/* The handler in hand has ended: they are dropped. */
void api_asking_end(struct script *script);
/* Whether the handler has such a question under that number, without an answer yet. */
bool api_asking_has(const struct activation *activation, uint64_t request);
/* The handler's data lie elsewhere now. */
void api_asking_moved(struct activation *activation);

/* The text of an actor's address or name as users see it ("pong@tcp://..."). */
const char *api_target_text(struct script *script, actor_id id, const struct address *address,
                            char *text, size_t room);

#endif
