/*
 * program_tools.c -- see program_tools.h: the port as Lua sees it.
 *
 * What a tool holds lies in a userdata that closes it.
 */
#include "script/program_tools.h"

#include "script/program_class.h"
#include "script/program_files.h"
#include "script/program_terminal.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WHY_ROOM   1024
#define LISTENING  "troupe.listening"
#define BENCH      "troupe.bench"
#define TIMEOUT_MS (UINT64_MAX / NS_PER_MS / 2)

static const struct tools_port *port_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* ---- Arguments ---------------------------------------------------------- */

static const char *text_field(lua_State *L, const char *name, bool needed)
{
    lua_getfield(L, 1, name);
    const char *text = needed ? luaL_checkstring(L, -1) : luaL_optstring(L, -1, NULL);
    lua_pop(L, 1); /* the table keeps it */
    return text;
}

static uint64_t number_in(lua_State *L, int index, uint64_t limit)
{
    lua_Integer number = luaL_checkinteger(L, index);
    luaL_argcheck(L, number >= 0 && (uint64_t)number <= limit, index, "out of range");
    return (uint64_t)number;
}

static uint64_t number_field(lua_State *L, const char *name, uint64_t limit)
{
    lua_getfield(L, 1, name);
    uint64_t number = number_in(L, lua_gettop(L), limit);
    lua_pop(L, 1);
    return number;
}

/* The exit code that an error means. */
static int exit_code_of(int error)
{
    switch (error) {
    case 0:
        return 0;
    case -EINVAL:
        return 2;
    case -ETIMEDOUT:
        return 3;
    case -EHOSTUNREACH:
        return 5;
    default:
        return 1;
    }
}

static int push_failure(lua_State *L, int error, const char *why)
{
    lua_pushnil(L);
    lua_pushstring(L, why);
    lua_pushinteger(L, exit_code_of(error));
    return 3;
}

static void set_number(lua_State *L, const char *name, uint64_t number)
{
    lua_pushinteger(L, number > INT64_MAX ? INT64_MAX : (lua_Integer)number);
    lua_setfield(L, -2, name);
}

/* ---- Time and terminals ------------------------------------------------- */

/* now() -> seconds, monotonic */
static int tools_now(lua_State *L)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
    return 1;
}

/* sleep(seconds); a signal ends the process, or comes in between */
static int tools_sleep(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 1);
    if (!(seconds > 0))
        return 0;
    if (seconds > 1e9)
        seconds = 1e9;
    struct timespec left = { .tv_sec = (time_t)seconds };
    left.tv_nsec = (long)((seconds - (lua_Number)left.tv_sec) * 1e9);
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
    return 0;
}

/* real_path(path) -> the absolute path of a file that is there, without links; or nil */
static int tools_real_path(lua_State *L)
{
    char path[PATH_MAX];
    lua_pushstring(L, realpath(luaL_checkstring(L, 1), path)); /* NULL: nil */
    return 1;
}

/* is_terminal(descriptor) -> boolean */
static int tools_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)number_in(L, 1, INT_MAX)));
    return 1;
}

/* ---- Listening ----------------------------------------------------------- */

static struct listening **listening_slot(lua_State *L)
{
    return luaL_checkudata(L, 1, LISTENING);
}

static struct listening *listening_in(lua_State *L)
{
    struct listening *listening = *listening_slot(L);
    luaL_argcheck(L, listening != NULL, 1, "closed");
    return listening;
}

/* listen{bind=, advertise=, name=} -> listening; or nil, why, exit code */
static int tools_listen(lua_State *L)
{
    char why[WHY_ROOM] = "";
    luaL_checktype(L, 1, LUA_TTABLE);
    struct tools_listen options = {
        .bind = text_field(L, "bind", true),
        .advertise = text_field(L, "advertise", false),
        .name = text_field(L, "name", false),
        .security = program_security_fields(L),
    };
    struct listening **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    luaL_setmetatable(L, LISTENING);
    int error = port_of(L)->listen(slot, &options, why, sizeof why);
    return error == 0 ? 1 : push_failure(L, error, why);
}

