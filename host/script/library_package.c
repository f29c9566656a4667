/* package and require: text files and C modules, beside the script (options->find_module),
 * then from the host's folders and Lua's default ones; the environment of the process is
 * not asked. */
#include "script/libraries.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

/* Whether require is asked for a module, named at index 1, that is being loaded by one of its
 * callers; pushes the way there, "a -> b -> a". */
static bool push_circle(lua_State *L)
{
    lua_Debug frame;
    luaL_checkstack(L, 8, "too many values to require a module");
    if (!lua_getstack(L, 1, &frame)) /* level 0 is the searcher, 1 require */
        return false;
    lua_getinfo(L, "f", &frame);
    int require = lua_gettop(L);
    lua_pushvalue(L, 1);
    for (int level = 2; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "f", &frame);
        bool is_require = lua_rawequal(L, -1, require) != 0;
        lua_pop(L, 1);
        if (!is_require || lua_getlocal(L, &frame, 1) == NULL)
            continue;
        bool is_same = lua_rawequal(L, -1, 1) != 0;
        lua_pushliteral(L, " -> ");
        lua_pushvalue(L, require + 1);
        lua_concat(L, 3);
        lua_replace(L, require + 1);
        if (is_same)
            return true;
    }
    lua_settop(L, require - 1);
    return false;
}

/* Leaves the text or the path on the stack: how package.searchpath has ended. */
static bool search_path(lua_State *L)
{
    if (lua_getfield(L, lua_upvalueindex(1), "path") != LUA_TSTRING)
        luaL_error(L, "'package.path' must be a string");
    lua_pushcfunction(L, libraries_stock(STOCK_SEARCHPATH));
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -3);
    lua_call(L, 2, 2);
    bool is_found = !lua_isnil(L, -2);
    lua_remove(L, is_found ? -1 : -2);
    lua_remove(L, -2);
    return is_found;
}

/* Searcher of Lua files; its upvalue has the path: the library, unless that is a sandbox's. */
static int search_lua(lua_State *L)
{
    const struct vm_options *options = vm_of(L)->options;
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    if (push_circle(L)) {
        luaL_where(L, 2);
        return luaL_error(L, "%smodules require each other: %s", lua_tostring(L, -1),
                          lua_tostring(L, -2));
    }
    if (options->find_module != NULL && options->find_module(L, name) == 2)
        return 2;
    if (!search_path(L)) {
        if (lua_gettop(L) == 3 && lua_rawlen(L, 2) > 0) {
            lua_pushliteral(L, "\n\t");
            lua_insert(L, 3);
            lua_concat(L, 3);
        }
        return 1;
    }
    if (options->found_elsewhere != NULL)
        options->found_elsewhere(L, name);
    const char *file = lua_tostring(L, -1);
    if (luaL_loadfilex(L, file, "t") != LUA_OK)
        return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s",
                          lua_tostring(L, 1), file, lua_tostring(L, -1));
    lua_insert(L, -2);
    return 2;
}

/* package.loadlib: Lua's own, the upvalue. C modules may have finalizers, and Lua
 * unloads them in one. */
static int load_c_module(lua_State *L)
{
    int arguments = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, arguments, LUA_MULTRET);
    if (lua_iscfunction(L, 1))
        vm_of(L)->needs_close = true;
    return lua_gettop(L);
}

/* The same for a searcher. */
static int search_c(lua_State *L)
{
    const struct vm_options *options = vm_of(L)->options;
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_call(L, 1, LUA_MULTRET);
    if (lua_iscfunction(L, 2)) {
        vm_of(L)->needs_close = true;
        if (options->found_elsewhere != NULL)
            options->found_elsewhere(L, name);
    }
    return lua_gettop(L) - 1;
}

/* Pushes the module of ours that is called so; false: there is none. */
static bool push_module(lua_State *L, const char *name)
{
    const struct vm_library *module = vm_of(L)->options->modules;
    while (module != NULL && module->name != NULL && strcmp(module->name, name) != 0)
        module++;
    if (module == NULL || module->name == NULL)
        return false;
    lua_pushcfunction(L, module->open);
    lua_call(L, 0, 1);
    return true;
}

/* __index(package.loaded, name): libraries that are globals, and modules of ours. */
static int loaded_index(lua_State *L)
{
    static const char *const names[] = { "string", "table", "math", "coroutine", "utf8", "os",
                                         "io", "debug", NULL };
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    const char *name = lua_tostring(L, 2);
    bool standard = false;
    for (size_t i = 0; names[i] != NULL && !standard; i++)
        standard = strcmp(names[i], name) == 0;
    if (standard ? !libraries_push(L, name) : !push_module(L, name))
        return 0;
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

static void set_up_loaded(lua_State *L, int library)
{
    lua_getfield(L, library, "loaded");
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_setfield(L, -2, LUA_GNAME);
    lua_pushvalue(L, library);
    lua_setfield(L, -2, LUA_LOADLIBNAME);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, loaded_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static void set_up_searchers(lua_State *L, int library)
{
    bool sandbox = vm_of(L)->options->sandbox;
    lua_getfield(L, library, "searchers");
    if (sandbox) { /* whatever it makes of package.path */
        lua_createtable(L, 0, 1);
        lua_getfield(L, library, "path");
        lua_setfield(L, -2, "path");
    } else {
        lua_pushvalue(L, library);
    }
    lua_pushcclosure(L, search_lua, 1);
    lua_rawseti(L, -2, 2);
    for (int i = 3; i <= 4; i++) {
        if (sandbox) {
            lua_pushnil(L);
        } else {
            lua_rawgeti(L, -1, i);
            lua_pushcclosure(L, search_c, 1);
        }
        lua_rawseti(L, -2, i);
    }
    lua_pop(L, 1);

    if (sandbox) {
        lua_pushnil(L);
    } else {
        lua_getfield(L, library, "loadlib");
        lua_pushcclosure(L, load_c_module, 1);
    }
    lua_setfield(L, library, "loadlib");
    if (sandbox) { /* it tells which files there are */
        lua_pushnil(L);
        lua_setfield(L, library, "searchpath");
    }
}

static void set_up_path(lua_State *L, int library)
{
    const char *const *folder = vm_of(L)->options->package_path;
    luaL_Buffer path;
    luaL_buffinit(L, &path);
    for (; folder != NULL && *folder != NULL; folder++) {
        luaL_addstring(&path, *folder);
        luaL_addstring(&path, "/?.lua;");
        luaL_addstring(&path, *folder);
        luaL_addstring(&path, "/?/init.lua;");
    }
    lua_getfield(L, library, "path");
    luaL_addvalue(&path);
    luaL_pushresult(&path);
    lua_setfield(L, library, "path");
}

int library_open_package(lua_State *L)
{
    lua_pushboolean(L, true);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
    luaopen_package(L);
    int library = lua_gettop(L);
    set_up_loaded(L, library);
    set_up_path(L, library);
    set_up_searchers(L, library);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushvalue(L, library);
    lua_setfield(L, -2, LUA_LOADLIBNAME);
    lua_pop(L, 1);
    return 1;
}
