/*
 * evaluate_run.c -- see evaluate.h: what an evaluation does on its actor's worker,
 * and what it comes to.
 */
#include "script/evaluate_room.h"

#include "message/json.h"
#include "script/api.h"
#include "script/handler.h"
#include "script/pretty.h"
#include "script/report.h"

#include <lauxlib.h>
#include <stdio.h>

#define CHUNK_NAME  "=attach"
#define ERROR_LIMIT 8000
#define TRACE_LIMIT 16000

/* ---- Running ---------------------------------------------------------------- */

/* The text in one or two pieces: an expression is a chunk that returns it. */
struct pieces {
    const char *texts[2];
    size_t      sizes[2];
    unsigned    next;
};

static const char *read_piece(lua_State *L, void *context, size_t *size)
{
    (void)L;
    struct pieces *pieces = context;
    if (pieces->next == ARRAY_LENGTH(pieces->texts))
        return NULL;
    *size = pieces->sizes[pieces->next];
    return pieces->texts[pieces->next++];
}

static int compile_after(lua_State *L, const char *before, const char *text, size_t size)
{
    struct pieces pieces = { .texts = { before, text }, .sizes = { strlen(before), size } };
    if (*before == '\0')
        pieces.next = 1;
    return lua_load(L, read_piece, &pieces, CHUNK_NAME, "t");
}

/* Whether Lua's message on top of the stack says that the text is not at its end. */
static bool wants_more(lua_State *L)
{
    static const char mark[] = "<eof>";
    size_t size;
    const char *why = lua_tolstring(L, -1, &size);
    return size >= sizeof mark - 1 && strcmp(why + size - (sizeof mark - 1), mark) == 0;
}

/* Pushes the chunk; raises Lua's message: that about statements, unless the text looks
 * like an expression that is not complete. */
static void compile(lua_State *L, const char *text, size_t size)
{
    bool asks = size > 0 && *text == '='; /* "=x", as of old */
    if (asks)
        text++, size--;
    int status = compile_after(L, "return ", text, size);
    if (status == LUA_ERRSYNTAX && !asks) {
        bool keeps_first = wants_more(L);
        status = compile_after(L, "", text, size);
        if (status == LUA_OK || !keeps_first)
            lua_remove(L, -2);
        else
            lua_pop(L, 1);
    }
    if (status != LUA_OK)
        lua_error(L);
}

/* (value, bytes): appends its JSON text. Raises if it has none. */
static int append_json(lua_State *L)
{
    struct script *script = script_of(L);
    struct bytes *out = lua_touserdata(L, 2);
    size_t size;
    const uint8_t *packed = pack_lua_value(L, 1, "value", &size);
    if (json_write(packed, size, JSON_SPACED, script_actor_text, script, out, NULL) != 0)
        return luaL_error(L, "no JSON form");
    return 0;
}

/* The values from `first` up as a JSON list. */
static void list_json(lua_State *L, int first, struct bytes *out)
{
    int last = lua_gettop(L);
    out->failed = !lua_checkstack(L, 4);
    for (int i = first; i <= last && !out->failed; i++) {
        bytes_append_text(out, i == first ? "[" : ", ");
        size_t before = out->size;
        lua_pushcfunction(L, append_json);
        lua_pushvalue(L, i);
        lua_pushlightuserdata(L, out);
        if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
            lua_pop(L, 1);
            out->size = before;
            out->failed = false;
            bytes_append_text(out, "null");
        }
    }
    bytes_append_text(out, first > last ? "[]" : "]");
}

/* Tells the values from `first` up. Nothing in here may raise that owns memory. */
static void tell_values(lua_State *L, struct script *script, int first)
{
    struct evaluation *evaluation = evaluation_in_hand(script);
    int last = lua_gettop(L);
    struct bytes text, json;
    bytes_init(&text, EVALUATE_RESULT_LIMIT + 64);
    bytes_init(&json, EVALUATE_RESULT_LIMIT);
    bool whole = true;
    for (int i = first; i <= last; i++) {
        if (i > first)
            bytes_append_byte(&text, '\n');
        whole = pretty_print(L, i, EVALUATE_RESULT_LIMIT, script_actor_text, script, &text) && whole;
        if (text.size >= EVALUATE_RESULT_LIMIT)
            break;
    }
    if (evaluation->request.json)
        list_json(L, first, &json);
    bool has_json = evaluation->request.json && !json.failed;
    struct evaluate_told told = {
        .news = EVALUATE_DONE,
        .text = (const char *)text.data,
        .size = text.size,
        .more = has_json ? (const char *)json.data : NULL,
        .more_size = has_json ? json.size : 0,
        .count = (unsigned)(last - first + 1),
        .cut = !whole || text.failed,
    };
    evaluation_conclude(script, evaluation, &told);
    bytes_fini(&text);
    bytes_fini(&json);
}

