/*
 * test_connections.c -- the promises of connections.h: who does not come to an end
 * is cut, and nobody else, however much and however slowly he sends.
 */
#include "net/inlets.h"

#include "base/clock.h"
#include "message/wire.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#define PATIENCE_MS 20000

static struct clock the_clock;
static void        *zmq; /* of the senders */

/* ---- an inlet, and a loop like the gateway's ---- */

static struct {
    void         *zmq;
    int           epoll;
    struct inlets inlets;
    struct inlet *inlet;
    zmq_msg_t     frame;
    uint64_t      frames, ticks;
    bool          lazy; /* takes only a few frames at a time */
} here;

static bool all_may(void *context, const char *host, const char *key)
{
    (void)context, (void)host, (void)key;
    return true;
}

static void open_here(void)
{
    char why[200];
    memset(&here, 0, sizeof here);
    here.zmq = zmq_ctx_new();
    here.epoll = epoll_create1(EPOLL_CLOEXEC);
    assert(inlets_init(&here.inlets, here.zmq, here.epoll, NULL, all_may, NULL) == 0);
    assert(inlets_add(&here.inlets, "tcp://127.0.0.1:0", &here.inlet, why, sizeof why) == 0);
    zmq_msg_init(&here.frame);
}

static void close_here(void)
{
    zmq_msg_close(&here.frame);
    inlets_close(&here.inlets);
    inlets_fini(&here.inlets);
    assert(zmq_ctx_term(here.zmq) == 0);
    close(here.epoll);
}

static void take(void)
{
    for (unsigned i = 0; i < (here.lazy ? 1u : 64u); i++) {
        int size = zmq_msg_recv(&here.frame, here.inlet->pull, ZMQ_DONTWAIT);
        if (size < 0) {
            here.inlet->busy = false;
            here.inlet->inflow.emptied = true;
            return;
        }
        here.frames++;
        inflow_took(&here.inlet->inflow, zmq_msg_get(&here.frame, ZMQ_SRCFD), (size_t)size);
    }
    here.inlet->busy = true;
}

/* One round of the loop. */
static void turn(void)
{
    struct epoll_event event;
    if (here.inlet->busy)
        take();
    if (epoll_wait(here.epoll, &event, 1, here.inlet->busy ? 0 : 1) != 1)
        return;
    struct watch *watch = event.data.ptr;
    if (watch->kind == WATCH_DOOR)
        admission_told(watch->owner);
    else if (watch->kind == WATCH_INFLOW)
        inflow_told(watch->owner);
    else if (watch->kind == WATCH_INLET)
        take();
    else if (watch->kind == WATCH_TICK) {
        here.ticks++;
        connections_told(&here.inlets.connections);
        inflow_next_tick(&here.inlet->inflow);
        here.inlet->busy = true;
    }
}

static uint64_t cuts(void)
{
    return atomic_load(&here.inlets.connections.cut);
}

/* Turns until that is so; false: never. */
#define TURN_UNTIL(condition)                                                        \
    do {                                                                             \
        uint64_t end_ = clock_now(&the_clock) + PATIENCE_MS * NS_PER_MS;             \
        while (!(condition) && clock_now(&the_clock) < end_)                         \
            turn();                                                                  \
        assert(condition);                                                           \
    } while (0)

