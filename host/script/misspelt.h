/*
 * misspelt.h -- fields of a script's table that look like a setting or a hook
 * of the host's own, and are none: on_strat, interleav.
 */
#ifndef TROUPE_SCRIPT_MISSPELT_H
#define TROUPE_SCRIPT_MISSPELT_H

#include "script/script.h"

/* Warns of them, with "did you mean". Only of near misses: a script may have any
 * fields, and handlers of any types. `settings` ends with NULL; of a script that
 * defines global functions, whose other globals are its own, it is empty. The
 * script's table is the one at `index`. */
void misspelt_warn(lua_State *L, int index, const struct script *script,
                   const char *const *settings);

#endif
