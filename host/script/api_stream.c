/*
 * api_stream.c -- actor.stream, and the sources that it opens.
 */
#include "script/api.h"

#include "base/suggest.h"
#include "script/sandbox.h"
#include "script/stream_handle.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define AS_LIMIT       200
#define ARGUMENT_LIMIT 10000
#define SIZE_LIMIT     (UINT64_C(1) << 30)

static const char source_key; /* the metatable of sources, in the registry */

/* ---- Sources -------------------------------------------------------------- */

static int source_tostring(lua_State *L)
{
    lua_getfield(L, 1, "target");
    lua_pushfstring(L, "source %s", lua_tostring(L, -1));
    return 1;
}

/* A source is a table: what is on top of the stack becomes one. */
static int make_source(lua_State *L, enum stream_kind kind)
{
    lua_pushinteger(L, kind);
    lua_setfield(L, -2, "kind");
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &source_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 2);
        lua_pushliteral(L, "source");
        lua_setfield(L, -2, "__name");
        lua_pushcfunction(L, source_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &source_key);
    }
    lua_setmetatable(L, -2);
    return 1;
}

static bool is_source(lua_State *L, int index)
{
    if (!lua_istable(L, index) || !lua_getmetatable(L, index))
        return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &source_key);
    bool equal = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    return equal;
}

/* The string at `index`, which has no NUL in it. */
static const char *check_text(lua_State *L, int index, const char *what, const char *expected)
{
    size_t size;
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "%s: %s is expected, not a %s", what, expected, luaL_typename(L, index));
    const char *text = lua_tolstring(L, index, &size);
    if (strlen(text) != size)
        luaL_error(L, "%s: %s with a zero byte", what, expected);
    return text;
}

/* actor.lines(path or "-") -> source */
int api_lines(lua_State *L)
{
    sandbox_refuse(L, "actor.lines");
    const char *path = check_text(L, 1, "actor.lines", "the path of a file, or \"-\",");
    if (*path == '\0')
        return luaL_error(L, "actor.lines: an empty path");
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "target");
    return make_source(L, STREAM_LINES);
}

static int endpoint_source(lua_State *L, const char *what, enum stream_kind kind)
{
    char endpoint[ADDRESS_ENDPOINT_LIMIT], why[256];
    sandbox_refuse(L, what);
    const char *text = check_text(L, 1, what, "an endpoint, as \"tcp://127.0.0.1:5001\",");
    if (address_endpoint_normalise(text, strlen(text), false, kind == STREAM_LISTEN, endpoint, why,
                                   sizeof why) != 0)
        return luaL_error(L, "%s: %s", what, why);
    lua_createtable(L, 0, 3);
    lua_pushstring(L, endpoint);
    lua_setfield(L, -2, "target");
    return make_source(L, kind);
}

/* actor.listen(endpoint) -> source */
int api_listen(lua_State *L)
{
    return endpoint_source(L, "actor.listen", STREAM_LISTEN);
}

/* actor.connect(endpoint) -> source */
int api_connect(lua_State *L)
{
    return endpoint_source(L, "actor.connect", STREAM_CONNECT);
}

/* actor.subscribe(endpoint, [prefix]) -> source */
int api_subscribe(lua_State *L)
{
    sandbox_refuse(L, "actor.subscribe");
    if (!lua_isnoneornil(L, 2) && lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "actor.subscribe: a prefix is a string, not a %s",
                          luaL_typename(L, 2));
    endpoint_source(L, "actor.subscribe", STREAM_SUBSCRIBE);
    if (lua_isnoneornil(L, 2))
        lua_pushliteral(L, "");
    else
        lua_pushvalue(L, 2);
    lua_setfield(L, -2, "prefix");
    return 1;
}

static const char *const process_options[] = { "cwd", "stderr", NULL };
static const char *const stderr_words[] = { "inherit", "lines", "none", NULL };

static bool is_one_of(const char *text, const char *const *words)
{
    while (*words != NULL && strcmp(*words, text) != 0)
        words++;
    return *words != NULL;
}

static void refuse_name(lua_State *L, const char *what, const char *name,
                        const char *const *names)
{
    struct suggest suggest;
    suggest_init(&suggest, name);
    for (; *names != NULL; names++)
        suggest_offer(&suggest, *names);
    if (suggest.best != NULL)
        luaL_error(L, "%s: no option is called '%s' (did you mean '%s'?)", what, name,
                   suggest.best);
    luaL_error(L, "%s: no option is called '%s'", what, name);
}

