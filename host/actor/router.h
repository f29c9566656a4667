/*
 * router.h -- the one door: an address becomes a mailbox, another host, or the
 * dead letters; and whoever slept is woken.
 */
#ifndef TROUPE_ACTOR_ROUTER_H
#define TROUPE_ACTOR_ROUTER_H

#include "actor/actor.h"
#include "base/bytes.h"

enum router_answer {
    ROUTER_OK,
    ROUTER_PARKED,      /* the sender has to wait for room: a WAKE or the answer will come */
    ROUTER_FULL,
    ROUTER_DOWN,        /* nobody there */
    ROUTER_UNREACHABLE, /* elsewhere, and it cannot go out */
    ROUTER_REFUSED,     /* elsewhere, and it has no wire form: `why` says */
};

/* Carries messages to other hosts. Filled by net/ (or by the stage, which
 * keeps what would have left). */
struct remote_port {
    void *context;
    /* Takes *message to `to`. `from_name` is the sender's name for replies
     * (NULL: none; with an ask the one-shot name). OK takes the message; FULL,
     * UNREACHABLE or REFUSED leave it, with a sentence in `why`. Any thread. */
    enum router_answer (*carry)(void *context, const struct address *to, const char *from_name,
                                struct message **message, char *why, size_t room);
    /* Sends on what carry() kept back on this worker to send more at once; called
     * when an activation in which it was called ends. May be NULL. */
    void (*flush)(void *context);
    /* After FULL: sends a MESSAGE_WAKE for its wait `wait` to the actor `waiter`
     * when there is room for messages to `to` again, or no hope of it. False if
     * that is so already. Any thread. May be NULL: there is never room. */
    bool (*await_room)(void *context, const struct address *to, actor_id waiter, uint64_t wait);
    /* Watches `to`: takes *notice (actor/notice.h) and sends it with the reason when
     * that actor has ended, or nothing is known of it any more. False: it cannot,
     * and *notice stays the caller's. Any thread. May be NULL: it never can. */
    bool (*watch)(void *context, const struct address *to, struct message **notice);
    /* No more, unless it was sent already: the watch `number` of `watcher`. */
    void (*unwatch)(void *context, const struct address *to, actor_id watcher, uint64_t number);
    /* Sends a Reject to the origin of `message`, which stays the caller's. */
    void (*reject)(void *context, const struct message *message, const char *rejected_by,
                   const char *reason);
    /* Appends a packed map of what it has counted. Any thread. May be NULL. */
    void (*measure)(void *context, struct bytes *packed);
    /* Our own endpoint as advertised, or "". */
    const char *(*own_endpoint)(void *context);
    /* Whether the endpoint is one under which this host is reached. Any thread. May be
     * NULL: none is. */
    bool (*is_own)(void *context, const char *endpoint);
};

/* How a message may be sent. */
enum {
    ROUTE_RESERVED = 1, /* does not need room: answers, own timers */
    ROUTE_PARK = 2,     /* a full mailbox keeps it until there is room */
};

/* Moves *message into the mailbox of message->to. On OK and PARKED *message is
 * taken; else it stays the caller's. For ROUTE_PARK, message->request is the
 * sender's wait number; an ordinary message's sender is sent a MESSAGE_WAKE
 * with it. An overflow policy may drop a message (into the dead letters): OK. */
enum router_answer router_send(struct system *system, struct message **message, unsigned how);

/* To an actor elsewhere, or by name on this host. `why` (of `room` bytes) gets
 * a sentence if the answer is not OK or PARKED. */
enum router_answer router_send_address(struct system *system, const struct address *to,
                                       struct message **message, unsigned how, char *why,
                                       size_t room);

/* Whether the address leads to this host: it has no endpoint, or one of ours, or is of a
 * node (actor/nodes.h) that is here. */
bool router_is_here(struct system *system, const struct address *address);

/* Answers the question that `asker` waits for in its wait `request`: takes
 * *message (made with MESSAGE_REPLY), ends the edge first. */
void router_reply(struct system *system, actor_id asker, uint64_t request,
                  struct message **message, actor_id from);

/* Tells it that there will be no answer, and why (`text` may be NULL). */
void router_fail(struct system *system, actor_id asker, uint64_t request,
                 enum failure_reason reason, const char *text);

/* A message that will not be handled: its asker is told, a sender elsewhere
 * gets a Reject (with `reject`, if not NULL), and it goes to the dead letters. */
void router_refuse(struct system *system, struct message **message, enum failure_reason reason,
                   const char *text, const char *reject);

/* Whether `receiver`, as a frame names it, has a use for messages of whatever
 * type: so do questions, for their answers, and actors that handle any. */
bool router_takes_any(struct system *system, const char *receiver);

/* Whether `receiver` is the name of a question (above). */
bool router_is_question(const char *receiver);

/* From elsewhere: finds the receiver by name and sends. The message has its
 * origin set. Built-in names and types are refused; a receiver "name/ask#N"
 * is the answer to wait N of actor `name`. All refusals are answered by a
 * Reject to the origin and counted; but a tracked message that finds the
 * mailbox full stays the caller's, who may come again with it. The actor that it
 * was delivered to under its own name, or 0. */
actor_id router_receive(struct system *system, const char *receiver, struct message **message);

/* The same for a message that is like the last in receiver and type, of which
 * router_receive() said `to`, but quicker. */
actor_id router_receive_again(struct system *system, actor_id to, const char *receiver,
                              struct message **message);

#endif
