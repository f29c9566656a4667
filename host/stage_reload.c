/*
 * stage_reload.c -- see stage_reload.h.
 */
#include "stage_reload.h"

#include "script/pack_lua.h"
#include "stage_take.h"

#include <lauxlib.h>
#include <string.h>

/* What has come of it, packed. */
struct reload_outcome {
    struct bytes packed;
    bool over;
};

static void take_report(void *context, int code, const char *json)
{
    struct reload_outcome *outcome = context;
    (void)code; /* the report says it */
    outcome->over = true;
    json_read(json, strlen(json), &JSON_LIMITS_DEFAULT, &outcome->packed, NULL);
}

static struct script *check_script(lua_State *L, struct stage *stage, int index)
{
    actor_id id = stage_check_actor(L, stage, index);
    struct actor *actor = registry_find(&stage_system(stage)->registry, id);
    if (actor == NULL)
        luaL_error(L, "reload: the actor has ended");
    if (actor->behaviour != &script_behaviour)
        luaL_error(L, "reload: the actor runs no script");
    return actor->state;
}

static void check_options(lua_State *L, int index, struct reload_request *request)
{
    if (lua_isnoneornil(L, index))
        return;
    luaL_checktype(L, index, LUA_TTABLE);
    lua_getfield(L, index, "undo");
    request->undo = lua_toboolean(L, -1);
    lua_getfield(L, index, "trial");
    if (!lua_isnil(L, -1))
        request->trial_ns = script_check_duration(L, lua_gettop(L), "reload", "trial");
    lua_pop(L, 2);
}

/* Pushes the report, or nil and a why: {reason=, text=, report=}. */
static int push_outcome(lua_State *L, struct reload_outcome *outcome)
{
    if (outcome->packed.size == 0) {
        bytes_fini(&outcome->packed);
        return luaL_error(L, "reload: there was no memory for its report");
    }
    /* What raises for want of memory leaves the bytes behind: the spec has failed. */
    pack_lua_push(L, outcome->packed.data, outcome->packed.size);
    bytes_fini(&outcome->packed);
    lua_getfield(L, -1, "ok");
    bool done = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (done)
        return 1;
    lua_getfield(L, -1, "error");
    stage_push_why(L, FAILURE_RELOAD, lua_tostring(L, -1));
    lua_pushvalue(L, -4);
    lua_setfield(L, -2, "report");
    return 2;
}

int stage_reload(lua_State *L)
{
    struct stage *stage = stage_check(L);
    struct reloads *reloads = stage->host->world.reloads;
    lua_settop(L, 4);
    struct reload_request request = { .source = check_script(L, stage, 2)->source,
                                      .done = take_report };
    request.text = luaL_optlstring(L, 3, NULL, &request.text_size);
    check_options(L, 4, &request);
    struct reload_outcome outcome = { .over = false };
    bytes_init(&outcome.packed, 0);
    request.context = &outcome;
    int error = reloads_ask(reloads, &request);
    if (error != 0)
        return luaL_error(L, "reload: %s", strerror(-error));
    while (!outcome.over && reloads_step(reloads)) /* what was asked before comes before */
        continue;
    int results = push_outcome(L, &outcome);
    stage_run_until_idle(L, stage, false);
    return results;
}
