/*
 * api_env.c -- env: what a handler knows of the message in hand, and the
 * answer it owes.
 *
 * An env is small and knows little: the message in hand belongs to the script,
 * and an env is about it as long as its handler's serial number is the
 * script's. Only a question that outlives the message in hand (deferred, or
 * received inside a handler) or a sender elsewhere needs more: a `held`, which
 * lies in a list of the script, because its state may be dropped without
 * finalizers. The env and its held point at each other.
 */
#include "script/held.h"

#include "base/memory.h"
#include "script/interleave.h"
#include "script/pack_lua.h"
#include "script/ref.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* Their addresses are keys of the registry. */
static const char metatable_key;      /* of envs */
static const char held_metatable_key; /* of envs with a held: has a finalizer */

/* ---- What an env is about -------------------------------------------------- */

/* One message, wherever it is. */
struct about {
    actor_id  from;
    uint64_t  request;
    struct address *origin;
    type_id   type;
    bool     *owed;                /* NULL: nothing to answer */
    const struct message *message; /* NULL: gone */
};

/* Told by its mark, not by its metatable: to compare those would cost as much
 * as all else that a reply does. No other userdata begins with that address. */
static struct env *env_at(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA || lua_rawlen(L, index) != sizeof(struct env))
        return NULL;
    struct env *env = lua_touserdata(L, index);
    return env->mark == &metatable_key ? env : NULL;
}

/* The message in hand of the handler that deferred the env's question. */
static const struct message *current_of(struct script *script, const struct env *env)
{
    if (LIKELY(env->serial == script->hand.serial))
        return script->hand.current;
    return interleave_find(script, env->serial)->current;
}

/* The env at index 1 and what it is about; raises if it is over. */
static struct env *find_env(lua_State *L, const char *what, struct about *about)
{
    struct script *script = script_of(L);
    struct env *env = env_at(L, 1);
    if (UNLIKELY(env == NULL))
        luaL_error(L, "%s: an env is expected, not a %s (call it as env:%s(...))", what,
                   luaL_typename(L, 1), what);
    if (env->held != NULL) {
        struct held *held = env->held;
        *about = (struct about){ held->from, held->request, held->origin, held->type,
                                 env->asked ? &held->owed : NULL,
                                 held->in_hand ? current_of(script, env) : held->message };
        return env;
    }
    if (UNLIKELY(script->interleave != NULL && env->serial != script->hand.serial &&
                 interleave_find(script, env->serial) != NULL))
        luaL_error(L, "%s: this message belongs to another handler of this actor: keep it with "
                      "env:defer()", what);
    if (UNLIKELY(env->serial != script->hand.serial ||
                 (env->in_hand && script->hand.current == NULL)))
        luaL_error(L, "%s: this message was handled already: keep it with env:defer()", what);
    if (env->in_hand)
        *about = (struct about){ script->hand.current->from, script->hand.current->request,
                                 api_origin(script->hand.current), script->hand.current->type,
                                 env->asked ? &script->hand.owed : NULL, script->hand.content };
    else
        *about = (struct about){ env->from, 0, NULL, env->type, NULL, NULL };
    return env;
}

/* The same for what does something about it. */
static struct env *check_env(lua_State *L, const char *what, struct about *about)
{
    if (UNLIKELY(script_of(L)->vm.loading))
        api_refuse_loading(L, what);
    return find_env(L, what, about);
}

static void refuse_second(lua_State *L, const char *what, const struct about *about)
{
    if (about->owed != NULL && !*about->owed)
        luaL_error(L, "%s: this question was already answered", what);
}

static int push_nobody(lua_State *L)
{
    return script_push_failure(L, FAILURE_DOWN, "nobody to reply to");
}

/* ---- Methods --------------------------------------------------------------- */

/* env:reply(type, msg) -> true, or nil and why: answers a question; else sends
 * to the sender. */
