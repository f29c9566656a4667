/*
 * api_registry.c -- actor.registry: finds or makes the hidden actor that keeps up
 * with a registry, and hands the rest to Lua (lua/troupe/registry.lua).
 */
#include "script/api.h"

#include "message/pack.h"
#include "script/ref.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_ENDPOINT "tcp://127.0.0.1:5555"

/* A name that no script can give, so that none can stand in its place. */
#define KEEPER_PREFIX "$registry:"

int api_failure(lua_State *L)
{
    const char *word = luaL_checkstring(L, 1);
    enum failure_reason reason = FAILURE_TIMEOUT;
    while (reason < FAILURE_STOPPING && strcmp(failure_reason_name(reason), word) != 0)
        reason++;
    return script_push_failure(L, reason, luaL_checkstring(L, 2));
}

static int start_keeper(struct system *system, actor_id id, const char *endpoint)
{
    struct bytes config;
    bytes_init(&config, 0);
    size_t at = pack_open(&config, PACK_MAP);
    pack_put_string(&config, "endpoint", 8);
    pack_put_string(&config, endpoint, strlen(endpoint));
    pack_close(&config, at, 1);
    int error = config.failed ? -ENOMEM : lifecycle_start(system, id, config.data, config.size);
    bytes_fini(&config);
    return error;
}

/* The actor that keeps up with the registry at `endpoint`, made if need be; or
 * 0, *error and a sentence in `why`. */
static actor_id find_keeper(struct script_world *world, const char *endpoint, int *error, char *why,
                            size_t room)
{
    struct system *system = world->system;
    char name[ADDRESS_NAME_LIMIT + 1], path[PATH_MAX];

    snprintf(name, sizeof name, KEEPER_PREFIX "%.200s", endpoint + strlen("tcp://"));
    actor_id id = registry_find_name(&system->registry, name, strlen(name));
    if (id != 0)
        return id;
    snprintf(path, sizeof path, "%s/troupe/registry_keeper.lua", world->package_path[0]);
    struct script_options options = { .name = name, .hidden = true };
    *error = script_spawn(world, path, NULL, 0, &options, &id, why, room);
    if (*error == -EEXIST) /* another actor was quicker */
        return registry_find_name(&system->registry, name, strlen(name));
    if (*error != 0)
        return 0;
    *error = start_keeper(system, id, endpoint);
    if (*error == 0)
        return id;
    snprintf(why, room, "out of memory");
    lifecycle_stop(system, id, false);
    return 0;
}

static void check_endpoint(lua_State *L, char *endpoint)
{
    char why[256];
    size_t size;
    if (!lua_isnoneornil(L, 1) && lua_type(L, 1) != LUA_TSTRING)
        luaL_error(L, "actor.registry: an endpoint is expected, as \":5555\", not a %s",
                   luaL_typename(L, 1));
    const char *text = luaL_optlstring(L, 1, DEFAULT_ENDPOINT, &size);
    if (address_endpoint_normalise(text, size, false, false, endpoint, why, sizeof why) != 0)
        luaL_error(L, "actor.registry: %s", why);
}

/* actor.registry([endpoint]) -> registry, or nil and why. */
int api_registry(lua_State *L)
{
    struct script_world *world = script_of(L)->world;
    char endpoint[ADDRESS_ENDPOINT_LIMIT], why[1024] = "";
    int  error = 0;

    api_refuse_loading(L, "actor.registry");
    check_endpoint(L, endpoint);
    api_install_refs(L);
    actor_id keeper = find_keeper(world, endpoint, &error, why, sizeof why);
    if (keeper == 0)
        return script_push_failure(L, error == -EAGAIN      ? FAILURE_FULL
                                      : error == -ESHUTDOWN ? FAILURE_STOPPING
                                                            : FAILURE_FAILED, why);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "troupe.registry");
    lua_call(L, 1, 1);
    ref_push_actor(L, keeper);
    lua_pushstring(L, endpoint);
    lua_pushcfunction(L, api_failure);
    lua_call(L, 3, 1);
    return 1;
}
