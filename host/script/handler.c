/*
 * handler.c -- see handler.h: what becomes of an actor whose handler died.
 */
#include "script/handler.h"

#include "actor/actor_log.h"
#include "actor/statistics.h"
#include "base/log.h"
#include "base/memory.h"
#include "script/dispatch.h"
#include "script/evaluate.h"
#include "script/reload.h"
#include "script/report.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define OUTCOME_ROOM     (ADDRESS_NAME_LIMIT + 240)
#define REPORTS_A_SECOND 100

enum verdict handler_end_actor(struct script *script, enum ending ending, const char *reason,
                               bool over)
{
    if (ending != ENDED_NORMALLY)
        script->actor->ended = (uint8_t)ending;
    actor_note_end(script->actor, reason);
    script->over = script->over || over;
    return VERDICT_ENDED;
}

bool handler_recover(struct script *script)
{
    if (LIKELY(vm_recover(&script->vm, script->hand.coroutine)))
        return true;
    luaL_unref(script->vm.L, LUA_REGISTRYINDEX, script->hand.coroutine_reference);
    script->hand.coroutine = vm_coroutine(&script->vm, &script->hand.coroutine_reference);
    return script->hand.coroutine != NULL;
}

const char *handler_end_text(const struct script *script, char *text, size_t room)
{
    const char *reason = script->exit_reason;
    snprintf(text, room, "%s has ended%s%s", script->actor->name, reason != NULL ? ": " : "",
             reason != NULL ? reason : "");
    return text;
}

static enum verdict exited(struct script *script)
{
    char text[HANDLER_END_ROOM];
    handler_end_text(script, text, sizeof text);
    handler_end(script, FAILURE_DOWN, text);
    bool fit = handler_recover(script);
    return handler_end_actor(script, ENDED_NORMALLY, script->exit_reason, !fit);
}

/* One line that says why the handler died. */
static void describe_death(struct script *script, enum vm_death death,
                           const struct failure *failure, struct bytes *out)
{
    if (death == VM_STOPPED && incarnation_is_condemned(script->actor))
        bytes_append_text(out, "killed: it had not ended in time");
    else if (failure->own_text.size > 0)
        report_text((const char *)failure->own_text.data, failure->own_text.size, out);
    else
        report_reason(script->hand.coroutine, -1, out);
    if (death == VM_SLOW && script->vm_options.instruction_budget == 0)
        bytes_printf(out, " of %g s", script_slice_seconds(script));
    else if (death == VM_MEMORY)
        bytes_printf(out, ": memory limit of %g MiB reached",
                     (double)script->vm.arena.limit / (1024 * 1024));
}

/* The same as the reason of the actor's end, for whoever watches it. */
static void note_death(struct script *script, enum vm_death death, const char *reason)
{
    char text[ACTOR_REASON_ROOM];
    switch (death) {
    case VM_SLOW:
        actor_note_end(script->actor, "slow");
        return;
    case VM_MEMORY:
        actor_note_end(script->actor, "memory");
        return;
    case VM_STOPPED:
        actor_note_end(script->actor, "killed");
        return;
    default:
        snprintf(text, sizeof text, "error: %s", reason);
        actor_note_end(script->actor, text);
    }
}

/* Decides what comes of it, and says it in words. */
static enum outcome judge(struct script *script, enum vm_death death, char *text, size_t room)
{
    struct actor *actor = script->actor;
    if (script->shutting) {
        snprintf(text, room, "%s", incarnation_halts(actor) ? "the actor is halted all the same"
                                                            : "the actor has ended");
        return OUTCOME_ENDS;
    }
    enum outcome outcome = OUTCOME_ENDS;
    if (death == VM_STOPPED)
        snprintf(text, room, "the actor ends");
    else
        outcome = incarnation_failed(actor, script->hand.type == TYPE_START, text, room);
    size_t size = strlen(text);
    if (script->hand.current != NULL && script->hand.type != TYPE_START)
        snprintf(text + size, room - size, ", the message is a dead letter");
    return outcome;
}

/* One report a failure: but of a storm of them only so many. On the stage all. */
static void report(struct script *script, struct failure *failure, const char *outcome)
{
    static struct log_limit limit = LOG_LIMIT(REPORTS_A_SECOND);
    if (script->world->stage || log_allowed(&limit))
        script_report(script, failure, outcome);
}

/* Its actor is to stop, and it went on waiting: what is queued may be drained. */
static enum verdict cut_off(struct script *script)
{
    char handler[TYPE_NAME_LIMIT + 4];
    actor_log(script->actor, LOG_INFO, "%s went on waiting after it was told to stop, and was ended there",
              dispatch_name(script, script->hand.type, handler, sizeof handler));
    handler_end(script, FAILURE_STOPPING, "the actor is stopping");
    return handler_recover(script) ? VERDICT_DONE
                           : handler_end_actor(script, ENDED_NORMALLY, "memory", true);
}

enum verdict handler_failed(struct script *script)
{
    enum vm_death death = (enum vm_death)script->vm.dying;
    if (script->hand.type == TYPE_EVALUATE)
        return evaluate_failed(script);
    if (death == VM_EXIT)
        return exited(script);
    if (death == VM_CUT)
        return cut_off(script);

    if (death == VM_SLOW && script->world->stage)
        script->world->over_budget++;
    char text[OUTCOME_ROOM];
    bool started = script->hand.type != TYPE_START;
    enum outcome outcome = judge(script, death, text, sizeof text);
    struct failure failure;
    struct bytes reason;
    statistics_failed(script->actor);
    script_failure_init(script, &failure);
    bytes_init(&reason, 500);
    describe_death(script, death, &failure, &reason);
    if (death == VM_SLOW || death == VM_MEMORY || death == VM_STOPPED) { /* so says the report */
        bytes_clear(&failure.own_text, 0);
        bytes_append(&failure.own_text, reason.data, reason.size);
    }
    report(script, &failure, text);
    script_failure_fini(&failure);
    if (death != VM_STOPPED)
        reload_handler_failed(script, bytes_text(&reason));

    handler_end_questions(script, FAILURE_FAILED, bytes_text(&reason));
    if (script->hand.current != NULL && script->hand.current->kind == MESSAGE_ASK)
        script->hand.current->kind = MESSAGE_ORDINARY; /* who asked has been told */
    if (script->hand.current != NULL)
        router_refuse(script->world->system, &script->hand.current, FAILURE_FAILED, bytes_text(&reason),
                      NULL);
    handler_end(script, FAILURE_FAILED, bytes_text(&reason));

    bool fit = handler_recover(script);
    enum verdict verdict = VERDICT_DONE;
    if (outcome != OUTCOME_GOES_ON || !fit) {
        bool full = death == VM_MEMORY && incarnation_halts(script->actor);
        note_death(script, death, bytes_text(&reason));
        verdict = handler_end_actor(script,
                                    death == VM_STOPPED             ? ENDED_NORMALLY
                                    : outcome == OUTCOME_NOT_BEGUN ? ENDED_AT_START
                                                                   : ENDED_BY_ERROR,
                                    NULL, !started || !fit || full || death == VM_STOPPED);
    }
    bytes_fini(&reason);
    return verdict;
}
