/*
 * api_spawn.c -- actor.spawn.
 */
#include "script/api.h"

#include "script/ref.h"
#include "script/sandbox.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>

/* Reads the table at index 2 into *options, whose texts it keeps alive. */
static void check_options(lua_State *L, const char *what, struct script_options *options)
{
    char why[256];
    int  answer = 1;

    if (lua_isnil(L, 2))
        return;
    if (!lua_istable(L, 2))
        luaL_error(L, "%s: options are a table, not a %s", what, luaL_typename(L, 2));
    lua_pushnil(L); /* index 3: a place for the config; 4: for the types */
    lua_pushnil(L);
    lua_pushnil(L);
    while (answer > 0 && lua_next(L, 2)) {
        int value = lua_gettop(L);
        const char *name = lua_type(L, value - 1) == LUA_TSTRING ? lua_tostring(L, value - 1) : "";
        answer = script_read_option(L, name, value, options, why, sizeof why);
        if (answer == 0)
            answer = script_refuse_option(L, value - 1, why, sizeof why);
        if (lua_gettop(L) > value)
            lua_replace(L, lua_isuserdata(L, -1) ? 4 : 3);
        lua_settop(L, value - 1);
    }
    if (answer < 0)
        luaL_error(L, "%s: %s", what, why);
    if (options->if_absent && options->name == NULL)
        luaL_error(L, "%s: if_absent needs a name", what);
    if (options->if_absent && (options->supervised || options->announced))
        luaL_error(L, "%s: if_absent is not for a child that is started later", what);
    if (options->config != NULL && options->announced)
        luaL_error(L, "%s: the config is given when it begins", what);
}

static enum failure_reason reason_of(int error)
{
    switch (error) {
    case -EAGAIN:
    case -EMLINK:
        return FAILURE_FULL;
    case -ESHUTDOWN:
        return FAILURE_STOPPING;
    default:
        return FAILURE_FAILED;
    }
}

/* script_spawn(); with if_absent *id may be that of the actor that has the name:
 * then *made is false. */
static int spawn(struct script *script, const char *path, const char *beside,
                 const struct script_options *options, actor_id *id, bool *made, char *why,
                 size_t room)
{
    struct system *system = script->world->system;
    for (;;) {
        *id = options->if_absent ? names_holder(system, options->name, strlen(options->name)) : 0;
        *made = *id == 0;
        if (!*made)
            return 0;
        int error = script_spawn(script->world, path, beside, actor_self(script->actor), options,
                                 id, why, room);
        if (error != -EEXIST || !options->if_absent)
            return error;
        /* Somebody else was quicker: its actor will do, unless it is gone again. */
    }
}

/* The string at index 1, without NULs; raises for anything else. */
static const char *check_path(lua_State *L, const char *what)
{
    size_t size = 0;
    const char *path = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &size) : NULL;
    if (path == NULL || strlen(path) != size)
        luaL_error(L, "%s: the path of a script is expected, not a %s", what, luaL_typename(L, 1));
    return path;
}

int api_spawn_as(lua_State *L, const char *what, enum spawn_as as)
{
    struct script *script = script_of(L);
    struct script_options options = { .supervised = as == SPAWN_SUPERVISED,
                                      .announced = as == SPAWN_PREPARED };
    char beside[PATH_MAX];

    snprintf(beside, sizeof beside, "%s",
             as != SPAWN_STARTED ? luaL_optstring(L, 3, source_path(script->source))
                                 : source_path(script->source));
    lua_settop(L, 2);
    api_refuse_loading(L, what);
    check_path(L, what);
    check_options(L, what, &options);
    sandbox_spawn(L, script, &options);
    api_install_refs(L);

    /* From here to the start of the new actor nothing raises. */
    struct system *system = script->world->system;
    actor_id id;
    char why[1024] = "";
    bool made;
    int  error = spawn(script, lua_tostring(L, 1), beside, &options, &id, &made, why, sizeof why);
    if (error == 0 && made && as == SPAWN_STARTED) {
        error = lifecycle_start(system, id, options.config, options.config_size);
        if (error != 0)
            snprintf(why, sizeof why, "out of memory");
    }
    if (error != 0)
        return script_push_failure(L, reason_of(error), why);
    ref_push_actor(L, id);
    if (!options.if_absent)
        return 1;
    lua_pushboolean(L, made);
    return 2;
}

/* actor.spawn(script, options) -> ref, or nil and why; with if_absent: ref, and
 * whether it was made. */
int api_spawn(lua_State *L)
{
    return api_spawn_as(L, "actor.spawn", SPAWN_STARTED);
}
