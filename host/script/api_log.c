/*
 * api_log.c -- the global `log`: lines with time, level, actor, script and fields.
 *
 * A line is put together on the C stack: nothing to free when a __tostring
 * of the script raises. Its fields are written twice: as people read them, and as
 * the JSON of structured logs.
 */
#include "script/script.h"

#include "actor/actor_log.h"
#include "base/quote.h"
#include "message/json.h"
#include "script/pack_lua.h"
#include "script/report.h"
#include "script/scratch.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FIELDS_SHOWN 128 /* of a line; the rest is "..." */
#define FIELD_ROOM   400 /* bytes shown of a table in a field */

/* What does not fit is cut: one byte more than a line holds shows it to base/log. */
struct line {
    size_t size;
    char   text[LOG_LINE_LIMIT + 2];
};

static void append(struct line *line, const char *text, size_t size)
{
    size_t room = sizeof line->text - 1 - line->size;
    if (size > room)
        size = room;
    memcpy(line->text + line->size, text, size);
    line->size += size;
    line->text[line->size] = '\0';
}

static void append_text(struct line *line, const char *text)
{
    append(line, text, strlen(text));
}

/* A string among fields: as it is, or in quotes if it would not read as one word. */
static void append_word(struct line *line, const char *text, size_t size)
{
    bool plain = size > 0;
    for (size_t i = 0; i < size; i++)
        if (strchr(" \t\n\r\"{}=", text[i]) != NULL) /* NUL too */
            plain = false;
    if (plain) {
        append(line, text, size);
        return;
    }
    append(line, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\0') {
            append(line, "\\0", 2);
            continue;
        }
        if (text[i] == '"')
            append(line, "\\", 1);
        append(line, &text[i], 1);
    }
    append(line, "\"", 1);
}

static bool has_own_text(lua_State *L, int index)
{
    if (luaL_getmetafield(L, index, "__tostring") == LUA_TNIL)
        return false;
    lua_pop(L, 1);
    return true;
}

/* The value on top of the stack. */
static void append_value(lua_State *L, struct line *line)
{
    size_t size;
    if (lua_istable(L, -1) && !has_own_text(L, -1)) {
        struct bytes *text = scratch_take(SCRATCH_TEXT);
        report_value(L, -1, FIELD_ROOM, text);
        append_text(line, bytes_text(text));
        return;
    }
    const char *text = luaL_tolstring(L, -1, &size);
    append_word(line, text, size);
    lua_pop(L, 1);
}

/* ---- Fields as JSON ------------------------------------------------------ */

/* What does not fit whole is left out, and counted. */
struct json_fields {
    size_t   size;
    unsigned left_out;
    char     text[LOG_LINE_LIMIT];
};
#define JSON_BEHIND 24 /* of the end of the object: ", \"...\": 12}" */

static bool add_json(struct json_fields *fields, const char *text, size_t size)
{
    if (size > sizeof fields->text - JSON_BEHIND - fields->size)
        return false;
    memcpy(fields->text + fields->size, text, size);
    fields->size += size;
    return true;
}

static bool add_json_string(struct json_fields *fields, const char *text, size_t size)
{
    size_t room = sizeof fields->text - JSON_BEHIND - fields->size;
    if (room < size + 2)
        return false;
    fields->size += quote_json(fields->text + fields->size, room, text, size);
    return true;
}

/* (table) -> its JSON; raises if it has none */
static int table_json(lua_State *L)
{
    size_t size;
    const uint8_t *packed = pack_lua_value(L, 1, "fields", &size);
    struct bytes *text = scratch_take(SCRATCH_TEXT);
    if (json_write(packed, size, JSON_SPACED, script_actor_text, script_of(L), text, NULL) != 0)
        return luaL_error(L, "no JSON form");
    lua_pushlstring(L, (const char *)text->data, text->size);
    return 1;
}

static bool add_json_table(lua_State *L, struct json_fields *fields)
{
    lua_pushcfunction(L, table_json);
    lua_pushvalue(L, -2);
    bool has_json = lua_pcall(L, 1, 1, 0) == LUA_OK;
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    bool fits = has_json && add_json(fields, text, size);
    lua_pop(L, 1);
    if (has_json)
        return fits;
    struct bytes *shown = scratch_take(SCRATCH_TEXT); /* as people see it */
    report_value(L, -1, FIELD_ROOM, shown);
    return add_json_string(fields, (const char *)shown->data, shown->size);
}

