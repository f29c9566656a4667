/*
 * inspect.h -- what a script says of itself, found without making an actor of it.
 *
 * It is loaded as a host loads it: from the same places, with the same libraries,
 * limits and refusals. Its top level runs, in a state and a host of its own that
 * have no threads and no sockets; no handler does, and what it sends or spawns
 * there is refused as always. Nothing is left of it afterwards.
 */
#ifndef TROUPE_SCRIPT_INSPECT_H
#define TROUPE_SCRIPT_INSPECT_H

#include "base/base.h"

struct lua_State;

struct inspect_options {
    const char *text;         /* the script itself, and `path` what it is called; NULL: a file */
    size_t      text_size;
    const char *beside;       /* a path in the folder where it is looked for first; NULL: none */
    size_t      memory_bytes; /* what its state may hold; 0: as of every actor */
    bool        sandbox;
    const char *share;        /* the folder that has our own lua/ and actors/ */
};

/* Pushes a table, or nil and one line that says why the script cannot be loaded, with
 * "file:line: " in front where there is one. Returns how many. Raises only for want of
 * memory. The table:
 *
 *     path      "examples/pong.lua": where it was found, as people see it
 *     shipped   whether that is in actors/ of `share`
 *     handlers  {"on_ping", ...}: as they are spelt, those of classes it inherits from among them
 *     any       whether there is an on_any
 *     types     {Ping = {{"count", "integer"}, {"pos", {"[]?", {"x", "number"}}}}}: what it
 *               declares by actor.message, as a list for that function
 *     settings  {version = 2, interleave = {"Query"}, ...}: what it says of itself
 *     modules   {"examples/prices.lua", ...}: files that its top level has required, but for
 *               those of installed libraries and of our own lua/
 *     warnings  {"examples/pong.lua: on_strat is ...", ...}
 */
int inspect_push(struct lua_State *L, const char *path, const struct inspect_options *options);

#endif
