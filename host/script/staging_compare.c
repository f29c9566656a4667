/*
 * staging_compare.c -- what a new version of a script leaves behind that people should
 * know of: handlers that are gone, settings that come too late, code in self that
 * stays the old one, and handlers that wait with what will be replaced.
 */
#include "script/staging_room.h"

#include "script/dispatch.h"
#include "script/interleave.h"
#include "script/load.h"
#include "script/migrate.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define SETTING_DEPTH 4 /* tables in a setting's table */

/* Appends the line, unless it is there already. */
static void add(struct bytes *lines, const char *line)
{
    size_t size = strlen(line);
    for (const char *at = bytes_text(lines); *at != '\0';) {
        const char *end = strchr(at, '\n');
        if (end == NULL)
            break;
        if ((size_t)(end - at) == size && memcmp(at, line, size) == 0)
            return;
        at = end + 1;
    }
    bytes_printf(lines, "%s\n", line);
}

/* ---- Handlers -------------------------------------------------------------- */

struct comparison {
    lua_State            *L;
    struct script        *script;
    const struct staging *staging;
    struct staging_notes *notes;
};

static bool handles(lua_State *L, int handlers, type_id type)
{
    int  top = lua_gettop(L);
    bool found = dispatch_push_handler(L, handlers, type);
    lua_settop(L, top);
    return found;
}

/* The old version has a handler for that type; the new one need not. */
static void note_gone(const struct comparison *comparison, type_id type, const char *what)
{
    char name[TYPE_NAME_LIMIT + 4], line[2 * TYPE_NAME_LIMIT + 200];
    int  handlers = comparison->staging->other.handlers;
    if (handles(comparison->L, handlers, type) ||
        !handles(comparison->L, comparison->script->handlers, type))
        return;
    bool any = type_alike(type) >= TYPE_BUILT_IN_COUNT && handles(comparison->L, handlers, TYPE_ANY);
    snprintf(line, sizeof line, "%s is gone, %s%s",
             dispatch_name(comparison->script, type, name, sizeof name), what,
             any ? " (on_any takes them now)" : "");
    add(&comparison->notes->warnings, line);
}

static void note_timer(void *context, type_id type)
{
    note_gone(context, type, "and timers are under way for it");
}

static void compare_handlers(const struct comparison *comparison)
{
    struct script *script = comparison->script;
    for (unsigned i = 0; i <= script->cache_mask; i++) {
        const struct handler_cache *known = &script->cache[i];
        if (known->type != TYPE_NONE && known->type != TYPE_START && known->reference != LUA_NOREF &&
            !known->is_any)
            note_gone(comparison, known->type, "and there were messages for it");
    }
    if (script->actor != NULL)
        api_each_timer(script, note_timer, (void *)comparison);
}

/* ---- Settings --------------------------------------------------------------- */

static bool is_same(lua_State *L, int one, int other, int depth);

/* Whether each entry of `one` is in `other`. */
static bool is_within(lua_State *L, int one, int other, int depth)
{
    for (lua_pushnil(L); lua_next(L, one); lua_pop(L, 2)) {
        lua_pushvalue(L, -2);
        lua_rawget(L, other);
        if (is_same(L, lua_gettop(L) - 1, lua_gettop(L), depth + 1))
            continue;
        lua_pop(L, 3);
        return false;
    }
    return true;
}

static bool is_same(lua_State *L, int one, int other, int depth)
{
    if (lua_rawequal(L, one, other))
        return true;
    return lua_istable(L, one) && lua_istable(L, other) && depth < SETTING_DEPTH &&
           lua_checkstack(L, 5) && is_within(L, one, other, depth) &&
           is_within(L, other, one, depth);
}

/* A function is no setting: it may be a handler of a script that defines globals. */
static bool is_set(lua_State *L, int index)
{
    return !lua_isnil(L, index) && !lua_isfunction(L, index);
}

/* Which types may begin while others wait is the script's to change, unless its spawner has
 * said so; whether any may is settled at the spawn. */
