/*
 * program.c -- see program.h.
 */
#include "script/program.h"

#include "script/api.h"
#include "script/fence.h"
#include "message/json.h"
#include "script/inspect.h"
#include "script/pack_lua.h"
#include "script/program_children.h"
#include "script/program_control.h"
#include "script/program_prompt.h"
#include "script/program_tools.h"

#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#define WHY_ROOM 4096
#define EXIT_BROKEN 1

static const struct program *program_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* ---- troupe.port ------------------------------------------------------- */

/* The string field of the table at index 1, or NULL; the table keeps it. */
static const char *text_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    const char *text = luaL_optstring(L, -1, NULL);
    lua_pop(L, 1);
    return text;
}

static uint64_t number_field(lua_State *L, const char *name, uint64_t limit)
{
    lua_getfield(L, 1, name);
    lua_Integer number = luaL_optinteger(L, -1, 0);
    if (number < 0 || (uint64_t)number > limit)
        luaL_error(L, "%s is out of range", name);
    lua_pop(L, 1);
    return (uint64_t)number;
}

/* The field `name`, a list of strings, as a NULL-terminated array that the
 * stack keeps. */
static const char *const *texts_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    int list = lua_gettop(L);
    luaL_checktype(L, list, LUA_TTABLE);
    lua_Unsigned count = lua_rawlen(L, list);
    const char **texts = lua_newuserdatauv(L, (size_t)(count + 1) * sizeof *texts, 0);
    for (lua_Unsigned i = 0; i < count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        texts[i] = luaL_checkstring(L, -1);
        lua_pop(L, 1);
    }
    texts[count] = NULL;
    return texts;
}

/* The JSON text of the config at the top of the stack: as it is, or of a table; NULL if
 * there is none. Puts what keeps it in its place. */
static const char *config_text(lua_State *L, const char *script)
{
    if (lua_istable(L, -1)) {
        struct bytes      json;
        struct json_error error = { .reason = "out of memory" };
        size_t size;
        const uint8_t *packed = pack_lua_value(L, -1, "config", &size);
        bytes_init(&json, 0);
        int err = json_write(packed, size, JSON_COMPACT, NULL, NULL, &json, &error);
        if (err == 0)
            lua_pushlstring(L, (const char *)json.data, json.size);
        bytes_fini(&json);
        if (err != 0)
            luaL_error(L, "config of %s: %s", script, error.reason);
        lua_replace(L, -2);
    }
    return luaL_optstring(L, -1, NULL);
}

/* The field `scripts`: a list of { path = ... } or { text = ... } with names, and config,
 * a table or JSON. */
static const struct program_script *scripts_field(lua_State *L, size_t *count)
{
    lua_getfield(L, 1, "scripts");
    int list = lua_gettop(L);
    luaL_checktype(L, list, LUA_TTABLE);
    *count = (size_t)lua_rawlen(L, list);
    struct program_script *scripts = lua_newuserdatauv(L, (*count + 1) * sizeof *scripts, 1);
    lua_createtable(L, (int)*count, 0); /* keeps the texts of configs */
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, -3, 1);
    for (size_t i = 0; i < *count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        luaL_checktype(L, -1, LUA_TTABLE);
        lua_getfield(L, -1, "path");
        lua_getfield(L, -2, "text");
        lua_getfield(L, -3, "name");
        scripts[i] = (struct program_script){
            .path = lua_tostring(L, -3),
            .text = lua_tostring(L, -2),
            .name = luaL_checkstring(L, -1),
        };
        lua_getfield(L, -4, "config");
        scripts[i].config = config_text(L, scripts[i].name);
        lua_rawseti(L, list + 2, (lua_Integer)i + 1);
        lua_pop(L, 4);
    }
    lua_pop(L, 1);
    return scripts;
}

struct program_security program_security_fields(lua_State *L)
{
    lua_getfield(L, 1, "open");
    bool open = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return (struct program_security){
        .open = open,
        .allow = text_field(L, "allow"),
        .reply_to = text_field(L, "reply_to"),
        .curve_key = text_field(L, "curve_key"),
        .curve_peers = text_field(L, "curve_peers"),
    };
}

/* The field `limits`, a table that may have any of them, if it is there. */
static struct program_limits limits_field(lua_State *L)
{
    int top = lua_gettop(L);
    if (lua_getfield(L, 1, "limits") == LUA_TNIL) {
        lua_pop(L, 1);
        return (struct program_limits){ 0 };
    }
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_insert(L, 1); /* where number_field() looks */
    struct program_limits limits = {
        .actors = (uint32_t)number_field(L, "actors", UINT32_MAX),
        .children = (uint32_t)number_field(L, "children", UINT32_MAX),
        .timers = (uint32_t)number_field(L, "timers", UINT32_MAX),
        .dead_letters = (uint32_t)number_field(L, "dead_letters", UINT32_MAX),
        .peers = (uint32_t)number_field(L, "peers", UINT32_MAX),
        .memory_total = (size_t)number_field(L, "memory_total", SIZE_MAX / 2),
        .frame_bytes = (size_t)number_field(L, "frame", INT32_MAX),
        .depth = (unsigned)number_field(L, "depth", UINT_MAX),
        .shutdown_ms = number_field(L, "shutdown", UINT64_MAX / NS_PER_MS),
    };
    lua_remove(L, 1);
    lua_settop(L, top);
    return limits;
}

