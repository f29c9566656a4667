/*
 * api_supervise.c -- actor.supervise, which is written in Lua (lua/troupe/supervise.lua):
 * here it is told what only C knows.
 */
#include "script/api.h"

#include "script/sandbox.h"

#include <assert.h>
#include <lauxlib.h>

/* Raises where it cannot be called: while the script's top level runs, and in a
 * sandbox, whose actors spawn scripts of their own folder only. */
static int refuse_here(lua_State *L)
{
    api_refuse_loading(L, "actor.supervise");
    sandbox_refuse(L, "actor.supervise");
    return 0;
}

void api_push_supervise(lua_State *L)
{
    const struct script *script = script_of(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "troupe.supervise");
    lua_call(L, 1, 1);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, source_path(script->source));
    lua_setfield(L, -2, "script");
    const char *folder = script->world->package_path[0]; /* .../lua, and beside it .../actors */
    size_t size = strlen(folder);
    assert(size > 4 && strcmp(folder + size - 4, "/lua") == 0);
    lua_pushlstring(L, folder, size - 4);
    lua_pushliteral(L, "/actors/supervisor.lua");
    lua_concat(L, 2);
    lua_setfield(L, -2, "supervisor");
    lua_pushcfunction(L, refuse_here);
    lua_setfield(L, -2, "refuse_here");
    lua_pushcfunction(L, api_failure);
    lua_setfield(L, -2, "failure");
    lua_call(L, 1, 1);
}
