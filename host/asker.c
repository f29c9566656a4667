/*
 * asker.c -- a question from who is no actor: the hidden actor that asks it.
 */
#include "asker.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void asker_unref(struct asker *asker)
{
    if (asker == NULL ||
        atomic_fetch_sub_explicit(&asker->references, 1, memory_order_acq_rel) > 1)
        return;
    message_free(asker->question);
    message_free(asker->answer);
    address_unref(asker->to);
    signal_fini(&asker->changed);
    lock_fini(&asker->lock);
    memory_put(asker, sizeof *asker);
}

/* The first outcome counts. Takes *answer, which may point to NULL. */
static void conclude(struct asker *asker, struct message **answer, int error, const char *why)
{
    lock_acquire(&asker->lock);
    bool first = !asker->over;
    if (first) {
        asker->over = true;
        asker->answer = *answer;
        *answer = NULL;
        asker->error = error;
        snprintf(asker->why, sizeof asker->why, "%s", why);
        signal_all(&asker->changed);
    }
    lock_release(&asker->lock);
    message_free(*answer);
    *answer = NULL;
    if (first && asker->told != NULL)
        asker->told(asker->context, asker);
}

/* ---- The hidden actor -------------------------------------------------- */

/* Here a full mailbox keeps the question until there is room. */
static enum router_answer put_question(struct actor *actor, struct asker *asker, char *why,
                                       size_t room)
{
    if (!router_is_here(actor->system, asker->to))
        return router_send_address(actor->system, asker->to, &asker->question, 0, why, room);
    actor_id target = registry_find_name(&actor->system->registry, address_name(asker->to),
                                         asker->to->name_size);
    enum router_answer answer = router_send_address(actor->system, asker->to, &asker->question,
                                                    ROUTE_PARK, why, room);
    if (answer == ROUTER_PARKED)
        asker->parked_with = target;
    return answer;
}

static enum verdict ask(struct actor *actor)
{
    struct asker *asker = actor->state;
    char why[HOST_WHY] = "";
    asker->question->from = actor_self(actor);
    /* All of its mail is taken, so that nobody waits for it in turn. */
    asker->question->request = actor_wait_begin(actor, APPETITE_ALL, UINT64_MAX);
    enum router_answer answer = put_question(actor, asker, why, sizeof why);
    if (answer == ROUTER_OK || answer == ROUTER_PARKED)
        return VERDICT_WAITING;
    conclude(asker, &(struct message *){ NULL }, host_error_of(answer), why);
    return VERDICT_ENDED;
}

static enum verdict ask_receive(struct actor *actor, struct message *message)
{
    struct asker *asker = actor->state;
    bool is_answer = message->kind == MESSAGE_REPLY || message->kind == MESSAGE_FAILURE;

    if (message->kind == MESSAGE_START) {
        message_free(message);
        return ask(actor);
    }
    if (is_answer && actor_waits_as(actor, message->request)) {
        actor_wait_over(actor);
        asker->parked_with = 0;
        conclude(asker, &message, 0, "");
        return VERDICT_ENDED;
    }
    if (message->kind == MESSAGE_ORDINARY || message->kind == MESSAGE_ASK) {
        char reject[ADDRESS_NAME_LIMIT + 32];
        snprintf(reject, sizeof reject, "Actor '%s' not found", actor->name);
        router_refuse(actor->system, &message, FAILURE_REJECTED, "it only waits for an answer",
                      reject);
    }
    message_free(message);
    return VERDICT_WAITING;
}

/* The thread has lost its patience, or the host stops. */
static enum verdict ask_cut(struct actor *actor)
{
    struct asker *asker = actor->state;
    struct actor *target = registry_find(&actor->system->registry, asker->parked_with);
    if (target != NULL)
        message_free(mailbox_unpark(&target->box, actor_self(actor), actor->waits));
    actor_wait_over(actor);
    conclude(asker, &(struct message *){ NULL }, -ESHUTDOWN, "the host is stopping");
    return VERDICT_ENDED;
}

static enum verdict ask_done(struct actor *actor)
{
    (void)actor;
    return VERDICT_DONE;
}

static void ask_end(struct actor *actor)
{
    struct asker *asker = actor->state;
    conclude(asker, &(struct message *){ NULL }, -ESHUTDOWN, "the host is stopping");
    asker_unref(asker);
}

static const struct behaviour ask_behaviour = {
    .receive = ask_receive,
    .go_on = ask_done,
    .cut = ask_cut,
    .shut_down = ask_done,
    .end = ask_end,
};

/* ---- Who asks ------------------------------------------------------------- */

