/*
 * flat_server.c -- a ROUTER socket, and a ticket for each request that waits.
 *
 * A request's parts: who sent it (the socket's own word), perhaps more in front
 * (a DEALER's number), an empty part, the text. All up to the empty part goes
 * back in front of the answer. The message's sender is "request/ask#N" at our
 * own flat endpoint, where N is the ticket's number: a question, to the actor.
 */
#include "net/flat_server.h"

#include "base/log.h"
#include "base/memory.h"
#include "message/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define BATCH         64    /* requests before the others' turn */
#define RETURN_PARTS  8     /* in front of the text, and */
#define RETURN_BYTES  1024  /* their bytes in all */
#define SENDER_PREFIX "request/ask#"

/* How an answer finds back: parts one after the other. */
struct way_back {
    unsigned count;
    uint16_t sizes[RETURN_PARTS];
    size_t   size;
    uint8_t  bytes[RETURN_BYTES];
};

struct flat_ticket {
    struct flat_ticket *next;
    uint64_t            number;
    uint64_t            born_ns;
    struct bytes        answer; /* of size 0: there is none yet */
    struct way_back     way;
};

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ---- tickets ---- */

static struct flat_ticket *ticket_new(const struct way_back *way, uint64_t now_ns)
{
    struct flat_ticket *ticket = memory_get(sizeof *ticket);
    if (ticket == NULL)
        return NULL;
    ticket->next = NULL;
    ticket->born_ns = now_ns;
    ticket->way = *way;
    bytes_init(&ticket->answer, wire_frame_limit());
    return ticket;
}

static void ticket_free(struct flat_ticket *ticket)
{
    bytes_fini(&ticket->answer);
    memory_put(ticket, sizeof *ticket);
}

/* The number that it gets, or 0: too many wait. */
static uint64_t put_ticket(struct flat_server *server, struct flat_ticket *ticket)
{
    uint64_t number = 0;
    lock_acquire(&server->lock);
    if (server->count < FLAT_SERVED_MAX) {
        number = ticket->number = ++server->numbered;
        if (server->newest != NULL)
            server->newest->next = ticket;
        else
            server->oldest = ticket;
        server->newest = ticket;
        server->count++;
    }
    lock_release(&server->lock);
    return number;
}

static struct flat_ticket *find_locked(struct flat_server *server, uint64_t number)
{
    struct flat_ticket *ticket = server->oldest;
    while (ticket != NULL && ticket->number < number)
        ticket = ticket->next;
    return ticket != NULL && ticket->number == number ? ticket : NULL;
}

/* Takes the first ticket that has its answer out of the list; with `all`, any. */
static struct flat_ticket *take_locked(struct flat_server *server, bool all)
{
    struct flat_ticket *before = NULL, *ticket = server->oldest;
    while (ticket != NULL && !all && ticket->answer.size == 0) {
        before = ticket;
        ticket = ticket->next;
    }
    if (ticket == NULL)
        return NULL;
    if (before != NULL)
        before->next = ticket->next;
    else
        server->oldest = ticket->next;
    if (server->newest == ticket)
        server->newest = before;
    server->count--;
    server->answered -= ticket->answer.size > 0;
    return ticket;
}

/* ---- answers ---- */

/* The ticket's number in the name of a sender; 0: it is none of ours. */
static uint64_t number_of(const struct address *address)
{
    const char *name = address_name(address);
    size_t      prefix = sizeof SENDER_PREFIX - 1;
    return strncmp(name, SENDER_PREFIX, prefix) == 0 ? strtoull(name + prefix, NULL, 10) : 0;
}

bool flat_server_knows(const struct flat_server *server, const struct address *address)
{
    const char *endpoint = address_flat_endpoint(address_endpoint(address));
    return endpoint != NULL && strcmp(endpoint, server->endpoint) == 0 && number_of(address) != 0;
}