/* The named members of actor.process's table. */
static void check_process_options(lua_State *L)
{
    static const char what[] = "actor.process";
    lua_pushnil(L);
    for (; lua_next(L, 1); lua_pop(L, 1)) {
        if (lua_isinteger(L, -2))
            continue;
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "%s: a %s is no name of an option", what, luaL_typename(L, -2));
        const char *name = lua_tostring(L, -2);
        if (!is_one_of(name, process_options))
            refuse_name(L, what, name, process_options);
        if (strcmp(name, "cwd") == 0)
            check_text(L, lua_gettop(L), what, "cwd: a folder");
        else if (!is_one_of(check_text(L, lua_gettop(L), what, "stderr: \"inherit\""),
                            stderr_words))
            luaL_error(L, "%s: stderr is \"inherit\", \"lines\" or \"none\", not '%s'", what,
                       lua_tostring(L, -1));
    }
}

/* actor.process{program, arguments..., cwd=, stderr=} -> source */
int api_process(lua_State *L)
{
    static const char what[] = "actor.process";
    luaL_Buffer command;
    sandbox_refuse(L, what);
    lua_settop(L, 1);
    if (!lua_istable(L, 1))
        return luaL_error(L, "%s: a table is expected, as {\"sort\", \"-u\"}, not a %s%s", what,
                          luaL_typename(L, 1), lua_type(L, 1) == LUA_TSTRING
                              ? " (for a shell's line: {\"sh\", \"-c\", line})" : "");
    lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
    if (count == 0 || count > ARGUMENT_LIMIT)
        return luaL_error(L, count == 0 ? "%s: the name of a program is missing"
                                        : "%s: too many arguments", what);
    check_process_options(L);

    lua_createtable(L, 0, 5); /* 2: the source */
    lua_createtable(L, (int)count, 0);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 1, i);
        if (lua_type(L, -1) == LUA_TNUMBER)
            lua_tostring(L, -1);
        check_text(L, lua_gettop(L), what, i == 1 ? "the name of a program" : "a text as argument");
        lua_rawseti(L, 3, i);
    }
    lua_setfield(L, 2, "arguments");
    for (const char *const *name = process_options; *name != NULL; name++) {
        lua_getfield(L, 1, *name);
        lua_setfield(L, 2, *name);
    }
    luaL_buffinit(L, &command);
    for (lua_Integer i = 1; i <= count && luaL_bufflen(&command) < 200; i++) {
        if (i > 1)
            luaL_addchar(&command, ' ');
        lua_rawgeti(L, 1, i);
        luaL_addvalue(&command);
    }
    luaL_pushresult(&command);
    lua_setfield(L, 2, "target");
    return make_source(L, STREAM_PROCESS);
}

/* ---- actor.stream --------------------------------------------------------- */

static const char *const stream_options[] = {
    "as", "window", "limit", "buffer", "chunks", "half_open", "connections", NULL,
};

static uint64_t check_whole(lua_State *L, const char *name, uint64_t most)
{
    int whole;
    lua_Integer value = lua_tointegerx(L, -1, &whole);
    if (!whole || lua_type(L, -1) != LUA_TNUMBER || value < 1 || (uint64_t)value > most)
        luaL_error(L, "actor.stream: %s is a number from 1 to %d, not %s", name, (int)most,
                   luaL_tolstring(L, -1, NULL));
    return (uint64_t)value;
}

static size_t check_size(lua_State *L, const char *name)
{
    uint64_t bytes;
    if (!script_read_bytes(L, lua_gettop(L), SIZE_LIMIT, &bytes))
        luaL_error(L, "actor.stream: %s is a size such as \"64KiB\" (at most 1GiB), not %s", name,
                   luaL_tolstring(L, -1, NULL));
    return (size_t)bytes;
}

static bool check_boolean(lua_State *L, const char *name)
{
    if (!lua_isboolean(L, -1))
        luaL_error(L, "actor.stream: %s is true or false, not a %s", name, luaL_typename(L, -1));
    return lua_toboolean(L, -1) != 0;
}

static void check_option(lua_State *L, const char *name, struct stream_request *request)
{
    if (strcmp(name, "as") == 0)
        check_text(L, lua_gettop(L), "actor.stream", "as: a message's type");
    else if (strcmp(name, "window") == 0)
        request->window = (uint32_t)check_whole(L, name, STREAM_WINDOW_MAX);
    else if (strcmp(name, "connections") == 0)
        request->connections = (uint32_t)check_whole(L, name, STREAM_WINDOW_MAX);
    else if (strcmp(name, "limit") == 0)
        request->limit = check_size(L, name);
    else if (strcmp(name, "buffer") == 0)
        request->buffer = check_size(L, name);
    else if (strcmp(name, "chunks") == 0)
        request->chunks = check_boolean(L, name);
    else if (strcmp(name, "half_open") == 0)
        request->half_open = check_boolean(L, name);
    else
        refuse_name(L, "actor.stream", name, stream_options);
}

