/*
 * staging_prepare.c -- the new version is run beside the old one, and self copied.
 *
 * A preparation is a few C functions that run one after the other on a coroutine of its
 * own, so that whatever goes wrong in one is a failed resume. While the new version's code
 * runs the script is that version; afterwards it is the old one again, until the commit.
 */
#include "script/staging_room.h"

#include "base/memory.h"
#include "script/class.h"
#include "script/dispatch.h"
#include "script/libraries.h"
#include "script/load.h"
#include "script/load_budget.h"
#include "script/migrate.h"
#include "script/module.h"
#include "script/report.h"
#include "script/tables.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* ---- The steps of a preparation ------------------------------------------------- */

struct preparation {
    struct script  *script;
    struct staging *staging;
    const struct staging_options *options;
    struct staging_notes *notes;
    lua_State *coroutine;
    int        reference;   /* of the coroutine */
    bool       exchanged;   /* the new version is in force */
    const char *what;       /* what of the script's runs, for people */
};

static struct preparation *preparation_at(lua_State *L)
{
    struct preparation *preparation = lua_touserdata(L, 1);
    lua_settop(L, 0);
    luaL_checkstack(L, LUA_MINSTACK, "too many values to reload a script");
    return preparation;
}

/* The tables among the values of the one on top of the stack, popped, and it itself. */
static void mark_values(lua_State *L, int shared)
{
    int table = lua_gettop(L);
    for (lua_pushnil(L); lua_istable(L, table) && lua_next(L, table);) {
        if (lua_istable(L, -1)) {
            lua_pushvalue(L, -1);
            lua_rawset(L, shared);
        } else {
            lua_pop(L, 1);
        }
    }
    lua_settop(L, table);
    if (lua_istable(L, table)) {
        lua_pushvalue(L, table);
        lua_rawset(L, shared);
    } else {
        lua_pop(L, 1);
    }
}

/* Notes what is there before the new version's code runs. */
static int step_open(lua_State *L)
{
    struct staging *staging = preparation_at(L)->staging;
    libraries_push_environment(L);
    staging->other.environment = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_createtable(L, SLOT_COUNT, 0);
    lua_newtable(L);
    lua_rawseti(L, 1, SLOT_CLASSES);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    tables_push_copy(L, 2);
    lua_rawseti(L, 1, SLOT_GLOBALS);
    lua_newtable(L);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    mark_values(L, 3);
    lua_settop(L, 3);
    tables_push_copy(L, 3);
    lua_rawseti(L, 1, SLOT_SHARED);
    lua_rawseti(L, 1, SLOT_BEFORE);
    lua_settop(L, 1);
    staging->table = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_rawgeti(L, LUA_REGISTRYINDEX, staging->table);
    module_set_aside(L); /* now there is something to be put back, and a place that is known */
    lua_rawseti(L, 1, SLOT_LOADED);
    return 0;
}

static void mark_edition(lua_State *L, int handlers, int environment, int shared)
{
    int references[] = { handlers, environment };
    for (size_t i = 0; i < ARRAY_LENGTH(references); i++) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, references[i]);
        lua_pushvalue(L, -1);
        lua_rawset(L, shared);
    }
}

/* Completes the table of what self may refer to and what is none of it. */
static void mark_shared(lua_State *L, struct script *script)
{
    const struct edition *other = &script->staging->other;
    staging_push_slot(L, script->staging, SLOT_SHARED);
    int shared = lua_gettop(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    mark_values(L, shared);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    mark_values(L, shared);
    class_mark_shared(L, shared);
    mark_edition(L, other->handlers, other->environment, shared);
    mark_edition(L, script->handlers, script->vm.environment, shared);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->self_reference);
    lua_pushnil(L);
    lua_rawset(L, shared); /* whoever else may have it */
}

/* Pushes a copy of self; SLOT_MEMO then has what was copied. */
static void push_self_copy(lua_State *L, const struct script *script, bool to_self)
{
    staging_push_slot(L, script->staging, SLOT_SHARED);
    tables_push_copy(L, -1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->self_reference);
    migrate_push_copy(L, -1, -2, to_self);
    lua_insert(L, -4);
    lua_pop(L, 1);
    staging_set_slot(L, script->staging, SLOT_MEMO);
    lua_pop(L, 1);
}

/* Whether on_reload is to run: pushes it then, in the new version. */
static bool push_on_reload(lua_State *L, const struct preparation *preparation)
{
    const struct script *script = preparation->script;
    if (preparation->options->undo || !staging_has_self(script) ||
        !dispatch_push_handler(L, script->handlers, TYPE_RELOAD))
        return false;
    lua_remove(L, -2);
    return true;
}

/* As interleave_open() would. */
static void check_interleave(lua_State *L, struct script *script)
{
    const struct script_options *own = &script->staging->own;
    char why[300];
    for (unsigned i = 0; own->interleave == INTERLEAVE_SOME && i < own->interleaved_count; i++)
        if (!dispatch_handles(script, own->interleaved[i], "interleave", why, sizeof why))
            luaL_error(L, "%s: %s", source_path(script->source), why);
}

