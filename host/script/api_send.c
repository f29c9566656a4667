/*
 * api_send.c -- ref:send, ref:try_send, ref:stop, and what all sends share.
 */
#include "script/api.h"

#include "base/suggest.h"
#include "script/pack_lua.h"
#include "script/ref.h"
#include "script/staging.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define TEXT_ROOM 600

/* ---- Checking arguments -------------------------------------------------- */

struct target api_check_target(lua_State *L, int index, const char *what)
{
    struct target target;
    if (UNLIKELY(!ref_get(L, index, &target.id, &target.address)))
        luaL_error(L, "%s: a ref is expected, not a %s (call it as ref:%s(...))", what,
                   luaL_typename(L, index), what);
    if (UNLIKELY(target.address != NULL) && address_node(address_endpoint(target.address)) != NULL)
        api_resolve(script_of(L), &target);
    return target;
}

type_id api_check_type_slow(lua_State *L, int index, const char *what)
{
    struct script *script = script_of(L);
    type_id declared = declared_spread(L, index);
    if (declared != TYPE_NONE)
        return declared;
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "%s: a message's type is a string, not a %s", what, luaL_typename(L, index));
    size_t size;
    const char *text = lua_tolstring(L, index, &size);
    if (type_is_reserved(text, size))
        luaL_error(L, "%s: only the host itself sends %s", what, text);
    type_id type = type_intern(text, size);
    if (type == TYPE_NONE)
        luaL_error(L, "%s: '%s' cannot be a message's type", what, text);
    if (size <= TYPE_NAME_LIMIT)
        script->types[((uintptr_t)text >> 4) & (TYPE_CACHE - 1)] = (struct type_cache){
            .text = text, .name = type_name(type), .size = (uint32_t)size, .type = type
        };
    return type;
}

static const struct {
    const char *name;
    unsigned    option;
} option_names[] = {
    { "timeout", OPTION_TIMEOUT },
    { "priority", OPTION_PRIORITY },
    { "after", OPTION_AFTER },
};

static void refuse_option(lua_State *L, const char *what, unsigned allowed, const char *name)
{
    struct suggest suggest;
    suggest_init(&suggest, name);
    for (size_t i = 0; i < ARRAY_LENGTH(option_names); i++)
        if (allowed & option_names[i].option)
            suggest_offer(&suggest, option_names[i].name);
    if (suggest.best != NULL)
        luaL_error(L, "%s: no option is called '%s' (did you mean '%s'?)", what, name,
                   suggest.best);
    luaL_error(L, "%s: no option is called '%s'", what, name);
}

static void read_priority(lua_State *L, const char *what, struct send_options *options)
{
    const char *priority = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    if (strcmp(priority, "high") == 0)
        options->high = true;
    else if (strcmp(priority, "normal") != 0)
        luaL_error(L, "%s: priority is \"high\" or \"normal\"", what);
}

void api_check_options_slow(lua_State *L, int index, const char *what, unsigned allowed,
                            struct send_options *options)
{
    if (!lua_istable(L, index))
        luaL_error(L, "%s: options are a table, not a %s", what, luaL_typename(L, index));
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "%s: options have names, and this has a %s for a key", what,
                       luaL_typename(L, -2));
        const char *name = lua_tostring(L, -2);
        unsigned option = 0;
        for (size_t i = 0; i < ARRAY_LENGTH(option_names); i++)
            if (strcmp(option_names[i].name, name) == 0)
                option = option_names[i].option & allowed;
        switch (option) {
        case OPTION_TIMEOUT:
            options->timeout_ns = script_check_duration(L, lua_gettop(L), what, name);
            options->patient = true;
            break;
        case OPTION_PRIORITY:
            read_priority(L, what, options);
            break;
        case OPTION_AFTER:
            options->later = true;
            options->after_ns = script_check_duration(L, lua_gettop(L), what, name);
            break;
        default:
            refuse_option(L, what, allowed, name);
        }
        lua_pop(L, 1);
    }
}

/* ---- Sending ------------------------------------------------------------- */

