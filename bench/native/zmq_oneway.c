/*
 * zmq_oneway.c -- how many frames a second libzmq itself carries one way: two
 * processes, PUSH to PULL over loopback TCP, frames as large as a Ping of ours.
 *
 *   zmq_oneway [COUNT]      prints `zmq_oneway rate VALUE msg/s`
 */
#include "zmq_side.h"

static void flood(struct side *side, long count)
{
    char frame[FRAME_SIZE];
    memset(frame, 'x', sizeof frame);
    for (long i = 0; i < count; i++)
        if (zmq_send(side->out, frame, FRAME_SIZE, 0) != FRAME_SIZE)
            fail("send");
}

int main(int argc, char **argv)
{
    long        count = count_argument(argc, argv, 3000000);
    char        frame[FRAME_SIZE];
    double      started = 0;
    struct side side;
    if (count == 0)
        return 2;

    pid_t other = side_pair(&side, flood, count);
    for (long i = 0; i < count; i++) {
        if (zmq_recv(side.in, frame, sizeof frame, 0) != FRAME_SIZE)
            fail("receive");
        if (i == 0)
            started = now_us();
    }
    printf("zmq_oneway rate %.6g msg/s\n", (double)(count - 1) / (now_us() - started) * 1e6);
    return side_part(&side, other);
}
