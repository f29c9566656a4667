/*
 * program_prompt.h -- lines that a person types at a terminal, with editing, history
 * and completion; as `require "troupe.prompt"`.
 *
 * read(prompt, idle, every_ms) -> a line; or nil and "end" (^D), "interrupted" (^C),
 *     "terminated" (SIGTERM) or "idle": idle(), which is called each 500 ms (or `every_ms`)
 *     while nobody types, has returned true; (if it returns false and true it has written a
 *     line, and the one that is typed is shown again)
 * complete(function) sets what is asked when TAB is pressed: with the text before the
 *     cursor and where in it the last word begins, it returns a list of what that word
 *     may become
 * load_history(path), remember(line), save_history(path) -> true; or nil, why
 *
 * Lines are edited by libedit, of which there is one in a process: so here too.
 */
#ifndef TROUPE_SCRIPT_PROGRAM_PROMPT_H
#define TROUPE_SCRIPT_PROGRAM_PROMPT_H

struct lua_State;

/* Makes the module. */
int program_prompt_open(struct lua_State *L);

#endif
