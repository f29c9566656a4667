/*
 * inspect.c -- see inspect.h.
 *
 * Two states are at work: L, which is told, and may raise for want of memory; and
 * the script's, in which everything is looked at raw, so that nothing of it runs.
 * All that is open meanwhile is owned by a userdata of L.
 */
#include "script/inspect.h"

#include "script/declared.h"
#include "script/dispatch.h"
#include "script/interleave.h"
#include "script/load.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define INSPECTION    "troupe.inspection"
#define MEMORY_BYTES  ((size_t)256 << 20) /* as of an actor of which nothing is said */
#define TEXTS_LIMIT   ((size_t)1 << 20)
#define SETTING_DEPTH 4
#define WHY_ROOM      2048

struct inspection {
    struct system       system;
    struct script_world world;
    struct source      *source; /* NULL: not found */
    struct script      *script; /* NULL: not loaded */
    char        actors[PATH_MAX + 8], lua[PATH_MAX + 8];
    const char *package_path[2];
    struct bytes warnings, modules; /* each text with its NUL */
};

static char *no_arguments[] = { NULL };

/* ---- Opening and closing -------------------------------------------------- */

static int inspection_close(lua_State *L)
{
    struct inspection **slot = luaL_checkudata(L, 1, INSPECTION), *inspection = *slot;
    *slot = NULL;
    if (inspection == NULL)
        return 0;
    if (inspection->script != NULL)
        script_free(inspection->script);
    source_unref(inspection->source);
    sources_free(inspection->world.sources);
    system_close(&inspection->system);
    bytes_fini(&inspection->warnings);
    bytes_fini(&inspection->modules);
    free(inspection);
    return 0;
}

static void keep_warning(void *context, const char *text)
{
    bytes_append(context, text, strlen(text) + 1);
}

/* What a top level prints is not what was asked for. */
static void drop_print(void *context, const char *line, size_t size)
{
    (void)context, (void)line, (void)size;
}

static bool open_world(struct inspection *inspection, const char *share)
{
    if (system_open(&inspection->system, 0, 1, NULL) != 0)
        return false;
    snprintf(inspection->actors, sizeof inspection->actors, "%s/actors", share);
    snprintf(inspection->lua, sizeof inspection->lua, "%s/lua", share);
    inspection->package_path[0] = inspection->lua;
    inspection->world = (struct script_world){
        .system = &inspection->system,
        .sources = sources_new((const char *const[]){ inspection->actors, NULL }),
        .arguments = no_arguments,
        .package_path = inspection->package_path,
        .defaults = { .memory_bytes = MEMORY_BYTES,
                      .slice_ns = 5 * NS_PER_SEC,
                      .ask_timeout_ns = 5 * NS_PER_SEC },
        .print = drop_print,
        .warn = keep_warning,
        .warn_context = &inspection->warnings,
    };
    if (inspection->world.sources == NULL) {
        system_close(&inspection->system);
        return false;
    }
    bytes_init(&inspection->warnings, TEXTS_LIMIT);
    bytes_init(&inspection->modules, TEXTS_LIMIT);
    return true;
}

static struct inspection *inspection_new(const char *share)
{
    struct inspection *inspection = aligned_alloc(_Alignof(struct inspection), sizeof *inspection);
    if (inspection == NULL)
        return NULL;
    memset(inspection, 0, sizeof *inspection);
    if (open_world(inspection, share))
        return inspection;
    free(inspection);
    return NULL;
}

