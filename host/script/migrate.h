/*
 * migrate.h -- a deep copy of self for a new version, and what of the old code is
 * still about in it.
 *
 * A table is copied with its metatable, once however often and in whatever circle it
 * is referred to. All else is the same in the copy: refs, timers, envs, streams,
 * functions, coroutines, metatables, and what the *shared* tables are: those that are no
 * state but code, such as libraries, modules and classes. No metamethod is called,
 * and depth costs no C stack.
 *
 * All of it may raise, and where the state is large takes its time; it looks
 * at vm_poll() meanwhile.
 */
#ifndef TROUPE_SCRIPT_MIGRATE_H
#define TROUPE_SCRIPT_MIGRATE_H

#include "base/bytes.h"

#include <lua.h>

/* Pushes a copy of the table at `self`, without keys and values of its own where the
 * table at `memo` says so: there each shared table is its own value. Afterwards it has, for
 * every table that was copied, the copy, and for every Lua function and coroutine met
 * true. What refers to self refers in the copy to the copy; with `to_self` to self. */
void migrate_push_copy(lua_State *L, int self, int memo, bool to_self);

/* Gives the table at `memo` as keys the tables that belong to the state `self` and not to the
 * one at `with`, which is to take its place; for shared tables see above. */
void migrate_mark_replaced(lua_State *L, int self, int with, int shared, int memo);

/* What refers to `copy` refers to `self` from now on: in it, and in the values of the table at
 * `places`, and what can be reached from there, also through what functions have captured.
 * Other shared tables, the keys of the one at `shared`, are not looked into. */
void migrate_rename(lua_State *L, int copy, int self, int places, int shared);

/* Appends, a line each, the paths of functions and coroutines in the table at `index`
 * ("self.cb.fn"): the first few, of those that are keys of the table at `known` (0: of all).
 * It looks at so many tables, nearest first, and not at `shared` ones. */
void migrate_name_functions(lua_State *L, int index, int shared, int known, struct bytes *paths);

/* Whether a suspended coroutine has, among the locals of its functions and what they
 * have captured, a table other than `self` whose value in the table at `memo` is not
 * itself: or, so have coroutines among them. `co` is not L. */
bool migrate_holds_old(lua_State *L, lua_State *co, int self, int memo);

#endif
