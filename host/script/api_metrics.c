/*
 * api_metrics.c -- actor.metrics: what this host has counted.
 */
#include "script/api.h"

#include "base/log.h"
#include "message/wire.h"
#include "script/arena_store.h"
#include "script/pack_lua.h"
#include "script/scratch.h"

#include <lauxlib.h>

static void set(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

static uint64_t value_of(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* The wire's share: it counts for itself. */
static void push_wire(lua_State *L, struct system *system)
{
    struct bytes *packed = scratch_take(SCRATCH_PACK);
    if (system->remote.measure != NULL)
        system->remote.measure(system->remote.context, packed);
    if (packed->failed)
        luaL_error(L, "metrics: out of memory");
    pack_lua_push(L, packed->data, packed->size);
    set(L, "frames_bad", value_of(&system->counters.frames_bad));
    set(L, "late_answers", value_of(&system->counters.late_answers));
    set(L, "rejected", value_of(&system->counters.rejected));
}

/* What there may be of each, and what was refused for it: the same names in both. */
static void push_limits(lua_State *L, struct system *system)
{
    const struct system_limits *limits = &system->limits;
    lua_createtable(L, 0, 8);
    set(L, "actors", limits->actors);
    set(L, "children", limits->children);
    set(L, "timers", limits->timers);
    set(L, "dead_letters", limits->dead_letters);
    set(L, "memory", limits->memory_bytes);
    set(L, "frame", wire_frame_limit());
    set(L, "depth", wire_json_limits().depth);
    lua_setfield(L, -2, "limits");

    struct system_counters *counters = &system->counters;
    lua_createtable(L, 0, 4);
    set(L, "actors", value_of(&counters->full_actors));
    set(L, "children", value_of(&counters->full_children));
    set(L, "timers", value_of(&counters->full_timers));
    set(L, "memory", value_of(&counters->full_memory));
    lua_setfield(L, -2, "refused");
}

static void push_streams(lua_State *L, struct system *system)
{
    struct bytes *packed = scratch_take(SCRATCH_PACK);
    if (system->streams.measure != NULL)
        system->streams.measure(system->streams.context, packed);
    if (packed->failed)
        luaL_error(L, "metrics: out of memory");
    pack_lua_push(L, packed->data, packed->size);
}

/* actor.metrics() -> { actors=, ended=, ..., limits={...}, refused={...}, wire={...},
 * streams={...} } */
int api_metrics(lua_State *L)
{
    struct system *system = script_of(L)->world->system;
    api_refuse_loading(L, "actor.metrics");
    uint64_t hidden;
    lock_acquire(&system->lock);
    hidden = system->hidden;
    lock_release(&system->lock);
    uint64_t living = atomic_load_explicit(&system->registry.living, memory_order_relaxed);

    lua_createtable(L, 0, 14);
    set(L, "actors", living > hidden ? living - hidden : 0);
    set(L, "ended", value_of(&system->registry.ended));
    set(L, "restarts", value_of(&system->counters.restarts));
    set(L, "dead_letters", dead_letters_total(&system->letters));
    set(L, "unhandled", value_of(&system->counters.unhandled));
    set(L, "bad_fields", value_of(&system->counters.bad_fields));
    set(L, "timers", timers_count(system->timers));
    set(L, "timers_fired", value_of(&system->counters.timers_fired));
    set(L, "memory", arena_store_held());
    set(L, "log_lost", log_lost());
    push_limits(L, system);
    push_wire(L, system);
    lua_setfield(L, -2, "wire");
    push_streams(L, system);
    lua_setfield(L, -2, "streams");
    return 1;
}