static int step_copy(lua_State *L)
{
    struct preparation *preparation = preparation_at(L);
    struct script      *script = preparation->script;
    check_interleave(L, script);
    if (!staging_has_self(script))
        return 0;
    mark_shared(L, script);
    if (push_on_reload(L, preparation)) {
        push_self_copy(L, script, false);
        staging_set_slot(L, script->staging, SLOT_SELF);
        preparation->notes->migrated = true;
    }
    return 0;
}

/* Pushes what the version before says of itself, or 0. */
static void push_old_version(lua_State *L, const struct edition *old)
{
    if (old->version[0] == '\0') {
        lua_pushinteger(L, 0);
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, old->handlers);
    lua_pushliteral(L, "version");
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

static int step_migrate(lua_State *L)
{
    struct preparation *preparation = preparation_at(L);
    struct staging     *staging = preparation->staging;
    if (!push_on_reload(L, preparation))
        return 0;
    staging_push_slot(L, staging, SLOT_SELF);
    push_old_version(L, &staging->other);
    lua_call(L, 2, 0);
    return 0;
}

/* What self is to be again, of a version before. */
static void take_kept(lua_State *L, struct preparation *preparation)
{
    struct script  *script = preparation->script;
    struct staging *staging = preparation->staging;
    if (!preparation->options->undo || staging->kept == LUA_NOREF || !staging_has_self(script))
        return;
    lua_newtable(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->self_reference);
    lua_rawgeti(L, LUA_REGISTRYINDEX, staging->kept);
    staging_push_slot(L, staging, SLOT_SHARED);
    migrate_mark_replaced(L, -3, -2, -1, -4);
    lua_pop(L, 1);
    staging_set_slot(L, staging, SLOT_SELF);
    lua_pop(L, 1);
    staging_set_slot(L, staging, SLOT_MEMO);
    preparation->notes->restored = true;
}

/* What self has now, for an undo. */
static void keep(lua_State *L, struct preparation *preparation)
{
    struct script  *script = preparation->script;
    struct staging *staging = preparation->staging;
    bool replaced = preparation->notes->migrated || preparation->notes->restored;
    if (!staging_has_self(script) || (!replaced && !preparation->options->keep))
        return;
    if (replaced) { /* its tables are nobody's then */
        lua_rawgeti(L, LUA_REGISTRYINDEX, script->self_reference);
        tables_push_copy(L, -1);
    } else {
        push_self_copy(L, script, true);
        lua_pushnil(L);
        staging_set_slot(L, staging, SLOT_MEMO); /* self stays */
    }
    staging->next_kept = luaL_ref(L, LUA_REGISTRYINDEX);
    staging->next_kept_for_trial = !replaced;
    lua_settop(L, 0);
}

/* Pushes a list of where the new version may have kept the self that on_reload was given:
 * its handlers, globals, modules and classes. */
static void push_new_code(lua_State *L, const struct staging *staging)
{
    lua_Integer count = 2;
    lua_newtable(L);
    int list = lua_gettop(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, staging->other.handlers);
    lua_rawseti(L, list, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, staging->other.environment);
    lua_rawseti(L, list, 2);
    staging_push_slot(L, staging, SLOT_CLASSES);
    for (lua_pushnil(L); lua_next(L, list + 1); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_rawseti(L, list, ++count);
    }
    staging_push_slot(L, staging, SLOT_BEFORE);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    for (lua_pushnil(L); lua_istable(L, list + 3) && lua_next(L, list + 3);) {
        lua_pushvalue(L, -1);
        if ((lua_istable(L, -1) || lua_isfunction(L, -1)) && lua_rawget(L, list + 2) == LUA_TNIL) {
            lua_pop(L, 1);
            lua_rawseti(L, list, ++count);
        } else {
            lua_pop(L, 2);
        }
    }
    lua_settop(L, list);
}

/* The old version is in force again. */
static int step_finish(lua_State *L)
{
    struct preparation *preparation = preparation_at(L);
    struct script      *script = preparation->script;
    struct staging     *staging = preparation->staging;
    if (preparation->notes->migrated) {
        staging_push_slot(L, staging, SLOT_SELF);
        lua_rawgeti(L, LUA_REGISTRYINDEX, script->self_reference);
        push_new_code(L, staging);
        staging_push_slot(L, staging, SLOT_SHARED);
        migrate_rename(L, 1, 2, 3, 4);
        lua_settop(L, 0);
    }
    take_kept(L, preparation);
    keep(L, preparation);
    staging_compare(L, script, staging, preparation->notes);
    lua_settop(L, 0);

    staging_make_room(L, staging);
    staging_push_slot(L, staging, SLOT_SELF);
    if (lua_istable(L, 1)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, script->self_reference);
        tables_make_room(L, 2, 1);
    }
    return 0;
}

/* ---- Preparing ------------------------------------------------------------------- */

static bool is_memory_error(lua_State *co)
{
    return lua_type(co, -1) == LUA_TSTRING && strcmp(lua_tostring(co, -1), "not enough memory") == 0;
}

