/*
 * guard.c -- see guard.h: the hook, and calls that do not catch what must not be caught.
 */
#include "script/guard.h"

#include "script/coroutines.h"
#include "script/libraries.h"

#include <lauxlib.h>
#include <setjmp.h>
#include <string.h>

#define BUDGET_STEP 1000 /* instructions between two looks at the budget */
#define XPCALL_DEPTH 200 /* calls looked through for an xpcall */

/* ---- Ending a handler ------------------------------------------------------ */

static const char *death_text(const struct vm *vm, enum vm_death death)
{
    switch (death) {
    case VM_SLOW:
        return vm->options->instruction_budget != 0 ? "stopped: used up its instruction budget"
                                                    : "stopped: ran longer than its slice";
    case VM_MEMORY:
        return "not enough memory";
    case VM_EXIT:
        return "exit";
    case VM_CUT:
        return "stopped: the actor is to stop";
    case VM_CANCELLED:
        return "interrupted";
    case VM_STOPPED:
        return "stopped: the host is shutting down";
    case VM_ALIVE:
        break;
    }
    return "stopped";
}

void guard_push_reason(lua_State *L, lua_State *where, enum vm_death death)
{
    struct vm *vm = vm_of(L);
    const char *text = death_text(vm, death);
    lua_Debug activation;
    if (!lua_getstack(where, 0, &activation) || !lua_getinfo(where, "Sl", &activation)
        || activation.currentline <= 0) {
        lua_pushstring(L, text);
        return;
    }
    int line = L == where ? activation.currentline : vm->stopped_line;
    lua_pushfstring(L, "%s:%d: %s", activation.short_src, line, text);
}

static bool is_memory_error(lua_State *L, int status)
{
    if (status == LUA_ERRMEM)
        return true;
    /* Buffers of the auxiliary library raise it as a text. */
    return lua_type(L, -1) == LUA_TSTRING
           && strstr(lua_tostring(L, -1), "not enough memory") != NULL;
}

bool guard_passes(lua_State *L, int status)
{
    struct vm *vm = vm_of(L);
    if (vm->raised_in == L)
        vm->raised_in = NULL; /* caught, and so its hooks are on again */
    if (vm->dying != VM_ALIVE)
        return true;
    if (!vm->arena.refused || !is_memory_error(L, status))
        return false;
    vm->dying = VM_MEMORY;
    return true;
}

bool guard_in_xpcall(lua_State *L)
{
    lua_Debug activation;
    if (!guard_marked(L, GUARD_XPCALL))
        return false;
    if (!lua_checkstack(L, 1) || lua_getstack(L, XPCALL_DEPTH, &activation))
        return true;
    for (int level = 0; lua_getstack(L, level, &activation); level++) {
        lua_getinfo(L, "f", &activation);
        bool found = lua_tocfunction(L, -1) == guard_xpcall;
        lua_pop(L, 1);
        if (found)
            return true;
    }
    return false;
}

bool guard_is_innermost(const struct vm *vm, lua_State *L)
{
    return vm->frames != NULL ? vm->frames->to == L && !vm->frames->closing : vm->handler == L;
}

bool guard_can_go_out(const struct vm *vm, lua_State *L)
{
    for (const struct coroutine_frame *frame = vm->frames; frame != NULL; frame = frame->outer) {
        if (frame->to != L || frame->closing || !lua_isyieldable(L))
            return false;
        L = frame->from;
    }
    return vm->handler == L && lua_isyieldable(L);
}

/* Called by the hook: see guard.h. Returns if it yields. */
static void end_from_hook(struct vm *vm, lua_State *L, enum vm_death death)
{
    if (vm->dying == VM_ALIVE || death == VM_STOPPED)
        vm->dying = (sig_atomic_t)death;
    vm->instructions = 0; /* as many again for what has to be closed */
    if (lua_isyieldable(L) && guard_is_innermost(vm, L) && !guard_in_xpcall(L)) {
        vm->outward = true;
        vm->preempted = false;
        lua_Debug activation;
        lua_getstack(L, 0, &activation);
        lua_getinfo(L, "l", &activation);
        vm->stopped_line = activation.currentline;
        lua_yield(L, 0);
        return;
    }
    vm->raised_in = L;
    guard_push_reason(L, L, (enum vm_death)vm->dying);
    lua_error(L);
}

