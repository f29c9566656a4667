/*
 * held.c -- see held.h.
 */
#include "script/held.h"

#include "base/memory.h"

#include <stdio.h>

void held_link(struct held **list, struct held *held)
{
    held->link = list;
    held->next = *list;
    if (held->next != NULL)
        held->next->link = &held->next;
    *list = held;
}

void held_unlink(struct held *held)
{
    *held->link = held->next;
    if (held->next != NULL)
        held->next->link = held->link;
}

struct held *held_new(struct held **list, struct env *env, const struct message *message,
                      bool owed)
{
    struct held *held = memory_get_zeroed(sizeof *held);
    if (held == NULL)
        return NULL;
    struct address *origin = api_origin(message);
    held->from = message->from;
    held->request = message->request;
    held->origin = origin != NULL ? address_ref(origin) : NULL;
    held->type = message->type;
    held->owed = owed;
    held->env = env;
    held_link(list, held);
    env->held = held;
    return held;
}

void held_moved(struct activation *activation)
{
    if (activation->held != NULL)
        activation->held->link = &activation->held;
}

void held_settle_received(struct script *script)
{
    /* Those behind it were settled when it was asked for. */
    for (struct held *held = script->hand.held; held != NULL; held = held->next) {
        if (held->message == NULL)
            continue;
        message_settle(held->message, true);
        if (held->env == NULL) {
            held_unlink(held);
            held_free(held);
        }
        return;
    }
}

void held_free(struct held *held)
{
    if (held->env != NULL)
        held->env->held = NULL;
    address_unref(held->origin);
    message_free(held->message);
    memory_put(held, sizeof *held);
}

/* Tells whoever asked that there will be no answer. Elsewhere only a Reject can. */
static void tell_asker(struct script *script, actor_id from, uint64_t request,
                       const struct message *message, enum failure_reason reason, const char *text)
{
    struct system *system = script->world->system;
    if (from != 0) {
        router_fail(system, from, request, reason, text);
        return;
    }
    char why[300];
    if (text == NULL)
        text = "the handler ended without an answer";
    snprintf(why, sizeof why, "%s: %s", reason == FAILURE_NO_REPLY ? "No reply" : "Failed", text);
    if (message != NULL && api_origin(message) != NULL && system->remote.reject != NULL)
        system->remote.reject(system->remote.context, message, script->actor->name, why);
}

void held_tell(struct script *script, struct held *held, enum failure_reason reason,
                 const char *text)
{
    if (!held->owed)
        return;
    held->owed = false;
    tell_asker(script, held->from, held->request,
               held->in_hand ? script->hand.current : held->message, reason, text);
}

void api_questions_over(struct script *script, enum failure_reason reason, const char *text)
{
    if (script->hand.owed) {
        script->hand.owed = false;
        tell_asker(script, script->hand.current->from, script->hand.current->request,
                   script->hand.current, reason, text);
    }
    while (script->hand.held != NULL) {
        struct held *held = script->hand.held;
        held_unlink(held);
        if (held->in_hand && held->env != NULL) { /* deferred: the message stays with it */
            held->in_hand = false;
            held->message = script->hand.current;
            script->hand.current = NULL;
            message_settle(held->message, true); /* its handler has ended */
            held_link(&script->deferred, held);
            continue;
        }
        held_tell(script, held, reason, text);
        held_free(held);
    }
}

void api_deferred_end(struct script *script, enum failure_reason reason, const char *text)
{
    while (script->deferred != NULL) {
        struct held *held = script->deferred;
        held_unlink(held);
        held_tell(script, held, reason, text);
        held_free(held);
    }
}
