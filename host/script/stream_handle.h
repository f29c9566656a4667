/*
 * stream_handle.h -- streams as Lua values: a userdata that holds a stream's
 * number, one in each state, so that handles of one stream are equal by == and
 * as table keys. It owns nothing: a stream ends by its source, by close(), or
 * with its actor, and not because a script has forgotten it.
 */
#ifndef TROUPE_SCRIPT_STREAM_HANDLE_H
#define TROUPE_SCRIPT_STREAM_HANDLE_H

#include "actor/streams.h"

#include <lua.h>

/* Pushes the handle of the stream; may raise on no memory. */
void stream_push(lua_State *L, stream_id id);

/* Whether the value at `index` is a handle, and whose. Never raises. */
bool stream_get(lua_State *L, int index, stream_id *id);

#endif
