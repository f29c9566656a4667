/*
 * api_children.c -- the module troupe.children: what a supervisor may do with the
 * actors that it has made, and who starts several at once. Only lua/troupe and
 * actors/ use it.
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
 * An actor that decides about itself, but begins when its parent says so:
 *
 *     local ref, why = children.prepare("worker", { name = "w" })   -- its mail is kept
 *     children.begin(ref, { n = 1 })   -- config; may name actors that were prepared with it
 *
 * ChildWaits { who, name, restarts } comes if its on_start waits, ChildStarted when it has
 * ended well; at its own restarts, too. Of an end actor.watch tells.
 *
 * spawn and prepare take a third argument, the path of a script: its folder is where
 * the child's script is looked for first, instead of our own.
 */
#include "script/api.h"

#include "message/pack.h"
#include "script/pack_lua.h"
#include "script/ref.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>

typedef bool is_child(struct system *system, actor_id id, actor_id parent);

/* The child at index 1, of the kind that `is` knows; 0: it has ended for good. Raises
 * for what is no child. */
static actor_id check_child(lua_State *L, const char *what, is_child *is)
{
    struct script *script = script_of(L);
    struct address *address;
    actor_id id;
    api_refuse_loading(L, what);
    if (!ref_get(L, 1, &id, &address) || address != NULL)
        luaL_error(L, "%s: the ref of a child is expected, not a %s", what, luaL_typename(L, 1));
    struct system *system = script->world->system;
    if (is(system, id, actor_self(script->actor)))
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
    return api_spawn_as(L, "children.spawn", SPAWN_SUPERVISED);
}

static int children_prepare(lua_State *L)
{
    return api_spawn_as(L, "children.prepare", SPAWN_PREPARED);
}

static int children_begin(lua_State *L)
{
    actor_id id = check_child(L, "children.begin", incarnation_is_announced);
    size_t size;
    const uint8_t *config = pack_lua_value(L, 2, "config", &size);
    luaL_argcheck(L, *config == PACK_MAP, 2, "config is a table with string keys");
    return push_answer(L, id != 0 ? lifecycle_start(script_of(L)->world->system, id, config, size)
                                  : -ESRCH);
}

static int children_start(lua_State *L)
{
    actor_id id = check_child(L, "children.start", incarnation_is_supervised);
    return push_answer(L, id != 0 ? incarnation_order_start(script_of(L)->world->system, id)
                                  : -ESRCH);
}

static int children_halt(lua_State *L)
{
    struct script *script = script_of(L);
    actor_id id = check_child(L, "children.halt", incarnation_is_supervised);
    uint64_t timeout_ns = script_check_duration(L, 2, "children.halt", NULL);
    uint64_t deadline_ns = script_deadline(script, timeout_ns);
    if (id != 0 && timeout_ns == 0)
        incarnation_kill(script->world->system, id);
    return push_answer(L, id != 0 ? incarnation_order_halt(script->world->system, id, deadline_ns)
                                  : -ESRCH);
}

static int children_drop(lua_State *L)
{
    actor_id id = check_child(L, "children.drop", incarnation_is_supervised);
    return push_answer(L, id != 0 ? incarnation_order_drop(script_of(L)->world->system, id)
                                  : -ESRCH);
}

int api_children_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "spawn", children_spawn },
        { "prepare", children_prepare },
        { "begin", children_begin },
        { "start", children_start },
        { "halt", children_halt },
        { "drop", children_drop },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    return 1;
}
