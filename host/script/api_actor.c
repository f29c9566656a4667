/*
 * api_actor.c -- the global `actor`: each field is made when it is first read.
 */
#include "script/api.h"

#include "base/memory.h"
#include "base/suggest.h"
#include "script/class.h"
#include "script/ref.h"
#include "script/reload.h"
#include "script/sandbox.h"
#include "script/staging.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* actor.time() on the stage is this (2000-01-01 00:00:00 UTC) and the stage's clock. */
#define STAGE_EPOCH_NS (UINT64_C(946684800) * NS_PER_SEC)

void api_refuse_loading(lua_State *L, const char *what)
{
    const struct script *script = script_of(L);
    if (script->vm.loading || script->actor == NULL)
        luaL_error(L, staging_defers(script)
                          ? "%s: on_reload only brings self up to date, sends, and sets timers; do "
                            "this in a handler"
                          : "%s: a script's top level only defines; do this in a handler",
                   what);
}

/* ---- Refs -------------------------------------------------------------- */

/* Appends "@" and our own endpoint, if others can reach us, to the name of an
 * actor that lives: a text that means it everywhere, as in a message that leaves. */
static void append_own_endpoint(const struct script *script, actor_id id, char *text, size_t room)
{
    struct system *system = script->world->system;
    const struct remote_port *remote = &system->remote;
    const char *endpoint =
        remote->own_endpoint != NULL ? remote->own_endpoint(remote->context) : "";
    if (*endpoint == '\0' || registry_find(&system->registry, id) == NULL)
        return;
    size_t size = strlen(text);
    snprintf(text + size, room - size, "@%s", endpoint);
}

/* __tostring(ref) -> its address. */
static int ref_to_text(lua_State *L)
{
    actor_id        id;
    struct address *address;
    char            text[REF_TEXT_ROOM];
    if (!ref_get(L, 1, &id, &address))
        return luaL_error(L, "a ref is expected, not a %s", luaL_typename(L, 1));
    api_target_text(script_of(L), id, address, text, sizeof text);
    if (address == NULL)
        append_own_endpoint(script_of(L), id, text, sizeof text);
    lua_pushstring(L, text);
    return 1;
}

void api_install_refs(lua_State *L)
{
    struct script *script = script_of(L);
    if (LIKELY(script->refs_installed))
        return;
    luaL_checkstack(L, 8, "too many values to install refs");
    lua_createtable(L, 0, 5);
    api_ref_methods(L);
    ref_install(L, ref_to_text, &script->vm.needs_close);
    script->refs_installed = true;
}

/* Pushes the ref that `address` stands for now; takes the address, whatever happens. */
static void push_resolved(lua_State *L, struct address *address)
{
    struct system *system = script_of(L)->world->system;
    char   text[REF_TEXT_ROOM];
    size_t size;
    bool   here = router_is_here(system, address);
    actor_id id = here ? registry_find_name(&system->registry, address_name(address),
                                            address->name_size)
                       : 0;
    /* Of a node it stays, until there is somebody: whoever sees it shall see the node. */
    if (here && address_node(address_endpoint(address)) == NULL) {
        size = address->name_size;
        memcpy(text, address_name(address), size + 1);
    } else {
        size = ref_address_text(address, text, sizeof text);
    }
    address_unref(address); /* what follows may raise */

    if (id != 0)
        ref_push_actor(L, id);
    else
        ref_push_text(L, text, size);
}

/* The options of actor.ref at index 2: whether `reliable` is given, and its value. */
static bool read_reliable(lua_State *L, bool *reliable)
{
    bool given = false;
    if (lua_isnoneornil(L, 2))
        return false;
    if (!lua_istable(L, 2))
        luaL_error(L, "actor.ref: options are a table, not a %s", luaL_typename(L, 2));
    lua_pushnil(L);
    for (; lua_next(L, 2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "actor.ref: options have names, and this has a %s for a key",
                       luaL_typename(L, -2));
        const char *name = lua_tostring(L, -2);
        if (strcmp(name, "reliable") != 0) {
            struct suggest suggest;
            suggest_init(&suggest, name);
            suggest_offer(&suggest, "reliable");
            luaL_error(L, "actor.ref: no option is called '%s'%s", name,
                       suggest.best != NULL ? " (did you mean 'reliable'?)" : "");
        }
        if (!lua_isboolean(L, -1))
            luaL_error(L, "actor.ref: reliable is true or false, not a %s", luaL_typename(L, -1));
        *reliable = lua_toboolean(L, -1) != 0;
        given = true;
    }
    return given;
}

