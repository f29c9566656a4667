/*
 * api_receive.c -- waits that ask nobody: actor.receive, actor.sleep.
 */
#include "script/api.h"

#include "script/held.h"
#include "script/pack_lua.h"

#include <lauxlib.h>
#include <stdio.h>

#define STOPPING_TEXT "the wait was cut: this actor is stopping"

/* The type at `index`: also one that only the host sends. */
static type_id check_type(lua_State *L, int index)
{
    bool is_value;
    const struct declared *declared = declared_at(L, index, &is_value);
    if (declared != NULL && !is_value)
        return declared->type;
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "receive: a message's type is a string, not a %s", luaL_typename(L, index));
    size_t size;
    const char *text = lua_tolstring(L, index, &size);
    type_id type = type_intern(text, size);
    if (type == TYPE_NONE)
        luaL_error(L, "receive: '%s' cannot be a message's type", text);
    return type;
}

/* Pushes the userdata with the types to receive, alike ones in one, and returns
 * their number; *first as it is spelt. */
static size_t check_types(lua_State *L, const type_id **types, type_id *first)
{
    if (lua_type(L, 1) == LUA_TSTRING || lua_type(L, 1) == LUA_TUSERDATA) {
        *first = check_type(L, 1);
        type_id *one = lua_newuserdatauv(L, sizeof *one, 0);
        *one = type_alike(*first);
        *types = one;
        return 1;
    }
    if (!lua_istable(L, 1))
        luaL_error(L, "receive: a message's type or a list of types is expected, not a %s",
                   luaL_typename(L, 1));
    size_t count = lua_rawlen(L, 1);
    if (count == 0)
        luaL_error(L, "receive: the list of types is empty");
    type_id *list = lua_newuserdatauv(L, count * sizeof *list, 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        type_id type = check_type(L, lua_gettop(L));
        list[i] = type_alike(type);
        if (i == 0)
            *first = type;
        lua_pop(L, 1);
    }
    *types = list;
    return count;
}

static int go_on_after_receive(lua_State *L, int status, lua_KContext context)
{
    struct script *script = script_of(L);
    struct wait *wait = &script->hand.wait;
    (void)status;
    (void)context;
    if (wait->failure == FAILURE_NONE) {
        api_install_refs(L); /* there may be some in it */
        pack_lua_push(L, wait->answer->payload, wait->answer->size);
        if (wait->periodic) {
            lua_pushinteger(L, (lua_Integer)wait->missed);
            lua_setfield(L, -2, "missed");
        }
        api_push_env_of(L, script, &wait->answer);
        return 2;
    }
    if (wait->failure == FAILURE_STOPPING)
        return script_push_failure(L, FAILURE_STOPPING, STOPPING_TEXT);
    char text[TYPE_NAME_LIMIT + 80];
    snprintf(text, sizeof text, "no %s%s in %.1f s", type_name(wait->type),
             wait->type_count > 1 ? " (or another of the types)" : "",
             (double)wait->timeout_ns / (double)NS_PER_SEC);
    return script_push_failure(L, wait->failure, text);
}

/* actor.receive(type or list, {timeout=}) -> msg, env, or nil and why: waits
 * for the next message of these types; others stay queued, in order. */
int api_receive(lua_State *L)
{
    struct script *script = script_of(L);
    const type_id *types;
    type_id first = TYPE_NONE;
    lua_settop(L, 2);
    bool may_wait = script_may_wait(L, "receive");
    struct send_options options = api_check_options(L, script, 2, "receive", OPTION_TIMEOUT);
    size_t count = check_types(L, &types, &first);
    if (!may_wait)
        return script_push_failure(L, FAILURE_STOPPING, STOPPING_TEXT);

    held_settle_received(script);
    struct wait *wait =
        script_wait_begin(script, WAIT_RECEIVE, APPETITE_CHOSEN, options.timeout_ns);
    wait->types = types;
    wait->type_count = count;
    wait->type = first;
    return script_wait(L, "receive", go_on_after_receive);
}

static int go_on_after_sleep(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    if (script_of(L)->hand.wait.failure == FAILURE_STOPPING)
        return script_push_failure(L, FAILURE_STOPPING, STOPPING_TEXT);
    lua_pushboolean(L, true);
    return 1;
}

/* actor.sleep(duration) -> true, or nil and why (stopping). */
int api_sleep(lua_State *L)
{
    struct script *script = script_of(L);
    bool may_wait = script_may_wait(L, "sleep");
    uint64_t timeout_ns = script_check_duration(L, 1, "sleep", NULL);
    if (!may_wait)
        return script_push_failure(L, FAILURE_STOPPING, STOPPING_TEXT);
    script_wait_begin(script, WAIT_SLEEP, APPETITE_CONTROL, timeout_ns);
    return script_wait(L, "sleep", go_on_after_sleep);
}
