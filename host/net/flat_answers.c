/*
 * flat_answers.c -- a request's life but for its time in the list: what it says,
 * and to whom its answer goes.
 */
#include "net/flat_client_room.h"

#include "base/log.h"
#include "base/memory.h"
#include "message/pack.h"
#include "message/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

struct flat_request *flat_request_new(const struct message *message, struct address *to,
                                      const struct bytes *text, uint64_t now_ns)
{
    struct flat_request *request = memory_get(sizeof *request + text->size);
    if (request == NULL)
        return NULL;
    *request = (struct flat_request){
        .born_ns = now_ns,
        .from = message->from,
        .request = message->kind == MESSAGE_ASK ? message->request : 0,
        .type = message->type,
        .to = address_ref(to),
        .size = text->size,
    };
    memcpy(request->text, text->data, text->size);
    return request;
}

void flat_request_free(struct flat_request *request)
{
    address_unref(request->to);
    memory_put(request, sizeof *request + request->size);
}

void flat_request_lose(struct flat_clients *clients, struct flat_request *request,
                       const char *why)
{
    struct system  *system = clients->system;
    struct message *message = NULL;
    char            type[FLAT_TYPE_ROOM], target[ADDRESS_NAME_LIMIT + ADDRESS_ENDPOINT_LIMIT + 2];
    char            sender[ADDRESS_NAME_LIMIT + 1];

    count(&clients->lost);
    if (request->request != 0) {
        router_fail(system, request->from, request->request, FAILURE_UNREACHABLE, why);
    } else {
        struct bytes fields;
        bytes_init(&fields, 0);
        if (flat_read(request->text, request->size, &JSON_LIMITS_DEFAULT, type, &fields, NULL) == 0)
            message = message_new(MESSAGE_ORDINARY, request->type, fields.data, fields.size);
        bytes_fini(&fields);
    }
    if (message != NULL) {
        snprintf(target, sizeof target, "%s@%s", address_name(request->to),
                 address_endpoint(request->to));
        dead_letters_put(&system->letters, &message, FAILURE_UNREACHABLE,
                         registry_name(&system->registry, request->from, sender, sizeof sender),
                         target, why);
        message_free(message);
    }
    flat_request_free(request);
}

/* ---- what comes back ---- */

static struct message *answer_message(const struct flat_request *request, type_id type,
                                      const struct bytes *fields)
{
    bool waits = request->request != 0;
    struct message *message = message_new(waits ? MESSAGE_REPLY : MESSAGE_ORDINARY, type,
                                          fields->data, fields->size);
    if (message != NULL) {
        message->origin = address_ref(request->to);
        message->flags |= MESSAGE_TEXT | MESSAGE_REMOTE;
    }
    return message;
}

/* Gives the answer to whoever sent the request. */
static void deliver(struct flat_clients *clients, const struct flat_request *request, type_id type,
                    const struct bytes *fields)
{
    struct system  *system = clients->system;
    struct message *message = answer_message(request, type, fields);
    if (message == NULL)
        return; /* no memory: a deadline will tell */
    if (request->request != 0) {
        router_reply(system, request->from, request->request, &message, 0);
    } else {
        message->to = request->from;
        if (request->from == 0 || router_send(system, &message, 0) != ROUTER_OK)
            count(&system->counters.late_answers); /* nobody misses it */
    }
    message_free(message); /* NULL if it was taken */
}

static void deliver_reject(struct flat_clients *clients, const struct flat_request *request,
                           const char *reason)
{
    struct bytes fields;
    const char  *type = type_name(request->type), *name = address_name(request->to);

    bytes_init(&fields, 0);
    size_t at = pack_open(&fields, PACK_MAP);
    pack_put_string(&fields, "message_type", 12);
    pack_put_string(&fields, type, strlen(type));
    pack_put_string(&fields, "reason", 6);
    pack_put_string(&fields, reason, strlen(reason));
    pack_put_string(&fields, "rejected_by", 11);
    pack_put_string(&fields, name, strlen(name));
    pack_close(&fields, at, 3);
    if (!fields.failed)
        deliver(clients, request, TYPE_REJECT, &fields);
    bytes_fini(&fields);
}

/* Why the text is no answer, or NULL after it was delivered as one. */
static const char *take_answer(struct flat_clients *clients, const struct flat_request *request,
                               const char *text, size_t size, struct json_error *error)
{
    char type_text[FLAT_TYPE_ROOM], reason[512];
    struct json_limits limits = wire_json_limits();
    int  err = flat_read(text, size, &limits, type_text, &clients->fields, error);
    if (err != 0)
        return err == -EINVAL ? error->reason : "no memory";
    if (type_text[0] == '\0') {
        if (!flat_is_error(&clients->fields, reason, sizeof reason))
            return "it has neither message_type nor error";
        deliver_reject(clients, request, reason);
        return NULL;
    }
    type_id type = type_intern_foreign(type_text, strlen(type_text), true);
    if (type == TYPE_NONE || type_is_reserved(type_text, strlen(type_text)))
        return "it has a type that only a host itself sends";
    deliver(clients, request, type, &clients->fields);
    return NULL;
}

void flat_bad_answer(struct flat_client *client, const char *why)
{
    static struct log_limit limit = LOG_LIMIT(5);
    count(&client->clients->system->counters.frames_bad);
    if (log_allowed(&limit))
        log_warn("gateway: flat:%s: an answer is refused: %s", client->endpoint, why);
}

void flat_request_answered(struct flat_client *client, struct flat_request *request,
                           const char *text, size_t size)
{
    struct flat_clients *clients = client->clients;
    struct json_error    error;
    const char          *wrong = take_answer(clients, request, text, size, &error);
    if (wrong != NULL) {
        char why[256];
        flat_bad_answer(client, wrong);
        snprintf(why, sizeof why, "its answer is no flat JSON: %s", wrong);
        if (request->request != 0)
            router_fail(clients->system, request->from, request->request, FAILURE_FAILED, why);
    }
    flat_request_free(request);
}
