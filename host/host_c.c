/*
 * host_c.c -- actors whose behaviour is a C function of the embedding program.
 */
#include "host_internal.h"

#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct c_actor {
    struct host          *host;
    struct host_behaviour behaviour;
    void                 *context;
};

struct host_message {
    struct host          *host;
    actor_id              self;
    const struct message *content;
    bool                  owed; /* a question that has no answer yet */
    bool                  written;
    struct bytes          json; /* once `written` */
};

static _Thread_local struct host_message *in_hand;

const struct host_message *host_in_hand(const struct host *host)
{
    return in_hand != NULL && in_hand->host == host ? in_hand : NULL;
}

actor_id host_sender(const struct host *host)
{
    const struct host_message *message = host_in_hand(host);
    return message != NULL ? message->self : 0;
}

/* ---- The behaviour ----------------------------------------------------- */

static void show(struct actor *actor, const struct message *content)
{
    struct c_actor *c = actor->state;
    struct host_message message = {
        .host = c->host,
        .self = actor_self(actor),
        .content = content,
        .owed = content->kind == MESSAGE_ASK,
    };
    struct host_message *outer = in_hand; /* a stepped host may be stepped by an actor of another */
    bytes_init(&message.json, 0);
    in_hand = &message;
    c->behaviour.receive(c->context, &message);
    in_hand = outer;
    if (message.owed)
        router_fail(actor->system, content->from, content->request, FAILURE_NO_REPLY,
                    NULL);
    bytes_fini(&message.json);
}

static enum verdict c_receive(struct actor *actor, struct message *message)
{
    const struct message *content = message;
    uint64_t missed;
    bool periodic;

    switch ((enum message_kind)message->kind) {
    case MESSAGE_TIMER:
        if (timer_deliver(message, &content, &missed, &periodic))
            show(actor, content);
        break;
    case MESSAGE_ORDINARY:
    case MESSAGE_ASK:
    case MESSAGE_START:
        show(actor, message);
        break;
    default:
        break; /* it asks nobody and waits for nothing */
    }
    message_free(message);
    return VERDICT_DONE;
}

static enum verdict c_never(struct actor *actor)
{
    (void)actor;
    UNREACHABLE(); /* it neither waits nor is preempted */
}

static enum verdict c_shut_down(struct actor *actor)
{
    struct message *shutdown = message_new(MESSAGE_ORDINARY, TYPE_SHUTDOWN, NULL, 0);
    if (shutdown == NULL) {
        log_error("host: an actor ended without its Shutdown: out of memory");
        return VERDICT_DONE;
    }
    show(actor, shutdown);
    message_free(shutdown);
    return VERDICT_DONE;
}

static void c_end(struct actor *actor)
{
    struct c_actor *c = actor->state;
    if (c->behaviour.end != NULL)
        c->behaviour.end(c->context);
    memory_put(c, sizeof *c);
}

static const struct behaviour c_behaviour = {
    .receive = c_receive,
    .go_on = c_never,
    .cut = c_never,
    .shut_down = c_shut_down,
    .end = c_end,
};

int host_spawn_c(struct host *host, const char *name, const struct host_behaviour *behaviour,
                 void *context, host_actor *actor, char *why, size_t room)
{
    struct c_actor *c = memory_get(sizeof *c);
    if (c == NULL) {
        snprintf(why, room, "out of memory");
        return -ENOMEM;
    }
    *c = (struct c_actor){ .host = host, .behaviour = *behaviour, .context = context };
    struct spawn spawn = {
        .name = name,
        .stem = "c",
        .behaviour = &c_behaviour,
        .state = c,
        .mailbox = MAILBOX_OPTIONS_DEFAULT,
        .slice_ns = host->world.defaults.slice_ns,
        .takes_any = true,
    };
    actor_id id;
    int error = lifecycle_spawn(&host->system, &spawn, &id, why, room);
    if (error != 0) {
        memory_put(c, sizeof *c);
        return error;
    }
    error = lifecycle_start(&host->system, id, NULL, 0);
    if (error != 0)
        log_error("host: an actor could not be started: out of memory"); /* and ends by itself */
    if (actor != NULL)
        *actor = id;
    return 0;
}

/* ---- The message in hand ----------------------------------------------- */

const char *host_message_type(const struct host_message *message)
{
    return type_name(message->content->type);
}

const char *host_message_json(const struct host_message *message)
{
    struct host_message *mine = in_hand;
    char why[HOST_WHY];
    assert(mine == message);
    if (!mine->written &&
        !host_write_json(mine->host, mine->content, &mine->json, why, sizeof why)) {
        log_warn("host: a message %s has no JSON form: %s", host_message_type(message), why);
        return NULL;
    }
    mine->written = true;
    return bytes_text(&mine->json);
}

bool host_message_asked(const struct host_message *message)
{
    return message->content->kind == MESSAGE_ASK;
}

host_actor host_message_self(const struct host_message *message)
{
    return message->self;
}

host_actor host_message_from(const struct host_message *message)
{
    return message->content->from;
}

/* The sender as an address for router_send_address(), or NULL. */
static struct address *origin_of(const struct message *content)
{
    bool may_have = content->kind == MESSAGE_ORDINARY || content->kind == MESSAGE_ASK;
    return may_have ? content->origin : NULL;
}

static int send_back(const struct host_message *message, struct message **answer, char *why,
                     size_t room)
{
    struct system *system = &message->host->system;
    const struct message *content = message->content;
    struct address *origin = origin_of(content);

    (*answer)->from = message->self;
    if (origin != NULL)
        return host_error_of(router_send_address(system, origin, answer, 0, why, room));
    if (content->from == 0) {
        snprintf(why, room, "the message has no sender");
        return -ESRCH;
    }
    (*answer)->to = content->from;
    int error = host_error_of(router_send(system, answer, 0));
    if (error != 0)
        snprintf(why, room, "%s", error == -EAGAIN ? "the mailbox of the sender is full"
                                                   : "the sender has ended");
    return error;
}

int host_reply(const struct host_message *message, const char *type, const char *json, char *why,
               size_t room)
{
    struct host_message *mine = in_hand;
    const struct message *content = message->content;
    struct address *nowhere;
    struct message *answer;
    assert(mine == message);
    if (content->kind == MESSAGE_ASK && !mine->owed) {
        snprintf(why, room, "the question has been answered already");
        return -EALREADY;
    }
    int error = host_compose(content->kind == MESSAGE_ASK ? MESSAGE_REPLY : MESSAGE_ORDINARY,
                             "sender", type, json, &nowhere, &answer, why, room);
    if (error != 0)
        return error;
    address_unref(nowhere);
    if (content->kind == MESSAGE_ASK) {
        mine->owed = false;
        router_reply(&message->host->system, content->from, content->request, &answer,
                     message->self);
    } else {
        error = send_back(message, &answer, why, room);
    }
    message_free(answer);
    return error;
}
