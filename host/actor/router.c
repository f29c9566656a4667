/*
 * router.c -- the one door: an address becomes a mailbox, another host, or the
 * dead letters; and whoever slept is woken.
 */
#include "actor/router.h"

#include "actor/system.h"
#include "actor/tap.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define UNKNOWN_TYPE "Unknown message type: " /* how a Reject says that there is no handler */
#define ASK_MARK "/ask#" /* "ping/ask#17": the name under which wait 17 of ping is answered */

static void drop_all(struct system *system, struct message *dropped)
{
    while (dropped != NULL) {
        struct message *message = dropped;
        dropped = atomic_load_explicit(&message->next, memory_order_relaxed);
        router_refuse(system, &message, FAILURE_FULL, "dropped: the mailbox was full", NULL);
    }
}

static enum router_answer put_when_full(struct system *system, struct actor *target,
                                        struct message **message, unsigned how)
{
    if (mailbox_overflow(&target->box) == OVERFLOW_DROP_NEW) {
        router_refuse(system, message, FAILURE_FULL, "dropped: the mailbox was full", NULL);
        return ROUTER_OK;
    }
    if (!(how & ROUTE_PARK) || mailbox_overflow(&target->box) == OVERFLOW_FAIL)
        return ROUTER_FULL;

    struct message *wake = NULL;
    /* Who asks waits for the answer anyway; a stream hears by its receipt. */
    if ((*message)->kind != MESSAGE_ASK && (*message)->from != 0) {
        wake = message_new(MESSAGE_WAKE, TYPE_NONE, NULL, 0);
        if (wake == NULL)
            return ROUTER_FULL;
        wake->to = (*message)->from;
        wake->request = (*message)->request;
    }
    enum mailbox_answer answer = mailbox_park(&target->box, message, &wake);
    message_free(wake);
    switch (answer) {
    case MAILBOX_PARKED:
        return ROUTER_PARKED;
    case MAILBOX_WOKE:
        scheduler_ready(target);
        return ROUTER_OK;
    case MAILBOX_OK:
        return ROUTER_OK;
    case MAILBOX_CLOSED:
        return ROUTER_DOWN;
    default:
        return ROUTER_FULL;
    }
}

static enum router_answer put(struct system *system, struct message **message, unsigned how)
{
    struct actor *target = registry_find(&system->registry, (*message)->to);
    struct message *dropped;

    if (UNLIKELY(target == NULL))
        return ROUTER_DOWN;
    (*message)->born_ms = atomic_load_explicit(&system->born_ms, memory_order_relaxed);
    switch (mailbox_put(&target->box, message, (how & ROUTE_RESERVED) != 0, &dropped)) {
    case MAILBOX_WOKE:
        scheduler_ready(target);
        break;
    case MAILBOX_FULL:
        return put_when_full(system, target, message, how);
    case MAILBOX_CLOSED:
        return ROUTER_DOWN;
    default:
        break;
    }
    if (UNLIKELY(dropped != NULL))
        drop_all(system, dropped);
    return ROUTER_OK;
}

/* The same, looked at. */
static enum router_answer put_traced(struct system *system, struct message **message, unsigned how)
{
    tap_sent(system, *message);
    enum router_answer answer = put(system, message, how);
    if (*message != NULL && ((*message)->flags & MESSAGE_TRACED))
        tap_refused(*message, TAP_REFUSED, answer == ROUTER_FULL ? "the mailbox is full" : "the actor has ended");
    return answer;
}

enum router_answer router_send(struct system *system, struct message **message, unsigned how)
{
    if (tap_is_on())
        return put_traced(system, message, how);
    return put(system, message, how);
}

static enum router_answer explain(enum router_answer answer, const char *name, char *why,
                                  size_t room)
{
    if (answer == ROUTER_DOWN)
        snprintf(why, room, "%s has ended", name);
    else if (answer == ROUTER_FULL)
        snprintf(why, room, "the mailbox of %s is full", name);
    return answer;
}

