/*
 * stage_reload.h -- a stage's reload, for stage.c's table of methods; and what
 * that needs of stage.c.
 */
#ifndef TROUPE_STAGE_RELOAD_H
#define TROUPE_STAGE_RELOAD_H

#include "stage_kept.h"

#include <lua.h>

/* The actor that a spec means: a ref, or a name. Raises for anything else. */
actor_id stage_check_actor(lua_State *L, struct stage *stage, int index);

/* Runs until nobody has anything to do, or the stage's question is answered; how
 * many steps. Raises if that takes for ever. */
unsigned stage_run_until_idle(lua_State *L, struct stage *stage, bool until_answer);

/* Pushes nil and {reason=, text=}; 2. */
int stage_push_why(lua_State *L, enum failure_reason reason, const char *text);

/* (stage, actor, source?, {undo=, trial=}?) -> report, or nil and why. */
int stage_reload(lua_State *L);

#endif
