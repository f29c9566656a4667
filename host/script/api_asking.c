/*
 * api_asking.c -- questions of which many are under way at once: ref:start_ask,
 * and actor.all and actor.any, which wait for their answers.
 *
 *     local answers, why, some = actor.all({ a = r1:start_ask("Get"), b = r2:start_ask("Get") },
 *                                          { timeout = "2s" })
 *     -- answers.a, answers.b: the answers' messages
 *     -- or nil, why the first that failed did, with why.name == "a", and the answers there are
 *
 *     local name, msg, env = actor.any{ a = r1:start_ask("Get"), b = r2:start_ask("Get") }
 *     -- the first answer; or nil, why when all have failed or the time is over
 *
 * start_ask never fails: what goes wrong at the sending is found in its place
 * among the answers. A started question lives until it was awaited, or until
 * its handler ends; after actor.any the others can still be awaited.
 */
#include "script/api.h"

#include "base/memory.h"
#include "script/pack_lua.h"

#include <lauxlib.h>
#include <stdio.h>

#define TEXT_ROOM 700

enum asking_state { ASKING_OPEN, ASKING_DONE };

/* A started question. Those without an answer lie in one list, in the order of
 * their numbers, in which answers tend to come; those with one in another. */
struct asking {
    struct asking *next, **link;
    uint32_t number;
    type_id  type;
    struct target target;         /* address counted */
    enum asking_state state;
    uint32_t place;               /* number_closed()'s */
    uint32_t mark;                /* of the last all() or any() that had it */
    bool     awaited;             /* by the all() or any() under way */
    enum failure_reason failure;
    struct message *answer;       /* a REPLY or FAILURE, or NULL */
    uint64_t timeout_ns;          /* for the text */
    char    *why;                 /* of a failure, or NULL */
};

/* What start_ask returns. */
struct asking_handle {
    struct asking *asking; /* NULL: it was awaited */
    uint64_t serial;       /* of its handler: valid until that has ended */
};

static const char handle_key; /* its address is a key of the registry */

static void free_asking(struct asking *asking)
{
    address_unref(asking->target.address);
    message_free(asking->answer);
    memory_free_text(asking->why);
    memory_put(asking, sizeof *asking);
}

static struct asking_handle *handle_at(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index))
        return NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handle_key);
    bool ours = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    return ours ? lua_touserdata(L, index) : NULL;
}

static int refuse_index(lua_State *L)
{
    return luaL_error(L, "start_ask has no answer yet: await it with actor.all or actor.any");
}

static struct asking_handle *push_handle(lua_State *L)
{
    luaL_checkstack(L, 6, "too many values to ask");
    struct asking_handle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
    handle->asking = NULL;
    handle->serial = script_of(L)->hand.serial;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &handle_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 2);
        lua_pushliteral(L, "question");
        lua_setfield(L, -2, "__name");
        lua_pushcfunction(L, refuse_index);
        lua_setfield(L, -2, "__index");
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &handle_key);
    }
    lua_setmetatable(L, -2);
    return handle;
}

static void append_open(struct script *script, struct asking *asking)
{
    if (script->hand.asking == NULL)
        script->hand.asking_end = &script->hand.asking;
    asking->link = script->hand.asking_end;
    *asking->link = asking;
    script->hand.asking_end = &asking->next;
}

static void unlink_asking(struct script *script, struct asking *asking)
{
    *asking->link = asking->next;
    if (asking->next != NULL)
        asking->next->link = asking->link;
    else if (asking->state == ASKING_OPEN)
        script->hand.asking_end = asking->link;
}

/* The question has its answer, or will have none. */
static void close_asking(struct script *script, struct asking *asking)
{
    unlink_asking(script, asking);
    asking->state = ASKING_DONE;
    asking->link = &script->hand.asked;
    asking->next = script->hand.asked;
    if (asking->next != NULL)
        asking->next->link = &asking->next;
    script->hand.asked = asking;
    if (asking->awaited) {
        asking->awaited = false;
        script->hand.wait.open--;
    }
}

