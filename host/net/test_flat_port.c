/*
 * test_flat_port.c -- the promises of flat_client.h and flat_server.h: a host on
 * one side, raw sockets or another host on the other, on loopback.
 */
#include "actor/lifecycle.h"
#include "actor/system.h"
#include "actor/watchdog.h"
#include "base/log.h"
#include "message/pack.h"
#include "message/wire.h"
#include "net/flat_client.h"
#include "net/flat_server.h"
#include "net/gateway.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define PATIENCE_NS (20 * NS_PER_SEC)

static struct clock the_clock;
static void        *zmq;

static uint64_t soon(void) { return clock_now(&the_clock) + PATIENCE_NS; }

/* ---- an actor that counts what it gets ----
 *
 *   Echo    answered with Echo, the same fields
 *   Refuse  refused
 *   Keep    kept, and answered when a Release comes, which is answered last */

#define KEPT_MAX 2000

struct counts {
    struct lock     lock;
    struct signal   changed;
    unsigned        messages, replies, failures; /* guarded by lock, as the rest */
    char            type[64];                    /* of the last one */
    char            text[300];                   /* its fields; of a failure, why */
    struct message *kept[KEPT_MAX];              /* oldest first */
    unsigned        kept_count;
};

static void answer(struct actor *actor, const struct message *message)
{
    char            why[200];
    struct message *echo =
        message_new(MESSAGE_ORDINARY, message->type, message->payload, message->size);
    echo->from = actor_self(actor);
    router_send_address(actor->system, message->origin, &echo, 0, why, sizeof why);
    message_free(echo);
}

static void note(struct counts *counts, const struct message *message)
{
    struct bytes json;
    bytes_init(&json, 0);
    if (message->kind == MESSAGE_FAILURE)
        bytes_append(&json, message->payload, message->size);
    else
        assert(json_write(message->payload, message->size, JSON_SPACED, NULL, NULL, &json, NULL) == 0);
    lock_acquire(&counts->lock);
    *(message->kind == MESSAGE_REPLY     ? &counts->replies
      : message->kind == MESSAGE_FAILURE ? &counts->failures
                                         : &counts->messages) += 1;
    snprintf(counts->type, sizeof counts->type, "%s", type_name(message->type));
    snprintf(counts->text, sizeof counts->text, "%s", bytes_text(&json));
    signal_all(&counts->changed);
    lock_release(&counts->lock);
    bytes_fini(&json);
}

static enum verdict receive(struct actor *actor, struct message *message)
{
    struct counts *counts = actor->state;
    const char    *type = type_name(message->type);
    if (message->kind == MESSAGE_START) {
        message_free(message);
        return VERDICT_DONE;
    }
    if (strcmp(type, "Keep") == 0) {
        lock_acquire(&counts->lock);
        counts->kept[counts->kept_count++] = message;
        lock_release(&counts->lock);
        note(counts, message);
        return VERDICT_DONE;
    }
    note(counts, message);
    if (strcmp(type, "Echo") == 0 && message->origin != NULL && message->kind == MESSAGE_ORDINARY &&
        strstr(address_name(message->origin), "/ask#") != NULL) {
        answer(actor, message);
    } else if (strcmp(type, "Refuse") == 0) {
        router_refuse(actor->system, &message, FAILURE_REJECTED, "no", "I will not");
    } else if (strcmp(type, "Release") == 0) {
        lock_acquire(&counts->lock);
        for (unsigned i = 0; i < counts->kept_count; i++) {
            answer(actor, counts->kept[i]);
            message_free(counts->kept[i]);
        }
        counts->kept_count = 0;
        lock_release(&counts->lock);
        answer(actor, message);
    }
    message_free(message);
    return VERDICT_DONE;
}

static enum verdict done(struct actor *actor)
{
    (void)actor;
    return VERDICT_DONE;
}

static void end(struct actor *actor) { (void)actor; }

static void interrupt(struct actor *actor, enum interrupt what)
{
    (void)actor;
    (void)what;
}

static const struct behaviour behaviour = {
    .receive = receive, .go_on = done, .cut = done, .shut_down = done, .end = end,
    .interrupt = interrupt,
};

