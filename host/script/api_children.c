/*
 * api_children.c -- the module troupe.children: what a supervisor may do with the
 * actors that it has made. Only lua/troupe and actors/ use it.
 *
 *     local children = require "troupe.children"
 *     local ref, why = children.spawn("worker", { name = "w", config = { n = 1 } })
 *     children.start(ref)       -- ChildStarted { who, name, restarts }
 *     children.halt(ref, 5)     -- ChildHalted { who, name, reason, failed, started, restarts, halts }
 *     children.halt(ref, 0)     -- likewise, but killed at once: without on_shutdown
 *     children.drop(ref)
 *
 * A child is halted whenever its incarnation ends, for whatever reason, and then
 * ChildHalted comes, to be handled when no handler is in hand. Its `halts` tells how
 * many of our halts had reached the child. See actor/incarnation.h.
 *
 * children.spawn takes a third argument, the path of a script: its folder is where
 * the child's script is looked for first, instead of our own.
 */
#include "script/api.h"

#include "script/ref.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>

/* The child at index 1; 0: it has ended for good. Raises for what is no child. */
static actor_id check_child(lua_State *L, const char *what)
{
    struct script *script = script_of(L);
    struct address *address;
    actor_id id;
    api_refuse_loading(L, what);
    if (!ref_get(L, 1, &id, &address) || address != NULL)
        luaL_error(L, "%s: the ref of a child is expected, not a %s", what, luaL_typename(L, 1));
    struct system *system = script->world->system;
    if (incarnation_is_supervised(system, id, actor_self(script->actor)))
        return id;
    if (registry_find(&system->registry, id) != NULL)
        luaL_error(L, "%s: this actor is no child of this one", what);
    return 0;
}

/* -> true, or nil and why. */
static int push_answer(lua_State *L, int error)
{
    switch (error) {
    case 0:
        lua_pushboolean(L, true);
        return 1;
    case -ESRCH:
        return script_push_failure(L, FAILURE_DOWN, "the child has ended");
    case -EAGAIN:
        return script_push_failure(L, FAILURE_FULL, "the host has its limit of timers");
    default:
        return script_push_failure(L, FAILURE_FAILED, "out of memory");
    }
}

static int children_spawn(lua_State *L)
{
    return api_spawn_as(L, "children.spawn", true);
}

static int children_start(lua_State *L)
{
    actor_id id = check_child(L, "children.start");
    return push_answer(L, id != 0 ? incarnation_order_start(script_of(L)->world->system, id)
                                  : -ESRCH);
}

static int children_halt(lua_State *L)
{
    struct script *script = script_of(L);
    actor_id id = check_child(L, "children.halt");
    uint64_t timeout_ns = script_check_duration(L, 2, "children.halt", NULL);
    uint64_t deadline_ns = script_deadline(script, timeout_ns);
    if (id != 0 && timeout_ns == 0)
        incarnation_kill(script->world->system, id);
    return push_answer(L, id != 0 ? incarnation_order_halt(script->world->system, id, deadline_ns)
                                  : -ESRCH);
}

static int children_drop(lua_State *L)
{
    actor_id id = check_child(L, "children.drop");
    return push_answer(L, id != 0 ? incarnation_order_drop(script_of(L)->world->system, id)
                                  : -ESRCH);
}

int api_children_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "spawn", children_spawn },
        { "start", children_start },
        { "halt", children_halt },
        { "drop", children_drop },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    return 1;
}
