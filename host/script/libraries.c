/*
 * libraries.c -- see libraries.h: globals that come to be when they are read.
 */
#include "script/libraries.h"

#include "base/log.h"
#include "base/suggest.h"
#include "base/thread.h"
#include "script/coroutines.h"
#include "script/vm.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#define GLOBALS_WARNED_LIMIT 20 /* warnings about new globals, of one state */

/* ---- What there is ------------------------------------------------------------- */

/* The functions of Lua's base library. Lua's own are the same in all states
 * and without upvalues, so their addresses are learned once. */
static struct {
    const char   *name;
    lua_CFunction lua;
} base_functions[] = {
    { "assert", NULL },       { "collectgarbage", NULL }, { "dofile", NULL },
    { "error", NULL },        { "getmetatable", NULL },   { "ipairs", NULL },
    { "load", NULL },         { "loadfile", NULL },       { "next", NULL },
    { "pairs", NULL },        { "pcall", NULL },          { "print", NULL },
    { "rawequal", NULL },     { "rawget", NULL },         { "rawlen", NULL },
    { "rawset", NULL },       { "select", NULL },         { "setmetatable", NULL },
    { "tonumber", NULL },     { "tostring", NULL },       { "type", NULL },
    { "warn", NULL },         { "xpcall", NULL },
};

static const struct standard_library {
    const char   *name;
    lua_CFunction open;
} standard_libraries[] = {
    { "string", library_open_string },   { "table", library_open_table },
    { "math", library_open_math },       { "coroutine", coroutines_open },
    { "utf8", luaopen_utf8 },            { "os", library_open_os },
    { "io", library_open_io },            { "debug", library_open_debug },
    { "package", library_open_package },
};

static const struct {
    const char *library, *name;
} stock_names[STOCK_COUNT] = {
    [STOCK_GETMETATABLE] = { "_G", "getmetatable" },
    [STOCK_NEXT] = { "_G", "next" },
    [STOCK_PAIRS] = { "_G", "pairs" },
    [STOCK_REP] = { "string", "rep" },
    [STOCK_GMATCH] = { "string", "gmatch" },
    [STOCK_INSERT] = { "table", "insert" },
    [STOCK_REMOVE] = { "table", "remove" },
    [STOCK_CONCAT] = { "table", "concat" },
    [STOCK_SETLOCALE] = { "os", "setlocale" },
    [STOCK_SEARCHPATH] = { "package", "searchpath" },
    [STOCK_TRACEBACK] = { "debug", "traceback" },
    [STOCK_GETLOCAL] = { "debug", "getlocal" },
    [STOCK_SETLOCAL] = { "debug", "setlocal" },
    [STOCK_SETUPVALUE] = { "debug", "setupvalue" },
};
static lua_CFunction stock_functions[STOCK_COUNT];

lua_CFunction libraries_stock(enum stock which)
{
    return stock_functions[which];
}

lua_CFunction libraries_traceback(void)
{
    return stock_functions[STOCK_TRACEBACK];
}

/* In a scratch state that has everything. */
static int learn_addresses(lua_State *L)
{
    luaL_openlibs(L);
    for (size_t i = 0; i < ARRAY_LENGTH(base_functions); i++) {
        lua_getglobal(L, base_functions[i].name);
        base_functions[i].lua = lua_tocfunction(L, -1);
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < STOCK_COUNT; i++) {
        lua_getglobal(L, stock_names[i].library);
        lua_getfield(L, -1, stock_names[i].name);
        stock_functions[i] = lua_tocfunction(L, -1);
        lua_pop(L, 2);
    }
    return 0;
}

int libraries_prepare(void)
{
    static struct lock lock = { PTHREAD_MUTEX_INITIALIZER };
    static atomic_bool prepared;
    /* Pairs with the release below: who sees it sees the addresses. */
    if (LIKELY(atomic_load_explicit(&prepared, memory_order_acquire)))
        return 0;

    lock_acquire(&lock);
    if (!atomic_load_explicit(&prepared, memory_order_relaxed)) {
        lua_State *scratch = luaL_newstate();
        if (scratch != NULL) {
            lua_pushcfunction(scratch, learn_addresses);
            if (lua_pcall(scratch, 0, 0, 0) == LUA_OK)
                atomic_store_explicit(&prepared, true, memory_order_release);
            lua_close(scratch);
        }
    }
    lock_release(&lock);
    return atomic_load_explicit(&prepared, memory_order_relaxed) ? 0 : -ENOMEM;
}

/* ---- Making a global ------------------------------------------------------------- */

