/*
 * reload.h -- new code for scripts whose actors run: all instances or none,
 * between two messages, with nothing lost.
 *
 * A reload is asked for on any thread and done by one thread of the host, the
 * reloader, one after the other; on a stage by whoever steps it (reloads_step()).
 * It holds all instances of the scripts that changed (actor/hold.h), has each
 * prepare the new version beside the old one, on its own worker, and only if every
 * one could do all of them commit. Else, and when the host ends meanwhile, all go on
 * as if nothing had been.
 *
 * A trial goes on after the commit: the first handler error of an instance
 * within its time brings all of them back.
 *
 * The texts of versions are script/unit.h's business, what happens inside one
 * instance script/staging.h's. Neither is known to whoever asks.
 */
#ifndef TROUPE_SCRIPT_RELOAD_H
#define TROUPE_SCRIPT_RELOAD_H

#include "script/script.h"

struct reloads;

#define RELOAD_TRIAL_MAX_NS (24 * 3600 * NS_PER_SEC)

/* What has come of a reload; the exit code of `troupe reload`. */
enum reload_code {
    RELOAD_DONE = 0,    /* committed, or nothing has changed */
    RELOAD_NO_HOST = 5, /* the host is ending */
    RELOAD_REFUSED = 6, /* the old version goes on everywhere */
    RELOAD_UNKNOWN = 2, /* no such script is in use here, or there is none to go back to */
};

struct reload_request {
    const char *const *paths;  /* of scripts or modules, NULL-terminated; NULL: all that are in use */
    struct source *source;     /* or this script alone; counted by reloads_ask(). NULL: `paths` say */
    const char *text;          /* with `source`: its new text; NULL: its file is read again */
    size_t      text_size;
    bool        undo;          /* back to the version before, without on_reload */
    uint64_t    trial_ns;      /* 0: no trial; at most RELOAD_TRIAL_MAX_NS */
    bool        quiet;         /* no log line if nothing has changed */
    const char *asked_by;      /* for the log: "watch", "troupe reload", an actor's name; NULL: nobody to name */
    /* All instances have prepared and are held: called on the reloader thread
     * with the report so far; true commits, false aborts ("it was called off"). It
     * may wait, for 10 s at most, but looks at reloads_are_stopping() meanwhile
     * (a tenth of a second is often enough). NULL: commits. */
    bool (*decide)(void *context, const char *json);
    /* It is over: `code` is an enum reload_code, `json` the report in one line. On the
     * reloader thread; called once for each reloads_ask() that returned 0. */
    void (*done)(void *context, int code, const char *json);
    void  *context;
};

/* How often a script could not be reloaded since its last commit is known to its
 * source (source_failures()).
 *
 * The report, one JSON object; those fields that have nothing to say are missing:
 *   {"ok": true, "changed": true, "undo": true, "trial_s": 30,
 *    "scripts": [{"script": "examples/pong.lua", "from": 1, "to": 2, "version": "2",
 *                 "hash": "1a2b3c4d", "instances": 100, "migrated": 100}],
 *    "warnings": ["..."], "stale": ["pong: on_buy"], "held_ms": 3.1,
 *    "error": "examples/pong.lua:7: ..."}
 * `ok` false comes with `error`; `changed` false with no scripts. */

/* 0 or -ENOMEM. On a stage (world->stage) no thread is ever made. */
int  reloads_open(struct reloads **out, struct script_world *world);
/* The host ends: what is under way is called off at once, what waits for its
 * turn and what is asked from now on is answered RELOAD_NO_HOST, trials are let go
 * of. Returns when the reloader has ended; twice is fine. Before the actors are
 * stopped, for held ones would not listen. */
void reloads_stop(struct reloads *reloads);
/* After all actors have ended, or the workers. NULL is fine. */
void reloads_close(struct reloads *reloads);

/* Queues a reload; all of the request is copied. 0; -ENOMEM; -ESHUTDOWN: the host
 * is ending; -EINVAL: a trial longer than may be; -EAGAIN: its thread cannot be
 * made. Then `done` is not called. Any thread. */
int  reloads_ask(struct reloads *reloads, const struct reload_request *request);
/* For who waits in `decide`. */
bool reloads_are_stopping(const struct reloads *reloads);

/* On a stage: does one reload that was asked for, or what is due of trials. False:
 * there is nothing to do. */
bool reloads_step(struct reloads *reloads);
/* When a trial is over; UINT64_MAX: none is under way. */
uint64_t reloads_next_ns(struct reloads *reloads);

/* ---- For script/ ---- */

/* A handler of the script has failed: if its version is on trial that is over. Its worker. */
void reload_handler_failed(struct script *script, const char *reason);

/* behaviour->may_begin: waits while its source is being reloaded, and loads the
 * current one first if that is another by now. */
enum beginning reload_may_begin(struct actor *actor, char *why, size_t room);

/* actor.reload(options?) */
int api_reload(lua_State *L);

#endif
