/*
 * trace.c -- see trace.h.
 */
#include "script/trace.h"

#include "script/coroutines.h"
#include "script/guard.h"
#include "script/report.h"
#include "script/scratch.h"

#include <stdio.h>
#include <string.h>

#define COROUTINES_SHOWN 3   /* the innermost */
#define LEVELS_SEARCHED  200 /* of one stack, for a function that catches */

/* Enough of an error object to know it again. On its way a text only grows in
 * front: wrap puts the caller's line there. */
struct mark {
    int         type;
    const void *object;
    size_t      size;
    char        end[80];
};

/* What this thread has seen last. The pointers are compared, never followed. */
static _Thread_local struct {
    const struct vm *vm;
    const lua_State *outer; /* where the error goes on */
    struct mark      mark;
    unsigned         coroutines;
    char             place[REPORT_PLACE_ROOM];
} taken __attribute__((tls_model("initial-exec")));

static _Thread_local struct {
    const struct vm *vm;
    const lua_State *dead;
    struct mark      mark;
} kept __attribute__((tls_model("initial-exec")));

/* Of the registry; its value is the coroutine kept. */
static const char kept_key;

/* ---- Errors ------------------------------------------------------------------ */

/* Of the error object on top of L. */
static struct mark mark_of(lua_State *L)
{
    struct mark mark = { .type = lua_type(L, -1) };
    if (mark.type != LUA_TSTRING) {
        mark.object = lua_topointer(L, -1);
        return mark;
    }
    const char *text = lua_tolstring(L, -1, &mark.size);
    size_t      shown = mark.size < sizeof mark.end ? mark.size : sizeof mark.end;
    memcpy(mark.end, text + mark.size - shown, shown);
    mark.size = shown;
    return mark;
}

/* Whether the error object on top of L is the one that was marked. */
static bool is_same(lua_State *L, const struct mark *mark)
{
    if (lua_type(L, -1) != mark->type)
        return false;
    if (mark->type != LUA_TSTRING)
        return lua_topointer(L, -1) == mark->object;
    size_t      size;
    const char *text = lua_tolstring(L, -1, &size);
    return mark->size > 0 && size >= mark->size &&
           memcmp(text + size - mark->size, mark->end, mark->size) == 0;
}

static bool catches(lua_State *L)
{
    lua_Debug activation;
    for (int level = 0; lua_getstack(L, level, &activation); level++) {
        if (level == LEVELS_SEARCHED || !lua_checkstack(L, 1))
            return true;
        lua_getinfo(L, "f", &activation);
        lua_CFunction function = lua_tocfunction(L, -1);
        lua_pop(L, 1);
        if (function != NULL && (function == guard_pcall || function == guard_xpcall ||
                                 function == guard_load || coroutines_catches(function)))
            return true;
    }
    return false;
}

/* Whether an error in L, which runs, ends the handler. If in doubt, no. */
static bool ends_handler(const struct vm *vm, lua_State *L)
{
    if (vm->dying != VM_ALIVE)
        return true;
    for (const struct coroutine_frame *frame = vm->frames; !catches(L); frame = frame->outer) {
        if (frame == NULL)
            return vm->handler == L;
        if (frame->closing)
            return false;
        L = frame->from;
    }
    return false;
}

/* ---- Texts ------------------------------------------------------------------- */

/* The line at which a coroutine stands that the hook has suspended for good. */
static int line_of(const struct vm *vm, lua_State *dead)
{
    return lua_status(dead) == LUA_YIELD && vm->dying != VM_ALIVE ? vm->stopped_line : 0;
}

static void describe(struct vm *vm, lua_State *dead)
{
    struct bytes *out = &scratch_of_thread[SCRATCH_TRACE];
    int line = line_of(vm, dead);
    if (taken.coroutines == 0)
        report_place(dead, line, taken.place, sizeof taken.place);
    if (taken.coroutines++ >= COROUTINES_SHOWN)
        return;
    report_coroutine(dead, line, vm->options->actor_text, vm, out);
    bytes_append_text(out, "  resumed by:\n");
}

/* If the error on top of L is that of the coroutine kept, begins with that. */
static void begin(struct vm *vm, lua_State *L)
{
    scratch_take(SCRATCH_TRACE);
    taken.vm = vm;
    taken.coroutines = 0;
    taken.place[0] = '\0';
    if (!vm->keeps_dead || kept.vm != vm || !is_same(L, &kept.mark) || !lua_checkstack(L, 1))
        return;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key);
    lua_State *dead = lua_tothread(L, -1);
    lua_pop(L, 1); /* it stays in the registry */
    if (dead == kept.dead && lua_status(dead) != LUA_OK)
        describe(vm, dead);
}

void trace_take(lua_State *L, lua_State *dead)
{
    struct vm *vm = vm_of(L);
    bool goes_on = taken.vm == vm && taken.outer == dead && is_same(L, &taken.mark);
    if (!goes_on) {
        taken.vm = NULL;
        if (!ends_handler(vm, L))
            return;
        begin(vm, L);
    }
    describe(vm, dead);
    taken.outer = L;
    taken.mark = mark_of(L);
}

void trace_keep(lua_State *L, lua_State *dead)
{
    struct vm *vm = vm_of(L);
    if (!lua_checkstack(dead, 1) || !lua_checkstack(L, 1))
        return;
    lua_pushthread(dead);
    lua_xmove(dead, L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kept_key);
    vm->keeps_dead = true;
    kept.vm = vm;
    kept.dead = dead;
    kept.mark = mark_of(L);
}

void trace_drop(struct vm *vm)
{
    vm->keeps_dead = false;
    lua_pushboolean(vm->L, false); /* over what is there: that needs no memory */
    lua_rawsetp(vm->L, LUA_REGISTRYINDEX, &kept_key);
}

struct trace trace_of(lua_State *handler)
{
    struct vm *vm = vm_of(handler);
    if (taken.vm != vm || taken.outer != handler || !is_same(handler, &taken.mark))
        begin(vm, handler);
    taken.vm = NULL;
    if (vm->keeps_dead)
        trace_drop(vm);

    struct bytes *text = &scratch_of_thread[SCRATCH_TRACE];
    if (taken.coroutines > COROUTINES_SHOWN)
        bytes_printf(text, "  ... (%u coroutines)\n", taken.coroutines - COROUTINES_SHOWN);
    return (struct trace){ .text = taken.coroutines > 0 ? bytes_text(text) : "",
                           .place = taken.place };
}
