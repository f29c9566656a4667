/*
 * api_ask.c -- ref:ask, which waits for its answer, and what all questions share.
 */
#include "script/api.h"

#include "message/pack.h"
#include "script/pack_lua.h"
#include "script/ref.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define TEXT_ROOM 700

/* ---- Why there is no answer ---------------------------------------------- */

int api_push_unanswered(lua_State *L, enum failure_reason reason, struct target target,
                        type_id type, const char *detail, uint64_t timeout_ns)
{
    char name[REF_TEXT_ROOM], from[REF_TEXT_ROOM + 6], text[TEXT_ROOM];
    const char *asked = type_name(type);
    api_target_text(script_of(L), target.id, target.address, name, sizeof name);
    bool gone = api_is_gone(script_of(L), target); /* and its name with it */
    snprintf(from, sizeof from, "%s%s", gone ? "" : " from ", gone ? "" : name);

    switch (reason) {
    case FAILURE_TIMEOUT:
        snprintf(text, sizeof text, "no answer%s to %s in %.1f s%s%s", from, asked,
                 (double)timeout_ns / (double)NS_PER_SEC, detail != NULL ? ": " : "",
                 detail != NULL ? detail : "");
        break;
    case FAILURE_DEADLOCK:
        snprintf(text, sizeof text, "deadlock: %s", detail != NULL ? detail : name);
        break;
    case FAILURE_REJECTED:
        snprintf(text, sizeof text, "%s rejected %s: %s", name, asked,
                 detail != NULL ? detail : "no reason given");
        break;
    case FAILURE_FAILED:
        snprintf(text, sizeof text, "%s failed at %s: %s", name, asked,
                 detail != NULL ? detail : "no reason given");
        break;
    case FAILURE_NO_REPLY:
        snprintf(text, sizeof text, "no answer%s to %s: its handler ended without a reply", from,
                 asked);
        break;
    case FAILURE_STOPPING:
        snprintf(text, sizeof text, "no answer%s to %s: this actor is stopping", from, asked);
        break;
    case FAILURE_FULL:
        snprintf(text, sizeof text, "no answer%s to %s: its mailbox is full", from, asked);
        break;
    default:
        if (detail == NULL)
            detail = gone ? "the actor has ended" : "it is not running";
        snprintf(text, sizeof text, "no answer%s to %s: %s", from, asked, detail);
    }
    return script_push_failure(L, reason, text);
}

/* The reason that a Reject from elsewhere carries, cut. */
static const char *reject_text(const struct message *reject, char *text, size_t room)
{
    struct pack_item item = { .tag = PACK_NULL };
    const uint8_t *at = pack_field(reject->size > 0 ? reject->payload : NULL, "reason");
    if (at != NULL)
        pack_read(at, &item);
    if (item.tag == PACK_STRING)
        snprintf(text, room, "%.*s", (int)(item.size < room ? item.size : room - 1), item.text);
    else
        snprintf(text, room, "no reason given");
    return text;
}

bool api_is_refusal(const struct message *answer, enum failure_reason *reason, char *text,
                       size_t room)
{
    if (answer->kind == MESSAGE_FAILURE) {
        *reason = (enum failure_reason)answer->reason;
        snprintf(text, room, "%.*s", (int)(answer->size < room ? answer->size : room - 1),
                 (const char *)answer->payload);
        return true;
    }
    if (answer->type != TYPE_REJECT)
        return false;
    *reason = FAILURE_REJECTED;
    reject_text(answer, text, room);
    return true;
}

void api_resolve(struct script *script, struct target *target)
{
    const struct address *address = target->address;
    struct system *system = script->world->system;
    if (address == NULL)
        return;
    if (address->endpoint_size > 0 &&
        (address_node(address_endpoint(address)) == NULL || !router_is_here(system, address)))
        return;
    actor_id id = registry_find_name(&system->registry, address_name(address), address->name_size);
    if (id != 0)
        *target = (struct target){ .id = id };
}

enum router_answer api_send_question(struct script *script, struct target target,
                                     struct message **message, unsigned how, char *why,
                                     size_t room)
{
    struct system *system = script->world->system;
    why[0] = '\0';
    if (LIKELY(target.address == NULL)) {
        (*message)->to = target.id;
        return router_send(system, message, how);
    }
    return router_send_address(system, target.address, message, how, why, room);
}

/* ---- ask ----------------------------------------------------------------- */

static int go_on_after_ask(lua_State *L, int status, lua_KContext context)
{
    struct script *script = script_of(L);
    struct wait *wait = &script->hand.wait;
    enum failure_reason reason = wait->failure;
    char text[TEXT_ROOM];
    (void)status;
    (void)context;

    text[0] = '\0';
    if (LIKELY(wait->answer != NULL &&
               !api_is_refusal(wait->answer, &reason, text, sizeof text))) {
        pack_lua_push(L, wait->answer->payload, wait->answer->size);
        api_push_env_of(L, script, &wait->answer);
        return 2;
    }
    struct target target = api_check_target(L, 1, "ask");
    if (wait->target != 0)
        target = (struct target){ .id = wait->target };
    if (wait->unparked)
        snprintf(text, sizeof text, "no room in its mailbox");
    return api_push_unanswered(L, reason, target, wait->type, text[0] != '\0' ? text : NULL,
                               wait->timeout_ns);
}

/* The question could not be asked. */
static int give_up_asking(lua_State *L, struct script *script, struct message *message,
                          enum failure_reason reason, struct target target, const char *detail)
{
    type_id type = message->type;
    script_wait_over(script);
    message_free(message);
    return api_push_unanswered(L, reason, target, type, detail, 0);
}

/* ref:ask(type, msg, {timeout=, priority=}) -> msg, env, or nil and why. */
int api_ref_ask(lua_State *L)
{
    struct script *script = script_of(L);
    bool may_wait = script_may_wait(L, "ask");
    struct target target = api_check_target(L, 1, "ask");
    type_id type = api_check_type(L, script, 2, "ask");
    struct send_options options =
        api_check_options(L, script, 4, "ask", OPTION_TIMEOUT | OPTION_PRIORITY);
    size_t size;
    const uint8_t *packed = api_pack(L, script, 3, type, &size);
    if (!may_wait)
        return api_push_unanswered(L, FAILURE_STOPPING, target, type, NULL, 0);
    struct message *message =
        api_new_message(L, script, "ask", MESSAGE_ASK, type, packed, size, options.high);

    api_resolve(script, &target);
    struct wait *wait = script_wait_begin(script, WAIT_ASK, APPETITE_CONTROL, options.timeout_ns);
    wait->type = type;
    wait->target = target.id;
    message->request = wait->number;

    char why[300];
    bool here = target.id != 0;
    if (here && UNLIKELY(!script_waits_for(script, target.id, wait->number, why, sizeof why)))
        return give_up_asking(L, script, message, FAILURE_DEADLOCK, target, why);
    enum router_answer answer =
        api_send_question(script, target, &message, ROUTE_PARK, why, sizeof why);
    if (UNLIKELY(answer > ROUTER_PARKED)) {
        if (here)
            waits_end(script->world->system, actor_self(script->actor), wait->number);
        return give_up_asking(L, script, message, api_reason_of(answer), target,
                              why[0] != '\0' ? why : NULL);
    }
    wait->parked = answer == ROUTER_PARKED;
    scheduler_sent();
    struct address *elsewhere = target.address != NULL ? address_ref(target.address) : NULL;
    return script_wait_for(L, "ask", elsewhere, go_on_after_ask);
}
