/*
 * trace.h -- what can still be said of coroutines of a script's that an error
 * has come out of.
 *
 * coroutine.wrap closes the coroutine that died before the error goes on, and
 * then its frames are gone. So they are described first, if nothing on the
 * way out to vm_resume() would catch the error; the text lies in a scratch
 * buffer of the thread. coroutine.resume closes nothing: the coroutine that
 * died is kept, in case its error is raised again. One at most, and no longer
 * than until the handler ends.
 *
 * It is a help to who reads a report, and no more: an error that a C module
 * has caught, or that took its time on another thread, may go without.
 */
#ifndef TROUPE_SCRIPT_TRACE_H
#define TROUPE_SCRIPT_TRACE_H

#include "script/vm.h"

/* The error of `dead`, its object on top of L, goes on in L, and `dead` is
 * about to be closed. Allocates no Lua memory, does not raise. */
void trace_take(lua_State *L, lua_State *dead);

/* The error of `dead`, its object on top of L, becomes a result in L. May raise,
 * for lack of memory. */
void trace_keep(lua_State *L, lua_State *dead);

/* Lets go of the coroutine kept. Call if vm->keeps_dead. */
void trace_drop(struct vm *vm);

struct trace {
    const char *text;  /* locals and frames, innermost coroutine first; "" if there are none */
    const char *place; /* where the innermost failed: "pong.lua:3: ", or "" */
};

/* What there is for the handler that died of the error on top of `handler`; it
 * is forgotten. Texts are valid until the next error of this thread. */
struct trace trace_of(lua_State *handler);

#endif
