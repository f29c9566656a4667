/*
 * program_files.h -- files and folders, for commands that make or look for them; as
 * functions of `require "troupe.tools"`.
 *
 * make_folder(path) -> true: made, or false: it was there; or nil, why. Its parents are not made.
 * make_file(path, text) -> true; or nil, why. What has that name already is never touched;
 *     what could not be written whole is taken away again.
 * kind_of(path) -> "file", "folder" or "other", links being followed; or nil: nothing is there.
 * names_in(path) -> the names of what lies in a folder, but dotfiles, in no order; or nil, why.
 */
#ifndef TROUPE_SCRIPT_PROGRAM_FILES_H
#define TROUPE_SCRIPT_PROGRAM_FILES_H

struct lua_State;

/* Sets the functions in the table on top of the stack. */
void program_files_add(struct lua_State *L);

#endif
