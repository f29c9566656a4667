/*
 * api_watch.c -- who is told of whose end: actor.watch, actor.link and back.
 */
#include "script/api.h"

#include "actor/watches.h"
#include "script/ref.h"

#include <errno.h>
#include <lauxlib.h>

/* What the four have in common: whom the ref at index 1 means. `text` has
 * REF_TEXT_ROOM bytes. Raises for what is no ref, and for the actor itself. */
static struct watch_target check_watch_target(lua_State *L, const char *what, char *text)
{
    struct script *script = script_of(L);
    struct watch_target target = { 0 };
    struct address *address;
    api_refuse_loading(L, what);
    if (!ref_get(L, 1, &target.id, &address))
        luaL_error(L, "%s: a ref is expected, not a %s", what, luaL_typename(L, 1));
    if (address != NULL) {
        target.address = address;
        target.text = text;
        if (ref_address_text(address, text, REF_TEXT_ROOM) == 0)
            luaL_error(L, "%s: the address is too long", what);
        if (address_flat_endpoint(address_endpoint(address)) != NULL)
            luaL_error(L, "%s: %s is where flat JSON is spoken, which knows no watching", what, text);
        if (router_is_here(script->world->system, address))
            target.id = registry_find_name(&script->world->system->registry, address_name(address),
                                           address->name_size);
    }
    if (target.id == actor_self(script->actor))
        luaL_error(L, "%s: an actor cannot be told of its own end", what);
    return target;
}

static void refuse_elsewhere(lua_State *L, const struct watch_target *target, const char *what)
{
    if (target->id == 0 && target->address->endpoint_size > 0)
        luaL_error(L, "%s: %s is elsewhere, and a link ties actors of one host (watch it)", what,
                   target->text);
}

static int push_begun(lua_State *L, int error)
{
    if (error != 0)
        return script_push_failure(L, FAILURE_FULL,
                                   error == -EMFILE ? "no actor can have more than 1000000 watches"
                                                    : "out of memory");
    lua_pushboolean(L, true);
    return 1;
}

/* actor.watch(ref) -> true, or nil and why. */
int api_watch(lua_State *L)
{
    char text[REF_TEXT_ROOM];
    struct watch_target target = check_watch_target(L, "actor.watch", text);
    return push_begun(L, watch_begin(script_of(L)->actor, &target));
}

/* actor.unwatch(ref) -> whether it was watched. */
int api_unwatch(lua_State *L)
{
    char text[REF_TEXT_ROOM];
    struct watch_target target = check_watch_target(L, "actor.unwatch", text);
    lua_pushboolean(L, watch_end(script_of(L)->actor, &target));
    return 1;
}

/* actor.link(ref) -> true, or nil and why. */
int api_link(lua_State *L)
{
    char text[REF_TEXT_ROOM];
    struct watch_target target = check_watch_target(L, "actor.link", text);
    refuse_elsewhere(L, &target, "actor.link");
    return push_begun(L, link_begin(script_of(L)->actor, &target));
}

/* actor.unlink(ref) -> whether they were linked. */
int api_unlink(lua_State *L)
{
    char text[REF_TEXT_ROOM];
    struct watch_target target = check_watch_target(L, "actor.unlink", text);
    refuse_elsewhere(L, &target, "actor.unlink");
    lua_pushboolean(L, link_end(script_of(L)->actor, &target));
    return 1;
}
