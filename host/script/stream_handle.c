/*
 * stream_handle.c -- see stream_handle.h; and what a script can do with a stream.
 */
#include "script/stream_handle.h"

#include "script/api.h"
#include "script/ref.h"

#include <lauxlib.h>
#include <stdio.h>

#define TEXT_ROOM      300
#define DEADLINE_INDEX 4 /* on the stack of a send() that waits, behind its arguments */

static const char metatable_key; /* of handles, in the registry */
static const char known_key;     /* the handles there are, by number: a weak table */

struct handle {
    stream_id id;
};

bool stream_get(lua_State *L, int index, stream_id *id)
{
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index))
        return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key);
    bool ours = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    if (ours)
        *id = ((struct handle *)lua_touserdata(L, index))->id;
    return ours;
}

static stream_id check_stream(lua_State *L, const char *what)
{
    stream_id id;
    api_refuse_loading(L, what);
    if (!stream_get(L, 1, &id))
        luaL_error(L, "%s: a stream is expected, not a %s (call it as stream:%s(...))", what,
                   luaL_typename(L, 1), what);
    return id;
}

static const struct stream_port *port_of(const struct script *script)
{
    return &script->world->system->streams;
}

/* "connection with tcp://127.0.0.1:40001", or that it has ended. */
static bool describe(struct script *script, stream_id id, char *text, size_t room, char *address,
                     size_t address_room)
{
    const struct stream_port *port = port_of(script);
    if (port->describe != NULL &&
        port->describe(port->context, id, text, room, address, address_room))
        return true;
    snprintf(text, room, "stream that has ended");
    return false;
}

static int push_failure(lua_State *L, enum failure_reason reason, stream_id id, const char *format)
{
    char name[TEXT_ROOM], address[TEXT_ROOM], text[2 * TEXT_ROOM];
    describe(script_of(L), id, name, sizeof name, address, sizeof address);
    snprintf(text, sizeof text, format, name);
    return script_push_failure(L, reason, text);
}

/* ---- Writing -------------------------------------------------------------- */

static int push_answer(lua_State *L, enum stream_answer answer, stream_id id, const char *what)
{
    char name[TEXT_ROOM], address[TEXT_ROOM];
    switch (answer) {
    case STREAM_OK:
        lua_pushboolean(L, true);
        return 1;
    case STREAM_FULL:
    case STREAM_PARKED:
        return push_failure(L, FAILURE_FULL, id, "%s: no room in its buffer: the other side does "
                                                 "not read");
    case STREAM_MUTE:
        describe(script_of(L), id, name, sizeof name, address, sizeof address);
        return luaL_error(L, "%s: %s cannot be written to", what, name);
    default:
        return push_failure(L, FAILURE_DOWN, id, "%s: it can be written to no more");
    }
}

static int go_on_sending(lua_State *L, int status, lua_KContext context);

/* Writes what the arguments say, and waits for room if there is none. */
static int send_or_wait(lua_State *L, stream_id id)
{
    struct script *script = script_of(L);
    const struct stream_port *port = port_of(script);
    uint64_t deadline_ns = (uint64_t)lua_tointeger(L, DEADLINE_INDEX);
    uint64_t now_ns = clock_now(&script->world->system->clock);
    size_t size;
    const char *text = lua_tolstring(L, 2, &size);
    if (now_ns >= deadline_ns)
        return push_answer(L, STREAM_FULL, id, "send");

    struct wait *wait =
        script_wait_begin(script, WAIT_ROOM, APPETITE_CONTROL, deadline_ns - now_ns);
    enum stream_answer answer =
        port->write(port->context, id, text, size, actor_self(script->actor), wait->number);
    if (answer == STREAM_PARKED)
        return script_wait(L, "send", go_on_sending);
    script_wait_over(script);
    return push_answer(L, answer, id, "send");
}

static int go_on_sending(lua_State *L, int status, lua_KContext context)
{
    struct wait *wait = &script_of(L)->hand.wait;
    stream_id id = 0;
    (void)status;
    (void)context;
    stream_get(L, 1, &id);
    if (wait->failure == FAILURE_NONE)
        return send_or_wait(L, id);
    if (wait->failure == FAILURE_STOPPING)
        return push_failure(L, FAILURE_STOPPING, id, "%s: no room in its buffer, and the actor is "
                                                     "stopping");
    return push_answer(L, STREAM_FULL, id, "send");
}

/* What is written without waiting: all of the text, or nothing. */
static enum stream_answer try_write(lua_State *L, stream_id id, const char *what)
{
    const struct stream_port *port = port_of(script_of(L));
    size_t size;
    if (lua_type(L, 2) != LUA_TSTRING && lua_type(L, 2) != LUA_TNUMBER)
        luaL_error(L, "%s: a text is expected, not a %s", what, luaL_typename(L, 2));
    const char *text = lua_tolstring(L, 2, &size);
    return port->write == NULL ? STREAM_GONE
                               : port->write(port->context, id, text, size, 0, 0);
}

