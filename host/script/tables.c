/*
 * tables.c -- see tables.h.
 *
 * A key whose value is set to nil may lose its place to the collector or to the next
 * key; one that has any value keeps it. That is why a mark is needed.
 */
#include "script/tables.h"

#include <lauxlib.h>

static char room_mark;

static bool is_mark(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == &room_mark;
}

void tables_push_copy(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    luaL_checkstack(L, 5, "too many values to copy a table");
    lua_newtable(L);
    int copy = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, index);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, copy);
    }
    if (lua_getmetatable(L, index))
        lua_setmetatable(L, copy);
}

void tables_make_room(lua_State *L, int index, int from)
{
    index = lua_absindex(L, index);
    from = lua_absindex(L, from);
    luaL_checkstack(L, 5, "too many values to refill a table");
    for (lua_pushnil(L); lua_next(L, from);) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        bool missing = lua_rawget(L, index) == LUA_TNIL;
        lua_pop(L, 1);
        if (!missing)
            continue;
        lua_pushvalue(L, -1);
        lua_pushlightuserdata(L, &room_mark);
        lua_rawset(L, index);
    }
}

void tables_refill(lua_State *L, int index, int from)
{
    index = lua_absindex(L, index);
    from = lua_absindex(L, from);
    for (lua_pushnil(L); lua_next(L, index);) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushvalue(L, -1);
        lua_rawget(L, from);
        lua_rawset(L, index);
    }
    if (!lua_getmetatable(L, from))
        lua_pushnil(L);
    lua_setmetatable(L, index);
}

void tables_drop_room(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    for (lua_pushnil(L); lua_next(L, index);) {
        bool marked = is_mark(L, -1);
        lua_pop(L, 1);
        if (!marked)
            continue;
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, index);
    }
}

void tables_clear(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    for (lua_pushnil(L); lua_next(L, index);) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, index);
    }
    lua_pushnil(L);
    lua_setmetatable(L, index);
}
