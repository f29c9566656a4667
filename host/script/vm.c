/*
 * vm.c -- see vm.h: opening, resuming, recovering, interrupting.
 */
#include "script/vm.h"

#include "base/log.h"
#include "script/guard.h"
#include "script/libraries.h"
#include "script/trace.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdatomic.h>
#include <string.h>

/* A new state does not collect garbage before it has allocated this much more;
 * by then most actors of one message are gone. A state that is found to hold
 * GENERATIONAL_BYTES between two handlers collects by generations. */
#define ASLEEP_KIB         12
#define GENERATIONAL_BYTES (12u * 1024)

/* A young collection after the heap has grown by so much: Lua's 20 makes a small
 * actor collect every few messages (1.7 % more instructions a message). */
#define YOUNG_PERCENT 60

/* ---- Opening and closing ----------------------------------------------------- */

/* Only a mistake of ours brings Lua here: an error outside any protected call. */
static int on_panic(lua_State *L)
{
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no message";
    log_error("vm: unprotected error in Lua: %s", text);
    abort();
}

/* warn(...): the pieces of one warning, which ends when `more` is 0. */
static void on_warning(void *context, const char *piece, int more)
{
    static _Thread_local char line[512];
    static _Thread_local size_t size;
    static _Thread_local const void *whose;
    if (whose != context)
        size = 0;
    whose = context;

    size_t room = sizeof line - 1 - size;
    size_t count = strnlen(piece, room);
    memcpy(line + size, piece, count);
    size += count;
    line[size] = '\0';
    if (more)
        return;
    if (line[0] != '@')
        log_warn("%s", line);
    size = 0;
}

static _Atomic size_t open_count;

size_t vm_count(void)
{
    return atomic_load_explicit(&open_count, memory_order_relaxed);
}

int vm_open(struct vm *vm, const struct vm_options *options)
{
    int err = libraries_prepare();
    if (err != 0)
        return err;
    *vm = (struct vm){ .options = options, .environment = LUA_NOREF };
    arena_init(&vm->arena, options->memory_limit);
    vm->L = lua_newstate(arena_allocate, &vm->arena);
    if (vm->L == NULL)
        goto drop_arena;
    *(struct vm **)lua_getextraspace(vm->L) = vm;
    lua_atpanic(vm->L, on_panic);
    lua_setwarnf(vm->L, on_warning, vm);
    lua_gc(vm->L, LUA_GCSTEP, -ASLEEP_KIB);
    if (options->instruction_budget != 0)
        guard_rest(vm->L);

    lua_pushcfunction(vm->L, libraries_set_up);
    if (lua_pcall(vm->L, 0, 0, 0) != LUA_OK)
        goto drop_arena;
    atomic_fetch_add_explicit(&open_count, 1, memory_order_relaxed);
    return 0;

drop_arena:
    vm->L = NULL;
    arena_drop(&vm->arena);
    return -ENOMEM;
}

void vm_close(struct vm *vm)
{
    if (vm->L == NULL)
        return;
    if (vm->needs_close)
        lua_close(vm->L);
    atomic_fetch_sub_explicit(&open_count, 1, memory_order_relaxed);
    vm->L = NULL;
    arena_drop(&vm->arena);
}

/* Pushes nothing; its first result is the coroutine's reference. */
static int make_coroutine(lua_State *L)
{
    lua_State **coroutine = lua_touserdata(L, 1);
    *coroutine = lua_newthread(L);
    guard_mark(*coroutine, GUARD_HANDLER);
    lua_pushinteger(L, luaL_ref(L, LUA_REGISTRYINDEX));
    return 1;
}

lua_State *vm_coroutine(struct vm *vm, int *reference)
{
    lua_State *coroutine = NULL;
    lua_pushcfunction(vm->L, make_coroutine);
    lua_pushlightuserdata(vm->L, &coroutine);
    bool made = lua_pcall(vm->L, 1, 1, 0) == LUA_OK;
    if (made)
        *reference = (int)lua_tointeger(vm->L, -1);
    lua_pop(vm->L, 1);
    return made ? coroutine : NULL;
}

/* ---- Running -------------------------------------------------------------------- */

static int push_reason(lua_State *L)
{
    guard_push_reason(L, lua_touserdata(L, 1), (enum vm_death)vm_of(L)->dying);
    return 1;
}

static int push_text(lua_State *L)
{
    lua_pushstring(L, lua_touserdata(L, 1));
    return 1;
}

/* Leaves what `push` makes of `argument` on top of the coroutine, or "not enough memory". */
static enum vm_result fail(struct vm *vm, lua_State *coroutine, lua_CFunction push, void *argument)
{
    lua_checkstack(coroutine, 1); /* if there is none, Lua's own reserve takes one value */
    lua_pushcfunction(vm->L, push);
    lua_pushlightuserdata(vm->L, argument);
    lua_pcall(vm->L, 1, 1, 0);
    lua_xmove(vm->L, coroutine, 1);
    return VM_FAILED;
}

