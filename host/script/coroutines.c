/*
 * coroutines.c -- see coroutines.h: resume and wrap that let waits and preemption pass.
 */
#include "script/coroutines.h"

#include "script/guard.h"
#include "script/trace.h"

#include <lauxlib.h>

/* C stack that may be in use when a coroutine is closed. Lua 5.4.4 counts the
 * depth of C calls anew in a coroutine that it closes, so a chain of them
 * would overflow the stack of a worker (1 MB); Lua's own limit of 200 C calls
 * keeps what one of them needs below half of that. */
#define CLOSE_STACK_LIMIT (256 * 1024)

/* What came of running a coroutine, if not the number of its results. */
#define RUN_FAILED  (-1) /* error object on top */
#define RUN_OUTWARD (-2) /* it waits or is preempted: yield in turn */
#define RUN_REFUSED (-3) /* it cannot be run; error object on top */

static void enter(struct vm *vm, struct coroutine_frame *frame, lua_State *from, lua_State *to,
                  bool closing)
{
    *frame = (struct coroutine_frame){
        .from = from, .to = to, .outer = vm->frames, .closing = closing };
    vm->frames = frame;
    guard_switch(vm, to);
}

static void leave(struct vm *vm, struct coroutine_frame *frame)
{
    vm->frames = frame->outer;
    guard_switch(vm, frame->from);
}

/* ---- Closing ---------------------------------------------------------------- */

/* Closes the pending variables of `co`; the status as of lua_resetthread(). */
static int close_pending(lua_State *L, lua_State *co)
{
    struct vm *vm = vm_of(L);
    const char *here = __builtin_frame_address(0);
    if (vm->stack_base != NULL && vm->stack_base - here > CLOSE_STACK_LIMIT)
        return luaL_error(L, "C stack overflow");

    struct coroutine_frame frame;
    enter(vm, &frame, L, co, true);
    int status = lua_resetthread(co);
    leave(vm, &frame);
    if (vm->raised_in == co)
        vm->raised_in = NULL; /* caught while closing, and so its hooks are on again */
    return status;
}

/* ---- Running ----------------------------------------------------------------- */

/* Of an error, and it has not been closed yet. */
static bool has_died(lua_State *co)
{
    int status = lua_status(co);
    return status != LUA_OK && status != LUA_YIELD;
}

/* The hook has yielded `co` for good: closes it and leaves the reason on L. */
static int end_suspended(struct vm *vm, lua_State *L, lua_State *co)
{
    vm->outward = false;
    guard_push_reason(L, co, (enum vm_death)vm->dying);
    trace_take(L, co);
    close_pending(L, co);
    lua_settop(co, 0);
    return RUN_FAILED;
}

/* Resumes `co` with the `arguments` on top of L, which are popped. Leaves its
 * results on L and says how many, or one of RUN_*. */
static int run(lua_State *L, lua_State *co, int arguments)
{
    struct vm *vm = vm_of(L);
    if (guard_marked(co, GUARD_HANDLER | GUARD_WAITS | GUARD_SPENT) || has_died(co)) {
        lua_pop(L, arguments);
        lua_pushstring(L, guard_marked(co, GUARD_SPENT) || has_died(co)
                              ? "cannot resume dead coroutine"
                          : guard_marked(co, GUARD_WAITS)
                              ? "cannot resume a coroutine that waits"
                              : "cannot resume the coroutine of a handler");
        return RUN_REFUSED;
    }
    if (!lua_checkstack(co, arguments)) {
        lua_pop(L, arguments);
        lua_pushliteral(L, "too many arguments to resume");
        return RUN_REFUSED;
    }
    lua_xmove(L, co, arguments);

    int results;
    struct coroutine_frame frame;
    enter(vm, &frame, L, co, false);
    int status = guard_resume(co, L, arguments, &results);
    leave(vm, &frame);

    if (status == LUA_YIELD && vm->outward) {
        lua_pop(co, results);
        if (vm->dying != VM_ALIVE)
            return end_suspended(vm, L, co);
        guard_mark(co, GUARD_WAITS);
        return RUN_OUTWARD;
    }
    if (LIKELY(status == LUA_OK || status == LUA_YIELD)) {
        if (!lua_checkstack(L, results + 1)) {
            lua_pop(co, results);
            lua_pushliteral(L, "too many results to resume");
            return RUN_FAILED;
        }
        lua_xmove(co, L, results);
        return results;
    }
    if (vm->raised_in == co) {
        vm->raised_in = NULL;
        guard_mark(co, GUARD_SPENT);
    }
    lua_xmove(co, L, 1);
    if (status == LUA_ERRMEM)
        guard_passes(L, status);
    return RUN_FAILED;
}

static lua_State *check_coroutine(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co != NULL, 1, "coroutine");
    return co;
}

/* ---- coroutine.resume ---------------------------------------------------------- */

static int resume_goes_on(lua_State *L, int status, lua_KContext context);

/* The coroutine is at 1, its arguments above. */
static int resume_with(lua_State *L, int arguments)
{
    int results = run(L, lua_tothread(L, 1), arguments);
    if (results == RUN_OUTWARD)
        return lua_yieldk(L, 0, 0, resume_goes_on);
    if (results < 0) {
        bool passes = guard_passes(L, LUA_ERRRUN);
        if (results == RUN_FAILED && has_died(lua_tothread(L, 1)))
            (passes ? trace_take : trace_keep)(L, lua_tothread(L, 1));
        if (passes)
            return lua_error(L);
        lua_pushboolean(L, 0);
        lua_insert(L, -2);
        return 2;
    }
    lua_pushboolean(L, 1);
    lua_insert(L, -(results + 1));
    return results + 1;
}

