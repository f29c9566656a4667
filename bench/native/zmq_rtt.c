/*
 * zmq_rtt.c -- what libzmq itself takes for a round trip: two processes, a PUSH
 * and a PULL socket each, loopback TCP, frames as large as a Ping of ours.
 *
 *   zmq_rtt [ROUNDS]      prints `zmq_rtt rtt VALUE us`
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define FRAME_SIZE     150
#define ENDPOINT_LIMIT 64
#define WARM_UP        500
#define PATIENCE_S     60 /* then SIGALRM ends it */

static void fail(const char *what)
{
    fprintf(stderr, "zmq_rtt: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

struct side {
    void *context, *in, *out;
};

/* Listens on a free port and exchanges endpoints with the other side through pipes. */
static void side_open(struct side *side, int from_other, int to_other)
{
    char   endpoint[ENDPOINT_LIMIT] = "";
    size_t size = sizeof endpoint;

    side->context = zmq_ctx_new();
    side->in = zmq_socket(side->context, ZMQ_PULL);
    side->out = zmq_socket(side->context, ZMQ_PUSH);
    if (side->in == NULL || side->out == NULL || zmq_bind(side->in, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(side->in, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0)
        fail("cannot listen");
    if (write(to_other, endpoint, sizeof endpoint) != (ssize_t)sizeof endpoint ||
        read(from_other, endpoint, sizeof endpoint) != (ssize_t)sizeof endpoint)
        fail("the other side is gone");
    if (zmq_connect(side->out, endpoint) != 0)
        fail("cannot connect");
}

static void side_close(struct side *side)
{
    zmq_close(side->in);
    zmq_close(side->out);
    zmq_ctx_term(side->context);
}

static void receive(struct side *side, char *frame)
{
    if (zmq_recv(side->in, frame, FRAME_SIZE, 0) != FRAME_SIZE)
        fail("receive");
}

static void send_on(struct side *side, const char *frame)
{
    if (zmq_send(side->out, frame, FRAME_SIZE, 0) != FRAME_SIZE)
        fail("send");
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;
    int  there[2], back[2];
    if (rounds < 1) {
        fprintf(stderr, "usage: zmq_rtt [ROUNDS]\n");
        return 2;
    }
    if (pipe(there) != 0 || pipe(back) != 0)
        fail("pipe");

    char        frame[FRAME_SIZE];
    struct side side;
    memset(frame, 'x', sizeof frame);
    pid_t other = fork(); /* before libzmq has threads */
    if (other < 0)
        fail("fork");
    alarm(PATIENCE_S);
    if (other == 0) {
        side_open(&side, there[0], back[1]);
        for (long i = 0; i < rounds + WARM_UP; i++) {
            receive(&side, frame);
            send_on(&side, frame);
        }
        side_close(&side);
        return 0;
    }

    side_open(&side, back[0], there[1]);
    double started = 0;
    for (long i = -WARM_UP; i < rounds; i++) {
        if (i == 0)
            started = now_us();
        send_on(&side, frame);
        receive(&side, frame);
    }
    printf("zmq_rtt rtt %.6g us\n", (now_us() - started) / (double)rounds);
    side_close(&side);
    int status;
    return waitpid(other, &status, 0) == other && status == 0 ? 0 : 1;
}
