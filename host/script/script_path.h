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

/* The part behind the last slash; inside `path`. */
const char *script_path_base(const char *path);

/* The folder of a path: "." if it names none. */
void script_path_folder(const char *path, char *folder, size_t room);

bool script_path_ends_with(const char *text, const char *end);

#endif
