/*
 * migrate.c -- see migrate.h. Whoever walks keeps a list of the tables to come, for a
 * chain of a million tables is as deep as it is long.
 */
#include "script/migrate.h"

#include "script/vm.h"

#include <lauxlib.h>

#define PATHS_LIMIT  5    /* functions that are named */
#define TABLES_NAMED 2000 /* tables that are looked through for them, */
#define VALUES_NAMED 50000 /* and values */
#define PATH_LIMIT   120  /* bytes of a path */
#define NESTED_LIMIT 8    /* coroutines in coroutines */
#define ELEMENTS_LIMIT 0x100000 /* for which a copy has room from the start */

/* Tables still to be looked at, and those that were met. */
struct walk {
    lua_State  *L;
    int         met;  /* a table: what is a key of it is not visited again */
    int         list;
    lua_Integer count;
    bool        functions; /* are visited, too */
};

static void walk_begin(struct walk *walk, lua_State *L, int met)
{
    luaL_checkstack(L, 20, "too many values to walk through a table");
    *walk = (struct walk){ .L = L, .met = met };
    lua_newtable(L);
    walk->list = lua_gettop(L);
}

static bool is_key(lua_State *L, int index, int table)
{
    lua_pushvalue(L, index);
    bool found = lua_rawget(L, table) != LUA_TNIL;
    lua_pop(L, 1);
    return found;
}

static bool is_old_code(lua_State *L, int index)
{
    return (lua_isfunction(L, index) && !lua_iscfunction(L, index)) || lua_isthread(L, index);
}

/* Pops a value: a table that was not met before is one to come, and anything that
 * may be the old code is noted. */
static bool visit(struct walk *walk)
{
    lua_State *L = walk->L;
    bool table = lua_istable(L, -1);
    if ((!table && !is_old_code(L, -1)) || is_key(L, -1, walk->met)) {
        lua_pop(L, 1);
        return false;
    }
    lua_pushvalue(L, -1);
    lua_pushboolean(L, true);
    lua_rawset(L, walk->met);
    if (table || (walk->functions && lua_isfunction(L, -1)))
        lua_rawseti(L, walk->list, ++walk->count);
    else
        lua_pop(L, 1);
    return table;
}

/* ---- The copy ------------------------------------------------------------ */

/* Notes all tables that belong to the state; a metatable does not, even where the
 * state refers to it too: what is behind an object stays what it was told by. */
static void discover(struct walk *walk, int self)
{
    lua_State *L = walk->L;
    lua_pushvalue(L, self);
    visit(walk);
    for (lua_Integer i = 1; i <= walk->count; i++) {
        lua_rawgeti(L, walk->list, i);
        int table = lua_gettop(L);
        if (lua_getmetatable(L, table)) {
            lua_pushvalue(L, -1);
            if (lua_rawequal(L, -1, self))
                lua_pop(L, 2);
            else
                lua_rawset(L, walk->met); /* its own value: shared */
        }
        for (lua_pushnil(L); lua_next(L, table);) {
            visit(walk);
            lua_pushvalue(L, -1);
            visit(walk);
            vm_poll(L);
        }
        lua_settop(L, table - 1);
    }
}

/* Pushes what stands for the value at `index` in the copy. */
static void push_counterpart(lua_State *L, int index, int memo)
{
    lua_pushvalue(L, index);
    if (!lua_istable(L, -1))
        return;
    lua_rawget(L, memo);
}

static void fill(lua_State *L, int copy, int table, int memo)
{
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        int value = lua_gettop(L);
        push_counterpart(L, value - 1, memo);
        push_counterpart(L, value, memo);
        lua_rawset(L, copy);
        vm_poll(L);
    }
    if (lua_getmetatable(L, table))
        lua_setmetatable(L, copy);
}

void migrate_push_copy(lua_State *L, int self, int memo, bool to_self)
{
    struct walk walk;
    self = lua_absindex(L, self);
    memo = lua_absindex(L, memo);
    walk_begin(&walk, L, memo);
    discover(&walk, self);

    for (lua_Integer i = 1; i <= walk.count; i++) {
        lua_rawgeti(L, walk.list, i);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, memo) == LUA_TBOOLEAN) { /* not found to be a metatable since */
            lua_Unsigned elements = lua_rawlen(L, -2);
            lua_pop(L, 1);
            lua_createtable(L, elements < ELEMENTS_LIMIT ? (int)elements : ELEMENTS_LIMIT, 0);
            lua_rawset(L, memo);
            vm_poll(L);
        } else {
            lua_pop(L, 2);
        }
    }
    lua_pushvalue(L, self);
    lua_rawget(L, memo);
    int result = lua_gettop(L);
    if (to_self) {
        lua_pushvalue(L, self);
        lua_pushvalue(L, self);
        lua_rawset(L, memo);
    }
    fill(L, result, self, memo);
    for (lua_Integer i = 2; i <= walk.count; i++) { /* the first is self */
        lua_rawgeti(L, walk.list, i);
        lua_pushvalue(L, -1);
        lua_rawget(L, memo);
        int copy = lua_gettop(L);
        if (!lua_rawequal(L, copy, copy - 1))
            fill(L, copy, copy - 1, memo);
        lua_settop(L, result);
    }
    lua_remove(L, walk.list);
}