/* ---- a host with that actor, called "echo" ---- */

struct host {
    struct system   system;
    struct gateway *gateway;
    struct counts   counts;
    actor_id        id;
};

static struct host *host_new(const char *flat)
{
    struct host *host = calloc(1, sizeof *host);
    char         why[200] = "";
    assert(host != NULL);
    lock_init(&host->counts.lock);
    signal_init(&host->counts.changed);
    struct gateway_options options = GATEWAY_OPTIONS_DEFAULT;
    options.flat = flat;
    options.flat_actor = "echo";
    assert(system_open(&host->system, 2, 0, NULL) == 0);
    if (gateway_open(&host->gateway, &host->system, &options, why, sizeof why) != 0) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    assert(system_start(&host->system) == 0 && gateway_start(host->gateway) == 0);
    struct spawn spawn = { .name = "echo", .behaviour = &behaviour, .state = &host->counts,
                           .mailbox = { 20000, 64u << 20, OVERFLOW_FAIL } };
    assert(lifecycle_spawn(&host->system, &spawn, &host->id, why, sizeof why) == 0);
    assert(lifecycle_start(&host->system, host->id, NULL, 0) == 0);
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
    for (unsigned i = 0; i < host->counts.kept_count; i++)
        message_free(host->counts.kept[i]);
    lock_fini(&host->counts.lock);
    signal_fini(&host->counts.changed);
    free(host);
}

/* Waits until so many of each have come. */
static void await(struct host *host, unsigned messages, unsigned replies, unsigned failures)
{
    struct counts *counts = &host->counts;
    uint64_t       deadline = soon();
    lock_acquire(&counts->lock);
    while (counts->messages < messages || counts->replies < replies || counts->failures < failures)
        if (!signal_wait_until(&counts->changed, &counts->lock, deadline)) {
            fprintf(stderr, "only %u messages, %u replies, %u failures\n", counts->messages,
                    counts->replies, counts->failures);
            abort();
        }
    lock_release(&counts->lock);
}

static bool last_is(struct host *host, const char *type, const char *text)
{
    lock_acquire(&host->counts.lock);
    bool is = strcmp(host->counts.type, type) == 0 && strcmp(host->counts.text, text) == 0;
    if (!is)
        fprintf(stderr, "%s %s\n", host->counts.type, host->counts.text);
    lock_release(&host->counts.lock);
    return is;
}

/* Sends, or with `request` asks, as the actor "echo" would. */
static enum router_answer send_flat(struct host *host, const char *endpoint, const char *type,
                                    size_t pad, uint64_t request, char *why, size_t room)
{
    char            text[400];
    struct address *to;
    struct bytes    packed;
    bytes_init(&packed, 0);
    size_t at = pack_open(&packed, PACK_MAP);
    pack_put_string(&packed, "pad", 3);
    char *padding = calloc(1, pad + 1);
    memset(padding, 'x', pad);
    pack_put_string(&packed, padding, pad);
    free(padding);
    pack_close(&packed, at, 1);
    struct message *message = message_new(request != 0 ? MESSAGE_ASK : MESSAGE_ORDINARY,
                                          type_intern(type, strlen(type)), packed.data, packed.size);
    bytes_fini(&packed);
    message->from = host->id;
    message->request = request;
    snprintf(text, sizeof text, "who@flat:%s", endpoint);
    assert(address_parse(text, strlen(text), &to, why, room) == 0);
    enum router_answer sent = router_send_address(&host->system, to, &message, 0, why, room);
    message_free(message);
    address_unref(to);
    return sent;
}

static enum router_answer send_short(struct host *host, const char *endpoint, const char *type,
                                     uint64_t request)
{
    char why[300] = "";
    return send_flat(host, endpoint, type, 1, request, why, sizeof why);
}

/* ---- raw sockets ---- */