static bool changes_interleave(const struct script *script, const struct staging *staging)
{
    enum interleaving wanted = staging->own.interleave;
    return script->interleave != NULL && !script->interleave_given &&
           (wanted == INTERLEAVE_ALL || wanted == INTERLEAVE_SOME);
}

/* A script that defines global functions has no settings. */
static bool has_settings(lua_State *L, int handlers, int environment)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, handlers);
    lua_rawgeti(L, LUA_REGISTRYINDEX, environment);
    bool has = !lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return has;
}

/* Pushes the setting, or nil. */
static void push_setting(lua_State *L, int handlers, int environment, const char *name)
{
    if (!has_settings(L, handlers, environment)) {
        lua_pushnil(L);
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, handlers);
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    if (!is_set(L, -1)) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
}

static void compare_settings(const struct comparison *comparison)
{
    lua_State     *L = comparison->L;
    struct script *script = comparison->script;
    const struct edition *other = &comparison->staging->other;
    const char    *name;
    char           line[200];
    for (size_t i = 0; (name = script_option_name(i)) != NULL; i++) {
        bool applies = comparison->staging->changes_interleave && strcmp(name, "interleave") == 0;
        if (applies || !load_is_setting(name))
            continue;
        push_setting(L, script->handlers, script->vm.environment, name);
        push_setting(L, other->handlers, other->environment, name);
        if (!is_same(L, lua_gettop(L) - 1, lua_gettop(L), 0)) {
            snprintf(line, sizeof line, "%s has changed: it counts for actors spawned from now on",
                     name);
            add(&comparison->notes->warnings, line);
        }
        lua_pop(L, 2);
    }
}

/* ---- Old code that stays ------------------------------------------------------ */

/* Functions that are in self now and will be in it after the commit. */
static void find_functions(const struct comparison *comparison)
{
    lua_State *L = comparison->L;
    const struct staging *staging = comparison->staging;
    struct bytes paths;
    int top = lua_gettop(L);
    staging_push_slot(L, staging, SLOT_SHARED);
    staging_push_slot(L, staging, SLOT_MEMO);
    staging_push_slot(L, staging, SLOT_SELF);
    bool replaced = lua_istable(L, -1);
    if (!replaced)
        lua_rawgeti(L, LUA_REGISTRYINDEX, comparison->script->self_reference);
    bytes_init(&paths, 2000);
    migrate_name_functions(L, -1, top + 1, comparison->notes->migrated ? top + 2 : 0, &paths);
    lua_settop(L, top);

    char line[300];
    for (char *at = (char *)bytes_text(&paths), *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        snprintf(line, sizeof line, "%.*s is a function or coroutine, and stays old code",
                 (int)(end - at), at);
        add(&comparison->notes->warnings, line);
    }
    bytes_fini(&paths);
}

static void check_handler(const struct comparison *comparison, const struct activation *activation)
{
    lua_State *L = comparison->L;
    char name[TYPE_NAME_LIMIT + 4];
    if (!activation->waiting)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, comparison->script->self_reference);
    staging_push_slot(L, comparison->staging, SLOT_MEMO);
    if (migrate_holds_old(L, activation->coroutine, -2, -1))
        add(&comparison->notes->stale,
            dispatch_name(comparison->script, activation->type, name, sizeof name));
    lua_pop(L, 2);
}

static void find_stale(const struct comparison *comparison)
{
    struct script *script = comparison->script;
    const struct activation *aside;
    check_handler(comparison, &script->hand);
    for (unsigned i = 0; script->interleave != NULL && (aside = interleave_at(script, i)) != NULL; i++)
        check_handler(comparison, aside);
}

void staging_compare(lua_State *L, struct script *script, struct staging *staging,
                     struct staging_notes *notes)
{
    struct comparison comparison = {
        .L = L, .script = script, .staging = staging, .notes = notes
    };
    luaL_checkstack(L, 20, "too many values to compare two versions");
    staging->changes_interleave = changes_interleave(script, staging);
    compare_handlers(&comparison);
    compare_settings(&comparison);
    if (!staging_has_self(script))
        return;
    find_functions(&comparison);
    if (notes->migrated || notes->restored)
        find_stale(&comparison);
}