/* The name of a living actor, or NULL. */
static const char *sender_name(struct system *system, actor_id id, char *text, size_t room)
{
    struct actor *sender = registry_find(&system->registry, id);
    if (sender == NULL)
        return NULL;
    /* Nearly always who runs on this very thread, so that its name stays. */
    if (LIKELY(worker_self != NULL && sender == atomic_load_explicit(&worker_self->running,
                                                                     memory_order_relaxed)))
        return sender->name;
    return registry_name(&system->registry, id, text, room);
}

/* Whether its node is this very host. */
static bool is_node_here(const struct system *system, const struct address *address)
{
    const char *node = address_node(address_endpoint(address));
    const char *endpoint = node != NULL ? nodes_find(&system->nodes, node) : NULL;
    return endpoint != NULL && *endpoint == '\0';
}

static enum router_answer send_address(struct system *system, const struct address *to,
                                       struct message **message, unsigned how, char *why,
                                       size_t room)
{
    const char *name = address_name(to);

    if (to->endpoint_size == 0 || is_node_here(system, to)) {
        (*message)->to = registry_find_name(&system->registry, name, to->name_size);
        if ((*message)->to == 0) {
            char near[ADDRESS_NAME_LIMIT + 1];
            const char *best = registry_suggest(&system->registry, name, near, sizeof near);
            snprintf(why, room, "no actor is named '%s'%s%s%s", name,
                     best != NULL ? " (did you mean '" : "", best != NULL ? best : "",
                     best != NULL ? "'?)" : "");
            return ROUTER_DOWN;
        }
        return explain(router_send(system, message, how), name, why, room);
    }
    if (system->remote.carry == NULL) {
        snprintf(why, room, "%s is elsewhere, and this host has no way out", name);
        return ROUTER_UNREACHABLE;
    }

    char from[ADDRESS_NAME_LIMIT + 1], one_shot[ADDRESS_NAME_LIMIT + 32];
    const char *sender = sender_name(system, (*message)->from, from, sizeof from);
    if (sender != NULL && (*message)->kind == MESSAGE_ASK) {
        snprintf(one_shot, sizeof one_shot, "%s" ASK_MARK "%llu", sender,
                 (unsigned long long)(*message)->request);
        sender = one_shot;
    }
    if (worker_self != NULL)
        worker_self->sent_away = true;
    return system->remote.carry(system->remote.context, to, sender, message, why, room);
}

bool router_is_here(struct system *system, const struct address *address)
{
    const struct remote_port *remote = &system->remote;
    const char *endpoint = address_endpoint(address), *node = address_node(endpoint);
    if (node != NULL)
        endpoint = nodes_find(&system->nodes, node);
    if (endpoint == NULL || *endpoint == '\0')
        return endpoint != NULL;
    return remote->is_own != NULL && remote->is_own(remote->context, endpoint);
}

/* The same, looked at: before it leaves, for then it is another's. */
static enum router_answer send_address_traced(struct system *system, const struct address *to,
                                              struct message **message, unsigned how, char *why,
                                              size_t room)
{
    char target[ADDRESS_TEXT_ROOM];
    bool elsewhere = to->endpoint_size > 0 && !is_node_here(system, to);
    struct tap_record *record = NULL;
    if (elsewhere) {
        address_text(to, target, sizeof target);
        record = tap_passing(system, *message, target);
    }
    enum router_answer answer = send_address(system, to, message, how, why, room);
    if (!elsewhere && answer == ROUTER_DOWN && (*message)->to == 0)
        record = tap_passing(system, *message, address_name(to));
    tap_passed(record, answer == ROUTER_OK ? TAP_AWAY : TAP_REFUSED, answer == ROUTER_OK ? NULL : why);
    return answer;
}

enum router_answer router_send_address(struct system *system, const struct address *to,
                                       struct message **message, unsigned how, char *why,
                                       size_t room)
{
    if (tap_is_on())
        return send_address_traced(system, to, message, how, why, room);
    return send_address(system, to, message, how, why, room);
}

