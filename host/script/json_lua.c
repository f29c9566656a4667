/*
 * json_lua.c -- the library `json` of scripts; see pack_lua.h.
 *
 *     json.encode({ count = 1 })            --> '{"count": 1}'
 *     json.encode(value, { indent = 2 })    one member a line
 *     json.decode('{"count": 1}').count     --> 1, an integer
 *     json.decode("nonsense")               --> nil, "... at byte 0"
 *     json.array{}                          written as [] and not {}
 *     json.get(msg, "order", "price")       nil if any of it is missing or null
 *
 * Text and values meet in the packed form, so messages on the wire and this
 * library cannot disagree.
 */
#include "message/json.h"
#include "script/pack_lua.h"
#include "script/scratch.h"

#include <errno.h>
#include <lauxlib.h>

#define INDENT_LIMIT 16 /* spaces, or bytes of a text, for one level */

/* Scripts decode files of their own, so only memory bounds the values. */
static const struct json_limits decode_limits = { .depth = 64, .values = UINT32_MAX };

/* What json.encode's second argument says. */
struct encode_options {
    int         style;
    const char *indent; /* NULL: all on one line */
    size_t      indent_size;
};

static bool option_boolean(lua_State *L, const char *name)
{
    if (!lua_isboolean(L, -1))
        luaL_error(L, "json.encode: %s is true or false, not a %s", name, luaL_typename(L, -1));
    return lua_toboolean(L, -1);
}

static void option_indent(lua_State *L, struct encode_options *options)
{
    static const char spaces[INDENT_LIMIT + 1] = "                ";
    if (lua_isinteger(L, -1)) {
        lua_Integer count = lua_tointeger(L, -1);
        if (count < 0 || count > INDENT_LIMIT)
            luaL_error(L, "json.encode: indent is at most %d", INDENT_LIMIT);
        options->indent = spaces;
        options->indent_size = (size_t)count;
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        options->indent = lua_tolstring(L, -1, &options->indent_size);
        if (options->indent_size > INDENT_LIMIT ||
            strspn(options->indent, " \t") != options->indent_size)
            luaL_error(L, "json.encode: indent is at most %d spaces or tabs", INDENT_LIMIT);
    } else {
        luaL_error(L, "json.encode: indent is a number or a string, not a %s",
                   luaL_typename(L, -1));
    }
}

/* Reads the options at `index`; raises on one that is unknown or ill-typed. */
static struct encode_options read_options(lua_State *L, int index)
{
    struct encode_options options = { .style = JSON_SPACED };
    if (lua_isnoneornil(L, index))
        return options;
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (strcmp(name, "indent") == 0)
            option_indent(L, &options);
        else if (strcmp(name, "spaced") == 0)
            options.style = (options.style & ~JSON_SPACED) |
                            (option_boolean(L, name) ? JSON_SPACED : 0);
        else if (strcmp(name, "ascii") == 0)
            options.style = (options.style & ~JSON_ASCII) |
                            (option_boolean(L, name) ? JSON_ASCII : 0);
        else
            luaL_error(L, "json.encode: no option '%s'; there are indent, spaced and ascii", name);
    }
    if (options.indent != NULL)
        options.style &= ~JSON_SPACED; /* break_lines() sets its own spaces */
    return options;
}

static int ref_to_text(lua_State *L)
{
    if (luaL_getmetafield(L, 1, "__tostring") == LUA_TNIL)
        return luaL_error(L, "no text");
    luaL_tolstring(L, 1, NULL);
    return 1;
}

/* A json_actor_text: what tostring() makes of the ref. Protected, because
 * json_write() has memory in hand that an error would lose. */
static size_t actor_text(void *context, uint64_t actor, char *text, size_t room)
{
    lua_State *L = context;
    size_t     size = 0;
    lua_pushcfunction(L, ref_to_text);
    lua_pushlightuserdata(L, (void *)(uintptr_t)actor);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
        const char *found = lua_tolstring(L, -1, &size);
        if (found == NULL || size > room)
            size = 0;
        else
            memcpy(text, found, size);
    }
    lua_pop(L, 1);
    return size;
}

/* ---- Pretty printing --------------------------------------------------- */

