/*
 * api_log.c -- the global `log`: lines with time, level, actor and script.
 *
 * A line is put together on the C stack: nothing to free when a __tostring
 * of the script raises.
 */
#include "script/script.h"

#include "base/log.h"
#include "script/report.h"
#include "script/scratch.h"

#include <lauxlib.h>
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

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* " {key=value ...}" of the table at `index`, sorted by key. */
static void append_fields(lua_State *L, int index, struct line *line)
{
    const char *names[FIELDS_SHOWN]; /* the strings stay on the stack meanwhile */
    size_t count = 0;
    bool   more = false;

    luaL_checkstack(L, FIELDS_SHOWN + 8, "too many values to log");
    int base = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        more = more || count == FIELDS_SHOWN || lua_type(L, -1) != LUA_TSTRING;
        if (count == FIELDS_SHOWN || lua_type(L, -1) != LUA_TSTRING)
            continue;
        names[count++] = lua_tostring(L, -1);
        lua_pushvalue(L, -1); /* one stays, one is lua_next()'s */
    }
    qsort(names, count, sizeof names[0], compare_names);

    append(line, " {", 2);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            append(line, " ", 1);
        append_text(line, names[i]);
        append(line, "=", 1);
        lua_pushstring(L, names[i]);
        lua_rawget(L, index);
        append_value(L, line);
        lua_pop(L, 1);
    }
    if (more)
        append_text(line, count > 0 ? " ..." : "...");
    append(line, "}", 1);
    lua_settop(L, base);
}

/* (text, fields or nil) */
static int write_line(lua_State *L, const char *what, enum log_level level)
{
    const struct script *script = script_of(L);
    const char *path = source_path(script->source);
    struct line line;
    size_t size;

    lua_settop(L, 2);
    if (lua_isnil(L, 1))
        return luaL_error(L, "%s: a text is expected, not a nil", what);
    if (!lua_isnil(L, 2) && !lua_istable(L, 2))
        return luaL_error(L, "%s: fields are a table, not a %s", what, luaL_typename(L, 2));
    if (!log_enabled(level))
        return 0;

    line.size = 0;
    append_text(&line, script->actor != NULL ? script->actor->name : source_stem(script->source));
    append_text(&line, " (");
    append_text(&line, path);
    append_text(&line, "): ");
    const char *text = luaL_tolstring(L, 1, &size);
    append(&line, text, size);
    if (lua_istable(L, 2))
        append_fields(L, 2, &line);
    log_write(level, "%s", line.text);
    return 0;
}

static int log_lua_debug(lua_State *L) { return write_line(L, "log.debug", LOG_DEBUG); }
static int log_lua_info(lua_State *L) { return write_line(L, "log.info", LOG_INFO); }
static int log_lua_warn(lua_State *L) { return write_line(L, "log.warn", LOG_WARN); }
static int log_lua_error(lua_State *L) { return write_line(L, "log.error", LOG_ERROR); }

int api_log_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "debug", log_lua_debug },
        { "info", log_lua_info },
        { "warn", log_lua_warn },
        { "error", log_lua_error },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    return 1;
}