/* ref:start_ask(type, msg, {priority=}) -> a question for actor.all, actor.any. */
int api_ref_start_ask(lua_State *L)
{
    struct script *script = script_of(L);
    lua_settop(L, 4);
    api_refuse_loading(L, "start_ask");
    struct target target = api_check_target(L, 1, "start_ask");
    type_id type = api_check_type(L, script, 2, "start_ask");
    struct send_options options = api_check_options(L, script, 4, "start_ask", OPTION_PRIORITY);
    struct asking_handle *handle = push_handle(L);
    size_t size;
    const uint8_t *packed = api_pack(L, script, 3, type, &size);

    /* From here on nothing raises. */
    struct asking *asking = memory_get_zeroed(sizeof *asking);
    struct message *message = message_new(MESSAGE_ASK, type, packed, size);
    if (asking == NULL || message == NULL) {
        if (asking != NULL)
            memory_put(asking, sizeof *asking);
        message_free(message);
        return luaL_error(L, "start_ask: out of memory");
    }
    api_resolve(script, &target);
    if (++script->actor->waits == 0) /* a number of its own, as for a wait */
        script->actor->waits = 1;
    asking->number = script->actor->waits;
    asking->type = type;
    asking->target = target;
    if (target.address != NULL)
        address_ref(target.address);
    handle->asking = asking;
    append_open(script, asking);

    message->from = actor_self(script->actor);
    message->request = asking->number;
    if (options.high)
        message->lane = LANE_HIGH;
    char why[300];
    enum router_answer answer = api_send_question(script, target, &message, 0, why, sizeof why);
    message_free(message);
    if (answer == ROUTER_OK) {
        scheduler_sent();
        return 1;
    }
    close_asking(script, asking);
    asking->failure = api_reason_of(answer);
    asking->why = why[0] != '\0' ? memory_copy_text(why) : NULL;
    return 1;
}

static struct asking *find_asking(const struct activation *activation, uint64_t request)
{
    struct asking *asking = activation->asking;
    while (asking != NULL && asking->number != request)
        asking = asking->next;
    return asking;
}

bool api_asking_has(const struct activation *activation, uint64_t request)
{
    return find_asking(activation, request) != NULL;
}

void api_asking_moved(struct activation *activation)
{
    if (activation->asking != NULL)
        activation->asking->link = &activation->asking;
    if (activation->asked != NULL)
        activation->asked->link = &activation->asked;
}

bool api_asking_answer(struct script *script, struct message *message)
{
    struct asking *asking = find_asking(&script->hand, message->request);
    if (asking == NULL)
        return false;
    asking->answer = message;
    bool wanted = asking->awaited;
    enum failure_reason reason;
    char text[8];
    close_asking(script, asking);
    if (wanted && script->hand.wait.kind == WAIT_ANY &&
        !api_is_refusal(message, &reason, text, sizeof text))
        script->hand.wait.open = 0; /* enough */
    return true;
}

void api_asking_cut(struct script *script, enum failure_reason reason)
{
    struct asking *next;
    for (struct asking *each = script->hand.asking; each != NULL; each = next) {
        next = each->next;
        if (!each->awaited)
            continue;
        each->failure = reason;
        each->timeout_ns = script->hand.wait.timeout_ns;
        close_asking(script, each);
    }
}

static void free_all(struct asking *list)
{
    while (list != NULL) {
        struct asking *asking = list;
        list = asking->next;
        free_asking(asking);
    }
}

void api_asking_end(struct script *script)
{
    free_all(script->hand.asking);
    free_all(script->hand.asked);
    script->hand.asking = script->hand.asked = NULL;
}