/* The field `nodes`, names with their endpoints, as program_run has them; the stack keeps
 * the array, and the table its texts. */
static const char *const *nodes_field(lua_State *L)
{
    if (lua_getfield(L, 1, "nodes") == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    int list = lua_gettop(L);
    luaL_checktype(L, list, LUA_TTABLE);
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, list); lua_pop(L, 1))
        count++;
    const char **nodes = lua_newuserdatauv(L, (2 * count + 1) * sizeof *nodes, 0);
    size_t at = 0;
    for (lua_pushnil(L); lua_next(L, list); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "nodes: names and their endpoints are expected");
        nodes[at++] = lua_tostring(L, -2);
        nodes[at++] = lua_tostring(L, -1);
    }
    nodes[at] = NULL;
    return nodes;
}

static bool flag_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    bool set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

/* The field `bind`: an endpoint, or a list of them. */
static void binds_field(lua_State *L, struct program_run *run)
{
    static const char *const none[] = { NULL };
    bool is_list = lua_getfield(L, 1, "bind") == LUA_TTABLE;
    lua_pop(L, 1);
    const char *const *binds = is_list ? texts_field(L, "bind") : none;
    run->bind = is_list ? binds[0] : text_field(L, "bind");
    run->also_bind = is_list && binds[0] != NULL ? binds + 1 : none;
}

/* run{scripts=, arguments=, bind=, ...} -> exit code, and why not ("" if it ran) */
static int port_run(lua_State *L)
{
    const struct program_port *port = program_of(L)->port;
    char why[WHY_ROOM] = "";
    luaL_checktype(L, 1, LUA_TTABLE);
    struct program_run run = {
        .advertise = text_field(L, "advertise"),
        .flat = text_field(L, "flat"),
        .flat_actor = text_field(L, "flat_actor"),
        .workers = (unsigned)number_field(L, "workers", UINT_MAX),
        .memory_bytes = (size_t)number_field(L, "memory_bytes", SIZE_MAX / 2),
        .slice_ms = number_field(L, "slice_ms", UINT64_MAX / NS_PER_MS),
        .sandbox = flag_field(L, "sandbox"),
        .log_format = text_field(L, "log_format"),
        .log_level = text_field(L, "log_level"),
        .control = text_field(L, "control"),
        .watch = flag_field(L, "watch"),
        .trial_ms = number_field(L, "trial_ms", UINT64_MAX / NS_PER_MS),
        .topology = text_field(L, "topology"),
        .node = text_field(L, "node"),
        .limits = limits_field(L),
        .security = program_security_fields(L),
    };
    run.scripts = scripts_field(L, &run.count);
    run.arguments = texts_field(L, "arguments");
    run.nodes = nodes_field(L);
    binds_field(L, &run);
    lua_pushinteger(L, port->run(port->context, &run, why, sizeof why));
    lua_pushstring(L, why);
    return 2;
}

static struct program_message message_argument(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    return (struct program_message){
        .to = text_field(L, "to"),
        .type = text_field(L, "type"),
        .json = text_field(L, "json"),
        .timeout_ms = number_field(L, "timeout_ms", UINT64_MAX / NS_PER_MS / 2),
        .security = program_security_fields(L),
    };
}

/* send{to=, type=, json=, timeout_ms=} -> exit code, why not */
static int port_send(lua_State *L)
{
    const struct program_port *port = program_of(L)->port;
    struct program_message message = message_argument(L);
    char why[WHY_ROOM] = "";
    lua_pushinteger(L, port->send(port->context, &message, why, sizeof why));
    lua_pushstring(L, why);
    return 2;
}

/* ask{...} -> 0, the answer's type, its JSON text; or exit code, why not */
static int port_ask(lua_State *L)
{
    const struct program_port *port = program_of(L)->port;
    struct program_message message = message_argument(L);
    char why[WHY_ROOM] = "", *type, *json;
    int  code = port->ask(port->context, &message, &type, &json, why, sizeof why);
    lua_pushinteger(L, code);
    if (code != 0) {
        lua_pushstring(L, why);
        return 2;
    }
    /* If memory is out for these, the process is about to end anyway. */
    lua_pushstring(L, type);
    lua_pushstring(L, json);
    free(type);
    free(json);
    return 3;
}