static int env_reply(lua_State *L)
{
    struct script *script = script_of(L);
    struct about about;
    check_env(L, "reply", &about);
    type_id type = api_check_type(L, script, 2, "reply");
    size_t size;
    const uint8_t *packed = api_pack(L, script, 3, type, &size);
    refuse_second(L, "reply", &about);

    if (about.owed != NULL && about.origin == NULL) {
        struct message *reply = message_new(MESSAGE_REPLY, type, packed, size);
        if (reply == NULL)
            return luaL_error(L, "reply: out of memory");
        *about.owed = false;
        router_reply(script->world->system, about.from, about.request, &reply,
                     actor_self(script->actor));
        scheduler_sent();
        lua_pushboolean(L, true);
        return 1;
    }
    if (about.from == 0 && about.origin == NULL)
        return push_nobody(L);
    if (about.owed != NULL)
        *about.owed = false;
    struct target target = { .id = about.from, .address = about.origin };
    struct message *message =
        api_new_message(L, script, "reply", MESSAGE_ORDINARY, type, packed, size, false);
    return api_send_message(L, script, "reply", target, message, true,
                            script->world->defaults.ask_timeout_ns);
}

/* env:fail(reason) -> true, or nil and why: there will be no answer. */
static int env_fail(lua_State *L)
{
    struct script *script = script_of(L);
    struct system *system = script->world->system;
    struct about about;
    check_env(L, "fail", &about);
    const char *reason = lua_isnoneornil(L, 2) ? "no reason given" : luaL_tolstring(L, 2, NULL);
    refuse_second(L, "fail", &about);

    if (about.owed != NULL)
        *about.owed = false;
    if (about.owed != NULL && about.origin == NULL) {
        router_fail(system, about.from, about.request, FAILURE_FAILED, reason);
    } else if (about.origin != NULL && about.message != NULL && system->remote.reject != NULL) {
        system->remote.reject(system->remote.context, about.message, script->actor->name, reason);
    } else {
        return script_push_failure(L, FAILURE_DOWN, "nobody waits for an answer");
    }
    lua_pushboolean(L, true);
    return 1;
}

/* A copy of the message, from the same sender, with the same request. */
static struct message *copy_of(const struct about *about)
{
    bool asked = about->owed != NULL && about->origin == NULL;
    struct message *copy = message_new(asked ? MESSAGE_ASK : MESSAGE_ORDINARY, about->type,
                                       about->message->payload, about->message->size);
    if (copy == NULL)
        return NULL;
    copy->from = about->from;
    copy->request = about->request;
    copy->flags |= about->message->flags & (MESSAGE_TEXT | MESSAGE_REMOTE);
    if (about->message->lane == LANE_HIGH)
        copy->lane = LANE_HIGH;
    if (about->origin != NULL)
        copy->origin = address_ref(about->origin);
    return copy;
}

/* env:forward(ref) -> true, or nil and why: passes the message on as it came;
 * a question is then answered by the other. */
static int env_forward(lua_State *L)
{
    struct script *script = script_of(L);
    struct system *system = script->world->system;
    struct about about;
    char why[300] = "";
    check_env(L, "forward", &about);
    struct target target = api_check_target(L, 2, "forward");
    refuse_second(L, "forward", &about);
    if (about.message == NULL)
        return luaL_error(L, "forward: an answer cannot be forwarded");
    if (target.address != NULL && target.address->endpoint_size == 0)
        target.id = registry_find_name(&system->registry, address_name(target.address),
                                       target.address->name_size);

    bool here = target.id != 0;
    bool asked = about.owed != NULL && about.origin == NULL; /* here: there is an edge */
    struct message *copy = copy_of(&about);
    if (copy == NULL)
        return luaL_error(L, "forward: out of memory");
    if (asked && here &&
        !waits_move(system, about.from, about.request, target.id, why, sizeof why)) {
        message_free(copy);
        return api_push_undelivered(L, FAILURE_DEADLOCK, target, about.type, why);
    }
    copy->to = target.id;
    enum router_answer answer =
        here ? router_send(system, &copy, 0)
             : router_send_address(system, target.address, &copy, 0, why, sizeof why);
    if (answer == ROUTER_OK) {
        if (asked && !here)
            waits_end(system, about.from, about.request); /* no edges to elsewhere */
        if (about.owed != NULL)
            *about.owed = false;
        scheduler_sent();
        lua_pushboolean(L, true);
        return 1;
    }
    message_free(copy);
    if (asked && here)
        waits_move(system, about.from, about.request, actor_self(script->actor), why, sizeof why);
    return api_push_undelivered(L, api_reason_of(answer), target, about.type,
                                here || why[0] == '\0' ? NULL : why);
}

