/*
 * source.h -- the text of one file: found, compiled once, shared by all actors
 * that run it as a script or require it as a module.
 *
 * One `struct sources` per host, any thread. A source is one *version* of a
 * file: its text and code never change, and all that run it run the same bytes.
 * For each file in use one version is *current*: the second spawn, and the
 * second require, take it from memory, whatever has become of the file. Newer
 * versions come by an update (script/unit.h), never by themselves.
 */
#ifndef TROUPE_SCRIPT_SOURCE_H
#define TROUPE_SCRIPT_SOURCE_H

#include "base/base.h"

#include <lua.h>

#define SOURCE_LIMIT ((size_t)16 * 1024 * 1024) /* bytes of a script's text */
#define SOURCE_ERROR_ROOM 512                   /* of the last error that is kept */

struct sources;
struct source;
struct subject;

/* `roots` are folders where shipped actors lie: NULL-terminated, copied, may be
 * NULL. NULL when there is no memory. Sources in use outlive the free. */
struct sources *sources_new(const char *const *roots);
void            sources_free(struct sources *sources); /* NULL is fine */

/* Finds the current source of the script `path` ("pong", "pong.lua",
 * "dir/pong.lua"): beside `beside` (the path of the script that spawns, or NULL),
 * in the current folder, in the roots; an absolute path just there. Compiles it
 * as text only. 0; -ENOENT (why names where it was looked for); -EINVAL (why is
 * Lua's message with file:line); -ENOMEM; another -errno: the file cannot be
 * read. *source is counted. */
int source_find(struct sources *sources, const char *path, const char *beside,
                struct source **source, char *why, size_t room);

/* A source from memory: `-e` and the stage. Every call makes another, with
 * versions of its own. `name` is what error messages call it ("=(command line)"
 * as in Lua, "@file.lua"). */
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

/* ---- Versions: any thread ------------------------------------------------- */

/* What a beginning actor reads, at its start, of the source that it has loaded.
 * One that was named (source_name_instance) before it reads CURRENT is seen by every
 * update that is opened later. */
enum source_state {
    SOURCE_CURRENT,    /* run it */
    SOURCE_RELOADING,  /* an update is open: wait until that is decided */
    SOURCE_SUPERSEDED, /* another is current: load source_current() */
};
enum source_state source_state(const struct source *source);

/* The version of this file or text that is current; it may be `source`. Counted. */
struct source *source_current(struct sources *sources, struct source *source);

/* Versions of a file, or of a text, count from 1 in this process: #1, #2. A script's
 * counts also when only a module of its unit has changed. 0: it was never current. */
unsigned source_number(const struct source *source);

/* An attempt to put another version in the place of this one has failed: `why`
 * is copied, cut to SOURCE_ERROR_ROOM. */
void source_note_failure(struct source *source, const char *why);
/* How many did since this version became current; the last error in `why` (""
 * if none; `room` may be 0). */
unsigned source_failures(struct source *source, char *why, size_t room);

/* ---- Instances ------------------------------------------------------------- */

/* One actor that runs a script; embedded in it. All of it is the source's. */
struct source_instance {
    struct source_instance *next, *previous;
    struct source          *source; /* whose list it is in; NULL: none */
    uint64_t                actor;  /* its id; 0: it has not begun; guarded as the list is */
};

/* `instance`, zeroed, runs `source` from now on; before its top level is run. */
void source_join(struct sources *sources, struct source *source, struct source_instance *instance);
/* It is over, and its source is still counted by the caller. Fine for one that never joined. */
void source_leave(struct sources *sources, struct source_instance *instance);
/* Its actor begins: by the thread that runs it, before it reads the state. Until then it may
 * end without having run, and is none of source_instances(). */
void source_name_instance(struct source_instance *instance, uint64_t actor);
/* It runs another version of the same file or text. Only by the thread that runs it. */
void source_move(struct source_instance *instance, struct source *source);

/* How many run this version, those without an id included. */
size_t source_instance_count(struct source *source);
/* Writes the ids of at most `room` of them; how many have begun. */
size_t source_instances(struct source *source, uint64_t *actors, size_t room);

/* ---- Files: for who watches them ------------------------------------------- */

/* A file in use: `path` as people see it, where it is looked for at an update;
 * `file` with links resolved, as it was when it was read; `hash` (base/hash.h) of what
 * was read. */
typedef void source_file_fn(void *context, const char *path, const char *file, uint64_t hash);

/* Calls `fn` for each file in use, under a lock: it must not call back. */
void sources_each_file(struct sources *sources, source_file_fn *fn, void *context);

/* `fn` is told of each file that comes into use from now on, and of each that has
 * become another by a changed link, on the thread that has read it, under no lock;
 * it may be told of one twice. At most one listener; NULL: none any more (one call may
 * still be under way). */
void sources_listen(struct sources *sources, source_file_fn *fn, void *context);

#endif