static void *raw(int kind, const char *connect, char *bind)
{
    void  *socket = zmq_socket(zmq, kind);
    int    patience = (int)(PATIENCE_NS / NS_PER_MS);
    size_t size = ADDRESS_ENDPOINT_LIMIT;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience, sizeof patience);
    zmq_setsockopt(socket, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    if (connect != NULL) {
        assert(zmq_connect(socket, connect) == 0);
    } else {
        assert(zmq_bind(socket, bind) == 0);
        assert(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bind, &size) == 0);
    }
    return socket;
}

static void say(void *socket, const char *text)
{
    assert(zmq_send(socket, text, strlen(text), 0) >= 0);
}

/* Whether the next answer is this one. */
static bool hears(void *socket, const char *expected)
{
    char text[4096];
    int  size = zmq_recv(socket, text, sizeof text - 1, 0);
    assert(size >= 0 && size < (int)sizeof text);
    text[size] = '\0';
    if (strcmp(text, expected) == 0)
        return true;
    fprintf(stderr, "%s, not %s\n", text, expected);
    return false;
}

/* ---- the server ---- */

/* Each request is answered: by the actor, or with an error. */
static void test_serving(void)
{
    struct host *host = host_new(":0");
    void        *req = raw(ZMQ_REQ, gateway_flat_endpoint(host->gateway), NULL);

    say(req, "{\"message_type\":\"Echo\",\"n\":1}");
    assert(hears(req, "{\"message_type\": \"Echo\", \"n\": 1}"));
    say(req, "{\"message_type\":\"Refuse\"}");
    assert(hears(req, "{\"error\": \"I will not\"}"));
    say(req, "{\"message_type\":\"Shutdown\"}");
    assert(hears(req, "{\"error\": \"Unknown message type: Shutdown\"}"));
    say(req, "{\"message_type\":\"Reject\"}");
    assert(hears(req, "{\"error\": \"Unknown message type: Reject\"}"));
    say(req, "[]");
    assert(hears(req, "{\"error\": \"expected an object\"}"));
    assert(gateway_counts(host->gateway).flat_served == 2);

    /* Also when there is no such actor any more. */
    lifecycle_stop(&host->system, host->id, false);
    while (registry_find(&host->system.registry, host->id) != NULL)
        sched_yield();
    say(req, "{\"message_type\":\"Echo\"}");
    assert(hears(req, "{\"error\": \"Actor 'echo' not found\"}"));
    zmq_close(req);
    host_free(host);
}

/* Names of types that were made up outside get only so many numbers, which are
 * never given back: the rest is refused. */
static void test_made_up_types(void)
{
    struct host *host = host_new(":0");
    void        *req = raw(ZMQ_REQ, gateway_flat_endpoint(host->gateway), NULL);
    char         text[100], name[40];

    /* Without its actor the host itself answers. */
    lifecycle_stop(&host->system, host->id, false);
    while (registry_find(&host->system.registry, host->id) != NULL)
        sched_yield();
    for (unsigned i = 0; i < TYPE_STRAY_LIMIT + 10; i++) {
        snprintf(name, sizeof name, "MadeUp%u", i);
        snprintf(text, sizeof text, "{\"message_type\":\"%s\"}", name);
        say(req, text);
        assert(zmq_recv(req, text, sizeof text, 0) > 0);
    }
    assert(type_find("MadeUp0", 7) != TYPE_NONE && type_find(name, strlen(name)) == TYPE_NONE);
    say(req, "{\"message_type\":\"MadeUpAgain\"}");
    assert(hears(req, "{\"error\": \"Unknown message type: MadeUpAgain\"}"));
    say(req, "{\"message_type\":\"Echo\"}");
    assert(hears(req, "{\"error\": \"Actor 'echo' not found\"}"));
    zmq_close(req);
    host_free(host);
}

/* Many may wait at once, and each gets his own answer; more than the limit are
 * told so at once, and those who wait hear all the same. */
