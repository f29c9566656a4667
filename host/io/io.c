/*
 * io.c -- the room as a whole: made when it is first used, and taken down.
 */
#include "io/io_room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

const char *io_explain(int error, char *text, size_t room)
{
    struct rlimit limit;
    if (error != EMFILE || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return strerror(error);
    snprintf(text, room, "too many open files (the limit is %llu: ulimit -n)",
             (unsigned long long)limit.rlim_cur);
    return text;
}

/* Streams need descriptors: as many as we are allowed to take. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int begin_locked(struct io *io)
{
    if (io->stopping)
        return -ESHUTDOWN;
    if (io->started)
        return 0;
    raise_limit();
    io->epoll = epoll_create1(EPOLL_CLOEXEC);
    io->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN };
    int error = 0;
    if (io->epoll < 0 || io->wake < 0 ||
        epoll_ctl(io->epoll, EPOLL_CTL_ADD, io->wake, &event) != 0)
        error = -errno;
    if (error == 0 && !io->stage)
        error = thread_start(&io->thread, "troupe-io", 0, io_run, io);
    io->started = error == 0;
    if (error != 0) {
        if (io->epoll >= 0)
            close(io->epoll);
        if (io->wake >= 0)
            close(io->wake);
        io->epoll = io->wake = -1;
    }
    return error;
}

int io_begin(struct io *io)
{
    lock_acquire(&io->lock);
    int error = begin_locked(io);
    lock_release(&io->lock);
    return error;
}

int io_open(struct io **out, struct system *system, const struct packet_source *packets)
{
    struct io *io = calloc(1, sizeof *io);
    if (io == NULL)
        return -ENOMEM;
    io->system = system;
    io->stage = system->scheduler.regular == 0;
    io->epoll = io->wake = -1;
    if (packets != NULL)
        io->packets = *packets;
    clock_init(&io->clock, false);
    lock_init(&io->lock);
    bytes_init(&io->packed, 0);
    io_fill_port(io, &system->streams);
    *out = io;
    return 0;
}

void io_stop(struct io *io, uint64_t patience_ns)
{
    if (io == NULL)
        return;
    lock_acquire(&io->lock);
    bool runs = io->started && !io->stopping;
    io->stopping = true;
    io->stop_ns = patience_ns;
    if (runs)
        io_wake(io);
    lock_release(&io->lock);
    if (!runs)
        return;
    if (io->stage)
        io_wind_up(io);
    else
        thread_join(&io->thread);
}

bool io_reads_stdin(struct io *io)
{
    lock_acquire(&io->lock);
    bool taken = io->stdin_taken;
    lock_release(&io->lock);
    return taken;
}

void io_close(struct io *io)
{
    if (io == NULL)
        return;
    io_let_all_go(io);
    if (io->started) {
        close(io->epoll);
        close(io->wake);
    }
    bytes_fini(&io->packed);
    lock_fini(&io->lock);
    free(io->streams);
    free(io->generations);
    free(io);
}
