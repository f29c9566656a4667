/*
 * staging.h -- a new version of a script beside the old one, inside one actor.
 *
 * To prepare is all that can fail: the new text runs in an environment of its own,
 * what it defines is checked, and its on_reload works on a copy of self. To commit
 * is to put that in the place of the old, and cannot fail; to abort is to let go
 * of it. In between the actor executes no Lua, nor is its self looked at.
 *
 * All three run on the actor's worker, while no handler of it runs: between two
 * messages, or while handlers wait. Those keep their coroutines, their locals and
 * the code they began with. What on_reload sent, and the timers it started and
 * cancelled, happen at the commit, in order.
 *
 * A staging knows nothing of other instances: that all commit or none is for
 * script/reload.h to see to.
 */
#ifndef TROUPE_SCRIPT_STAGING_H
#define TROUPE_SCRIPT_STAGING_H

#include "base/bytes.h"
#include "script/api.h"

struct update; /* script/unit.h */

struct staging_options {
    bool undo; /* back to an older version: no on_reload, and self as it was kept, if it was */
    bool keep; /* a trial: keeps a copy of self as it is now, whatever on_reload does */
};

/* What is to be told of a preparation that was a success. Lists have a newline after
 * each element; what did not fit for want of memory is left out. */
struct staging_notes {
    struct bytes warnings; /* "a handler is gone that had messages: on_ping\n" */
    struct bytes stale;    /* "on_buy\n": waits, with locals into tables of self that are replaced */
    bool         migrated; /* on_reload has run */
    bool         restored; /* undo: self is to be as it was kept; changes since are dropped */
};

/* Allocates nothing. */
void staging_notes_init(struct staging_notes *notes);
void staging_notes_fini(struct staging_notes *notes);

/* Stages `source` in the actor of the script, which must not have prepared already.
 * While it runs, staging_update() is `update`: what `require` finds modules in (NULL:
 * as they are current). 0: to be committed or aborted. Else nothing has changed, and
 * `why` is one line, "file:line: reason" where there is a line: -EINVAL: the new version
 * is at fault; -ENOMEM: there is no memory for it beside the old one.
 *
 * An actor whose state was freed (it is halted) prepares and has nothing to fail; it
 * loads the new source when it starts. So does one that has not begun, with no self. */
int staging_prepare(struct script *script, struct update *update, struct source *source,
                    const struct staging_options *options, struct staging_notes *notes, char *why,
                    size_t room);

/* The new version takes over; on_start is not run. Neither fails nor allocates in the
 * script's state; of the messages of on_reload one that cannot be delivered is logged. */
void staging_commit(struct script *script);

/* As if nothing had been. */
void staging_abort(struct script *script);

/* Whether there is something to commit or abort. */
bool staging_is_prepared(const struct script *script);
/* Whether a preparation runs. */
bool staging_runs(const struct script *script);

/* While a preparation runs: what it is part of; else NULL. */
struct update *staging_update(const struct script *script);

/* A trial is over, and passed: the copy that was kept for it is let go of. What
 * on_reload replaced stays, for an undo by hand. */
void staging_trial_passed(struct script *script);

/* The state was closed: forgets all that was in it. What has prepared is as if it had
 * been halted before. */
void staging_halt(struct script *script);
/* The script ends. */
void staging_free(struct script *script);

/* ---- For the functions that scripts call ---- */

/* Whether on_reload runs now: what it sends is deferred. */
bool staging_defers(const struct script *script);
/* Raises outside of on_reload, where it cannot be done, as api_refuse_loading() does. */
void staging_refuse_loading(lua_State *L, const char *what);

/* Defers it; the first takes the message. Push what the Lua function answers, and return how
 * many; may raise. */
int staging_send(lua_State *L, struct script *script, struct target target,
                 struct message *message);
int staging_cancel(lua_State *L, struct script *script, struct timer *timer);
/* As timer_start(). */
int staging_start_timer(struct script *script, struct message **message, uint64_t delay_ns,
                        uint64_t interval_ns, struct timer **timer);

/* Pushes the table in which actor.class notes what it empties (class.h); false, and
 * pushes nothing: no new version is loaded now. */
bool staging_push_classes(lua_State *L, const struct script *script);

/* While a new version is loaded: what the one in force has declared for the type, or NULL. */
struct declared *staging_declared(const struct script *script, type_id type);

#endif