/* Pushes nil and why the question has no answer. */
static int push_asking_failure(lua_State *L, struct asking *asking)
{
    enum failure_reason reason = asking->failure;
    char text[TEXT_ROOM] = "";
    if (asking->answer != NULL)
        api_is_refusal(asking->answer, &reason, text, sizeof text);
    else if (asking->why != NULL)
        snprintf(text, sizeof text, "%s", asking->why);
    return api_push_unanswered(L, reason, asking->target, asking->type,
                               text[0] != '\0' ? text : NULL, asking->timeout_ns);
}

static bool has_answer(const struct asking *asking)
{
    enum failure_reason reason;
    char text[8];
    return asking->state == ASKING_DONE && asking->answer != NULL &&
           !api_is_refusal(asking->answer, &reason, text, sizeof text);
}

/* The handle at the stack's top, a value of the table at index 1; its question
 * is one of this handler's, not yet awaited. */
static struct asking_handle *check_handle(lua_State *L, const char *what)
{
    struct asking_handle *handle = handle_at(L, -1);
    if (handle == NULL)
        luaL_error(L, "%s: values are questions of ref:start_ask, not a %s", what,
                   luaL_typename(L, -1));
    if (handle->asking == NULL || handle->serial != script_of(L)->hand.serial)
        luaL_error(L, "%s: a question was awaited already, or belongs to %s", what,
                   script_of(L)->interleave != NULL ? "another handler"
                                                    : "a handler that has ended");
    return handle;
}

/* It was awaited: nothing is left of it. */
static void take(struct script *script, struct asking_handle *handle)
{
    unlink_asking(script, handle->asking);
    free_asking(handle->asking);
    handle->asking = NULL;
}

/* What check_questions() has found. */
struct round {
    uint32_t mark;     /* of the questions, in this wait */
    unsigned open;     /* without an answer yet */
    unsigned answered;
};

/* Marks the questions of the table at index 1. */
static struct round check_questions(lua_State *L, struct script *script, const char *what)
{
    if (!lua_istable(L, 1))
        luaL_error(L, "%s: a table of questions is expected, not a %s", what, luaL_typename(L, 1));
    struct round round = { .mark = ++script->rounds };
    lua_pushnil(L);
    for (; lua_next(L, 1); lua_pop(L, 1)) {
        struct asking *asking = check_handle(L, what)->asking;
        if (asking->mark == round.mark)
            luaL_error(L, "%s: a question stands there twice", what);
        asking->mark = round.mark;
        if (asking->state == ASKING_OPEN)
            round.open++;
        else if (has_answer(asking))
            round.answered++;
    }
    return round;
}

/* Waits for the questions of the table at index 1, if any is open. */
static int await(lua_State *L, const char *what, enum wait_kind kind, lua_KFunction go_on)
{
    struct script *script = script_of(L);
    lua_settop(L, 2);
    bool may_wait = script_may_wait(L, what);
    struct send_options options = api_check_options(L, script, 2, what, OPTION_TIMEOUT);
    struct round round = check_questions(L, script, what);

    if (round.open == 0 || (kind == WAIT_ANY && round.answered > 0))
        return go_on(L, LUA_OK, 0);
    struct wait *wait = script_wait_begin(script, kind, APPETITE_CONTROL, options.timeout_ns);
    wait->open = round.open;
    for (struct asking *each = script->hand.asking; each != NULL; each = each->next)
        each->awaited = each->mark == round.mark;
    if (!may_wait) {
        api_asking_cut(script, FAILURE_STOPPING);
        script_wait_over(script);
        return go_on(L, LUA_OK, 0);
    }
    return script_wait(L, what, go_on);
}

/* Numbers the questions that are no longer open, the latest first. */
static void number_closed(struct script *script)
{
    uint32_t place = 0;
    for (struct asking *each = script->hand.asked; each != NULL; each = each->next)
        each->place = ++place;
}

