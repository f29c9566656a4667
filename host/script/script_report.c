/*
 * script_report.c -- what is known of the handler that failed, for its report.
 */
#include "script/script.h"

#include "actor/actor_log.h"
#include "base/log.h"
#include "base/memory.h"
#include "script/api.h"
#include "script/dispatch.h"
#include "script/guard.h"
#include "script/report.h"
#include "script/report_value.h"
#include "script/scratch.h"
#include "script/trace.h"

#include <lauxlib.h>
#include <stdio.h>

#define SHOWN_MESSAGE_LIMIT   400
#define KEPT_REPORT_LIMIT     4000
#define OWN_TEXT_LIMIT        2000
#define OWN_TEXT_INSTRUCTIONS 1000000 /* some ms */

size_t script_actor_text(void *context, uint64_t id, char *text, size_t room)
{
    struct script *script = context;
    registry_name(&script->world->system->registry, id, text, room);
    return strlen(text);
}

/* "Ping {"count": 1}", cut. */
static void describe_message(struct script *script, struct bytes *out)
{
    bytes_append_text(out, type_name(script->hand.type));
    const struct message *content = script->hand.content;
    if (content == NULL)
        return;
    struct bytes json;
    bytes_init(&json, 1024 * 1024);
    if (json_write(content->payload, content->size, JSON_SPACED, script_actor_text, script, &json,
                   NULL) == 0) {
        size_t shown = json.size < SHOWN_MESSAGE_LIMIT ? json.size : SHOWN_MESSAGE_LIMIT;
        bytes_append_byte(out, ' ');
        bytes_append(out, json.data, shown);
        if (json.size > SHOWN_MESSAGE_LIMIT)
            bytes_append_text(out, "...");
    }
    bytes_fini(&json);
}

static const char *describe_sender(struct script *script, char *text, size_t room)
{
    const struct message *message = script->hand.current;
    if (message == NULL)
        return NULL;
    const struct address *origin = api_origin(message);
    if (message->from == 0 && origin == NULL)
        return NULL;
    return api_target_text(script, message->from, origin, text, room);
}

/* ---- What the error object says of itself ------------------------------- */

static int own_text_over(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 1;
}

/* (object) -> what its __tostring returns, if it has one */
static int own_text(lua_State *L)
{
    if (luaL_getmetafield(L, 1, "__tostring") == LUA_TNIL)
        return 0;
    lua_insert(L, 1);
    lua_callk(L, 1, 1, 0, own_text_over);
    return own_text_over(L, LUA_OK, 0);
}

/* Runs it on a coroutine of its own, as a handler with a small budget that can
 * neither wait nor send, as at the top level. Whatever goes wrong: no text. */
static void take_own_text(struct script *script, struct bytes *out)
{
    struct vm *vm = &script->vm;
    lua_State *dead = script->hand.coroutine;
    if (vm->dying != VM_ALIVE || lua_type(dead, -1) != LUA_TTABLE || !lua_checkstack(dead, 2) ||
        !lua_getmetatable(dead, -1))
        return;
    lua_pop(dead, 1);
    int reference;
    lua_State *L = vm_coroutine(vm, &reference);
    if (L == NULL)
        return;

    struct vm_options options = *vm->options;
    options.instruction_budget = OWN_TEXT_INSTRUCTIONS;
    vm->options = &options;
    vm->loading = true;
    guard_rest(L);
    lua_pushcfunction(L, own_text);
    lua_pushvalue(dead, -1);
    lua_xmove(dead, L, 1);
    enum vm_result result = vm_resume(vm, L, 1);
    while (result == VM_PREEMPTED)
        result = vm_resume(vm, L, 0);
    if (result != VM_DONE) {
        vm_recover(vm, L);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        size_t size;
        const char *text = lua_tolstring(L, -1, &size);
        bytes_append(out, text, size < OWN_TEXT_LIMIT ? size : OWN_TEXT_LIMIT);
    }
    vm->loading = false;
    vm->options = &script->vm_options;
    luaL_unref(vm->L, LUA_REGISTRYINDEX, reference);
}

/* ---- The report ---------------------------------------------------------- */

void script_failure_init(struct script *script, struct failure *failure)
{
    bytes_init(&failure->own_text, OWN_TEXT_LIMIT + 1);
    bytes_init(&failure->inside, SCRATCH_TRACE_LIMIT);
    struct trace trace = trace_of(script->hand.coroutine);
    bytes_append_text(&failure->inside, trace.text);
    snprintf(failure->place, sizeof failure->place, "%s", trace.place);
    take_own_text(script, &failure->own_text);
}

void script_failure_fini(struct failure *failure)
{
    bytes_fini(&failure->own_text);
    bytes_fini(&failure->inside);
}

/* For whoever looks into the actor later. */
static void keep_report(struct script *script, struct bytes *text)
{
    if (text->size > KEPT_REPORT_LIMIT)
        text->size = report_cut((const char *)text->data, KEPT_REPORT_LIMIT);
    memory_free_text(script->last_report);
    script->last_report = memory_copy_text(bytes_text(text));
}

void script_report(struct script *script, struct failure *failure, const char *outcome)
{
    lua_State *dead = script->hand.coroutine;
    bool suspended = script->vm.dying != VM_ALIVE && lua_status(dead) == LUA_YIELD;
    char handler[TYPE_NAME_LIMIT + 4], sender[ADDRESS_NAME_LIMIT + ADDRESS_ENDPOINT_LIMIT + 2];
    struct bytes text, message;
    bytes_init(&text, LOG_BLOCK_LIMIT);
    bytes_init(&message, 2 * SHOWN_MESSAGE_LIMIT + TYPE_NAME_LIMIT);
    describe_message(script, &message);

    struct report_context context = {
        .actor = script->actor->name,
        .script = source_path(script->source),
        .version = script->version[0] != '\0' ? script->version : NULL,
        .handler = dispatch_name(script, script->hand.type, handler, sizeof handler),
        .message = bytes_text(&message),
        .sender = describe_sender(script, sender, sizeof sender),
        .reason = failure->own_text.size > 0 ? bytes_text(&failure->own_text) : NULL,
        .place = failure->place[0] != '\0' ? failure->place : NULL,
        .inside = bytes_text(&failure->inside),
        .line = suspended ? script->vm.stopped_line : 0,
        .outcome = outcome,
        .actor_text = script_actor_text,
        .text_context = script,
    };
    report_build(dead, &context, &text);
    actor_log_block(script->actor, LOG_ERROR, bytes_text(&text));
    keep_report(script, &text);
    bytes_fini(&message);
    bytes_fini(&text);
}
