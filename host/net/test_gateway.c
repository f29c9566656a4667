/* test_gateway.c -- the promises of gateway.h: hosts and raw sockets, on loopback. */
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

static uint64_t soon(void) { return clock_now(&the_clock) + PATIENCE_NS; }

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

static void diary_init(struct diary *diary)
{
    lock_init(&diary->lock);
    signal_init(&diary->written);
    diary->count = 0;
    diary->notes = calloc(NOTES_MAX, sizeof *diary->notes);
    assert(diary->notes != NULL);
}

static void diary_fini(struct diary *diary)
{
    lock_fini(&diary->lock);
    signal_fini(&diary->written);
    free(diary->notes);
}

static void diary_note(struct diary *diary, const struct message *message)
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
static struct note diary_wait(struct diary *diary, unsigned count)
{
    uint64_t deadline = soon();
    lock_acquire(&diary->lock);
    while (diary->count < count)
        assert(signal_wait_until(&diary->written, &diary->lock, deadline));
    struct note note = diary->notes[count - 1];
    lock_release(&diary->lock);
    return note;
}

static enum verdict probe_receive(struct actor *actor, struct message *message)
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

static enum verdict probe_go_on(struct actor *actor)
{
    (void)actor;
    return VERDICT_DONE;
}

static enum verdict probe_cut(struct actor *actor)
{
    (void)actor;
    return VERDICT_DONE;
}

static void probe_end(struct actor *actor) { (void)actor; }
static void probe_interrupt(struct actor *actor, enum interrupt what)
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

static void host_open(struct host *host, const char *name, const struct gateway_options *options)
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

static struct host *host_new(const char *name, const char *bind)
{
    struct host *host = calloc(1, sizeof *host);
    assert(host != NULL);
    struct gateway_options options = GATEWAY_OPTIONS_DEFAULT;
    options.bind = bind;
    host_open(host, name, &options);
    return host;
}

static void host_free(struct host *host)
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

static struct message *counted(const char *type, int64_t count)
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

