/*
 * watcher_look.c -- what is in a watched file now.
 */
#include "io/watcher_room.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_LIMIT ((size_t)64 << 20) /* bytes that are compared; no script is that long */

/* Cannot be read: what counts then is why. */
static struct look unreadable(int error)
{
    bool gone = error == ENOENT || error == ENOTDIR || error == ELOOP;
    return (struct look){ .there = !gone, .hash = hash_more(~HASH_EMPTY, &error, sizeof error) };
}

/* The hash of a plain file's content. */
static struct look look_inside(int fd)
{
    struct look look = { .there = true, .hash = HASH_EMPTY };
    uint8_t bytes[16 * 1024];
    for (size_t size = 0; size < LOOK_LIMIT;) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got == 0)
            break;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return unreadable(errno);
        look.hash = hash_more(look.hash, bytes, (size_t)got);
        size += (size_t)got;
    }
    return look;
}

struct look watcher_look(const char *path)
{
    /* O_NONBLOCK: a pipe must not make us wait before we know it is one. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return unreadable(errno);
    struct stat info;
    struct look look;
    if (fstat(fd, &info) != 0)
        look = unreadable(errno);
    else if (!S_ISREG(info.st_mode))
        look = unreadable(S_ISDIR(info.st_mode) ? EISDIR : ENOTSUP);
    else
        look = look_inside(fd);
    close(fd);
    return look;
}