/* Gives the ticket its answer, whose bytes it takes. False: it has one, or is gone. */
static bool put_answer(struct flat_server *server, const struct address *to, struct bytes *answer)
{
    lock_acquire(&server->lock);
    struct flat_ticket *ticket = find_locked(server, number_of(to));
    bool taken = ticket != NULL && ticket->answer.size == 0;
    if (taken) {
        struct bytes none = ticket->answer;
        ticket->answer = *answer;
        *answer = none;
        server->answered++;
    }
    lock_release(&server->lock);
    if (taken)
        (void)!write(server->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
    return taken;
}

enum router_answer flat_server_answer(struct flat_server *server, const struct address *to,
                                      struct message **message, char *why, size_t room)
{
    struct json_error  error;
    struct bytes       text;
    enum router_answer answer = ROUTER_REFUSED;

    bytes_init(&text, wire_frame_limit());
    int err = flat_write(type_name((*message)->type), (*message)->payload, (*message)->size, &text,
                         &error);
    if (err == -ENOMEM) {
        snprintf(why, room, "%s is larger than a frame may be (%zu bytes)",
                 type_name((*message)->type), wire_frame_limit());
    } else if (err != 0) {
        snprintf(why, room, "%s", error.reason);
    } else if (!put_answer(server, to, &text)) {
        snprintf(why, room, "this request was answered already, or waited too long");
        answer = ROUTER_UNREACHABLE;
    } else {
        message_free(*message);
        *message = NULL;
        answer = ROUTER_OK;
    }
    bytes_fini(&text);
    return answer;
}

void flat_server_refuse(struct flat_server *server, const struct address *to, const char *reason)
{
    struct bytes text;
    bytes_init(&text, wire_frame_limit());
    if (flat_write_error(reason, &text) == 0)
        put_answer(server, to, &text);
    bytes_fini(&text);
}

bool flat_server_flush(struct flat_server *server, uint64_t deadline_ns)
{
    bool in_time = true;
    lock_acquire(&server->lock);
    while (in_time && server->answered > 0)
        in_time = signal_wait_until(&server->changed, &server->lock, deadline_ns);
    bool done = server->answered == 0;
    lock_release(&server->lock);
    return done;
}

/* ---- sending: the gateway's thread ---- */

/* libzmq drops what is for somebody who has gone. */
static void send_back(struct flat_server *server, const struct way_back *way, const void *text,
                      size_t size)
{
    const uint8_t *at = way->bytes;
    for (unsigned i = 0; i < way->count; at += way->sizes[i++])
        zmq_send(server->router, at, way->sizes[i], ZMQ_DONTWAIT | ZMQ_SNDMORE);
    zmq_send(server->router, text, size, ZMQ_DONTWAIT);
}

static void send_error(struct flat_server *server, const struct way_back *way, const char *reason)
{
    struct bytes text;
    bytes_init(&text, wire_frame_limit());
    if (flat_write_error(reason, &text) == 0)
        send_back(server, way, text.data, text.size);
    bytes_fini(&text);
}

static void send_answers(struct flat_server *server)
{
    for (;;) {
        lock_acquire(&server->lock);
        struct flat_ticket *ticket = server->answered > 0 ? take_locked(server, false) : NULL;
        if (server->answered == 0)
            signal_all(&server->changed);
        lock_release(&server->lock);
        if (ticket == NULL)
            return;
        send_back(server, &ticket->way, ticket->answer.data, ticket->answer.size);
        ticket_free(ticket);
    }
}

/* Tells those who have waited too long, and notes when the next will have. */
static void give_up(struct flat_server *server)
{
    uint64_t now_ns = clock_now(&server->system->clock);
    for (;;) {
        lock_acquire(&server->lock);
        struct flat_ticket *oldest = server->oldest;
        bool due = oldest != NULL && oldest->born_ns + FLAT_ANSWER_NS <= now_ns;
        if (due)
            take_locked(server, true);
        else
            server->due_ns = oldest != NULL ? oldest->born_ns + FLAT_ANSWER_NS : UINT64_MAX;
        lock_release(&server->lock);
        if (!due)
            return;
        char why[ADDRESS_NAME_LIMIT + 64];
        snprintf(why, sizeof why, "%s gave no answer in %llu s", server->actor,
                 (unsigned long long)(FLAT_ANSWER_NS / NS_PER_SEC));
        send_error(server, &oldest->way, why);
        server->busy = true;
        ticket_free(oldest);
    }
}

/* ---- requests: the gateway's thread ---- */

static void bad_request(struct flat_server *server, const char *why)
{
    static struct log_limit limit = LOG_LIMIT(5);
    count(&server->system->counters.frames_bad);
    if (log_allowed(&limit))
        log_warn("gateway: a flat request is refused: %s", why);
}

static void refuse(struct flat_server *server, const struct way_back *way, const char *why)
{
    bad_request(server, why);
    send_error(server, way, why);
}

/* Hands the message to the actor, from a sender who is the ticket. */
static void hand_in(struct flat_server *server, const struct way_back *way, type_id type)
{
    struct flat_ticket *ticket = ticket_new(way, clock_now(&server->system->clock));
    uint64_t            number = ticket != NULL ? put_ticket(server, ticket) : 0;
    if (number == 0) {
        send_error(server, way, ticket != NULL ? "too many requests are waiting" : "no memory");
        if (ticket != NULL)
            ticket_free(ticket);
        return;
    }
    char name[48], endpoint[ADDRESS_ENDPOINT_LIMIT + sizeof ADDRESS_FLAT_PREFIX];
    snprintf(name, sizeof name, SENDER_PREFIX "%llu", (unsigned long long)number);
    snprintf(endpoint, sizeof endpoint, ADDRESS_FLAT_PREFIX "%s", server->endpoint);
    struct address *origin = address_new(name, strlen(name), endpoint, strlen(endpoint));
    struct message *message = message_new(MESSAGE_ORDINARY, type, server->fields.data,
                                          server->fields.size);
    if (origin != NULL && message != NULL) {
        message->origin = origin;
        message->flags |= MESSAGE_TEXT | MESSAGE_REMOTE;
        count(&server->served);
        router_receive(server->system, server->actor, &message);
        message_free(message); /* NULL if it was taken */
        return;
    }
    if (origin != NULL)
        flat_server_refuse(server, origin, "no memory");
    address_unref(origin);
    message_free(message);
}

static void request_in(struct flat_server *server, const struct way_back *way, const char *text,
                       size_t size)
{
    struct json_error error;
    char              type_text[FLAT_TYPE_ROOM], why[FLAT_TYPE_ROOM + 32];

    struct json_limits limits = wire_json_limits();
    int err = flat_read(text, size, &limits, type_text, &server->fields, &error);
    if (err != 0) {
        refuse(server, way, err == -EINVAL ? error.reason : "no memory");
        return;
    }
    if (type_text[0] == '\0') {
        refuse(server, way, "message_type is missing");
        return;
    }
    /* A Reject is never rejected, but must be answered here. */
    type_id type = type_intern_foreign(type_text, strlen(type_text),
                                       router_takes_any(server->system, server->actor));
    if (type == TYPE_NONE || type_is_reserved(type_text, strlen(type_text)) ||
        type_alike(type) == type_alike(TYPE_REJECT)) {
        snprintf(why, sizeof why, "Unknown message type: %s", type_text);
        refuse(server, way, why);
        return;
    }
    hand_in(server, way, type);
}

/* Notes one more part of the way back. False: there is no room. */
static bool note_part(struct way_back *way, zmq_msg_t *part)
{
    size_t size = zmq_msg_size(part);
    if (way->count == RETURN_PARTS || size > RETURN_BYTES - way->size)
        return false;
    memcpy(way->bytes + way->size, zmq_msg_data(part), size);
    way->sizes[way->count++] = (uint16_t)size;
    way->size += size;
    return true;
}

/* What is wrong with the parts, or NULL. */
static const char *check_parts(bool fits, bool bordered, unsigned texts)
{
    if (!fits)
        return "what stands in front of its empty part is too long";
    if (!bordered)
        return "it has no empty part, as what a REQ socket sends has";
    return texts == 1 ? NULL : "one part with the text is expected";
}

/* Reads one request. False: there is none. */
static bool take_request(struct flat_server *server)
{
    struct way_back way = { .count = 0 };
    bool            fits = true, bordered = false, any = false;
    unsigned        texts = 0;
    int             more = 1;
    size_t          more_size = sizeof more;
    zmq_msg_t       part, text;

    zmq_msg_init(&part);
    zmq_msg_init(&text);
    for (; more; any = true) {
        bool is_text = bordered && texts == 0;
        int  size = zmq_msg_recv(is_text ? &text : &part, server->router, ZMQ_DONTWAIT);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            break;
        if (bordered) {
            texts++;
        } else {
            bordered = any && size == 0;
            fits = note_part(&way, &part) && fits;
        }
        zmq_getsockopt(server->router, ZMQ_RCVMORE, &more, &more_size);
    }
    const char *wrong = any ? check_parts(fits, bordered, texts) : NULL;
    if (wrong != NULL && fits && bordered)
        refuse(server, &way, wrong);
    else if (wrong != NULL) /* there is no way back */
        bad_request(server, wrong);
    else if (any)
        request_in(server, &way, zmq_msg_data(&text), zmq_msg_size(&text));
    zmq_msg_close(&part);
    zmq_msg_close(&text);
    return any;
}

void flat_server_told(struct flat_server *server)
{
    for (unsigned i = 0; i < BATCH; i++) {
        if (!take_request(server)) {
            server->busy = false;
            return;
        }
    }
    server->busy = true;
}

static bool has_answers(struct flat_server *server)
{
    lock_acquire(&server->lock);
    bool some = server->answered > 0;
    lock_release(&server->lock);
    return some;
}

bool flat_server_serve(struct flat_server *server)
{
    if (server->router == NULL)
        return false;
    bool answers = has_answers(server);
    if (answers)
        send_answers(server);
    give_up(server);
    /* What is sent may swallow the news of what came in (net/watch.h). */
    if (answers || server->busy)
        flat_server_told(server);
    return server->busy;
}

/* ---- beginning and end ---- */

void flat_server_init(struct flat_server *server, struct system *system, int epoll, int wake)
{
    *server = (struct flat_server){ .system = system, .epoll = epoll, .wake = wake,
                                    .due_ns = UINT64_MAX };
    lock_init(&server->lock);
    signal_init(&server->changed);
    bytes_init(&server->fields, 0);
}

int flat_server_open(struct flat_server *server, struct inlets *inlets, const char *endpoint,
                     const char *actor, char *why, size_t room)
{
    int err = inlets_bind(inlets, ZMQ_ROUTER, endpoint, &server->router, server->endpoint, why,
                          room);
    if (err != 0)
        return err;
    snprintf(server->actor, sizeof server->actor, "%s", actor);
    server->watch = (struct watch){ WATCH_FLAT_SERVER, server };
    server->descriptor = watch_descriptor(server->router);
    server->busy = true; /* look once unasked */
    err = watch_add(server->epoll, server->descriptor, &server->watch);
    if (err == 0)
        return 0;
    snprintf(why, room, "cannot listen on %s: %s", endpoint, strerror(-err));
    zmq_close(server->router);
    server->router = NULL;
    server->endpoint[0] = '\0';
    return err;
}

void flat_server_close(struct flat_server *server, int linger_ms)
{
    if (server->router == NULL)
        return;
    watch_remove(server->epoll, server->descriptor);
    zmq_setsockopt(server->router, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_close(server->router);
    server->router = NULL;
}

void flat_server_fini(struct flat_server *server)
{
    struct flat_ticket *ticket;
    while ((ticket = take_locked(server, true)) != NULL)
        ticket_free(ticket);
    bytes_fini(&server->fields);
    signal_fini(&server->changed);
    lock_fini(&server->lock);
}
