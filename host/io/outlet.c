/*
 * outlet.c -- see outlet.h.
 */
#include "io/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Another way to the same file, which never blocks; -1: there is none. */
static int open_anew(int descriptor)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

void outlet_open(struct outlet *outlet, int descriptor)
{
    struct stat status;
    *outlet = (struct outlet){ .kind = OUTLET_PLAIN, .descriptor = descriptor };
    bytes_init(&outlet->kept, OUTLET_MOST);
    outlet->is_terminal = isatty(descriptor) == 1;
    if (fstat(descriptor, &status) != 0 || S_ISREG(status.st_mode))
        return;
    outlet->kind = S_ISSOCK(status.st_mode) ? OUTLET_SOCKET : OUTLET_BORROWED;
    int own = outlet->kind == OUTLET_SOCKET ? -1 : open_anew(descriptor);
    if (own >= 0) {
        outlet->kind = OUTLET_OWN;
        outlet->descriptor = own;
    }
}

void outlet_close(struct outlet *outlet)
{
    if (outlet->kind == OUTLET_OWN)
        close(outlet->descriptor);
    bytes_fini(&outlet->kept);
    outlet->gone = true;
    outlet->descriptor = -1;
    outlet->kind = OUTLET_PLAIN;
}

bool outlet_is_same(int descriptor, int other)
{
    struct stat one, two;
    return fstat(descriptor, &one) == 0 && fstat(other, &two) == 0 && one.st_dev == two.st_dev &&
           one.st_ino == two.st_ino && one.st_rdev == two.st_rdev;
}

static ssize_t write_some(struct outlet *outlet, const void *data, size_t size)
{
    struct pollfd file = { .fd = outlet->descriptor, .events = POLLOUT };
    switch (outlet->kind) {
    case OUTLET_SOCKET:
        return send(outlet->descriptor, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    case OUTLET_BORROWED: /* a pipe that says so takes that much without waiting */
        if (poll(&file, 1, 0) != 1) {
            errno = EAGAIN;
            return -1;
        }
        return write(outlet->descriptor, data, size < PIPE_BUF ? size : PIPE_BUF);
    default:
        return write(outlet->descriptor, data, size);
    }
}

static void drop(struct outlet *outlet)
{
    outlet->begin = 0;
    bytes_clear(&outlet->kept, OUTLET_FULL);
}

static void fail(struct outlet *outlet, int error)
{
    if (error == EPIPE || error == EIO || error == ECONNRESET)
        outlet->gone = true;
    else if (outlet->error == 0)
        outlet->error = error;
    drop(outlet);
}

void outlet_flush(struct outlet *outlet)
{
    while (outlet_kept(outlet) > 0) {
        ssize_t size = write_some(outlet, outlet->kept.data + outlet->begin, outlet_kept(outlet));
        if (size >= 0)
            outlet->begin += (size_t)size;
        else if (errno == EAGAIN)
            return;
        else if (errno != EINTR)
            fail(outlet, errno);
    }
    drop(outlet);
}

void outlet_put(struct outlet *outlet, const char *text, size_t size)
{
    if (outlet->gone)
        return;
    if (outlet->begin > 0 && outlet->kept.size + size > 2 * OUTLET_FULL) {
        outlet->kept.size = outlet_kept(outlet);
        memmove(outlet->kept.data, outlet->kept.data + outlet->begin, outlet->kept.size);
        outlet->begin = 0;
    }
    bytes_append(&outlet->kept, text, size);
    if (outlet->kept.failed && outlet->error == 0)
        outlet->error = ENOBUFS;
    outlet->kept.failed = false;
    if (outlet_is_full(outlet))
        outlet_flush(outlet);
}
