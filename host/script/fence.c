/*
 * fence.c -- the module troupe.fence: runs a function that is not trusted within
 * bounds of memory and time, in the state of the command line (program.c).
 *
 *     local fence = require "troupe.fence"
 *     fence(f, { memory = 32 << 20, steps = 2000000, seconds = 2, chunk = "=topology" })
 *     --> true, or nil, "memory"|"time"|"error", why, line
 *
 * `memory` is how much more than now there may be, in bytes; `steps` are those of
 * the machine, of `f` and all that it calls, and `seconds` what it may take of a
 * processor; `line` is the last one that was reached in the chunk called so (0:
 * none). Strings have no methods meanwhile: those work on within a single step.
 *
 * Who calls this gives `f` no pcall, and nothing else that outlives an error.
 */
#include "script/fence.h"

#include <lauxlib.h>
#include <string.h>
#include <time.h>

#define STEPS_A_LOOK 100

struct fence {
    lua_Alloc   allocate; /* the state's own */
    void       *context;
    int64_t     used, limit; /* bytes since it began */
    int64_t     steps;       /* left */
    uint64_t    until_ns;    /* on this thread's own clock */
    const char *chunk;
    int         line;
    bool        was_memory, was_time;
};

/* Where the hook, which gets no context, finds it. */
static const char fence_key;

static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    struct fence *fence = context;
    size_t        before = block != NULL ? old_size : 0;
    int64_t       grown = (int64_t)size - (int64_t)before;
    if (grown > 0 && fence->used + grown > fence->limit) {
        fence->was_memory = true;
        return NULL;
    }
    void *given = fence->allocate(fence->context, block, old_size, size);
    if (given != NULL || size == 0)
        fence->used += grown;
    return given;
}

/* What this thread has had of a processor. */
static uint64_t time_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static struct fence *fence_of(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &fence_key);
    struct fence *fence = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return fence;
}

static void look(lua_State *L, lua_Debug *record)
{
    struct fence *fence = fence_of(L);
    if (record->event == LUA_HOOKLINE) {
        lua_getinfo(L, "S", record);
        if (strcmp(record->source, fence->chunk) == 0)
            fence->line = record->currentline;
        return;
    }
    fence->steps -= STEPS_A_LOOK;
    if (fence->steps > 0 && time_ns() < fence->until_ns)
        return;
    fence->was_time = true;
    luaL_error(L, "it takes too long");
}

/* Takes the methods of strings away, or (with the metatable at the top, which it
 * pops) gives them back. */
static void set_methods(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_insert(L, -2);
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static int64_t number_field(lua_State *L, const char *name)
{
    lua_getfield(L, 2, name);
    int64_t number = luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    return number;
}

/* The call itself, so that the state is as it was whatever happens in it. */
static int run(lua_State *L, struct fence *fence)
{
    lua_Hook hook = lua_gethook(L);
    int      mask = lua_gethookmask(L), count = lua_gethookcount(L);
    lua_setallocf(L, allocate, fence);
    lua_sethook(L, look, LUA_MASKLINE | LUA_MASKCOUNT, STEPS_A_LOOK);
    int status = lua_pcall(L, 0, 0, 0);
    lua_sethook(L, hook, mask, count);
    lua_setallocf(L, fence->allocate, fence->context);
    return status;
}

static int fence_call(lua_State *L)
{
    struct fence fence = { 0 };
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    fence.limit = number_field(L, "memory");
    fence.steps = number_field(L, "steps");
    fence.until_ns = time_ns() + (uint64_t)number_field(L, "seconds") * NS_PER_SEC;
    lua_getfield(L, 2, "chunk"); /* the table keeps it */
    fence.chunk = luaL_checkstring(L, -1);
    fence.allocate = lua_getallocf(L, &fence.context);
    lua_pushlightuserdata(L, &fence);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &fence_key);

    lua_pushliteral(L, "");
    if (!lua_getmetatable(L, -1))
        lua_pushnil(L);
    lua_replace(L, -2);
    int methods = lua_gettop(L);
    lua_pushnil(L);
    set_methods(L);

    lua_gc(L, LUA_GCCOLLECT, 0); /* or what it frees would count for the function */
    lua_pushvalue(L, 1);
    int status = run(L, &fence);
    lua_pushvalue(L, methods);
    set_methods(L);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &fence_key);
    if (status == LUA_OK) {
        lua_pushboolean(L, true);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, fence.was_time ? "time" : fence.was_memory ? "memory" : "error");
    luaL_tolstring(L, -3, NULL);
    lua_pushinteger(L, fence.line);
    return 4;
}

int fence_open(lua_State *L)
{
    lua_pushcfunction(L, fence_call);
    return 1;
}