static enum router_answer send_message(struct host *host, const char *name, const char *endpoint,
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

static enum router_answer send_from(struct host *host, actor_id from, const char *name,
                                    const char *endpoint, const char *type, int64_t count)
{
    char            why[200] = "";
    struct message *message = counted(type, count);
    message->from = from;
    return send_message(host, name, endpoint, message, why, sizeof why);
}

/* ---- a peer without a host: raw sockets ---- */

static void *zmq;

static void *raw_pull(char *endpoint) /* in: what to bind; out: the real one */
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

static void *raw_push(const char *endpoint)
{
    void *push = zmq_socket(zmq, ZMQ_PUSH);
    zmq_setsockopt(push, ZMQ_LINGER, &(int){ 1000 }, sizeof(int));
    assert(zmq_connect(push, endpoint) == 0);
    return push;
}

static void raw_send(void *push, const char *text)
{
    assert(zmq_send(push, text, strlen(text), 0) >= 0);
}

static void raw_send_part(void *push, const char *text)
{
    assert(zmq_send(push, text, strlen(text), ZMQ_SNDMORE) >= 0);
}

/* The next frame as text; valid until the next call. */
static const char *raw_receive(void *pull)
{
    static char text[4096];
    int size = zmq_recv(pull, text, sizeof text - 1, 0);
    assert(size >= 0 && (size_t)size < sizeof text);
    text[size] = '\0';
    return text;
}

/* An endpoint that nobody listens on, nor can, until the descriptor is closed. */
static int hold_endpoint(char *endpoint)
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

/* ---- the promises ---- */

/* A port that is free is found and advertised; one in use is refused by name;
 * so is what is not loopback. */
static void test_binding(void)
{
    struct host *host = host_new("pong", ":0");
    const char  *endpoint = gateway_endpoint(host->gateway);
    assert(strncmp(endpoint, "tcp://127.0.0.1:", 16) == 0 && strcmp(endpoint + 16, "0") != 0);
    assert(strcmp(host->system.remote.own_endpoint(host->gateway), endpoint) == 0);

    char                   why[200];
    struct system          other;
    struct gateway        *gateway;
    struct gateway_options options = GATEWAY_OPTIONS_DEFAULT;
    assert(system_open(&other, 1, 0, NULL) == 0);
    options.bind = endpoint;
    assert(gateway_open(&gateway, &other, &options, why, sizeof why) == -EADDRINUSE);
    assert(strstr(why, endpoint) != NULL);
    assert(other.remote.carry == NULL);
    options.bind = "tcp://*:0";
    assert(gateway_open(&gateway, &other, &options, why, sizeof why) == -EINVAL);
    assert(strstr(why, "tcp://*:0") != NULL);
    options.bind = "tcp://localhost";
    assert(gateway_open(&gateway, &other, &options, why, sizeof why) == -EINVAL);

    options.bind = ":0";
    options.advertise = "tcp://10.0.0.5:5001";
    assert(gateway_open(&gateway, &other, &options, why, sizeof why) == 0);
    assert(strcmp(gateway_endpoint(gateway), "tcp://10.0.0.5:5001") == 0);
    gateway_close(gateway);
    system_close(&other);
    host_free(host);
}

/* Two hosts: a send, and the reply to its sender. */
static void test_send_and_reply(void)
{
    struct host *ping = host_new("ping", ":0"), *pong = host_new("pong", ":0");
    const char  *there = gateway_endpoint(pong->gateway), *here = gateway_endpoint(ping->gateway);
    char         origin[400];

    assert(gateway_peer_state(ping->gateway, there) == PEER_NONE);
    for (unsigned i = 1; i <= 100; i++) {
        assert(send_from(ping, ping->id, "pong", there, "Ping", i) == ROUTER_OK);
        struct note got = diary_wait(&pong->diary, i);
        snprintf(origin, sizeof origin, "ping@%s", here);
        assert(strcmp(got.type, "Ping") == 0 && strcmp(got.origin, origin) == 0);
        struct note answer = diary_wait(&ping->diary, i);
        char        text[40];
        snprintf(text, sizeof text, "{\"count\": %u}", i);
        snprintf(origin, sizeof origin, "pong@%s", there);
        assert(strcmp(answer.type, "Pong") == 0 && strcmp(answer.text, text) == 0 &&
               strcmp(answer.origin, origin) == 0);
    }
    assert(gateway_peer_state(ping->gateway, there) == PEER_CONNECTED);
    assert(gateway_flush(ping->gateway, there, soon()));
    host_free(ping);
    host_free(pong);
}

/* A frame of ours is what Python writes. A sender without a name is null. */
static void test_frame_bytes(void)
{
    struct host *host = host_new("ping", ":0");
    char         peer[ADDRESS_ENDPOINT_LIMIT] = "tcp://127.0.0.1:*", expected[400];
    void        *pull = raw_pull(peer);

    assert(send_from(host, host->id, "pong", peer, "Ping", 1) == ROUTER_OK);
    snprintf(expected, sizeof expected,
             "{\"sender_actor\": \"ping\", \"sender_endpoint\": \"%s\", \"receiver\": \"pong\", "
             "\"message_type\": \"Ping\", \"message\": {\"count\": 1}}",
             gateway_endpoint(host->gateway));
    assert(strcmp(raw_receive(pull), expected) == 0);

    assert(send_from(host, 0, "pong", peer, "Ping", 1) == ROUTER_OK);
    assert(strcmp(raw_receive(pull),
                  "{\"sender_actor\": null, \"sender_endpoint\": null, \"receiver\": \"pong\", "
                  "\"message_type\": \"Ping\", \"message\": {\"count\": 1}}") == 0);

    /* A reference in a payload is an address that leads back here. */
    struct bytes packed;
    bytes_init(&packed, 0);
    size_t at = pack_open(&packed, PACK_MAP);
    pack_put_string(&packed, "who", 3);
    pack_put_actor(&packed, host->id);
    pack_close(&packed, at, 1);
    char            why[200];
    struct message *message =
        message_new(MESSAGE_ORDINARY, type_intern("Meet", 4), packed.data, packed.size);
    bytes_fini(&packed);
    assert(send_message(host, "pong", peer, message, why, sizeof why) == ROUTER_OK);
    snprintf(expected, sizeof expected, "\"message\": {\"who\": \"ping@%s\"}}",
             gateway_endpoint(host->gateway));
    assert(strstr(raw_receive(pull), expected) != NULL);

    zmq_close(pull);
    host_free(host);
}

/* What has no form on the wire is refused, naming the field; so is what is too large. */
static void test_refused_at_the_send(void)
{
    struct host *host = host_new("ping", NULL);
    char         peer[ADDRESS_ENDPOINT_LIMIT] = "tcp://127.0.0.1:*", why[200] = "";
    void        *pull = raw_pull(peer);
    struct bytes packed;

    bytes_init(&packed, 0);
    size_t at = pack_open(&packed, PACK_MAP);
    pack_put_string(&packed, "price", 5);
    pack_put_double(&packed, (double)__builtin_nanf(""));
    pack_close(&packed, at, 1);
    struct message *message =
        message_new(MESSAGE_ORDINARY, type_intern("Tick", 4), packed.data, packed.size);
    assert(send_message(host, "pong", peer, message, why, sizeof why) == ROUTER_REFUSED);
    assert(strstr(why, "price") != NULL);

    bytes_clear(&packed, 0);
    char *large = malloc(WIRE_FRAME_LIMIT);
    assert(large != NULL);
    memset(large, 'x', WIRE_FRAME_LIMIT);
    at = pack_open(&packed, PACK_MAP);
    pack_put_string(&packed, "text", 4);
    pack_put_string(&packed, large, WIRE_FRAME_LIMIT);
    pack_close(&packed, at, 1);
    free(large);
    message = message_new(MESSAGE_ORDINARY, type_intern("Tick", 4), packed.data, packed.size);
    bytes_fini(&packed);
    assert(send_message(host, "pong", peer, message, why, sizeof why) == ROUTER_REFUSED);
    assert(strstr(why, "1048576") != NULL);

    assert(send_from(host, 0, "pong", "nowhere", "Ping", 1) == ROUTER_UNREACHABLE);
    assert(send_from(host, 0, "pong", "tcp://no-such-host.invalid:5001", "Ping", 1) ==
           ROUTER_UNREACHABLE);
    zmq_close(pull);
    host_free(host);
}

/* A host that is not bound gets an endpoint of its own when it needs an answer;
 * a question goes out under a one-shot name and its answer finds the wait. */
static void test_ask_without_bind(void)
{
    struct host *ping = host_new("ping", NULL), *pong = host_new("pong", ":0");
    const char  *there = gateway_endpoint(pong->gateway);
    char         why[200];

    assert(strcmp(gateway_endpoint(ping->gateway), "") == 0);
    struct message *question = counted("Ping", 7);
    question->kind = MESSAGE_ASK;
    question->from = ping->id;
    question->request = 17;
    assert(send_message(ping, "pong", there, question, why, sizeof why) == ROUTER_OK);
    assert(strncmp(diary_wait(&pong->diary, 1).origin, "ping/ask#17@tcp://127.0.0.1:", 28) == 0);
    struct note answer = diary_wait(&ping->diary, 1);
    assert(answer.kind == MESSAGE_REPLY && answer.request == 17);
    assert(strcmp(answer.text, "{\"count\": 7}") == 0);
    host_free(ping);
    host_free(pong);
}

/* Unknown receivers and types are answered by a Reject, with a null sender. */
static void test_rejects(void)
{
    struct host *ping = host_new("ping", ":0"), *pong = host_new("pong", ":0");
    const char  *there = gateway_endpoint(pong->gateway);

    assert(send_from(ping, ping->id, "nobody", there, "Ping", 1) == ROUTER_OK);
    struct note got = diary_wait(&ping->diary, 1);
    assert(strcmp(got.type, "Reject") == 0 && got.origin[0] == '\0');
    assert(strcmp(got.text, "{\"message_type\": \"Ping\", \"reason\": \"Actor 'nobody' not found\", "
                            "\"rejected_by\": \"nobody\"}") == 0);

    assert(send_from(ping, ping->id, "pong", there, "Bogus", 1) == ROUTER_OK);
    got = diary_wait(&ping->diary, 2);
    assert(strcmp(got.text, "{\"message_type\": \"Bogus\", \"reason\": \"Unknown message type: "
                            "Bogus\", \"rejected_by\": \"pong\"}") == 0);

    /* Built-in types cannot be sent from outside. */
    assert(send_from(ping, ping->id, "pong", there, "shut_down", 1) == ROUTER_OK);
    assert(strstr(diary_wait(&ping->diary, 3).text, "Unknown message type: shut_down") != NULL);

    /* A frame without a type is one of unknown type. */
    void *push = raw_push(there);
    char  frame[400];
    snprintf(frame, sizeof frame,
             "{\"sender_actor\":\"ping\",\"sender_endpoint\":\"%s\",\"receiver\":\"pong\"}",
             gateway_endpoint(ping->gateway));
    raw_send(push, frame);
    assert(strstr(diary_wait(&ping->diary, 4).text, "\"reason\": \"Unknown message type: \"") != NULL);

    /* A Reject to nobody is not rejected. */
    snprintf(frame, sizeof frame,
             "{\"sender_actor\":\"ping\",\"sender_endpoint\":\"%s\",\"receiver\":\"nobody\","
             "\"message_type\":\"Reject\"}", gateway_endpoint(ping->gateway));
    raw_send(push, frame);
    assert(send_from(ping, ping->id, "pong", there, "Ping", 1) == ROUTER_OK);
    assert(strcmp(diary_wait(&ping->diary, 5).type, "Pong") == 0);
    zmq_close(push);
    host_free(ping);
    host_free(pong);
}

/* Rejects to one address are at most so many a second. */
static void test_reject_rate(void)
{
    struct host *host = host_new("pong", ":0");
    char         peer[ADDRESS_ENDPOINT_LIMIT] = "tcp://127.0.0.1:*", frame[400];
    void        *pull = raw_pull(peer), *push = raw_push(gateway_endpoint(host->gateway));

    snprintf(frame, sizeof frame,
             "{\"sender_actor\":\"x\",\"sender_endpoint\":\"%s\",\"receiver\":\"nobody\","
             "\"message_type\":\"T\"}", peer);
    for (unsigned i = 0; i < 1000; i++)
        raw_send(push, frame);
    raw_send(push, "{\"receiver\":\"pong\",\"message_type\":\"Done\"}");
    diary_wait(&host->diary, 1);
    struct gateway_counts counts = gateway_counts(host->gateway);
    assert(counts.frames_in == 1001 && counts.frames_out + counts.rejects_held == 1000);
    assert(counts.frames_out >= PEER_REJECTS_A_SECOND);
    assert(counts.frames_out <= 900); /* nine seconds would be needed */
    for (unsigned i = 0; i < PEER_REJECTS_A_SECOND; i++)
        raw_receive(pull);
    zmq_close(push);
    zmq_close(pull);
    host_free(host);
}

/* Rejects to whoever is invented make few connections, and who exists is served. */
static void test_reject_to_invented(void)
{
    struct host *host = host_new("pong", ":0"), *ping = host_new("ping", ":0");
    void        *push = raw_push(gateway_endpoint(host->gateway));
    char         frame[400];

    for (unsigned i = 0; i < 2000; i++) {
        snprintf(frame, sizeof frame,
                 "{\"sender_actor\":\"x\",\"sender_endpoint\":\"tcp://127.0.%u.%u:6\","
                 "\"receiver\":\"nobody\",\"message_type\":\"T\"}", 1 + i / 200, 1 + i % 200);
        raw_send(push, frame);
    }
    raw_send(push, "{\"receiver\":\"pong\",\"message_type\":\"Done\"}");
    diary_wait(&host->diary, 1);
    struct gateway_counts counts = gateway_counts(host->gateway);
    assert(counts.frames_out + counts.rejects_held == 2000);
    assert(counts.frames_out > 0);
    assert(counts.frames_out <= 10 * PEERS_ANSWERED_A_SECOND); /* or it took ten seconds */
    assert(send_from(ping, ping->id, "pong", gateway_endpoint(host->gateway), "Ping", 1) ==
           ROUTER_OK);
    assert(strcmp(diary_wait(&ping->diary, 1).type, "Pong") == 0);
    zmq_close(push);
    host_free(ping);
    host_free(host);
}

static void be_quiet(void *context, enum log_level level, const char *line)
{
    (void)level;
    assert(strchr(line, '\n') == NULL);
    atomic_fetch_add((_Atomic unsigned *)context, 1);
}

/* Malformed frames are counted, logged at a bounded rate, and hurt nothing;
 * every part of a multipart message is a message. */
static void test_malformed(void)
{
    static const char *const bad[] = {
        "", "x", "[]", "5", "null", "{", "{\"receiver\":", "\xff\xfe", "{}{}", "GET / HTTP/1.0\r\n\r\n",
        "{\"receiver\":\"pong\",\"receiver\":\"pong\",\"message_type\":\"T\"}",
        "{\"receiver\":\"pong\",\"message_type\":\"T\",\"message\":5}",
        "{\"receiver\":\"pong\",\"message_type\":\"T\",\"message\":{\"n\":NaN}}",
    };
    _Atomic unsigned lines = 0;
    struct host     *host = host_new("pong", ":0");
    void            *push = raw_push(gateway_endpoint(host->gateway));
    log_set_sink(be_quiet, &lines);

    for (unsigned i = 0; i < 100; i++)
        for (size_t j = 0; j < ARRAY_LENGTH(bad); j++)
            raw_send(push, bad[j]);
    raw_send_part(push, "{\"receiver\":\"pong\",\"message_type\":\"One\"}");
    raw_send_part(push, "{");
    raw_send(push, "{\"receiver\":\"pong\",\"message_type\":\"Two\"}");
    assert(strcmp(diary_wait(&host->diary, 1).type, "One") == 0);
    assert(strcmp(diary_wait(&host->diary, 2).type, "Two") == 0);
    assert(atomic_load(&host->system.counters.frames_bad) == 100 * ARRAY_LENGTH(bad) + 1);
    assert(atomic_load(&lines) > 0 && atomic_load(&lines) < 100);
    log_set_sink(NULL, NULL);
    zmq_close(push);
    host_free(host);
}

/* A sender whose endpoint is not a numeric address elsewhere counts as unknown. */
static void test_senders(void)
{
    struct host *host = host_new("pong", ":0");
    void        *push = raw_push(gateway_endpoint(host->gateway));
    const char  *const bad[] = { "garbage", "tcp://*:1", "tcp://example.org:5001", "ipc:///tmp/x",
                                 "tcp://127.0.0.1:0", "tcp://127.0.0.1:99999", "inproc://x",
                                 gateway_endpoint(host->gateway) };
    char         frame[400];
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        snprintf(frame, sizeof frame,
                 "{\"sender_actor\":\"x\",\"sender_endpoint\":\"%s\",\"receiver\":\"pong\","
                 "\"message_type\":\"Ping\"}", bad[i]);
        raw_send(push, frame);
        assert(diary_wait(&host->diary, (unsigned)i + 1).origin[0] == '\0');
    }
    assert(gateway_counts(host->gateway).senders_refused == ARRAY_LENGTH(bad));
    /* One spelling. */
    raw_send(push, "{\"sender_actor\":\"x\",\"sender_endpoint\":\"tcp://localhost:9\","
                   "\"receiver\":\"pong\",\"message_type\":\"T\"}");
    assert(strcmp(diary_wait(&host->diary, ARRAY_LENGTH(bad) + 1).origin, "x@tcp://127.0.0.1:9") == 0);
    /* A reference that spells out our own endpoint stays at home. */
    assert(send_from(host, host->id, "pong", gateway_endpoint(host->gateway), "T", 3) == ROUTER_OK);
    assert(strcmp(diary_wait(&host->diary, ARRAY_LENGTH(bad) + 2).text, "{\"count\": 3}") == 0);
    zmq_close(push);
    host_free(host);
}

