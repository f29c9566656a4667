/*
 * dispatch.c -- see dispatch.h.
 */
#include "script/dispatch.h"

#include "actor/actor_log.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/suggest.h"
#include "message/pack.h"
#include "script/pack_lua.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define INHERITED_LIMIT 16  /* tables looked through for a class's handler */
#define ANY_PARAMETERS  255
#define NAME_ROOM       (TYPE_NAME_LIMIT + 4)

/* The type part of a key at `index` that names a handler; NULL: it does not. */
static const char *handler_key(lua_State *L, int index, size_t *size)
{
    if (lua_type(L, index) != LUA_TSTRING)
        return NULL;
    const char *key = lua_tolstring(L, index, size);
    if (*size <= 3 || memcmp(key, "on_", 3) != 0)
        return NULL;
    *size -= 3;
    return key + 3;
}

/* Replaces the table on top by the one it inherits from; false (popped) if
 * there is none. */
static bool to_inherited(lua_State *L)
{
    if (!lua_getmetatable(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        bool found = lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "__index") == 0;
        if (found && lua_istable(L, -1)) {
            lua_replace(L, -4); /* the table */
            lua_pop(L, 2);      /* key, metatable */
            return true;
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    return false;
}

/* Finds the handler of the folded type name in the table on top of the stack;
 * pushes key and function and returns true, or leaves the stack as it is. */
static bool find_in_table(lua_State *L, const char *folded, size_t folded_size)
{
    int table = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        size_t size;
        char   candidate[NAME_ROOM];
        const char *name = handler_key(L, -2, &size);
        if (name != NULL && lua_isfunction(L, -1) &&
            type_fold(name, size, candidate, sizeof candidate) == folded_size &&
            memcmp(candidate, folded, folded_size) == 0)
            return true;
        lua_pop(L, 1);
    }
    return false;
}

bool dispatch_push_handler(lua_State *L, int handlers, type_id type)
{
    char folded[NAME_ROOM];
    size_t size = type_fold(type_name(type), type_name_size(type), folded, sizeof folded);
    if (!lua_checkstack(L, 8))
        return false;

    lua_rawgeti(L, LUA_REGISTRYINDEX, handlers);
    for (int i = 0; i < INHERITED_LIMIT; i++) {
        if (find_in_table(L, folded, size)) {
            lua_remove(L, -3);
            return true;
        }
        if (!to_inherited(L))
            return false;
    }
    lua_pop(L, 1);
    return false;
}

void dispatch_each_handler(lua_State *L, int handlers, void (*fn)(void *context, const char *name),
                           void *context)
{
    if (!lua_checkstack(L, 8))
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, handlers);
    for (int i = 0; i < INHERITED_LIMIT; i++) {
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            size_t size;
            if (lua_isfunction(L, -1) && handler_key(L, -2, &size) != NULL)
                fn(context, lua_tostring(L, -2));
        }
        if (!to_inherited(L))
            return;
    }
    lua_pop(L, 1);
}

/* ---- After loading ------------------------------------------------------ */

bool dispatch_defines(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        size_t size;
        lua_pop(L, 1);
        if (handler_key(L, -1, &size) != NULL) {
            lua_pop(L, 1);
            return true;
        }
    }
    return false;
}

static bool is_plain(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (name[i] == '_' || (name[i] >= 'A' && name[i] <= 'Z'))
            return false;
    return true;
}

/* The key on top is not spelt plainly: raises if the table has another for
 * the same type. */
static void check_spelling(lua_State *L, struct script *script, int table, const char *name,
                           size_t size)
{
    char   folded[NAME_ROOM], other_folded[NAME_ROOM];
    size_t folded_size = type_fold(name, size, folded, sizeof folded);
    size_t other_size;

    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        const char *other = handler_key(L, -1, &other_size);
        if (other == NULL || other == name)
            continue;
        if (type_fold(other, other_size, other_folded, sizeof other_folded) == folded_size &&
            memcmp(folded, other_folded, folded_size) == 0)
            luaL_error(L, "%s: on_%s and on_%s are handlers of the same type",
                       source_path(script->source), name, other);
    }
}

/* Without a number left for the name the gateway takes it for an invented one. */
static void note_type(struct script *script, const char *name, size_t size)
{
    char   folded[NAME_ROOM];
    size_t length = type_fold(name, size, folded, sizeof folded);
    if (length < sizeof folded && type_alike(type_intern(folded, length)) == TYPE_ANY)
        script->takes_any = true;
}

static void check_table(lua_State *L, struct script *script, int table)
{
    lua_pushnil(L);
    while (lua_next(L, table)) {
        size_t size;
        const char *name = handler_key(L, -2, &size);
        if (name != NULL && !lua_isfunction(L, -1))
            luaL_error(L, "%s: on_%s is a %s, not a function", source_path(script->source), name,
                       luaL_typename(L, -1));
        lua_pop(L, 1);
        if (name != NULL && !is_plain(name, size))
            check_spelling(L, script, table, name, size);
        if (name != NULL)
            note_type(script, name, size);
    }
}

