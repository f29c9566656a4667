/*
 * evaluate.c -- see evaluate.h: the way of an evaluation from whoever typed it
 * through the actor's mailbox and handler coroutine, and back.
 *
 * It comes in the control lane, so that an actor whose handler waits can say so at
 * once; then it goes round again, into the lane that waits for handlers to end. Its
 * message is tracked: wherever that is freed without having been handled, the
 * evaluation is lost, and whoever waits is told.
 */
#include "script/evaluate_room.h"

#include "base/memory.h"
#include "script/dispatch.h"
#include "script/handler.h"
#include "script/interleave.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define COMPLETE_LIMIT 16000 /* bytes of what is offered */

/* ---- Telling -------------------------------------------------------------- */

/* (A buffer that nothing was put into has no text.) */
static void pass_on(struct evaluation *evaluation, const struct evaluate_told *told)
{
    struct evaluate_told whole = *told;
    if (whole.text == NULL)
        whole.text = "";
    if (whole.more_size == 0)
        whole.more = NULL;
    if (evaluation->request.tell != NULL)
        evaluation->request.tell(evaluation->request.context, &whole);
}

void evaluation_tell(struct evaluation *evaluation, enum evaluate_news news, const char *text,
                     size_t size)
{
    pass_on(evaluation, &(struct evaluate_told){ .news = news, .text = text, .size = size });
}

