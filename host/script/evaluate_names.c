/*
 * evaluate_names.c -- the names of sessions: a table for each, in the actor's state,
 * which falls back to the script's environment.
 */
#include "script/evaluate.h"

#include <lauxlib.h>

/* In the registry under this address: sessions' tables by their numbers. */
static const char sessions;

/* The field of a session's metatable that says with which text it was last used. */
#define TEXT_FIELD "text"

/* Pushes the session's table and its metatable, both made if need be. */
static void push_session(lua_State *L, uint64_t session)
{
    luaL_checkstack(L, 8, NULL);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &sessions) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 1);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &sessions);
    }
    if (lua_rawgeti(L, -1, (lua_Integer)session) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 4);
        lua_pushboolean(L, false);
        lua_setfield(L, -2, "_");
        lua_createtable(L, 0, 2);
        lua_setmetatable(L, -2);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, (lua_Integer)session);
    }
    lua_remove(L, -2);
    if (!lua_getmetatable(L, -1)) { /* it was taken off */
        lua_createtable(L, 0, 2);
        lua_pushvalue(L, -1);
        lua_setmetatable(L, -3);
    }
}

static void set_raw(lua_State *L, int table, const char *name)
{
    lua_pushstring(L, name);
    lua_insert(L, -2);
    lua_rawset(L, table);
}

void evaluate_push_names(lua_State *L, struct script *script, uint64_t session)
{
    push_session(L, session);
    int names = lua_gettop(L) - 1;
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->vm.environment);
    set_raw(L, names + 1, "__index");
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->self_reference);
    set_raw(L, names, "self");
    /* (A nil would be looked for in the script's environment, which raises.) */
    if (script->last_report != NULL)
        lua_pushstring(L, script->last_report);
    else
        lua_pushboolean(L, false);
    set_raw(L, names, "err");
    lua_settop(L, names);
}

void evaluate_keep_result(lua_State *L, uint64_t session)
{
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    push_session(L, session);
    lua_pop(L, 1);
    lua_insert(L, -2);
    set_raw(L, lua_gettop(L) - 1, "_");
    lua_pop(L, 1);
}

bool evaluate_sees_reload(lua_State *L, struct script *script, uint64_t session)
{
    lua_Integer now = (lua_Integer)source_hash(script->source);
    push_session(L, session);
    lua_pushliteral(L, TEXT_FIELD);
    bool known = lua_rawget(L, -2) == LUA_TNUMBER;
    bool other = known && lua_tointeger(L, -1) != now;
    lua_pop(L, 1);
    lua_pushinteger(L, now);
    set_raw(L, lua_gettop(L) - 1, TEXT_FIELD);
    lua_pop(L, 2);
    return other;
}

void evaluate_forget(lua_State *L, uint64_t session)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &sessions) == LUA_TTABLE) {
        lua_pushnil(L);
        lua_rawseti(L, -2, (lua_Integer)session);
    }
    lua_pop(L, 1);
}
