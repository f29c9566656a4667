/*
 * api_names.c -- actor.lookup and actor.names: who is called what on this host.
 */
#include "script/api.h"

#include "base/suggest.h"
#include "script/ref.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- actor.lookup -------------------------------------------------------- */

/* On the stack of a lookup that waits, behind the name and the options. */
enum { TIMEOUT_INDEX = 3, DEADLINE_INDEX = 4 };

/* Reads the only option, `wait`, of the table at index 2: ns, 0 if it is not given. */
static uint64_t check_wait(lua_State *L)
{
    uint64_t wait_ns = 0;
    if (lua_isnoneornil(L, 2))
        return 0;
    if (!lua_istable(L, 2))
        luaL_error(L, "actor.lookup: options are a table, not a %s", luaL_typename(L, 2));
    lua_pushnil(L);
    for (; lua_next(L, 2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "actor.lookup: options have names, and this has a %s for a key",
                       luaL_typename(L, -2));
        const char *name = lua_tostring(L, -2);
        if (strcmp(name, "wait") != 0) {
            struct suggest suggest;
            suggest_init(&suggest, name);
            suggest_offer(&suggest, "wait");
            luaL_error(L, "actor.lookup: no option is called '%s'%s", name,
                       suggest.best != NULL || strcmp(name, "timeout") == 0
                           ? " (did you mean 'wait'?)" : "");
        }
        wait_ns = script_check_duration(L, lua_gettop(L), "actor.lookup", name);
    }
    return wait_ns;
}

static const char *check_name(lua_State *L, size_t *size)
{
    if (lua_type(L, 1) != LUA_TSTRING)
        luaL_error(L, "actor.lookup: an actor's name is expected, not a %s", luaL_typename(L, 1));
    const char *name = lua_tolstring(L, 1, size);
    if (memchr(name, '@', *size) != NULL)
        luaL_error(L, "actor.lookup: '%s' is elsewhere, and this is about names of this host: use "
                      "actor.ref or actor.registry", name);
    if (!address_name_is_valid(name, *size))
        luaL_error(L, "actor.lookup: '%s' is no name: they are made of letters, digits, '_', '.' and "
                      "'-', at most %d", name, ADDRESS_NAME_LIMIT);
    return name;
}

static int push_found(lua_State *L, actor_id id)
{
    api_install_refs(L);
    ref_push_actor(L, id);
    return 1;
}

/* Pushes nil and why: nobody is called so, now or after waiting for so long. */
static int push_nobody(lua_State *L, const char *name, uint64_t waited_ns)
{
    char near[ADDRESS_NAME_LIMIT + 1], text[2 * ADDRESS_NAME_LIMIT + 100], in_time[40] = "";
    struct registry *registry = &script_of(L)->world->system->registry;
    const char *best = registry_suggest(registry, name, near, sizeof near);
    if (waited_ns > 0)
        snprintf(in_time, sizeof in_time, ", nor was in %.1f s",
                 (double)waited_ns / (double)NS_PER_SEC);
    snprintf(text, sizeof text, "no actor is named '%s'%s%s%s%s", name, in_time,
             best != NULL ? " (did you mean '" : "", best != NULL ? best : "",
             best != NULL ? "'?)" : "");
    return script_push_failure(L, waited_ns > 0 ? FAILURE_TIMEOUT : FAILURE_DOWN, text);
}

static int go_on_after_lookup(lua_State *L, int status, lua_KContext context);

/* Finds the name at index 1, or stands in line for it until the deadline. */
static int find_or_wait(lua_State *L, struct script *script)
{
    size_t size;
    const char *name = lua_tolstring(L, 1, &size);
    uint64_t deadline_ns = (uint64_t)lua_tointeger(L, DEADLINE_INDEX);
    uint64_t now_ns = clock_now(&script->world->system->clock);
    actor_id id = names_find(script->world->system, name, size);
    if (id != 0)
        return push_found(L, id);
    if (now_ns >= deadline_ns)
        return push_nobody(L, name, (uint64_t)lua_tointeger(L, TIMEOUT_INDEX));

    const struct wait *wait =
        script_wait_begin(script, WAIT_NAME, APPETITE_CONTROL, deadline_ns - now_ns);
    int error = names_await(script->actor, name, size, wait->number, &id);
    if (error == 0 && id == 0)
        return script_wait_for(L, "lookup", address_new(name, size, "", 0), go_on_after_lookup);
    script_wait_over(script);
    if (error != 0)
        return script_push_failure(L, FAILURE_FAILED, "out of memory");
    return push_found(L, id);
}