/* stream:send(text, {timeout=}) -> true, or nil and why. */
static int stream_send(lua_State *L)
{
    struct script *script = script_of(L);
    stream_id id = check_stream(L, "send");
    char why[TEXT_ROOM];
    lua_settop(L, 3);
    struct send_options options = api_check_options(L, script, 3, "send", OPTION_TIMEOUT);
    enum stream_answer answer = try_write(L, id, "send");
    if (answer != STREAM_FULL || options.timeout_ns == 0)
        return push_answer(L, answer, id, "send");
    if (script_is_cut(script))
        return push_failure(L, FAILURE_STOPPING, id, "%s: no room in its buffer, and the actor is "
                                                     "stopping");
    if (!vm_can_wait(L, "send", why, sizeof why))
        return push_answer(L, answer, id, "send");
    uint64_t now_ns = clock_now(&script->world->system->clock);
    lua_pushinteger(L, (lua_Integer)(now_ns + options.timeout_ns));
    return send_or_wait(L, id);
}

/* stream:try_send(text) -> true, or nil and why: never waits. */
static int stream_try_send(lua_State *L)
{
    stream_id id = check_stream(L, "try_send");
    lua_settop(L, 2);
    return push_answer(L, try_write(L, id, "try_send"), id, "try_send");
}

/* stream:shutdown() -> true, or nil and why: nothing more will be written. */
static int stream_shutdown(lua_State *L)
{
    stream_id id = check_stream(L, "shutdown");
    const struct stream_port *port = port_of(script_of(L));
    return push_answer(L, port->shut_down == NULL ? STREAM_GONE
                                                  : port->shut_down(port->context, id),
                       id, "shutdown");
}

/* ---- The rest ------------------------------------------------------------- */

/* stream:close() -> whether it was open. */
static int stream_close(lua_State *L)
{
    stream_id id = check_stream(L, "close");
    const struct stream_port *port = port_of(script_of(L));
    lua_pushboolean(L, port->close != NULL && port->close(port->context, id));
    return 1;
}

/* stream:hand_to(ref) -> true, or nil and why: from now on its messages go there. */
static int stream_hand_to(lua_State *L)
{
    struct script *script = script_of(L);
    const struct stream_port *port = port_of(script);
    stream_id id = check_stream(L, "hand_to");
    struct target target;
    if (!ref_get(L, 2, &target.id, &target.address))
        return luaL_error(L, "hand_to: a ref is expected, not a %s", luaL_typename(L, 2));
    api_resolve(script, &target);
    if (target.address != NULL && target.address->endpoint_size > 0)
        return luaL_error(L, "hand_to: a stream stays on its host, and this actor is elsewhere");
    struct actor *other = registry_find(&script->world->system->registry, target.id);
    if (target.id == 0 || other == NULL)
        return push_failure(L, FAILURE_DOWN, id, "%s: the actor has ended");
    /* Before the stream's notice can reach it: it ends after that, and sees this,
     * or its mailbox is closed by then, and the stream sees that. */
    atomic_store_explicit(&other->has_streams, true, memory_order_seq_cst);
    if (port->hand_over == NULL ||
        port->hand_over(port->context, id, actor_self(script->actor), target.id) != STREAM_OK)
        return push_failure(L, FAILURE_DOWN, id, "%s: it is not this actor's");
    lua_pushboolean(L, true);
    return 1;
}

/* stream:address() -> "tcp://127.0.0.1:5001": where it listens, or leads; or nil. */
static int stream_address(lua_State *L)
{
    char name[TEXT_ROOM], address[TEXT_ROOM] = "";
    stream_id id = check_stream(L, "address");
    describe(script_of(L), id, name, sizeof name, address, sizeof address);
    if (*address != '\0')
        lua_pushstring(L, address);
    else
        lua_pushnil(L);
    return 1;
}

static int stream_tostring(lua_State *L)
{
    char name[TEXT_ROOM], address[TEXT_ROOM];
    stream_id id;
    if (!stream_get(L, 1, &id))
        return luaL_error(L, "a stream is expected, not a %s", luaL_typename(L, 1));
    describe(script_of(L), id, name, sizeof name, address, sizeof address);
    lua_pushstring(L, name);
    return 1;
}

/* ---- Handles -------------------------------------------------------------- */

static void push_metatable(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "send", stream_send },         { "try_send", stream_try_send },
        { "shutdown", stream_shutdown }, { "close", stream_close },
        { "hand_to", stream_hand_to },   { "address", stream_address },
        { NULL, NULL },
    };
    if (LIKELY(lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key) == LUA_TTABLE))
        return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 3);
    lua_pushliteral(L, "stream");
    lua_setfield(L, -2, "__name");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, stream_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);
}

static void push_known(lua_State *L)
{
    if (LIKELY(lua_rawgetp(L, LUA_REGISTRYINDEX, &known_key) == LUA_TTABLE))
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &known_key);
}

void stream_push(lua_State *L, stream_id id)
{
    luaL_checkstack(L, 6, "too many values to make a stream");
    push_known(L);
    if (LIKELY(lua_rawgeti(L, -1, (lua_Integer)id) == LUA_TUSERDATA)) {
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 1);
    struct handle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
    handle->id = id;
    push_metatable(L);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, (lua_Integer)id); /* known[id] = handle */
    lua_remove(L, -2);
}
