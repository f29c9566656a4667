/*
 * report.h -- a failed handler as a person reads it.
 *
 * Built on the coroutine that died, before it is reset: its frames and locals
 * are still there. Runs no Lua code of the script (no __tostring, no __index),
 * bounded in lines and bytes, and survives any error object.
 *
 * Nothing here allocates Lua memory or raises: it works unprotected, in a
 * state at its memory limit, on a stack that has overflowed.
 */
#ifndef TROUPE_SCRIPT_REPORT_H
#define TROUPE_SCRIPT_REPORT_H

#include "base/bytes.h"
#include "message/json.h"

#include <lua.h>

struct report_context {
    const char *actor;       /* "pong" */
    const char *script;      /* "examples/pong.lua" */
    const char *version;     /* "2", or NULL */
    const char *handler;     /* "on_ping"; "the script's top level" */
    const char *message;     /* "Ping {"count": 1}", or NULL; cut by the caller */
    const char *sender;      /* address of the sender, or NULL */
    const char *reason;      /* what the error object says of itself, or NULL: what it is */
    const char *place;       /* "pong.lua:3: ", where the error is from; NULL: where `dead` stands */
    const char *inside;      /* of the coroutines that it came out of (report_coroutine()), or NULL */
    int         line;        /* at which `dead` stands; 0: as it says itself */
    const char *outcome;     /* "the actor goes on, the message is dropped" */
    json_actor_text *actor_text; /* names refs among the locals; NULL: by number */
    void            *text_context;
};

/* One line: "pong.lua:12: attempt to ..." of the error object at `index`
 * ("(error object is a table: {code = 3})", "(error object is nil)"); of a
 * `why` its text. */
void report_reason(lua_State *L, int index, struct bytes *out);

/* The same of what an error object says of itself. */
void report_text(const char *text, size_t size, struct bytes *out);

/* The same of the error object on top of `dead`, with the line at which it was
 * raised if the error itself does not say. */
void report_error(lua_State *dead, struct bytes *out);

/* The whole report, several lines. The error object is on top of `dead`. */
void report_build(lua_State *dead, const struct report_context *context, struct bytes *out);

/* Where a coroutine stands: "pong.lua:3: ", or "". `line`: as in the context. */
#define REPORT_PLACE_ROOM (LUA_IDSIZE + 16)
void report_place(lua_State *co, int line, char *text, size_t room);

/* The locals of its innermost function and its traceback: lines of a report.
 * Refs are named by `actor_text`, or by number if it is NULL. */
void report_coroutine(lua_State *co, int line, json_actor_text *actor_text, void *context,
                      struct bytes *out);

/* A value as a person reads it, raw, cut at `room` bytes, to a small depth. */
void report_value(lua_State *L, int index, size_t room, struct bytes *out);

#endif
