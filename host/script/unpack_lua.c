/*
 * unpack_lua.c -- the way back of pack_lua.h: packed values become Lua's.
 */
#include "script/pack_lua.h"

#include "message/pack.h"
#include "script/ref.h"
#include "script/stream_handle.h"

#include <lauxlib.h>

#define LEVEL_SLOTS 8 /* on the stack, for one container */

/* Pushes the value at `at` and returns where the next one starts. */
static const uint8_t *push_value(lua_State *L, const uint8_t *at);

static void check_room(lua_State *L)
{
    luaL_checkstack(L, LEVEL_SLOTS, "no room to unpack a message");
}

static const uint8_t *push_map(lua_State *L, const uint8_t *at, uint32_t count)
{
    lua_createtable(L, 0, (int)count);
    for (uint32_t i = 0; i < count; i++) {
        struct pack_item key;
        at = pack_read(at, &key);
        lua_pushlstring(L, key.text, key.size);
        at = push_value(L, at);
        lua_rawset(L, -3);
    }
    return at;
}

static const uint8_t *push_array(lua_State *L, const uint8_t *at, uint32_t count, bool marked)
{
    lua_createtable(L, (int)count, 0);
    if (marked) {
        pack_lua_push_array_metatable(L);
        lua_setmetatable(L, -2);
    }
    for (uint32_t i = 1; i <= count; i++) {
        at = push_value(L, at);
        lua_rawseti(L, -2, i);
    }
    return at;
}

static const uint8_t *push_value(lua_State *L, const uint8_t *at)
{
    struct pack_item item;
    at = pack_read(at, &item);
    switch (item.tag) {
    case PACK_INT64:
        lua_pushinteger(L, item.integer);
        return at;
    case PACK_STRING:
        lua_pushlstring(L, item.text, item.size);
        return at;
    case PACK_DOUBLE:
        lua_pushnumber(L, item.number);
        return at;
    case PACK_FALSE:
    case PACK_TRUE:
        lua_pushboolean(L, item.tag == PACK_TRUE);
        return at;
    case PACK_MAP:
        check_room(L);
        return push_map(L, at, item.count);
    case PACK_ARRAY:
    case PACK_MARKED_ARRAY:
        check_room(L);
        return push_array(L, at, item.count, item.tag == PACK_MARKED_ARRAY);
    case PACK_ACTOR:
        ref_push_actor(L, item.actor);
        return at;
    case PACK_STREAM:
        stream_push(L, item.stream);
        return at;
    case PACK_ADDRESS:
        ref_push_text(L, item.text, item.size);
        return at;
    default:
        lua_pushlightuserdata(L, NULL); /* json.null */
        return at;
    }
}

void pack_lua_push(lua_State *L, const uint8_t *packed, size_t size)
{
    struct pack_item item;
    if (size == 0) {
        lua_createtable(L, 0, 0);
    } else if (LIKELY(packed[0] == PACK_MAP)) {
        packed = pack_read(packed, &item);
        push_map(L, packed, item.count);
    } else {
        push_value(L, packed);
    }
}