/* Why it failed, on the dead coroutine. */
static int describe(const struct preparation *preparation, char *why, size_t room)
{
    const struct script *script = preparation->script;
    lua_State  *co = preparation->coroutine;
    const char *what = preparation->what, *path = source_path(script->source);
    char  place[REPORT_PLACE_ROOM];
    bool  suspended = lua_status(co) == LUA_YIELD;
    report_place(co, suspended ? script->vm.stopped_line : 0, place, sizeof place);
    if (*place == '\0')
        snprintf(place, sizeof place, "%.60s: ", path);

    switch ((enum vm_death)script->vm.dying) {
    case VM_STOPPED:
        if (script->actor != NULL && incarnation_is_condemned(script->actor))
            snprintf(why, room, "%sthe actor was killed while it was reloaded", place);
        else
            snprintf(why, room, "%s%s ran for more than 1 s", place, what);
        return -EINVAL;
    case VM_EXIT:
        snprintf(why, room, "%s%s calls os.exit", place, what);
        return -EINVAL;
    case VM_MEMORY:
        snprintf(why, room, "%snot enough memory for two versions side by side: memory limit of %g "
                            "MiB reached", place, (double)script->vm.arena.limit / (1024 * 1024));
        return -ENOMEM;
    default:
        break;
    }
    if (is_memory_error(co)) {
        snprintf(why, room, "%snot enough memory", place);
        return -ENOMEM;
    }
    struct bytes text;
    bytes_init(&text, room - 1);
    report_error(co, &text);
    snprintf(why, room, "%s", bytes_text(&text));
    bytes_fini(&text);
    return -EINVAL;
}

/* Runs one of them; `watched`, as it runs code of the script. */
static bool step(struct preparation *preparation, lua_CFunction function, void *argument,
                 bool watched)
{
    struct script *script = preparation->script;
    lua_State     *co = preparation->coroutine;
    lua_settop(co, 0);
    lua_pushcfunction(co, function);
    lua_pushlightuserdata(co, argument);
    enum vm_result result = watched ? load_budget_watch(script, co, 1)
                                    : vm_resume(&script->vm, co, 1);
    return result == VM_DONE;
}

static bool run_new_version(struct preparation *preparation)
{
    struct staging *staging = preparation->staging;
    staging->phase = STAGING_LOADING;
    preparation->what = "its top level";
    if (!step(preparation, load_top_level, &staging->own, true))
        return false;
    staging->phase = STAGING_CHECKING;
    if (!step(preparation, step_copy, preparation, false))
        return false;
    if (!preparation->notes->migrated)
        return true;
    staging->phase = STAGING_MIGRATING;
    preparation->what = "on_reload";
    return step(preparation, step_migrate, preparation, true);
}

static bool run_steps(struct preparation *preparation)
{
    struct script *script = preparation->script;
    if (!step(preparation, step_open, preparation, false))
        return false;
    staging_exchange(script);
    preparation->exchanged = true;
    if (!run_new_version(preparation))
        return false;
    staging_exchange(script);
    preparation->exchanged = false;
    preparation->staging->phase = STAGING_CHECKING;
    return step(preparation, step_finish, preparation, false);
}

static void prepare_state(struct preparation *preparation, int *error, char *why, size_t room)
{
    struct script *script = preparation->script;
    struct vm     *vm = &script->vm;
    uint64_t       instructions = vm->instructions; /* of a handler that waits */

    bool done = run_steps(preparation);
    bool full = vm->dying == VM_MEMORY;
    if (!done) {
        *error = describe(preparation, why, room);
        vm_recover(vm, preparation->coroutine);
        if (preparation->exchanged)
            staging_exchange(script);
    }
    luaL_unref(vm->L, LUA_REGISTRYINDEX, preparation->reference);
    vm->instructions = instructions;
    vm->arena.refused = false;
    if (done)
        return;
    staging_fail(script);
    if (full) {
        lua_gc(vm->L, LUA_GCCOLLECT);
        arena_join(&vm->arena);
    }
}

int staging_prepare(struct script *script, struct update *update, struct source *source,
                    const struct staging_options *options, struct staging_notes *notes, char *why,
                    size_t room)
{
    struct preparation preparation = {
        .script = script, .options = options, .notes = notes, .what = "it"
    };
    int error = 0;
    if (!staging_open(script))
        goto no_memory;
    preparation.staging = script->staging;
    if (script->vm.L != NULL) {
        preparation.coroutine = vm_coroutine(&script->vm, &preparation.reference);
        if (preparation.coroutine == NULL) {
            staging_tidy(script);
            goto no_memory;
        }
    }
    script->staging->update = update;
    script->staging->other.source = source_ref(source);
    script->staging->own = (struct script_options){ 0 };
    script->staging->changes_interleave = false;
    script->staging->phase = STAGING_CHECKING;
    if (script->vm.L != NULL)
        prepare_state(&preparation, &error, why, room);
    if (error == 0) {
        script->staging->update = NULL;
        script->staging->phase = STAGING_READY;
    }
    return error;

no_memory:
    snprintf(why, room, "%s: not enough memory to reload it", source_path(source));
    return -ENOMEM;
}

