/*
 * program_presence.c -- see program_children.h: which programs say that they are there.
 */
#include "script/program_children.h"

#include "base/clock.h"
#include "script/program_class.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PRESENCE "troupe.presence"
#define PROCESS  "troupe.process"
#define WHY_ROOM 5000

static const struct children_port *port_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* ---- Ours ------------------------------------------------------------------- */

static int presence_hold(lua_State *L)
{
    char why[WHY_ROOM] = "";
    const char *name = luaL_checkstring(L, 1);
    const char *text = luaL_checkstring(L, 2);
    struct presence **presence = lua_newuserdatauv(L, sizeof *presence, 0);
    *presence = NULL;
    luaL_setmetatable(L, PRESENCE);
    int error = port_of(L)->hold(presence, name, text, why, sizeof why);
    return error != 0 ? program_push_failure(L, why) : 1;
}

static int presence_say(lua_State *L)
{
    struct presence **presence = luaL_checkudata(L, 1, PRESENCE);
    const char *text = luaL_checkstring(L, 2);
    luaL_argcheck(L, *presence != NULL, 1, "closed");
    int error = port_of(L)->say(*presence, text);
    if (error != 0)
        return program_push_failure(L, strerror(-error));
    lua_pushboolean(L, true);
    return 1;
}

static int presence_close(lua_State *L)
{
    struct presence **presence = luaL_checkudata(L, 1, PRESENCE);
    struct presence *ending = *presence;
    *presence = NULL;
    if (ending != NULL)
        port_of(L)->end(ending);
    return 0;
}

/* ---- Others' ---------------------------------------------------------------- */

struct found {
    struct found *next;
    long pid;
    char file[128], name[64];
    char text[];
};

struct search {
    struct found *list;
    bool failed;
};

static int compare(const struct found *left, const struct found *right)
{
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : (left->pid > right->pid) - (left->pid < right->pid);
}

static void note(void *context, const char *file, const char *name, long pid, const char *text)
{
    struct search *search = context;
    struct found  *found = malloc(sizeof *found + strlen(text) + 1);
    if (found == NULL) {
        search->failed = true;
        return;
    }
    found->pid = pid;
    strncpy(found->file, file, sizeof found->file - 1);
    found->file[sizeof found->file - 1] = '\0';
    strncpy(found->name, name, sizeof found->name - 1);
    found->name[sizeof found->name - 1] = '\0';
    strcpy(found->text, text);
    struct found **link = &search->list;
    while (*link != NULL && compare(*link, found) < 0)
        link = &(*link)->next;
    found->next = *link;
    *link = found;
}

static int push_list(lua_State *L)
{
    const struct search *search = lua_touserdata(L, 1);
    lua_Integer count = 0;
    lua_newtable(L);
    for (const struct found *found = search->list; found != NULL; found = found->next) {
        lua_createtable(L, 0, 4);
        lua_pushstring(L, found->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, found->file);
        lua_setfield(L, -2, "file");
        lua_pushstring(L, found->text);
        lua_setfield(L, -2, "text");
        lua_pushinteger(L, found->pid);
        lua_setfield(L, -2, "pid");
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

static int presence_list(lua_State *L)
{
    char why[WHY_ROOM] = "out of memory";
    struct search search = { NULL, false };
    int error = port_of(L)->present(note, &search, why, sizeof why);
    bool listed = false;
    if (error == 0 && !search.failed) {
        lua_pushcfunction(L, push_list);
        lua_pushlightuserdata(L, &search);
        listed = lua_pcall(L, 1, 1, 0) == LUA_OK;
    }
    while (search.list != NULL) {
        struct found *found = search.list;
        search.list = found->next;
        free(found);
    }
    return listed ? 1 : program_push_failure(L, why);
}

static int presence_reach(lua_State *L)
{
    const char *file = luaL_checkstring(L, 1);
    int *process = lua_newuserdatauv(L, sizeof *process, 0);
    *process = -1;
    luaL_setmetatable(L, PROCESS);
    int descriptor = port_of(L)->reach(file);
    if (descriptor < 0)
        return program_push_failure(L, descriptor == -ESRCH ? "it has ended" : strerror(-descriptor));
    *process = descriptor;
    return 1;
}

static int process_in(lua_State *L)
{
    const int *process = luaL_checkudata(L, 1, PROCESS);
    luaL_argcheck(L, *process >= 0, 1, "closed");
    return *process;
}

static int process_kill(lua_State *L)
{
    int process = process_in(L);
    int signal = program_check_signal(L, 2);
    lua_pushboolean(L, syscall(SYS_pidfd_send_signal, process, signal, NULL, 0) == 0);
    return 1;
}

static int process_wait(lua_State *L)
{
    static struct clock clock;
    struct pollfd file = { .fd = process_in(L), .events = POLLIN };
    lua_Number seconds = luaL_checknumber(L, 2);
    seconds = seconds > 0 ? seconds < 1e9 ? seconds : 1e9 : 0;
    uint64_t until_ns = clock_now(&clock) + (uint64_t)(seconds * 1e9);
    int count = 0;
    for (uint64_t at_ns = 0; count <= 0 && at_ns < until_ns;) {
        at_ns = clock_now(&clock);
        uint64_t left_ms = at_ns < until_ns ? (until_ns - at_ns) / NS_PER_MS + 1 : 0;
        count = poll(&file, 1, left_ms < 3600000 ? (int)left_ms : 3600000);
    }
    lua_pushboolean(L, count > 0);
    return 1;
}

static int process_close(lua_State *L)
{
    int *process = luaL_checkudata(L, 1, PROCESS);
    if (*process >= 0)
        close(*process);
    *process = -1;
    return 0;
}

/* ---- The module ------------------------------------------------------------- */

void program_presence_add(lua_State *L, const struct children_port *port)
{
    static const luaL_Reg presence_methods[] = {
        { "say", presence_say },    { "close", presence_close },   { "__gc", presence_close },
        { "__close", presence_close }, { NULL, NULL },
    };
    static const luaL_Reg process_methods[] = {
        { "kill", process_kill },  { "wait", process_wait },     { "close", process_close },
        { "__gc", process_close }, { "__close", process_close }, { NULL, NULL },
    };
    static const luaL_Reg functions[] = {
        { "hold", presence_hold }, { "present", presence_list }, { "reach", presence_reach },
        { NULL, NULL },
    };
    program_make_class(L, PRESENCE, presence_methods, port);
    program_make_class(L, PROCESS, process_methods, port);
    lua_pushlightuserdata(L, (void *)(uintptr_t)port);
    luaL_setfuncs(L, functions, 1);
}
