/*
 * coroutines.h -- Lua's coroutine library, in a version that passes the yields
 * of vm_wait() and of the hook outward and lets no error that ends the handler
 * be caught.
 */
#ifndef TROUPE_SCRIPT_COROUTINES_H
#define TROUPE_SCRIPT_COROUTINES_H

#include "base/base.h"

#include <lua.h>

/* One coroutine that another has resumed (or is closing) and that has not come
 * back yet; on the C stack of that call, listed in vm->frames. */
struct coroutine_frame {
    lua_State *from, *to;
    struct coroutine_frame *outer;
    bool closing;
};

/* Pushes the library. */
int coroutines_open(lua_State *L);

/* Names the functions through which a yield can pass: guard's and these. */
bool coroutines_lets_pass(lua_CFunction function);

/* Names those of these functions that make an error a result. */
bool coroutines_catches(lua_CFunction function);

#endif