/* A frame that begins as the last one is no copy of the last but one: that one
 * may have gone to another, and the one between to nobody. */
static void test_begins_like_what_was_dropped(void)
{
    struct host *host = host_new("pong", ":0");
    struct diary other;
    char         why[200];
    actor_id     id;
    diary_init(&other);
    struct spawn spawn = { .name = "other", .stem = "other", .behaviour = &probe, .state = &other,
                           .mailbox = { 100, 1u << 20, OVERFLOW_FAIL } };
    assert(lifecycle_spawn(&host->system, &spawn, &id, why, sizeof why) == 0);
    assert(lifecycle_start(&host->system, id, NULL, 0) == 0);

    void *push = raw_push(gateway_endpoint(host->gateway));
    for (int i = 0; i < 2; i++) {
        const char *nobody = "{\"sender_actor\":null,\"sender_endpoint\":null,";
        char        frame[400];
        snprintf(frame, sizeof frame,
                 "%s\"receiver\":\"pong\",\"message_type\":\"One\",\"message\":{}}", nobody);
        raw_send(push, frame);
        snprintf(frame, sizeof frame,
                 "%s\"receiver\":\"other\",\"message_type\":\"Two\",\"message\":{},"
                 "\"rel\":{\"i\":\"00000000000000aa\",\"s\":1}}", nobody);
        raw_send(push, frame); /* of a stream that nobody knows */
        snprintf(frame, sizeof frame,
                 "%s\"receiver\":\"other\",\"message_type\":\"Two\",\"message\":{\"n\":1}}",
                 nobody);
        raw_send(push, frame);
    }
    assert(strcmp(diary_wait(&other, 1).type, "Two") == 0);
    assert(strcmp(diary_wait(&other, 2).text, "{\"n\": 1}") == 0);
    assert(strcmp(diary_wait(&host->diary, 2).type, "One") == 0);
    assert(host->diary.count == 2 && other.count == 2);
    zmq_close(push);
    host_free(host);
    diary_fini(&other);
}

