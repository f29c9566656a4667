/*
 * zmq_rtt.c -- what libzmq itself takes for a round trip: two processes, a PUSH
 * and a PULL socket each, loopback TCP, frames as large as a Ping of ours.
 *
 *   zmq_rtt [COUNT]      prints `zmq_rtt rtt VALUE us`
 */
#include "zmq_side.h"

#define WARM_UP 500

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

static void echo(struct side *side, long count)
{
    char frame[FRAME_SIZE];
    for (long i = 0; i < count + WARM_UP; i++) {
        receive(side, frame);
        send_on(side, frame);
    }
}

int main(int argc, char **argv)
{
    long        count = count_argument(argc, argv, 20000);
    char        frame[FRAME_SIZE];
    double      started = 0;
    struct side side;
    if (count == 0)
        return 2;

    memset(frame, 'x', sizeof frame);
    pid_t other = side_pair(&side, echo, count);
    for (long i = -WARM_UP; i < count; i++) {
        if (i == 0)
            started = now_us();
        send_on(&side, frame);
        receive(&side, frame);
    }
    printf("zmq_rtt rtt %.6g us\n", (now_us() - started) / (double)count);
    return side_part(&side, other);
}
