/*
 * staging.c -- see staging.h.
 *
 * What the new top level changes in place, since others refer to it, is left as it
 * made it until it is decided, for nothing runs in between: classes, the plain globals,
 * package.loaded. Room is made for what was there before, so that an abort cannot fail.
 * With self it is the other way round: there it is for what will be.
 */
#include "script/staging_room.h"

#include "base/log.h"
#include "base/memory.h"
#include "script/class.h"
#include "script/dispatch.h"
#include "script/interleave.h"
#include "script/libraries.h"
#include "script/module.h"
#include "script/tables.h"

#include <lauxlib.h>
#include <string.h>

/* An idle actor gives back at once what the old version held; a state that is larger
 * leaves it to the collector, which would take long. */
#define COLLECT_BYTES (256u * 1024)

/* ---- Notes --------------------------------------------------------------- */

#define NOTES_LIMIT 8192

void staging_notes_init(struct staging_notes *notes)
{
    *notes = (struct staging_notes){ .migrated = false };
    bytes_init(&notes->warnings, NOTES_LIMIT);
    bytes_init(&notes->stale, NOTES_LIMIT);
}

void staging_notes_fini(struct staging_notes *notes)
{
    bytes_fini(&notes->warnings);
    bytes_fini(&notes->stale);
}

/* ---- Two editions ---------------------------------------------------------- */

void staging_exchange(struct script *script)
{
    struct edition *other = &script->staging->other;
    struct edition  was = {
         .source = script->source,
         .handlers = script->handlers,
         .environment = script->vm.environment,
         .declared = script->declared,
         .takes_any = script->takes_any,
    };
    memcpy(was.version, script->version, sizeof was.version);
    script->source = other->source;
    script->handlers = other->handlers;
    script->vm.environment = other->environment;
    script->declared = other->declared;
    script->takes_any = other->takes_any;
    memcpy(script->version, other->version, sizeof script->version);
    *other = was;
}

static const struct edition no_edition = { .handlers = LUA_NOREF, .environment = LUA_NOREF };

/* Lets go of the edition that is not in force. */
static void drop_other(struct script *script)
{
    struct edition *other = &script->staging->other;
    source_unref(other->source);
    declared_retire(other->declared, &script->staging->retired);
    if (script->vm.L != NULL) {
        luaL_unref(script->vm.L, LUA_REGISTRYINDEX, other->handlers);
        luaL_unref(script->vm.L, LUA_REGISTRYINDEX, other->environment);
    }
    *other = no_edition;
}

/* ---- The struct -------------------------------------------------------------- */

bool staging_open(struct script *script)
{
    if (script->staging != NULL)
        return true;
    struct staging *staging = memory_get_zeroed(sizeof *staging);
    if (staging == NULL)
        return false;
    staging->other = no_edition;
    staging->table = staging->kept = staging->next_kept = LUA_NOREF;
    deferred_init(&staging->deferred);
    script->staging = staging;
    return true;
}

void staging_tidy(struct script *script)
{
    struct staging *staging = script->staging;
    if (staging->phase != STAGING_NONE || staging->kept != LUA_NOREF || staging->retired != NULL)
        return;
    memory_put(staging, sizeof *staging);
    script->staging = NULL;
}

void staging_push_slot(lua_State *L, const struct staging *staging, enum staging_slot slot)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, staging->table);
    lua_rawgeti(L, -1, slot);
    lua_remove(L, -2);
}

void staging_set_slot(lua_State *L, const struct staging *staging, enum staging_slot slot)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, staging->table);
    lua_insert(L, -2);
    lua_rawseti(L, -2, slot);
    lua_pop(L, 1);
}

static void unref(lua_State *L, int *reference)
{
    luaL_unref(L, LUA_REGISTRYINDEX, *reference);
    *reference = LUA_NOREF;
}

/* ---- What was changed in place ------------------------------------------------ */

/* The plain globals are as they were, but for what of the host's own was made since. */
static void restore_globals(lua_State *L, int before)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    int globals = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, globals);) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        bool is_new = lua_rawget(L, before) == LUA_TNIL;
        bool own = is_new && lua_type(L, -2) == LUA_TSTRING &&
                   libraries_is_standard(L, lua_tostring(L, -2));
        if (own) {
            lua_pop(L, 1);
            continue;
        }
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, globals);
    }
    lua_pop(L, 1);
}

/* Neither raises nor allocates once there is room. */
static int restore(lua_State *L)
{
    struct staging *staging = script_of(L)->staging;
    staging_push_slot(L, staging, SLOT_CLASSES);
    class_restore(L, lua_gettop(L));
    staging_push_slot(L, staging, SLOT_GLOBALS);
    restore_globals(L, lua_gettop(L));
    staging_push_slot(L, staging, SLOT_LOADED);
    if (lua_istable(L, -1))
        module_bring_back(L, -1);
    lua_pop(L, 3);
    return 0;
}

