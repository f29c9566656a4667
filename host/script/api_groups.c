/*
 * api_groups.c -- actor.join, actor.leave, actor.members, actor.publish: many
 * actors of this host under one name.
 */
#include "script/api.h"

#include "base/suggest.h"
#include "script/ref.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>

static const char *check_group(lua_State *L, const char *what, size_t *size)
{
    api_refuse_loading(L, what);
    if (lua_type(L, 1) != LUA_TSTRING)
        luaL_error(L, "%s: the name of a group is expected, not a %s", what, luaL_typename(L, 1));
    const char *name = lua_tolstring(L, 1, size);
    if (!address_name_is_valid(name, *size))
        luaL_error(L, "%s: '%s' is no group's name: they are made of letters, digits, '_', '.' "
                      "and '-', at most %d", what, name, ADDRESS_NAME_LIMIT);
    return name;
}

/* actor.join(group) -> true, or nil and why. */
int api_join(lua_State *L)
{
    size_t size;
    const char *name = check_group(L, "actor.join", &size);
    char text[ADDRESS_NAME_LIMIT + 100];
    switch (groups_join(script_of(L)->actor, name, size)) {
    case 0:
        lua_pushboolean(L, true);
        return 1;
    case -EAGAIN:
        snprintf(text, sizeof text, "this actor is in %d groups, its limit, and cannot join '%s'",
                 GROUPS_EACH, name);
        return script_push_failure(L, FAILURE_FULL, text);
    default:
        return script_push_failure(L, FAILURE_FAILED, "out of memory");
    }
}

/* actor.leave(group) -> true, or nil and why. */
int api_leave(lua_State *L)
{
    size_t size;
    const char *name = check_group(L, "actor.leave", &size);
    const struct script *script = script_of(L);
    if (groups_leave(script->actor, name, size)) {
        lua_pushboolean(L, true);
        return 1;
    }
    char text[2 * ADDRESS_NAME_LIMIT + 100];
    struct suggest suggest;
    suggest_init(&suggest, name);
    groups_suggest(script->actor, &suggest);
    snprintf(text, sizeof text, "this actor is not in the group '%s'%s%s%s", name,
             suggest.best != NULL ? " (did you mean '" : "",
             suggest.best != NULL ? suggest.best : "", suggest.best != NULL ? "'?)" : "");
    return script_push_failure(L, FAILURE_FAILED, text);
}

/* actor.members(group) -> their refs, in the order of joining. */
int api_members(lua_State *L)
{
    size_t size, room = 0, count;
    const char *name = check_group(L, "actor.members", &size);
    struct system *system = script_of(L)->world->system;
    actor_id *ids = NULL;
    lua_settop(L, 1);
    while ((count = groups_members(system, name, size, ids, room)) > room) {
        room = count + count / 8; /* some may join meanwhile */
        lua_settop(L, 1);
        ids = lua_newuserdatauv(L, room * sizeof *ids, 0);
    }
    api_install_refs(L);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        ref_push_actor(L, ids[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* actor.publish(group, type, msg, {priority=}) -> how many took it, how many did not. */
int api_publish(lua_State *L)
{
    size_t group_size, size, refused;
    struct script *script = script_of(L);
    const char *group = check_group(L, "actor.publish", &group_size);
    type_id type = api_check_type(L, script, 2, "actor.publish");
    struct send_options options = api_check_options(L, script, 4, "actor.publish", OPTION_PRIORITY);
    const uint8_t *packed = api_pack(L, script, 3, type, &size);
    struct message *model = api_new_message(L, script, "actor.publish", MESSAGE_ORDINARY, type, packed,
                                            size, options.high);
    size_t taken = groups_publish(script->world->system, group, group_size, model, &refused);
    message_free(model);
    lua_pushinteger(L, (lua_Integer)taken);
    lua_pushinteger(L, (lua_Integer)refused);
    return 2;
}
