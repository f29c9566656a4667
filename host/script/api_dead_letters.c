/*
 * api_dead_letters.c -- actor.dead_letters, actor.watch_dead_letters: what came
 * to nothing, listed, and told of at once.
 */
#include "script/api.h"

#include "base/suggest.h"
#include "message/pack.h"
#include "script/sandbox.h"
#include "script/scratch.h"

#include <lauxlib.h>
#include <string.h>

#define LIMIT_DEFAULT 100

struct wanted {
    lua_Integer limit; /* the newest so many */
    lua_Integer id;    /* 0: any */
};

static lua_Integer check_whole(lua_State *L, const char *option)
{
    int whole;
    lua_Integer value = lua_tointegerx(L, -1, &whole);
    if (!whole || lua_type(L, -1) != LUA_TNUMBER || value < 1)
        luaL_error(L, "actor.dead_letters: %s is a whole number from 1", option);
    return value;
}

/* The options at index 1. */
static struct wanted check_wanted(lua_State *L)
{
    struct wanted wanted = { .limit = LIMIT_DEFAULT };
    if (lua_isnoneornil(L, 1))
        return wanted;
    if (!lua_istable(L, 1))
        luaL_error(L, "actor.dead_letters: options are a table, not a %s", luaL_typename(L, 1));
    lua_pushnil(L);
    for (; lua_next(L, 1); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "actor.dead_letters: options have names, and this has a %s for a key",
                       luaL_typename(L, -2));
        const char *name = lua_tostring(L, -2);
        if (strcmp(name, "limit") == 0) {
            wanted.limit = check_whole(L, name);
        } else if (strcmp(name, "id") == 0) {
            wanted.id = check_whole(L, name);
        } else {
            struct suggest suggest;
            suggest_init(&suggest, name);
            suggest_offer(&suggest, "limit");
            suggest_offer(&suggest, "id");
            if (suggest.best != NULL)
                luaL_error(L, "actor.dead_letters: no option is called '%s' (did you mean '%s'?)",
                           name, suggest.best);
            luaL_error(L, "actor.dead_letters: no option is called '%s'", name);
        }
    }
    return wanted;
}

struct listing {
    struct system *system;
    struct bytes  *out;
    struct wanted  wanted;
    uint64_t passed; /* that are older than the newest so many */
    uint32_t count;
};

static void count_letter(void *context, const struct dead_letter *letter)
{
    (void)letter;
    ((struct listing *)context)->passed++;
}

static void put_text(struct bytes *out, const char *field, const char *text)
{
    pack_put_string(out, field, strlen(field));
    pack_put_string(out, text, strlen(text));
}

/* Under the letters' lock: nothing here may raise, so it is packed, not pushed. */
static void put_letter(void *context, const struct dead_letter *letter)
{
    struct listing *listing = context;
    struct bytes   *out = listing->out;
    const struct message *message = letter->message;
    uint32_t now_ms = atomic_load_explicit(&listing->system->born_ms, memory_order_relaxed);
    uint32_t fields = 8;

    if (listing->wanted.id != 0 ? letter->id != (uint64_t)listing->wanted.id
                                : listing->passed > 0) {
        listing->passed -= listing->passed > 0;
        return;
    }
    size_t map = pack_open(out, PACK_MAP);
    pack_put_string(out, "id", 2);
    pack_put_integer(out, (int64_t)letter->id);
    put_text(out, "type", type_name(letter->type));
    put_text(out, "from", letter->sender);
    put_text(out, "to", letter->target);
    put_text(out, "reason", failure_reason_name(letter->reason));
    put_text(out, "text", letter->text);
    pack_put_string(out, "age", 3);
    pack_put_double(out, (double)(now_ms - letter->died_ms) / 1e3);
    pack_put_string(out, "msg", 3);
    if (message->size > 0)
        bytes_append(out, message->payload, message->size);
    else
        pack_close(out, pack_open(out, PACK_MAP), 0);
    if (registry_find(&listing->system->registry, message->to) != NULL) {
        pack_put_string(out, "ref", 3);
        pack_put_actor(out, message->to);
        fields++;
    }
    pack_close(out, map, fields);
    listing->count++;
}

/* actor.dead_letters({limit=, id=}) -> { { id=, type=, from=, to=, reason=, text=, age=, msg=,
 * ref= }, ... }, oldest first. */
int api_dead_letters(lua_State *L)
{
    struct system *system = script_of(L)->world->system;
    api_refuse_loading(L, "actor.dead_letters");
    sandbox_refuse(L, "actor.dead_letters");
    struct listing listing = { .system = system, .wanted = check_wanted(L) };
    listing.out = scratch_take(SCRATCH_PACK);

    dead_letters_each(&system->letters, count_letter, &listing);
    uint64_t limit = (uint64_t)listing.wanted.limit;
    listing.passed = listing.passed > limit ? listing.passed - limit : 0;
    size_t array = pack_open(listing.out, PACK_ARRAY);
    dead_letters_each(&system->letters, put_letter, &listing);
    pack_close(listing.out, array, listing.count);
    if (listing.out->failed)
        return luaL_error(L, "actor.dead_letters: out of memory");
    api_install_refs(L);
    pack_lua_push(L, listing.out->data, listing.out->size);
    return 1;
}

/* actor.watch_dead_letters(on) -> true, or nil and why; with false: whether it was told of them. */
int api_watch_dead_letters(lua_State *L)
{
    struct script *script = script_of(L);
    struct system *system = script->world->system;
    api_refuse_loading(L, "actor.watch_dead_letters");
    sandbox_refuse(L, "actor.watch_dead_letters");
    if (!lua_isnoneornil(L, 1) && !lua_isboolean(L, 1))
        return luaL_error(L, "actor.watch_dead_letters: true or false is expected, not a %s",
                          luaL_typename(L, 1));
    if (lua_isboolean(L, 1) && !lua_toboolean(L, 1)) {
        lua_pushboolean(L, obituaries_leave(system, actor_self(script->actor)));
        return 1;
    }
    if (obituaries_listen(system, actor_self(script->actor)) != 0)
        return script_push_failure(L, FAILURE_FULL, "as many actors watch the dead letters as may");
    lua_pushboolean(L, true);
    return 1;
}
