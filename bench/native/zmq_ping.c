/*
 * zmq_ping.c -- how many pings a second an actor elsewhere answers: floods
 * it with Ping frames as the family writes them, with so many unanswered at
 * most, and counts the Pongs. Without an actor a process beside it echoes the
 * frames unread: what libzmq alone would reach.
 *
 *   zmq_ping COUNT WINDOW [NAME ENDPOINT]   prints `zmq_ping rate VALUE msg/s`
 */
#include "zmq_side.h"

#define FRAME_LIMIT 400

static int write_ping(char *frame, const char *name, const char *endpoint, long count)
{
    return snprintf(frame, FRAME_LIMIT,
                    "{\"sender_actor\": \"ping\", \"sender_endpoint\": \"%s\", \"receiver\": \"%s\", "
                    "\"message_type\": \"Ping\", \"message\": {\"count\": %ld}}",
                    endpoint, name, count);
}

static void send_ping(struct side *side, const char *name, long count)
{
    char frame[FRAME_LIMIT];
    int  size = write_ping(frame, name, side->endpoint, count);
    if (zmq_send(side->out, frame, (size_t)size, 0) != size)
        fail("send");
}

/* Takes one answer, which must be a Pong (or an echoed Ping) with this count. */
static void take_pong(struct side *side, const char *type, long count)
{
    char frame[FRAME_LIMIT], tail[64];
    int  size = zmq_recv(side->in, frame, sizeof frame - 1, 0);
    if (size < 0 || size >= (int)sizeof frame)
        fail("receive");
    frame[size] = '\0';
    snprintf(tail, sizeof tail, "{\"count\": %ld}}", count);
    if (strstr(frame, type) == NULL || strstr(frame, tail) == NULL) {
        fprintf(stderr, "zmq_ping: not the %s with %s that is due: %s\n", type, tail, frame);
        exit(1);
    }
}

static void echo(struct side *side, long count)
{
    char frame[FRAME_LIMIT];
    for (long i = 0; i < count; i++) {
        int size = zmq_recv(side->in, frame, sizeof frame, 0);
        if (size < 0 || zmq_send(side->out, frame, (size_t)size, 0) != size)
            fail("echo");
    }
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    long window = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    if (count < 1 || window < 1 || (argc != 3 && argc != 5)) {
        fprintf(stderr, "usage: %s COUNT WINDOW [NAME ENDPOINT]\n", argv[0]);
        return 2;
    }

    struct side side;
    pid_t       other = 0;
    bool        alone = argc == 3;
    const char *name = alone ? "echo" : argv[3];
    if (alone) {
        other = side_pair(&side, echo, count);
    } else {
        alarm(PATIENCE_S);
        side_open(&side);
        side_connect(&side, argv[4]);
    }

    double started = now_us();
    long   sent = 0;
    for (long answered = 0; answered < count; answered++) {
        for (; sent < count && sent - answered < window; sent++)
            send_ping(&side, name, sent);
        take_pong(&side, alone ? "\"Ping\"" : "\"Pong\"", answered);
    }
    printf("zmq_ping rate %.6g msg/s\n", (double)count / (now_us() - started) * 1e6);
    if (alone)
        return side_part(&side, other);
    side_close(&side);
    return 0;
}