struct message *api_new_message(lua_State *L, struct script *script, const char *what,
                                enum message_kind kind, type_id type, const uint8_t *packed,
                                size_t size, bool high)
{
    struct message *message = message_new(kind, type, packed, size);
    if (UNLIKELY(message == NULL)) {
        luaL_error(L, "%s: out of memory", what);
        UNREACHABLE();
    }
    message->from = actor_self(script->actor);
    if (UNLIKELY(high))
        message->lane = LANE_HIGH;
    return message;
}

/* A wait for room is over. */
static int go_on_after_room(lua_State *L, int status, lua_KContext context)
{
    struct wait *wait = &script_of(L)->hand.wait;
    (void)status;
    (void)context;
    struct target target = { .id = wait->target };
    if (wait->failure == FAILURE_NONE ||
        (wait->failure != FAILURE_DOWN && !wait->unparked &&
         registry_find(&script_of(L)->world->system->registry, target.id) != NULL)) {
        lua_pushboolean(L, true);
        return 1;
    }
    if (wait->failure != FAILURE_TIMEOUT)
        return api_push_undelivered(L, wait->failure, target, wait->type, NULL);
    char detail[80];
    snprintf(detail, sizeof detail, "no room in its mailbox for %.1f s",
             (double)wait->timeout_ns / (double)NS_PER_SEC);
    return api_push_undelivered(L, FAILURE_TIMEOUT, target, wait->type, detail);
}

/* The mailbox of an actor here is full: waits for room, if that is possible. */
static int wait_for_room(lua_State *L, struct script *script, const char *what,
                         struct target target, struct message *message, uint64_t timeout_ns)
{
    struct system *system = script->world->system;
    type_id type = message->type;
    char circle[300];
    if (script_is_cut(script) || !vm_can_wait(L, what, circle, sizeof circle)) {
        message_free(message);
        return api_push_undelivered(L, script_is_cut(script) ? FAILURE_STOPPING : FAILURE_FULL,
                                    target, type, NULL);
    }

    target.id = message->to; /* a name has become an actor */
    struct wait *wait = script_wait_begin(script, WAIT_ROOM, APPETITE_CONTROL, timeout_ns);
    wait->type = type;
    wait->target = target.id;
    message->request = wait->number;
    enum router_answer answer;
    if (!script_waits_for(script, target.id, wait->number, circle, sizeof circle)) {
        script_wait_over(script);
        message_free(message);
        return api_push_undelivered(L, FAILURE_DEADLOCK, target, type, circle);
    }
    answer = router_send(system, &message, ROUTE_PARK);
    if (answer == ROUTER_PARKED) {
        wait->parked = true;
        return script_wait(L, what, go_on_after_room);
    }
    waits_end(system, actor_self(script->actor), wait->number);
    script_wait_over(script);
    message_free(message);
    if (answer != ROUTER_OK)
        return api_push_undelivered(L, api_reason_of(answer), target, type, NULL);
    lua_pushboolean(L, true);
    return 1;
}

int api_send_message(lua_State *L, struct script *script, const char *what, struct target target,
                     struct message *message, bool may_wait, uint64_t timeout_ns)
{
    struct system *system = script->world->system;
    enum router_answer answer;
    char why[TEXT_ROOM];

    why[0] = '\0'; /* not all of it: this is a hot path */
    if (LIKELY(target.address == NULL)) {
        message->to = target.id;
        answer = router_send(system, &message, 0);
    } else {
        answer = router_send_address(system, target.address, &message, 0, why, sizeof why);
    }
    if (LIKELY(answer == ROUTER_OK)) {
        scheduler_sent();
        lua_pushboolean(L, true);
        return 1;
    }
    bool here = target.address == NULL || target.address->endpoint_size == 0;
    if (answer == ROUTER_FULL && may_wait && here)
        return wait_for_room(L, script, what, target, message, timeout_ns);
    type_id type = message->type;
    message_free(message);
    return api_push_undelivered(L, api_reason_of(answer), target, type,
                                why[0] != '\0' ? why : NULL);
}

