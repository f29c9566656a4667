/* test_gateway.c -- the promises of gateway.h: what comes in, and who is answered. */
#include "net/test_gateway.h"

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
    zmq_ctx_term(zmq);
    puts("gateway: ok");
    return 0;
}
