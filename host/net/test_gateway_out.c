/* test_gateway_out.c -- the promises of gateway.h: what goes out, and waits for peers. */
#include "net/test_gateway.h"

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
    test_queue_before_the_peer();
    test_full_and_stop();
    test_slow_peer();
    test_one_shot();
    test_flush_to_one_who_left();
    test_connect();
    test_too_many_peers();
    test_many_threads();
    zmq_ctx_term(zmq);
    puts("gateway, outward: ok");
    return 0;
}
