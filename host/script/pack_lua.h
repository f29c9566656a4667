/*
 * pack_lua.h -- Lua values <-> packed values (message/pack.h).
 *
 * Refused at the packing, naming the path: functions, coroutines, userdata
 * other than refs and json.null, cycles, more than PACK_DEPTH_LIMIT levels,
 * tables with holes, mixed keys, or keys that are neither strings nor 1..n.
 * Metatables are dropped, but json.array's kind of an array is kept.
 *
 * No metamethod is called, and no Lua code runs. The functions here need 8 free
 * stack slots, of which Lua gives each C function 20; they see to those of
 * deeper levels.
 */
#ifndef TROUPE_SCRIPT_PACK_LUA_H
#define TROUPE_SCRIPT_PACK_LUA_H

#include "base/base.h"

#include <lua.h>

#define PACK_LUA_LIMIT (16u * 1024 * 1024) /* bytes of one payload */

/* Packs the message at `index`: a string-keyed table, or nil (size 0, as an
 * empty table). The bytes are the calling thread's scratch: valid until the
 * next packing on this thread. Raises, blaming `msg.path.to.it` at the line
 * that called the running C function, if it cannot be sent. */
const uint8_t *pack_lua_message(lua_State *L, int index, size_t *size);

/* The same for any value (a config's field, json.encode); nil is packed as
 * null, and `size` is never 0. `root` is what error messages call the value. */
const uint8_t *pack_lua_value(lua_State *L, int index, const char *root, size_t *size);

/* Pushes the value that `packed` holds; size 0 pushes a new empty table. May
 * raise on no memory. `packed` may be the scratch of pack_lua_message(). */
void pack_lua_push(lua_State *L, const uint8_t *packed, size_t size);

/* Pushes the metatable that marks arrays (json.array{}); made when first needed. */
void pack_lua_push_array_metatable(lua_State *L);

/* The global `json`: encode(value[, options]), decode(text) -> value or nil, why,
 * array(table), null, get(table, key...). A vm_library opener. */
int json_lua_open(lua_State *L);

#endif
