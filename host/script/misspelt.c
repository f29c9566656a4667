/*
 * misspelt.c -- see misspelt.h.
 */
#include "script/misspelt.h"

#include "base/log.h"
#include "base/suggest.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What the host itself calls or sends. */
static const char *const hooks[] = {
    "on_start", "on_shutdown", "on_reload", "on_any", "on_down", "on_dead_letter", "on_timeout", "on_reject", NULL,
};

#define SHORT_NAME 5 /* letters: so many words are near to a shorter one */

/* A name's letters, whatever their order and case. */
struct letters {
    size_t   count;
    unsigned sum;
    char     last;
};

static struct letters letters_of(const char *name)
{
    struct letters letters = { 0 };
    for (; *name != '\0'; name++) {
        if (*name == '_')
            continue;
        letters.count++;
        letters.sum += (unsigned char)*name | 0x20; /* in small letters */
        letters.last = *name;
    }
    return letters;
}

/* Whether a slip of the finger makes `known` of `name`. A short name is near to
 * many others (stat and star to start), so there a letter must be added or have
 * changed places with the next; and threads are not a thread. */
static bool is_slip(const char *name, const char *known, size_t prefix)
{
    struct suggest suggest;
    suggest_init(&suggest, name);
    suggest_offer(&suggest, known);
    if (suggest.best == NULL || suggest.distance > 1)
        return false;
    struct letters found = letters_of(name + prefix), wanted = letters_of(known + prefix);
    if (suggest.distance == 0)
        return true;
    if (found.count > wanted.count && (wanted.count <= 3 ? prefix > 0 : found.last == 's'))
        return false;
    return wanted.count > SHORT_NAME || found.count > wanted.count || found.sum == wanted.sum;
}

/* The same handler: on_Time_out is on_timeout. */
static bool is_same_handler(const char *name, const char *known)
{
    struct suggest suggest;
    suggest_init(&suggest, name);
    suggest_offer(&suggest, known);
    return suggest.best != NULL && suggest.distance == 0;
}

/* The one of `known` that was meant by the name, and that the table does not
 * have itself; or NULL. */
static const char *find_meant(lua_State *L, int table, const char *name,
                              const char *const *known, size_t prefix)
{
    bool handler = known == hooks && strncmp(name, "on_", 3) == 0;
    for (const char *const *each = known; *each != NULL; each++)
        if (handler ? is_same_handler(name, *each) : strcmp(*each, name) == 0)
            return NULL;
    for (; *known != NULL; known++) {
        if (!is_slip(name, *known, prefix))
            continue;
        lua_pushstring(L, *known);
        bool there = lua_rawget(L, table) != LUA_TNIL;
        lua_pop(L, 1);
        if (!there)
            return *known;
    }
    return NULL;
}

static void PRINTF_LIKE(2, 3) warn(const struct script *script, const char *format, ...)
{
    char    text[LOG_LINE_LIMIT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (script->world->warn != NULL)
        script->world->warn(script->world->warn_context, text);
    else
        log_warn("%s", text);
}

void misspelt_warn(lua_State *L, int index, const struct script *script,
                   const char *const *settings)
{
    int table = lua_absindex(L, index);
    luaL_checkstack(L, 4, "too many values to check the names");
    lua_pushnil(L);
    for (; lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            continue;
        const char *name = lua_tostring(L, -2), *meant;
        if (lua_isfunction(L, -1)) {
            bool plain = strncmp(name, "on_", 3) == 0;
            meant = plain || strncmp(name, "on", 2) == 0
                        ? find_meant(L, table, name, hooks, plain ? 3 : 2)
                        : NULL;
            if (meant != NULL)
                warn(script, "%s: %s is %s: did you mean %s?", source_path(script->source), name,
                     plain ? "a handler of another type" : "no handler", meant);
        } else {
            meant = find_meant(L, table, name, settings, 0);
            if (meant != NULL)
                warn(script, "%s: %s is no setting: did you mean %s?",
                     source_path(script->source), name, meant);
        }
    }
}
