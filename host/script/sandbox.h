/*
 * sandbox.h -- what a sandboxed script may ask for itself and for its children.
 *
 * What it finds in its state is the vm's business (vm_options.sandbox: no io,
 * debug, loadfile, dofile, string.dump, C modules, nothing of os that touches
 * files, programs or the environment). This is about the rest: its children are
 * sandboxed, come from its own folder, run on the pool, and have no higher
 * limits than it has; it cannot end the host.
 */
#ifndef TROUPE_SCRIPT_SANDBOX_H
#define TROUPE_SCRIPT_SANDBOX_H

#include "script/script.h"

/* Raises if the running script is sandboxed: `what` is not for it. */
void sandbox_refuse(lua_State *L, const char *what);

/* Pushes the folder out of which the script may not lead ("/home/x/"): of its file, links
 * resolved. */
const char *sandbox_push_folder(lua_State *L, const struct script *script);

/* A spawn by the running script, which may be sandboxed: then the options are cut
 * to what it has itself, and the path at index 1 becomes one in its folder. Raises
 * for what cannot be meant. What is pushed on top keeps the texts. */
void sandbox_spawn(lua_State *L, struct script *script, struct script_options *options);

/* What a sandboxed script says of itself, cut to what was given or is the default.
 * 0; -EINVAL and a sentence in `why`. */
int sandbox_restrain(const struct script_world *world, const struct script_options *given,
                     struct script_options *own, char *why, size_t room);

/* Whether a failure ends at the sandbox that begins with this spawn: unless it is
 * the spawner who has asked for restarts or escalation. */
bool sandbox_contains(const struct script_options *given);

#endif