void dispatch_check(lua_State *L, struct script *script)
{
    luaL_checkstack(L, 10, "too many values to check the handlers");
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->handlers);
    for (int i = 0; i < INHERITED_LIMIT; i++) {
        check_table(L, script, lua_gettop(L));
        if (!to_inherited(L))
            return;
    }
    lua_pop(L, 1);
}

/* ---- The cache ---------------------------------------------------------- */

void dispatch_init(struct script *script)
{
    script->cache = script->first_cache;
    script->cache_mask = HANDLER_CACHE - 1;
    script->cache_used = 0;
}

static void free_cache(struct script *script)
{
    if (script->cache != script->first_cache)
        memory_put(script->cache, (script->cache_mask + 1) * sizeof *script->cache);
}

void dispatch_fini(struct script *script)
{
    free_cache(script);
    dispatch_init(script);
}

void dispatch_forget(lua_State *L, struct script *script)
{
    for (unsigned i = 0; i <= script->cache_mask; i++)
        if (script->cache[i].type != TYPE_NONE)
            luaL_unref(L, LUA_REGISTRYINDEX, script->cache[i].reference);
    dispatch_fini(script);
    memset(script->first_cache, 0, sizeof script->first_cache);
}

static struct handler_cache *free_entry(struct handler_cache *cache, unsigned mask, type_id type)
{
    unsigned i = type;
    while (cache[i & mask].type != TYPE_NONE)
        i++;
    return &cache[i & mask];
}

static bool grow(struct script *script)
{
    unsigned count = (script->cache_mask + 1) * 2;
    struct handler_cache *larger = memory_get_zeroed(count * sizeof *larger);
    if (larger == NULL)
        return false;
    for (unsigned i = 0; i <= script->cache_mask; i++)
        if (script->cache[i].type != TYPE_NONE)
            *free_entry(larger, count - 1, script->cache[i].type) = script->cache[i];
    free_cache(script);
    script->cache = larger;
    script->cache_mask = count - 1;
    return true;
}

static uint8_t count_parameters(lua_State *L)
{
    lua_Debug about;
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">u", &about);
    return about.isvararg ? ANY_PARAMETERS : about.nparams;
}

struct handler_cache *dispatch_find(lua_State *L, struct script *script, type_id type)
{
    struct handler_cache *known = dispatch_cached(script, type);
    if (known != NULL)
        return known;

    struct handler_cache entry = { .type = type, .reference = LUA_NOREF };
    luaL_checkstack(L, 10, "too many values to find a handler");
    bool found = dispatch_push_handler(L, script->handlers, type);
    if (!found && type_alike(type) >= TYPE_BUILT_IN_COUNT)
        found = entry.is_any = dispatch_push_handler(L, script->handlers, TYPE_ANY);
    if (script->cache_used >= (script->cache_mask + 1) / 4 * 3 && !grow(script))
        luaL_error(L, "not enough memory");
    if (found) {
        entry.parameters = count_parameters(L);
        entry.reference = luaL_ref(L, LUA_REGISTRYINDEX);
        lua_pop(L, 1); /* the key */
    }
    known = free_entry(script->cache, script->cache_mask, type);
    *known = entry;
    script->cache_used++;
    return known;
}

int dispatch_push(lua_State *L, struct script *script, const struct handler_cache *handler)
{
    const struct message *content = script->hand.content;

    lua_rawgeti(L, LUA_REGISTRYINDEX, handler->reference);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->self_reference);
    if (handler->parameters < 2)
        return 1;
    if (LIKELY(content != NULL))
        pack_lua_push(L, content->payload, content->size);
    else
        lua_createtable(L, 0, 0);
    if (UNLIKELY(script->hand.type == TYPE_START)) {
        lua_pushinteger(L, (lua_Integer)script->actor->restarts);
        lua_setfield(L, -2, "restarts");
    }
    if (UNLIKELY(script->hand.periodic)) {
        lua_pushinteger(L, (lua_Integer)script->hand.missed);
        lua_setfield(L, -2, "missed");
    }
    if (handler->parameters < 3)
        return 2;
    api_push_env(L, script);
    return 3;
}

/* ---- Names, and what nobody handles ------------------------------------- */

const char *dispatch_name(struct script *script, type_id type, char *text, size_t room)
{
    lua_State *L = script->vm.L;
    if (type == TYPE_EVALUATE) {
        snprintf(text, room, "a text typed at a prompt");
        return text;
    }
    const struct handler_cache *known = dispatch_cached(script, type);
    if (known != NULL && known->is_any)
        type = TYPE_ANY;

    int top = lua_gettop(L);
    char folded[NAME_ROOM];
    if (dispatch_push_handler(L, script->handlers, type)) {
        snprintf(text, room, "%s", lua_tostring(L, -2));
    } else {
        type_fold(type_name(type), type_name_size(type), folded, sizeof folded);
        snprintf(text, room, "on_%s", folded);
    }
    lua_settop(L, top);
    return text;
}