/* Bytes from somebody who does not shake hands as ZeroMQ 3 does are no frames. */
static void test_no_handshake(void)
{
    struct host *host = host_new("pong", ":0");
    const char  *const hellos[] = { "\x01", "GET / HTTP/1.0\r\n\r\n", "\x29" };
    const char   frame[] = "{\"receiver\":\"pong\",\"message_type\":\"T\"}";
    unsigned     port;
    assert(sscanf(gateway_endpoint(host->gateway), "tcp://127.0.0.1:%u", &port) == 1);

    for (size_t i = 0; i < ARRAY_LENGTH(hellos); i++) {
        struct sockaddr_in there = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int  tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char bytes[100] = "", *at = bytes + strlen(hellos[i]) + 1;
        memcpy(bytes, hellos[i], strlen(hellos[i])); /* an identity of no bytes, or nonsense */
        *at++ = (char)sizeof frame;                  /* with its flags, without its NUL */
        *at++ = 0;
        memcpy(at, frame, sizeof frame - 1);
        assert(connect(tcp, (struct sockaddr *)&there, sizeof there) == 0);
        assert(send(tcp, bytes, (size_t)(at - bytes) + sizeof frame - 1, MSG_NOSIGNAL) > 0);
        while (recv(tcp, bytes, sizeof bytes, 0) > 0)
            ;
        close(tcp); /* it has hung up */
    }
    void *push = raw_push(gateway_endpoint(host->gateway));
    raw_send(push, frame);
    diary_wait(&host->diary, 1);
    assert(gateway_counts(host->gateway).frames_in == 1);
    zmq_close(push);
    host_free(host);
}

