/*
 * api_time.c -- durations, and timers as scripts hold them.
 */
#include "script/api.h"

#include "message/pack.h"
#include "script/pack_lua.h"
#include "script/ref.h"
#include "script/scratch.h"
#include "script/staging.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define DURATION_LIMIT_S 1e9

/* ---- Durations --------------------------------------------------------- */

static bool to_ns(double amount, double unit_s, uint64_t *ns)
{
    double seconds = amount * unit_s;
    if (!(seconds >= 0 && seconds <= DURATION_LIMIT_S)) /* NaN too */
        return false;
    *ns = (uint64_t)llround(seconds * (double)NS_PER_SEC);
    return true;
}

/* Reads "12" or "1.5" at *at and moves it behind. */
static bool read_amount(const char **at, const char *end, double *amount)
{
    const char *digit = *at;
    double scale = 1;
    *amount = 0;
    for (; digit < end && *digit >= '0' && *digit <= '9'; digit++)
        *amount = *amount * 10 + (*digit - '0');
    if (digit == *at)
        return false;
    if (digit < end && *digit == '.') {
        const char *point = digit++;
        for (; digit < end && *digit >= '0' && *digit <= '9'; digit++)
            *amount += (*digit - '0') * (scale /= 10);
        if (digit == point + 1)
            return false;
    }
    *at = digit;
    return true;
}

bool script_parse_duration(const char *text, size_t size, uint64_t *ns)
{
    static const struct { char name[3]; double seconds; } units[] = {
        { "ms", 1e-3 }, { "s", 1 }, { "m", 60 }, { "h", 3600 },
    };
    const char *end = text + size;
    double amount;
    if (!read_amount(&text, end, &amount))
        return false;
    size_t left = (size_t)(end - text);
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++)
        if (left == strlen(units[i].name) && memcmp(text, units[i].name, left) == 0)
            return to_ns(amount, units[i].seconds, ns);
    return false;
}

uint64_t script_check_duration(lua_State *L, int index, const char *what, const char *option)
{
    uint64_t ns;
    int    type = lua_type(L, index);
    size_t size;
    const char *text;

    if (type == LUA_TNUMBER && to_ns(lua_tonumber(L, index), 1, &ns))
        return ns;
    if (type == LUA_TSTRING) {
        text = lua_tolstring(L, index, &size);
        if (script_parse_duration(text, size, &ns))
            return ns;
        lua_pushfstring(L, "'%s'", text);
    } else if (type == LUA_TNUMBER) {
        lua_pushvalue(L, index);
    } else {
        lua_pushfstring(L, "a %s", luaL_typename(L, index));
    }
    luaL_error(L, "%s%s%s: a duration is \"250ms\", \"2s\", \"1m\", \"1h\" or a number of seconds "
                  "(at most 1e9), not %s", what, option != NULL ? ": " : "",
               option != NULL ? option : "", lua_tostring(L, -1));
    UNREACHABLE();
}

/* ---- Handles ----------------------------------------------------------- */

/* A timer as a script holds it. The list of all of them lets the actor's end
 * find the C references, since its state is dropped without finalizers. */
struct timer_handle {
    struct timer        *timer; /* counted; NULL: let go */
    struct timer_handle *next, **link; /* the list script->timers */
    type_id  type;
    uint64_t interval_ns;
};

static const char metatable_key;

static void let_go(struct timer_handle *handle)
{
    struct timer *timer = handle->timer;
    if (handle->link != NULL) {
        *handle->link = handle->next;
        if (handle->next != NULL)
            handle->next->link = handle->link;
        handle->link = NULL;
    }
    handle->timer = NULL;
    if (timer != NULL)
        timer_unref(timer);
}

/* The handle at index 1, or NULL. */
static struct timer_handle *handle_at(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TUSERDATA || !lua_getmetatable(L, 1))
        return NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key);
    bool ours = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    return ours ? lua_touserdata(L, 1) : NULL;
}

