/* Our versions of functions of Lua's base library, and why each is ours. */
#include "script/guard.h"
#include "script/libraries.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* print(...): one line, written whole. */
static int base_print(lua_State *L)
{
    struct vm *vm = vm_of(L);
    int count = lua_gettop(L);
    luaL_Buffer line;
    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        if (i > 1)
            luaL_addchar(&line, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&line);
    }
    luaL_addchar(&line, '\n');
    luaL_pushresult(&line);

    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    if (vm->options->print != NULL) {
        vm->options->print(vm, text, size);
    } else {
        fwrite(text, 1, size, stdout);
        fflush(stdout);
    }
    return 0;
}

/* setmetatable(table, metatable): a finalizer would run at any allocation of
 * the state, with hooks off, where nothing could stop it. */
static int base_setmetatable(lua_State *L)
{
    int kind = lua_type(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, kind == LUA_TNIL || kind == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    lua_settop(L, 2);
    if (kind == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "__gc is not available in actors: use __close");
        lua_pop(L, 1);
    }
    if (libraries_is_globals(L, 1))
        libraries_push_all(L);
    lua_setmetatable(L, 1);
    return 1;
}

/* getmetatable(value): the metatable that makes globals is not for scripts,
 * and a string's is the string library's. */
static int base_getmetatable(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING) {
        libraries_push(L, "string");
        lua_pop(L, 1);
    } else if (libraries_is_globals(L, 1) && lua_getmetatable(L, 1)) {
        lua_getfield(L, -1, "__pairs");
        bool ours = lua_iscfunction(L, -1);
        lua_pop(L, 2);
        if (ours) {
            libraries_push_all(L);
            lua_pushnil(L);
            return 1;
        }
    }
    return libraries_stock(STOCK_GETMETATABLE)(L);
}

/* rawget(table, key): finds globals that have not been made yet. */
static int base_rawget(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, 1) == LUA_TNIL && lua_type(L, 2) == LUA_TSTRING
        && libraries_is_globals(L, 1))
        libraries_push(L, lua_tostring(L, 2));
    return 1;
}

/* collectgarbage([what]): what is collected when is the host's to say. */
static int base_collectgarbage(lua_State *L)
{
    static const char *const names[] = { "collect", "count", "step", "isrunning", "stop",
        "restart", "setpause", "setstepmul", "generational", "incremental", NULL };
    enum { COLLECT, COUNT, STEP, IS_RUNNING, STOP, RESTART, SET_PAUSE, SET_STEPMUL, GENERATIONAL,
           INCREMENTAL };
    int what = luaL_checkoption(L, 1, "collect", names);
    if (vm_of(L)->options->sandbox && what != COUNT)
        return luaL_error(L, "collectgarbage(\"%s\") is not available in a sandbox", names[what]);
    switch (what) {
    case COLLECT:
        lua_gc(L, LUA_GCCOLLECT);
        lua_pushinteger(L, 0);
        return 1;
    case COUNT:
        lua_pushnumber(L, (lua_Number)lua_gc(L, LUA_GCCOUNT)
                              + (lua_Number)lua_gc(L, LUA_GCCOUNTB) / 1024);
        return 1;
    case STEP:
        lua_pushboolean(L, lua_gc(L, LUA_GCSTEP, 0));
        return 1;
    case IS_RUNNING:
        lua_pushboolean(L, true);
        return 1;
    case STOP:
        return luaL_error(L, "collectgarbage(\"stop\") is not available in actors");
    case GENERATIONAL:
    case INCREMENTAL:
        lua_pushliteral(L, "generational");
        return 1;
    default:
        lua_pushinteger(L, 0);
        return 1;
    }
}

/* ---- pairs in the same order every time (the stage) ------------------------------ */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Upvalues: the keys in order, and how many were visited. A key whose value
 * has become nil meanwhile is left out, as by next(). */
static int next_sorted(lua_State *L)
{
    lua_Integer visited = lua_tointeger(L, lua_upvalueindex(2));
    lua_settop(L, 1);
    for (;;) {
        if (lua_rawgeti(L, lua_upvalueindex(1), ++visited) == LUA_TNIL)
            break;
        lua_pushvalue(L, -1);
        if (lua_rawget(L, 1) != LUA_TNIL)
            break;
        lua_pop(L, 2);
    }
    lua_pushinteger(L, visited);
    lua_replace(L, lua_upvalueindex(2));
    return lua_gettop(L) == 3 ? 2 : 1;
}

/* Pushes a list of the keys of the table at 1: first those that are not
 * strings, in Lua's order, then strings by the alphabet. */
static void push_sorted_keys(lua_State *L)
{
    size_t strings = 0;
    lua_Integer others = 0;
    lua_newtable(L);
    int keys = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            strings++;
        } else {
            lua_pushvalue(L, -1);
            lua_rawseti(L, keys, ++others);
        }
    }
    const char **names = lua_newuserdatauv(L, (strings + 1) * sizeof *names, 0);
    size_t count = 0;
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING)
            names[count++] = lua_tostring(L, -1);
    }
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, names[i]);
        lua_rawseti(L, keys, ++others);
    }
    lua_pop(L, 1);
}

static int base_sorted_pairs(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TTABLE || luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_settop(L, 1);
        return libraries_stock(STOCK_PAIRS)(L);
    }
    lua_settop(L, 1);
    push_sorted_keys(L);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_sorted, 2);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

bool library_is_withheld(const struct vm *vm, const char *name)
{
    static const char *const names[] = { "io", "debug", "dofile", "loadfile" };
    for (size_t i = 0; vm->options->sandbox && i < ARRAY_LENGTH(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

lua_CFunction library_base_find(lua_State *L, const char *name)
{
    static const luaL_Reg ours[] = {
        { "pcall", guard_pcall },
        { "xpcall", guard_xpcall },
        { "load", guard_load },
        { "loadfile", guard_loadfile },
        { "dofile", guard_dofile },
        { "print", base_print },
        { "setmetatable", base_setmetatable },
        { "getmetatable", base_getmetatable },
        { "rawget", base_rawget },
        { "collectgarbage", base_collectgarbage },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(ours); i++) {
        if (strcmp(ours[i].name, name) == 0)
            return ours[i].func;
    }
    if (vm_of(L)->options->deterministic && strcmp(name, "pairs") == 0)
        return base_sorted_pairs;
    return NULL;
}
