/*
 * file.c -- lines of files and of the standard input; and how all descriptors are read.
 *
 * A regular file can be read at any time, but that may wait for the disk, and
 * all other streams with it: so a slice that is not in memory yet is asked for,
 * and read a moment later.
 */
#include "io/io_room.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define AHEAD              (1024 * 1024)
#define COLD_LOOK_NS       (2 * NS_PER_MS)
#define COLD_LOOKS         500 /* then it is read, however long that takes */
#define FOREGROUND_LOOK_NS (250 * NS_PER_MS)

/* Our own way to the standard input, if possible: what we change of it must not
 * change the terminal, or the pipe, under those who share it. */
static int open_stdin(struct io_stream *stream)
{
    struct stat status;
    if (fstat(STDIN_FILENO, &status) != 0)
        return -errno;
    if (S_ISCHR(status.st_mode) || S_ISFIFO(status.st_mode)) {
        int own = open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (own >= 0)
            return own;
    }
    stream->blocking = true;
    int copy = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    return copy >= 0 ? copy : -errno;
}

static int take_stdin(struct io_stream *stream, char *why, size_t room)
{
    struct io *io = stream->io;
    lock_acquire(&io->lock);
    bool taken = io->stdin_taken;
    io->stdin_taken = true;
    lock_release(&io->lock);
    if (taken) {
        snprintf(why, room, "the standard input is read by another stream already");
        return -EBUSY;
    }
    stream->is_stdin = true;
    return 0;
}

static int refuse(const char *path, int error, char *why, size_t room)
{
    char text[100];
    if (error == ENOENT)
        snprintf(why, room, "there is no file %s", path);
    else if (error == EISDIR)
        snprintf(why, room, "%s is a directory", path);
    else
        snprintf(why, room, "cannot open %s: %s", path, io_explain(error, text, sizeof text));
    return -error;
}

int io_open_file(struct io_stream *stream, const char *path, char *why, size_t room)
{
    bool standard = strcmp(path, "-") == 0;
    struct stat status;
    int error = standard ? take_stdin(stream, why, room) : 0;
    if (error != 0)
        return error;
    int descriptor = standard ? open_stdin(stream)
                              : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    const char *name = standard ? "the standard input" : path;
    if (descriptor < 0)
        return refuse(name, standard ? -descriptor : errno, why, room);
    stream->in = descriptor;
    stream->mute = true;
    if (fstat(descriptor, &status) != 0)
        return refuse(name, errno, why, room);
    if (S_ISDIR(status.st_mode))
        return refuse(name, EISDIR, why, room);
    stream->terminal = isatty(descriptor) != 0;
    stream->plain = S_ISREG(status.st_mode);
    if (stream->plain)
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

/* A terminal is read only by its foreground: else we were stopped, or took what
 * is meant for another. */
static bool in_background(const struct io_stream *stream)
{
    pid_t foreground = tcgetpgrp(stream->in);
    return foreground > 0 && foreground != getpgrp();
}

static ssize_t read_plain(struct io_stream *stream, void *bytes, size_t room)
{
    struct iovec part = { .iov_base = bytes, .iov_len = room };
    if (stream->cold < COLD_LOOKS) {
        ssize_t size = preadv2(stream->in, &part, 1, -1, RWF_NOWAIT);
        if (size < 0 && errno == EAGAIN) {
            off_t at = lseek(stream->in, 0, SEEK_CUR);
            posix_fadvise(stream->in, at, AHEAD, POSIX_FADV_WILLNEED);
            stream->cold++;
            io_set_due(stream, clock_now(&stream->io->clock) + COLD_LOOK_NS);
            errno = EAGAIN;
            return -1;
        }
        if (size >= 0) {
            stream->cold = 0;
            return size;
        }
    }
    stream->cold = 0;
    return read(stream->in, bytes, room);
}

static ssize_t read_once(struct io_stream *stream, void *bytes, size_t room)
{
    if (stream->plain)
        return read_plain(stream, bytes, room);
    if (stream->terminal && in_background(stream)) {
        io_set_due(stream, clock_now(&stream->io->clock) + FOREGROUND_LOOK_NS);
        errno = EAGAIN;
        return -1;
    }
    if (stream->blocking) {
        struct pollfd look = { .fd = stream->in, .events = POLLIN };
        if (poll(&look, 1, 0) == 0) {
            errno = EAGAIN;
            return -1;
        }
    }
    return read(stream->in, bytes, room);
}

ssize_t io_read(struct io_stream *stream, void *bytes, size_t room)
{
    ssize_t size;
    do {
        size = read_once(stream, bytes, room);
    } while (size < 0 && errno == EINTR);
    if (size >= 0)
        return size;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}