/* The chunk has returned; its results lie above the function that ran it. */
static int evaluated(lua_State *L, int status, lua_KContext first)
{
    struct script *script = script_of(L);
    uint64_t session = evaluation_in_hand(script)->request.session;
    (void)status;
    luaL_checkstack(L, 8, "too many results");
    if (lua_gettop(L) >= (int)first) {
        lua_pushvalue(L, (int)first);
        evaluate_keep_result(L, session);
    }
    tell_values(L, script, (int)first);
    return 0;
}

int evaluate_run(lua_State *L)
{
    struct script *script = script_of(L);
    struct evaluation *evaluation = evaluation_in_hand(script);
    const struct evaluate_request *request = &evaluation->request;
    api_install_refs(L);
    if (evaluate_sees_reload(L, script, request->session))
        evaluation_tell(evaluation, EVALUATE_RELOADED, "", 0);
    compile(L, request->text, request->size);
    evaluate_push_names(L, script, request->session);
    if (lua_setupvalue(L, -2, 1) == NULL)
        lua_pop(L, 1);
    atomic_store_explicit(&evaluation->compiled, true, memory_order_relaxed);
    int first = lua_gettop(L);
    lua_callk(L, 0, LUA_MULTRET, first, evaluated);
    return evaluated(L, LUA_OK, first);
}

/* ---- How it ends, other than well ---------------------------------------------------- */

static enum evaluate_news news_of(enum vm_death death)
{
    switch (death) {
    case VM_CANCELLED:
        return EVALUATE_CANCELLED;
    case VM_EXIT:
        return EVALUATE_EXITED;
    case VM_STOPPED:
    case VM_CUT:
        return EVALUATE_LOST;
    default:
        return EVALUATE_FAILED;
    }
}

/* What is to be told of it, from the dead coroutine. May run a __tostring. */
static void describe_death(struct script *script, enum vm_death death, struct bytes *text,
                           struct bytes *trace)
{
    lua_State *dead = script->hand.coroutine;
    bool suspended = death != VM_ALIVE && lua_status(dead) == LUA_YIELD;
    struct failure failure;
    if (death == VM_EXIT) {
        bytes_append_text(text, script->exit_reason != NULL ? script->exit_reason : "");
        return;
    }
    script_failure_init(script, &failure);
    if (failure.own_text.size > 0)
        report_text((const char *)failure.own_text.data, failure.own_text.size, text);
    else
        report_error(dead, text);
    if (death == VM_MEMORY)
        bytes_printf(text, ": memory limit of %g MiB reached",
                     (double)script->vm.arena.limit / (1024 * 1024));
    bytes_append(trace, failure.inside.data, failure.inside.size);
    script_failure_fini(&failure);
    if (atomic_load_explicit(&evaluation_in_hand(script)->compiled, memory_order_relaxed))
        report_coroutine(dead, suspended ? script->vm.stopped_line : 0, script_actor_text, script,
                         trace);
}

enum verdict evaluate_failed(struct script *script)
{
    enum vm_death death = (enum vm_death)script->vm.dying;
    struct bytes text, trace;
    bytes_init(&text, ERROR_LIMIT);
    bytes_init(&trace, TRACE_LIMIT);
    describe_death(script, death, &text, &trace);
    bool fit = handler_recover(script); /* its __close may loop, and be cancelled */
    evaluation_conclude(script, evaluation_in_hand(script),
             &(struct evaluate_told){ .news = news_of(death),
                                      .text = (const char *)text.data,
                                      .size = text.size,
                                      .more = (const char *)trace.data,
                                      .more_size = trace.size });
    handler_end(script, FAILURE_FAILED, "the question was asked at a prompt, whose text has failed");
    bytes_fini(&text);
    bytes_fini(&trace);
    if (death == VM_STOPPED)
        return handler_end_actor(script, ENDED_NORMALLY, "killed", true);
    if (death == VM_EXIT)
        return handler_end_actor(script, ENDED_NORMALLY, script->exit_reason, !fit);
    return fit ? VERDICT_DONE : handler_end_actor(script, ENDED_BY_ERROR, "memory", true);
}
