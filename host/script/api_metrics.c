/*
 * api_metrics.c -- actor.metrics: what this host has counted.
 */
#include "script/api.h"

#include "script/metrics.h"
#include "script/pack_lua.h"
#include "script/scratch.h"

#include <lauxlib.h>

/* actor.metrics() -> { actors=, ended=, ..., limits={...}, refused={...}, wire={...},
 * streams={...} } */
int api_metrics(lua_State *L)
{
    api_refuse_loading(L, "actor.metrics");
    struct bytes *packed = scratch_take(SCRATCH_PACK);
    metrics_measure(script_of(L)->world->system, packed);
    if (packed->failed)
        luaL_error(L, "metrics: out of memory");
    pack_lua_push(L, packed->data, packed->size);
    return 1;
}
