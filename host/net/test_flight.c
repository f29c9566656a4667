/*
 * test_flight.c -- what a lost connection may have taken with it.
 */
#include "net/flight.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS NS_PER_MS

/* Only what was handed over a moment ago counts; never more than there was. */
static void test_time(void)
{
    struct flight flight;
    flight_init(&flight);
    assert(flight_end(&flight, 1000 * MS) == 0);

    for (uint64_t ms = 1000; ms < 2000; ms++)
        flight_add(&flight, 100, ms * MS);
    uint64_t frames = flight_end(&flight, 2000 * MS);
    assert(frames >= 100 && frames <= 120);
    assert(flight_end(&flight, 2000 * MS) == 0); /* the next connection begins at 0 */

    for (int i = 0; i < 5; i++)
        flight_add(&flight, 100, 3000 * MS);
    assert(flight_end(&flight, 3099 * MS) == 5);
    for (int i = 0; i < 5; i++)
        flight_add(&flight, 100, 3000 * MS);
    assert(flight_end(&flight, 3200 * MS) == 0);
    flight_fini(&flight);
}

struct pair {
    int  here, there;
    char endpoint[40]; /* of `there` as `here` sees it */
};

static void connect_pair(struct pair *pair)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int       door = socket(AF_INET, SOCK_STREAM, 0);
    assert(door >= 0 && bind(door, (struct sockaddr *)&address, size) == 0);
    assert(listen(door, 1) == 0 && getsockname(door, (struct sockaddr *)&address, &size) == 0);
    pair->here = socket(AF_INET, SOCK_STREAM, 0);
    assert(connect(pair->here, (struct sockaddr *)&address, size) == 0);
    pair->there = accept(door, NULL, NULL);
    assert(pair->there >= 0);
    close(door);
    snprintf(pair->endpoint, sizeof pair->endpoint, "tcp://127.0.0.1:%u",
             ntohs(address.sin_port));
}

/* Bytes that the other machine has not acknowledged count however old they
 * are, and still do when the connection was closed under us. */
static void test_bytes(void)
{
    struct flight flight;
    struct pair   pair;
    char          frame[1000];
    uint64_t      frames = 0;

    memset(frame, 'x', sizeof frame);
    connect_pair(&pair);
    flight_init(&flight);
    flight_begin(&flight, pair.here, pair.endpoint);
    assert(flight.descriptor >= 0 && flight.descriptor != pair.here);
    assert(fcntl(pair.here, F_SETFL, O_NONBLOCK) == 0);
    while (send(pair.here, frame, sizeof frame, MSG_NOSIGNAL) == (ssize_t)sizeof frame) {
        flight_add(&flight, sizeof frame, 1000 * MS);
        frames++;
    }
    close(pair.here);
    close(pair.there); /* unread: a reset */
    uint64_t unconfirmed = flight_end(&flight, 60000 * MS);
    assert(unconfirmed > 0 && unconfirmed <= frames);
    assert(flight.descriptor == -1);
}

/* A descriptor that leads elsewhere by now is left alone. */
static void test_mistaken(void)
{
    struct flight flight;
    struct pair   pair;
    connect_pair(&pair);
    flight_init(&flight);
    flight_begin(&flight, pair.here, "tcp://127.0.0.1:1");
    assert(flight.descriptor == -1);
    flight_begin(&flight, 1 << 20, pair.endpoint);
    assert(flight.descriptor == -1);
    close(pair.here);
    close(pair.there);
}

int main(void)
{
    test_time();
    test_bytes();
    test_mistaken();
    return 0;
}