static lua_CFunction find_base(lua_State *L, const char *name)
{
    if (library_is_withheld(vm_of(L), name))
        return NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(base_functions); i++) {
        if (base_functions[i].name[0] != name[0] || strcmp(base_functions[i].name, name) != 0)
            continue;
        lua_CFunction ours = library_base_find(L, name);
        return ours != NULL ? ours : base_functions[i].lua;
    }
    return NULL;
}

/* What opens `name`, or NULL. */
static lua_CFunction find_opener(const struct vm *vm, const char *name)
{
    const struct vm_library *own = vm->options->libraries;
    if (library_is_withheld(vm, name))
        return NULL;
    for (; own != NULL && own->name != NULL; own++) {
        if (strcmp(own->name, name) == 0)
            return own->open;
    }
    if (strcmp(name, "require") == 0)
        return library_open_package;
    for (size_t i = 0; i < ARRAY_LENGTH(standard_libraries); i++) {
        const struct standard_library *library = &standard_libraries[i];
        if (strcmp(library->name, name) == 0)
            return library->open;
    }
    return NULL;
}

/* Unlike a global that a required module has set, and may change. */
bool libraries_is_standard(lua_State *L, const char *name)
{
    return find_base(L, name) != NULL || find_opener(vm_of(L), name) != NULL
           || strcmp(name, "_VERSION") == 0;
}

/* Pushes the global whose name is on top of the stack, which it pops, and
 * stores it in the plain globals. */
static bool make(lua_State *L)
{
    const char *name = lua_tostring(L, -1);
    lua_CFunction open = find_opener(vm_of(L), name);
    lua_CFunction function = open == NULL ? find_base(L, name) : NULL;
    int value = lua_gettop(L) + 1;
    if (open != NULL) {
        lua_pushcfunction(L, open);
        lua_call(L, 0, 1);
    } else if (function != NULL) {
        lua_pushcfunction(L, function);
    } else if (strcmp(name, LUA_GNAME) == 0) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    } else if (strcmp(name, "_VERSION") == 0) {
        lua_pushliteral(L, LUA_VERSION);
    } else {
        lua_pop(L, 1);
        return false;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    if (open == library_open_package && strcmp(name, "require") == 0) {
        /* It has been stored beside the library. */
        lua_pushvalue(L, value - 1);
        lua_rawget(L, -2);
        lua_replace(L, value);
    } else {
        lua_pushvalue(L, value - 1);
        lua_pushvalue(L, value);
        lua_rawset(L, -3);
    }
    lua_pop(L, 1);
    lua_remove(L, value - 1);
    return true;
}

/* The same, but takes it from the plain globals if it is there: then any name will do. */
static bool find_or_make(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushvalue(L, -2);
    if (lua_rawget(L, -2) != LUA_TNIL) {
        lua_replace(L, -3);
        lua_pop(L, 1);
        return true;
    }
    lua_pop(L, 2);
    return make(L);
}

bool libraries_push(lua_State *L, const char *name)
{
    luaL_checkstack(L, 6, NULL);
    lua_pushstring(L, name);
    return find_or_make(L);
}

static bool is_in_registry(lua_State *L, int index, lua_Integer key)
{
    index = lua_absindex(L, index);
    lua_rawgeti(L, LUA_REGISTRYINDEX, key);
    bool same = lua_rawequal(L, index, -1) != 0;
    lua_pop(L, 1);
    return same;
}

bool libraries_is_globals(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TTABLE && (is_in_registry(L, index, LUA_RIDX_GLOBALS) ||
                                                is_in_registry(L, index, vm_of(L)->environment));
}

/* Makes `name` in the plain globals and gives it to the environment, at
 * `environment` on the stack, unless that has one of this name. */
static void make_everywhere(lua_State *L, const char *name, int environment)
{
    if (!libraries_push(L, name))
        return;
    lua_pushstring(L, name);
    lua_pushvalue(L, -1);
    if (strcmp(name, LUA_GNAME) != 0 && lua_rawget(L, environment) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_insert(L, -2);
        lua_rawset(L, environment);
    } else {
        lua_pop(L, 3);
    }
}

void libraries_push_all(lua_State *L)
{
    const struct vm_library *own = vm_of(L)->options->libraries;
    luaL_checkstack(L, 10, NULL);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(L)->environment);
    int environment = lua_gettop(L);
    for (; own != NULL && own->name != NULL; own++)
        make_everywhere(L, own->name, environment);
    for (size_t i = 0; i < ARRAY_LENGTH(base_functions); i++)
        make_everywhere(L, base_functions[i].name, environment);
    for (size_t i = 0; i < ARRAY_LENGTH(standard_libraries); i++)
        make_everywhere(L, standard_libraries[i].name, environment);
    make_everywhere(L, "require", environment);
    make_everywhere(L, "_VERSION", environment);
    make_everywhere(L, LUA_GNAME, environment);
    lua_pushvalue(L, environment);
    lua_setfield(L, environment, LUA_GNAME);
    lua_pop(L, 1);
}