/* env:discard(reason) -> true: the message is a dead letter, and whoever asked is told. */
static int env_discard(lua_State *L)
{
    struct script *script = script_of(L);
    struct about about;
    check_env(L, "discard", &about);
    const char *reason = lua_isnoneornil(L, 2) ? "no reason given" : luaL_tolstring(L, 2, NULL);
    refuse_second(L, "discard", &about);
    if (about.message == NULL)
        return luaL_error(L, "discard: an answer cannot be discarded");

    struct message *copy = copy_of(&about);
    if (copy == NULL)
        return luaL_error(L, "discard: out of memory");
    copy->to = actor_self(script->actor);
    if (about.owed != NULL)
        *about.owed = false;
    router_refuse(script->world->system, &copy, FAILURE_REJECTED, reason, reason);
    lua_pushboolean(L, true);
    return 1;
}

static void push_held_metatable(lua_State *L);

/* env:defer() -> env: may be kept and answered after the handler has ended. */
static int env_defer(lua_State *L)
{
    struct script *script = script_of(L);
    struct about about;
    struct env *env = check_env(L, "defer", &about);
    lua_settop(L, 1);
    if (env->deferred)
        return 1;
    if (env->held != NULL) { /* received: from the handler's list to the deferred ones */
        if (env->held->message != NULL)
            message_settle(env->held->message, true);
        held_unlink(env->held);
        held_link(&script->deferred, env->held);
    } else if (env->in_hand) {
        push_held_metatable(L);
        lua_setmetatable(L, 1);
        struct activation *hand = &script->hand;
        struct held *held = held_new(&hand->held, env, hand->current, hand->owed);
        if (held == NULL)
            return luaL_error(L, "defer: out of memory");
        held->in_hand = true;
        hand->owed = false;
    } else {
        return luaL_error(L, "defer: an answer needs none");
    }
    env->deferred = true;
    return 1;
}

/* ---- Fields ---------------------------------------------------------------- */

static int push_from(lua_State *L)
{
    struct about about;
    find_env(L, "from", &about);
    api_install_refs(L);
    if (about.from != 0)
        ref_push_actor(L, about.from);
    else if (about.origin != NULL)
        ref_push_address(L, about.origin);
    else
        lua_pushnil(L);
    return 1;
}

enum field { FIELD_FROM = 1, FIELD_TYPE, FIELD_REMOTE, FIELD_ASKED };

/* __index(env, name); upvalue 1: name -> method or number of field. */
static int env_index(lua_State *L)
{
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (LIKELY(lua_isfunction(L, -1)))
        return 1;
    const struct env *env = lua_touserdata(L, 1);
    switch ((enum field)lua_tointeger(L, -1)) {
    case FIELD_FROM:
        return push_from(L);
    case FIELD_TYPE:
        lua_pushstring(L, type_name(env->type));
        return 1;
    case FIELD_REMOTE:
        lua_pushboolean(L, env->remote);
        return 1;
    case FIELD_ASKED:
        lua_pushboolean(L, env->asked);
        return 1;
    }
    lua_pushnil(L);
    return 1;
}

/* It is collected: a deferred question that nobody can answer any more. */
static int env_gc(lua_State *L)
{
    struct script *script = script_of(L);
    struct env *env = env_at(L, 1);
    if (env == NULL || env->held == NULL)
        return 0;
    struct held *held = env->held;
    if (held->in_hand) { /* until its handler ends */
        held->env = NULL;
        env->held = NULL;
        return 0;
    }
    held_tell(script, held, FAILURE_NO_REPLY, NULL);
    if (held->message != NULL && message_is_awaited(held->message)) { /* its handler still works */
        held->env = NULL;
        env->held = NULL;
        return 0;
    }
    held_unlink(held);
    held_free(held);
    return 0;
}