static void test_serving_many(void)
{
    struct host *host = host_new(":0");
    void        *dealer = raw(ZMQ_DEALER, gateway_flat_endpoint(host->gateway), NULL);
    unsigned     full = 0, kept = 0, number;

    for (number = 0; number < FLAT_SERVED_MAX + 10; number++) {
        assert(zmq_send(dealer, &number, sizeof number, ZMQ_SNDMORE) >= 0);
        assert(zmq_send(dealer, "", 0, ZMQ_SNDMORE) >= 0);
        say(dealer, "{\"message_type\":\"Keep\"}");
    }
    for (unsigned i = 0; i < 10; i++) {
        assert(zmq_recv(dealer, &number, sizeof number, 0) == sizeof number);
        assert(hears(dealer, "") && hears(dealer, "{\"error\": \"too many requests are waiting\"}"));
        full += number >= FLAT_SERVED_MAX;
    }
    assert(full == 10);
    await(host, FLAT_SERVED_MAX, 0, 0);
    /* Something from inside makes room again. */
    lock_acquire(&host->counts.lock);
    struct message *first = host->counts.kept[--host->counts.kept_count];
    lock_release(&host->counts.lock);
    char why[100];
    struct message *release = message_new(MESSAGE_ORDINARY, type_intern("Given", 5), NULL, 0);
    assert(router_send_address(&host->system, first->origin, &release, 0, why, sizeof why) == ROUTER_OK);
    /* A second answer finds nobody. */
    release = message_new(MESSAGE_ORDINARY, type_intern("Given", 5), NULL, 0);
    assert(router_send_address(&host->system, first->origin, &release, 0, why, sizeof why) ==
           ROUTER_UNREACHABLE);
    message_free(release);
    message_free(first);
    assert(zmq_recv(dealer, &number, sizeof number, 0) == sizeof number);
    assert(number == FLAT_SERVED_MAX - 1);
    assert(hears(dealer, "") && hears(dealer, "{\"message_type\": \"Given\"}"));

    assert(zmq_send(dealer, &number, sizeof number, ZMQ_SNDMORE) >= 0);
    assert(zmq_send(dealer, "", 0, ZMQ_SNDMORE) >= 0);
    say(dealer, "{\"message_type\":\"Release\"}");
    for (unsigned i = 0; i < FLAT_SERVED_MAX - 1; i++) {
        assert(zmq_recv(dealer, &number, sizeof number, 0) == sizeof number);
        assert(hears(dealer, "") && hears(dealer, "{\"message_type\": \"Keep\"}"));
        kept += number == i;
    }
    assert(kept == FLAT_SERVED_MAX - 1); /* in order */
    zmq_close(dealer);
    host_free(host);
}

/* ---- the client ---- */

/* A question gets its reply, a plain message an answer; {"error"} is a Reject;
 * what is no answer, or comes twice, or was never asked for, is counted. */
