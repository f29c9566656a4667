/*
 * stage.c -- a host as a Lua module, driven step by step: the native half of
 * lua/troupe/stage.lua, which says what each function means.
 *
 * A stage is a stepped host and one actor of its own, the *probe*: it sends
 * what the spec sends, and keeps what is answered to it. Everything runs on
 * the thread of the Lua program that drives it.
 */
#include "stage.h"

#include "script/pack_lua.h"
#include "script/ref.h"
#include "stage_kept.h"
#include "stage_reload.h"
#include "stage_take.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define STEP_LIMIT      50000000

static unsigned open_stages;   /* what is left can be told when the last one closes */
static size_t   states_before; /* vms there were when the first one opened */

/* ---- Lua's side ---- */

static int stage_new(lua_State *L)
{
    uint64_t seed = (uint64_t)luaL_optinteger(L, 1, 0);
    struct stage *stage = lua_newuserdatauv(L, sizeof *stage, 0);
    stage_kept_init(stage);
    luaL_setmetatable(L, STAGE_METATABLE);
    if (open_stages == 0)
        states_before = vm_count();

    message_ledger_begin();
    char why[HOST_WHY];
    struct host_options options = { .stepped = true,
                                    .seed = seed,
                                    .actors = (uint32_t)luaL_optinteger(L, 2, 0),
                                    .timers = (uint32_t)luaL_optinteger(L, 3, 0),
                                    .children = (uint32_t)luaL_optinteger(L, 4, 0),
                                    .memory_total = (size_t)luaL_optinteger(L, 5, 0) };
    if (host_make(&stage->host, &options, why, sizeof why) != 0) {
        message_ledger_end();
        return luaL_error(L, "no stage: %s", why);
    }
    open_stages++;
    if (stage_kept_begin(stage, why, sizeof why) != 0)
        return luaL_error(L, "no stage: %s", why);
    return 1;
}

actor_id stage_check_actor(lua_State *L, struct stage *stage, int index)
{
    actor_id id;
    struct address *address;
    if (lua_type(L, index) == LUA_TSTRING) {
        size_t size;
        const char *name = lua_tolstring(L, index, &size);
        id = registry_find_name(&stage_system(stage)->registry, name, size);
        if (id == 0)
            luaL_error(L, "no actor on this stage is named '%s'", name);
        return id;
    }
    if (!ref_get(L, index, &id, &address) || address != NULL)
        luaL_error(L, "an actor of this stage or its name is expected, not %s",
                   lua_isnil(L, index) ? "nil (did the spawn fail?)" : luaL_typename(L, index));
    return id;
}

static const char *text_field(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 1); /* the table keeps it */
    return text;
}

/* The options of actor.spawn, in the table at `index`, which keeps their texts. */
static void check_spawn_options(lua_State *L, int index, struct script_options *options)
{
    char why[256];
    lua_pushnil(L); /* a place for types */
    int kept = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        int value = lua_gettop(L);
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (strcmp(name, "config") == 0)
            luaL_error(L, "spawn: the config is the second argument, not an option");
        if (strcmp(name, "path") != 0 && strcmp(name, "source") != 0) {
            int answer = script_read_option(L, name, lua_gettop(L), options, why, sizeof why);
            if (answer == 0)
                luaL_error(L, "spawn: options have no '%s'", name);
            if (answer < 0)
                luaL_error(L, "spawn: %s", why);
        }
        if (lua_gettop(L) > value)
            lua_replace(L, kept);
        lua_settop(L, value - 1);
    }
}

static int stage_spawn(lua_State *L)
{
    struct stage *stage = stage_check(L);
    lua_settop(L, 3);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct script_options options = { 0 };
    check_spawn_options(L, 2, &options);
    const char *path = text_field(L, 2, "path");
    const char *text = text_field(L, 2, "source");
    if (path == NULL && text == NULL)
        return luaL_error(L, "spawn takes a path or a table with a source");

    if (lua_isnil(L, 3))
        lua_newtable(L);
    else
        lua_pushvalue(L, 3);
    if (!lua_istable(L, -1))
        return luaL_error(L, "spawn: config is a table, not a %s", luaL_typename(L, -1));
    size_t size;
    const uint8_t *packed = pack_lua_value(L, -1, "config", &size);
    lua_pushlstring(L, (const char *)packed, size); /* kept: loading may pack, too */
    const char *config = lua_tostring(L, -1);
    options.config = (const uint8_t *)config;
    options.config_size = size;

    actor_id id;
    char why[HOST_WHY];
    int error;
    if (path != NULL) {
        error = script_spawn(&stage->host->world, path, NULL, 0, &options, &id, why, sizeof why);
    } else {
        struct source *source;
        char chunk_name[128];
        snprintf(chunk_name, sizeof chunk_name, "@%s.lua",
                 options.name != NULL ? options.name : "actor");
        error = source_from_text(chunk_name, text, strlen(text), &source, why, sizeof why);
        if (error == 0) {
            error = script_spawn_source(&stage->host->world, source, 0, &options, &id, why,
                                        sizeof why);
            source_unref(source);
        }
    }
    if (error == 0)
        error = lifecycle_start(stage_system(stage), id, config, size);
    if (error != 0) {
        lua_pushnil(L);
        lua_pushstring(L, why);
        return 2;
    }
    ref_push_actor(L, id);
    return 1;
}