/* A delayed send: the timer does it. */
static int send_later(lua_State *L, struct script *script, struct target target, type_id type,
                      const uint8_t *packed, size_t size, const struct send_options *options)
{
    if (target.address != NULL && target.address->endpoint_size > 0)
        return luaL_error(L, "send: option 'after' is for actors of this host; let a timer come "
                             "here and send from its handler");
    if (target.address != NULL) {
        const struct address *address = target.address;
        target.id = registry_find_name(&script->world->system->registry, address_name(address),
                                       address->name_size);
    }
    if (target.id == 0 || registry_find(&script->world->system->registry, target.id) == NULL)
        return api_push_undelivered(L, FAILURE_DOWN, target, type, NULL);
    return api_start_timer(L, target.id, type, packed, size,
                           options->high ? LANE_HIGH : LANE_ORDINARY, options->after_ns, 0);
}

/* ---- Sending to another host, with patience -------------------------------- */

#define DEADLINE_INDEX 5 /* on the stack of a ref_send() that waits, behind its arguments */

static int go_on_sending(lua_State *L, int status, lua_KContext context);

/* Sends what the arguments of ref_send() say, or waits for room in the queue to
 * that host: only a connected one makes room. */
static int send_or_wait(lua_State *L, struct script *script, const struct send_options *options)
{
    struct system *system = script->world->system;
    struct target target = api_check_target(L, 1, "send");
    type_id type = api_check_type(L, script, 2, "send");
    uint64_t deadline_ns = (uint64_t)lua_tointeger(L, DEADLINE_INDEX);
    char why[TEXT_ROOM] = "", no_wait[TEXT_ROOM];

    for (bool last = false;; last = true) {
        size_t size;
        const uint8_t *packed = api_pack(L, script, 3, type, &size);
        struct message *message = api_new_message(L, script, "send", MESSAGE_ORDINARY, type,
                                                  packed, size, options->high);
        enum router_answer answer =
            router_send_address(system, target.address, &message, 0, why, sizeof why);
        message_free(message);
        if (answer == ROUTER_OK) {
            scheduler_sent();
            lua_pushboolean(L, true);
            return 1;
        }
        uint64_t now_ns = clock_now(&system->clock);
        if (answer != ROUTER_FULL || last || now_ns >= deadline_ns ||
            system->remote.await_room == NULL || script_is_cut(script) ||
            !vm_can_wait(L, "send", no_wait, sizeof no_wait))
            return api_push_undelivered(L, api_reason_of(answer), target, type, why);

        struct wait *wait =
            script_wait_begin(script, WAIT_ROOM, APPETITE_CONTROL, deadline_ns - now_ns);
        if (system->remote.await_room(system->remote.context, target.address,
                                      actor_self(script->actor), wait->number))
            return script_wait_for(L, "send", address_ref(target.address), go_on_sending);
        script_wait_over(script); /* there is room meanwhile, or no hope */
    }
}

static int go_on_sending(lua_State *L, int status, lua_KContext context)
{
    struct script *script = script_of(L);
    struct send_options options =
        api_check_options(L, script, 4, "send", OPTION_TIMEOUT | OPTION_PRIORITY);
    (void)status;
    (void)context;
    if (script->hand.wait.failure == FAILURE_NONE)
        return send_or_wait(L, script, &options);
    struct target target = api_check_target(L, 1, "send");
    type_id type = api_check_type(L, script, 2, "send");
    char detail[120];
    snprintf(detail, sizeof detail, "no room in the queue to its host for %.1f s",
             (double)options.timeout_ns / (double)NS_PER_SEC);
    return api_push_undelivered(L, script->hand.wait.failure, target, type,
                                script->hand.wait.failure == FAILURE_TIMEOUT ? detail : NULL);
}

static int send_patiently(lua_State *L, struct script *script, struct target target,
                          struct message *message, const struct send_options *options)
{
    char why[TEXT_ROOM] = "";
    type_id type = message->type;
    enum router_answer answer = router_send_address(script->world->system, target.address,
                                                    &message, 0, why, sizeof why);
    message_free(message);
    if (LIKELY(answer == ROUTER_OK)) {
        scheduler_sent();
        lua_pushboolean(L, true);
        return 1;
    }
    if (answer != ROUTER_FULL)
        return api_push_undelivered(L, api_reason_of(answer), target, type, why);
    lua_settop(L, DEADLINE_INDEX - 1);
    lua_pushinteger(L, (lua_Integer)script_deadline(script, options->timeout_ns));
    return send_or_wait(L, script, options);
}