static void add_line(luaL_Buffer *buffer, const struct encode_options *options, int depth)
{
    luaL_addchar(buffer, '\n');
    for (int i = 0; i < depth; i++)
        luaL_addlstring(buffer, options->indent, options->indent_size);
}

/* The end of the JSON string that starts at `at`, behind its closing quote. */
static const char *string_end(const char *at)
{
    for (at++; *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at + 1;
}

/* Pushes compact JSON `text` with each member on a line of its own. */
static void push_with_lines(lua_State *L, const char *text, size_t size,
                            const struct encode_options *options)
{
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    int depth = 0;
    for (const char *at = text, *end = text + size; at < end;) {
        const char *start = at;
        switch (*at) {
        case '"':
            at = string_end(at);
            luaL_addlstring(&buffer, start, (size_t)(at - start));
            continue;
        case '{':
        case '[':
            luaL_addchar(&buffer, *at++);
            if (*at == '}' || *at == ']')
                luaL_addchar(&buffer, *at++);
            else
                add_line(&buffer, options, ++depth);
            continue;
        case '}':
        case ']':
            add_line(&buffer, options, --depth);
            break;
        case ',':
            luaL_addchar(&buffer, *at++);
            add_line(&buffer, options, depth);
            continue;
        case ':':
            luaL_addlstring(&buffer, ": ", 2);
            at++;
            continue;
        default:
            break;
        }
        luaL_addchar(&buffer, *at++);
    }
    luaL_pushresult(&buffer);
}

/* ---- The library ------------------------------------------------------- */

/* json.encode(value [, {indent = 2 | "\t", spaced = false, ascii = true}]) -> text */
static int json_lua_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 2);
    struct encode_options options = read_options(L, 2);

    size_t            size;
    const uint8_t    *packed = pack_lua_value(L, 1, "value", &size);
    struct bytes     *text = scratch_take(SCRATCH_TEXT);
    struct json_error error;
    int err = json_write(packed, size, options.style, actor_text, L, text, &error);
    if (err == -ENOMEM)
        return luaL_error(L, "json.encode: not enough memory");
    if (err != 0) {
        /* There the value is a message, "msg". */
        const char *reason = strncmp(error.reason, "msg", 3) == 0 ? error.reason + 3 : error.reason;
        return luaL_error(L, "value%s", reason);
    }
    if (options.indent != NULL)
        push_with_lines(L, (const char *)text->data, text->size, &options);
    else
        lua_pushlstring(L, (const char *)text->data, text->size);
    return 1;
}

/* json.decode(text) -> value, or nil and why not */
static int json_lua_decode(lua_State *L)
{
    size_t            size;
    const char       *text = luaL_checklstring(L, 1, &size);
    struct bytes     *packed = scratch_take(SCRATCH_TEXT);
    struct json_error error;
    int err = json_read(text, size, &decode_limits, packed, &error);
    if (err == -ENOMEM)
        return luaL_error(L, "json.decode: not enough memory");
    if (err != 0) {
        lua_pushnil(L);
        lua_pushstring(L, error.reason);
        return 2;
    }
    pack_lua_push(L, packed->data, packed->size);
    return 1;
}

/* json.array([table]) -> the table, marked to be written as an array */
static int json_lua_array(lua_State *L)
{
    if (lua_isnone(L, 1))
        lua_newtable(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    pack_lua_push_array_metatable(L);
    if (lua_getmetatable(L, 1) && !lua_rawequal(L, -1, -2))
        return luaL_error(L, "json.array: the table has a metatable of its own");
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* json.get(table, key, ...) -> the value, or nil if a step is missing or null */
static int json_lua_get(lua_State *L)
{
    int top = lua_gettop(L);
    luaL_checkany(L, 1);
    lua_pushvalue(L, 1);
    for (int key = 2; key <= top; key++) {
        if (!lua_istable(L, -1)) {
            lua_pushnil(L);
            return 1;
        }
        lua_pushvalue(L, key);
        lua_rawget(L, -2);
        lua_remove(L, -2);
    }
    if (lua_islightuserdata(L, -1) && lua_touserdata(L, -1) == NULL)
        lua_pushnil(L);
    return 1;
}

int json_lua_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "encode", json_lua_encode },
        { "decode", json_lua_decode },
        { "array", json_lua_array },
        { "get", json_lua_get },
        { "null", NULL }, /* keeps room */
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