/* actor.ref(text, {reliable=}) -> ref: of the living actor of that name; else of
 * whoever is called so when it is used. */
static int actor_ref(lua_State *L)
{
    bool reliable = false;
    if (lua_type(L, 1) != LUA_TSTRING)
        return luaL_error(L, "actor.ref: \"name\" or \"name@tcp://host:port\" is expected, "
                             "not a %s", luaL_typename(L, 1));
    size_t size;
    const char *text = lua_tolstring(L, 1, &size);
    lua_settop(L, 2);
    bool given = read_reliable(L, &reliable);
    api_install_refs(L);

    struct address *address;
    char why[256];
    int  error = address_parse(text, size, &address, why, sizeof why);
    if (error == -ENOMEM)
        return luaL_error(L, "actor.ref: out of memory");
    if (error != 0)
        return luaL_error(L, "actor.ref: %s", why);
    push_resolved(L, address);
    if (given)
        ref_set_reliable(L, reliable);
    return 1;
}

/* ---- Ending ------------------------------------------------------------ */

/* actor.exit([reason]): ends the actor; does not return. */
static int actor_exit(lua_State *L)
{
    struct script *script = script_of(L);
    api_refuse_loading(L, "actor.exit");
    const char *reason = lua_isnoneornil(L, 1) ? NULL : luaL_tolstring(L, 1, NULL);
    memory_free_text(script->exit_reason);
    script->exit_reason = reason != NULL ? memory_copy_text(reason) : NULL;
    return vm_die(L, VM_EXIT);
}

/* actor.stop_host([code]): the handler goes on; then every actor is stopped. */
static int actor_stop_host(lua_State *L)
{
    int whole = 1;
    lua_Integer code = lua_isnoneornil(L, 1) ? 0 : lua_tointegerx(L, 1, &whole);
    if (!whole || code < 0 || code > 255)
        return luaL_error(L, "actor.stop_host: an exit code from 0 to 255 is expected");
    api_refuse_loading(L, "actor.stop_host");
    sandbox_refuse(L, "actor.stop_host");
    system_ask_stop(script_of(L)->world->system, (int)code);
    return 0;
}

/* ---- Time and numbers -------------------------------------------------- */

/* actor.now() -> monotonic seconds. */
static int actor_now(lua_State *L)
{
    uint64_t now_ns = clock_now(&script_of(L)->world->system->clock);
    lua_pushnumber(L, (double)now_ns / (double)NS_PER_SEC);
    return 1;
}

/* actor.time() -> seconds since 1970 by the wall clock. */
static int actor_time(lua_State *L)
{
    struct clock *clock = &script_of(L)->world->system->clock;
    struct timespec wall;
    if (clock->manual) {
        lua_pushnumber(L, (double)(STAGE_EPOCH_NS + clock_now(clock)) / (double)NS_PER_SEC);
        return 1;
    }
    clock_gettime(CLOCK_REALTIME, &wall);
    lua_pushnumber(L, (double)wall.tv_sec + (double)wall.tv_nsec / (double)NS_PER_SEC);
    return 1;
}

/* actor.next_timer_id() -> 1, 2, 3... */
static int actor_next_timer_id(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)++script_of(L)->last_timer_id);
    return 1;
}

/* ---- The table --------------------------------------------------------- */

static void make_self(lua_State *L)
{
    staging_refuse_loading(L, "actor.self");
    api_install_refs(L);
    ref_push_actor(L, actor_self(script_of(L)->actor));
}

static void make_name(lua_State *L)
{
    staging_refuse_loading(L, "actor.name");
    lua_pushstring(L, script_of(L)->actor->name);
}

static void make_args(lua_State *L)
{
    char **argument = script_of(L)->world->arguments;
    lua_newtable(L);
    for (lua_Integer i = 1; argument != NULL && *argument != NULL; i++, argument++) {
        lua_pushstring(L, *argument);
        lua_rawseti(L, -2, i);
    }
}

