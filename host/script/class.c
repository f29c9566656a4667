/*
 * class.c -- see class.h.
 */
#include "script/class.h"

#include "script/staging.h"
#include "script/tables.h"

#include <lauxlib.h>

/* Its address is a key of the registry: name -> class. */
static const char classes_key;

static void push_classes(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &classes_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &classes_key);
}

/* Notes in the staging's table of classes what the class at `class` had, which is called as
 * the value at index 1; `is_new`: nothing. */
static void note(lua_State *L, int classes, int class, bool is_new)
{
    lua_pushvalue(L, class);
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    if (!is_new) {
        tables_push_copy(L, class);
        lua_rawseti(L, -2, 2);
    }
    lua_rawset(L, classes);
}

static bool is_noted(lua_State *L, int classes, int class)
{
    lua_pushvalue(L, class);
    bool noted = lua_rawget(L, classes) != LUA_TNIL;
    lua_pop(L, 1);
    return noted;
}

static void set_index(lua_State *L, int class)
{
    lua_pushliteral(L, "__index");
    lua_pushvalue(L, class);
    lua_rawset(L, class);
}

int api_class(lua_State *L)
{
    struct script *script = script_of(L);
    if (!script->vm.loading || staging_defers(script))
        return luaL_error(L, "actor.class: classes are made at the top level of a script or module, "
                             "not in a handler");
    if (lua_type(L, 1) != LUA_TSTRING)
        return luaL_error(L, "actor.class: a name is expected, not a %s", luaL_typename(L, 1));
    lua_settop(L, 1);
    luaL_checkstack(L, 12, "too many values to make a class");
    push_classes(L);
    lua_pushvalue(L, 1);
    bool is_new = lua_rawget(L, 2) == LUA_TNIL;
    if (is_new) {
        lua_pop(L, 1);
        lua_newtable(L);
        set_index(L, 3);
    }
    if (staging_push_classes(L, script)) {
        if (!is_noted(L, 4, 3)) {
            note(L, 4, 3, is_new);
            if (!is_new) {
                tables_clear(L, 3);
                set_index(L, 3);
            }
        }
        lua_pop(L, 1);
    }
    if (is_new) {
        lua_pushvalue(L, 1);
        lua_pushvalue(L, 3);
        lua_rawset(L, 2);
    }
    return 1;
}

void class_mark_shared(lua_State *L, int shared)
{
    push_classes(L);
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_pushvalue(L, -1);
        lua_rawset(L, shared);
    }
    lua_pop(L, 1);
}

/* ---- What becomes of a staging's --------------------------------------------- */

void class_make_room(lua_State *L, int classes)
{
    for (lua_pushnil(L); lua_next(L, classes); lua_pop(L, 1)) {
        if (lua_rawgeti(L, -1, 2) == LUA_TTABLE)
            tables_make_room(L, -3, -1);
        lua_pop(L, 1);
    }
}

void class_keep(lua_State *L, int classes)
{
    for (lua_pushnil(L); lua_next(L, classes); lua_pop(L, 1))
        tables_drop_room(L, -2);
}

void class_restore(lua_State *L, int classes)
{
    for (lua_pushnil(L); lua_next(L, classes); lua_pop(L, 1)) {
        if (lua_rawgeti(L, -1, 2) == LUA_TTABLE) {
            tables_refill(L, -3, -1);
            lua_pop(L, 1);
            continue;
        }
        lua_rawgetp(L, LUA_REGISTRYINDEX, &classes_key);
        lua_rawgeti(L, -3, 1);
        lua_pushnil(L);
        lua_rawset(L, -3);
        lua_pop(L, 2);
    }
}