static int go_on_after_lookup(lua_State *L, int status, lua_KContext context)
{
    struct script *script = script_of(L);
    (void)status;
    (void)context;
    switch (script->hand.wait.failure) {
    case FAILURE_NONE: /* somebody was called so: he may be gone again */
        return find_or_wait(L, script);
    case FAILURE_STOPPING:
        return script_push_failure(L, FAILURE_STOPPING,
                                   "the wait was cut: this actor is stopping");
    default:
        return push_nobody(L, lua_tostring(L, 1), (uint64_t)lua_tointeger(L, TIMEOUT_INDEX));
    }
}

/* actor.lookup(name, {wait=}) -> ref, or nil and why. */
int api_lookup(lua_State *L)
{
    struct script *script = script_of(L);
    size_t size;
    lua_settop(L, 2);
    api_refuse_loading(L, "actor.lookup");
    const char *name = check_name(L, &size);
    uint64_t wait_ns = check_wait(L);
    if (wait_ns == 0) {
        actor_id id = names_find(script->world->system, name, size);
        return id != 0 ? push_found(L, id) : push_nobody(L, name, 0);
    }
    if (!script_may_wait(L, "lookup"))
        return script_push_failure(L, FAILURE_STOPPING,
                                   "there is no waiting: this actor is stopping");
    lua_pushinteger(L, (lua_Integer)wait_ns);
    lua_pushinteger(L, (lua_Integer)script_deadline(script, wait_ns));
    return find_or_wait(L, script);
}

/* ---- actor.names --------------------------------------------------------- */

/* A name, and its place in the list before that is sorted. */
struct listed {
    const char *text;
    lua_Integer index;
};

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct listed *)left)->text, ((const struct listed *)right)->text);
}

/* Pushes the unsorted list; returns its length. */
static lua_Integer push_list(lua_State *L, const char *prefix, size_t prefix_size)
{
    struct system *system = script_of(L)->world->system;
    uint32_t position = 0;
    lua_Integer count = 0;
    lua_newtable(L);
    char *text = lua_newuserdatauv(L, NAMES_LOT_ROOM, 0);
    while (position != UINT32_MAX) {
        size_t size = names_list(system, prefix, prefix_size, text, &position);
        for (const char *each = text; each < text + size; each += strlen(each) + 1) {
            lua_pushstring(L, each);
            lua_rawseti(L, -3, ++count);
        }
    }
    lua_pop(L, 1);
    return count;
}

/* actor.names([prefix]) -> the names that begin so, sorted. */
int api_names(lua_State *L)
{
    size_t prefix_size = 0;
    api_refuse_loading(L, "actor.names");
    if (!lua_isnoneornil(L, 1) && lua_type(L, 1) != LUA_TSTRING)
        return luaL_error(L, "actor.names: what names begin with is a string, not a %s",
                          luaL_typename(L, 1));
    const char *prefix = luaL_optlstring(L, 1, "", &prefix_size);
    if (prefix_size > 0 && !address_name_is_valid(prefix, prefix_size))
        return luaL_error(L, "actor.names: no name begins with '%s': they are made of letters, "
                             "digits, '_', '.' and '-'", prefix);
    lua_Integer count = push_list(L, prefix, prefix_size);

    struct listed *order = lua_newuserdatauv(L, (size_t)count * sizeof *order + 1, 0);
    for (lua_Integer i = 0; i < count; i++) {
        lua_rawgeti(L, -2, i + 1);
        order[i] = (struct listed){ lua_tostring(L, -1), i + 1 }; /* the list keeps it */
        lua_pop(L, 1);
    }
    qsort(order, (size_t)count, sizeof *order, compare);
    lua_createtable(L, (int)count, 0);
    for (lua_Integer i = 0; i < count; i++) {
        lua_rawgeti(L, -3, order[i].index);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}