/* What came of it when the coroutine did not simply return. */
static enum vm_result outcome(struct vm *vm, lua_State *coroutine, int status, int results)
{
    if (status == LUA_YIELD) {
        lua_pop(coroutine, results);
        if (vm->dying != VM_ALIVE)
            return fail(vm, coroutine, push_reason, coroutine);
        if (vm->outward)
            return vm->preempted ? VM_PREEMPTED : VM_WAITING;
        return fail(vm, coroutine, push_text, (void *)"a C function yielded in a handler");
    }
    if (status == LUA_OK)
        return fail(vm, coroutine, push_reason, coroutine);
    if (vm->raised_in == coroutine)
        guard_mark(coroutine, GUARD_SPENT);
    guard_passes(coroutine, status); /* for the memory limit */
    return VM_FAILED;
}

static void start(struct vm *vm, lua_State *coroutine, int arguments)
{
    int count = arguments + 1;
    if (UNLIKELY(lua_gettop(coroutine) > count)) { /* what an earlier handler left */
        lua_rotate(coroutine, 1, count);
        lua_settop(coroutine, count);
    }
    if (UNLIKELY(vm->arena.used > GENERATIONAL_BYTES && !vm->generational)) {
        vm->generational = true;
        lua_gc(vm->L, LUA_GCGEN, YOUNG_PERCENT, 0);
    }
    guard_unmark(coroutine, GUARD_XPCALL);
    vm->instructions = 0;
    vm->arena.refused = false;
}

enum vm_result vm_resume(struct vm *vm, lua_State *coroutine, int arguments)
{
    if (lua_status(coroutine) == LUA_OK)
        start(vm, coroutine, arguments);
    vm->outward = false;
    vm->preempted = false;
    vm->handler = coroutine;
    vm->stack_base = __builtin_frame_address(0);
    atomic_signal_fence(memory_order_seq_cst);
    vm->active = coroutine;

    int results;
    int status = guard_resume(coroutine, NULL, arguments, &results);

    vm->active = NULL;
    atomic_signal_fence(memory_order_seq_cst);
    vm->interrupt = VM_INTERRUPT_NONE;
    vm->hooked = 0;
    vm->handler = NULL;
    vm->stack_base = NULL;
    if (LIKELY(status == LUA_OK && vm->dying == VM_ALIVE)) {
        if (UNLIKELY(vm->keeps_dead))
            trace_drop(vm);
        return VM_DONE;
    }
    return outcome(vm, coroutine, status, results);
}

/* Closes the pending variables of a coroutine that is not running. */
static void close_pending(struct vm *vm, lua_State *coroutine)
{
    vm->stack_base = __builtin_frame_address(0);
    atomic_signal_fence(memory_order_seq_cst);
    vm->active = coroutine;

    lua_resetthread(coroutine);

    vm->active = NULL;
    atomic_signal_fence(memory_order_seq_cst);
    vm->interrupt = VM_INTERRUPT_NONE;
    vm->hooked = 0;
    vm->stack_base = NULL;
    lua_settop(coroutine, 0);
}

bool vm_recover(struct vm *vm, lua_State *coroutine)
{
    bool fit = !guard_marked(coroutine, GUARD_SPENT)
               && !(lua_status(coroutine) == LUA_YIELD && guard_in_xpcall(coroutine));
    if (fit) {
        close_pending(vm, coroutine);
        guard_rest(coroutine);
    }
    if (vm->dying == VM_MEMORY) {
        lua_gc(vm->L, LUA_GCCOLLECT);
        arena_join(&vm->arena);
    }
    vm->raised_in = NULL;
    vm->dying = VM_ALIVE;
    return fit;
}

/* ---- Interrupting and ending ------------------------------------------------------ */

void vm_interrupt(struct vm *vm, enum vm_interrupt what)
{
    lua_State *active = vm->active;
    if (active == NULL)
        return;
    if ((int)what > vm->interrupt)
        vm->interrupt = (int)what;
    vm->hooked = 1;
    lua_sethook(active, guard_hook, LUA_MASKCOUNT, 1);
}

int vm_die(lua_State *L, enum vm_death death)
{
    struct vm *vm = vm_of(L);
    if (vm->dying == VM_ALIVE)
        vm->dying = (sig_atomic_t)death;
    guard_push_reason(L, L, (enum vm_death)vm->dying);
    return lua_error(L);
}

void vm_poll(lua_State *L)
{
    struct vm *vm = vm_of(L);
    if (LIKELY(vm->interrupt < VM_INTERRUPT_SLOW))
        return;
    int what = __atomic_exchange_n(&vm->interrupt, VM_INTERRUPT_NONE, __ATOMIC_RELAXED);
    if (what == VM_INTERRUPT_STOP)
        vm->dying = VM_STOPPED;
    vm_die(L, what == VM_INTERRUPT_STOP     ? VM_STOPPED
              : what == VM_INTERRUPT_CANCEL ? VM_CANCELLED
                                            : VM_SLOW);
}
