/*
 * program_class.c -- see program_class.h.
 */
#include "script/program_class.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

void program_make_class(lua_State *L, const char *name, const luaL_Reg *methods, const void *port)
{
    luaL_newmetatable(L, name);
    lua_pushlightuserdata(L, (void *)(uintptr_t)port);
    luaL_setfuncs(L, methods, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

int program_push_failure(lua_State *L, const char *why)
{
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}
