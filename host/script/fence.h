/*
 * fence.h -- the module troupe.fence of the command line; see fence.c.
 */
#ifndef TROUPE_SCRIPT_FENCE_H
#define TROUPE_SCRIPT_FENCE_H

#include "base/base.h"

struct lua_State;

/* Makes the module: a function. */
int fence_open(struct lua_State *L);

#endif
