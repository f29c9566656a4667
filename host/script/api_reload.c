/*
 * api_reload.c -- actor.reload: a script asks for new code, and waits for what
 * comes of it.
 */
#include "script/api.h"

#include "base/memory.h"
#include "message/json.h"
#include "script/pack_lua.h"
#include "script/reload.h"
#include "script/sandbox.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>

/* Who waits for the report. */
struct asker {
    struct system *system;
    actor_id id;
    uint64_t wait;
};

/* On the reloader. */
static void tell(void *context, int code, const char *json)
{
    struct asker *asker = context;
    struct bytes packed;
    (void)code; /* the report says it */
    bytes_init(&packed, 0);
    struct message *answer = NULL;
    if (json_read(json, strlen(json), &JSON_LIMITS_DEFAULT, &packed, NULL) == 0)
        answer = message_new(MESSAGE_REPLY, TYPE_RELOAD, packed.data, packed.size);
    if (answer != NULL)
        router_reply(asker->system, asker->id, asker->wait, &answer, 0);
    else
        router_fail(asker->system, asker->id, asker->wait, FAILURE_FAILED,
                    "there is no memory for the report");
    message_free(answer);
    bytes_fini(&packed);
    memory_put(asker, sizeof *asker);
}

/* nil, {reason = "reload", text = the report's error, report = the report}: the
 * report is on top of the stack. */
static int push_refusal(lua_State *L)
{
    int report = lua_gettop(L);
    if (lua_getfield(L, report, "error") != LUA_TSTRING)
        lua_pushliteral(L, "the reload was refused");
    script_push_failure(L, FAILURE_RELOAD, lua_tostring(L, -1));
    lua_pushvalue(L, report);
    lua_setfield(L, -2, "report");
    return 2;
}

/* Whoever ends with the host hears of that first, whichever comes first. */
static const char *stopping(const struct script *script, const char *why)
{
    return reloads_are_stopping(script->world->reloads) ? "the host is ending" : why;
}

static int go_on_after_reload(lua_State *L, int status, lua_KContext context)
{
    struct script *script = script_of(L);
    struct wait *wait = &script->hand.wait;
    struct message *answer = wait->answer;
    (void)status, (void)context;
    if (answer == NULL)
        return script_push_failure(
            L, wait->failure, stopping(script, "the actor is stopping; the reload goes on"));
    if (answer->kind == MESSAGE_FAILURE)
        return script_push_failure(
            L, (enum failure_reason)answer->reason,
            lua_pushlstring(L, (const char *)answer->payload, answer->size));
    pack_lua_push(L, answer->payload, answer->size);
    lua_getfield(L, -1, "ok");
    bool done = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (!done)
        return push_refusal(L);
    lua_pushboolean(L, true);
    lua_insert(L, -2);
    return 2;
}

/* Reads {script =, trial =, undo =}; the path, or NULL, lives as long as the table. */
static void check_options(lua_State *L, int index, struct reload_request *request, const char **path)
{
    *path = NULL;
    if (lua_isnoneornil(L, index))
        return;
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        if (strcmp(name, "script") == 0) {
            if (lua_type(L, -1) != LUA_TSTRING)
                luaL_error(L, "reload: script is a path, not a %s", luaL_typename(L, -1));
            *path = lua_tostring(L, -1);
        } else if (strcmp(name, "trial") == 0) {
            request->trial_ns = script_check_duration(L, lua_gettop(L), "reload", "trial");
            if (request->trial_ns == 0 || request->trial_ns > RELOAD_TRIAL_MAX_NS)
                luaL_error(L, "reload: a trial takes more than 0 s, and at most a day");
        } else if (strcmp(name, "undo") == 0) {
            if (!lua_isboolean(L, -1))
                luaL_error(L, "reload: undo is true or false, not a %s", luaL_typename(L, -1));
            request->undo = lua_toboolean(L, -1);
        } else {
            luaL_error(L, "reload: there is no option '%s': script, trial and undo are all", name);
        }
    }
    if (request->undo && request->trial_ns > 0)
        luaL_error(L, "reload: what is undone is not on trial");
}

static const char *refusal_of(int error)
{
    return error == -ESHUTDOWN ? "the host is ending"
           : error == -ENOMEM  ? "out of memory"
                               : "its thread cannot be made";
}

/* actor.reload({script=, trial=, undo=}) -> true and the report, or nil and why. */
int api_reload(lua_State *L)
{
    struct script *script = script_of(L);
    struct reloads *reloads = script->world->reloads;
    struct reload_request request = { .asked_by = NULL };
    const char *path;
    sandbox_refuse(L, "actor.reload");
    bool may_wait = script_may_wait(L, "reload");
    lua_settop(L, 1);
    check_options(L, 1, &request, &path);
    if (reloads == NULL)
        return luaL_error(L, "reload: this host has no reloads");
    if (!may_wait)
        return script_push_failure(
            L, FAILURE_STOPPING,
            stopping(script, "nothing was reloaded: this actor is stopping"));

    const char *paths[] = { path, NULL };
    char name[ADDRESS_NAME_LIMIT + 1];
    snprintf(name, sizeof name, "%s", script->actor->name);
    request.asked_by = name;
    request.paths = path != NULL ? paths : NULL;
    request.source = path != NULL ? NULL : script->source;
    struct asker *asker = memory_get(sizeof *asker);
    if (asker == NULL)
        return luaL_error(L, "reload: out of memory");
    struct wait *wait = script_wait_begin(script, WAIT_ASK, APPETITE_CONTROL, UINT64_MAX);
    wait->type = TYPE_RELOAD;
    *asker = (struct asker){ .system = script->world->system, .id = actor_self(script->actor),
                             .wait = wait->number };
    request.done = tell;
    request.context = asker;
    int error = reloads_ask(reloads, &request);
    if (error != 0) {
        script_wait_over(script);
        memory_put(asker, sizeof *asker);
        return script_push_failure(L, error == -ESHUTDOWN ? FAILURE_STOPPING : FAILURE_RELOAD,
                                   refusal_of(error));
    }
    return script_wait(L, "reload", go_on_after_reload);
}
