/*
 * stage_take.h -- the functions of a stage that hand over what it has kept, for
 * stage.c's table of methods; each takes the stage as its first argument.
 */
#ifndef TROUPE_STAGE_TAKE_H
#define TROUPE_STAGE_TAKE_H

#include <lua.h>

#define STAGE_METATABLE "troupe.stage"

struct stage;

/* The open stage at index 1; raises for anything else. */
struct stage *stage_check(lua_State *L);

int stage_outbox(lua_State *L);
int stage_output(lua_State *L);
int stage_log(lua_State *L);
int stage_dead_letters(lua_State *L);
int stage_trace(lua_State *L);

#endif
