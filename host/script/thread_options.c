/*
 * thread_options.c -- see thread_options.h.
 */
#include "script/thread_options.h"

#include "actor/urgency.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>

/* The value at `index` as an integer from `least` to `most`; false, and `found`
 * is what it is. */
static bool read_integer(lua_State *L, int index, lua_Integer least, lua_Integer most,
                         lua_Integer *number, char *found, size_t room)
{
    int whole = 0;
    *number = lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &whole) : 0;
    if (whole && *number >= least && *number <= most)
        return true;
    if (lua_type(L, index) == LUA_TNUMBER)
        snprintf(found, room, "%.14g", lua_tonumber(L, index));
    else if (lua_type(L, index) == LUA_TSTRING)
        snprintf(found, room, "'%.60s'", lua_tostring(L, index));
    else
        snprintf(found, room, "a %s", luaL_typename(L, index));
    return false;
}

static int refuse_cpu(char *why, size_t room, const char *found)
{
    snprintf(why, room, "cpu is a list of CPU numbers as {0, 1}, not %s", found);
    return -EINVAL;
}

int thread_options_cpu(lua_State *L, int index, struct script_options *options, char *why,
                       size_t room)
{
    char found[80];
    lua_Integer number;
    if (!lua_istable(L, index)) {
        read_integer(L, index, 1, 0, &number, found, sizeof found);
        return refuse_cpu(why, room, found);
    }
    struct cpus cpus = { { 0 } };
    size_t count = lua_rawlen(L, index), fields = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        fields++;
    if (count == 0 || fields != count)
        return refuse_cpu(why, room, fields == 0 ? "an empty table" : "a table with other keys");
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        bool good = read_integer(L, lua_gettop(L), 0, CPUS_LIMIT - 1, &number, found,
                                 sizeof found);
        lua_pop(L, 1);
        if (!good) {
            snprintf(why, room, "cpu: a CPU's number is an integer from 0 to %d, not %s",
                     CPUS_LIMIT - 1, found);
            return -EINVAL;
        }
        cpus_add(&cpus, (unsigned)number);
    }
    options->cpus = cpus;
    return 1;
}

int thread_options_priority(lua_State *L, int index, struct script_options *options, char *why,
                            size_t room)
{
    char found[80];
    lua_Integer number;
    if (!read_integer(L, index, 1, URGENCY_MAX, &number, found, sizeof found)) {
        snprintf(why, room, "priority is an integer from 1 to %d, not %s", URGENCY_MAX, found);
        return -EINVAL;
    }
    options->priority = (int)number;
    return 1;
}