void staging_make_room(lua_State *L, const struct staging *staging)
{
    staging_push_slot(L, staging, SLOT_CLASSES);
    class_make_room(L, lua_gettop(L));
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    staging_push_slot(L, staging, SLOT_GLOBALS);
    tables_make_room(L, -2, -1);
    lua_pop(L, 3);
}

static int restore_with_room(lua_State *L)
{
    staging_make_room(L, script_of(L)->staging);
    return restore(L);
}

/* There may be no room: that the state is at its limit is no reason to leave it half changed. */
static void restore_after_failure(struct script *script)
{
    struct vm *vm = &script->vm;
    size_t     limit = vm->arena.limit;
    arena_set_limit(&vm->arena, 0);
    lua_pushcfunction(vm->L, restore_with_room);
    if (lua_pcall(vm->L, 0, 0, 0) != LUA_OK) {
        log_error("%s: out of memory: not all that its reload has changed could be put back",
                  source_path(script->source));
        lua_pop(vm->L, 1);
    }
    arena_set_limit(&vm->arena, limit);
}

/* Gives back what is nobody's any more. */
static void collect(struct script *script)
{
    if (script->vm.arena.used < COLLECT_BYTES)
        lua_gc(script->vm.L, LUA_GCCOLLECT);
}

void staging_let_go(struct script *script)
{
    struct staging *staging = script->staging;
    deferred_drop(&staging->deferred);
    drop_other(script);
    staging->phase = STAGING_NONE;
    staging->update = NULL;
    if (script->vm.L != NULL) {
        unref(script->vm.L, &staging->table);
        unref(script->vm.L, &staging->next_kept);
        collect(script);
    }
    staging_tidy(script);
}

static void drop_room_in_self(struct script *script)
{
    lua_State *L = script->vm.L;
    if (!staging_has_self(script))
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->self_reference);
    tables_drop_room(L, -1);
    lua_pop(L, 1);
}

void staging_fail(struct script *script)
{
    if (script->staging->table != LUA_NOREF) {
        drop_room_in_self(script);
        restore_after_failure(script);
    }
    staging_let_go(script);
}

/* ---- Committing and aborting -------------------------------------------------------- */

static void refill_self(lua_State *L, struct script *script)
{
    staging_push_slot(L, script->staging, SLOT_SELF);
    if (lua_istable(L, -1)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, script->self_reference);
        tables_refill(L, -1, -2);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void keep_changes(lua_State *L, const struct staging *staging)
{
    staging_push_slot(L, staging, SLOT_CLASSES);
    class_keep(L, lua_gettop(L));
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    tables_drop_room(L, -1);
    lua_pop(L, 2);
}

static void commit_state(struct script *script)
{
    struct staging *staging = script->staging;
    lua_State      *L = script->vm.L;
    dispatch_forget(L, script);
    keep_changes(L, staging);
    refill_self(L, script);
    if (staging->changes_interleave)
        interleave_change(script, &staging->own);

    unref(L, &staging->kept);
    staging->kept = staging->next_kept;
    staging->kept_for_trial = staging->next_kept_for_trial;
    staging->next_kept = LUA_NOREF;
    if (script->actor != NULL)
        atomic_store_explicit(&script->actor->takes_any, script->takes_any, memory_order_relaxed);
    deferred_happen(&staging->deferred, script);
}

void staging_commit(struct script *script)
{
    struct staging *staging = script->staging;
    if (staging->table == LUA_NOREF) { /* there is no state that was prepared, or not any more */
        struct source *was = script->source;
        script->source = staging->other.source;
        staging->other.source = was;
    } else {
        staging_exchange(script);
        commit_state(script);
    }
    staging_let_go(script);
}

void staging_abort(struct script *script)
{
    if (script->staging->table != LUA_NOREF) {
        drop_room_in_self(script);
        restore(script->vm.L);
    }
    staging_let_go(script);
}

void staging_trial_passed(struct script *script)
{
    struct staging *staging = script->staging;
    if (staging == NULL || !staging->kept_for_trial || staging->kept == LUA_NOREF)
        return;
    unref(script->vm.L, &staging->kept);
    collect(script);
    staging_tidy(script);
}

/* ---- The end -------------------------------------------------------------------------- */

/* Its state, if there was one, is no more. */
static void forget_state(struct script *script)
{
    struct staging *staging = script->staging;
    deferred_drop(&staging->deferred);
    declared_retire(staging->other.declared, &staging->retired);
    declared_free_retired(&staging->retired);
    struct source *source = staging->other.source;
    staging->other = no_edition;
    staging->other.source = source;
    staging->table = staging->kept = staging->next_kept = LUA_NOREF;
}

void staging_halt(struct script *script)
{
    if (script->staging == NULL)
        return;
    forget_state(script);
    staging_tidy(script);
}

void staging_free(struct script *script)
{
    if (script->staging == NULL)
        return;
    forget_state(script);
    source_unref(script->staging->other.source);
    memory_put(script->staging, sizeof *script->staging);
    script->staging = NULL;
}

