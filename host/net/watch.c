/*
 * watch.c -- epoll, said in our words.
 */
#include "net/watch.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <zmq.h>

static int control(int epoll, int operation, int descriptor, unsigned events, struct watch *watch)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };
    return epoll_ctl(epoll, operation, descriptor, &event) == 0 ? 0 : -errno;
}

int watch_add(int epoll, int descriptor, struct watch *watch)
{
    return control(epoll, EPOLL_CTL_ADD, descriptor, EPOLLIN, watch);
}

int watch_add_asleep(int epoll, int descriptor, struct watch *watch)
{
    return control(epoll, EPOLL_CTL_ADD, descriptor, EPOLLONESHOT, watch);
}

void watch_ask(int epoll, int descriptor, struct watch *watch)
{
    control(epoll, EPOLL_CTL_MOD, descriptor, EPOLLIN | EPOLLONESHOT, watch);
}

void watch_remove(int epoll, int descriptor)
{
    control(epoll, EPOLL_CTL_DEL, descriptor, 0, NULL);
}

bool watch_read_event(void *monitor, unsigned *event, int *value)
{
    /* Two parts: the event's number (16 bits) and value (32), then an endpoint. */
    unsigned char head[6];
    char          endpoint[256];
    uint16_t      number;
    int32_t       number_of_it;
    int           size;

    do {
        size = zmq_recv(monitor, head, sizeof head, ZMQ_DONTWAIT);
        if (size < 0 && errno != EINTR)
            return false;
        if (size >= 0)
            zmq_recv(monitor, endpoint, sizeof endpoint, ZMQ_DONTWAIT);
    } while (size != (int)sizeof head);
    memcpy(&number, head, sizeof number);
    memcpy(&number_of_it, head + sizeof number, sizeof number_of_it);
    *event = number;
    *value = number_of_it;
    return true;
}

int watch_descriptor(void *socket)
{
    int    descriptor = -1;
    size_t size = sizeof descriptor;
    return zmq_getsockopt(socket, ZMQ_FD, &descriptor, &size) == 0 ? descriptor : -1;
}
