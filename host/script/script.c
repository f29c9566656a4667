/*
 * script.c -- see script.h.
 *
 * What a message costs. An ordinary message runs no Lua but its handler: the
 * handler is found by a number, its arguments are pushed onto the one handler
 * coroutine, and that is resumed. Pushing may raise, for want of memory, while
 * the coroutine does not run and nothing catches. The tidy way is to have the
 * coroutine run a C function, `entry`, which does the pushing and calls the
 * handler; but that call costs 150 instructions of a message's 5,000, and a
 * setjmp 30. So what was pushed often before is pushed outside; should it
 * raise, Lua resets the coroutine and calls our panic function, which jumps
 * back, and the message goes the tidy way, where it may fail as a handler does.
 */
#include "script/script.h"

#include "base/log.h"
#include "base/memory.h"
#include "message/pack.h"
#include "script/api.h"
#include "script/declared.h"
#include "script/dispatch.h"
#include "script/evaluate.h"
#include "script/handler.h"
#include "script/interleave.h"
#include "script/pack_lua.h"
#include "script/reload.h"
#include "script/restart.h"

#include <lauxlib.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

static struct script *begin(struct actor *actor)
{
    struct script *script = actor->state;
    script->actor = actor;
    return script;
}

static struct system *system_of(struct script *script)
{
    return script->world->system;
}

/* What has come of a resume. */
static inline enum verdict settle(struct script *script, enum vm_result result)
{
    if (LIKELY(result == VM_DONE)) {
        if (UNLIKELY(script->hand.unhandled)) {
            script->hand.unhandled = false;
            script->hand.owed = false; /* the refusal tells its asker */
            if (script->hand.current != NULL)
                dispatch_unhandled(script, &script->hand.current);
        }
        handler_end(script, FAILURE_NO_REPLY, NULL);
        if (UNLIKELY(script->hand.type == TYPE_START))
            incarnation_started(script->actor);
        return script->shutting ? handler_end_actor(script, ENDED_NORMALLY, NULL, true) : VERDICT_DONE;
    }
    switch (result) {
    case VM_WAITING:
        return VERDICT_WAITING;
    case VM_PREEMPTED:
        return VERDICT_PREEMPTED;
    default:
        return handler_failed(script);
    }
}

enum verdict script_resume(struct script *script)
{
    return settle(script, vm_resume(&script->vm, script->hand.coroutine, 0));
}

/* ---- How a handler begins ----------------------------------------------- */

/* Refs get their methods when a script first meets one: it may in the message
 * in hand. (A byte that looks like a ref's tag will do.) */
static inline bool needs_refs(const struct script *script)
{
    const struct activation *hand = &script->hand;
    const struct message *content = hand->type == TYPE_START ? hand->current : hand->content;
    return UNLIKELY(!script->refs_installed) && content != NULL && content->size > 0 &&
           (memchr(content->payload, PACK_ACTOR, content->size) != NULL ||
            memchr(content->payload, PACK_ADDRESS, content->size) != NULL);
}

/* self, with the config in it. */
static void make_self(lua_State *L, struct script *script)
{
    const struct message *start = script->hand.type == TYPE_START ? script->hand.current : NULL;
    lua_createtable(L, 0, 2);
    if (start != NULL)
        pack_lua_push(L, start->payload, start->size);
    else
        lua_createtable(L, 0, 0);
    lua_setfield(L, -2, "config");
    script->self_reference = luaL_ref(L, LUA_REGISTRYINDEX);
}

static int entry_over(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 0;
}

/* Runs on the handler coroutine: finds the handler of the message in hand,
 * pushes its arguments and calls it. */
static int entry(lua_State *L)
{
    struct script *script = script_of(L);
    if (needs_refs(script))
        api_install_refs(L);
    if (UNLIKELY(script->self_reference == LUA_NOREF))
        make_self(L, script);
    const struct handler_cache *handler = dispatch_find(L, script, script->hand.type);
    if (handler->reference == LUA_NOREF) {
        script->hand.unhandled = true;
        return 0;
    }
    int arguments = dispatch_push(L, script, handler);
    lua_callk(L, arguments, 0, 0, entry_over);
    return 0;
}

/* Where to go on if a push outside of any protected call raises. */
static _Thread_local jmp_buf *rescue __attribute__((tls_model("initial-exec")));

int script_panic(lua_State *L)
{
    if (rescue != NULL)
        longjmp(*rescue, 1);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no message";
    log_error("script: unprotected error in Lua: %s", text);
    abort();
}

