/*
 * restart.c -- see restart.h.
 */
#include "script/restart.h"

#include "script/declared.h"
#include "script/dispatch.h"
#include "script/handler.h"
#include "script/interleave.h"
#include "script/load.h"
#include "script/staging.h"

#include "actor/subject.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

void restart_let_go(struct script *script, enum failure_reason reason, const char *text)
{
    script_drop_handlers(script, reason, text);
    api_deferred_end(script, reason, text);
    api_timers_end(script);
    api_streams_end(script);
}

/* "no luck", also of "error: no luck". */
static const char *plain_reason(const struct actor *actor)
{
    static const char mark[] = "error: ";
    const char *reason = actor_end_reason(actor);
    return strncmp(reason, mark, sizeof mark - 1) == 0 ? reason + sizeof mark - 1 : reason;
}

/* Without a state, and what was in it. */
static void empty(struct script *script)
{
    vm_close(&script->vm);
    staging_halt(script);
    interleave_reset(script);
    declared_free(&script->declared);
    dispatch_fini(script);
    memory_free_text(script->exit_reason);

    struct script fresh = {
        .actor = script->actor,
        .world = script->world,
        .source = script->source,
        .interleave = script->interleave,
        .interleave_given = script->interleave_given,
        .staging = script->staging,
        .given = script->given,
        .stops_when_slow = script->stops_when_slow,
        .last_report = script->last_report,
        .vm_options = script->vm_options,
    };
    memcpy(script, &fresh, offsetof(struct script, instance)); /* that is in a list of others' */
    dispatch_init(script);
}

void restart_halt(struct actor *actor)
{
    struct script *script = actor->state;
    char text[ACTOR_REASON_ROOM + ADDRESS_NAME_LIMIT + 20];
    bool failed = actor->end_reason != NULL;
    script->actor = actor; /* it may never have begun */
    if (failed)
        snprintf(text, sizeof text, "%s has failed: %s", actor->name, plain_reason(actor));
    else
        snprintf(text, sizeof text, "%s was halted", actor->name);
    restart_let_go(script, failed ? FAILURE_FAILED : FAILURE_DOWN, text);
    empty(script);
}

void restart_moved(struct script *script)
{
    struct subject *subject = source_subject(script->source);
    source_move(&script->instance, script->source);
    subject_set(script->actor, subject);
    if (script->version[0] != '\0')
        subject_note_version(subject, script->version);
}

/* The version that it would be spawned with now. */
static void take_current(struct script *script)
{
    if (source_state(script->source) != SOURCE_SUPERSEDED)
        return;
    struct source *old = script->source;
    script->source = source_current(script->world->sources, old);
    restart_moved(script);
    source_unref(old);
}

int restart_anew(struct actor *actor, char *why, size_t room)
{
    struct script *script = actor->state;
    empty(script);
    int error = restart_renew(actor, why, room);
    atomic_store_explicit(&actor->takes_any, script->takes_any, memory_order_relaxed);
    return error;
}

int restart_renew(struct actor *actor, char *why, size_t room)
{
    struct script *script = actor->state;
    take_current(script);
    struct script_options own = { 0 }; /* the spawn's and the first load's hold for life */
    int error = load_open(script);
    if (error != 0)
        snprintf(why, room, "out of memory");
    else
        error = load_run(script, &own, false, why, room);
    return error;
}

enum verdict restart_kill(struct actor *actor)
{
    struct script *script = actor->state;
    char text[HANDLER_END_ROOM];
    script->actor = actor;
    snprintf(text, sizeof text, "%s was killed", actor->name);
    script_drop_handlers(script, FAILURE_FAILED, text);
    script->vm.dying = VM_STOPPED; /* what its __close variables do is cut short, too */
    bool fit = vm_recover(&script->vm, script->hand.coroutine);
    (void)fit; /* it runs nothing more */
    return handler_end_actor(script, ENDED_NORMALLY, "killed", true);
}
