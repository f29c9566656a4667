/*
 * program_control.c -- see program_control.h: connections as Lua sees them.
 */
#include "script/program_control.h"

#include "base/clock.h"
#include "base/signals.h"
#include "script/program_class.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION  "troupe.control_connection"
#define WHY_ROOM    1024
#define FOLDER_ROOM 4096
#define HOSTS_MOST  1024
#define LINE_MAX_BYTES ((size_t)64 << 20) /* of an answer: more comes from no host of ours */
#define SEND_MS     5000                  /* for a host to take a request */

struct control_connection {
    int    descriptor; /* -1: closed */
    int    signals;    /* signalfd; -1: closed */
    bool   ended;      /* the host has closed it */
    char  *data;       /* read, and not yet returned; a block of malloc() */
    size_t size, room, searched;
};

static const struct control_port *port_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* ---- Which there are ------------------------------------------------------- */

static int compare_hosts(const void *left, const void *right)
{
    const struct control_host *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a->pid > b->pid) - (a->pid < b->pid);
}

static int control_list(lua_State *L)
{
    char why[WHY_ROOM] = "", folder[FOLDER_ROOM] = "";
    struct control_host *hosts = lua_newuserdatauv(L, HOSTS_MOST * sizeof *hosts, 0);
    int count = port_of(L)->list(hosts, HOSTS_MOST, folder, sizeof folder, why, sizeof why);
    if (count < 0)
        return program_push_failure(L, why);
    qsort(hosts, (size_t)count, sizeof *hosts, compare_hosts);
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_createtable(L, 0, 3);
        lua_pushstring(L, hosts[i].name);
        lua_setfield(L, -2, "name");
        lua_pushinteger(L, hosts[i].pid);
        lua_setfield(L, -2, "pid");
        lua_pushstring(L, hosts[i].path);
        lua_setfield(L, -2, "path");
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushstring(L, folder);
    return 2;
}

/* ---- A connection ---------------------------------------------------------- */

static struct control_connection *connection_in(lua_State *L)
{
    struct control_connection *connection = luaL_checkudata(L, 1, CONNECTION);
    luaL_argcheck(L, connection->descriptor >= 0, 1, "closed");
    return connection;
}

static int control_take_signals(lua_State *L)
{
    (void)L;
    sigset_t signals = ending_signals();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return 0;
}

static int control_connect(lua_State *L)
{
    char why[WHY_ROOM] = "";
    const char *path = luaL_checkstring(L, 1);
    struct control_connection *connection = lua_newuserdatauv(L, sizeof *connection, 0);
    *connection = (struct control_connection){ .descriptor = -1, .signals = -1 };
    luaL_setmetatable(L, CONNECTION);
    int descriptor = port_of(L)->connect(path, why, sizeof why);
    if (descriptor < 0)
        return program_push_failure(L, why);
    connection->descriptor = descriptor;
    sigset_t signals = ending_signals();
    connection->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (connection->signals < 0)
        return program_push_failure(L, strerror(errno));
    return 1;
}

static int connection_close(lua_State *L)
{
    struct control_connection *connection = luaL_checkudata(L, 1, CONNECTION);
    if (connection->descriptor >= 0)
        close(connection->descriptor);
    if (connection->signals >= 0)
        close(connection->signals);
    free(connection->data);
    *connection = (struct control_connection){ .descriptor = -1, .signals = -1 };
    return 0;
}

static int connection_descriptor(lua_State *L)
{
    lua_pushinteger(L, connection_in(L)->descriptor);
    return 1;
}

/* All of it, unless the host does not take it in time. */
static bool send_all(int descriptor, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(descriptor, text, size, MSG_NOSIGNAL);
        if (sent > 0) {
            text += sent;
            size -= (size_t)sent;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return false;
        struct pollfd file = { .fd = descriptor, .events = POLLOUT };
        if (errno == EAGAIN && poll(&file, 1, SEND_MS) == 0)
            return false;
    }
    return true;
}