/* Pushes what `entry` would, outside of the coroutine. False: it raised. */
static bool push_outside(struct script *script, const struct handler_cache *handler, int *arguments)
{
    jmp_buf here;
    bool pushed = false;
    rescue = &here;
    if (LIKELY(_setjmp(here) == 0)) {
        *arguments = dispatch_push(script->hand.coroutine, script, handler);
        pushed = true;
    }
    rescue = NULL;
    return pushed;
}

static inline void begin_hand(struct script *script)
{
    script->hand.serial = ++script->serial;
    script->hand.stopping = false;
    script->hand.cut_waits = 0;
    script->hand.began_stopping = script->actor->phase >= PHASE_DRAINING;
}

enum verdict script_run(struct script *script, lua_CFunction function)
{
    begin_hand(script);
    lua_pushcfunction(script->hand.coroutine, function);
    return settle(script, vm_resume(&script->vm, script->hand.coroutine, 0));
}

/* Runs the handler of the message in hand, until it ends or waits. */
static enum verdict run(struct script *script)
{
    lua_State *L = script->hand.coroutine;
    begin_hand(script);
    const struct handler_cache *handler = dispatch_cached(script, script->hand.type);
    int arguments = 0;
    if (UNLIKELY(handler == NULL || handler->reference == LUA_NOREF ||
                 script->self_reference == LUA_NOREF || needs_refs(script) ||
                 !push_outside(script, handler, &arguments)))
        lua_pushcfunction(L, entry);
    return settle(script, vm_resume(&script->vm, L, arguments));
}

/* Takes the message in hand to its handler. */
static enum verdict handle(struct script *script, struct message *message)
{
    if (UNLIKELY(script->over)) {
        router_refuse(system_of(script), &message, FAILURE_DOWN, "the actor has ended", NULL);
        return VERDICT_DONE;
    }
    script->hand.current = message;
    script->hand.content = message;
    script->hand.type = message->type;
    script->hand.owed = api_is_question(message);
    return run(script);
}

static enum verdict handle_timer(struct script *script, struct message *message)
{
    const struct message *content;
    if (!timer_deliver(message, &content, &script->hand.missed, &script->hand.periodic)) {
        message_free(message);
        return VERDICT_DONE;
    }
    if (UNLIKELY(script->declared != NULL) && !declared_admits_timer(script, content)) {
        message_free(message);
        return VERDICT_DONE;
    }
    script->hand.current = message;
    script->hand.content = content;
    script->hand.type = content->type;
    script->hand.owed = false;
    return run(script);
}

static enum verdict handle_start(struct script *script, struct message *message)
{
    script->hand.current = message;
    script->hand.content = NULL;
    script->hand.type = TYPE_START;
    script->hand.owed = false;
    arena_show(&script->vm.arena, &script->actor->memory);
    return run(script);
}

/* ---- The behaviour ------------------------------------------------------ */

/* The same message or another in its place, if it is as this script has declared
 * it, and not from a stream that was closed. NULL: there is none to be handled. */
static struct message *admit(struct script *script, struct message *message)
{
    switch (message->kind) {
    case MESSAGE_ORDINARY:
    case MESSAGE_ASK:
        return declared_admit(script, message);
    case MESSAGE_REPLY:
        return declared_admit_answer(script, message);
    case MESSAGE_ITEM:
    case MESSAGE_STREAM:
        return api_stream_admit(script, message);
    default:
        return message;
    }
}

/* It may have been meant for an incarnation that has ended since. */
static bool is_for_another(const struct script *script, const struct message *notice)
{
    uint32_t now = atomic_load_explicit(&script->actor->incarnation, memory_order_relaxed);
    return notice->request != 0 && notice->request != now;
}

static enum verdict receive_notice(struct script *script, struct message *message)
{
    if (UNLIKELY(is_for_another(script, message))) {
        message_free(message);
        return script->hand.waiting ? VERDICT_WAITING : VERDICT_DONE;
    }
    return script->hand.waiting ? script_received(script, message) : handle(script, message);
}

