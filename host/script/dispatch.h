/*
 * dispatch.h -- a message becomes a call of `on_<type>`.
 *
 * A handler is looked up once per type and script, by comparing folded names,
 * and then found by the type's number. Only raw reads: in the script's table
 * and, should it be a class, in the tables it inherits from by `__index`.
 */
#ifndef TROUPE_SCRIPT_DISPATCH_H
#define TROUPE_SCRIPT_DISPATCH_H

#include "script/script.h"

/* An empty cache. */
void dispatch_init(struct script *script);
void dispatch_fini(struct script *script);

/* Whether the table at `index` has any `on_<type>` of its own. */
bool dispatch_defines(lua_State *L, int index);

/* Checks the script's handlers after loading: `on_*` must be functions, no
 * type spelt twice. Raises if not. Their names are known as types from then on,
 * which is how the gateway tells them from invented ones. */
void dispatch_check(lua_State *L, struct script *script);

/* The cached entry for `type`, or NULL if it was never looked up. Valid until
 * the next dispatch_find(). */
static inline struct handler_cache *dispatch_cached(struct script *script, type_id type)
{
    for (unsigned i = type;; i++) {
        struct handler_cache *entry = &script->cache[i & script->cache_mask];
        if (LIKELY(entry->type == type))
            return entry;
        if (entry->type == TYPE_NONE)
            return NULL;
    }
}

/* The same, looked up if need be. May raise. If the script has no handler for
 * the type, on_any takes it, unless it is a built-in one. */
struct handler_cache *dispatch_find(lua_State *L, struct script *script, type_id type);

/* All that was looked up is forgotten: the handlers have changed. Neither raises nor
 * allocates in the state. */
void dispatch_forget(lua_State *L, struct script *script);

/* Pushes name and function of the handler for that type in the script's table that the registry
 * has as `handlers`, or nothing: then false. Neither raises nor allocates. */
bool dispatch_push_handler(lua_State *L, int handlers, type_id type);

/* Calls `fn` with the name of each handler ("on_ping") in that table and in those it inherits
 * from, whose names may come twice. Neither raises nor allocates, unless `fn` does. */
void dispatch_each_handler(lua_State *L, int handlers, void (*fn)(void *context, const char *name),
                           void *context);

/* Whether the script has a handler for that type, or on_any. If not, `why` says
 * so: "`what` names Qery, but pong.lua has no on_qery (did you mean on_query?)". */
bool dispatch_handles(struct script *script, type_id type, const char *what, char *why,
                      size_t room);

/* Pushes function, self, msg and, if it is declared, env for the message in
 * hand; returns the number of arguments. May raise. */
int dispatch_push(lua_State *L, struct script *script, const struct handler_cache *handler);

/* The handler's name as the script spells it ("on_market_depth"), or what else it is that
 * people call so (evaluate.h); returns `text`. */
const char *dispatch_name(struct script *script, type_id type, char *text, size_t room);

/* A message that no handler takes: counted, logged once per type (from elsewhere
 * at a bounded rate) with "did you mean", refused (Reject, asker told), dead letter. Takes *message.
 * Start, Shutdown, Timeout, Down and Reject are silent. */
void dispatch_unhandled(struct script *script, struct message **message);

#endif