/* Pushes what owns it. */
static struct inspection *push_inspection(lua_State *L, const char *path, const char *share)
{
    struct inspection **slot = lua_newuserdatauv(L, sizeof(struct inspection *), 0);
    *slot = NULL;
    if (luaL_newmetatable(L, INSPECTION)) {
        lua_pushcfunction(L, inspection_close);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    *slot = inspection_new(share);
    if (*slot == NULL)
        luaL_error(L, "not enough memory to inspect %s", path);
    return *slot;
}

/* ---- Loading ---------------------------------------------------------------- */

static int find_source(struct inspection *inspection, const char *path,
                       const struct inspect_options *options, char *why, size_t room)
{
    if (options->text == NULL)
        return source_find(inspection->world.sources, path, options->beside, &inspection->source,
                           why, room);
    char name[PATH_MAX];
    snprintf(name, sizeof name, "=%s", path);
    return source_from_text(name, options->text, options->text_size, &inspection->source, why,
                            room);
}

/* 0, or -errno and why. */
static int load(struct inspection *inspection, const char *path,
                const struct inspect_options *options, char *why, size_t room)
{
    struct script_options given = { .memory_bytes = options->memory_bytes,
                                    .sandbox = options->sandbox };
    struct script_options own = { 0 };
    int error = find_source(inspection, path, options, why, room);
    if (error != 0)
        return error;
    inspection->script = load_new(&inspection->world, inspection->source, &given);
    if (inspection->script == NULL) {
        snprintf(why, room, "%s: not enough memory to load it", path);
        return -ENOMEM;
    }
    error = load_run(inspection->script, &own, false, why, room);
    return error != 0 ? error : interleave_open(inspection->script, &own, why, room);
}

/* ---- Telling ---------------------------------------------------------------- */

static void append_name(void *context, const char *name)
{
    lua_State *L = context;
    lua_pushstring(L, name);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static void push_texts(lua_State *L, const struct bytes *texts)
{
    lua_newtable(L);
    for (size_t at = 0; at < texts->size; at += strlen((const char *)texts->data + at) + 1)
        append_name(L, (const char *)texts->data + at);
}

static void keep_module(void *context, const char *path, const char *file, uint64_t hash)
{
    struct inspection *inspection = context;
    (void)hash;
    if (strcmp(file, source_file(inspection->source)) != 0)
        bytes_append(&inspection->modules, path, strlen(path) + 1);
}

/* Fields that have the numbers from `first`, as elements of the table on top. */
static void set_fields(lua_State *L, const struct shape *shape, unsigned first, unsigned count)
{
    luaL_checkstack(L, 8, "too many tables in a message");
    for (unsigned i = 0; i < count; i++) {
        struct shape_look look;
        char text[SHAPE_TYPE_ROOM];
        shape_look(shape, first + i, &look);
        shape_type_text(look.type, text);
        lua_createtable(L, 2, 0);
        lua_pushlstring(L, look.name, look.name_size);
        lua_rawseti(L, -2, 1);
        if (look.type.kind == SHAPE_FIELDS) {
            lua_createtable(L, (int)look.count + 1, 0);
            if (text[0] != '\0')
                append_name(L, text);
            set_fields(L, shape, look.first, look.count);
        } else {
            lua_pushstring(L, text);
        }
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
}

static void push_types(lua_State *L, const struct script *script)
{
    const struct declared *declared;
    unsigned position = 0;
    lua_newtable(L);
    while ((declared = declared_next(script->declared, &position)) != NULL) {
        unsigned count = shape_root_count(declared->shape);
        lua_createtable(L, (int)count, 0);
        set_fields(L, declared->shape, 0, count);
        lua_setfield(L, -2, type_name(declared->type));
    }
}

/* Pushes to L what is on top of `from`: plain values, and tables of them; nil for others. */
static void copy_plain(lua_State *L, lua_State *from, int depth)
{
    luaL_checkstack(L, 4, "too many values in a setting");
    size_t size;
    const char *text;
    switch (lua_type(from, -1)) {
    case LUA_TBOOLEAN:
        lua_pushboolean(L, lua_toboolean(from, -1));
        return;
    case LUA_TNUMBER:
        if (lua_isinteger(from, -1))
            lua_pushinteger(L, lua_tointeger(from, -1));
        else
            lua_pushnumber(L, lua_tonumber(from, -1));
        return;
    case LUA_TSTRING:
        text = lua_tolstring(from, -1, &size);
        lua_pushlstring(L, text, size);
        return;
    case LUA_TTABLE:
        break;
    default:
        lua_pushnil(L);
        return;
    }
    lua_newtable(L);
    if (depth == 0 || !lua_checkstack(from, 4))
        return;
    for (lua_pushnil(from); lua_next(from, -2); lua_pop(from, 1)) {
        if (lua_type(from, -2) != LUA_TSTRING && !lua_isinteger(from, -2))
            continue;
        lua_pushvalue(from, -2);
        copy_plain(L, from, 0);
        lua_pop(from, 1);
        copy_plain(L, from, depth - 1);
        lua_rawset(L, -3);
    }
}

/* The settings in the script's table; one that defines global functions has none. */
static void push_settings(lua_State *L, const struct script *script)
{
    lua_State *from = script->vm.L;
    lua_newtable(L);
    if (!lua_checkstack(from, 8))
        return;
    lua_rawgeti(from, LUA_REGISTRYINDEX, script->vm.environment);
    lua_rawgeti(from, LUA_REGISTRYINDEX, script->handlers);
    bool is_table = !lua_rawequal(from, -1, -2);
    for (lua_pushnil(from); is_table && lua_next(from, -2); lua_pop(from, 1)) {
        const char *name = lua_type(from, -2) == LUA_TSTRING ? lua_tostring(from, -2) : "";
        if (!load_is_setting(name) || lua_isfunction(from, -1))
            continue;
        copy_plain(L, from, SETTING_DEPTH);
        lua_setfield(L, -2, name);
    }
    lua_settop(from, 0);
}

static void push_findings(lua_State *L, struct inspection *inspection)
{
    const struct script *script = inspection->script;
    const char *path = source_path(inspection->source);
    size_t      size = strlen(inspection->actors);

    lua_createtable(L, 0, 8);
    lua_pushstring(L, path);
    lua_setfield(L, -2, "path");
    lua_pushboolean(L, strncmp(path, inspection->actors, size) == 0 && path[size] == '/');
    lua_setfield(L, -2, "shipped");
    lua_newtable(L);
    dispatch_each_handler(script->vm.L, script->handlers, append_name, L);
    lua_setfield(L, -2, "handlers");
    lua_pushboolean(L, script->takes_any);
    lua_setfield(L, -2, "any");
    push_types(L, script);
    lua_setfield(L, -2, "types");
    push_settings(L, script);
    lua_setfield(L, -2, "settings");
    sources_each_file(inspection->world.sources, keep_module, inspection);
    push_texts(L, &inspection->modules);
    lua_setfield(L, -2, "modules");
    push_texts(L, &inspection->warnings);
    lua_setfield(L, -2, "warnings");
}

int inspect_push(lua_State *L, const char *path, const struct inspect_options *options)
{
    char why[WHY_ROOM] = "";
    luaL_checkstack(L, 10, "too many values to inspect a script");
    struct inspection *inspection = push_inspection(L, path, options->share);
    int owner = lua_gettop(L), results = 1;
    if (load(inspection, path, options, why, sizeof why) == 0) {
        push_findings(L, inspection);
    } else {
        lua_pushnil(L);
        lua_pushstring(L, why);
        results = 2;
    }
    lua_pushcfunction(L, inspection_close);
    lua_pushvalue(L, owner);
    lua_call(L, 1, 0);
    return results;
}
