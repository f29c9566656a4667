/*
 * api_nodes.c -- the module troupe.nodes: where `name@node` leads. Only lua/troupe and
 * actors/ use it.
 *
 *     local nodes = require "troupe.nodes"
 *     local fine, why = nodes.set { feed = "tcp://127.0.0.1:5001", risk = "", old = false }
 *     local endpoint = nodes.find "feed"
 *
 * "" is this host, and false a node that is not there any more; others stay as they are.
 * If one is refused those before it are set: in no order, so that all had better be fine.
 */
#include "script/api.h"

#include "script/sandbox.h"

#include <errno.h>
#include <lauxlib.h>

/* set(table) -> true, or nil and why. */
static int nodes_api_set(lua_State *L)
{
    struct nodes *nodes = &script_of(L)->world->system->nodes;
    char why[300];
    api_refuse_loading(L, "nodes.set");
    sandbox_refuse(L, "nodes.set");
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        bool removed = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
        if (lua_type(L, -2) != LUA_TSTRING || (!removed && lua_type(L, -1) != LUA_TSTRING))
            return luaL_error(L, "nodes.set: names and their endpoints, or false, are expected");
        int error = nodes_read(nodes, lua_tostring(L, -2), removed ? NULL : lua_tostring(L, -1),
                               why, sizeof why);
        if (error != 0)
            return script_push_failure(L, error == -EAGAIN ? FAILURE_FULL : FAILURE_FAILED, why);
    }
    lua_pushboolean(L, true);
    return 1;
}

/* find(name) -> its endpoint, or nil. */
static int nodes_api_find(lua_State *L)
{
    const char *endpoint = nodes_find(&script_of(L)->world->system->nodes, luaL_checkstring(L, 1));
    lua_pushstring(L, endpoint); /* nil for NULL */
    return 1;
}

int api_nodes_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "set", nodes_api_set },
        { "find", nodes_api_find },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    return 1;
}
