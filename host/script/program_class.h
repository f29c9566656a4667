/*
 * program_class.h -- what the modules of the command line have in common: how
 * their objects get methods, and how they say that something failed.
 */
#ifndef TROUPE_SCRIPT_PROGRAM_CLASS_H
#define TROUPE_SCRIPT_PROGRAM_CLASS_H

struct lua_State;
struct luaL_Reg;

/* Makes the metatable of userdata called `name`, for luaL_setmetatable() and
 * luaL_checkudata(). The first upvalue of each method is `port`, which may be
 * NULL. `methods` ends with { NULL, NULL }. */
void program_make_class(struct lua_State *L, const char *name, const struct luaL_Reg *methods,
                        const void *port);

/* Pushes nil and the reason; answers 2, for a binding to return. */
int program_push_failure(struct lua_State *L, const char *why);

#endif
