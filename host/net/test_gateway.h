/*
 * test_gateway.h -- what the tests of gateway.h share: a host with an actor that
 * writes down what it gets, and peers that are raw sockets.
 */
#ifndef TROUPE_NET_TEST_GATEWAY_H
#define TROUPE_NET_TEST_GATEWAY_H

#include "actor/lifecycle.h"
#include "actor/system.h"
#include "actor/watchdog.h"
#include "base/log.h"
#include "base/memory.h"
#include "message/json.h"
#include "message/pack.h"
#include "message/wire.h"
#include "net/gateway.h"
#include "net/inlets.h"
#include "net/resolve.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#define PATIENCE_NS (10 * NS_PER_SEC)

static struct clock the_clock;

static inline uint64_t soon(void) { return clock_now(&the_clock) + PATIENCE_NS; }

/* ---- an actor that writes down what it gets, and answers Ping ---- */

#define NOTES_MAX 20000

struct diary {
    struct lock   lock;
    struct signal written;
    unsigned      count;   /* guarded by lock, as is the rest */
    struct note {
        char     type[40], origin[100], text[200];
        uint8_t  kind;
        uint64_t request;
    } *notes;
};

static inline void diary_init(struct diary *diary)
{
    lock_init(&diary->lock);
    signal_init(&diary->written);
    diary->count = 0;
    diary->notes = calloc(NOTES_MAX, sizeof *diary->notes);
    assert(diary->notes != NULL);
}

static inline void diary_fini(struct diary *diary)
{
    lock_fini(&diary->lock);
    signal_fini(&diary->written);
    free(diary->notes);
}

static inline void diary_note(struct diary *diary, const struct message *message)
{
    struct bytes json;
    struct json_error error;
    bytes_init(&json, 0);
    assert(json_write(message->payload, message->size, JSON_SPACED, NULL, NULL, &json, &error) == 0);

    lock_acquire(&diary->lock);
    assert(diary->count < NOTES_MAX);
    struct note *note = &diary->notes[diary->count++];
    snprintf(note->type, sizeof note->type, "%s", type_name(message->type));
    snprintf(note->text, sizeof note->text, "%s", bytes_text(&json));
    if (message->origin != NULL)
        snprintf(note->origin, sizeof note->origin, "%s@%s", address_name(message->origin),
                 address_endpoint(message->origin));
    note->kind = message->kind;
    note->request = message->request;
    signal_all(&diary->written);
    lock_release(&diary->lock);
    bytes_fini(&json);
}

/* Waits until `count` notes are there and returns the last of them. */
static inline struct note diary_wait(struct diary *diary, unsigned count)
{
    uint64_t deadline = soon();
    lock_acquire(&diary->lock);
    while (diary->count < count)
        assert(signal_wait_until(&diary->written, &diary->lock, deadline));
    struct note note = diary->notes[count - 1];
    lock_release(&diary->lock);
    return note;
}

static inline enum verdict probe_receive(struct actor *actor, struct message *message)
{
    struct diary *diary = actor->state;
    const char   *type = type_name(message->type);

    if (message->kind == MESSAGE_START) {
        message_free(message);
        return VERDICT_DONE;
    }
    if (strcmp(type, "Bogus") == 0) {
        router_refuse(actor->system, &message, FAILURE_REJECTED, "no handler",
                      "Unknown message type: Bogus");
        return VERDICT_DONE;
    }
    diary_note(diary, message);
    if (strcmp(type, "Ping") == 0 && message->origin != NULL) {
        struct message *pong = message_new(MESSAGE_ORDINARY, type_intern("Pong", 4),
                                           message->payload, message->size);
        char why[160];
        pong->from = actor_self(actor);
        if (router_send_address(actor->system, message->origin, &pong, 0, why, sizeof why) !=
            ROUTER_OK)
            message_free(pong);
    }
    message_free(message);
    return VERDICT_DONE;
}

static inline enum verdict probe_go_on(struct actor *actor)
{
    (void)actor;
    return VERDICT_DONE;
}

static inline enum verdict probe_cut(struct actor *actor)
{
    (void)actor;
    return VERDICT_DONE;
}

static inline void probe_end(struct actor *actor) { (void)actor; }
static inline void probe_interrupt(struct actor *actor, enum interrupt what)
{
    (void)actor;
    (void)what;
}

static const struct behaviour probe = {
    .receive = probe_receive,
    .go_on = probe_go_on,
    .cut = probe_cut,
    .shut_down = probe_go_on,
    .end = probe_end,
    .interrupt = probe_interrupt,
};

/* ---- a host with one actor ---- */

struct host {
    struct system   system;
    struct gateway *gateway;
    struct diary    diary;
    actor_id        id;
};