/* Pushes nil and why the first that failed did, with its key as why.name. */
static void push_first_failure(lua_State *L)
{
    struct asking *first = NULL;
    lua_pushnil(L); /* its key */
    lua_pushnil(L);
    for (; lua_next(L, 1); lua_pop(L, 1)) {
        struct asking_handle *handle = lua_touserdata(L, -1);
        if (has_answer(handle->asking) || (first != NULL && first->place > handle->asking->place))
            continue;
        first = handle->asking;
        lua_pushvalue(L, -2);
        lua_replace(L, -4);
    }
    push_asking_failure(L, first); /* key, nil, why */
    lua_rotate(L, -3, 2);          /* nil, why, key */
    lua_setfield(L, -2, "name");
}

/* The answers; or nil, why the first that failed did, and the answers. */
static int go_on_after_all(lua_State *L, int status, lua_KContext context)
{
    struct script *script = script_of(L);
    int failures = 0;
    (void)status;
    (void)context;
    lua_settop(L, 1);
    lua_createtable(L, (int)lua_rawlen(L, 1), 0); /* 2: answers */
    lua_pushnil(L);
    for (; lua_next(L, 1); lua_pop(L, 1)) {
        struct asking *asking = ((struct asking_handle *)lua_touserdata(L, -1))->asking;
        if (!has_answer(asking)) {
            failures++;
            continue;
        }
        lua_pushvalue(L, -2); /* the key */
        pack_lua_push(L, asking->answer->payload, asking->answer->size);
        lua_rawset(L, 2);
    }
    if (failures > 0) {
        number_closed(script);
        push_first_failure(L);
    }
    lua_pushnil(L);
    for (; lua_next(L, 1); lua_pop(L, 1))
        take(script, lua_touserdata(L, -1));
    if (failures == 0)
        return 1;
    lua_pushvalue(L, 2);
    return 3;
}

/* actor.all({key = question...}, {timeout=}) -> answers, or nil, why, answers. */
int api_all(lua_State *L)
{
    return await(L, "all", WAIT_ALL, go_on_after_all);
}

/* Of the questions in the table at index 1, pushes key and handle of the one
 * that was answered first; or pushes nothing and returns NULL. */
static struct asking_handle *push_first_answer(lua_State *L)
{
    struct asking_handle *first = NULL;
    lua_settop(L, 1);
    lua_pushnil(L); /* 2: its key */
    lua_pushnil(L); /* 3: itself */
    lua_pushnil(L);
    for (; lua_next(L, 1); lua_pop(L, 1)) {
        struct asking_handle *handle = lua_touserdata(L, -1);
        if (!has_answer(handle->asking) ||
            (first != NULL && first->asking->place > handle->asking->place))
            continue;
        first = handle;
        lua_pushvalue(L, -2);
        lua_replace(L, 2);
        lua_pushvalue(L, -1);
        lua_replace(L, 3);
    }
    if (first == NULL)
        lua_settop(L, 1);
    return first;
}

static int go_on_after_any(lua_State *L, int status, lua_KContext context)
{
    struct script *script = script_of(L);
    (void)status;
    (void)context;
    for (struct asking *each = script->hand.asking; each != NULL; each = each->next)
        each->awaited = false;
    number_closed(script);
    struct asking_handle *first = push_first_answer(L);
    if (first != NULL) {
        struct asking *asking = first->asking;
        pack_lua_push(L, asking->answer->payload, asking->answer->size);
        api_push_env_of(L, script, &asking->answer);
        lua_remove(L, 3);
        take(script, first);
        return 3;
    }
    lua_pushnil(L);
    if (!lua_next(L, 1))
        return script_push_failure(L, FAILURE_NO_REPLY, "any: no question was asked");
    lua_settop(L, 1);
    push_first_failure(L);
    return 2;
}

/* actor.any({key = question...}, {timeout=}) -> key, msg, env, or nil and why. */
int api_any(lua_State *L)
{
    return await(L, "any", WAIT_ANY, go_on_after_any);
}
