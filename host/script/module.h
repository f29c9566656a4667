/*
 * module.h -- require, as far as it is about modules that lie beside a script: its
 * folder, then lua/ and actors/ of the current folder.
 *
 * Their chunks are shared by all states of the host (script/unit.h); their values
 * are each state's own, in package.loaded as always.
 */
#ifndef TROUPE_SCRIPT_MODULE_H
#define TROUPE_SCRIPT_MODULE_H

#include "script/script.h"

/* For vm_options.find_module and .found_elsewhere: see script/vm.h. */
int  module_find(lua_State *L, const char *name);
void module_found_elsewhere(lua_State *L, const char *name);

/* For a new version that is loaded beside the old one: package.loaded becomes a table of its
 * own, with all that was in it but the modules from reloadable roots: libraries, C modules,
 * installed ones and troupe.* stay. Pushes what module_bring_back() wants. May raise for want
 * of memory; then nothing has changed. */
void module_set_aside(lua_State *L);

/* package.loaded is again what it was when `index` was pushed. Never raises. Without it the new
 * one stays, which is how a commit goes. */
void module_bring_back(lua_State *L, int index);

#endif