static int push_heard(lua_State *L, const struct tools_heard *heard)
{
    lua_pushliteral(L, "message");
    lua_createtable(L, 0, 5);
    set_number(L, "time_ms", heard->time_ms);
    lua_pushstring(L, heard->from); /* NULL: nil */
    lua_setfield(L, -2, "from");
    lua_pushstring(L, heard->to);
    lua_setfield(L, -2, "to");
    lua_pushstring(L, heard->type);
    lua_setfield(L, -2, "type");
    lua_pushstring(L, heard->json);
    lua_setfield(L, -2, "json");
    return 2;
}

/* listening:next(timeout_ms) -> "message", {time_ms=, from=, to=, type=, json=};
 * or "timed out", "interrupted", "terminated", "reader gone" */
static int listening_next(lua_State *L)
{
    struct tools_heard heard;
    struct listening  *listening = listening_in(L);
    uint64_t           timeout_ms = number_in(L, 2, TIMEOUT_MS);
    switch (port_of(L)->listen_next(listening, timeout_ms, &heard)) {
    case TOOLS_MESSAGE:
        return push_heard(L, &heard);
    case TOOLS_TIMED_OUT:
        lua_pushliteral(L, "timed out");
        return 1;
    case TOOLS_INTERRUPTED:
        lua_pushliteral(L, "interrupted");
        return 1;
    case TOOLS_TERMINATED:
        lua_pushliteral(L, "terminated");
        return 1;
    case TOOLS_READER_GONE:
        lua_pushliteral(L, "reader gone");
        return 1;
    }
    UNREACHABLE();
}

/* listening:reply(type, json) -> true; or nil, why, exit code */
static int listening_reply(lua_State *L)
{
    char why[WHY_ROOM] = "";
    int  error = port_of(L)->listen_reply(listening_in(L), luaL_checkstring(L, 2),
                                          luaL_checkstring(L, 3), why, sizeof why);
    if (error != 0)
        return push_failure(L, error, why);
    lua_pushboolean(L, true);
    return 1;
}

/* listening:reject(reason) */
static int listening_reject(lua_State *L)
{
    port_of(L)->listen_reject(listening_in(L), luaL_checkstring(L, 2));
    return 0;
}

/* listening:send(from, to, type, json) -> true; or nil, why, exit code */
static int listening_send(lua_State *L)
{
    char why[WHY_ROOM] = "";
    int  error = port_of(L)->listen_send(listening_in(L), luaL_checkstring(L, 2),
                                         luaL_checkstring(L, 3), luaL_checkstring(L, 4),
                                         luaL_checkstring(L, 5), why, sizeof why);
    if (error != 0)
        return push_failure(L, error, why);
    lua_pushboolean(L, true);
    return 1;
}

/* listening:endpoint() -> text */
static int listening_endpoint(lua_State *L)
{
    lua_pushstring(L, port_of(L)->listen_endpoint(listening_in(L)));
    return 1;
}

/* listening:waiting() -> how many have come and were not asked for yet */
static int listening_waiting(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)port_of(L)->listen_waiting(listening_in(L)));
    return 1;
}

/* listening:close() */
static int listening_close(lua_State *L)
{
    struct listening **slot = listening_slot(L);
    port_of(L)->listen_close(*slot);
    *slot = NULL;
    return 0;
}

/* ---- Measuring ----------------------------------------------------------- */

static struct bench **bench_slot(lua_State *L)
{
    return luaL_checkudata(L, 1, BENCH);
}

static struct bench *bench_in(lua_State *L)
{
    struct bench *bench = *bench_slot(L);
    luaL_argcheck(L, bench != NULL, 1, "closed");
    return bench;
}