static bool add_json_number(lua_State *L, struct json_fields *fields)
{
    char text[40];
    lua_Number number = lua_tonumber(L, -1);
    if (lua_isinteger(L, -1))
        snprintf(text, sizeof text, LUA_INTEGER_FMT, lua_tointeger(L, -1));
    else if (!isfinite(number))
        snprintf(text, sizeof text, "\"%s\"", isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
    else if (snprintf(text, sizeof text, "%.14g", number) > 0 && strtod(text, NULL) != number)
        snprintf(text, sizeof text, "%.17g", number);
    return add_json(fields, text, strlen(text));
}

/* The value on top of the stack. */
static bool add_json_value(lua_State *L, struct json_fields *fields)
{
    switch (lua_type(L, -1)) {
    case LUA_TNUMBER:
        return add_json_number(L, fields);
    case LUA_TBOOLEAN:
        return lua_toboolean(L, -1) ? add_json(fields, "true", 4) : add_json(fields, "false", 5);
    case LUA_TTABLE:
        if (!has_own_text(L, -1))
            return add_json_table(L, fields);
        break;
    default:
        break;
    }
    size_t size;
    const char *text = luaL_tolstring(L, -1, &size);
    bool fits = add_json_string(fields, text, size);
    lua_pop(L, 1);
    return fits;
}

static void add_json_field(lua_State *L, struct json_fields *fields, const char *name)
{
    size_t before = fields->size;
    bool fits = (before == 1 || add_json(fields, ", ", 2)) &&
                add_json_string(fields, name, strlen(name)) && add_json(fields, ": ", 2) &&
                add_json_value(L, fields);
    if (fits)
        return;
    fields->size = before;
    fields->left_out++;
}

static void end_json(struct json_fields *fields)
{
    char *end = fields->text + fields->size;
    size_t room = sizeof fields->text - fields->size;
    if (fields->left_out > 0)
        snprintf(end, room, "%s\"...\": %u}", fields->size > 1 ? ", " : "", fields->left_out);
    else
        snprintf(end, room, "}");
}

/* ---- Lines ---------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* " {key=value ...}" of the table at `index`, sorted by key; and the same as JSON. */
static void append_fields(lua_State *L, int index, struct line *line, struct json_fields *fields)
{
    const char *names[FIELDS_SHOWN]; /* the strings stay on the stack meanwhile */
    size_t count = 0;
    unsigned more = 0;

    luaL_checkstack(L, FIELDS_SHOWN + 12, "too many values to log");
    int base = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (count == FIELDS_SHOWN || lua_type(L, -1) != LUA_TSTRING) {
            more++;
            continue;
        }
        names[count++] = lua_tostring(L, -1);
        lua_pushvalue(L, -1); /* one stays, one is lua_next()'s */
    }
    qsort(names, count, sizeof names[0], compare_names);

    append(line, " {", 2);
    fields->left_out = more;
    fields->text[0] = '{';
    fields->size = 1;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            append(line, " ", 1);
        append_text(line, names[i]);
        append(line, "=", 1);
        lua_pushstring(L, names[i]);
        lua_rawget(L, index);
        append_value(L, line);
        add_json_field(L, fields, names[i]);
        lua_pop(L, 1);
    }
    if (more > 0)
        append_text(line, count > 0 ? " ..." : "...");
    append(line, "}", 1);
    end_json(fields);
    lua_settop(L, base);
}

static unsigned own_level(const struct script *script)
{
    return script->actor != NULL ? actor_log_level(script->actor) : LOG_AS_ALL;
}

/* (text, fields or nil) */
static int write_line(lua_State *L, const char *what, enum log_level level)
{
    const struct script *script = script_of(L);
    struct line shown;
    struct json_fields fields;
    bool has_fields = lua_istable(L, 2);

    lua_settop(L, 2);
    if (lua_isnil(L, 1))
        return luaL_error(L, "%s: a text is expected, not a nil", what);
    if (!lua_isnil(L, 2) && !has_fields)
        return luaL_error(L, "%s: fields are a table, not a %s", what, luaL_typename(L, 2));
    if (!log_enabled_for(own_level(script), level))
        return 0;

    shown.size = 0;
    const char *text = luaL_tolstring(L, 1, NULL);
    if (has_fields)
        append_fields(L, 2, &shown, &fields);
    const struct log_line line = {
        .level = level,
        .about = { .actor = script->actor != NULL ? script->actor->name : source_stem(script->source),
                   .script = source_path(script->source),
                   .version = script->version[0] != '\0' ? script->version : NULL,
                   .own_level = own_level(script) },
        .head = LOG_HEAD_SCRIPT,
        .text = text,
        .fields = has_fields ? fields.text : NULL,
        .shown = has_fields ? shown.text : NULL,
    };
    log_put(&line);
    return 0;
}

static int log_lua_debug(lua_State *L) { return write_line(L, "log.debug", LOG_DEBUG); }
static int log_lua_info(lua_State *L) { return write_line(L, "log.info", LOG_INFO); }
static int log_lua_warn(lua_State *L) { return write_line(L, "log.warn", LOG_WARN); }
static int log_lua_error(lua_State *L) { return write_line(L, "log.error", LOG_ERROR); }

/* level([level]) -> the lowest level that is written of this actor, after it was set:
 * "debug", "info", "warn", "error"; "default" is the host's again. */
static int log_lua_level(lua_State *L)
{
    const struct script *script = script_of(L);
    if (!lua_isnoneornil(L, 1)) {
        const char *name = luaL_checkstring(L, 1);
        int level = log_find_level(name);
        if (level < 0 && strcmp(name, "default") != 0)
            return luaL_error(L, "log.level: '%s' is no level: write \"debug\", \"info\", \"warn\", "
                                 "\"error\" or \"default\"", name);
        if (script->actor == NULL)
            return luaL_error(L, "log.level: there is no actor yet: set it in on_start");
        actor_set_log_level(script->actor, level < 0 ? LOG_AS_ALL : (unsigned)level + 1);
    }
    unsigned own = own_level(script);
    lua_pushstring(L, log_level_name(own != LOG_AS_ALL ? (enum log_level)(own - 1) : log_level()));
    return 1;
}

int api_log_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "debug", log_lua_debug },
        { "info", log_lua_info },
        { "warn", log_lua_warn },
        { "error", log_lua_error },
        { "level", log_lua_level },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    return 1;
}
