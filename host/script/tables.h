/*
 * tables.h -- the contents of a Lua table kept, and put back in place.
 *
 * A table that others refer to is not replaced but refilled. Refilling must not
 * fail, and setting a key that a table does not have may: so before, while failing
 * is still possible, *room* is made: each key that is to come is there already,
 * with a mark for a value that no script can have made. No metamethod is called.
 */
#ifndef TROUPE_SCRIPT_TABLES_H
#define TROUPE_SCRIPT_TABLES_H

#include "base/base.h"

#include <lua.h>

/* Pushes another table with the same entries and the same metatable. May raise, as
 * may tables_make_room(). */
void tables_push_copy(lua_State *L, int index);

/* Gives the table at `index` all keys of the one at `from`; it is not for scripts to
 * see until one of the next two was called. */
void tables_make_room(lua_State *L, int index, int from);

/* There is room: makes the entries and the metatable those of the table at `from`.
 * Neither raises nor allocates; 6 stack slots must be free. */
void tables_refill(lua_State *L, int index, int from);

/* Takes the marks out again. Neither raises nor allocates; 3 slots. */
void tables_drop_room(lua_State *L, int index);

/* Without entries and metatable. Neither raises nor allocates; 3 slots. */
void tables_clear(lua_State *L, int index);

#endif