/* bench{to=, type=, json=, asks=, count=, window=, rate=, timeout_ms=} -> bench;
 * or nil, why, exit code */
static int tools_bench(lua_State *L)
{
    char why[WHY_ROOM] = "";
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "asks");
    lua_getfield(L, 1, "rate");
    struct tools_bench options = {
        .to = text_field(L, "to", true),
        .type = text_field(L, "type", true),
        .json = text_field(L, "json", true),
        .asks = lua_toboolean(L, -2),
        .rate = luaL_optnumber(L, -1, 0),
        .count = number_field(L, "count", INT64_MAX),
        .window = (uint32_t)number_field(L, "window", TOOLS_WINDOW_MAX),
        .timeout_ms = number_field(L, "timeout_ms", TIMEOUT_MS),
        .security = program_security_fields(L),
    };
    struct bench **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    luaL_setmetatable(L, BENCH);
    int error = port_of(L)->bench(slot, &options, why, sizeof why);
    return error == 0 ? 1 : push_failure(L, error, why);
}

/* bench:go_on(milliseconds) */
static int bench_go_on(lua_State *L)
{
    port_of(L)->bench_go_on(bench_in(L), number_in(L, 2, TIMEOUT_MS));
    return 0;
}

/* bench:read() -> table, as struct tools_measured */
static int bench_read(lua_State *L)
{
    struct tools_measured measured;
    port_of(L)->bench_read(bench_in(L), &measured);
    lua_createtable(L, 0, 18);
    set_number(L, "begun", measured.begun);
    set_number(L, "done", measured.done);
    set_number(L, "timed_out", measured.timed_out);
    set_number(L, "rejected", measured.rejected);
    set_number(L, "unreachable", measured.unreachable);
    set_number(L, "late", measured.late);
    set_number(L, "elapsed_ns", measured.elapsed_ns);
    set_number(L, "least_ns", measured.least_ns);
    set_number(L, "mean_ns", measured.mean_ns);
    set_number(L, "p50_ns", measured.p50_ns);
    set_number(L, "p90_ns", measured.p90_ns);
    set_number(L, "p99_ns", measured.p99_ns);
    set_number(L, "p999_ns", measured.p999_ns);
    set_number(L, "greatest_ns", measured.greatest_ns);
    lua_pushboolean(L, measured.over);
    lua_setfield(L, -2, "over");
    lua_pushboolean(L, measured.interrupted);
    lua_setfield(L, -2, "interrupted");
    lua_pushboolean(L, measured.given_up);
    lua_setfield(L, -2, "given_up");
    lua_pushstring(L, measured.why);
    lua_setfield(L, -2, "why");
    return 1;
}

/* bench:close() */
static int bench_close(lua_State *L)
{
    struct bench **slot = bench_slot(L);
    port_of(L)->bench_close(*slot);
    *slot = NULL;
    return 0;
}

/* ---- Finding out --------------------------------------------------------- */

/* Into the table on top of the stack. */
static void hear_text(void *context, const char *key, const char *text, size_t size)
{
    lua_State *L = context;
    lua_pushlstring(L, text, size);
    lua_setfield(L, -2, key);
}

static void hear_number(void *context, const char *key, uint64_t number)
{
    set_number(context, key, number);
}

static struct tools_ear ear_of(lua_State *L)
{
    lua_createtable(L, 0, 8);
    return (struct tools_ear){ .context = L, .text = hear_text, .number = hear_number };
}

/* resolve(host, timeout_ms) -> addresses separated by spaces; or nil, why, exit code */
static int tools_resolve(lua_State *L)
{
    char why[WHY_ROOM] = "", addresses[1024];
    int  error = port_of(L)->resolve(luaL_checkstring(L, 1), number_in(L, 2, TIMEOUT_MS),
                                     addresses, sizeof addresses, why, sizeof why);
    if (error != 0)
        return push_failure(L, error, why);
    lua_pushstring(L, addresses);
    return 1;
}