static struct asker *asker_new(struct address *to, struct message *question)
{
    struct asker *asker = memory_get_zeroed(sizeof *asker);
    if (asker == NULL)
        return NULL;
    atomic_init(&asker->references, 2);
    asker->to = to;
    asker->question = question;
    lock_init(&asker->lock);
    signal_init(&asker->changed);
    return asker;
}

/* Makes the hidden actor, which takes over one reference if that succeeds. */
static int spawn_asker(struct host *host, struct asker *asker, char *why, size_t room)
{
    struct spawn spawn = {
        .stem = "$ask",
        .behaviour = &ask_behaviour,
        .state = asker,
        .mailbox = MAILBOX_OPTIONS_DEFAULT,
        .hidden = true,
    };
    int error = lifecycle_spawn(&host->system, &spawn, &asker->id, why, room);
    if (error == 0 && lifecycle_start(&host->system, asker->id, NULL, 0) != 0)
        snprintf(why, room, "out of memory"); /* it ends by itself, and says so */
    return error;
}

int asker_open(struct host *host, const char *to, const char *type, const char *json,
               void (*told)(void *context, struct asker *asker), void *context,
               struct asker **out, char *why, size_t room)
{
    struct address *address;
    struct message *question;
    int error = host_compose(MESSAGE_ASK, to, type, json, &address, &question, why, room);
    if (error != 0)
        return error;
    struct asker *asker = asker_new(address, question);
    if (asker == NULL) {
        message_free(question);
        address_unref(address);
        snprintf(why, room, "out of memory");
        return -ENOMEM;
    }
    asker->told = told;
    asker->context = context;
    error = spawn_asker(host, asker, why, room);
    if (error != 0) {
        asker_unref(asker);
        asker_unref(asker);
        return error;
    }
    *out = asker;
    return 0;
}

void asker_cancel(struct host *host, struct asker *asker, int error, const char *why)
{
    conclude(asker, &(struct message *){ NULL }, error, why);
    lifecycle_stop(&host->system, asker->id, false);
}

/* ---- What came of it ------------------------------------------------------- */

static int explain_failure(const struct message *failure, const char *to, const char *type,
                           char *why, size_t room)
{
    enum failure_reason reason = (enum failure_reason)failure->reason;
    int size = (int)failure->size;
    if (size > 0)
        snprintf(why, room, "%.*s", size, (const char *)failure->payload);
    else if (reason == FAILURE_NO_REPLY)
        snprintf(why, room, "%s gave no answer to %s", to, type);
    else
        snprintf(why, room, "%s cannot answer %s: %s", to, type, failure_reason_name(reason));
    switch (reason) {
    case FAILURE_TIMEOUT:
        return -ETIMEDOUT;
    case FAILURE_REJECTED:
        return -ECONNREFUSED;
    case FAILURE_UNREACHABLE:
        return -EHOSTUNREACH;
    case FAILURE_FULL:
        return -EAGAIN;
    case FAILURE_STOPPING:
        return -ESHUTDOWN;
    default:
        return -ESRCH;
    }
}

static int explain_reject(const struct message *answer, char *why, size_t room)
{
    const uint8_t *at = answer->size > 0 ? pack_field(answer->payload, "reason") : NULL;
    struct pack_item item = { .tag = PACK_NULL };
    if (at != NULL)
        pack_read(at, &item);
    if (item.tag == PACK_STRING)
        snprintf(why, room, "%.*s", (int)item.size, item.text);
    else
        snprintf(why, room, "rejected, without a reason");
    return -ECONNREFUSED;
}

/* Hands out the texts of the answer. */
static int give_answer(struct host *host, const struct message *answer, char **reply_type,
                       char **reply_json, char *why, size_t room)
{
    struct bytes json;
    int error = 0;
    bytes_init(&json, 0);
    *reply_type = *reply_json = NULL;
    if (!host_write_json(host, answer, &json, why, room)) {
        error = -EINVAL;
    } else {
        *reply_type = strdup(type_name(answer->type));
        *reply_json = strdup(bytes_text(&json));
        if (*reply_type == NULL || *reply_json == NULL) {
            free(*reply_type);
            free(*reply_json);
            snprintf(why, room, "out of memory");
            error = -ENOMEM;
        }
    }
    bytes_fini(&json);
    return error;
}

/* Nobody changes the outcome any more. */
int asker_outcome(struct host *host, const struct asker *asker, const char *to, const char *type,
                  char **reply_type, char **reply_json, char *why, size_t room)
{
    if (asker->answer == NULL) {
        snprintf(why, room, "%s", asker->why);
        return asker->error;
    }
    if (asker->answer->kind == MESSAGE_FAILURE)
        return explain_failure(asker->answer, to, type, why, room);
    if (asker->answer->type == TYPE_REJECT)
        return explain_reject(asker->answer, why, room);
    return give_answer(host, asker->answer, reply_type, reply_json, why, room);
}
