/*
 * interleave_read.c -- the option `interleave`, read from Lua (see interleave.h).
 */
#include "script/interleave.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>

static int refuse(char *why, size_t room, const char *found)
{
    snprintf(why, room, "interleave is true, false or a list of message types as {\"Query\"}, "
                        "not %s", found);
    return -EINVAL;
}

/* The value on top of the stack, which is number `place` of the list. */
static int read_type(lua_State *L, size_t place, type_id *type, char *why, size_t room)
{
    if (lua_type(L, -1) != LUA_TSTRING) {
        snprintf(why, room, "interleave is a list of message types, and number %zu is a %s", place,
                 luaL_typename(L, -1));
        return -EINVAL;
    }
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    type_id named = type_intern(text, size);
    if (named == TYPE_NONE) {
        snprintf(why, room, "interleave: '%.60s' cannot be a message's type", text);
        return -EINVAL;
    }
    *type = named;
    return 1;
}

static int read_list(lua_State *L, int index, struct script_options *options, char *why,
                     size_t room)
{
    size_t count = lua_rawlen(L, index);
    size_t fields = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        fields++;
    if (count == 0 || fields != count)
        return refuse(why, room, fields == 0 ? "an empty table" : "a table with other keys");
    if (count > INTERLEAVED_TYPES) {
        snprintf(why, room, "interleave names %zu types, and at most %d are possible: let it be "
                            "true", count, INTERLEAVED_TYPES);
        return -EINVAL;
    }
    int answer = 1;
    for (size_t i = 0; answer > 0 && i < count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        answer = read_type(L, i + 1, &options->interleaved[i], why, room);
        lua_pop(L, 1);
    }
    options->interleave = INTERLEAVE_SOME;
    options->interleaved_count = (unsigned)count;
    return answer;
}

int interleave_read(lua_State *L, int index, struct script_options *options, char *why,
                    size_t room)
{
    char found[80];
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        options->interleave = lua_toboolean(L, index) ? INTERLEAVE_ALL : INTERLEAVE_NONE;
        return 1;
    case LUA_TTABLE:
        return read_list(L, index, options, why, room);
    case LUA_TSTRING:
        snprintf(found, sizeof found, "'%.60s'", lua_tostring(L, index));
        return refuse(why, room, found);
    default:
        snprintf(found, sizeof found, "a %s", luaL_typename(L, index));
        return refuse(why, room, found);
    }
}