static void test_asking(void)
{
    struct host *host = host_new(NULL);
    char         place[ADDRESS_ENDPOINT_LIMIT] = "tcp://127.0.0.1:*";
    void        *rep = raw(ZMQ_REP, NULL, place);

    assert(send_short(host, place, "Echo", 1) == ROUTER_OK);
    assert(hears(rep, "{\"message_type\": \"Echo\", \"pad\": \"x\"}"));
    say(rep, "{\"message_type\":\"Reply\",\"n\":[1]}");
    await(host, 0, 1, 0);
    assert(last_is(host, "Reply", "{\"n\": [1]}"));

    assert(send_short(host, place, "Tell", 0) == ROUTER_OK);
    assert(hears(rep, "{\"message_type\": \"Tell\", \"pad\": \"x\"}"));
    say(rep, "{\"message_type\":\"Told\"}");
    await(host, 1, 1, 0);
    assert(last_is(host, "Told", "{}"));

    assert(send_short(host, place, "Bogus", 2) == ROUTER_OK);
    assert(hears(rep, "{\"message_type\": \"Bogus\", \"pad\": \"x\"}"));
    say(rep, "{\"error\":\"no\"}");
    await(host, 1, 2, 0);
    assert(last_is(host, "Reject", "{\"message_type\": \"Bogus\", \"reason\": \"no\", \"rejected_by\": \"who\"}"));

    static const char *const none[] = { "", "[]", "{}", "{\"message_type\":\"Shutdown\"}", "{\"message_type\":7}" };
    for (unsigned i = 0; i < ARRAY_LENGTH(none); i++) {
        assert(send_short(host, place, "Echo", 3) == ROUTER_OK);
        assert(hears(rep, "{\"message_type\": \"Echo\", \"pad\": \"x\"}"));
        say(rep, none[i]);
        await(host, 1, 2, i + 1);
    }
    assert(atomic_load(&host->system.counters.frames_bad) == ARRAY_LENGTH(none));
    assert(gateway_counts(host->gateway).flat_asked == 3 + ARRAY_LENGTH(none));
    zmq_close(rep);

    char  other[ADDRESS_ENDPOINT_LIMIT] = "tcp://127.0.0.1:*";
    void *router = raw(ZMQ_ROUTER, NULL, other);
    assert(send_short(host, other, "Echo", 4) == ROUTER_OK);
    char     who[64], number[64];
    int      who_size = zmq_recv(router, who, sizeof who, 0);
    int      number_size = zmq_recv(router, number, sizeof number, 0);
    assert(who_size > 0 && number_size > 0);
    assert(hears(router, "") && hears(router, "{\"message_type\": \"Echo\", \"pad\": \"x\"}"));
    uint64_t late = atomic_load(&host->system.counters.late_answers);
    for (unsigned i = 0; i < 3; i++) { /* one without our number, then twice the same */
        zmq_send(router, who, (size_t)who_size, ZMQ_SNDMORE);
        zmq_send(router, i == 0 ? "unknown!" : number, (size_t)number_size, ZMQ_SNDMORE);
        zmq_send(router, "", 0, ZMQ_SNDMORE);
        say(router, "{\"message_type\":\"Reply\"}");
    }
    zmq_send(router, who, (size_t)who_size, ZMQ_SNDMORE);
    say(router, "one part");
    await(host, 1, 3, ARRAY_LENGTH(none));
    uint64_t deadline = soon();
    while (atomic_load(&host->system.counters.late_answers) < late + 2 ||
           atomic_load(&host->system.counters.frames_bad) < ARRAY_LENGTH(none) + 1) {
        assert(clock_now(&the_clock) < deadline);
        sched_yield();
    }
    zmq_close(router);
    host_free(host);
}

/* What waits is bounded, in number and bytes; what is too large is refused. */
static void test_bounds(void)
{
    struct host *host = host_new(NULL);
    char         place[ADDRESS_ENDPOINT_LIMIT] = "tcp://127.0.0.1:*", why[300] = "";
    void        *router = raw(ZMQ_ROUTER, NULL, place);

    for (unsigned i = 0; i < FLAT_REQUESTS_MAX; i++)
        assert(send_short(host, place, "Echo", 0) == ROUTER_OK);
    assert(send_flat(host, place, "Echo", 1, 0, why, sizeof why) == ROUTER_FULL);
    assert(strstr(why, "1024 requests already wait for tcp://127.0.0.1:") != NULL);

    char other[ADDRESS_ENDPOINT_LIMIT] = "tcp://127.0.0.1:*";
    void *second = raw(ZMQ_ROUTER, NULL, other);
    for (unsigned i = 0; i < 8; i++)
        assert(send_flat(host, other, "Echo", 1000000, 0, why, sizeof why) == ROUTER_OK);
    assert(send_flat(host, other, "Echo", 1000000, 0, why, sizeof why) == ROUTER_FULL);
    assert(send_flat(host, other, "Echo", WIRE_FRAME_LIMIT, 0, why, sizeof why) == ROUTER_REFUSED);

    for (unsigned i = 2; i < FLAT_CLIENTS_MAX; i++) {
        snprintf(other, sizeof other, "tcp://127.0.0.%u:1", i);
        assert(send_flat(host, other, "Echo", 1, 0, why, sizeof why) == ROUTER_OK);
    }
    assert(send_flat(host, "tcp://127.0.0.99:1", "Echo", 1, 0, why, sizeof why) == ROUTER_UNREACHABLE);
    assert(strstr(why, "no room for tcp://127.0.0.99:1") != NULL);
    zmq_close(router);
    zmq_close(second);
    host_free(host);
}

