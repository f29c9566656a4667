/*
 * source.h -- a script's text: found, compiled once, shared by its actors.
 *
 * One `struct sources` per host, any thread. A source is immutable; the
 * second spawn of a path takes the compiled form from memory, whatever has
 * become of the file.
 */
#ifndef TROUPE_SCRIPT_SOURCE_H
#define TROUPE_SCRIPT_SOURCE_H

#include "base/base.h"

#include <lua.h>

#define SOURCE_LIMIT ((size_t)16 * 1024 * 1024) /* bytes of a script's text */

struct sources;
struct source;
struct subject;

/* `roots` are folders where shipped actors lie: NULL-terminated, copied, may be
 * NULL. NULL when there is no memory. Sources in use outlive the free. */
struct sources *sources_new(const char *const *roots);
void            sources_free(struct sources *sources); /* NULL is fine */

/* Finds `path` ("pong", "pong.lua", "dir/pong.lua"): beside `beside` (the path
 * of the script that spawns, or NULL), in the current folder, in the roots; an
 * absolute path just there. Compiles it as text only. 0; -ENOENT (why names
 * where it was looked for); -EINVAL (why is Lua's message with file:line);
 * -ENOMEM; another -errno: the file cannot be read. *source is counted. */
int source_find(struct sources *sources, const char *path, const char *beside,
                struct source **source, char *why, size_t room);

/* A source from memory: `-e` and the stage. Not cached. `name` is what error
 * messages call it ("=(command line)" as in Lua, "@file.lua"). */
int source_from_text(const char *name, const char *text, size_t size,
                     struct source **source, char *why, size_t room);

struct source *source_ref(struct source *source);
void           source_unref(struct source *source); /* NULL is fine */

/* Texts live as long as the source. */
const char *source_path(const struct source *source);   /* "examples/pong.lua", as people see it */
const char *source_folder(const struct source *source); /* "examples"; "." */
const char *source_stem(const struct source *source);   /* "pong", for names; "main" for "=..." */
const char *source_file(const struct source *source);   /* links resolved; "" if from memory */
uint64_t    source_hash(const struct source *source);   /* of the text: tells versions apart */

/* What people are told of the actors that run it: lent as long as the source is. */
struct subject *source_subject(const struct source *source);

/* Pushes the chunk as a function whose _ENV is the value on top of the stack
 * (which it replaces). 0 or a LUA_ERR... code with the message pushed instead. */
int source_load(const struct source *source, lua_State *L);

#endif