static type_id check_type(lua_State *L, const char *as, const char *end)
{
    char name[TYPE_NAME_LIMIT + 1];
    snprintf(name, sizeof name, "%s%s", as, end);
    type_id type = strlen(as) > AS_LIMIT ? TYPE_NONE : type_intern(name, strlen(name));
    if (type == TYPE_NONE)
        luaL_error(L, "actor.stream: '%s' cannot be a message's type", as);
    if (type_is_reserved(name, strlen(name)))
        luaL_error(L, "actor.stream: only the host itself sends %s", name);
    return type;
}

static void check_options(lua_State *L, int index, struct stream_request *request)
{
    const char *as = "Line";
    if (!lua_isnoneornil(L, index)) {
        if (!lua_istable(L, index))
            luaL_error(L, "actor.stream: options are a table, not a %s", luaL_typename(L, index));
        lua_pushnil(L);
        for (; lua_next(L, index); lua_pop(L, 1)) {
            if (lua_type(L, -2) != LUA_TSTRING)
                luaL_error(L, "actor.stream: options have names, and this has a %s for a key",
                           luaL_typename(L, -2));
            check_option(L, lua_tostring(L, -2), request);
        }
        lua_getfield(L, index, "as");
        as = luaL_optstring(L, -1, as);
        lua_pop(L, 1); /* the table keeps it */
    }
    request->item = check_type(L, as, "");
    request->opened = check_type(L, as, "Open");
    request->ended = check_type(L, as, "End");
}

/* A text of the source at index 1, which keeps it; or NULL. */
static const char *field(lua_State *L, const char *name, size_t *size)
{
    lua_getfield(L, 1, name);
    const char *text = lua_tolstring(L, -1, size);
    lua_pop(L, 1);
    return text;
}

static void read_process(lua_State *L, struct stream_request *request)
{
    lua_getfield(L, 1, "arguments");
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    const char **arguments = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *arguments, 0);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -2, i);
        arguments[i - 1] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    arguments[count] = NULL;
    request->arguments = arguments;
    request->folder = field(L, "cwd", NULL);
    const char *word = field(L, "stderr", NULL);
    while (word != NULL && strcmp(stderr_words[request->errors], word) != 0)
        request->errors++;
}

static int push_refusal(lua_State *L, int error, const char *why)
{
    char text[400];
    snprintf(text, sizeof text, "actor.stream: %s", why);
    return script_push_failure(L, error == -ESHUTDOWN                   ? FAILURE_STOPPING
                                  : error == -EMFILE || error == -ENFILE ? FAILURE_FULL
                                                                         : FAILURE_FAILED, text);
}

/* actor.stream(source, {as=, window=, ...}) -> stream, or nil and why. */
int api_stream(lua_State *L)
{
    struct script *script = script_of(L);
    const struct stream_port *port = &script->world->system->streams;
    struct stream_request request = {
        .owner = script->actor != NULL ? actor_self(script->actor) : 0,
        .window = STREAM_WINDOW_DEFAULT,
        .limit = STREAM_LIMIT_DEFAULT,
        .buffer = STREAM_BUFFER_DEFAULT,
        .connections = STREAM_CONNECTIONS_DEFAULT,
    };
    char why[300] = "this host has no streams";
    stream_id id;
    lua_settop(L, 2);
    api_refuse_loading(L, "actor.stream");
    if (!is_source(L, 1))
        return luaL_error(L, "actor.stream: a source is expected (actor.lines, actor.process, "
                             "actor.listen, actor.connect, actor.subscribe), not a %s",
                          luaL_typename(L, 1));
    check_options(L, 2, &request);
    lua_getfield(L, 1, "kind");
    request.kind = (enum stream_kind)lua_tointeger(L, -1);
    request.target = field(L, "target", NULL);
    request.prefix = field(L, "prefix", &request.prefix_size);
    if (request.kind == STREAM_PROCESS)
        read_process(L, &request);
    stream_push(L, 0); /* whatever may raise for want of memory has done so once */
    atomic_store_explicit(&script->actor->has_streams, true, memory_order_seq_cst);
    int error = port->open == NULL ? -ENOTSUP
                                   : port->open(port->context, &request, &id, why, sizeof why);
    if (error != 0)
        return push_refusal(L, error, why);
    stream_push(L, id);
    return 1;
}

struct message *api_stream_admit(const struct script *script, struct message *message)
{
    const struct stream_port *port = &script->world->system->streams;
    if (port->admits == NULL || port->admits(message))
        return message;
    message_free(message);
    return NULL;
}

void api_streams_end(struct script *script)
{
    const struct stream_port *port = &script->world->system->streams;
    if (port->abandon != NULL &&
        atomic_load_explicit(&script->actor->has_streams, memory_order_seq_cst))
        port->abandon(port->context, actor_self(script->actor));
}