/* ---- Running ----------------------------------------------------------------- */

#if defined(__SANITIZE_THREAD__)
int guard_resume(lua_State *co, lua_State *from, int arguments, int *results)
{
    jmp_buf here;
    volatile int status = LUA_OK;
    if (setjmp(here) == 0) {
        status = lua_resume(co, from, arguments, results);
        longjmp(here, 1);
    }
    return status;
}
#else
int guard_resume(lua_State *co, lua_State *from, int arguments, int *results)
{
    return lua_resume(co, from, arguments, results);
}
#endif

/* ---- The hook -------------------------------------------------------------- */

void guard_rest(lua_State *L)
{
    if (vm_of(L)->options->instruction_budget != 0)
        lua_sethook(L, guard_hook, LUA_MASKCOUNT, BUDGET_STEP);
    else
        lua_sethook(L, NULL, 0, 0);
}

/* Whether the instructions since this coroutine's last hook were too many. */
static bool over_budget(struct vm *vm, lua_State *L)
{
    uint64_t budget = vm->options->instruction_budget;
    if (budget == 0)
        return false;
    vm->instructions += (uint64_t)lua_gethookcount(L);
    return vm->instructions >= budget;
}

void guard_hook(lua_State *L, lua_Debug *activation)
{
    (void)activation;
    struct vm *vm = vm_of(L);
    bool over = over_budget(vm, L);

    /* First the hook, then the word: an interrupt in between sets the hook
     * again for nothing, but none is lost. */
    guard_rest(L);
    vm->hooked = 0;
    atomic_signal_fence(memory_order_seq_cst);
    enum vm_interrupt what =
        (enum vm_interrupt)__atomic_exchange_n(&vm->interrupt, VM_INTERRUPT_NONE, __ATOMIC_RELAXED);
    if (over && what < VM_INTERRUPT_SLOW)
        what = VM_INTERRUPT_SLOW;

    switch (what) {
    case VM_INTERRUPT_NONE:
        break;
    case VM_INTERRUPT_PREEMPT:
        if (vm->dying == VM_ALIVE && guard_can_go_out(vm, L)) {
            vm->outward = true;
            vm->preempted = true;
            lua_yield(L, 0);
        }
        break;
    case VM_INTERRUPT_REPORT:
        if (vm->dying == VM_ALIVE && vm->options->on_overdue != NULL)
            vm->options->on_overdue(vm, L);
        break;
    case VM_INTERRUPT_SLOW:
        end_from_hook(vm, L, VM_SLOW);
        break;
    case VM_INTERRUPT_CANCEL:
        end_from_hook(vm, L, VM_CANCELLED);
        break;
    case VM_INTERRUPT_STOP:
        end_from_hook(vm, L, VM_STOPPED);
        break;
    }
}

/* ---- pcall and xpcall ------------------------------------------------------- */

/* Below the results lie `extra` values that are not theirs. */
static int finish_pcall(lua_State *L, int status, lua_KContext extra)
{
    if (LIKELY(status == LUA_OK || status == LUA_YIELD))
        return lua_gettop(L) - (int)extra;
    if (guard_passes(L, status))
        return lua_error(L);
    lua_pushboolean(L, 0);
    lua_pushvalue(L, -2);
    return 2;
}

/* pcall(f, ...) */
int guard_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_pcall);
    return finish_pcall(L, status, 0);
}

/* The message handler in place of the script's own, its upvalue: that one is
 * not called for the error that ends the handler, which may have come from
 * the hook, and then nothing could interrupt it. */