static void *push_there(void)
{
    void *push = zmq_socket(zmq, ZMQ_PUSH);
    zmq_setsockopt(push, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    zmq_setsockopt(push, ZMQ_RECONNECT_IVL, &(int){ -1 }, sizeof(int));
    assert(zmq_connect(push, here.inlet->endpoint) == 0);
    return push;
}

/* ---- the promises ---- */

/* A connection that speaks ZMTP by hand: libzmq sends no message that has no end. */
static int raw_there(void)
{
    static const char ready[] = "\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH";
    struct sockaddr_in there = { .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)atoi(here.inlet->port)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char greeting[64] = "\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL";
    char theirs[64];
    int  raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(connect(raw, (struct sockaddr *)&there, sizeof there) == 0);
    assert(write(raw, greeting, sizeof greeting) == sizeof greeting);
    assert(recv(raw, theirs, sizeof theirs, MSG_WAITALL) == sizeof theirs);
    assert(write(raw, ready, sizeof ready - 1) == sizeof ready - 1);
    TURN_UNTIL(recv(raw, theirs, sizeof theirs, MSG_PEEK | MSG_DONTWAIT) > 0); /* READY as well: admitted */
    return raw;
}

static void wait_for_room(int raw)
{
    struct pollfd room = { .fd = raw, .events = POLLOUT };
    if (poll(&room, 1, 0) == 0)
        turn();
}

/* Sends parts of a message that goes on, small ones many at once, turning while it
 * cannot. False: cut. */
static bool send_parts(int raw, size_t size)
{
    static char bytes[WIRE_FRAME_LIMIT + 9];
    size_t      head = size > 255 ? 9 : 2, length = 0, done = 0;
    do {
        bytes[length] = size > 255 ? 3 : 1; /* more, and perhaps a long size */
        for (size_t i = 1; i < head; i++)
            bytes[length + i] = (char)(size >> 8 * (head - 1 - i));
        length += head + size;
    } while (length < 65536);
    while (done < length) {
        ssize_t sent = send(raw, bytes + done, length - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent < 0)
            wait_for_room(raw);
        else
            done += (size_t)sent;
    }
    return true;
}

/* A message without end is cut whatever its parts are, and what libzmq kept is
 * given back; who is honest beside it notices nothing. */
static void test_endless(size_t part)
{
    open_here();
    void *honest = push_there();
    int   endless = raw_there();
    assert(zmq_send(honest, "{}", 2, 0) == 2);
    TURN_UNTIL(here.frames == 1);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, most = before;

    uint64_t sent = 1, end = clock_now(&the_clock) + PATIENCE_MS * NS_PER_MS;
    while (cuts() == 0 && clock_now(&the_clock) < end) {
        send_parts(endless, part);
        if (zmq_send(honest, "{}", 2, ZMQ_DONTWAIT) == 2)
            sent++;
        turn();
        size_t now = mallinfo2().uordblks + mallinfo2().hblkhd;
        most = now > most ? now : most;
    }
    assert(cuts() == 1);
    TURN_UNTIL(here.inlet->inflow.open == 1);
    uint64_t told = clock_now(&the_clock) + PATIENCE_MS * NS_PER_MS; /* that it is over */
    while (send_parts(endless, part))
        assert(clock_now(&the_clock) < told);
    assert(zmq_send(honest, "{}", 2, 0) == 2);
    TURN_UNTIL(here.frames == sent + 1);
    size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    printf("parts of %zu bytes: %zu KiB held at most, %zu KiB kept\n", part,
           (most - before) / 1024, after > before ? (after - before) / 1024 : 0);
    assert(most - before < 256u << 20);
    assert(after < before + (8u << 20));
    close(endless);
    zmq_close(honest);
    TURN_UNTIL(here.inlet->inflow.open == 0);
    close_here();
}

/* Many connections that each hold little are too much together. */
static void test_crowd(void)
{
    enum { CROWD = 60, PARTS = 3 };
    int crowd[CROWD];
    open_here();
    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i] = raw_there();
        for (unsigned j = 0; j < PARTS; j++)
            send_parts(crowd[i], WIRE_FRAME_LIMIT);
    }
    TURN_UNTIL(cuts() > 0);
    uint64_t ticks = here.ticks;
    TURN_UNTIL(here.ticks > ticks + 5);
    unsigned may = CONNECTIONS_HELD_MAX / (PARTS * WIRE_FRAME_LIMIT);
    assert(cuts() >= CROWD - may && cuts() < CROWD - may + 10);
    for (unsigned i = 0; i < CROWD; i++)
        close(crowd[i]);
    close_here();
}

/* Honest load is never cut: the largest frames as fast as they go, over several
 * connections, whether we keep up or not; then silence. */
static void test_load(bool lazy)
{
    static char frame[WIRE_FRAME_LIMIT];
    void       *push[3];
    uint64_t    sent = 0;
    open_here();
    here.lazy = lazy;
    for (unsigned i = 0; i < 3; i++)
        push[i] = push_there();
    while (here.ticks < 15) {
        for (unsigned i = 0; i < 3; i++)
            while (sent < here.frames + 300 &&
                   zmq_send(push[i], frame, i == 0 ? 100 : sizeof frame, ZMQ_DONTWAIT) >= 0)
                sent++;
        turn();
    }
    TURN_UNTIL(here.frames == sent);
    uint64_t ticks = here.ticks;
    TURN_UNTIL(here.ticks > ticks + 5);
    assert(cuts() == 0);
    for (unsigned i = 0; i < 3; i++)
        zmq_close(push[i]);
    close_here();
}

/* Nor are multipart messages that do end, one after the other. */
static void test_multipart(void)
{
    static char part[100 * 1024];
    open_here();
    void    *push = push_there();
    uint64_t sent = 0;
    while (here.ticks < 15) {
        while (sent < here.frames + 200 &&
               zmq_send(push, part, sizeof part, ZMQ_DONTWAIT | (sent % 10 < 9 ? ZMQ_SNDMORE : 0)) >= 0)
            sent++;
        turn();
    }
    while (sent % 10 != 0)
        if (zmq_send(push, part, sizeof part, ZMQ_DONTWAIT | (sent % 10 < 9 ? ZMQ_SNDMORE : 0)) >= 0)
            sent++;
        else
            turn();
    TURN_UNTIL(here.frames == sent);
    assert(cuts() == 0);
    zmq_close(push);
    close_here();
}

/* Connections are counted as they come; who speaks no ZeroMQ is never greeted. */
static void test_counting(void)
{
    open_here();
    struct connections *connections = &here.inlets.connections;
    struct sockaddr_in  there = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(here.inlet->port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    for (unsigned i = 0; i < 10; i++) {
        int stranger = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert(connect(stranger, (struct sockaddr *)&there, sizeof there) == 0);
        assert(write(stranger, "GET / HTTP/1.1\r\n\r\n", 18) == 18);
        close(stranger);
    }
    void *push = push_there();
    assert(zmq_send(push, "{}", 2, 0) == 2);
    TURN_UNTIL(here.frames == 1);
    TURN_UNTIL(atomic_load(&connections->accepted) == 11);
    TURN_UNTIL(connections->open == 1);
    TURN_UNTIL(atomic_load(&connections->greeted) == 1);
    zmq_close(push);
    TURN_UNTIL(connections->open == 0);
    close_here();
}

int main(void)
{
    clock_init(&the_clock, false);
    zmq = zmq_ctx_new();
    test_counting();
    test_endless(WIRE_FRAME_LIMIT);
    test_endless(1000);
    test_endless(0);
    test_crowd();
    test_load(false);
    test_load(true);
    test_multipart();
    zmq_ctx_term(zmq);
    puts("connections: ok");
    return 0;
}