/* ---- The metatable of the globals --------------------------------------------------- */

static void offer_keys(lua_State *L, struct suggest *suggest)
{
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (lua_type(L, -2) == LUA_TSTRING)
            suggest_offer(suggest, lua_tostring(L, -2));
        lua_pop(L, 1);
    }
}

static int raise_undefined(lua_State *L, const char *name)
{
    struct vm *vm = vm_of(L);
    struct suggest suggest;
    luaL_checkstack(L, 8, NULL);
    if (library_is_withheld(vm, name))
        return luaL_error(L, "'%s' is not available in a sandbox", name);
    if (strcmp(name, "self") == 0)
        return luaL_error(L, "undefined global 'self' (a function has it that is defined or called "
                             "with a colon, or has it as its first parameter)");
    suggest_init(&suggest, name);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->environment);
    offer_keys(L, &suggest);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    offer_keys(L, &suggest);
    const struct vm_library *own = vm->options->libraries;
    for (; own != NULL && own->name != NULL; own++)
        suggest_offer(&suggest, own->name);
    for (size_t i = 0; i < ARRAY_LENGTH(standard_libraries); i++)
        if (!library_is_withheld(vm, standard_libraries[i].name))
            suggest_offer(&suggest, standard_libraries[i].name);
    for (size_t i = 0; i < ARRAY_LENGTH(base_functions); i++)
        if (!library_is_withheld(vm, base_functions[i].name))
            suggest_offer(&suggest, base_functions[i].name);
    suggest_offer(&suggest, "require");

    if (suggest.best != NULL)
        return luaL_error(L, "undefined global '%s' (did you mean '%s'?)", name, suggest.best);
    return luaL_error(L, "undefined global '%s'", name);
}

/* ("text").method, before the string library was opened */
static int index_string(lua_State *L)
{
    libraries_push(L, LUA_STRLIBNAME);
    lua_pushvalue(L, 2);
    lua_gettable(L, -2);
    return 1;
}

/* __index(globals, name) */
static int globals_index(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING)
        return index_string(L);
    lua_settop(L, 2);
    bool strict = !is_in_registry(L, 1, LUA_RIDX_GLOBALS); /* of any version */
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    const char *name = lua_tostring(L, 2);
    bool own = strict && strcmp(name, LUA_GNAME) == 0;
    lua_pushvalue(L, own ? 1 : 2);
    if (!own && !find_or_make(L))
        return strict ? raise_undefined(L, name) : 0;
    if (own || (strict && libraries_is_standard(L, name))) {
        lua_pushvalue(L, 2);
        lua_pushvalue(L, -2);
        lua_rawset(L, 1);
    }
    return 1;
}

/* __newindex(globals, name, value) */
static int globals_newindex(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TTABLE)
        return luaL_error(L, "attempt to index a %s value", luaL_typename(L, 1));
    struct vm *vm = vm_of(L);
    lua_settop(L, 3);
    bool tell = !vm->loading && vm->globals_warned < GLOBALS_WARNED_LIMIT
                && lua_type(L, 2) == LUA_TSTRING && !lua_isnil(L, 3)
                && !is_in_registry(L, 1, LUA_RIDX_GLOBALS);
    if (tell) {
        vm->globals_warned++;
        luaL_where(L, 1);
        log_warn("%sglobal '%s' set in a handler: use self or local", lua_tostring(L, -1),
                 lua_tostring(L, 2));
        lua_pop(L, 1);
    }
    lua_rawset(L, 1);
    return 0;
}