/* timer:cancel() -> whether this call prevented a delivery. */
static int timer_handle_cancel(lua_State *L)
{
    struct timer_handle *handle = handle_at(L);
    if (handle == NULL)
        return luaL_error(L, "cancel: a timer is expected, not a %s (call timer:cancel())",
                          luaL_typename(L, 1));
    if (UNLIKELY(script_of(L)->vm.loading)) {
        staging_refuse_loading(L, "cancel");
        return staging_cancel(L, script_of(L), handle->timer);
    }
    bool prevented = handle->timer != NULL &&
                     timer_cancel(handle->timer, actor_self(script_of(L)->actor));
    let_go(handle);
    lua_pushboolean(L, prevented);
    return 1;
}

static int timer_handle_tostring(lua_State *L)
{
    struct timer_handle *handle = handle_at(L);
    if (handle == NULL)
        return luaL_error(L, "a timer is expected, not a %s", luaL_typename(L, 1));
    lua_pushfstring(L, "timer %s", type_name(handle->type));
    if (handle->interval_ns > 0)
        lua_pushfstring(L, " every %f s", (double)handle->interval_ns / (double)NS_PER_SEC);
    else
        lua_pushliteral(L, "");
    lua_concat(L, 2);
    return 1;
}

static int timer_handle_gc(lua_State *L)
{
    struct timer_handle *handle = handle_at(L);
    if (handle != NULL)
        let_go(handle);
    return 0;
}

/* Pushes the metatable of timers, making it when first needed. */
static void push_metatable(lua_State *L)
{
    if (LIKELY(lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key) == LUA_TTABLE))
        return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 4);
    lua_pushliteral(L, "timer");
    lua_setfield(L, -2, "__name");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, timer_handle_cancel);
    lua_setfield(L, -2, "cancel");
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, timer_handle_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, timer_handle_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);
}

/* Pushes a handle without a timer: all that may raise is done before there is one. */
static struct timer_handle *push_handle(lua_State *L)
{
    struct script *script = script_of(L);
    luaL_checkstack(L, 5, "too many values to make a timer");
    push_metatable(L);
    struct timer_handle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
    handle->timer = NULL;
    handle->link = NULL;
    handle->type = TYPE_NONE;
    handle->interval_ns = 0;
    lua_insert(L, -2);
    lua_setmetatable(L, -2);

    handle->next = script->timers;
    handle->link = &script->timers;
    if (handle->next != NULL)
        handle->next->link = &handle->next;
    script->timers = handle;
    return handle;
}

void api_timers_end(struct script *script)
{
    while (script->timers != NULL)
        let_go(script->timers);
}

void api_each_timer(struct script *script, void (*fn)(void *context, type_id type), void *context)
{
    for (struct timer_handle *handle = script->timers; handle != NULL; handle = handle->next)
        if (handle->timer != NULL && timer_is_pending(handle->timer, actor_self(script->actor)))
            fn(context, handle->type);
}

/* ---- actor.after, actor.every ------------------------------------------ */

int api_start_timer(lua_State *L, actor_id to, type_id type, const uint8_t *packed, size_t size,
                    enum message_lane lane, uint64_t delay_ns, uint64_t interval_ns)
{
    struct script *script = script_of(L);
    struct system *system = script->world->system;
    actor_id self = actor_self(script->actor);

    struct timer_handle *handle = push_handle(L);
    handle->type = type;
    handle->interval_ns = interval_ns;

    enum message_kind kind = to == self ? MESSAGE_TIMER : MESSAGE_ORDINARY;
    struct message *message = message_new(kind, type, packed, size);
    int error = -ENOMEM;
    if (message != NULL) {
        message->to = to;
        message->from = self;
        message->lane = (uint8_t)lane;
        error = UNLIKELY(script->vm.loading)
                    ? staging_start_timer(script, &message, delay_ns, interval_ns, &handle->timer)
                    : timer_start(system->timers, &message, clock_now(&system->clock) + delay_ns,
                                  interval_ns, self, &handle->timer);
        message_free(message);
    }
    if (LIKELY(error == 0))
        return 1;