static int handle_message(lua_State *L)
{
    if (vm_of(L)->dying != VM_ALIVE)
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* xpcall(f, handler, ...) */
int guard_xpcall(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (L != vm_of(L)->L)
        guard_mark(L, GUARD_XPCALL);
    if (lua_tocfunction(L, 2) != libraries_traceback()) { /* which runs no code of the script */
        lua_pushvalue(L, 2);
        lua_pushcclosure(L, handle_message, 1);
        lua_replace(L, 2);
    }
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    int status = lua_pcallk(L, count - 2, LUA_MULTRET, 2, 2, finish_pcall);
    return finish_pcall(L, status, 2);
}

/* ---- load, loadfile and dofile: text only ------------------------------------ */

/* Gives the function on top of the stack the environment at `index`, or if
 * that is 0, the caller's. */
static void set_environment(lua_State *L, int index)
{
    lua_Debug caller;
    if (index != 0) {
        lua_pushvalue(L, index);
    } else {
        const char *name = NULL;
        if (lua_getstack(L, 1, &caller)) {
            lua_getinfo(L, "f", &caller);
            int upvalue = 0;
            do {
                if (name != NULL)
                    lua_pop(L, 1);
                name = lua_iscfunction(L, -1) ? NULL : lua_getupvalue(L, -1, ++upvalue);
            } while (name != NULL && strcmp(name, "_ENV") != 0);
            lua_remove(L, name != NULL ? -2 : -1);
        }
        if (name == NULL)
            lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(L)->environment);
    }
    if (lua_setupvalue(L, -2, 1) == NULL)
        lua_pop(L, 1);
}

static int finish_load(lua_State *L, int status, int environment)
{
    if (LIKELY(status == LUA_OK)) {
        set_environment(L, environment);
        return 1;
    }
    if (guard_passes(L, status))
        return lua_error(L);
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
}

/* The mode for lua_load: text, or nothing at all. */
static const char *text_only(const char *mode)
{
    return mode == NULL || strchr(mode, 't') != NULL ? "t" : "";
}

#define READER_SLOT 5 /* keeps the piece in hand, above all arguments */

static const char *read_piece(lua_State *L, void *unused, size_t *size)
{
    (void)unused;
    luaL_checkstack(L, 2, "too many nested functions");
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        *size = 0;
        return NULL;
    }
    if (!lua_isstring(L, -1))
        luaL_error(L, "reader function must return a string");
    lua_replace(L, READER_SLOT);
    return lua_tolstring(L, READER_SLOT, size);
}

/* load(chunk [, name [, mode [, env]]]) */
int guard_load(lua_State *L)
{
    const char *mode = text_only(luaL_optstring(L, 3, NULL));
    int environment = lua_isnone(L, 4) ? 0 : 4;
    size_t size;
    const char *text = lua_tolstring(L, 1, &size);
    int status;
    if (text != NULL) {
        status = luaL_loadbufferx(L, text, size, luaL_optstring(L, 2, text), mode);
    } else {
        const char *name = luaL_optstring(L, 2, "=(load)");
        luaL_checktype(L, 1, LUA_TFUNCTION);
        lua_settop(L, READER_SLOT);
        status = lua_load(L, read_piece, NULL, name, mode);
    }
    return finish_load(L, status, environment);
}

/* loadfile([name [, mode [, env]]]) */
int guard_loadfile(lua_State *L)
{
    const char *name = luaL_optstring(L, 1, NULL);
    const char *mode = text_only(luaL_optstring(L, 2, NULL));
    int environment = lua_isnone(L, 3) ? 0 : 3;
    return finish_load(L, luaL_loadfilex(L, name, mode), environment);
}

static int finish_dofile(lua_State *L, int status, lua_KContext unused)
{
    (void)status;
    (void)unused;
    return lua_gettop(L) - 1;
}

/* dofile([name]) */
int guard_dofile(lua_State *L)
{
    const char *name = luaL_optstring(L, 1, NULL);
    lua_settop(L, 1);
    if (luaL_loadfilex(L, name, "t") != LUA_OK)
        return lua_error(L);
    set_environment(L, 0);
    lua_callk(L, 0, LUA_MULTRET, 0, finish_dofile);
    return finish_dofile(L, LUA_OK, 0);
}
