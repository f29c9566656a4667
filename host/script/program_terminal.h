/*
 * program_terminal.h -- the whole terminal, for a tool that draws on all of it; as
 * functions of `require "troupe.tools"`.
 *
 * terminal_size() -> columns, rows of the terminal on standard output; or nil
 * pause(seconds) -> nil; or "interrupted" or "terminated", where those signals were taken
 *     (by a connection to a host) and one has come.
 * terminal() -> terminal; or nil, why. Standard input and output must be one; another
 *     picture is shown in place of what was there, keys come one by one, unseen.
 *
 *   terminal:size() -> columns, rows
 *   terminal:write(text) -> true; or nil: it is gone. All at once.
 *   terminal:key(seconds?) -> a key: a letter, "enter", "escape", "backspace", "tab", "up",
 *       "down", "left", "right", "page_up", "page_down", "home", "end", "delete"; or what
 *       else has come: "resized" (draw again), "interrupted", "terminated", "gone" (nobody
 *       is there any more); or nil: nothing in time. Without `seconds` it waits for ever.
 *   terminal:suspend(), terminal:resume(): what was there is shown meanwhile.
 *   terminal:close(): the same for good; once more is fine. Also its __close and __gc.
 *
 * What was there comes back however the process ends, but by SIGKILL. A stop by ^Z is
 * seen to. While it is open SIGINT, SIGTERM, SIGHUP and SIGWINCH are taken by key() only.
 * One at a time; the thread of the command line.
 */
#ifndef TROUPE_SCRIPT_PROGRAM_TERMINAL_H
#define TROUPE_SCRIPT_PROGRAM_TERMINAL_H

struct lua_State;

/* Sets the functions in the table on top of the stack. */
void program_terminal_add(struct lua_State *L);

#endif
