/*
 * zmq_side.h -- what the programs here share: one side of a conversation over
 * raw libzmq (a PULL socket that is bound, a PUSH socket that connects), two
 * processes that find each other, and the clock.
 */
#ifndef TROUPE_BENCH_ZMQ_SIDE_H
#define TROUPE_BENCH_ZMQ_SIDE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define FRAME_SIZE     150 /* a Ping of ours is as large */
#define ENDPOINT_LIMIT 64
#define PATIENCE_S     60 /* then SIGALRM ends it */

struct side {
    void *context, *in, *out;
    char  endpoint[ENDPOINT_LIMIT]; /* of `in` */
};

static inline void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static inline double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Listens on a free port of the loopback interface. */
static inline void side_open(struct side *side)
{
    size_t size = sizeof side->endpoint;
    side->context = zmq_ctx_new();
    side->in = zmq_socket(side->context, ZMQ_PULL);
    side->out = zmq_socket(side->context, ZMQ_PUSH);
    if (side->in == NULL || side->out == NULL || zmq_bind(side->in, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(side->in, ZMQ_LAST_ENDPOINT, side->endpoint, &size) != 0)
        fail("cannot listen");
}

static inline void side_connect(struct side *side, const char *endpoint)
{
    if (zmq_connect(side->out, endpoint) != 0)
        fail("cannot connect");
}

/* Tells the other process our endpoint and connects to its own. */
static inline void side_meet(struct side *side, int from_other, int to_other)
{
    char endpoint[ENDPOINT_LIMIT];
    if (write(to_other, side->endpoint, sizeof endpoint) != (ssize_t)sizeof endpoint ||
        read(from_other, endpoint, sizeof endpoint) != (ssize_t)sizeof endpoint)
        fail("the other side is gone");
    side_connect(side, endpoint);
}

static inline void side_close(struct side *side)
{
    zmq_close(side->in);
    zmq_close(side->out);
    zmq_ctx_term(side->context);
}

/* The other half of a bench: `body` runs in a process of its own, which has met
 * this one. Call it before libzmq has threads here. */
static inline pid_t side_pair(struct side *side, void (*body)(struct side *, long), long count)
{
    int there[2], back[2];
    if (pipe(there) != 0 || pipe(back) != 0)
        fail("pipe");
    pid_t other = fork();
    if (other < 0)
        fail("fork");
    alarm(PATIENCE_S);
    side_open(side);
    side_meet(side, other == 0 ? there[0] : back[0], other == 0 ? back[1] : there[1]);
    if (other == 0) {
        body(side, count);
        side_close(side);
        exit(0);
    }
    return other;
}

/* 0 if that process ended well. */
static inline int side_part(struct side *side, pid_t other)
{
    int status;
    side_close(side);
    return waitpid(other, &status, 0) == other && status == 0 ? 0 : 1;
}

/* The one argument of a program: how many; 0 after a usage line. */
static inline long count_argument(int argc, char **argv, long fallback)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : fallback;
    if (count < 1)
        fprintf(stderr, "usage: %s [COUNT]\n", argv[0]);
    return count < 1 ? 0 : count;
}

#endif
