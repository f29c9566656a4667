/*
 * script_path.h -- where a script's file is looked for, and what to say when it
 * is not there.
 */
#ifndef TROUPE_SCRIPT_SCRIPT_PATH_H
#define TROUPE_SCRIPT_SCRIPT_PATH_H

#include "base/base.h"

#include <limits.h>

/* Finds the file of the script `wanted` ("pong", "dir/pong.lua"): beside the
 * script `beside` (or NULL), in the current folder, in `roots`
 * (NULL-terminated). 0 and the path in `found` (PATH_MAX bytes); -ENOENT, and
 * `why` says where it was looked for and what may have been meant. */
int script_path_find(const char *wanted, const char *beside, char *const *roots, char *found,
                     char *why, size_t room);

typedef bool module_admit_fn(const void *context, const char *path);

/* Finds the file of the module `name` ("lib/x", of lib.x) as require does, in `folders` (`count` of
 * them, none twice): 0 and the path in `found` (PATH_MAX bytes). -ENOENT, and `why` names
 * the files that were looked for, in the form of Lua's own searchers. `admits` (or NULL)
 * refuses a file, which is as if it were not there. */
int script_path_find_module(const char *name, const char *const *folders, size_t count,
                            module_admit_fn *admits, const void *context, char *found, char *why,
                            size_t room);

/* The part behind the last slash; inside `path`. */
const char *script_path_base(const char *path);

/* The folder of a path: "." if it names none. */
void script_path_folder(const char *path, char *folder, size_t room);

bool script_path_ends_with(const char *text, const char *end);

#endif
