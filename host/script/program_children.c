/*
 * program_children.c -- see program_children.h: a family of processes as Lua sees it.
 */
#include "script/program_children.h"

#include "base/clock.h"
#include "script/program_class.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define FAMILY "troupe.family"

static const struct children_port *port_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

static struct family *family_in(lua_State *L)
{
    struct family **family = luaL_checkudata(L, 1, FAMILY);
    luaL_argcheck(L, *family != NULL, 1, "closed");
    return *family;
}

/* ---- Signals ---------------------------------------------------------------- */

static const struct { const char *name; int number; } signals[] = {
    { "HUP", SIGHUP },   { "INT", SIGINT },   { "QUIT", SIGQUIT }, { "ILL", SIGILL },
    { "ABRT", SIGABRT }, { "BUS", SIGBUS },   { "FPE", SIGFPE },   { "KILL", SIGKILL },
    { "USR1", SIGUSR1 }, { "SEGV", SIGSEGV }, { "USR2", SIGUSR2 }, { "PIPE", SIGPIPE },
    { "ALRM", SIGALRM }, { "TERM", SIGTERM }, { "XCPU", SIGXCPU },
};

int program_check_signal(lua_State *L, int index)
{
    const char *name = luaL_checkstring(L, index);
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
        if (strcmp(signals[i].name, name) == 0)
            return signals[i].number;
    return luaL_argerror(L, index, "no such signal");
}

/* Its name, or else its number. */
static void push_signal(lua_State *L, int number)
{
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
        if (signals[i].number == number) {
            lua_pushstring(L, signals[i].name);
            return;
        }
    lua_pushinteger(L, number);
}

/* ---- The family ------------------------------------------------------------- */

static int children_open(lua_State *L)
{
    struct family **family = lua_newuserdatauv(L, sizeof *family, 0);
    *family = NULL;
    luaL_setmetatable(L, FAMILY);
    int error = port_of(L)->open(family);
    return error != 0 ? program_push_failure(L, strerror(-error)) : 1;
}

static int family_close(lua_State *L)
{
    struct family **family = luaL_checkudata(L, 1, FAMILY);
    struct family *closing = *family;
    *family = NULL;
    port_of(L)->close(closing);
    return 0;
}

/* The strings of the list at index 2, as a NULL-terminated array on the stack. */
static const char *const *check_arguments(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_Integer count = luaL_len(L, 2);
    luaL_argcheck(L, count > 0 && count < INT_MAX, 2, "no program");
    const char **arguments = lua_newuserdatauv(L, (size_t)(count + 1) * sizeof *arguments, 0);
    for (lua_Integer i = 1; i <= count; i++) {
        luaL_argcheck(L, lua_rawgeti(L, 2, i) == LUA_TSTRING, 2, "not strings");
        arguments[i - 1] = lua_tostring(L, -1); /* which the list keeps */
        lua_pop(L, 1);
    }
    arguments[count] = NULL;
    return arguments;
}

static int family_spawn(lua_State *L)
{
    unsigned child;
    long     pid;
    size_t   size;
    struct family *family = family_in(L);
    const char *const *arguments = check_arguments(L);
    lua_getfield(L, 2, "input");
    const char *input = luaL_optlstring(L, -1, "", &size);
    int error = port_of(L)->spawn(family, arguments, input, size, &child, &pid);
    if (error == -ENOENT) {
        lua_pushnil(L);
        lua_pushfstring(L, "there is no program %s", arguments[0]);
        return 2;
    }
    if (error != 0)
        return program_push_failure(L, strerror(-error));
    lua_pushinteger(L, child);
    lua_pushinteger(L, pid);
    return 2;
}