/* With nobody there, who asked is told, and what was sent is a dead letter. */
static void test_nobody_there(void)
{
    struct host *host = host_new(NULL);
    assert(send_short(host, "tcp://127.0.0.1:1", "Echo", 1) == ROUTER_OK);
    assert(send_short(host, "tcp://127.0.0.1:1", "Tell", 0) == ROUTER_OK);
    assert(gateway_peer_state(host->gateway, "flat:tcp://127.0.0.1:1") == PEER_CONNECTING);
    assert(gateway_peer_state(host->gateway, "flat:tcp://127.0.0.1:2") == PEER_NONE);
    assert(!gateway_flush(host->gateway, "flat:tcp://127.0.0.1:1", clock_now(&the_clock)));
    await(host, 0, 0, 1);
    assert(last_is(host, "", "no connection to tcp://127.0.0.1:1 in 5 s"));
    uint64_t deadline = soon();
    while (dead_letters_total(&host->system.letters) < 1) {
        assert(clock_now(&the_clock) < deadline);
        sched_yield();
    }
    assert(gateway_counts(host->gateway).flat_lost == 2);
    /* A host that stops does not wait for them either. */
    assert(send_short(host, "tcp://127.0.0.1:1", "Tell", 0) == ROUTER_OK);
    host_free(host);
}

/* Asks until the request is there: one may be lost with the connection, unheard. */
static void ask_until_heard(struct host *host, const char *place, void *rep, uint64_t request)
{
    char     text[100];
    int      briefly = 200;
    uint64_t deadline = soon();
    zmq_setsockopt(rep, ZMQ_RCVTIMEO, &briefly, sizeof briefly);
    do {
        assert(clock_now(&the_clock) < deadline);
        assert(send_short(host, place, "Echo", request) == ROUTER_OK);
    } while (zmq_recv(rep, text, sizeof text, 0) < 0);
}

/* A host that was killed and comes back is asked again by itself. */
static void test_coming_back(void)
{
    struct host *host = host_new(NULL);
    char         place[ADDRESS_ENDPOINT_LIMIT] = "tcp://127.0.0.1:*";
    void        *rep = raw(ZMQ_REP, NULL, place);
    for (unsigned i = 1; i <= 3; i++) {
        ask_until_heard(host, place, rep, i);
        say(rep, "{\"message_type\":\"Reply\"}");
        await(host, 0, i, 0);
        zmq_close(rep);
        rep = zmq_socket(zmq, ZMQ_REP);
        zmq_setsockopt(rep, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
        uint64_t deadline = soon();
        while (zmq_bind(rep, place) != 0) { /* the old one is still being closed */
            assert(clock_now(&the_clock) < deadline);
            sched_yield();
        }
    }
    zmq_close(rep);
    host_free(host);
}

/* Host to host, from several threads at once. */
struct crowd {
    struct host *host;
    const char  *place;
};

static void *ask_much(void *argument)
{
    struct crowd *crowd = argument;
    for (unsigned i = 0; i < 1000; i++)
        while (send_short(crowd->host, crowd->place, "Echo", i % 2 == 0 ? 7 : 0) == ROUTER_FULL)
            sched_yield();
    return NULL;
}

static void test_crowd(void)
{
    struct host  *server = host_new(":0"), *client = host_new(NULL);
    struct crowd  crowd = { client, gateway_flat_endpoint(server->gateway) };
    struct thread threads[3];
    for (unsigned i = 0; i < ARRAY_LENGTH(threads); i++)
        assert(thread_start(&threads[i], "crowd", 0, ask_much, &crowd) == 0);
    for (unsigned i = 0; i < ARRAY_LENGTH(threads); i++)
        thread_join(&threads[i]);
    await(client, 1500, 1500, 0);
    host_free(client);
    host_free(server);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    clock_init(&the_clock, false);
    zmq = zmq_ctx_new();
    test_serving();
    test_serving_many();
    test_asking();
    test_bounds();
    test_nobody_there();
    test_coming_back();
    test_crowd();
    test_made_up_types(); /* the last: those numbers are gone */
    zmq_ctx_term(zmq);
    return 0;
}
