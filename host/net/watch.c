/*
 * watch.c -- epoll, said in our words.
 */
#include "net/watch.h"

#include <errno.h>
#include <stddef.h>
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

int watch_descriptor(void *socket)
{
    int    descriptor = -1;
    size_t size = sizeof descriptor;
    return zmq_getsockopt(socket, ZMQ_FD, &descriptor, &size) == 0 ? descriptor : -1;
}