static int family_kill(lua_State *L)
{
    struct family *family = family_in(L);
    lua_Integer child = luaL_checkinteger(L, 2);
    int signal = program_check_signal(L, 3);
    bool lived = child > 0 && child <= UINT_MAX && port_of(L)->kill(family, (unsigned)child, signal);
    lua_pushboolean(L, lived);
    return 1;
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_child(lua_State *L, const struct family_event *event)
{
    lua_pushinteger(L, event->child);
    lua_setfield(L, -2, "child");
}

static void set_long_text(lua_State *L, const char *name, const struct family_event *event)
{
    lua_pushlstring(L, event->text, event->size);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const struct family_event *event, const char *signal_name,
                       const char *code_name, bool is_signal)
{
    if (is_signal)
        push_signal(L, event->number);
    else
        lua_pushinteger(L, event->number);
    lua_setfield(L, -2, is_signal ? signal_name : code_name);
}

static void push_event(lua_State *L, const struct family_event *event)
{
    static const char *const kinds[] = { NULL,   "line", "exit", "signal", "hangup",
                                         "file", "gone", "lost", "ready" };
    lua_createtable(L, 0, 4);
    set_text(L, "kind", kinds[event->news]);
    switch (event->news) {
    case FAMILY_LINE:
        set_child(L, event);
        set_text(L, "stream", event->stream);
        set_long_text(L, "text", event);
        break;
    case FAMILY_EXIT:
        set_child(L, event);
        set_number(L, event, "signal", "code", event->signalled);
        break;
    case FAMILY_SIGNAL:
        set_number(L, event, "name", NULL, true);
        break;
    case FAMILY_FILE:
        set_long_text(L, "path", event);
        set_text(L, "what", event->what);
        break;
    case FAMILY_LOST:
        set_text(L, "why", strerror(event->number));
        set_text(L, "stream", event->stream);
        break;
    case FAMILY_GONE:
        set_text(L, "stream", event->stream);
        break;
    default:
        break;
    }
}

static int family_next(lua_State *L)
{
    static struct clock clock;
    struct family_event event;
    struct family *family = family_in(L);
    uint64_t deadline_ns = UINT64_MAX;
    if (!lua_isnoneornil(L, 2)) {
        lua_Number seconds = luaL_checknumber(L, 2);
        seconds = seconds > 0 ? seconds < 1e9 ? seconds : 1e9 : 0;
        deadline_ns = clock_now(&clock) + (uint64_t)(seconds * 1e9);
    }
    int descriptor = (int)luaL_optinteger(L, 3, -1);
    port_of(L)->next(family, deadline_ns, descriptor, &event);
    if (event.news == FAMILY_NOTHING)
        return 0;
    push_event(L, &event);
    return 1;
}

static int family_write(lua_State *L)
{
    static const char *const streams[] = { "out", "err", NULL };
    size_t size;
    struct family *family = family_in(L);
    bool errors = luaL_checkoption(L, 2, NULL, streams) == 1;
    const char *text = luaL_checklstring(L, 3, &size);
    port_of(L)->write(family, errors, text, size);
    return 0;
}

static int family_watch(lua_State *L)
{
    size_t size;
    struct family *family = family_in(L);
    const char *path = luaL_checkstring(L, 2);
    const char *text = luaL_checklstring(L, 3, &size);
    int error = port_of(L)->watch(family, path, text, size);
    if (error != 0)
        return program_push_failure(L, strerror(-error));
    lua_pushboolean(L, true);
    return 1;
}

/* ---- The module ------------------------------------------------------------- */

/* If the file was replaced since, the program itself can still be reached. */
static void push_program(lua_State *L)
{
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    path[size > 0 ? size : 0] = '\0';
    lua_pushstring(L, access(path, X_OK) == 0 ? path : "/proc/self/exe");
}

int program_children_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "spawn", family_spawn }, { "kill", family_kill },   { "next", family_next },
        { "write", family_write }, { "watch", family_watch }, { "close", family_close },
        { "__gc", family_close },  { "__close", family_close }, { NULL, NULL },
    };
    struct children_port *port = lua_touserdata(L, lua_upvalueindex(1));
    program_make_class(L, FAMILY, methods, port);
    lua_createtable(L, 0, 5);
    lua_pushlightuserdata(L, port);
    lua_pushcclosure(L, children_open, 1);
    lua_setfield(L, -2, "open");
    push_program(L);
    lua_setfield(L, -2, "program");
    program_presence_add(L, port);
    return 1;
}