/* probe(endpoint, timeout_ms) -> table */
static int tools_probe(lua_State *L)
{
    const char      *endpoint = luaL_checkstring(L, 1);
    uint64_t         timeout_ms = number_in(L, 2, TIMEOUT_MS);
    struct tools_ear ear = ear_of(L);
    port_of(L)->probe(endpoint, timeout_ms, &ear);
    return 1;
}

/* normalise(endpoint, numeric_only) -> endpoint; or nil, why, exit code */
static int tools_normalise(lua_State *L)
{
    char why[WHY_ROOM] = "", endpoint[512];
    int  error = port_of(L)->normalise(luaL_checkstring(L, 1), lua_toboolean(L, 2), endpoint,
                                       sizeof endpoint, why, sizeof why);
    if (error != 0)
        return push_failure(L, error, why);
    lua_pushstring(L, endpoint);
    return 1;
}

/* hosts(list, words) -> true; or nil, why, exit code */
static int tools_hosts(lua_State *L)
{
    char why[WHY_ROOM] = "";
    int  error = port_of(L)->hosts(luaL_checkstring(L, 1), lua_toboolean(L, 2), why, sizeof why);
    if (error != 0)
        return push_failure(L, error, why);
    lua_pushboolean(L, true);
    return 1;
}

/* port_is_taken(number) -> boolean */
static int tools_port_is_taken(lua_State *L)
{
    lua_pushboolean(L, port_of(L)->port_is_taken((uint16_t)number_in(L, 1, UINT16_MAX)));
    return 1;
}

/* port_holder(host, number) -> process, name; or nothing: who listens there, if that is known */
static int tools_port_holder(lua_State *L)
{
    long pid;
    char name[WHY_ROOM];
    uint16_t port = (uint16_t)number_in(L, 2, UINT16_MAX);
    if (!port_of(L)->port_holder(luaL_checkstring(L, 1), port, &pid, name, sizeof name))
        return 0;
    lua_pushinteger(L, pid);
    lua_pushstring(L, name);
    return 2;
}

/* facts() -> table */
static int tools_facts(lua_State *L)
{
    struct tools_ear ear = ear_of(L);
    port_of(L)->facts(&ear);
    return 1;
}

/* ---- The module ---------------------------------------------------------- */

int tools_open(lua_State *L)
{
    static const luaL_Reg listening_methods[] = {
        { "next", listening_next },         { "reply", listening_reply },
        { "reject", listening_reject },     { "send", listening_send },
        { "endpoint", listening_endpoint }, { "waiting", listening_waiting },
        { "close", listening_close },       { "__gc", listening_close },
        { NULL, NULL },
    };
    static const luaL_Reg bench_methods[] = {
        { "go_on", bench_go_on }, { "read", bench_read }, { "close", bench_close },
        { "__gc", bench_close },  { NULL, NULL },
    };
    static const luaL_Reg functions[] = {
        { "now", tools_now },
        { "sleep", tools_sleep },
        { "real_path", tools_real_path },
        { "is_terminal", tools_is_terminal },
        { "listen", tools_listen },
        { "bench", tools_bench },
        { "resolve", tools_resolve },
        { "probe", tools_probe },
        { "normalise", tools_normalise },
        { "hosts", tools_hosts },
        { "port_is_taken", tools_port_is_taken },
        { "port_holder", tools_port_holder },
        { "facts", tools_facts },
        { NULL, NULL },
    };
    const struct tools_port *port = port_of(L);
    program_make_class(L, LISTENING, listening_methods, port);
    program_make_class(L, BENCH, bench_methods, port);
    luaL_newlibtable(L, functions);
    lua_pushlightuserdata(L, (void *)(uintptr_t)port);
    luaL_setfuncs(L, functions, 1);
    program_terminal_add(L);
    program_files_add(L);
    return 1;
}
