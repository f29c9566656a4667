/*
 * stage.h -- the native half of lua/troupe/stage.lua.
 */
#ifndef TROUPE_STAGE_H
#define TROUPE_STAGE_H

struct lua_State;

/* A lua_CFunction: pushes the module `troupe.core`. */
int stage_core_open(struct lua_State *L);

#endif
