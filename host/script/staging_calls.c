/*
 * staging_calls.c -- what the functions that scripts call ask of a staging, and what
 * they leave to it while on_reload runs.
 */
#include "script/staging_room.h"

#include <lauxlib.h>

static bool is_in(const struct script *script, enum staging_phase phase)
{
    return script->staging != NULL && script->staging->phase == phase;
}

bool staging_is_prepared(const struct script *script)
{
    return is_in(script, STAGING_READY);
}

bool staging_runs(const struct script *script)
{
    return script->staging != NULL && script->staging->phase != STAGING_NONE &&
           script->staging->phase != STAGING_READY;
}

struct update *staging_update(const struct script *script)
{
    return staging_runs(script) ? script->staging->update : NULL;
}

bool staging_defers(const struct script *script)
{
    return is_in(script, STAGING_MIGRATING);
}

void staging_refuse_loading(lua_State *L, const char *what)
{
    if (!staging_defers(script_of(L)))
        api_refuse_loading(L, what);
}

bool staging_push_classes(lua_State *L, const struct script *script)
{
    if (!is_in(script, STAGING_LOADING))
        return false;
    staging_push_slot(L, script->staging, SLOT_CLASSES);
    return true;
}

struct declared *staging_declared(const struct script *script, type_id type)
{
    return staging_runs(script) ? declared_in(script->staging->other.declared, type) : NULL;
}

int staging_send(lua_State *L, struct script *script, struct target target,
                 struct message *message)
{
    struct system *system = script->world->system;
    if (target.id != 0 && registry_find(&system->registry, target.id) == NULL) {
        type_id type = message->type;
        message_free(message);
        return api_push_undelivered(L, FAILURE_DOWN, target, type, NULL);
    }
    if (deferred_send(&script->staging->deferred, target, message) != 0)
        return luaL_error(L, "send: out of memory");
    lua_pushboolean(L, true);
    return 1;
}

int staging_start_timer(struct script *script, struct message **message, uint64_t delay_ns,
                        uint64_t interval_ns, struct timer **timer)
{
    return deferred_timer(&script->staging->deferred, script, message, delay_ns, interval_ns,
                          timer);
}

int staging_cancel(lua_State *L, struct script *script, struct timer *timer)
{
    bool prevented = false;
    if (timer != NULL &&
        deferred_cancel(&script->staging->deferred, script, timer, &prevented) != 0)
        return luaL_error(L, "cancel: out of memory");
    lua_pushboolean(L, prevented);
    return 1;
}
