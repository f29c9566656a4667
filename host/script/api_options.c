/*
 * api_options.c -- the module troupe.options: what Lua code of ours that takes
 * options from others needs to check them as the C functions do. Only lua/troupe
 * and actors/ use it.
 *
 *     local options = require "troupe.options"
 *     options.spawn()                    -- { "name", "config", ... }: those of actor.spawn
 *     options.check("slice", "5 s")      -- "slice is a duration of more than 0, as ..."; nil: it is fine
 *     options.nearest("nmae", names)     -- "name"; nil: none of them can be meant
 *     options.seconds("250ms")           -- 0.25; nil: it is no duration
 *     options.bytes("64KiB")             -- 65536; nil: it is no size
 *     options.endpoint(":5001", true)    -- "tcp://127.0.0.1:5001", true (loopback); or nil, why
 *     options.type("Exit")               -- why this cannot be sent as a message's type; nil: it can
 *     options.message("Tick", { at = "intger" })  -- raises as actor.message would
 */
#include "script/api.h"

#include "base/suggest.h"
#include "message/address.h"
#include "message/type.h"

#include <lauxlib.h>

#define BYTES_LIMIT (UINT64_C(1) << 53) /* up to here doubles are exact */

/* spawn() -> the names of the options that actor.spawn knows. */
static int options_spawn(lua_State *L)
{
    const char *name;
    lua_newtable(L);
    for (size_t i = 0; (name = script_option_name(i)) != NULL; i++) {
        lua_pushstring(L, name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* check(name, value) -> nil, or what is wrong with that option of actor.spawn. A
 * config that cannot be packed raises. */
static int options_check(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    struct script_options options = { 0 };
    char why[256];
    lua_settop(L, 2);
    int answer = script_read_option(L, name, 2, &options, why, sizeof why);
    luaL_argcheck(L, answer != 0, 1, "no option of actor.spawn");
    if (answer > 0)
        lua_pushnil(L);
    else
        lua_pushstring(L, why);
    return 1;
}

/* nearest(word, names) -> the name that may have been meant, or nil. */
static int options_nearest(lua_State *L)
{
    struct suggest suggest;
    suggest_init(&suggest, luaL_checkstring(L, 1));
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_Integer count = luaL_len(L, 2);
    luaL_checkstack(L, 2, "too many names");
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, i); /* the table keeps the text */
        suggest_offer(&suggest, luaL_checkstring(L, -1));
        lua_pop(L, 1);
    }
    lua_pushstring(L, suggest.best); /* NULL: nil */
    return 1;
}

/* hint(word, names) -> " (did you mean 'max'?)", or "" if none is near. */
static int options_hint(lua_State *L)
{
    options_nearest(L);
    if (lua_isnil(L, -1))
        lua_pushliteral(L, "");
    else
        lua_pushfstring(L, " (did you mean '%s'?)", lua_tostring(L, -1));
    return 1;
}

/* seconds(duration) -> a float, or nil. */
static int options_seconds(lua_State *L)
{
    uint64_t ns;
    size_t size;
    if (lua_type(L, 1) == LUA_TNUMBER) {
        double seconds = lua_tonumber(L, 1);
        if (seconds >= 0 && seconds <= 1e9) {
            lua_pushnumber(L, seconds);
            return 1;
        }
    } else if (lua_type(L, 1) == LUA_TSTRING) {
        const char *text = lua_tolstring(L, 1, &size);
        if (script_parse_duration(text, size, &ns)) {
            lua_pushnumber(L, (double)ns / 1e9);
            return 1;
        }
    }
    lua_pushnil(L);
    return 1;
}

/* bytes(size) -> an integer, or nil. Other than for the options of actor.spawn, 0
 * is a size: what it means is for who asks to say. */
static int options_bytes(lua_State *L)
{
    uint64_t bytes = 0;
    luaL_checkany(L, 1);
    bool none = lua_type(L, 1) == LUA_TNUMBER && lua_tonumber(L, 1) == 0;
    if (none || script_read_bytes(L, 1, BYTES_LIMIT, &bytes))
        lua_pushinteger(L, (lua_Integer)bytes);
    else
        lua_pushnil(L);
    return 1;
}

/* endpoint(text, for_bind) -> its one spelling, and whether it is of this machine
 * only; or nil, why. */
static int options_endpoint(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    char endpoint[ADDRESS_ENDPOINT_LIMIT], why[256];
    if (address_endpoint_normalise(text, size, false, lua_toboolean(L, 2), endpoint, why,
                                   sizeof why) != 0) {
        lua_pushnil(L);
        lua_pushstring(L, why);
        return 2;
    }
    lua_pushstring(L, endpoint);
    lua_pushboolean(L, address_endpoint_is_loopback(endpoint));
    return 2;
}

/* type(name) -> nil, or why no actor can send it. */
static int options_type(lua_State *L)
{
    size_t size;
    const char *name = luaL_checklstring(L, 1, &size);
    if (type_is_reserved(name, size))
        lua_pushfstring(L, "only the host itself sends %s", name);
    else if (type_intern(name, size) == TYPE_NONE)
        lua_pushliteral(L, "this cannot be a message's type");
    else
        lua_pushnil(L);
    return 1;
}

int api_options_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "spawn", options_spawn },
        { "check", options_check },
        { "nearest", options_nearest },
        { "hint", options_hint },
        { "seconds", options_seconds },
        { "bytes", options_bytes },
        { "endpoint", options_endpoint },
        { "type", options_type },
        { "message", api_check_message },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    return 1;
}
