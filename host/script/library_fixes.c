/* Lua's libraries, opened, and those of their functions replaced that loop in
 * C without an end, corrupt the interpreter, or act on the whole process. */
#include "script/libraries.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>
#include <sys/random.h>

/* Sets fields of the library on top of the stack. */
static int finish(lua_State *L, const luaL_Reg *functions)
{
    luaL_setfuncs(L, functions, 0);
    return 1;
}

/* Takes functions out of the library on top of the stack. */
static void withdraw(lua_State *L, const char *const *names)
{
    for (; *names != NULL; names++) {
        lua_pushnil(L);
        lua_setfield(L, -2, *names);
    }
}

/* ---- string ----------------------------------------------------------------------- */

/* rep(text, n [, separator]): Lua's loops n times even over nothing. */
static int string_rep(lua_State *L)
{
    size_t size, separator = 0;
    luaL_checklstring(L, 1, &size);
    luaL_checkinteger(L, 2);
    luaL_optlstring(L, 3, "", &separator);
    if (size + separator == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    return libraries_stock(STOCK_REP)(L);
}

/* Upvalues: Lua's iterator, and whether it is in a call. One that failed is
 * never called again: it would run on with a match depth that is used up, and
 * overflow the C stack. */
static int gmatch_next(lua_State *L)
{
    if (lua_toboolean(L, lua_upvalueindex(2)))
        return luaL_error(L, "this gmatch iterator has failed before");
    lua_settop(L, 0);
    lua_pushboolean(L, true);
    lua_replace(L, lua_upvalueindex(2));
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_call(L, 0, LUA_MULTRET);
    lua_pushboolean(L, false);
    lua_replace(L, lua_upvalueindex(2));
    return lua_gettop(L);
}

/* gmatch(text, pattern [, start]) */
static int string_gmatch(lua_State *L)
{
    int results = libraries_stock(STOCK_GMATCH)(L);
    lua_settop(L, lua_gettop(L) - results + 1);
    lua_pushboolean(L, false);
    lua_pushcclosure(L, gmatch_next, 2);
    return 1;
}

int library_open_string(lua_State *L)
{
    static const luaL_Reg ours[] = {
        { "rep", string_rep }, { "gmatch", string_gmatch }, { NULL, NULL } };
    static const char *const trusted[] = { "dump", NULL };
    luaopen_string(L);
    if (vm_of(L)->options->sandbox)
        withdraw(L, trusted);
    return finish(L, ours);
}

/* ---- table ------------------------------------------------------------------------ */

#define TABLE_COUNT_LIMIT 100000000 /* elements that one call walks over */

/* A __len of the script's own may claim any length, and Lua's functions would
 * walk all of it. */
static void check_length(lua_State *L)
{
    if (luaL_getmetafield(L, 1, "__len") == LUA_TNIL)
        return;
    lua_pop(L, 1);
    luaL_argcheck(L, luaL_len(L, 1) <= TABLE_COUNT_LIMIT, 1, "too many elements");
}

static int table_insert(lua_State *L)
{
    check_length(L);
    return libraries_stock(STOCK_INSERT)(L);
}

static int table_remove(lua_State *L)
{
    check_length(L);
    return libraries_stock(STOCK_REMOVE)(L);
}

static int table_concat(lua_State *L)
{
    lua_Integer first = luaL_optinteger(L, 3, 1);
    lua_Integer last = lua_isnoneornil(L, 4) ? 0 : luaL_checkinteger(L, 4);
    check_length(L);
    luaL_argcheck(L, last <= first || (lua_Unsigned)last - (lua_Unsigned)first <= TABLE_COUNT_LIMIT,
                  4, "too many elements");
    return libraries_stock(STOCK_CONCAT)(L);
}

/* Whether the value at `index` can be read or written with the metamethod `name`. */
static void check_table(lua_State *L, int index, const char *name)
{
    if (lua_type(L, index) == LUA_TTABLE)
        return;
    if (luaL_getmetafield(L, index, name) == LUA_TNIL)
        luaL_checktype(L, index, LUA_TTABLE);
    lua_pop(L, 1);
}

/* move(from, first, last, at [, to]): as Lua's, but it can be stopped. */
static int table_move(lua_State *L)
{
    lua_Integer first = luaL_checkinteger(L, 2);
    lua_Integer last = luaL_checkinteger(L, 3);
    lua_Integer at = luaL_checkinteger(L, 4);
    int to = lua_isnoneornil(L, 5) ? 1 : 5;
    check_table(L, 1, "__index");
    check_table(L, to, "__newindex");
    lua_pushvalue(L, to);
    if (last < first)
        return 1;
    luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3, "too many elements to move");
    lua_Integer count = last - first + 1;
    luaL_argcheck(L, count <= TABLE_COUNT_LIMIT, 3, "too many elements to move");
    luaL_argcheck(L, at <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
    bool forward = at > last || at <= first || (to != 1 && !lua_compare(L, 1, to, LUA_OPEQ));
    for (lua_Integer i = 0; i < count; i++) {
        lua_Integer offset = forward ? i : count - 1 - i;
        if (i % 1024 == 0)
            vm_poll(L);
        lua_geti(L, 1, first + offset);
        lua_seti(L, to, at + offset);
    }
    return 1;
}

int library_open_table(lua_State *L)
{
    static const luaL_Reg ours[] = {
        { "insert", table_insert }, { "remove", table_remove }, { "concat", table_concat },
        { "move", table_move },     { NULL, NULL },
    };
    luaopen_table(L);
    return finish(L, ours);
}

/* ---- math -------------------------------------------------------------------------- */

/* Lua takes its seed from the time and an address; here both are often those
 * of an actor that lived before. */
int library_open_math(lua_State *L)
{
    uint64_t seed[2] = { vm_of(L)->options->seed, 0 };
    luaopen_math(L);
    if (seed[0] == 0 && getrandom(seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        return 1;
    lua_getfield(L, -1, "randomseed");
    lua_pushinteger(L, (lua_Integer)seed[0]);
    lua_pushinteger(L, (lua_Integer)seed[1]);
    lua_call(L, 2, 0);
    return 1;
}

/* ---- os and io ----------------------------------------------------------------------- */

/* exit(...): ends the actor, not the process. */
static int os_exit(lua_State *L)
{
    return vm_die(L, VM_EXIT);
}

static int os_setlocale(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        return luaL_error(L, "os.setlocale is not available in actors: "
                             "it would change the locale of the whole process");
    return libraries_stock(STOCK_SETLOCALE)(L);
}

int library_open_os(lua_State *L)
{
    static const luaL_Reg ours[] = {
        { "exit", os_exit }, { "setlocale", os_setlocale }, { "execute", library_os_execute },
        { NULL, NULL } };
    static const char *const trusted[] = { "execute", "exit",   "getenv", "remove",
                                            "rename",  "tmpname", NULL };
    luaopen_os(L);
    finish(L, ours);
    if (vm_of(L)->options->sandbox)
        withdraw(L, trusted);
    return 1;
}

int library_open_io(lua_State *L)
{
    static const luaL_Reg ours[] = { { "popen", library_io_popen }, { NULL, NULL } };
    vm_of(L)->needs_close = true; /* open files */
    luaopen_io(L);
    return finish(L, ours);
}

/* ---- debug ------------------------------------------------------------------------------ */

/* setlocal([co,] level, n, value): variables with a name only. What else lies
 * on a stack, the interpreter and C functions take for what they put there. */
static int debug_setlocal(lua_State *L)
{
    int first = lua_isthread(L, 1) ? 2 : 1;
    lua_State *co = first == 2 ? lua_tothread(L, 1) : L;
    lua_Integer level = luaL_checkinteger(L, first);
    int n = (int)luaL_checkinteger(L, first + 1);
    lua_Debug activation;
    if (level < 0 || level > INT_MAX || !lua_getstack(co, (int)level, &activation))
        return libraries_stock(STOCK_SETLOCAL)(L); /* raises */
    if (co != L && !lua_checkstack(co, 1))
        return luaL_error(L, "stack overflow");
    const char *name = lua_getlocal(co, &activation, n);
    if (name != NULL)
        lua_pop(co, 1);
    if (name == NULL || (name[0] == '(' && strcmp(name, "(vararg)") != 0)) {
        luaL_pushfail(L);
        return 1;
    }
    return libraries_stock(STOCK_SETLOCAL)(L);
}

/* setupvalue(f, n, value): of functions written in Lua only. */
static int debug_setupvalue(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (lua_iscfunction(L, 1))
        return 0;
    return libraries_stock(STOCK_SETUPVALUE)(L);
}

int library_open_debug(lua_State *L)
{
    static const luaL_Reg ours[] = {
        { "setlocal", debug_setlocal }, { "setupvalue", debug_setupvalue }, { NULL, NULL } };
    static const char *const withdrawn[] = {
        "sethook", "setmetatable", "upvaluejoin", "getregistry", "debug", "setcstacklimit", NULL };
    libraries_push(L, "string"); /* whose metatable debug.getmetatable would show */
    lua_pop(L, 1);
    luaopen_debug(L);
    withdraw(L, withdrawn);
    return finish(L, ours);
}