    handle->timer = NULL;
    char text[80];
    if (error == -EAGAIN)
        snprintf(text, sizeof text, "the host has its limit of %u timers", system->limits.timers);
    else
        snprintf(text, sizeof text, "out of memory");
    return script_push_failure(L, error == -EAGAIN ? FAILURE_FULL : FAILURE_FAILED, text);
}

/* The value at `index` as the option `to`; its id is 0 if nobody has the name. */
static struct target check_target(lua_State *L, int index, const char *what)
{
    struct target target;
    if (!ref_get(L, index, &target.id, &target.address))
        luaL_error(L, "%s: option 'to' is a ref, not a %s", what, luaL_typename(L, index));
    api_resolve(script_of(L), &target);
    if (target.address != NULL && target.address->endpoint_size > 0)
        luaL_error(L, "%s: option 'to' is for actors of this host; let the timer come here and "
                      "send from its handler", what);
    if (target.address != NULL)
        target.id = registry_find_name(&script_of(L)->world->system->registry,
                                       address_name(target.address), target.address->name_size);
    return target;
}

/* Finds `to` in the options at `index`; without it the actor itself. */
static struct target check_options(lua_State *L, int index, const char *what)
{
    struct target target = { .id = actor_self(script_of(L)->actor) };
    if (lua_isnoneornil(L, index))
        return target;
    if (!lua_istable(L, index))
        luaL_error(L, "%s: options are a table, not a %s", what, luaL_typename(L, index));
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "%s: options have names, and this has a %s for a key", what,
                       luaL_typename(L, -2));
        if (strcmp(lua_tostring(L, -2), "to") != 0)
            luaL_error(L, "%s: no option is called '%s'; there is 'to'", what,
                       lua_tostring(L, -2));
        target = check_target(L, lua_gettop(L), what);
        lua_pop(L, 1);
    }
    return target;
}

/* The payload of the family's Timeout{id}. */
static const uint8_t *pack_timeout(lua_State *L, int index, const char *what, size_t *size)
{
    int whole;
    lua_Integer id = lua_tointegerx(L, index, &whole);
    if (!whole)
        luaL_error(L, "%s: a timer's id is an integer, not %s", what,
                   luaL_tolstring(L, index, NULL));
    if (!lua_isnoneornil(L, index + 1))
        luaL_error(L, "%s: with an id the message is Timeout{id}, and carries nothing else", what);
    struct bytes *out = scratch_take(SCRATCH_PACK);
    size_t head = pack_open(out, PACK_MAP);
    pack_put_string(out, "id", 2);
    pack_put_integer(out, id);
    pack_close(out, head, 1);
    if (out->failed)
        luaL_error(L, "%s: out of memory", what);
    *size = out->size;
    return out->data;
}

/* (delay, type or id, msg, {to = ref}) -> timer, or nil and why. */
static int start_timer(lua_State *L, const char *what, bool periodic)
{
    struct script *script = script_of(L);
    lua_settop(L, 4);
    staging_refuse_loading(L, what);
    declared_spread(L, 2);
    uint64_t delay_ns = script_check_duration(L, 1, what, NULL);
    if (periodic && delay_ns == 0)
        return luaL_error(L, "%s: the interval must be more than 0", what);

    struct target target = check_options(L, 4, what);
    type_id type = TYPE_TIMEOUT;
    const uint8_t *packed;
    size_t size;
    if (lua_type(L, 2) == LUA_TNUMBER) {
        packed = pack_timeout(L, 2, what, &size);
    } else {
        type = api_check_type(L, script, 2, what);
        packed = api_pack(L, script, 3, type, &size);
    }
    if (target.id == 0 || registry_find(&script->world->system->registry, target.id) == NULL)
        return api_push_undelivered(L, FAILURE_DOWN, target, type, NULL);
    return api_start_timer(L, target.id, type, packed, size, LANE_ORDINARY, delay_ns,
                           periodic ? delay_ns : 0);
}

int api_after(lua_State *L)
{
    return start_timer(L, "actor.after", false);
}

int api_every(lua_State *L)
{
    return start_timer(L, "actor.every", true);
}
