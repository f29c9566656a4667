/*
 * libraries.h -- the globals of a script: Lua's own functions and libraries,
 * and ours, each made when a script first reads it.
 *
 * There are two tables of globals. The plain one (Lua's registry knows it) is
 * what required modules see. The script's own environment falls back to it,
 * and is strict: reading what nobody defined is an error. Both share one
 * metatable that makes what is missing; a state's strings have the same one
 * until the string library is opened. A script that asks for that metatable,
 * or sets another, gets everything made first.
 *
 * What could harm the process or other actors is replaced here: see
 * library_base.c, library_fixes.c and library_process.c.
 */
#ifndef TROUPE_SCRIPT_LIBRARIES_H
#define TROUPE_SCRIPT_LIBRARIES_H

#include "base/base.h"

#include <lua.h>

/* Learns the addresses of Lua's own functions; once per process. 0 or -ENOMEM.
 * Any thread. */
int libraries_prepare(void);

/* Makes both tables of globals in a new state: a lua_CFunction for vm_open(). */
int libraries_set_up(lua_State *L);

/* Pushes an environment for another version of the script, which falls back to the plain
 * globals as the first one does. May raise. */
void libraries_push_environment(lua_State *L);

/* Whether a plain global of that name is the host's to make. Needs 6 stack slots. */
bool libraries_is_standard(lua_State *L, const char *name);

/* Pushes the standard global `name` (or one of options->libraries), made if
 * need be, and stores it in the plain globals; pushes nothing and returns
 * false if there is no such. May raise. */
bool libraries_push(lua_State *L, const char *name);

/* Makes all of them. May raise. */
void libraries_push_all(lua_State *L);

/* Whether the value at `index` is one of the two tables of globals. */
bool libraries_is_globals(lua_State *L, int index);

/* Writes the name of a C function as scripts know it ("table.sort"); false if
 * it has none. Needs 6 free stack slots; may raise for lack of memory. */
bool libraries_name_function(lua_State *L, lua_CFunction function, char *name, size_t room);

/* The only standard library that has a function of this plain name ("find"
 * -> "string"), or NULL. Async-signal-safe. */
const char *libraries_home_of(const char *name);

/* debug.traceback */
lua_CFunction libraries_traceback(void);

/* ---- Between libraries.c and its parts ---- */

/* Lua's own functions that ours are built on. */
enum stock {
    STOCK_GETMETATABLE, STOCK_NEXT, STOCK_PAIRS, STOCK_REP, STOCK_GMATCH, STOCK_INSERT,
    STOCK_REMOVE, STOCK_CONCAT, STOCK_SETLOCALE, STOCK_SEARCHPATH, STOCK_TRACEBACK,
    STOCK_GETLOCAL, STOCK_SETLOCAL, STOCK_SETUPVALUE, STOCK_COUNT,
};
lua_CFunction libraries_stock(enum stock which);

/* library_base.c: our version of a base function; NULL: Lua's own serves. */
lua_CFunction library_base_find(lua_State *L, const char *name);

/* library_base.c: whether a standard global is kept from this state: it is a sandbox. */
struct vm;
bool library_is_withheld(const struct vm *vm, const char *name);

/* library_fixes.c: open a library and put right what has to be; each leaves
 * it on the stack. */
int library_open_string(lua_State *L);
int library_open_table(lua_State *L);
int library_open_math(lua_State *L);
int library_open_os(lua_State *L);
int library_open_io(lua_State *L);
int library_open_debug(lua_State *L);
/* library_process.c: these two functions. */
int library_os_execute(lua_State *L);
int library_io_popen(lua_State *L);
/* library_package.c */
int library_open_package(lua_State *L);

#endif