static bool make_over(struct evaluation *evaluation, enum stage from)
{
    int expected = (int)from;
    return atomic_compare_exchange_strong_explicit(&evaluation->stage, &expected, STAGE_OVER,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

void evaluation_conclude(struct script *script, struct evaluation *evaluation,
                         const struct evaluate_told *told)
{
    if (!make_over(evaluation, STAGE_BEGUN))
        return;
    atomic_store_explicit(&script->actor->cancelling, false, memory_order_relaxed);
    pass_on(evaluation, told);
}

struct evaluation *evaluation_ref(struct evaluation *evaluation)
{
    atomic_fetch_add_explicit(&evaluation->references, 1, memory_order_relaxed);
    return evaluation;
}

void evaluation_unref(struct evaluation *evaluation)
{
    if (evaluation == NULL ||
        atomic_fetch_sub_explicit(&evaluation->references, 1, memory_order_acq_rel) > 1)
        return;
    if (evaluation->request.release != NULL)
        evaluation->request.release(evaluation->request.context);
    memory_put(evaluation, evaluation->block);
}

/* The message is freed: handled, or not (see message.h). */
static void message_over(void *context, uint64_t cancels, size_t weight, bool handled)
{
    struct evaluation *evaluation = context;
    (void)weight;
    (void)handled;
    if (!cancels && (make_over(evaluation, STAGE_QUEUED) || make_over(evaluation, STAGE_BEGUN)))
        evaluation_tell(evaluation, EVALUATE_LOST, "", 0);
    evaluation_unref(evaluation);
}

/* ---- Sending: any thread ---------------------------------------------------- */

static int send_errand(struct system *system, struct evaluation *evaluation, bool cancels)
{
    struct errand errand = { .evaluation = evaluation, .cancels = cancels };
    struct message_receipt receipt = {
        .over = message_over, .context = evaluation, .number = cancels };
    struct message *message =
        message_new_tracked(MESSAGE_EVALUATE, TYPE_EVALUATE, &errand, sizeof errand, &receipt);
    if (message == NULL)
        return -ENOMEM;
    evaluation_ref(evaluation);
    message->to = evaluation->actor;
    if (router_send(system, &message, ROUTE_RESERVED) == ROUTER_OK)
        return 0;
    message_untrack(message);
    message_free(message);
    evaluation_unref(evaluation);
    return -ESRCH;
}

bool evaluate_is_possible(struct system *system, actor_id id)
{
    struct registry *registry = &system->registry;
    lock_acquire(&registry->lock); /* its slot is nobody else's meanwhile */
    struct actor *actor = registry_find(registry, id);
    bool script = actor != NULL && actor->name != NULL && actor->behaviour == &script_behaviour;
    lock_release(&registry->lock);
    return script;
}

int evaluate(struct system *system, actor_id actor, const struct evaluate_request *request,
             struct evaluation **out)
{
    if (registry_find(&system->registry, actor) == NULL)
        return -ESRCH;
    if (!evaluate_is_possible(system, actor))
        return -ENOTSUP;
    size_t block = sizeof(struct evaluation) + request->size + 1;
    struct evaluation *evaluation = memory_get_zeroed(block);
    if (evaluation == NULL)
        return -ENOMEM;
    evaluation->references = 1;
    evaluation->actor = actor;
    evaluation->request = *request;
    evaluation->request.text = evaluation->text;
    evaluation->block = block;
    if (request->size > 0)
        memcpy(evaluation->text, request->text, request->size);
    int error = send_errand(system, evaluation, false);
    if (error != 0) {
        evaluation->request.release = NULL; /* all is the caller's still */
        evaluation_unref(evaluation);
        return error;
    }
    if (out != NULL)
        *out = evaluation;
    else
        evaluation_unref(evaluation);
    return 0;
}

void evaluation_cancel(struct system *system, struct evaluation *evaluation)
{
    atomic_store_explicit(&evaluation->cancelled, true, memory_order_release);
    if (make_over(evaluation, STAGE_QUEUED)) {
        evaluation_tell(evaluation, EVALUATE_CANCELLED, "", 0);
        return;
    }
    struct actor *actor = registry_find(&system->registry, evaluation->actor);
    if (actor == NULL || !evaluation_has_begun(evaluation))
        return;
    /* If it runs the watchdog ends it, if it waits the message does. */
    atomic_store_explicit(&actor->cancelling, true, memory_order_relaxed);
    send_errand(system, evaluation, true);
}

bool evaluation_has_begun(const struct evaluation *evaluation)
{
    return atomic_load_explicit(&evaluation->stage, memory_order_acquire) == STAGE_BEGUN;
}

/* ---- Why it waits --------------------------------------------------------------- */

static const char *target_name(struct script *script, char *text, size_t room)
{
    actor_id target = script->hand.wait.target;
    return target != 0 ? registry_name(&script->world->system->registry, target, text, room)
                       : "an actor elsewhere";
}

static void describe_wait(struct script *script, struct bytes *out)
{
    const struct wait *wait = &script->hand.wait;
    char name[ADDRESS_NAME_LIMIT + 1];
    switch (wait->kind) {
    case WAIT_ASK:
        bytes_printf(out, "waiting for an answer from %s", target_name(script, name, sizeof name));
        break;
    case WAIT_ALL:
    case WAIT_ANY:
        bytes_printf(out, "waiting for answers to %u questions", wait->open);
        break;
    case WAIT_ROOM:
        bytes_printf(out, "waiting for room in the mailbox of %s",
                     target_name(script, name, sizeof name));
        break;
    case WAIT_RECEIVE:
        bytes_printf(out, "waiting to receive %s%s",
                     wait->type_count > 0 ? type_name(wait->types[0]) : "a message",
                     wait->type_count > 1 ? " or another" : "");
        break;
    case WAIT_SLEEP:
        bytes_append_text(out, "asleep");
        break;
    case WAIT_NAME:
        bytes_append_text(out, "waiting for a name");
        break;
    case WAIT_NONE:
        bytes_append_text(out, "waiting");
        break;
    }
    if (wait->deadline_ns == UINT64_MAX)
        return;
    uint64_t began_ns = wait->deadline_ns - wait->timeout_ns;
    uint64_t now_ns = clock_now(&script->world->system->clock);
    bytes_printf(out, " for %.1f s", now_ns > began_ns ? (double)(now_ns - began_ns) / 1e9 : 0.0);
}

/* Somebody else's turn it is: says whose. */
static void tell_why_it_waits(struct script *script, struct evaluation *evaluation)
{
    char handler[TYPE_NAME_LIMIT + 4];
    struct bytes text;
    bytes_init(&text, 1000);
    bytes_printf(&text, "%s ", script->actor->name);
    if (script->actor->phase < PHASE_RUNNING) {
        bytes_append_text(&text, "has not begun yet");
    } else {
        bytes_printf(&text, "is in %s, ",
                     dispatch_name(script, script->hand.type, handler, sizeof handler));
        describe_wait(script, &text);
    }
    evaluation_tell(evaluation, EVALUATE_WAITS, (const char *)text.data, text.size);
    bytes_fini(&text);
}

/* ---- On the worker ---------------------------------------------------------------- */

/* print() in a script that somebody looks into: an evaluation's lines are for him. */
static void print_line(struct vm *vm, const char *line, size_t size)
{
    struct script *script = (struct script *)(void *)vm;
    if (script->hand.type == TYPE_EVALUATE && script->hand.current != NULL) {
        evaluation_tell(evaluation_in_hand(script), EVALUATE_PRINTED, line, size);
    } else if (script->world->print != NULL) {
        script->world->print(script->world->print_context, line, size);
    } else {
        fwrite(line, 1, size, stdout);
        fflush(stdout);
    }
}

static enum verdict idle(const struct script *script)
{
    return script->hand.waiting ? VERDICT_WAITING : VERDICT_DONE;
}

static enum verdict begin_text(struct script *script, struct message *message)
{
    struct evaluation *evaluation = errand_of(message).evaluation;
    int expected = STAGE_QUEUED;
    if (script->over ||
        !atomic_compare_exchange_strong_explicit(&evaluation->stage, &expected, STAGE_BEGUN,
                                                 memory_order_acq_rel, memory_order_relaxed)) {
        message_free(message);
        return VERDICT_DONE;
    }
    script->vm_options.print = print_line;
    script->hand.current = message;
    script->hand.content = NULL;
    script->hand.type = TYPE_EVALUATE;
    script->hand.owed = false;
    return script_run(script, evaluate_run);
}

static enum verdict wait_for_turn(struct script *script, struct message *message)
{
    struct evaluation *evaluation = errand_of(message).evaluation;
    if (atomic_load_explicit(&evaluation->stage, memory_order_relaxed) == STAGE_QUEUED) {
        tell_why_it_waits(script, evaluation);
        message->lane = LANE_NOTICE;
        router_send(script->world->system, &message, ROUTE_RESERVED);
    }
    message_free(message);
    return idle(script);
}

static enum verdict cancel(struct script *script, struct message *message)
{
    static const char text[] = "interrupted where it waited";
    bool meant = script->hand.waiting && evaluate_is_meant(&script->hand, message);
    message_free(message);
    if (!meant)
        return idle(script);
    script_withdraw(script, FAILURE_STOPPING);
    script->hand.waiting = false;
    script_wait_over(script);
    script->vm.dying = VM_CANCELLED;
    bool fit = handler_recover(script); /* its __close may loop, and be cancelled again */
    evaluation_conclude(script, evaluation_in_hand(script),
                        &(struct evaluate_told){
                            .news = EVALUATE_CANCELLED, .text = text, .size = sizeof text - 1 });
    handler_end(script, FAILURE_STOPPING, "the question was interrupted");
    return fit ? VERDICT_DONE : handler_end_actor(script, ENDED_BY_ERROR, "memory", true);
}

/* What needs no turn of its own: (script, evaluation, bytes). Runs no code of the script. */
static int run_aside(lua_State *L)
{
    struct script *script = lua_touserdata(L, 1);
    const struct evaluation *evaluation = lua_touserdata(L, 2);
    const struct evaluate_request *request = &evaluation->request;
    if (request->what == EVALUATE_FORGET)
        evaluate_forget(L, request->session);
    else
        evaluate_complete(L, script, request->session, request->text, request->size,
                          lua_touserdata(L, 3));
    return 0;
}

static enum verdict answer_aside(struct script *script, struct message *message)
{
    struct evaluation *evaluation = errand_of(message).evaluation;
    lua_State *L = script->vm.L;
    struct bytes found;
    bytes_init(&found, COMPLETE_LIMIT);
    lua_pushcfunction(L, run_aside);
    lua_pushlightuserdata(L, script);
    lua_pushlightuserdata(L, evaluation);
    lua_pushlightuserdata(L, &found);
    if (lua_pcall(L, 3, 0, 0) != LUA_OK) { /* no memory: there are none */
        lua_pop(L, 1);
        bytes_clear(&found, 0);
    }
    if (make_over(evaluation, STAGE_QUEUED))
        evaluation_tell(evaluation, EVALUATE_DONE, (const char *)found.data, found.size);
    bytes_fini(&found);
    message_free(message);
    return idle(script);
}

enum verdict evaluate_receive(struct script *script, struct message *message)
{
    struct errand errand = errand_of(message);
    if (errand.cancels)
        return cancel(script, message);
    if (errand.evaluation->request.what != EVALUATE_TEXT)
        return answer_aside(script, message);
    if (script->hand.waiting || script->actor->phase < PHASE_RUNNING)
        return wait_for_turn(script, message);
    return begin_text(script, message);
}

bool evaluate_is_cancelled(const struct script *script)
{
    return script->vm.active != NULL && script->hand.type == TYPE_EVALUATE &&
           script->hand.current != NULL &&
           atomic_load_explicit(&evaluation_in_hand(script)->cancelled, memory_order_relaxed);
}

bool evaluate_is_meant(const struct activation *activation, const struct message *message)
{
    return activation->type == TYPE_EVALUATE && activation->current != NULL &&
           errand_of(activation->current).evaluation == errand_of(message).evaluation;
}

