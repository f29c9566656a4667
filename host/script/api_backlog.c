/*
 * api_backlog.c -- actor.backlog: how much an actor of this host has still to do.
 */
#include "script/api.h"

#include "script/ref.h"

#include <lauxlib.h>
#include <stdio.h>

static int push_unknown(lua_State *L, struct target target)
{
    char text[REF_TEXT_ROOM + 100];
    if (target.address == NULL)
        return script_push_failure(L, FAILURE_DOWN, "the actor has ended");
    const char *name = address_name(target.address);
    if (target.address->endpoint_size == 0) {
        snprintf(text, sizeof text, "%s is not running", name);
        return script_push_failure(L, FAILURE_DOWN, text);
    }
    snprintf(text, sizeof text, "%s is elsewhere: what waits there is not known here", name);
    return script_push_failure(L, FAILURE_FAILED, text);
}

/* actor.backlog(ref) -> how many messages it has not handled yet, or nil and why. */
int api_backlog(lua_State *L)
{
    struct script *script = script_of(L);
    struct target target;
    api_refuse_loading(L, "actor.backlog");
    if (!ref_get(L, 1, &target.id, &target.address))
        return luaL_error(L, "actor.backlog: a ref is expected, not a %s", luaL_typename(L, 1));
    api_resolve(script, &target);
    struct actor *actor = target.address == NULL
                              ? registry_find(&script->world->system->registry, target.id)
                              : NULL;
    if (actor == NULL)
        return push_unknown(L, target);

    lua_Integer count = mailbox_unhandled(&actor->box);
    if (atomic_load_explicit(&actor->handling, memory_order_relaxed) != TYPE_NONE)
        count++;
    lua_pushinteger(L, count);
    return 1;
}