/* The message of send(to, type, msg) and ask(to, type, msg). */
static struct message *check_message(lua_State *L, struct stage *stage, enum message_kind kind,
                                     actor_id *to)
{
    *to = stage_check_actor(L, stage, 2);
    size_t type_size, size;
    const char *type_text = luaL_checklstring(L, 3, &type_size);
    type_id type = type_intern(type_text, type_size);
    if (type == TYPE_NONE)
        luaL_error(L, "'%s' cannot be a message type", type_text);
    const uint8_t *packed = pack_lua_message(L, 4, &size);
    struct message *message = message_new(kind, type, packed, size);
    if (message == NULL)
        luaL_error(L, "out of memory");
    message->to = *to;
    message->from = stage->probe;
    return message;
}

static int why_tostring(lua_State *L)
{
    lua_getfield(L, 1, "text");
    return 1;
}

int stage_push_why(lua_State *L, enum failure_reason reason, const char *text)
{
    lua_pushnil(L);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, failure_reason_name(reason));
    lua_setfield(L, -2, "reason");
    lua_pushstring(L, text);
    lua_setfield(L, -2, "text");
    if (luaL_newmetatable(L, "troupe.why")) {
        lua_pushcfunction(L, why_tostring);
        lua_setfield(L, -2, "__tostring");
    }
    lua_setmetatable(L, -2);
    return 2;
}

static int push_router_answer(lua_State *L, enum router_answer answer)
{
    switch (answer) {
    case ROUTER_OK:
        lua_pushboolean(L, true);
        return 1;
    case ROUTER_FULL:
        return stage_push_why(L, FAILURE_FULL, "the mailbox is full");
    default:
        return stage_push_why(L, FAILURE_DOWN, "the actor has ended");
    }
}

static int stage_send(lua_State *L)
{
    struct stage *stage = stage_check(L);
    actor_id to;
    struct message *message = check_message(L, stage, MESSAGE_ORDINARY, &to);
    enum router_answer answer = router_send(stage_system(stage), &message, 0);
    message_free(message);
    return push_router_answer(L, answer);
}

unsigned stage_run_until_idle(lua_State *L, struct stage *stage, bool until_answer)
{
    unsigned steps = 0;
    while (!(until_answer && stage->answer != NULL) && host_step(stage->host))
        if (++steps == (unsigned)STEP_LIMIT)
            luaL_error(L, "the stage is still busy after %d steps: do actors send to each other "
                          "without end?", (int)steps);
    return steps;
}

static int stage_run(lua_State *L)
{
    lua_pushinteger(L, stage_run_until_idle(L, stage_check(L), false));
    return 1;
}

static int stage_poll(lua_State *L)
{
    struct stage *stage = stage_check(L);
    const struct stream_port *streams = &stage_system(stage)->streams;
    unsigned wait_ms = (unsigned)(luaL_checknumber(L, 2) * 1000 + 0.5);
    stage_run_until_idle(L, stage, false);
    bool any = streams->step(streams->context, wait_ms);
    stage_run_until_idle(L, stage, false);
    lua_pushboolean(L, any);
    return 1;
}

static void move_clock(struct stage *stage, uint64_t to_ns)
{
    timers_advance(stage_system(stage)->timers, to_ns);
    clock_set(&stage_system(stage)->clock, to_ns);
    atomic_store_explicit(&stage_system(stage)->born_ms, (uint32_t)(to_ns / NS_PER_MS),
                          memory_order_relaxed);
}

static uint64_t after_seconds(struct stage *stage, double seconds)
{
    return clock_now(&stage_system(stage)->clock) + (uint64_t)(seconds * 1e9 + 0.5);
}

static int stage_advance(lua_State *L)
{
    struct stage *stage = stage_check(L);
    uint64_t end_ns = after_seconds(stage, luaL_checknumber(L, 2));
    stage_run_until_idle(L, stage, false);
    for (;;) {
        uint64_t next_ns = host_next_ns(stage->host);
        if (next_ns > end_ns)
            break;
        move_clock(stage, next_ns);
        stage_run_until_idle(L, stage, false);
    }
    move_clock(stage, end_ns);
    stage_run_until_idle(L, stage, false);
    return 0;
}

static int push_answer(lua_State *L, struct stage *stage)
{
    struct message *answer = stage->answer;
    if (answer == NULL)
        return stage_push_why(L, FAILURE_TIMEOUT, "no answer by the deadline");
    int results;
    if (answer->kind == MESSAGE_FAILURE) {
        char text[256];
        snprintf(text, sizeof text, "%.*s", (int)answer->size, (const char *)answer->payload);
        results = stage_push_why(L, (enum failure_reason)answer->reason, text);
    } else {
        pack_lua_push(L, answer->payload, answer->size);
        lua_createtable(L, 0, 1);
        lua_pushstring(L, type_name(answer->type));
        lua_setfield(L, -2, "type");
        results = 2;
    }
    stage->answer = NULL;
    message_free(answer);
    return results;
}

