/*
 * class.h -- actor.class: tables of methods that keep their identity when their
 * script is reloaded, so that the objects in self get the new methods.
 *
 * A state has one class of each name. When a new version is loaded beside the old
 * one, its top level finds each empty and fills it; `classes`, a table of the staging's
 * own, has what was in there. The new contents stay in place until it is decided: no
 * code runs in between.
 */
#ifndef TROUPE_SCRIPT_CLASS_H
#define TROUPE_SCRIPT_CLASS_H

#include "script/script.h"

/* actor.class(name) -> the table, whose __index is itself. */
int api_class(lua_State *L);

/* Marks the classes in the table of shared tables at `shared` (migrate.h). May raise. */
void class_mark_shared(lua_State *L, int shared);

/* Makes sure that class_restore() cannot fail. May raise. */
void class_make_room(lua_State *L, int classes);
/* The new contents stay. Neither raises nor allocates; 8 stack slots. */
void class_keep(lua_State *L, int classes);
/* The old contents come back; classes that are new are none any more. Neither raises
 * nor allocates if class_make_room() has been called. */
void class_restore(lua_State *L, int classes);

#endif
