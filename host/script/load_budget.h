/*
 * load_budget.h -- the second that a script's top level has to end in.
 *
 * That is watched only at the first load of a text, because a timer of the kernel's
 * costs more than a small script's load: what has ended once ends again. (One that
 * does not is still seen by the watchdog, which reports the handler that spawned it.)
 */
#ifndef TROUPE_SCRIPT_LOAD_BUDGET_H
#define TROUPE_SCRIPT_LOAD_BUDGET_H

#include "script/script.h"

/* Whether this text's top level has ended in time before, as far as is remembered. */
bool load_budget_is_known(const struct script *script);

/* Resumes the handler coroutine, on which the top level and one argument lie. Not
 * `trusted`: it is watched although it is known. VM_FAILED after the second. */
enum vm_result load_budget_run(struct script *script, bool trusted);

/* The same of a function with `arguments` on another coroutine; always watched. */
enum vm_result load_budget_watch(struct script *script, lua_State *coroutine, int arguments);

#endif
