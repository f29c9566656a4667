/*
 * api_undelivered.c -- `nil, why`: what a script is told of a message that did not arrive.
 */
#include "script/api.h"

#include "script/ref.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define TEXT_ROOM 600

const char *api_target_text(struct script *script, actor_id id, const struct address *address,
                            char *text, size_t room)
{
    if (address == NULL)
        return registry_name(&script->world->system->registry, id, text, room);
    if (ref_address_text(address, text, room) == 0)
        snprintf(text, room, "%s", "somebody elsewhere");
    return text;
}

enum failure_reason api_reason_of(enum router_answer answer)
{
    switch (answer) {
    case ROUTER_FULL:
        return FAILURE_FULL;
    case ROUTER_UNREACHABLE:
        return FAILURE_UNREACHABLE;
    case ROUTER_REFUSED:
        return FAILURE_REJECTED;
    default:
        return FAILURE_DOWN;
    }
}

bool api_is_gone(struct script *script, struct target target)
{
    return target.address == NULL &&
           registry_find(&script->world->system->registry, target.id) == NULL;
}

int api_push_undelivered(lua_State *L, enum failure_reason reason, struct target target,
                         type_id type, const char *detail)
{
    char name[REF_TEXT_ROOM], text[TEXT_ROOM];
    api_target_text(script_of(L), target.id, target.address, name, sizeof name);
    if (reason == FAILURE_DEADLOCK && detail != NULL)
        snprintf(text, sizeof text, "deadlock: %s", detail);
    else if (detail != NULL)
        snprintf(text, sizeof text, "%s was not sent to %s: %s", type_name(type), name, detail);
    else if (reason == FAILURE_FULL)
        snprintf(text, sizeof text, "%s was not sent to %s: its mailbox is full", type_name(type),
                 name);
    else if (reason == FAILURE_STOPPING)
        snprintf(text, sizeof text, "%s was not sent to %s: this actor is stopping",
                 type_name(type), name);
    else if (api_is_gone(script_of(L), target)) /* and its name with it */
        snprintf(text, sizeof text, "%s was not sent: the actor has ended", type_name(type));
    else
        snprintf(text, sizeof text, "%s was not sent: %s is not running", type_name(type), name);
    return script_push_failure(L, reason, text);
}

/* A `why` as text: __tostring and __concat. */
static int failure_tostring(lua_State *L)
{
    lua_pushliteral(L, "text");
    if (!lua_istable(L, 1) || lua_rawget(L, 1) != LUA_TSTRING)
        lua_pushliteral(L, "failure");
    return 1;
}

static int failure_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

static const char failure_key; /* its address is a key of the registry */

int script_push_failure(lua_State *L, enum failure_reason reason, const char *text)
{
    luaL_checkstack(L, 6, "too many values to say what failed");
    lua_pushnil(L);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, failure_reason_name(reason));
    lua_setfield(L, -2, "reason");
    lua_pushstring(L, text);
    lua_setfield(L, -2, "text");
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &failure_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 3);
        lua_pushliteral(L, "failure");
        lua_setfield(L, -2, "__name");
        lua_pushcfunction(L, failure_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_pushcfunction(L, failure_concat);
        lua_setfield(L, -2, "__concat");
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &failure_key);
    }
    lua_setmetatable(L, -2);
    return 2;
}
