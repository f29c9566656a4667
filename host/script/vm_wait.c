/*
 * vm_wait.c -- whether a handler can wait where it stands, and what is in the way.
 */
#include "script/coroutines.h"
#include "script/guard.h"
#include "script/libraries.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* ---- What is in the way of a wait ---------------------------------------------- */

/* Finds the innermost C function of the coroutine, from `level` outward, that
 * Lua cannot yield across, and names it; false if there is none. */
static bool name_obstacle(lua_State *L, int level, char *name, size_t room)
{
    lua_Debug activation;
    if (!lua_checkstack(L, 8))
        return false;
    bool found = false;
    for (; !found && lua_getstack(L, level, &activation); level++) {
        lua_getinfo(L, "f", &activation);
        lua_CFunction function = lua_tocfunction(L, -1);
        lua_pop(L, 1);
        if (function != NULL && !coroutines_lets_pass(function))
            found = libraries_name_function(L, function, name, room);
    }
    return found;
}

bool vm_can_wait(lua_State *L, const char *what, char *why, size_t room)
{
    struct vm *vm = vm_of(L);
    if (vm->loading) {
        snprintf(why, room, "%s cannot wait while the script is being loaded", what);
        return false;
    }
    if (guard_can_go_out(vm, L))
        return true;
    if (vm->handler == NULL) {
        snprintf(why, room, "%s can wait only in a handler", what);
        return false;
    }

    char name[64];
    int level = 1; /* above the function that wants to wait */
    for (const struct coroutine_frame *frame = vm->frames;; frame = frame->outer) {
        if (!lua_isyieldable(L) && name_obstacle(L, level, name, sizeof name))
            break;
        level = 0;
        if (frame == NULL) {
            snprintf(name, sizeof name, "a C function");
            break;
        }
        L = frame->from;
    }
    snprintf(why, room, "%s cannot wait inside %s: collect first, then %s", what, name, what);
    return false;
}

int vm_wait(lua_State *L, const char *what, lua_KFunction go_on, lua_KContext context)
{
    char why[160];
    if (!vm_can_wait(L, what, why, sizeof why))
        return luaL_error(L, "%s", why);
    vm_of(L)->outward = true;
    return lua_yieldk(L, 0, context, go_on);
}

/* ---- Which C function does not come back ------------------------------------------ */

bool vm_name_c_function(struct vm *vm, char *name, size_t room)
{
    lua_State *active = vm->active;
    lua_Debug activation;
    if (active == NULL || room == 0 || !lua_getstack(active, 0, &activation)
        || !lua_getinfo(active, "Sn", &activation) || strcmp(activation.what, "C") != 0)
        return false;
    const char *plain = activation.name != NULL ? activation.name : "?";
    const char *library = libraries_home_of(plain);
    size_t used = 0;
    for (const char *part = library; part != NULL && *part != '\0' && used + 1 < room; part++)
        name[used++] = *part;
    if (library != NULL && used + 1 < room)
        name[used++] = '.';
    for (const char *part = plain; *part != '\0' && used + 1 < room; part++)
        name[used++] = *part;
    name[used] = '\0';
    return true;
}