/* make_key(path) -> 0 and the public key; or exit code, why not */
static int port_make_key(lua_State *L)
{
    const struct program_port *port = program_of(L)->port;
    const char *path = luaL_checkstring(L, 1);
    char why[WHY_ROOM] = "", key[64] = "";
    int  code = port->make_key(port->context, path, key, sizeof key, why, sizeof why);
    lua_pushinteger(L, code);
    lua_pushstring(L, code == 0 ? key : why);
    return 2;
}

/* inspect(path, {text=, beside=, sandbox=, memory_bytes=}) -> what script/inspect.h says */
static int port_inspect(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    struct inspect_options options = { .share = program_of(L)->share };
    lua_getfield(L, 2, "text");
    options.text = luaL_optlstring(L, -1, NULL, &options.text_size);
    lua_getfield(L, 2, "beside");
    options.beside = luaL_optstring(L, -1, NULL);
    lua_getfield(L, 2, "sandbox");
    options.sandbox = lua_toboolean(L, -1);
    lua_getfield(L, 2, "memory_bytes");
    lua_Integer bytes = luaL_optinteger(L, -1, 0);
    luaL_argcheck(L, bytes >= 0, 2, "memory_bytes is out of range");
    options.memory_bytes = (size_t)bytes;
    return inspect_push(L, path, &options);
}

static int port_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "run", port_run }, { "send", port_send }, { "ask", port_ask },
        { "make_key", port_make_key }, { "inspect", port_inspect }, { NULL, NULL },
    };
    const struct program *program = program_of(L);
    luaL_newlibtable(L, functions);
    lua_pushlightuserdata(L, (void *)(uintptr_t)program);
    luaL_setfuncs(L, functions, 1);
    lua_pushstring(L, program->version);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, program->share);
    lua_setfield(L, -2, "share");
    program_control_add(L, program->control);
    return 1;
}

/* ---- The state --------------------------------------------------------- */

/* Takes the folders relative to the current one out of package[field], so that
 * a command means the same everywhere, and puts `first` in front. */
static void set_path(lua_State *L, const char *field, const char *first)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, field);
    const char *path = lua_tostring(L, -1);
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    luaL_addstring(&buffer, first);
    for (size_t size; *path != '\0'; path += size + (path[size] == ';')) {
        size = strcspn(path, ";");
        if (*path != '/')
            continue;
        luaL_addchar(&buffer, ';');
        luaL_addlstring(&buffer, path, size);
    }
    luaL_pushresult(&buffer);
    if (*lua_tostring(L, -1) == ';') { /* there was nothing in front */
        lua_pushstring(L, lua_tostring(L, -1) + 1);
        lua_replace(L, -2);
    }
    lua_setfield(L, -3, field);
    lua_pop(L, 2);
}

static void preload(lua_State *L, const char *name, lua_CFunction open, const void *upvalue)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushlightuserdata(L, (void *)(uintptr_t)upvalue);
    lua_pushcclosure(L, open, 1);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static void set_arguments(lua_State *L, const struct program *program)
{
    lua_createtable(L, program->count, 1);
    for (int i = 0; i < program->count; i++) {
        lua_pushstring(L, program->arguments[i]);
        lua_rawseti(L, -2, i);
    }
    lua_setglobal(L, "arg");
}

/* Errors here are mistakes of ours: with a traceback. */
static int explain(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

static int run_protected(lua_State *L)
{
    const struct program *program = lua_touserdata(L, 1);
    char path[2 * PATH_MAX];

    /* The paths are ours to set: nothing is taken from the environment. */
    lua_pushboolean(L, true);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
    luaL_openlibs(L);
    snprintf(path, sizeof path, "%s/lua/?.lua;%s/lua/?/init.lua", program->share, program->share);
    set_path(L, "path", path);
    set_path(L, "cpath", "");
    preload(L, "troupe.core", program->open_core, program);
    preload(L, "troupe.port", port_open, program);
    preload(L, "troupe.tools", tools_open, program->tools);
    preload(L, "troupe.json", json_lua_open, program);
    preload(L, "troupe.options", api_options_open, program);
    preload(L, "troupe.fence", fence_open, program);
    preload(L, "troupe.prompt", program_prompt_open, program);
    preload(L, "troupe.processes", program_children_open, program->children);
    set_arguments(L, program);

    lua_getglobal(L, "require");
    lua_pushliteral(L, "troupe.cli");
    lua_call(L, 1, 1);
    lua_getglobal(L, "arg");
    lua_call(L, 1, 1);
    return 1;
}

int program_run(const struct program *program)
{
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        fprintf(stderr, "troupe: out of memory\n");
        return EXIT_BROKEN;
    }
    lua_pushcfunction(L, explain);
    lua_pushcfunction(L, run_protected);
    lua_pushlightuserdata(L, (void *)(uintptr_t)program);
    int code = EXIT_BROKEN;
    if (lua_pcall(L, 1, 1, 1) != LUA_OK)
        fprintf(stderr, "troupe: %s\n", lua_tostring(L, -1));
    else
        code = (int)lua_tointeger(L, -1);
    lua_close(L);
    return code;
}
