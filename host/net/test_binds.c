/* test_binds.c -- what gateway.h promises of a host that listens on several endpoints. */
#include "net/test_gateway.h"

static char why[300];

static struct host *open_three(void)
{
    struct host *host = calloc(1, sizeof *host);
    assert(host != NULL);
    struct gateway_options options = GATEWAY_OPTIONS_DEFAULT;
    options.bind = ":0";
    options.also_bind = (const char *const[]){ ":0", "tcp://[::1]:0", NULL };
    host_open(host, "pong", &options);
    return host;
}

/* All are told, with their ports; the first is what others are told. */
static void test_told(void)
{
    struct host *host = open_three();
    const char  *bound[3];
    for (unsigned i = 0; i < 3; i++) {
        bound[i] = gateway_bound(host->gateway, i);
        assert(bound[i] != NULL && strcmp(strrchr(bound[i], ':'), ":0") != 0);
        assert(host->system.remote.is_own(host->gateway, bound[i]));
    }
    assert(gateway_bound(host->gateway, 3) == NULL);
    assert(strcmp(bound[0], gateway_endpoint(host->gateway)) == 0);
    assert(strcmp(bound[0], bound[1]) != 0 && strncmp(bound[2], "tcp://[::1]:", 12) == 0);
    assert(!host->system.remote.is_own(host->gateway, "tcp://127.0.0.1:1"));
    host_free(host);
}

/* What comes in by any of them arrives, and is answered; what is sent to any of them
 * from inside goes no way round. */
static void test_reached(void)
{
    struct host *pong = open_three(), *ping = host_new("ping", ":0");
    for (unsigned i = 0; i < 3; i++) {
        const char *there = gateway_bound(pong->gateway, i);
        assert(send_from(ping, ping->id, "pong", there, "Ping", i) == ROUTER_OK);
        assert(strcmp(diary_wait(&ping->diary, i + 1).type, "Pong") == 0);
    }
    uint64_t in = gateway_counts(pong->gateway).frames_in;
    for (unsigned i = 0; i < 3; i++)
        assert(send_from(pong, 0, "pong", gateway_bound(pong->gateway, i), "Note", i) == ROUTER_OK);
    diary_wait(&pong->diary, 6);
    assert(gateway_counts(pong->gateway).frames_in == in);
    host_free(ping);
    host_free(pong);
}

/* A sender that says it is at any of them is nobody that can be answered. */
static void test_no_mirror(void)
{
    struct host *host = open_three();
    char frame[400];
    for (unsigned i = 0; i < 3; i++) {
        void *push = raw_push(gateway_bound(host->gateway, i % 2));
        snprintf(frame, sizeof frame,
                 "{\"sender_actor\": \"pong\", \"sender_endpoint\": \"%s\", \"receiver\": \"pong\", "
                 "\"message_type\": \"Note\", \"message\": {}}", gateway_bound(host->gateway, 2 - i));
        raw_send(push, frame);
        assert(diary_wait(&host->diary, i + 1).origin[0] == '\0');
        zmq_close(push);
    }
    assert(gateway_counts(host->gateway).senders_refused == 3);
    host_free(host);
}

/* Makes no gateway with these, and leaves none of them bound. */
static void assert_refused(struct gateway_options *options, int error, const char *sentence)
{
    struct system   system;
    struct gateway *gateway;
    assert(system_open(&system, 1, 0, NULL) == 0);
    why[0] = '\0';
    int found = gateway_open(&gateway, &system, options, why, sizeof why);
    if (found != error || strstr(why, sentence) == NULL)
        fprintf(stderr, "%d: %s\n", found, why);
    assert(found == error && strstr(why, sentence) != NULL);
    system_close(&system);
}

/* Each is held to the rules of one alone, and one that is refused refuses all. */
static void test_rules(void)
{
    char first[ADDRESS_ENDPOINT_LIMIT];
    int  holder = hold_endpoint(first); /* no socket of libzmq's, which lets go of its port later */
    struct gateway_options options = GATEWAY_OPTIONS_DEFAULT;
    options.bind = ":0";
    options.also_bind = (const char *const[]){ "tcp://*:0", NULL };
    assert_refused(&options, -EINVAL, "cannot listen on tcp://*:0: beyond loopback");
    options.also_bind = (const char *const[]){ "nonsense", NULL };
    assert_refused(&options, -EINVAL, "'nonsense' is no endpoint");
    options.also_bind = (const char *const[]){ first, NULL };
    assert_refused(&options, -EADDRINUSE, first);

    options.bind = NULL;
    assert_refused(&options, -EINVAL, "no first endpoint");
    close(holder);
    struct gateway_options twice = GATEWAY_OPTIONS_DEFAULT;
    twice.bind = first;
    twice.also_bind = (const char *const[]){ first, NULL };
    assert_refused(&twice, -EINVAL, "twice");

    const char *many[BINDS_MAX + 1];
    for (unsigned i = 0; i < BINDS_MAX; i++)
        many[i] = ":0";
    many[BINDS_MAX] = NULL;
    twice.also_bind = many;
    assert_refused(&twice, -EINVAL, "a host listens on 48 endpoints at most");
    many[BINDS_MAX - 1] = NULL;
    struct system   system;
    struct gateway *gateway;
    assert(system_open(&system, 1, 0, NULL) == 0);
    assert(gateway_open(&gateway, &system, &twice, why, sizeof why) == 0); /* and `first` is free */
    assert(gateway_bound(gateway, BINDS_MAX - 1) != NULL);
    gateway_close(gateway);
    system_close(&system);
}

/* Beyond loopback with one of them, answers go to private addresses only, as with the first. */
static void test_replies(void)
{
    struct host *host = calloc(1, sizeof *host);
    struct gateway_options options = GATEWAY_OPTIONS_DEFAULT;
    assert(host != NULL);
    options.bind = ":0";
    options.also_bind = (const char *const[]){ "tcp://0.0.0.0:0", NULL };
    options.open = true;
    host_open(host, "pong", &options);
    void *push = raw_push(gateway_endpoint(host->gateway));
    raw_send(push, "{\"sender_actor\": \"a\", \"sender_endpoint\": \"tcp://93.184.216.34:1\", "
                   "\"receiver\": \"pong\", \"message_type\": \"Note\", \"message\": {}}");
    assert(diary_wait(&host->diary, 1).origin[0] == '\0');
    raw_send(push, "{\"sender_actor\": \"a\", \"sender_endpoint\": \"tcp://10.1.2.3:1\", "
                   "\"receiver\": \"pong\", \"message_type\": \"Note\", \"message\": {}}");
    assert(strcmp(diary_wait(&host->diary, 2).origin, "a@tcp://10.1.2.3:1") == 0);
    zmq_close(push);
    host_free(host);
}

static void be_quiet(void *context, enum log_level level, const char *line)
{
    (void)context, (void)level, (void)line;
}

int main(void)
{
    log_set_sink(be_quiet, NULL);
    clock_init(&the_clock, false);
    zmq = zmq_ctx_new();
    test_told();
    test_reached();
    test_no_mirror();
    test_rules();
    test_replies();
    zmq_ctx_term(zmq);
    return 0;
}