static void fill_metatable(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "reply", env_reply }, { "forward", env_forward }, { "fail", env_fail },
        { "defer", env_defer }, { "discard", env_discard }, { NULL, NULL },
    };
    static const struct { const char *name; enum field field; } fields[] = {
        { "from", FIELD_FROM }, { "type", FIELD_TYPE }, { "remote", FIELD_REMOTE },
        { "asked", FIELD_ASKED },
    };
    lua_pushliteral(L, "env");
    lua_setfield(L, -2, "__name");
    lua_createtable(L, 0, 8);
    luaL_setfuncs(L, methods, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
        lua_pushinteger(L, fields[i].field);
        lua_setfield(L, -2, fields[i].name);
    }
    lua_pushcclosure(L, env_index, 1);
    lua_setfield(L, -2, "__index");
}

static void push_metatable(lua_State *L)
{
    if (LIKELY(lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key) == LUA_TTABLE))
        return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    fill_metatable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);
}

static void push_held_metatable(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &held_metatable_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    luaL_checkstack(L, 8, "too many values to hold a message");
    lua_createtable(L, 0, 3);
    fill_metatable(L);
    lua_pushcfunction(L, env_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &held_metatable_key);
}

/* ---- Making envs ------------------------------------------------------------ */

static struct env *push_new(lua_State *L, struct script *script, const struct message *message)
{
    struct env *env = lua_newuserdatauv(L, sizeof *env, 0);
    bool none = message == NULL;
    *env = (struct env){
        .mark = &metatable_key,
        .serial = script->hand.serial,
        .from = none ? 0 : message->from,
        .type = none ? script->hand.type : message->type,
        .asked = !none && api_is_question(message),
        .remote = !none && (message->flags & MESSAGE_REMOTE) != 0,
    };
    return env;
}

void api_push_env(lua_State *L, struct script *script)
{
    struct env *env = push_new(L, script, script->hand.current);
    env->in_hand = script->hand.current != NULL;
    push_metatable(L);
    lua_setmetatable(L, -2);
}

/* The env of an answer from here says who answered and with what type, and
 * nothing else; so one serves for all answers that are alike in that, which
 * is most of them, and an asker that ignores it pays next to nothing. */
static void push_answer_env(lua_State *L, struct script *script, const struct message *answer)
{
    struct env *known = script->answer_env;
    if (LIKELY(known != NULL && known->from == answer->from && known->type == answer->type)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, script->answer_env_reference);
        known->serial = script->hand.serial;
        return;
    }
    struct env *env = push_new(L, script, answer);
    push_metatable(L);
    lua_setmetatable(L, -2);
    if (script->interleave != NULL) /* two handlers may each have one */
        return;
    script->answer_env = NULL;
    lua_pushvalue(L, -1);
    if (known == NULL)
        script->answer_env_reference = luaL_ref(L, LUA_REGISTRYINDEX);
    else
        lua_rawseti(L, LUA_REGISTRYINDEX, script->answer_env_reference);
    script->answer_env = env;
}

void api_push_env_of(lua_State *L, struct script *script, struct message **message)
{
    bool answer = (*message)->kind == MESSAGE_REPLY;
    luaL_checkstack(L, 8, "too many values to make an env");
    if (answer && (*message)->origin == NULL) {
        push_answer_env(L, script, *message);
        message_free(*message);
        *message = NULL;
        return;
    }
    struct env *env = push_new(L, script, *message);
    push_held_metatable(L);
    lua_setmetatable(L, -2);
    struct held *held = held_new(&script->hand.held, env, *message, env->asked);
    if (held == NULL)
        luaL_error(L, "out of memory");
    if (answer)
        message_free(*message);
    else
        held->message = *message;
    *message = NULL;
}
