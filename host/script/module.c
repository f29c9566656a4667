/*
 * module.c -- see module.h.
 */
#include "script/module.h"

#include "script/sandbox.h"
#include "script/staging.h"

#include <lauxlib.h>
#include <lualib.h>

#define WHY_ROOM 2048

static const char names_key; /* registry: the names of the modules from reloadable roots */

/* ---- require ------------------------------------------------------------------- */

static struct unit_request request_for(lua_State *L, const char *name)
{
    const struct script *script = script_of(L);
    return (struct unit_request){
        .script = script->source,
        .update = staging_update(script),
        .name = name,
        .within = script->vm_options.sandbox ? sandbox_push_folder(L, script) : NULL,
    };
}

static void note_name(lua_State *L, const char *name)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 2);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
    }
    lua_pushboolean(L, true);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

/* Pushes the chunk, for which nothing else must raise; the module is let go of. */
static int push_chunk(lua_State *L, struct source *module)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    int status = source_load(module, L);
    source_unref(module);
    return status;
}

int module_find(lua_State *L, const char *name)
{
    struct script *script = script_of(L);
    struct source *module;
    char why[WHY_ROOM] = "";
    luaL_checkstack(L, 8, "too many values to require a module");
    int top = lua_gettop(L);
    struct unit_request request = request_for(L, name);
    int answer = unit_require(script->world->sources, &request, &module, why, sizeof why);
    lua_settop(L, top);
    if (answer < 0)
        luaL_error(L, "%s (required as '%s')", why, name);
    if (answer != UNIT_FOUND) {
        lua_pushstring(L, why);
        return 1;
    }
    const char *path = source_path(module); /* the unit keeps it */
    if (push_chunk(L, module) != LUA_OK)
        return lua_error(L);
    note_name(L, name);
    lua_pushstring(L, path);
    return 2;
}

void module_found_elsewhere(lua_State *L, const char *name)
{
    int top = lua_gettop(L);
    luaL_checkstack(L, 4, "too many values to require a module");
    struct unit_request request = request_for(L, name);
    unit_found_elsewhere(script_of(L)->world->sources, &request);
    lua_settop(L, top);
}

/* ---- A new version beside the old one --------------------------------------------- */

/* Fields of what is set aside. */
enum { ASIDE_LOADED = 1, ASIDE_NAMES, ASIDE_LIBRARY };

/* Pushes a copy of package.loaded, at `loaded`, without the names in the table at `names`. */
static void push_others(lua_State *L, int loaded, int names)
{
    bool has_names = lua_istable(L, names);
    lua_newtable(L);
    int copy = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, loaded); lua_settop(L, copy + 1)) {
        lua_pushvalue(L, copy + 1);
        if (has_names && lua_rawget(L, names) != LUA_TNIL)
            continue;
        lua_pushvalue(L, copy + 1);
        lua_pushvalue(L, copy + 2);
        lua_rawset(L, copy);
    }
    if (lua_getmetatable(L, loaded))
        lua_setmetatable(L, copy);
}

/* package.loaded and what require looks at become the table at `loaded`. */
static void use_loaded(lua_State *L, int loaded, int library)
{
    lua_pushvalue(L, loaded);
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (!lua_istable(L, library))
        return;
    lua_pushliteral(L, "loaded");
    lua_pushvalue(L, loaded);
    lua_rawset(L, library);
}

void module_set_aside(lua_State *L)
{
    luaL_checkstack(L, 12, "too many values for a new version");
    lua_createtable(L, ASIDE_LIBRARY, 0);
    int aside = lua_gettop(L);
    if (lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) != LUA_TTABLE) {
        lua_settop(L, aside);
        return; /* it has never required anything */
    }
    int loaded = aside + 1, names = aside + 2, library = aside + 3;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
    lua_pushliteral(L, LUA_LOADLIBNAME);
    lua_rawget(L, loaded);
    for (int i = loaded; i <= library; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, aside, i - aside);
    }
    push_others(L, loaded, names);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
    use_loaded(L, library + 1, library);
    lua_settop(L, aside);
}

/* Nothing was required before: nothing from the roots stays. */
static void forget_all(lua_State *L)
{
    int names = lua_gettop(L) + 1;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) == LUA_TNIL)
        return;
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    for (lua_pushnil(L); lua_next(L, names); lua_settop(L, names + 2)) {
        lua_pushvalue(L, names + 2);
        lua_pushnil(L);
        lua_rawset(L, names + 1);
    }
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
}

void module_bring_back(lua_State *L, int index)
{
    int top = lua_gettop(L);
    index = lua_absindex(L, index);
    if (lua_rawgeti(L, index, ASIDE_LOADED) == LUA_TTABLE) {
        lua_rawgeti(L, index, ASIDE_LIBRARY);
        use_loaded(L, top + 1, top + 2);
        lua_rawgeti(L, index, ASIDE_NAMES);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
    } else {
        forget_all(L);
    }
    lua_settop(L, top);
}
