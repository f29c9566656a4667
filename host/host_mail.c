/*
 * host_mail.c -- sending from texts: addresses, types and JSON become messages.
 */
#include "host_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(int error, char *why, size_t room, const char *text)
{
    snprintf(why, room, "%s", text);
    return error;
}

int host_pack(const char *json, struct bytes *packed, char *why, size_t room)
{
    if (json == NULL)
        return 0;
    struct json_error error;
    int answer = json_read(json, strlen(json), &JSON_LIMITS_DEFAULT, packed, &error);
    if (answer == -ENOMEM)
        return refuse(answer, why, room, "out of memory");
    if (answer != 0) {
        snprintf(why, room, "bad JSON: %s", error.reason);
        return answer;
    }
    if (packed->data[0] != PACK_MAP)
        return refuse(-EINVAL, why, room, "the payload must be a JSON object");
    return 0;
}

static size_t write_actor_text(void *context, uint64_t actor, char *text, size_t room)
{
    struct host *host = context;
    return strlen(registry_name(&host->system.registry, actor, text, room));
}

bool host_write_json(const struct host *host, const struct message *message, struct bytes *json,
                     char *why, size_t room)
{
    struct json_error error = { .reason = "out of memory" };
    if (json_write(message->payload, message->size, JSON_SPACED, write_actor_text,
                   (void *)(uintptr_t)host, json, &error) == 0)
        return true;
    snprintf(why, room, "%s", error.reason);
    return false;
}

int host_compose(enum message_kind kind, const char *to, const char *type, const char *json,
                 struct address **address, struct message **message, char *why, size_t room)
{
    if (type_is_reserved(type, strlen(type))) {
        snprintf(why, room, "%s is a type that only the host itself sends", type);
        return -EINVAL;
    }
    type_id number = type_intern(type, strlen(type));
    if (number == TYPE_NONE) {
        snprintf(why, room, "'%.60s' cannot be a message type", type);
        return -EINVAL;
    }
    int error = address_parse(to, strlen(to), address, why, room);
    if (error != 0)
        return error;

    struct bytes packed;
    bytes_init(&packed, 0);
    error = host_pack(json, &packed, why, room);
    if (error == 0) {
        *message = message_new(kind, number, packed.data, packed.size);
        if (*message == NULL)
            error = refuse(-ENOMEM, why, room, "out of memory");
        else
            (*message)->flags |= MESSAGE_TEXT;
    }
    bytes_fini(&packed);
    if (error != 0)
        address_unref(*address);
    return error;
}

int host_error_of(enum router_answer answer)
{
    switch (answer) {
    case ROUTER_OK:
    case ROUTER_PARKED:
        return 0;
    case ROUTER_FULL:
        return -EAGAIN;
    case ROUTER_DOWN:
        return -ESRCH;
    case ROUTER_UNREACHABLE:
        return -EHOSTUNREACH;
    case ROUTER_REFUSED:
        return -EINVAL;
    }
    UNREACHABLE();
}

int host_send(struct host *host, const char *to, const char *type, const char *json, char *why,
              size_t room)
{
    struct address *address;
    struct message *message;
    int error = host_compose(MESSAGE_ORDINARY, to, type, json, &address, &message, why, room);
    if (error != 0)
        return error;
    message->from = host_sender(host);
    error = host_error_of(router_send_address(&host->system, address, &message, 0, why, room));
    message_free(message);
    address_unref(address);
    return error;
}

int host_flush(struct host *host, const char *to, uint64_t timeout_ms, char *why, size_t room)
{
    struct address *address;
    int error = address_parse(to, strlen(to), &address, why, room);
    if (error != 0)
        return error;
    uint64_t deadline_ns = clock_now(&host->system.clock) + timeout_ms * NS_PER_MS;
    const char *endpoint = host_place(host, address, why, room);
    if (endpoint == NULL)
        error = -EHOSTUNREACH;
    else if (*endpoint != '\0' &&
        (host->gateway == NULL || !gateway_flush(host->gateway, endpoint, deadline_ns))) {
        bool slow = host->gateway != NULL &&
                    gateway_peer_state(host->gateway, endpoint) == PEER_CONNECTED;
        snprintf(why, room, slow ? "%s takes too slowly: messages still wait after %.1f s"
                                 : "nobody answers at %s: no connection in %.1f s",
                 endpoint, (double)timeout_ms / 1000);
        error = slow ? -ETIMEDOUT : -EHOSTUNREACH;
    }
    address_unref(address);
    return error;
}