static const struct field {
    const char   *name;
    lua_CFunction call;              /* the value is this function, or ... */
    void        (*make)(lua_State *L); /* ... what this pushes */
} fields[] = {
    { "self", NULL, make_self },
    { "name", NULL, make_name },
    { "args", NULL, make_args },
    { "ref", actor_ref, NULL },
    { "message", api_message, NULL },
    { "class", api_class, NULL },
    { "spawn", api_spawn, NULL },
    { "watch", api_watch, NULL },
    { "unwatch", api_unwatch, NULL },
    { "link", api_link, NULL },
    { "unlink", api_unlink, NULL },
    { "supervise", NULL, api_push_supervise },
    { "registry", api_registry, NULL },
    { "lookup", api_lookup, NULL },
    { "names", api_names, NULL },
    { "backlog", api_backlog, NULL },
    { "join", api_join, NULL },
    { "leave", api_leave, NULL },
    { "members", api_members, NULL },
    { "publish", api_publish, NULL },
    { "exit", actor_exit, NULL },
    { "stop_host", actor_stop_host, NULL },
    { "all", api_all, NULL },
    { "any", api_any, NULL },
    { "receive", api_receive, NULL },
    { "sleep", api_sleep, NULL },
    { "after", api_after, NULL },
    { "every", api_every, NULL },
    { "next_timer_id", actor_next_timer_id, NULL },
    { "now", actor_now, NULL },
    { "time", actor_time, NULL },
    { "metrics", api_metrics, NULL },
    { "reload", api_reload, NULL },
    { "dead_letters", api_dead_letters, NULL },
    { "watch_dead_letters", api_watch_dead_letters, NULL },
    { "stream", api_stream, NULL },
    { "lines", api_lines, NULL },
    { "process", api_process, NULL },
    { "listen", api_listen, NULL },
    { "connect", api_connect, NULL },
    { "subscribe", api_subscribe, NULL },
};

/* Pushes the field's value and keeps it in the table at index 1. */
static void make_field(lua_State *L, const struct field *field)
{
    if (field->call != NULL)
        lua_pushcfunction(L, field->call);
    else
        field->make(L);
    lua_pushstring(L, field->name);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
}

static int refuse_field(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "actor has no field that is a %s", luaL_typename(L, 2));
    struct suggest suggest;
    suggest_init(&suggest, lua_tostring(L, 2));
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        suggest_offer(&suggest, fields[i].name);
    if (suggest.best == NULL)
        return luaL_error(L, "actor has no '%s'", lua_tostring(L, 2));
    return luaL_error(L, "actor has no '%s' (did you mean '%s'?)", lua_tostring(L, 2),
                      suggest.best);
}

/* __index(actor, name): what is read for the first time. */
static int actor_index(lua_State *L)
{
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
        if (strcmp(fields[i].name, name) == 0) {
            make_field(L, &fields[i]);
            return 1;
        }
    }
    return refuse_field(L);
}

static int raw_next(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_next(L, 1))
        return 2;
    lua_pushnil(L);
    return 1;
}

/* __pairs(actor): all there is, made. */
static int actor_pairs(lua_State *L)
{
    const struct script *script = script_of(L);
    bool living = !script->vm.loading && script->actor != NULL;
    lua_settop(L, 1);
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
        if (fields[i].make != NULL && fields[i].make != make_args && !living)
            continue;
        lua_pushstring(L, fields[i].name);
        if (lua_rawget(L, 1) == LUA_TNIL)
            make_field(L, &fields[i]);
        lua_settop(L, 1);
    }
    lua_pushcfunction(L, raw_next);
    lua_insert(L, 1);
    lua_pushnil(L);
    return 3;
}

const char *api_actor_field(lua_State *L, int index, size_t number)
{
    if (number >= ARRAY_LENGTH(fields) || luaL_getmetafield(L, index, "__pairs") == LUA_TNIL)
        return NULL;
    bool is_actor = lua_tocfunction(L, -1) == actor_pairs;
    lua_pop(L, 1);
    return is_actor ? fields[number].name : NULL;
}

int api_actor_open(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, actor_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, actor_pairs);
    lua_setfield(L, -2, "__pairs");
    lua_setmetatable(L, -2);
    return 1;
}