void router_reply(struct system *system, actor_id asker, uint64_t request,
                  struct message **message, actor_id from)
{
    (*message)->to = asker;
    (*message)->from = from;
    (*message)->request = request;
    waits_end(system, asker, request); /* before it can hear of the answer */
    if (router_send(system, message, ROUTE_RESERVED) != ROUTER_OK) {
        message_free(*message); /* who asked has ended: nobody misses the answer */
        *message = NULL;
    }
}

void router_fail(struct system *system, actor_id asker, uint64_t request,
                 enum failure_reason reason, const char *text)
{
    struct message *failure =
        message_new(MESSAGE_FAILURE, TYPE_NONE, text, text != NULL ? strlen(text) : 0);
    if (failure == NULL)
        return; /* its deadline will tell it */
    failure->reason = (uint8_t)reason;
    router_reply(system, asker, request, &failure, 0);
}

static struct address *origin_of(const struct message *message)
{
    return message->kind == MESSAGE_ORDINARY || message->kind == MESSAGE_ASK ? message->origin
                                                                             : NULL;
}

static bool is_nobodys_business(const struct message *message, enum failure_reason reason)
{
    switch (message->kind) {
    case MESSAGE_ORDINARY:
    case MESSAGE_ASK:
        return false;
    case MESSAGE_ITEM: /* streams go with their actor; but a poisonous item is shown */
        return reason == FAILURE_DOWN;
    case MESSAGE_TIMER:  /* timers go with their actor */
    case MESSAGE_NOTICE: /* and so does what it wanted to know */
    default:
        return true;
    }
}

static enum tap_outcome outcome_of(enum failure_reason reason, const char *text)
{
    if (reason == FAILURE_FAILED)
        return TAP_FAILED;
    bool unhandled = reason == FAILURE_REJECTED && text != NULL &&
                     strncmp(text, UNKNOWN_TYPE, strlen(UNKNOWN_TYPE)) == 0;
    return unhandled ? TAP_UNHANDLED : TAP_DEAD;
}

void router_refuse(struct system *system, struct message **message, enum failure_reason reason,
                   const char *text, const char *reject)
{
    struct message *refused = *message;
    *message = NULL;
    if (UNLIKELY(refused->flags & MESSAGE_TRACED))
        tap_refused(refused, outcome_of(reason, text), text);
    if (is_nobodys_business(refused, reason)) {
        message_free(refused);
        return;
    }

    char target[ADDRESS_NAME_LIMIT + 1], sender[ADDRESS_NAME_LIMIT + 1];
    registry_name(&system->registry, refused->to, target, sizeof target);
    const struct address *origin = origin_of(refused);
    if (refused->kind == MESSAGE_ASK)
        router_fail(system, refused->from, refused->request, reason, text);
    else if (origin != NULL && reject != NULL && system->remote.reject != NULL)
        system->remote.reject(system->remote.context, refused, target, reject);
    if (origin != NULL)
        snprintf(sender, sizeof sender, "%.100s@%.140s", address_name(origin),
                 address_endpoint(origin));
    else if (refused->from != 0)
        registry_name(&system->registry, refused->from, sender, sizeof sender);
    else
        snprintf(sender, sizeof sender, "nobody");
    dead_letters_put(&system->letters, &refused, reason, sender, target, text);
}

/* "ping/ask#17" -> the actor ping and the wait 17. */
static actor_id find_asker(struct system *system, const char *receiver, uint64_t *request)
{
    const char *mark = strstr(receiver, ASK_MARK);
    if (mark == NULL)
        return 0;
    char *end;
    *request = strtoull(mark + strlen(ASK_MARK), &end, 10);
    if (*end != '\0' || *request == 0)
        return 0;
    return registry_find_name(&system->registry, receiver, (size_t)(mark - receiver));
}

