/*
 * ref.c -- see ref.h.
 *
 * Light and address refs share one metatable, which lies in the registry under
 * a pointer and not a name: looking at a value then needs no string, so
 * ref_get() works in a state that has no memory left.
 */
#include "script/ref.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* What an address ref holds. NULL once collected, or if making it failed. */
struct holder {
    struct address *address;
};

/* Their addresses are keys of the registry. */
static const char metatable_key;   /* of every ref */
static const char known_key;       /* text -> address ref, weak */
static const char reliable_key;    /* text -> address ref that is reliable: those stay */
static const char needs_close_key; /* light userdata: bool */

static const char node_prefix[] = ADDRESS_NODE_PREFIX;

/* The holder of an address ref with an address in it, or NULL. */
static struct holder *holder_at(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index))
        return NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key);
    bool ours = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    struct holder *holder = ours ? lua_touserdata(L, index) : NULL;
    return holder != NULL && holder->address != NULL ? holder : NULL;
}

bool ref_get(lua_State *L, int index, actor_id *id, struct address **address)
{
    *id = 0;
    *address = NULL;
    if (lua_islightuserdata(L, index)) {
        *id = (uintptr_t)lua_touserdata(L, index);
        return *id != 0;
    }
    struct holder *holder = holder_at(L, index);
    if (holder == NULL)
        return false;
    *address = holder->address;
    return true;
}

size_t ref_address_text(const struct address *address, char *text, size_t room)
{
    return address_text(address, text, room);
}

/* The inverse of ref_address_text(); NULL when there is no memory. An endpoint
 * has no '@', so the last one is the border. */
static struct address *address_of_text(const char *text, size_t size)
{
    const char *at = memrchr(text, '@', size);
    if (at == NULL)
        return address_new(text, size, "", 0);

    const char *place = at + 1;
    size_t name_size = (size_t)(at - text);
    size_t place_size = size - name_size - 1;
    if (memmem(place, place_size, "://", 3) != NULL)
        return address_new(text, name_size, place, place_size);

    char node[sizeof node_prefix + ADDRESS_ENDPOINT_LIMIT];
    if (place_size > ADDRESS_ENDPOINT_LIMIT)
        place_size = ADDRESS_ENDPOINT_LIMIT;
    memcpy(node, node_prefix, sizeof node_prefix - 1);
    memcpy(node + sizeof node_prefix - 1, place, place_size);
    return address_new(text, name_size, node, sizeof node_prefix - 1 + place_size);
}

static int address_gc(lua_State *L)
{
    struct holder *holder = holder_at(L, 1);
    if (holder != NULL) {
        address_unref(holder->address);
        holder->address = NULL;
    }
    return 0;
}

/* Pushes the metatable of refs, making it when first needed. */
static void push_metatable(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 5);
    lua_pushliteral(L, "ref");
    lua_setfield(L, -2, "__name");
    lua_pushcfunction(L, address_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);
}

/* Pushes the weak table of address refs by text, making it when first needed. */
static void push_known(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &known_key) == LUA_TTABLE)
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

static void note_needs_close(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &needs_close_key);
    bool *needs_close = lua_touserdata(L, -1);
    if (needs_close != NULL)
        *needs_close = true;
    lua_pop(L, 1);
}

/* Pushes the ref of this text; `address` NULL is made from the text. */
static void push_ref(lua_State *L, const char *text, size_t size, struct address *address)
{
    luaL_checkstack(L, 6, "too many values to make a ref");
    push_known(L);
    lua_pushlstring(L, text, size);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {
        lua_replace(L, -3);
        lua_pop(L, 1);
        return;
    }
    lua_pop(L, 1); /* known, text */

    /* The holder is Lua's, with its finalizer, before it owns the address. */
    note_needs_close(L);
    struct holder *holder = lua_newuserdatauv(L, sizeof *holder, 0);
    holder->address = NULL;
    push_metatable(L);
    lua_setmetatable(L, -2);
    /* That a message came over a stream does not make refs to its sender reliable. */
    holder->address = address != NULL && !address->reliable ? address_ref(address)
                                                            : address_of_text(text, size);
    if (holder->address == NULL)
        luaL_error(L, "not enough memory");

    lua_insert(L, -3);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3); /* known[text] = ref */
    lua_pop(L, 1);
}

void ref_push_address(lua_State *L, struct address *address)
{
    char text[REF_TEXT_ROOM];
    size_t size = ref_address_text(address, text, sizeof text);
    if (size == 0)
        luaL_error(L, "an address of more than %d bytes", (int)sizeof text);
    push_ref(L, text, size, address);
}

void ref_push_text(lua_State *L, const char *text, size_t size)
{
    push_ref(L, text, size, NULL);
}

void ref_set_reliable(lua_State *L, bool reliable)
{
    struct holder *holder = holder_at(L, -1);
    if (holder == NULL || holder->address->reliable == reliable)
        return;
    luaL_checkstack(L, 4, "too many values to make a ref");
    char   text[REF_TEXT_ROOM];
    size_t size = ref_address_text(holder->address, text, sizeof text);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &reliable_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &reliable_key);
    }
    lua_pushlstring(L, text, size);
    if (reliable)
        lua_pushvalue(L, -3);
    else
        lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);

    /* Others may share the address: it does not change. */
    struct address *copy = address_copy(holder->address, reliable);
    if (copy == NULL)
        luaL_error(L, "not enough memory");
    address_unref(holder->address);
    holder->address = copy;
}

/* __tostring(ref); upvalue 1 is to_text. */
static int ref_tostring(lua_State *L)
{
    if (lua_islightuserdata(L, 1) && lua_touserdata(L, 1) == NULL) {
        lua_pushliteral(L, "null");
        return 1;
    }
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static bool has_ref_text(lua_State *L, int index)
{
    return lua_islightuserdata(L, index) || holder_at(L, index) != NULL;
}

/* __concat(a, b): at least one of them is a ref; upvalue 1 is __tostring. */
static int ref_concat(lua_State *L)
{
    lua_settop(L, 2);
    for (int i = 1; i <= 2; i++) {
        if (has_ref_text(L, i)) {
            lua_pushvalue(L, lua_upvalueindex(1));
            lua_pushvalue(L, i);
            lua_call(L, 1, 1);
        } else if (lua_isstring(L, i)) {
            lua_pushvalue(L, i);
        } else {
            return luaL_error(L, "attempt to concatenate a %s value", luaL_typename(L, i));
        }
    }
    lua_concat(L, 2);
    return 1;
}

void ref_install(lua_State *L, lua_CFunction to_text, bool *needs_close)
{
    luaL_checkstack(L, 6, "too many values to install refs");
    lua_pushlightuserdata(L, needs_close);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &needs_close_key);

    push_metatable(L);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, to_text);
    lua_pushcclosure(L, ref_tostring, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__tostring");
    lua_pushcclosure(L, ref_concat, 1);
    lua_setfield(L, -2, "__concat");

    lua_pushlightuserdata(L, NULL);
    lua_insert(L, -2);
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}