/* The name of the handler that may have been meant by `wanted`, or NULL. */
static const char *suggest_handler(struct script *script, const char *wanted)
{
    lua_State *L = script->vm.L;
    struct suggest suggest;
    suggest_init(&suggest, wanted);
    if (!lua_checkstack(L, 8))
        return NULL;

    lua_rawgeti(L, LUA_REGISTRYINDEX, script->handlers);
    for (int i = 0; i < INHERITED_LIMIT; i++) {
        int table = lua_gettop(L);
        lua_pushnil(L);
        while (lua_next(L, table)) {
            size_t size;
            lua_pop(L, 1);
            if (handler_key(L, -1, &size) != NULL)
                suggest_offer(&suggest, lua_tostring(L, -1));
        }
        if (!to_inherited(L))
            return suggest.best;
    }
    lua_pop(L, 1);
    return suggest.best;
}

bool dispatch_handles(struct script *script, type_id type, const char *what, char *why,
                      size_t room)
{
    lua_State *L = script->vm.L;
    int top = lua_gettop(L);
    bool found = dispatch_push_handler(L, script->handlers, type) ||
                 (type_alike(type) >= TYPE_BUILT_IN_COUNT && dispatch_push_handler(L, script->handlers, TYPE_ANY));
    lua_settop(L, top);
    if (found)
        return true;
    char folded[NAME_ROOM], wanted[NAME_ROOM + 4];
    type_fold(type_name(type), type_name_size(type), folded, sizeof folded);
    snprintf(wanted, sizeof wanted, "on_%s", folded);
    const char *meant = suggest_handler(script, wanted);
    snprintf(why, room, "%s names %s, but %s has no %s%s%s%s", what, type_name(type),
             source_path(script->source), wanted, meant != NULL ? " (did you mean " : "",
             meant != NULL ? meant : "", meant != NULL ? "?)" : "");
    return false;
}

static void warn(struct script *script, const struct message *message)
{
    struct registry *registry = &script->world->system->registry;
    char folded[NAME_ROOM], wanted[NAME_ROOM + 4], sender[ADDRESS_NAME_LIMIT + 1];
    type_fold(type_name(message->type), type_name_size(message->type), folded, sizeof folded);
    snprintf(wanted, sizeof wanted, "on_%s", folded);
    const char *meant = suggest_handler(script, wanted);
    if (message->from != 0)
        registry_name(registry, message->from, sender, sizeof sender);
    else
        snprintf(sender, sizeof sender, "%s", message->origin != NULL ? "elsewhere" : "nobody");

    actor_log(script->actor, LOG_WARN, "no handler %s for %s from %s (%s)%s%s%s", wanted,
              type_name(message->type), sender, source_path(script->source),
              meant != NULL ? ": did you mean " : "", meant != NULL ? meant : "",
              meant != NULL ? "?" : "");
}

/* Types can be made up elsewhere, as many as one likes. */
static bool may_warn(const struct message *message)
{
    static struct log_limit limit = LOG_LIMIT(5);
    return (message->flags & MESSAGE_REMOTE) == 0 || log_allowed(&limit);
}

static void read_text(const struct message *message, const char *field, struct pack_item *text)
{
    const uint8_t *at = pack_field(message->size > 0 ? message->payload : NULL, field);
    *text = (struct pack_item){ .tag = PACK_NULL };
    if (at != NULL)
        pack_read(at, text);
    if (text->tag != PACK_STRING || text->size == 0) /* the wire makes "" of what is absent */
        *text = (struct pack_item){ .tag = PACK_NULL, .text = "?", .size = 1 };
}

/* Else nobody would hear that a message of ours has come to nothing. */
static void warn_rejected(struct script *script, const struct message *reject)
{
    static struct log_limit limit = LOG_LIMIT(5); /* anybody can send one */
    struct pack_item        type, by, reason;

    if (!log_allowed(&limit))
        return;
    read_text(reject, "message_type", &type);
    read_text(reject, "rejected_by", &by);
    read_text(reject, "reason", &reason);
    actor_log(script->actor, LOG_WARN,
              "its %.*s to %.*s was rejected: %.*s (and it has no on_reject: %s)", (int)type.size,
              type.text, (int)by.size, by.text, (int)reason.size, reason.text,
              source_path(script->source));
}

void dispatch_unhandled(struct script *script, struct message **message)
{
    type_id type = (*message)->type;
    if (type_alike(type) == TYPE_REJECT)
        warn_rejected(script, *message);
    if (((*message)->kind != MESSAGE_ORDINARY && (*message)->kind != MESSAGE_ASK &&
         (*message)->kind != MESSAGE_TIMER && (*message)->kind != MESSAGE_ITEM) || type_alike(type) < TYPE_BUILT_IN_COUNT) {
        message_free(*message);
        *message = NULL;
        return;
    }

    struct system *system = script->world->system;
    struct handler_cache *known = dispatch_cached(script, type);
    atomic_fetch_add_explicit(&system->counters.unhandled, 1, memory_order_relaxed);
    if (known != NULL && !known->warned && may_warn(*message)) {
        known->warned = true;
        warn(script, *message);
    }
    char reason[TYPE_NAME_LIMIT + 32];
    snprintf(reason, sizeof reason, "Unknown message type: %s", type_name(type));
    router_refuse(system, message, FAILURE_REJECTED, reason, reason);
}