static int stage_ask(lua_State *L)
{
    struct stage *stage = stage_check(L);
    double seconds = luaL_checknumber(L, 5);
    actor_id to;
    struct message *message = check_message(L, stage, MESSAGE_ASK, &to);
    message->request = ++stage->asked;
    enum router_answer sent = router_send(stage_system(stage), &message, 0);
    message_free(message);
    if (sent != ROUTER_OK)
        return push_router_answer(L, sent);

    uint64_t deadline_ns = after_seconds(stage, seconds);
    stage_run_until_idle(L, stage, true);
    while (stage->answer == NULL) {
        uint64_t next_ns = host_next_ns(stage->host);
        bool late = next_ns > deadline_ns;
        move_clock(stage, late ? deadline_ns : next_ns);
        stage_run_until_idle(L, stage, true);
        if (late)
            break;
    }
    int results = push_answer(L, stage);
    stage->asked++; /* an answer from now on is late */
    return results;
}

static int stage_stop(lua_State *L)
{
    struct stage *stage = stage_check(L);
    lua_pushboolean(L, lifecycle_stop(stage_system(stage), stage_check_actor(L, stage, 2),
                                      lua_toboolean(L, 3)));
    return 1;
}

static int stage_alive(lua_State *L)
{
    struct stage *stage = stage_check(L);
    actor_id id;
    struct address *address;
    if (lua_type(L, 2) == LUA_TSTRING) {
        size_t size;
        const char *name = lua_tolstring(L, 2, &size);
        lua_pushboolean(L, registry_find_name(&stage_system(stage)->registry, name, size) != 0);
        return 1;
    }
    lua_pushboolean(L, ref_get(L, 2, &id, &address) && address == NULL &&
                           registry_find(&stage_system(stage)->registry, id) != NULL);
    return 1;
}

static int stage_now(lua_State *L)
{
    struct stage *stage = stage_check(L);
    lua_pushnumber(L, (double)(clock_now(&stage_system(stage)->clock) - NS_PER_SEC) / 1e9);
    return 1;
}

/* Returns nothing, or what was left behind. */
static int stage_close(lua_State *L)
{
    struct stage *stage = luaL_checkudata(L, 1, STAGE_METATABLE);
    if (stage->host == NULL)
        return 0;
    struct system *system = stage_system(stage);
    struct shutdown_account account;
    char where[512];
    luaL_Buffer left;

    reloads_stop(stage->host->world.reloads);
    lifecycle_shut_down(system, clock_now(&system->clock) + 5 * NS_PER_SEC, &account);
    size_t timers = timers_count(system->timers);
    uint32_t living = atomic_load_explicit(&system->registry.living, memory_order_relaxed);
    unsigned over_budget = stage->host->world.over_budget;
    stage_kept_end(stage);
    stage_kept_fini(stage);
    host_free(stage->host);
    stage->host = NULL;
    bool   last = --open_stages == 0;
    size_t states = last ? vm_count() - states_before : 0;
    size_t messages = last ? message_ledger_left(where, sizeof where) : 0;
    message_ledger_end();

    luaL_buffinit(L, &left);
    if (living > 0) {
        lua_pushfstring(L, "actors that did not end: %s; ", account.names);
        luaL_addvalue(&left);
    }
    if (timers > 0) {
        lua_pushfstring(L, "%d timers; ", (int)timers);
        luaL_addvalue(&left);
    }
    if (messages > 0) {
        lua_pushfstring(L, "%d messages: %s; ", (int)messages, where);
        luaL_addvalue(&left);
    }
    if (over_budget > 0) {
        lua_pushfstring(L, "%d handlers that used up their instruction budget (see the log); ",
                        (int)over_budget);
        luaL_addvalue(&left);
    }
    if (states > 0) {
        lua_pushfstring(L, "%d Lua states; ", (int)states);
        luaL_addvalue(&left);
    }
    luaL_pushresult(&left);
    if (lua_rawlen(L, -1) == 0)
        return 0;
    return 1;
}

static int stage_collect(lua_State *L)
{
    lua_settop(L, 1);
    stage_close(L);
    return 0;
}

int stage_core_open(struct lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "spawn", stage_spawn },   { "send", stage_send },
        { "ask", stage_ask },       { "run", stage_run },
        { "poll", stage_poll },     { "reload", stage_reload },
        { "advance", stage_advance }, { "outbox", stage_outbox },
        { "output", stage_output }, { "log", stage_log },
        { "dead_letters", stage_dead_letters }, { "trace", stage_trace },
        { "stop", stage_stop },     { "alive", stage_alive },
        { "now", stage_now },       { "close", stage_close },
        { NULL, NULL },
    };
    if (luaL_newmetatable(L, STAGE_METATABLE)) {
        luaL_newlib(L, methods);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, stage_collect);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, stage_new);
    lua_setfield(L, -2, "stage");
    return 1;
}
