/*
 * guard.h -- what stands between a script and the means to suspend or end it:
 * the hook that an interrupt sets, and those functions of Lua that catch
 * errors, so that they pass on an error that ends the handler.
 *
 * How the hook ends a handler. It yields the coroutine it runs in, and nobody
 * resumes that again: no pcall sees it, the frames stay for the report, and
 * the pending variables are closed with hooks on. Two cases forbid it, and
 * then the hook raises: a C call below cannot be yielded across (table.sort),
 * or an xpcall is under way (Lua 5.4.4 keeps its message handler set in a
 * coroutine that is reset). Lua leaves hooks off in a coroutine whose hook
 * raised until a pcall of that coroutine catches; one that dies of it is
 * *spent*: no Lua code may run in it any more, not even a `__close`.
 */
#ifndef TROUPE_SCRIPT_GUARD_H
#define TROUPE_SCRIPT_GUARD_H

#include "script/vm.h"

#include <stdatomic.h>

/* ---- Marks of a coroutine (see vm_of) ---- */

#define GUARD_HANDLER ((uintptr_t)1) /* made by vm_coroutine(): scripts cannot resume or close it */
#define GUARD_WAITS   ((uintptr_t)2) /* a yield went outward through it and has not come back */
#define GUARD_SPENT   ((uintptr_t)4) /* died of an error raised by the hook */
#define GUARD_XPCALL  ((uintptr_t)8) /* has called xpcall, perhaps is in it */

static inline bool guard_marked(lua_State *L, uintptr_t mark)
{
    return (*(uintptr_t *)lua_getextraspace(L) & mark) != 0;
}

static inline void guard_mark(lua_State *L, uintptr_t mark)
{
    *(uintptr_t *)lua_getextraspace(L) |= mark;
}

static inline void guard_unmark(lua_State *L, uintptr_t mark)
{
    *(uintptr_t *)lua_getextraspace(L) &= ~mark;
}

/* ---- Running ---- */

/* lua_resume(). Lua jumps out of our functions when they yield or raise; the
 * thread sanitizer, told nothing of that, would believe them all still under
 * way. A jump of our own lets it know where it is. */
int guard_resume(lua_State *co, lua_State *from, int arguments, int *results);

/* ---- The hook ---- */

void guard_hook(lua_State *L, lua_Debug *activation);

/* Sets the hook of a coroutine that nobody interrupts: none, or on the stage
 * the one that counts instructions. */
void guard_rest(lua_State *L);

/* Says which coroutine runs from now on. An interrupt may come at any moment:
 * one that found the coroutine that ran before is carried over. */
static inline void guard_switch(struct vm *vm, lua_State *active)
{
    vm->active = active;
    atomic_signal_fence(memory_order_seq_cst);
    if (UNLIKELY(vm->interrupt != VM_INTERRUPT_NONE))
        lua_sethook(active, guard_hook, LUA_MASKCOUNT, 1);
}

/* ---- Ending a handler ---- */

/* Whether the error of `status`, its object on top of the stack, must not be
 * caught: the handler is being ended, or has met its memory limit (which
 * makes it so). All that catch ask this and then raise it again. */
bool guard_passes(lua_State *L, int status);

/* Pushes onto L "file:line: why" for a death, with the line at which `where`
 * stands: L itself, or one that the hook has suspended. May raise, for lack of
 * memory. */
void guard_push_reason(lua_State *L, lua_State *where, enum vm_death death);

/* Whether an xpcall is under way in the coroutine; if in doubt, yes. */
bool guard_in_xpcall(lua_State *L);

/* Whether a yield from the running coroutine L can reach vm_resume(). */
bool guard_can_go_out(const struct vm *vm, lua_State *L);

/* Whether L is the coroutine that vm_resume() or our resume wrapper runs. */
bool guard_is_innermost(const struct vm *vm, lua_State *L);

/* ---- Functions of Lua, in our own version ---- */

int guard_pcall(lua_State *L);
int guard_xpcall(lua_State *L);
int guard_load(lua_State *L);
int guard_loadfile(lua_State *L);
int guard_dofile(lua_State *L);

#endif
