/*
 * load.h -- a script's Lua state made and its top level run, at the spawn and at
 * every restart.
 */
#ifndef TROUPE_SCRIPT_LOAD_H
#define TROUPE_SCRIPT_LOAD_H

#include "script/script.h"

/* A script with a fresh state and nothing loaded, to be freed by script_free() as long as no
 * actor has it. NULL: no memory. Counts the source. */
struct script *load_new(struct script_world *world, struct source *source,
                        const struct script_options *options);

/* Opens a state for a script whose world, source and vm_options are set, and in
 * which nothing is left of another. 0 or -ENOMEM. */
int load_open(struct script *script);

/* Runs the top level; its settings go to *own, with texts that live as long as
 * the state. Not `trusted`: it is watched although the same text has ended
 * before. 0; -EINVAL, and `why` says what is wrong. */
int load_run(struct script *script, struct script_options *own, bool trusted, char *why,
             size_t room);

/* Whether a field of that name in a script's table is a setting. */
bool load_is_setting(const char *name);

/* (own, a light userdata) -> nothing: runs the top level of script->source in the vm's
 * environment, checks what it defines, and makes that script->handlers. May raise. */
int load_top_level(lua_State *L);

#endif