static int connection_send(lua_State *L)
{
    struct control_connection *connection = connection_in(L);
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    if (!send_all(connection->descriptor, text, size) ||
        !send_all(connection->descriptor, "\n", 1))
        return program_push_failure(L, "closed");
    lua_pushboolean(L, true);
    return 1;
}

/* Pushes the line that has come, if one has. */
static bool push_line(lua_State *L, struct control_connection *connection)
{
    char *end = connection->size > connection->searched
                    ? memchr(connection->data + connection->searched, '\n',
                             connection->size - connection->searched)
                    : NULL;
    connection->searched = connection->size;
    if (end == NULL)
        return false;
    size_t size = (size_t)(end - connection->data);
    lua_pushlstring(L, connection->data, size);
    connection->size -= size + 1;
    memmove(connection->data, end + 1, connection->size);
    connection->searched = 0;
    return true;
}

/* False: no memory, or nobody sends that much. */
static bool make_room(struct control_connection *connection)
{
    if (connection->size < connection->room)
        return true;
    size_t room = connection->room > 0 ? 2 * connection->room : 16384;
    char *data = room <= LINE_MAX_BYTES ? realloc(connection->data, room) : NULL;
    if (data == NULL)
        return false;
    connection->data = data;
    connection->room = room;
    return true;
}

static void read_some(struct control_connection *connection)
{
    ssize_t got = -1;
    if (make_room(connection))
        got = recv(connection->descriptor, connection->data + connection->size,
                   connection->room - connection->size, 0);
    else
        errno = ENOMEM;
    if (got > 0)
        connection->size += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        connection->ended = true;
}

/* Which signal has come, as a word; NULL: none. */
static const char *taken_signal(struct control_connection *connection)
{
    struct signalfd_siginfo info;
    if (read(connection->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return NULL;
    return info.ssi_signo == SIGINT ? "interrupted" : "terminated";
}

static uint64_t now_ns(void)
{
    static struct clock clock;
    return clock_now(&clock);
}

/* Waits until something has come: NULL, or why nothing has. */
static const char *await_more(struct control_connection *connection, uint64_t until_ns)
{
    for (;;) {
        uint64_t at_ns = now_ns();
        uint64_t left_ms = until_ns > at_ns ? (until_ns - at_ns) / NS_PER_MS + 1 : 0;
        struct pollfd files[] = { { .fd = connection->descriptor, .events = POLLIN },
                                  { .fd = connection->signals, .events = POLLIN } };
        int ready = poll(files, 2, left_ms < 60000 ? (int)left_ms : 60000);
        const char *signal = ready > 0 && files[1].revents ? taken_signal(connection) : NULL;
        if (signal != NULL)
            return signal;
        if (ready > 0 && files[0].revents) {
            read_some(connection);
            return NULL;
        }
        if (left_ms == 0)
            return "timeout";
    }
}

static int connection_receive(lua_State *L)
{
    struct control_connection *connection = connection_in(L);
    lua_Number seconds = luaL_optnumber(L, 2, 1e9);
    uint64_t until_ns = now_ns() + (seconds > 0 ? (uint64_t)((seconds < 1e9 ? seconds : 1e9) * 1e9) : 0);
    while (!push_line(L, connection)) {
        if (connection->ended)
            return program_push_failure(L, "closed");
        sigset_t signals = ending_signals(), before;
        pthread_sigmask(SIG_BLOCK, &signals, &before);
        const char *why = await_more(connection, until_ns);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (why != NULL)
            return program_push_failure(L, why);
    }
    return 1;
}

void program_control_add(lua_State *L, const struct control_port *port)
{
    static const luaL_Reg methods[] = {
        { "send", connection_send },
        { "receive", connection_receive },
        { "descriptor", connection_descriptor },
        { "close", connection_close },
        { "__gc", connection_close },
        { "__close", connection_close },
        { NULL, NULL },
    };
    static const luaL_Reg functions[] = {
        { "control_list", control_list },
        { "control_connect", control_connect },
        { "control_take_signals", control_take_signals },
        { NULL, NULL },
    };
    program_make_class(L, CONNECTION, methods, port);
    lua_pushlightuserdata(L, (void *)(uintptr_t)port);
    luaL_setfuncs(L, functions, 1);
}