/* Pushes a table with the same keys, for a walk to add to; each is its own value. */
static void push_keys(lua_State *L, int table)
{
    luaL_checkstack(L, 5, "too many values to walk through a table");
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -1);
        lua_rawset(L, -5);
    }
}

void migrate_mark_replaced(lua_State *L, int self, int with, int shared, int memo)
{
    struct walk walk;
    int top = lua_gettop(L);
    self = lua_absindex(L, self);
    with = lua_absindex(L, with);
    memo = lua_absindex(L, memo);
    push_keys(L, lua_absindex(L, shared));
    walk_begin(&walk, L, top + 1);
    discover(&walk, with);
    for (lua_pushnil(L); lua_next(L, top + 1); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -1);
        lua_rawset(L, memo);
    }
    walk_begin(&walk, L, memo);
    discover(&walk, self);
    lua_settop(L, top);
}

/* ---- From the copy to self ------------------------------------------------ */

struct renaming {
    struct walk walk;
    int from, to;
};

/* What a function has captured. */
static void rename_captured(struct renaming *renaming, int function)
{
    lua_State *L = renaming->walk.L;
    for (int i = 1; lua_getupvalue(L, function, i) != NULL; i++) {
        if (lua_rawequal(L, -1, renaming->from)) {
            lua_pop(L, 1);
            lua_pushvalue(L, renaming->to);
            lua_setupvalue(L, function, i);
        } else {
            visit(&renaming->walk);
        }
    }
}

static void rename_table(struct renaming *renaming, int table)
{
    lua_State *L = renaming->walk.L;
    bool is_key_of = false;
    if (lua_getmetatable(L, table)) {
        if (lua_rawequal(L, -1, renaming->from)) {
            lua_pushvalue(L, renaming->to);
            lua_setmetatable(L, table);
            lua_pop(L, 1);
        } else {
            visit(&renaming->walk);
        }
    }
    for (lua_pushnil(L); lua_next(L, table);) {
        if (lua_rawequal(L, -1, renaming->from)) {
            lua_pushvalue(L, -2);
            lua_pushvalue(L, renaming->to);
            lua_rawset(L, table);
            lua_pop(L, 1);
        } else {
            visit(&renaming->walk);
        }
        if (lua_rawequal(L, -1, renaming->from)) {
            is_key_of = true;
        } else {
            lua_pushvalue(L, -1);
            visit(&renaming->walk);
        }
        vm_poll(L);
    }
    if (!is_key_of)
        return;
    lua_pushvalue(L, renaming->to);
    lua_pushvalue(L, renaming->from);
    lua_rawget(L, table);
    lua_rawset(L, table);
    lua_pushvalue(L, renaming->from);
    lua_pushnil(L);
    lua_rawset(L, table);
}

void migrate_rename(lua_State *L, int copy, int self, int places, int shared)
{
    struct renaming renaming = { .from = lua_absindex(L, copy), .to = lua_absindex(L, self) };
    int top = lua_gettop(L);
    places = lua_absindex(L, places);
    push_keys(L, lua_absindex(L, shared));
    lua_pushvalue(L, renaming.to);
    lua_pushboolean(L, true);
    lua_rawset(L, -3);
    walk_begin(&renaming.walk, L, top + 1);
    renaming.walk.functions = true;
    lua_pushvalue(L, renaming.from);
    visit(&renaming.walk);
    for (lua_pushnil(L); lua_next(L, places);)
        lua_rawseti(L, renaming.walk.list, ++renaming.walk.count);
    for (lua_Integer i = 1; i <= renaming.walk.count; i++) {
        lua_rawgeti(L, renaming.walk.list, i);
        int value = lua_gettop(L);
        if (lua_istable(L, value))
            rename_table(&renaming, value);
        else
            rename_captured(&renaming, value);
        lua_settop(L, value - 1);
    }
    lua_settop(L, top);
}