/* Who is asked on another machine is told the address that leads back from
 * there, whatever we listen on for this one. (Played on an address of ours.) */
static void test_beyond_loopback(void)
{
    char local[ADDRESS_ENDPOINT_LIMIT], peer[ADDRESS_ENDPOINT_LIMIT];
    if (resolve_local_host("tcp://203.0.113.1:9", local) != 0 || strncmp(local, "127.", 4) == 0)
        return; /* this machine has no other */
    snprintf(peer, sizeof peer, "tcp://%.200s:*", local);
    void        *pull = raw_pull(peer);
    struct host *host = host_new("ping", ":0");

    assert(send_from(host, host->id, "pong", peer, "Ping", 1) == ROUTER_OK);
    const char *frame = raw_receive(pull), *key = "\"sender_endpoint\": \"";
    const char *start = strstr(frame, key) + strlen(key);
    char        back[ADDRESS_ENDPOINT_LIMIT], expected[ADDRESS_ENDPOINT_LIMIT + 8];
    snprintf(back, sizeof back, "%.*s", (int)(strchr(start, '"') - start), start);
    size_t size = (size_t)snprintf(expected, sizeof expected, "tcp://%s:", local);
    assert(strncmp(back, expected, size) == 0);
    assert(strcmp(gateway_endpoint(host->gateway), back) != 0);

    void *push = raw_push(back);
    raw_send(push, "{\"receiver\":\"ping\",\"message_type\":\"Pong\"}");
    assert(strcmp(diary_wait(&host->diary, 1).type, "Pong") == 0);
    zmq_close(push);
    zmq_close(pull);
    host_free(host);
}