/* __pairs(globals): shows all there is */
static int globals_pairs(lua_State *L)
{
    libraries_push_all(L);
    lua_pushcfunction(L, libraries_stock(STOCK_NEXT));
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

/* "10" + 1, before the string library, whose metamethods do it, was opened */
static int calculate(lua_State *L, int operator)
{
    int operands = operator == LUA_OPUNM ? 1 : 2;
    for (int i = 1; i <= operands; i++) {
        if (!lua_isnumber(L, i))
            return luaL_error(L, "attempt to perform arithmetic on a %s value",
                              luaL_typename(L, i));
    }
    libraries_push(L, LUA_STRLIBNAME);
    lua_settop(L, operands);
    lua_arith(L, operator);
    return 1;
}

#define CALCULATION(name, operator) \
    static int name(lua_State *L) { return calculate(L, operator); }
CALCULATION(calculate_add, LUA_OPADD)
CALCULATION(calculate_sub, LUA_OPSUB)
CALCULATION(calculate_mul, LUA_OPMUL)
CALCULATION(calculate_mod, LUA_OPMOD)
CALCULATION(calculate_pow, LUA_OPPOW)
CALCULATION(calculate_div, LUA_OPDIV)
CALCULATION(calculate_idiv, LUA_OPIDIV)
CALCULATION(calculate_unm, LUA_OPUNM)

/* Pushes a new metatable of globals. */
static void push_metatable(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "__index", globals_index },  { "__newindex", globals_newindex },
        { "__pairs", globals_pairs },  { "__add", calculate_add },
        { "__sub", calculate_sub },    { "__mul", calculate_mul },
        { "__mod", calculate_mod },    { "__pow", calculate_pow },
        { "__div", calculate_div },    { "__idiv", calculate_idiv },
        { "__unm", calculate_unm },
    };
    lua_createtable(L, 0, (int)ARRAY_LENGTH(methods));
    int metatable = lua_gettop(L);
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        lua_pushcfunction(L, methods[i].func);
        lua_setfield(L, metatable, methods[i].name);
    }

}

void libraries_push_environment(lua_State *L)
{
    luaL_checkstack(L, 6, "too many values to make an environment");
    lua_newtable(L);
    push_metatable(L);
    lua_setmetatable(L, -2);
}

int libraries_set_up(lua_State *L)
{
    push_metatable(L);
    int metatable = lua_gettop(L);
    lua_pushliteral(L, "");
    lua_pushvalue(L, metatable);
    lua_setmetatable(L, -2);

    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushvalue(L, metatable);
    lua_setmetatable(L, -2);

    lua_newtable(L);
    lua_pushvalue(L, metatable);
    lua_setmetatable(L, -2);
    vm_of(L)->environment = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* ---- Names of functions ---------------------------------------------------------------- */

/* Looks among the fields of the library `library`, if that has been made. */
static bool name_in_library(lua_State *L, const char *library, lua_CFunction function, char *name,
                            size_t room)
{
    int top = lua_gettop(L);
    bool found = false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushstring(L, library);
    if (lua_rawget(L, -2) == LUA_TTABLE) {
        lua_pushnil(L);
        while (!found && lua_next(L, -2)) {
            found = lua_tocfunction(L, -1) == function && lua_type(L, -2) == LUA_TSTRING;
            if (found)
                snprintf(name, room, "%s.%s", library, lua_tostring(L, -2));
            lua_pop(L, 1);
        }
    } else {
        found = lua_tocfunction(L, -1) == function;
        if (found)
            snprintf(name, room, "%s", library);
    }
    lua_settop(L, top);
    return found;
}

bool libraries_name_function(lua_State *L, lua_CFunction function, char *name, size_t room)
{
    const struct vm_library *own = vm_of(L)->options->libraries;
    for (size_t i = 0; i < ARRAY_LENGTH(base_functions); i++) {
        if (find_base(L, base_functions[i].name) == function) {
            snprintf(name, room, "%s", base_functions[i].name);
            return true;
        }
    }
    if (name_in_library(L, "require", function, name, room))
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(standard_libraries); i++) {
        if (name_in_library(L, standard_libraries[i].name, function, name, room))
            return true;
    }
    for (; own != NULL && own->name != NULL; own++) {
        if (name_in_library(L, own->name, function, name, room))
            return true;
    }
    return false;
}

const char *libraries_home_of(const char *name)
{
    /* Those that may run long; "remove" is in two. */
    static const struct {
        const char *library, *name;
    } homes[] = {
        { "string", "find" },   { "string", "match" },  { "string", "gmatch" },
        { "string", "gsub" },   { "string", "rep" },    { "string", "format" },
        { "string", "reverse" }, { "string", "pack" },  { "string", "byte" },
        { "table", "sort" },    { "table", "concat" },  { "table", "unpack" },
        { "table", "move" },    { "table", "insert" },  { "os", "execute" },
        { "os", "tmpname" },    { "os", "rename" },     { "io", "open" },
        { "io", "popen" },      { "io", "read" },       { "io", "lines" },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(homes); i++) {
        if (strcmp(homes[i].name, name) == 0)
            return homes[i].library;
    }
    return NULL;
}