/* ref:send(type, msg, {timeout=, priority=, after=}) -> true (with `after` a
 * timer), or nil and why. */
static int ref_send(lua_State *L)
{
    struct script *script = script_of(L);
    if (UNLIKELY(script->vm.loading))
        staging_refuse_loading(L, "send");
    struct target target = api_check_target(L, 1, "send");
    type_id type = api_check_type(L, script, 2, "send");
    struct send_options options = api_check_options(
        L, script, 4, "send", OPTION_TIMEOUT | OPTION_PRIORITY | OPTION_AFTER);
    size_t size;
    const uint8_t *packed = api_pack(L, script, 3, type, &size);
    if (UNLIKELY(options.later))
        return send_later(L, script, target, type, packed, size, &options);
    struct message *message =
        api_new_message(L, script, "send", MESSAGE_ORDINARY, type, packed, size, options.high);
    if (UNLIKELY(script->vm.loading))
        return staging_send(L, script, target, message);
    if (UNLIKELY(options.patient) && target.address != NULL && target.address->endpoint_size > 0)
        return send_patiently(L, script, target, message, &options);
    return api_send_message(L, script, "send", target, message, true, options.timeout_ns);
}

/* ref:try_send(type, msg, {priority=}) -> true, or nil and why; never waits. */
static int ref_try_send(lua_State *L)
{
    struct script *script = script_of(L);
    if (UNLIKELY(script->vm.loading))
        staging_refuse_loading(L, "try_send");
    struct target target = api_check_target(L, 1, "try_send");
    type_id type = api_check_type(L, script, 2, "try_send");
    struct send_options options = api_check_options(L, script, 4, "try_send", OPTION_PRIORITY);
    size_t size;
    const uint8_t *packed = api_pack(L, script, 3, type, &size);
    struct message *message =
        api_new_message(L, script, "try_send", MESSAGE_ORDINARY, type, packed, size, options.high);
    if (UNLIKELY(script->vm.loading))
        return staging_send(L, script, target, message);
    return api_send_message(L, script, "try_send", target, message, false, 0);
}

/* ---- Stopping ------------------------------------------------------------ */

/* The one option of ref:stop. */
static bool check_drain(lua_State *L, int index)
{
    bool drain = false;
    if (lua_isnoneornil(L, index))
        return false;
    if (!lua_istable(L, index))
        luaL_error(L, "stop: options are a table, not a %s", luaL_typename(L, index));
    lua_pushnil(L);
    while (lua_next(L, index)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (strcmp(name, "drain") != 0)
            luaL_error(L, "stop: the only option is 'drain'");
        if (!lua_isboolean(L, -1))
            luaL_error(L, "stop: drain is true or false, not a %s", luaL_typename(L, -1));
        drain = lua_toboolean(L, -1) != 0;
        lua_pop(L, 1);
    }
    return drain;
}

/* ref:stop{drain=} -> true, or nil and why: asks an actor of this host to end. */
static int ref_stop(lua_State *L)
{
    struct script *script = script_of(L);
    struct system *system = script->world->system;
    api_refuse_loading(L, "stop");
    struct target target = api_check_target(L, 1, "stop");
    bool drain = check_drain(L, 2);
    actor_id id = target.id;
    if (target.address != NULL && target.address->endpoint_size > 0)
        return luaL_error(L, "stop: only an actor of this host can be stopped");
    if (target.address != NULL)
        id = registry_find_name(&system->registry, address_name(target.address),
                                target.address->name_size);
    if (id != 0 && lifecycle_stop(system, id, drain)) {
        lua_pushboolean(L, true);
        return 1;
    }
    char name[REF_TEXT_ROOM], text[REF_TEXT_ROOM + 32];
    api_target_text(script, target.id, target.address, name, sizeof name);
    if (api_is_gone(script, target))
        return script_push_failure(L, FAILURE_DOWN, "the actor has ended");
    snprintf(text, sizeof text, "%s is not running", name);
    return script_push_failure(L, FAILURE_DOWN, text);
}

void api_ref_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "send", ref_send },         { "try_send", ref_try_send },
        { "ask", api_ref_ask },       { "start_ask", api_ref_start_ask },
        { "stop", ref_stop },         { NULL, NULL },
    };
    luaL_setfuncs(L, methods, 0);
}