static bool nobody_may(void *context, const char *host, const char *key)
{
    assert(strcmp(host, "127.0.0.1") == 0 && strcmp(key, "") == 0);
    ++*(unsigned *)context;
    return false;
}

/* Who may not connect is asked after, and not heard. */
static void test_admission(void)
{
    struct inlets       inlets;
    struct inlet       *inlet;
    char                why[200], frame[100];
    unsigned            asked = 0;
    void               *context = zmq_ctx_new();
    int                 epoll = epoll_create1(EPOLL_CLOEXEC);
    assert(inlets_init(&inlets, context, epoll, NULL, nobody_may, &asked) == 0);
    assert(inlets_add(&inlets, "tcp://127.0.0.1:0", &inlet, why, sizeof why) == 0);

    void *push = raw_push(inlet->endpoint);
    zmq_setsockopt(push, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    raw_send(push, "{}");
    while (asked == 0) {
        struct epoll_event event;
        assert(epoll_wait(epoll, &event, 1, (int)(PATIENCE_NS / NS_PER_MS)) == 1);
        struct watch *watch = event.data.ptr;
        if (watch->kind == WATCH_DOOR)
            admission_told(watch->owner);
        else if (watch->kind == WATCH_INFLOW)
            inflow_told(watch->owner);
        else
            assert(zmq_recv(inlet->pull, frame, sizeof frame, ZMQ_DONTWAIT) < 0);
    }
    assert(zmq_recv(inlet->pull, frame, sizeof frame, ZMQ_DONTWAIT) < 0 && errno == EAGAIN);
    zmq_close(push);
    inlets_close(&inlets);
    inlets_fini(&inlets);
    zmq_ctx_term(context);
    close(epoll);
}

/* What is sent before its peer is there waits, and arrives in order when it comes. */
static void test_queue_before_the_peer(void)
{
    struct host *ping = host_new("ping", NULL);
    char         there[ADDRESS_ENDPOINT_LIMIT];
    int          holder = hold_endpoint(there);

    for (unsigned i = 1; i <= 500; i++)
        assert(send_from(ping, 0, "pong", there, "Tick", i) == ROUTER_OK);
    assert(gateway_peer_state(ping->gateway, there) == PEER_CONNECTING);
    assert(!gateway_flush(ping->gateway, there, clock_now(&the_clock) + 10 * NS_PER_MS));

    close(holder);
    struct host *pong = host_new("pong", there);
    for (unsigned i = 501; i <= 600; i++)
        assert(send_from(ping, 0, "pong", there, "Tick", i) == ROUTER_OK);
    for (unsigned i = 1; i <= 600; i++) {
        char text[40];
        snprintf(text, sizeof text, "{\"count\": %u}", i);
        assert(strcmp(diary_wait(&pong->diary, i).text, text) == 0);
    }
    assert(gateway_flush(ping->gateway, there, soon()));

    /* It goes, and comes again. */
    host_free(pong);
    uint64_t deadline = soon();
    while (gateway_peer_state(ping->gateway, there) == PEER_CONNECTED)
        assert(clock_now(&the_clock) < deadline);
    assert(gateway_peer_state(ping->gateway, there) == PEER_LOST);
    assert(send_from(ping, 0, "pong", there, "Tick", 1) == ROUTER_OK);
    pong = host_new("pong", there);
    assert(strcmp(diary_wait(&pong->diary, 1).text, "{\"count\": 1}") == 0);
    host_free(pong);
    host_free(ping);
}

static void count_letter(void *context, const struct dead_letter *letter)
{
    assert(letter->reason == FAILURE_UNREACHABLE);
    assert(strncmp(letter->target, "pong@tcp://127.0.0.1:", 21) == 0);
    assert(strcmp(type_name(letter->message->type), "Tick") == 0);
    ++*(unsigned *)context;
}

/* A peer that never comes: its queue is bounded, stopping does not wait for it,
 * and what waited becomes dead letters. Another peer notices nothing. */
static void test_full_and_stop(void)
{
    struct host *ping = host_new("ping", NULL), *pong = host_new("pong", ":0");
    char         there[ADDRESS_ENDPOINT_LIMIT], why[200] = "";
    int          holder = hold_endpoint(there);

    for (unsigned i = 1; i <= 1000; i++)
        assert(send_from(ping, 0, "pong", there, "Tick", i) == ROUTER_OK);
    assert(send_message(ping, "pong", there, counted("Tick", 0), why, sizeof why) == ROUTER_FULL);
    assert(strstr(why, there) != NULL);
    assert(send_from(ping, 0, "pong", gateway_endpoint(pong->gateway), "Tick", 1) == ROUTER_OK);
    diary_wait(&pong->diary, 1);

    uint64_t before = clock_now(&the_clock);
    gateway_stop(ping->gateway, soon());
    assert(clock_now(&the_clock) - before < 3 * NS_PER_SEC);
    unsigned letters = 0;
    dead_letters_each(&ping->system.letters, count_letter, &letters);
    assert(letters == 1000 && gateway_counts(ping->gateway).lost == 1000);
    assert(send_from(ping, 0, "pong", there, "Tick", 1) == ROUTER_UNREACHABLE);
    close(holder);
    host_free(ping);
    host_free(pong);
}

/* A peer that does not read: the queue fills, and empties in order when it does. */
static void test_slow_peer(void)
{
    struct host *host = host_new("ping", NULL);
    char         peer[ADDRESS_ENDPOINT_LIMIT] = "tcp://127.0.0.1:*";
    void        *pull = raw_pull(peer);
    static char  filler[60000];
    memset(filler, 'x', sizeof filler);

    uint64_t sent = 0, received = 0;
    for (;; sent++) {
        struct bytes packed;
        bytes_init(&packed, 0);
        size_t at = pack_open(&packed, PACK_MAP);
        pack_put_string(&packed, "n", 1);
        pack_put_integer(&packed, (int64_t)sent);
        pack_put_string(&packed, "x", 1);
        pack_put_string(&packed, filler, sizeof filler);
        pack_close(&packed, at, 2);
        char            why[200];
        struct message *message =
            message_new(MESSAGE_ORDINARY, type_intern("Tick", 4), packed.data, packed.size);
        bytes_fini(&packed);
        enum router_answer answer = send_message(host, "pong", peer, message, why, sizeof why);
        if (answer == ROUTER_FULL && gateway_peer_state(host->gateway, peer) == PEER_CONNECTED)
            break;
        if (answer == ROUTER_FULL)
            sent--;
        else
            assert(answer == ROUTER_OK);
    }
    assert(sent > 100);
    for (; received < sent; received++) {
        static char frame[70000];
        int         size = zmq_recv(pull, frame, sizeof frame - 1, 0);
        assert(size > 0);
        frame[size] = '\0';
        char expected[40];
        snprintf(expected, sizeof expected, "{\"n\": %llu,", (unsigned long long)received);
        assert(strstr(frame, expected) != NULL);
    }
    assert(gateway_flush(host->gateway, peer, soon()));
    zmq_close(pull);
    host_free(host);
}

/* A host that sends one message and ends has sent it. */
static void test_one_shot(void)
{
    char  peer[ADDRESS_ENDPOINT_LIMIT] = "tcp://127.0.0.1:*", expected[40];
    void *pull = raw_pull(peer);
    for (unsigned i = 0; i < 10; i++) {
        struct host *host = host_new("cli", NULL);
        assert(send_from(host, 0, "pong", peer, "Ping", i) == ROUTER_OK);
        assert(gateway_flush(host->gateway, peer, soon()));
        host_free(host);
    }
    for (unsigned i = 0; i < 10; i++) {
        snprintf(expected, sizeof expected, "{\"count\": %u}", i);
        assert(strstr(raw_receive(pull), expected) != NULL);
    }
    zmq_close(pull);
}

/* A peer that took it all and went away, as one that was told to quit does, was
 * handed it over nonetheless. */
static void test_flush_to_one_who_left(void)
{
    char         peer[ADDRESS_ENDPOINT_LIMIT] = "tcp://127.0.0.1:*";
    void        *pull = raw_pull(peer);
    struct host *host = host_new("cli", NULL);
    uint64_t     deadline_ns = soon();

    assert(send_from(host, 0, "pong", peer, "Quit", 1) == ROUTER_OK);
    assert(strstr(raw_receive(pull), "Quit") != NULL);
    zmq_close(pull);
    while (gateway_peer_state(host->gateway, peer) != PEER_LOST) {
        assert(clock_now(&the_clock) < deadline_ns);
        sched_yield();
    }
    assert(gateway_flush(host->gateway, peer, soon()));
    assert(send_from(host, 0, "pong", peer, "Ping", 1) == ROUTER_OK);
    assert(gateway_waiting(host->gateway, peer) == 1);
    assert(!gateway_flush(host->gateway, peer, clock_now(&the_clock) + 10 * NS_PER_MS));
    host_free(host);
}

/* A connection can be had before there is anything to say. */
static void test_connect(void)
{
    char         peer[ADDRESS_ENDPOINT_LIMIT] = "tcp://127.0.0.1:*", nobody[ADDRESS_ENDPOINT_LIMIT];
    char         why[200];
    void        *pull = raw_pull(peer);
    int          holder = hold_endpoint(nobody);
    struct host *host = host_new("cli", NULL);

    assert(gateway_connect(host->gateway, peer, soon(), why, sizeof why));
    assert(gateway_peer_state(host->gateway, peer) == PEER_CONNECTED);
    assert(gateway_waiting(host->gateway, peer) == 0);
    assert(!gateway_connect(host->gateway, nobody, clock_now(&the_clock) + 10 * NS_PER_MS, why,
                            sizeof why));
    assert(strstr(why, "no connection in time") != NULL);
    assert(send_from(host, 0, "pong", peer, "Ping", 1) == ROUTER_OK);
    assert(strstr(raw_receive(pull), "Ping") != NULL); /* the first that comes */
    zmq_close(pull);
    close(holder);
    host_free(host);
}

/* More peers than there may be: those unused longest give way, what waited for
 * them becomes dead letters, and who is new is served. */
static void test_too_many_peers(void)
{
    struct host *host = calloc(1, sizeof *host), *pong = host_new("pong", ":0");
    assert(host != NULL);
    struct gateway_options options = GATEWAY_OPTIONS_DEFAULT;
    options.peers = 8;
    host_open(host, "ping", &options);

    for (unsigned i = 0; i < 40; i++) {
        char there[ADDRESS_ENDPOINT_LIMIT];
        snprintf(there, sizeof there, "tcp://127.0.0.1:%u", 2 + i);
        assert(send_from(host, 0, "pong", there, "Tick", i) == ROUTER_OK);
    }
    unsigned letters = 0;
    dead_letters_each(&host->system.letters, count_letter, &letters);
    assert(letters == 32);
    for (unsigned i = 1; i <= 10; i++) {
        assert(send_from(host, 0, "pong", gateway_endpoint(pong->gateway), "Tick", i) == ROUTER_OK);
        diary_wait(&pong->diary, i);
    }
    host_free(host);
    host_free(pong);
}

struct crowd {
    struct host *host;
    const char  *there;
    unsigned     first;
};

static void *send_a_lot(void *argument)
{
    struct crowd *crowd = argument;
    for (unsigned i = 0; i < 2000; i++)
        while (send_from(crowd->host, crowd->host->id, "pong", crowd->there, "Tick",
                         crowd->first + i) == ROUTER_FULL)
            sched_yield();
    return NULL;
}

/* Many threads send to one peer: nothing is lost, and each thread's order is kept. */
static void test_many_threads(void)
{
    struct host  *ping = host_new("ping", ":0"), *pong = host_new("pong", ":0");
    struct thread threads[4];
    struct crowd  crowds[4];
    unsigned      next[4] = { 0 };

    for (unsigned i = 0; i < 4; i++) {
        crowds[i] = (struct crowd){ ping, gateway_endpoint(pong->gateway), i * 10000 };
        assert(thread_start(&threads[i], "crowd", 0, send_a_lot, &crowds[i]) == 0);
    }
    for (unsigned i = 0; i < 4; i++)
        thread_join(&threads[i]);
    diary_wait(&pong->diary, 8000);
    for (unsigned i = 0; i < 8000; i++) {
        unsigned count;
        assert(sscanf(pong->diary.notes[i].text, "{\"count\": %u}", &count) == 1);
        assert(count % 10000 == next[count / 10000]++);
    }
    host_free(ping);
    host_free(pong);
}

int main(void)
{
    clock_init(&the_clock, false);
    zmq = zmq_ctx_new();
    test_binding();
    test_send_and_reply();
    test_frame_bytes();
    test_refused_at_the_send();
    test_ask_without_bind();
    test_rejects();
    test_reject_rate();
    test_reject_to_invented();
    test_malformed();
    test_senders();
    test_begins_like_what_was_dropped();
    test_no_handshake();
    test_beyond_loopback();
    test_admission();
    test_queue_before_the_peer();
    test_full_and_stop();
    test_slow_peer();
    test_one_shot();
    test_flush_to_one_who_left();
    test_connect();
    test_too_many_peers();
    test_many_threads();
    zmq_ctx_term(zmq);
    puts("gateway: ok");
    return 0;
}