static inline void host_open(struct host *host, const char *name, const struct gateway_options *options)
{
    char why[200] = "";
    diary_init(&host->diary);
    assert(system_open(&host->system, 2, 0, NULL) == 0);
    if (gateway_open(&host->gateway, &host->system, options, why, sizeof why) != 0) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    assert(system_start(&host->system) == 0);
    assert(gateway_start(host->gateway) == 0);
    struct spawn spawn = { .name = name, .stem = name, .behaviour = &probe,
                           .state = &host->diary, .mailbox = { 20000, 64u << 20, OVERFLOW_FAIL } };
    assert(lifecycle_spawn(&host->system, &spawn, &host->id, why, sizeof why) == 0);
    assert(lifecycle_start(&host->system, host->id, NULL, 0) == 0);
}

static inline struct host *host_new(const char *name, const char *bind)
{
    struct host *host = calloc(1, sizeof *host);
    assert(host != NULL);
    struct gateway_options options = GATEWAY_OPTIONS_DEFAULT;
    options.bind = bind;
    host_open(host, name, &options);
    return host;
}

static inline void host_free(struct host *host)
{
    struct shutdown_account account;
    lifecycle_shut_down(&host->system, soon(), &account);
    gateway_stop(host->gateway, soon());
    assert(scheduler_stop(&host->system, soon()));
    watchdog_stop(&host->system);
    gateway_close(host->gateway);
    system_close(&host->system);
    diary_fini(&host->diary);
    free(host);
}

static inline struct message *counted(const char *type, int64_t count)
{
    struct bytes packed;
    bytes_init(&packed, 0);
    size_t at = pack_open(&packed, PACK_MAP);
    pack_put_string(&packed, "count", 5);
    pack_put_integer(&packed, count);
    pack_close(&packed, at, 1);
    struct message *message =
        message_new(MESSAGE_ORDINARY, type_intern(type, strlen(type)), packed.data, packed.size);
    assert(message != NULL);
    bytes_fini(&packed);
    return message;
}

static inline enum router_answer send_message(struct host *host, const char *name, const char *endpoint,
                                       struct message *message, char *why, size_t room)
{
    char            text[400];
    struct address *to;
    snprintf(text, sizeof text, "%s@%s", name, endpoint);
    assert(address_parse(text, strlen(text), &to, why, room) == 0);
    enum router_answer answer =
        router_send_address(&host->system, to, &message, 0, why, room);
    message_free(message);
    address_unref(to);
    return answer;
}

static inline enum router_answer send_from(struct host *host, actor_id from, const char *name,
                                    const char *endpoint, const char *type, int64_t count)
{
    char            why[200] = "";
    struct message *message = counted(type, count);
    message->from = from;
    return send_message(host, name, endpoint, message, why, sizeof why);
}

/* ---- a peer without a host: raw sockets ---- */

static void *zmq;

static inline void *raw_pull(char *endpoint) /* in: what to bind; out: the real one */
{
    size_t size = ADDRESS_ENDPOINT_LIMIT;
    int    patience = (int)(PATIENCE_NS / NS_PER_MS);
    void  *pull = zmq_socket(zmq, ZMQ_PULL);
    zmq_setsockopt(pull, ZMQ_RCVTIMEO, &patience, sizeof patience);
    zmq_setsockopt(pull, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    assert(zmq_bind(pull, endpoint) == 0);
    assert(zmq_getsockopt(pull, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0);
    return pull;
}

static inline void *raw_push(const char *endpoint)
{
    void *push = zmq_socket(zmq, ZMQ_PUSH);
    zmq_setsockopt(push, ZMQ_LINGER, &(int){ 1000 }, sizeof(int));
    assert(zmq_connect(push, endpoint) == 0);
    return push;
}

static inline void raw_send(void *push, const char *text)
{
    assert(zmq_send(push, text, strlen(text), 0) >= 0);
}

static inline void raw_send_part(void *push, const char *text)
{
    assert(zmq_send(push, text, strlen(text), ZMQ_SNDMORE) >= 0);
}

/* The next frame as text; valid until the next call. */
static inline const char *raw_receive(void *pull)
{
    static char text[4096];
    int size = zmq_recv(pull, text, sizeof text - 1, 0);
    assert(size >= 0 && (size_t)size < sizeof text);
    text[size] = '\0';
    return text;
}

/* An endpoint that nobody listens on, nor can, until the descriptor is closed. */
static inline int hold_endpoint(char *endpoint)
{
    struct sockaddr_in here = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof here;
    int       holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(bind(holder, (struct sockaddr *)&here, size) == 0);
    assert(getsockname(holder, (struct sockaddr *)&here, &size) == 0);
    snprintf(endpoint, ADDRESS_ENDPOINT_LIMIT, "tcp://127.0.0.1:%u", ntohs(here.sin_port));
    return holder;
}

#endif