static int resume_goes_on(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    guard_unmark(lua_tothread(L, 1), GUARD_WAITS);
    return resume_with(L, lua_gettop(L) - 1);
}

/* resume(co, ...) */
static int co_resume(lua_State *L)
{
    check_coroutine(L);
    return resume_with(L, lua_gettop(L) - 1);
}

/* ---- coroutine.wrap ------------------------------------------------------------ */

static int wrap_goes_on(lua_State *L, int status, lua_KContext context);

/* As Lua's: an error goes on, with the caller's line before it, after the
 * coroutine has been closed. The error object is on top; `died` of it just now. */
static int wrap_fails(lua_State *L, lua_State *co, bool died)
{
    int status = lua_status(co);
    if (died)
        trace_take(L, co);
    if (died && !guard_marked(co, GUARD_SPENT)) {
        close_pending(L, co);
        lua_pop(L, 1);
        lua_xmove(co, L, 1);
    }
    if (guard_passes(L, died ? status : LUA_ERRRUN))
        return lua_error(L);
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int wrap_with(lua_State *L, int arguments)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int results = run(L, co, arguments);
    if (results == RUN_OUTWARD)
        return lua_yieldk(L, 0, 0, wrap_goes_on);
    if (results < 0)
        return wrap_fails(L, co, results == RUN_FAILED && has_died(co));
    return results;
}

static int wrap_goes_on(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    guard_unmark(lua_tothread(L, lua_upvalueindex(1)), GUARD_WAITS);
    return wrap_with(L, lua_gettop(L));
}

static int call_wrapped(lua_State *L)
{
    return wrap_with(L, lua_gettop(L));
}

/* create(f) */
static int co_create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

/* wrap(f) */
static int co_wrap(lua_State *L)
{
    co_create(L);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

/* ---- The others ------------------------------------------------------------------ */

/* yield(...) */
static int co_yield(lua_State *L)
{
    if (guard_marked(L, GUARD_HANDLER))
        return luaL_error(L, "attempt to yield from a handler, which nothing resumes: "
                             "yield inside coroutine.create or coroutine.wrap");
    return lua_yield(L, lua_gettop(L));
}

enum state { RUNNING, DEAD, SUSPENDED, NORMAL };
static const char *const state_names[] = { "running", "dead", "suspended", "normal" };

static enum state state_of(lua_State *L, lua_State *co)
{
    if (L == co)
        return RUNNING;
    if (guard_marked(co, GUARD_SPENT))
        return DEAD;
    if (guard_marked(co, GUARD_HANDLER | GUARD_WAITS))
        return NORMAL;
    switch (lua_status(co)) {
    case LUA_YIELD:
        return SUSPENDED;
    case LUA_OK: {
        lua_Debug activation;
        if (lua_getstack(co, 0, &activation))
            return NORMAL;
        return lua_gettop(co) == 0 ? DEAD : SUSPENDED;
    }
    default:
        return DEAD;
    }
}

/* status(co) */
static int co_status(lua_State *L)
{
    lua_pushstring(L, state_names[state_of(L, check_coroutine(L))]);
    return 1;
}

/* isyieldable([co]): whether coroutine.yield would work there */
static int co_isyieldable(lua_State *L)
{
    lua_State *co = lua_isnone(L, 1) ? L : check_coroutine(L);
    lua_pushboolean(L, !guard_marked(co, GUARD_HANDLER) && lua_isyieldable(co));
    return 1;
}

/* running() -> co, whether it is the main one: to scripts, a handler's is */
static int co_running(lua_State *L)
{
    int is_main = lua_pushthread(L);
    lua_pushboolean(L, is_main || guard_marked(L, GUARD_HANDLER));
    return 2;
}

/* close(co) -> true, or false and the error object */
static int co_close(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    enum state state = state_of(L, co);
    if (guard_marked(co, GUARD_WAITS))
        return luaL_error(L, "cannot close a coroutine that waits");
    if (state == RUNNING || state == NORMAL)
        return luaL_error(L, "cannot close a %s coroutine", state_names[state]);
    if (guard_marked(co, GUARD_SPENT)) {
        lua_pushboolean(L, 1);
        return 1;
    }
    if (lua_status(co) == LUA_YIELD && guard_in_xpcall(co))
        return luaL_error(L, "cannot close a coroutine that is inside xpcall");
    if (close_pending(L, co) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_xmove(co, L, 1);
    if (guard_passes(L, LUA_ERRRUN))
        return lua_error(L);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

int coroutines_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "create", co_create },   { "resume", co_resume },
        { "running", co_running }, { "status", co_status },
        { "wrap", co_wrap },       { "yield", co_yield },
        { "close", co_close },     { "isyieldable", co_isyieldable },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    return 1;
}

bool coroutines_catches(lua_CFunction function)
{
    return function == co_resume || function == co_close;
}

bool coroutines_lets_pass(lua_CFunction function)
{
    return function == guard_pcall || function == guard_xpcall || function == guard_dofile
           || function == co_resume || function == call_wrapped;
}
