/*
 * api.h -- what the functions that scripts call have in common: checking their
 * arguments, sending, and saying what went wrong.
 *
 * `what` is the function's name as it begins an error message; errors are
 * raised at the line of the script that called it.
 */
#ifndef TROUPE_SCRIPT_API_H
#define TROUPE_SCRIPT_API_H

#include "script/declared.h"
#include "script/pack_lua.h"
#include "script/script.h"

#include <string.h>

/* To whom: one of the two is set. */
struct target {
    actor_id        id;
    struct address *address; /* borrowed from the ref */
};

/* The ref at `index`; raises for anything else. */
struct target api_check_target(lua_State *L, int index, const char *what);

/* The number of the message type at `index`: of a name; of a declared type; or of
 * a message of one, which then is moved to index + 1, and with it all that follows.
 * Raises for what is none of these, cannot be a type, or is the host's own. */
type_id api_check_type_slow(lua_State *L, int index, const char *what);

static inline type_id api_check_type(lua_State *L, struct script *script, int index,
                                     const char *what)
{
    if (LIKELY(lua_type(L, index) == LUA_TSTRING)) {
        size_t size;
        const char *text = lua_tolstring(L, index, &size);
        const struct type_cache *known = &script->types[((uintptr_t)text >> 4) & (TYPE_CACHE - 1)];
        if (LIKELY(known->text == text && known->size == size &&
                   memcmp(known->name, text, size) == 0))
            return known->type;
    }
    return api_check_type_slow(L, index, what);
}

/* Packs the message of that type at `index`; if this script has declared the type,
 * it must fit. See pack_lua_message(). */
static inline const uint8_t *api_pack(lua_State *L, struct script *script, int index, type_id type,
                                      size_t *size)
{
    const uint8_t *packed = pack_lua_message(L, index, size);
    if (UNLIKELY(script->declared != NULL))
        return declared_fit_sent(L, script, type, packed, size);
    return packed;
}

/* The last argument of send, ask and the like. */
enum {
    OPTION_TIMEOUT = 1,
    OPTION_PRIORITY = 2,
    OPTION_AFTER = 4,
};
struct send_options {
    uint64_t timeout_ns;
    bool     patient;      /* timeout_ns was given, not assumed */
    bool     high;
    bool     later;
    uint64_t after_ns;
};

/* Reads the table (or nil) at `index`; raises for options that are not among
 * `allowed`. timeout_ns is the world's default if it is not given. */
void api_check_options_slow(lua_State *L, int index, const char *what, unsigned allowed,
                            struct send_options *options);

static inline struct send_options api_check_options(lua_State *L, struct script *script, int index,
                                                    const char *what, unsigned allowed)
{
    struct send_options options = { .timeout_ns = script->world->defaults.ask_timeout_ns };
    if (UNLIKELY(!lua_isnoneornil(L, index)))
        api_check_options_slow(L, index, what, allowed, &options);
    return options;
}

/* A new message from this actor with the packed payload; raises on no memory. */
struct message *api_new_message(lua_State *L, struct script *script, const char *what,
                                enum message_kind kind, type_id type, const uint8_t *packed,
                                size_t size, bool high);

/* Sends *message, and waits for room if `may_wait` (and it can); pushes true,
 * or nil and why, and returns how many. */
int api_send_message(lua_State *L, struct script *script, const char *what, struct target target,
                     struct message *message, bool may_wait, uint64_t timeout_ns);

/* Pushes nil and why a message of `type` was not delivered, or a question not
 * answered. `detail` is what is known more, or NULL. */
int api_push_undelivered(lua_State *L, enum failure_reason reason, struct target target,
                         type_id type, const char *detail);
int api_push_unanswered(lua_State *L, enum failure_reason reason, struct target target,
                        type_id type, const char *detail, uint64_t timeout_ns);

/* Whether it was an actor of this host that has ended. */
bool api_is_gone(struct script *script, struct target target);

/* The reason for a router's answer that is neither OK nor PARKED. */
enum failure_reason api_reason_of(enum router_answer answer);

/* Where the sender of `message` is, if elsewhere; borrowed. */
static inline struct address *api_origin(const struct message *message)
{
    return message->kind == MESSAGE_ORDINARY || message->kind == MESSAGE_ASK ||
                   message->kind == MESSAGE_REPLY
               ? message->origin
               : NULL;
}

/* A name of this host, or of a node that is this host, becomes the actor that has it now. */
void api_resolve(struct script *script, struct target *target);
/* Sends *message; `why` gets a sentence or "" if the answer is not OK or PARKED. */
enum router_answer api_send_question(struct script *script, struct target target,
                                     struct message **message, unsigned how, char *why,
                                     size_t room);
/* Whether `answer` says that there is none; *reason and a text then. */
bool api_is_refusal(const struct message *answer, enum failure_reason *reason, char *text,
                    size_t room);

/* Whether somebody waits for the answer: an actor here, or one elsewhere that
 * asked under a one-shot name (the family's peers send, and never wait). */
static inline bool api_is_question(const struct message *message)
{
    return message->kind == MESSAGE_ASK ||
           (message->kind == MESSAGE_ORDINARY && UNLIKELY(message->origin != NULL) &&
            strstr(address_name(message->origin), "/ask#") != NULL);
}

/* actor.spawn(script, options), called `what`. Only SPAWN_STARTED is started; the parent
 * of the others says when, and hears of it (actor/incarnation.h). They take a third
 * argument, the path of the script beside which theirs is looked for. */
enum spawn_as { SPAWN_STARTED, SPAWN_SUPERVISED, SPAWN_PREPARED };
int api_spawn_as(lua_State *L, const char *what, enum spawn_as as);

/* If the value at `index` is the global `actor`, whose fields are made when they are
 * read: the name of one, by numbers from 0; NULL: there are no more, or it is not that. */
const char *api_actor_field(lua_State *L, int index, size_t number);

/* Calls `fn` with the type of each timer that the script holds and that has not fired
 * for the last time: api_time.c. */
void api_each_timer(struct script *script, void (*fn)(void *context, type_id type), void *context);

/* A vm_library opener: the module troupe.children. */
int api_children_open(lua_State *L);
/* The module troupe.nodes: api_nodes.c. */
int api_nodes_open(lua_State *L);

/* (name, fields): raises as actor.message(name, fields) would, of a declaration that
 * is wrong by itself. In any Lua state. */
int api_check_message(lua_State *L);

/* A vm_library opener: the module troupe.options. In any Lua state. */
int api_options_open(lua_State *L);

/* (reason, text) -> nil, why. For modules in lua/troupe. */
int api_failure(lua_State *L);

/* Pushes actor.supervise. */
void api_push_supervise(lua_State *L);

/* ref:ask and ref:start_ask. */
int api_ref_ask(lua_State *L);
int api_ref_start_ask(lua_State *L);

#endif