/* ---- Functions in the state ------------------------------------------------ */

/* Pushes the path of what `key` leads to, from the path at `path`. */
static void push_path(lua_State *L, int path, int key)
{
    const char *before = lua_tostring(L, path);
    if (lua_rawlen(L, path) > PATH_LIMIT) {
        lua_pushvalue(L, path);
    } else if (lua_type(L, key) == LUA_TSTRING && lua_rawlen(L, key) < PATH_LIMIT) {
        lua_pushfstring(L, "%s.%s", before, lua_tostring(L, key));
    } else if (lua_isinteger(L, key)) {
        lua_pushfstring(L, "%s[%I]", before, (LUAI_UACINT)lua_tointeger(L, key));
    } else {
        lua_pushfstring(L, "%s[a %s]", before, luaL_typename(L, key));
    }
}

void migrate_name_functions(lua_State *L, int index, int shared, int known, struct bytes *paths)
{
    struct walk walk;
    int top = lua_gettop(L), found = 0, left = VALUES_NAMED;
    index = lua_absindex(L, index);
    known = known != 0 ? lua_absindex(L, known) : 0;
    shared = lua_absindex(L, shared);
    luaL_checkstack(L, 6, "too many values to walk through a table");
    push_keys(L, shared);
    walk_begin(&walk, L, top + 1);
    lua_newtable(L);
    int names = lua_gettop(L);
    lua_pushvalue(L, index);
    visit(&walk);
    lua_pushliteral(L, "self");
    lua_rawseti(L, names, 1);

    for (lua_Integer i = 1; i <= walk.count && found < PATHS_LIMIT && left > 0; i++) {
        lua_rawgeti(L, names, i);
        lua_rawgeti(L, walk.list, i);
        int table = lua_gettop(L);
        for (lua_pushnil(L); found < PATHS_LIMIT && --left > 0 && lua_next(L, table);) {
            int key = table + 1;
            if (is_old_code(L, -1) && (known == 0 || is_key(L, -1, known))) {
                push_path(L, table - 1, key);
                bytes_printf(paths, "%s\n", lua_tostring(L, -1));
                found++;
                lua_pop(L, 2);
            } else if (walk.count < TABLES_NAMED && visit(&walk)) {
                push_path(L, table - 1, key);
                lua_rawseti(L, names, walk.count);
            }
            lua_settop(L, key);
            vm_poll(L);
        }
        lua_settop(L, names);
    }
    lua_settop(L, top);
}

/* ---- What handlers hold ---------------------------------------------------- */

static bool holds_old(lua_State *L, lua_State *co, int self, int memo, int depth);

/* Pops the value. */
static bool is_old(lua_State *L, int self, int memo, int depth)
{
    int  value = lua_gettop(L);
    bool old = false;
    if (lua_istable(L, value) && !lua_rawequal(L, value, self)) {
        lua_pushvalue(L, value);
        lua_rawget(L, memo);
        old = !lua_isnil(L, -1) && !lua_rawequal(L, -1, value);
    } else if (lua_isthread(L, value) && depth < NESTED_LIMIT) {
        lua_State *nested = lua_tothread(L, value);
        old = nested != L && holds_old(L, nested, self, memo, depth + 1);
    }
    lua_settop(L, value - 1);
    return old;
}

/* What the function of an activation has in its locals and has captured. */
static bool frame_holds_old(lua_State *L, lua_State *co, lua_Debug *frame, int self, int memo,
                            int depth)
{
    for (int i = 1; lua_getlocal(co, frame, i) != NULL; i++) {
        lua_xmove(co, L, 1);
        if (is_old(L, self, memo, depth))
            return true;
    }
    lua_getinfo(co, "f", frame);
    lua_xmove(co, L, 1);
    int  function = lua_gettop(L);
    bool old = false;
    for (int i = 1; !old && lua_getupvalue(L, function, i) != NULL; i++)
        old = is_old(L, self, memo, depth);
    lua_settop(L, function - 1);
    return old;
}

static bool holds_old(lua_State *L, lua_State *co, int self, int memo, int depth)
{
    lua_Debug frame;
    luaL_checkstack(L, 6, "too many values to look at a handler");
    if (!lua_checkstack(co, 2))
        luaL_error(L, "not enough memory");
    for (int level = 0; lua_getstack(co, level, &frame); level++)
        if (frame_holds_old(L, co, &frame, self, memo, depth))
            return true;
    return false;
}

bool migrate_holds_old(lua_State *L, lua_State *co, int self, int memo)
{
    return holds_old(L, co, lua_absindex(L, self), lua_absindex(L, memo), 0);
}
