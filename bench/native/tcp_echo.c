/*
 * tcp_echo.c -- lines there and back over loopback TCP, against a server that
 * does as little as one can: an epoll loop that writes what it has read.
 *
 *   tcp_echo serve PORT                   that server, until it reads its end
 *   tcp_echo ask PORT CONNECTIONS COUNT   COUNT round trips of a line of 32 bytes, one at a
 *                                         time on each connection; prints
 *                                         `tcp_echo rtt VALUE us`, or with more than one
 *                                         connection `tcp_echo trips VALUE 1/s`
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE 32
#define PATIENCE  1000 /* tries to connect, 10 ms apart */

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "tcp_echo: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct sockaddr_in address_of(const char *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)atoi(port)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    return address;
}

static void set_no_delay(int descriptor)
{
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void watch(int epoll, int descriptor)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = descriptor };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0)
        fail("epoll_ctl");
}

/* ---- The server ----------------------------------------------------------- */

/* False: it has ended. */
static bool echo(int descriptor)
{
    char text[65536];
    ssize_t size = read(descriptor, text, sizeof text);
    if (size <= 0)
        return false;
    if (write(descriptor, text, (size_t)size) != size)
        fail("write");
    return true;
}

static int serve(const char *port)
{
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
    struct sockaddr_in address = address_of(port);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1024) != 0)
        fail("listen");
    watch(epoll, listener);
    watch(epoll, STDIN_FILENO);
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            int descriptor = events[i].data.fd;
            if (descriptor == STDIN_FILENO)
                return 0;
            if (descriptor == listener) {
                int client = accept(listener, NULL, NULL);
                set_no_delay(client);
                watch(epoll, client);
            } else if (!echo(descriptor)) {
                close(descriptor);
            }
        }
    }
}

/* ---- The client ----------------------------------------------------------- */

static int connect_to(const char *port)
{
    struct sockaddr_in address = address_of(port);
    for (int tries = 0; tries < PATIENCE; tries++) {
        int descriptor = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0) {
            set_no_delay(descriptor);
            return descriptor;
        }
        close(descriptor);
        usleep(10000);
    }
    fail("connect");
}

static void say(int descriptor)
{
    char line[LINE_SIZE];
    memset(line, 'x', sizeof line);
    line[LINE_SIZE - 1] = '\n';
    if (write(descriptor, line, sizeof line) != LINE_SIZE)
        fail("write");
}

static void hear(int descriptor)
{
    char line[LINE_SIZE];
    size_t have = 0;
    while (have < sizeof line) {
        ssize_t size = read(descriptor, line + have, sizeof line - have);
        if (size <= 0)
            fail("read");
        have += (size_t)size;
    }
}

static void ask(int epoll, long count)
{
    for (long done = 0; done < count;) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < ready; i++, done++) {
            hear(events[i].data.fd);
            say(events[i].data.fd);
        }
    }
}

static int measure(const char *port, int connections, long count)
{
    int epoll = epoll_create1(0);
    for (int i = 0; i < connections; i++) {
        int descriptor = connect_to(port);
        say(descriptor);
        watch(epoll, descriptor);
    }
    ask(epoll, count / 10);
    double began = now_s();
    ask(epoll, count);
    double took = now_s() - began;
    if (connections == 1)
        printf("tcp_echo rtt %.6g us\n", took / (double)count * 1e6);
    else
        printf("tcp_echo trips %.6g 1/s\n", (double)count / took);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2]);
    if (argc == 5 && strcmp(argv[1], "ask") == 0)
        return measure(argv[2], atoi(argv[3]), atol(argv[4]));
    fprintf(stderr, "usage: tcp_echo serve PORT | tcp_echo ask PORT CONNECTIONS COUNT\n");
    return 2;
}
