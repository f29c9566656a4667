/*
 * evaluate_complete.c -- what a name that is being typed may become.
 *
 * `self.orders[1].pri`: the path before the last name is walked and the members of
 * what it leads to are listed, all by raw reads. Tables are followed to those that
 * they inherit from by an `__index` that is a table; no function is called.
 */
#include "script/evaluate.h"

#include "script/api.h"
#include "script/identifier.h"
#include "script/libraries.h"

#include <lauxlib.h>
#include <string.h>

#define STEPS_MOST     16   /* names in a path */
#define INHERITED_MOST 10   /* tables behind one another */
#define NAMES_MOST     200  /* that are offered */
#define SCANNED_MOST   5000 /* members looked at, of one table */

/* One name of a path: `.name`, `:name`, `[7]`. */
struct step {
    const char *name; /* NULL: an index */
    size_t      size;
    lua_Integer index;
};

struct path {
    struct step steps[STEPS_MOST]; /* from the first to the last, which is still typed */
    unsigned    count;
    bool        methods;           /* the last comes after a colon */
};

static bool is_letter(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* The name that ends at text[*end]; moves *end before it. */
static struct step name_before(const char *text, size_t *end)
{
    size_t from = *end;
    while (from > 0 && is_letter(text[from - 1]))
        from--;
    struct step step = { .name = text + from, .size = *end - from };
    *end = from;
    return step;
}

/* `[7]`, which ends at text[*end]. False: it is none. */
static bool index_before(const char *text, size_t *end, struct step *step)
{
    size_t at = *end;
    lua_Integer index = 0, unit = 1;
    if (at < 3 || text[at - 1] != ']')
        return false;
    for (at--; at > 0 && text[at - 1] >= '0' && text[at - 1] <= '9' && *end - at < 12; at--) {
        index += (text[at - 1] - '0') * unit;
        unit *= 10;
    }
    if (unit == 1 || at == 0 || text[at - 1] != '[')
        return false;
    *step = (struct step){ .index = index };
    *end = at - 1;
    return true;
}

/* Takes the end of the text apart, from behind. False: it is no path. */
static bool read_path(const char *text, size_t size, struct path *path)
{
    struct step backwards[STEPS_MOST];
    unsigned count = 0;
    size_t end = size;
    *path = (struct path){ .count = 0 };
    backwards[count++] = name_before(text, &end);
    while (end > 0 && (text[end - 1] == '.' || text[end - 1] == ':')) {
        if (text[end - 1] == ':' && count > 1)
            return false;
        path->methods = path->methods || text[end - 1] == ':';
        end--;
        struct step step;
        while (index_before(text, &end, &step)) {
            if (count == STEPS_MOST)
                return false;
            backwards[count++] = step;
        }
        step = name_before(text, &end);
        if (step.size == 0 || count == STEPS_MOST)
            return false;
        backwards[count++] = step;
    }
    for (unsigned i = 0; i < count; i++)
        path->steps[i] = backwards[count - 1 - i];
    path->count = count;
    return true;
}

/* ---- Walking ---------------------------------------------------------------------- */

/* Replaces the value on top of the stack by the table that it inherits from; false,
 * and it is popped, if there is none. */
static bool to_inherited(lua_State *L)
{
    if (!lua_getmetatable(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    lua_pushliteral(L, "__index");
    lua_rawget(L, -2);
    lua_replace(L, -3);
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TTABLE)
        return true;
    lua_pop(L, 1);
    return false;
}

/* Whether the value on top has members that can be read raw; makes it the table of them. */
static bool to_members(lua_State *L)
{
    if (lua_type(L, -1) == LUA_TTABLE)
        return true;
    if (lua_type(L, -1) == LUA_TSTRING) {
        lua_pop(L, 1);
        return libraries_push(L, "string");
    }
    return to_inherited(L);
}

/* Replaces the value on top by its member; false, and it is popped: it has none. */
static bool to_member(lua_State *L, const struct step *step)
{
    if (!to_members(L))
        return false;
    for (int i = 0; i < INHERITED_MOST; i++) {
        if (step->name != NULL)
            lua_pushlstring(L, step->name, step->size);
        else
            lua_pushinteger(L, step->index);
        if (lua_rawget(L, -2) != LUA_TNIL) {
            lua_replace(L, -2);
            return true;
        }
        lua_pop(L, 1);
        if (!to_inherited(L))
            return false;
    }
    lua_pop(L, 1);
    return false;
}

/* Pushes the global of that name, as the session sees it. */
static bool push_global(lua_State *L, const struct step *step)
{
    char name[64];
    lua_pushvalue(L, 1);
    if (to_member(L, step))
        return true;
    if (step->size >= sizeof name)
        return false;
    memcpy(name, step->name, step->size);
    name[step->size] = '\0';
    return libraries_push(L, name);
}

/* ---- Listing ---------------------------------------------------------------------- */

struct found {
    struct { const char *text; size_t size; } names[NAMES_MOST]; /* in order */
    unsigned count;
};

static int compare(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* The text lives at least as long as the listing. Names that begin with `_` are not
 * shown before that is typed. */
static void offer(struct found *found, const struct step *typed, const char *text, size_t size)
{
    if (size < typed->size || memcmp(text, typed->name, typed->size) != 0 ||
        !is_identifier(text, size) || (text[0] == '_' && typed->size == 0 && size > 1))
        return;
    unsigned at = found->count;
    for (; at > 0; at--) {
        int order = compare(text, size, found->names[at - 1].text, found->names[at - 1].size);
        if (order == 0)
            return;
        if (order > 0)
            break;
    }
    if (at == NAMES_MOST)
        return;
    unsigned kept = found->count < NAMES_MOST ? found->count++ : NAMES_MOST - 1;
    memmove(&found->names[at + 1], &found->names[at], (kept - at) * sizeof found->names[0]);
    found->names[at].text = text;
    found->names[at].size = size;
}

static void offer_members(lua_State *L, struct found *found, const struct step *typed, bool methods)
{
    int seen = 0;
    for (lua_pushnil(L); seen < SCANNED_MOST && lua_next(L, -2); lua_pop(L, 1), seen++) {
        size_t size;
        if (lua_type(L, -2) != LUA_TSTRING || (methods && !lua_isfunction(L, -1)))
            continue;
        const char *text = lua_tolstring(L, -2, &size);
        offer(found, typed, text, size);
    }
    if (seen == SCANNED_MOST)
        lua_pop(L, 1); /* the key */
}

/* Of the value on top and of what it inherits from; pops it. (The tables stay where
 * they are, and keep the texts.) */
static void offer_all(lua_State *L, struct found *found, const struct step *typed, bool methods)
{
    const char *name;
    for (size_t i = 0; (name = api_actor_field(L, -1, i)) != NULL; i++)
        offer(found, typed, name, strlen(name));
    if (!to_members(L))
        return;
    for (int i = 0; i < INHERITED_MOST; i++) {
        offer_members(L, found, typed, methods);
        if (!to_inherited(L))
            return;
    }
    lua_pop(L, 1);
}

static void offer_globals(lua_State *L, struct script *script, struct found *found,
                          const struct step *typed)
{
    static const char *const words[] = {
        "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
        "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
        /* These are made when they are first read: */
        "actor", "json", "log", "coroutine", "debug", "io", "math", "os", "package", "string",
        "table", "utf8", "assert", "collectgarbage", "dofile", "error", "getmetatable", "ipairs",
        "load", "loadfile", "next", "pairs", "pcall", "print", "rawequal", "rawget", "rawlen",
        "rawset", "require", "select", "setmetatable", "tonumber", "tostring", "type", "warn",
        "xpcall",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (!library_is_withheld(&script->vm, words[i]))
            offer(found, typed, words[i], strlen(words[i]));
    lua_pushvalue(L, 1);
    offer_all(L, found, typed, false);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    offer_all(L, found, typed, false);
}

void evaluate_complete(lua_State *L, struct script *script, uint64_t session, const char *text,
                       size_t size, struct bytes *out)
{
    struct path path;
    struct found found = { .count = 0 };
    if (!read_path(text, size, &path))
        return;
    api_install_refs(L);
    lua_settop(L, 0);
    luaL_checkstack(L, 20, NULL);
    evaluate_push_names(L, script, session);
    const struct step *typed = &path.steps[path.count - 1];
    if (path.count == 1) {
        offer_globals(L, script, &found, typed);
    } else {
        if (!push_global(L, &path.steps[0]))
            return;
        for (unsigned i = 1; i + 1 < path.count; i++)
            if (!to_member(L, &path.steps[i]))
                return;
        offer_all(L, &found, typed, path.methods);
    }
    for (unsigned i = 0; i < found.count; i++) {
        if (i > 0)
            bytes_append_byte(out, '\n');
        bytes_append(out, found.names[i].text, found.names[i].size);
    }
}