static void reject_unknown(struct system *system, const char *receiver, struct message **message,
                           const char *reason)
{
    static struct log_limit limit = LOG_LIMIT(5);
    char sender[ADDRESS_NAME_LIMIT + 1] = "somebody elsewhere";
    if ((*message)->origin != NULL)
        snprintf(sender, sizeof sender, "%.100s@%.140s", address_name((*message)->origin),
                 address_endpoint((*message)->origin));
    atomic_fetch_add_explicit(&system->counters.rejected, 1, memory_order_relaxed);
    if (tap_is_on() && (*message)->to == 0)
        tap_passed(tap_passing(system, *message, receiver), TAP_DEAD, reason);
    if ((*message)->type != TYPE_REJECT && log_allowed(&limit))
        log_warn("router: %s from %s was rejected: %s", type_name((*message)->type), sender, reason);
    if ((*message)->origin != NULL && (*message)->type != TYPE_REJECT &&
        system->remote.reject != NULL)
        system->remote.reject(system->remote.context, *message, receiver, reason);
    dead_letters_put(&system->letters, message, FAILURE_REJECTED, sender, receiver, reason);
}

bool router_is_question(const char *receiver)
{
    return strstr(receiver, ASK_MARK) != NULL;
}

bool router_takes_any(struct system *system, const char *receiver)
{
    uint64_t request;
    if (system->intercept != NULL)
        return true;
    if (router_is_question(receiver))
        return find_asker(system, receiver, &request) != 0;
    actor_id id = registry_find_name(&system->registry, receiver, strlen(receiver));
    const struct actor *actor = registry_find(&system->registry, id);
    return actor != NULL && atomic_load_explicit(&actor->takes_any, memory_order_relaxed);
}

/* Puts it into the mailbox of `to`, whose name is `receiver`. */
static actor_id deliver(struct system *system, actor_id to, const char *receiver,
                        struct message **message)
{
    char reason[ADDRESS_NAME_LIMIT + 64];
    (*message)->to = to;
    switch (router_send(system, message, 0)) {
    case ROUTER_OK:
        return to;
    case ROUTER_FULL:
        if ((*message)->flags & MESSAGE_TRACKED)
            return 0;
        snprintf(reason, sizeof reason, "Mailbox full: %s", receiver);
        break;
    default:
        snprintf(reason, sizeof reason, "Actor '%s' not found", receiver);
        break;
    }
    reject_unknown(system, receiver, message, reason);
    return 0;
}

actor_id router_receive_again(struct system *system, actor_id to, const char *receiver,
                              struct message **message)
{
    /* While it lives nobody else has its name. */
    if (UNLIKELY(to == 0 || registry_find(&system->registry, to) == NULL ||
                 atomic_load_explicit(&system->inlet_closed, memory_order_acquire)))
        return router_receive(system, receiver, message);
    return deliver(system, to, receiver, message);
}

actor_id router_receive(struct system *system, const char *receiver, struct message **message)
{
    char reason[ADDRESS_NAME_LIMIT + 64];
    uint64_t request = 0;

    if (UNLIKELY(system->intercept != NULL) &&
        system->intercept(system->intercept_context, receiver, message))
        return 0;
    if (router_is_question(receiver)) {
        actor_id asker = find_asker(system, receiver, &request);
        if (asker == 0) { /* late, or never asked: counted, no Reject for an answer */
            atomic_fetch_add_explicit(&system->counters.late_answers, 1, memory_order_relaxed);
            message_free(*message);
            *message = NULL;
            return 0;
        }
        (*message)->request = request;
        (*message)->kind = MESSAGE_REPLY;
        (*message)->lane = LANE_CONTROL;
        router_reply(system, asker, request, message, 0);
        return 0;
    }

    actor_id to = atomic_load_explicit(&system->inlet_closed, memory_order_acquire)
                      ? 0
                      : registry_find_name(&system->registry, receiver, strlen(receiver));
    if (to == 0) {
        snprintf(reason, sizeof reason, "Actor '%s' not found", receiver);
        reject_unknown(system, receiver, message, reason);
        return 0;
    }
    const char *type = type_name((*message)->type);
    if (type_is_reserved(type, type_name_size((*message)->type))) {
        snprintf(reason, sizeof reason, UNKNOWN_TYPE "%s", type);
        reject_unknown(system, receiver, message, reason);
        return 0;
    }
    return deliver(system, to, receiver, message);
}