/* For the handler in hand, if it waits; else one begins. */
static inline enum verdict receive(struct script *script, struct message *message)
{
    if (UNLIKELY(script->declared != NULL || message->kind >= MESSAGE_ITEM)) {
        message = admit(script, message);
        if (message == NULL)
            return script->hand.waiting ? VERDICT_WAITING : VERDICT_DONE;
    }
    switch (message->kind) {
    case MESSAGE_ORDINARY:
    case MESSAGE_ASK:
    case MESSAGE_ITEM:
    case MESSAGE_STREAM:
        return UNLIKELY(script->hand.waiting) ? script_received(script, message)
                                         : handle(script, message);
    case MESSAGE_REPLY:
    case MESSAGE_FAILURE:
        return script_answered(script, message);
    case MESSAGE_TIMER:
        return UNLIKELY(script->hand.waiting) ? script_received(script, message)
                                         : handle_timer(script, message);
    case MESSAGE_NOTICE:
        return receive_notice(script, message);
    case MESSAGE_WAKE:
        return script_woken(script, message);
    case MESSAGE_START:
        return handle_start(script, message);
    case MESSAGE_EVALUATE:
        return evaluate_receive(script, message);
    default:
        message_free(message);
        return script->hand.waiting ? VERDICT_WAITING : VERDICT_DONE;
    }
}

static enum verdict script_receive(struct actor *actor, struct message *message)
{
    struct script *script = begin(actor);
    if (LIKELY(script->interleave == NULL))
        return receive(script, message);
    interleave_take_up(script, message);
    return interleave_settle(script, receive(script, message));
}

static enum verdict script_go_on(struct actor *actor)
{
    struct script *script = begin(actor);
    enum verdict verdict = script_resume(script);
    return script->interleave != NULL ? interleave_settle(script, verdict) : verdict;
}

static enum verdict script_cut(struct actor *actor)
{
    struct script *script = begin(actor);
    if (script->interleave != NULL)
        return interleave_cut(script);
    if (!script->hand.waiting)
        return VERDICT_DONE;
    script->hand.stopping = true;
    return script_give_up(script, FAILURE_STOPPING);
}

static enum verdict script_shut_down(struct actor *actor)
{
    struct script *script = begin(actor);
    if (script->over || script->shutting)
        return VERDICT_ENDED;
    script->shutting = true;
    script->hand.current = NULL;
    script->hand.content = NULL;
    script->hand.type = TYPE_SHUTDOWN;
    script->hand.owed = false;
    return run(script);
}

static bool script_chooses(void *context, const struct message *message)
{
    const struct actor *actor = context;
    const struct script *script = actor->state;
    if (script->interleave != NULL)
        return interleave_chooses(script, message);
    type_id alike = type_alike(message->type);
    for (size_t i = 0; i < script->hand.wait.type_count; i++)
        if (script->hand.wait.types[i] == alike)
            return true;
    return false;
}

static void script_end(struct actor *actor)
{
    struct script *script = begin(actor);
    char text[HANDLER_END_ROOM];
    handler_end_text(script, text, sizeof text);
    restart_let_go(script, FAILURE_DOWN, text);
    script_free(script);
}

static void script_interrupt(struct actor *actor, enum interrupt what)
{
    struct script *script = actor->state;
    switch (what) {
    case INTERRUPT_PREEMPT:
        vm_interrupt(&script->vm, VM_INTERRUPT_PREEMPT);
        break;
    case INTERRUPT_OVERDUE:
        vm_interrupt(&script->vm,
                     script->stops_when_slow && script->hand.type != TYPE_EVALUATE
                         ? VM_INTERRUPT_SLOW
                         : VM_INTERRUPT_REPORT);
        break;
    case INTERRUPT_CANCEL:
        if (evaluate_is_cancelled(script))
            vm_interrupt(&script->vm, VM_INTERRUPT_CANCEL);
        else
            atomic_store_explicit(&actor->cancelling, false, memory_order_relaxed);
        break;
    case INTERRUPT_STOP:
        vm_interrupt(&script->vm, VM_INTERRUPT_STOP);
        break;
    }
}

/* For a signal handler: nothing but copying. */
static void append(char *text, size_t room, const char *more)
{
    size_t size = strlen(text);
    while (*more != '\0' && size + 1 < room)
        text[size++] = *more++;
    text[size] = '\0';
}

static bool script_stuck_in(struct actor *actor, char *text, size_t room)
{
    struct script *script = actor->state;
    if (!vm_name_c_function(&script->vm, text, room))
        return false;
    append(text, room, ", handling ");
    append(text, room, type_name(script->hand.type));
    return true;
}

const struct behaviour script_behaviour = {
    .may_begin = reload_may_begin,
    .receive = script_receive,
    .go_on = script_go_on,
    .cut = script_cut,
    .shut_down = script_shut_down,
    .chooses = script_chooses,
    .end = script_end,
    .halt = restart_halt,
    .renew = restart_renew,
    .kill = restart_kill,
    .interrupt = script_interrupt,
    .stuck_in = script_stuck_in,
};
