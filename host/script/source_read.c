/*
 * source_read.c -- the files of sources: read whole, or refused in one line.
 * Nothing here waits: not for a pipe, not for somebody who is still writing.
 */
#include "script/source_store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_ATTEMPTS 4 /* of a file that is written to meanwhile */

static int cannot_read(const char *path, int error, char *why, size_t room)
{
    char text[128];
    snprintf(why, room, "%s: %s", path, strerror_r(error, text, sizeof text));
    return -error;
}

int source_resolve(const char *path, char *file, char *why, size_t room)
{
    return realpath(path, file) != NULL ? 0 : cannot_read(path, errno, why, room);
}

static int too_large(const char *path, char *why, size_t room)
{
    snprintf(why, room, "%s: larger than %zu MiB", path, SOURCE_LIMIT / (1024 * 1024));
    return -EFBIG;
}

/* Appends all that can be read of `fd`, up to the limit of `text`. */
static int read_all(int fd, const char *path, struct bytes *text, char *why, size_t room)
{
    while (bytes_reserve(text, 1)) {
        ssize_t got = read(fd, text->data + text->size, text->capacity - text->size);
        if (got == 0)
            return 0;
        if (got > 0)
            text->size += (size_t)got;
        else if (errno != EINTR)
            return cannot_read(path, errno, why, room);
    }
    return text->size < SOURCE_LIMIT ? source_no_memory(why, room) : too_large(path, why, room);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The same from the beginning, again while somebody writes to it: what was read half before
 * a write and half behind it was never in the file. */
static int read_steadily(int fd, const char *path, struct bytes *text, char *why, size_t room)
{
    struct stat before, after;
    if (fstat(fd, &before) != 0)
        return cannot_read(path, errno, why, room);
    if (!S_ISREG(before.st_mode)) {
        snprintf(why, room, "%s: %s", path,
                 S_ISDIR(before.st_mode) ? "is a folder, not a script" : "is not a plain file");
        return S_ISDIR(before.st_mode) ? -EISDIR : -EINVAL;
    }
    for (int i = 0; i < READ_ATTEMPTS; i++) {
        if (before.st_size > (off_t)SOURCE_LIMIT)
            return too_large(path, why, room);
        bytes_clear(text, SIZE_MAX);
        bytes_reserve(text, (size_t)before.st_size + 1);
        int err = read_all(fd, path, text, why, room);
        if (err != 0)
            return err;
        if (fstat(fd, &after) != 0 || lseek(fd, 0, SEEK_SET) != 0)
            return cannot_read(path, errno, why, room);
        if (is_same(&before, &after))
            return 0;
        before = after;
    }
    snprintf(why, room, "%s: is being written to", path);
    return -EBUSY;
}

/* Appends `file`, known to people as `path`, to `text`. 0 or -errno and why. */
static int read_file(const char *path, const char *file, struct bytes *text, char *why, size_t room)
{
    /* O_NONBLOCK: a pipe must not make us wait before we know it is one. */
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return cannot_read(path, errno, why, room);
    int err = read_steadily(fd, path, text, why, room);
    close(fd);
    return err;
}

static int build(struct lineage *lineage, const char *path, const char *file,
                 const struct bytes *text, struct source **source, char *why, size_t room)
{
    if (lineage != NULL)
        return source_build(lineage, file, (const char *)text->data, text->size, source, why, room);
    char name[PATH_MAX + 1];
    snprintf(name, sizeof name, "@%s", path);
    lineage = lineage_new(name);
    if (lineage == NULL)
        return source_no_memory(why, room);
    int err = source_build(lineage, file, (const char *)text->data, text->size, source, why, room);
    lineage_unref(lineage);
    return err;
}

int source_read_if_new(struct lineage *lineage, const char *path, const char *file,
                       const struct source *known, struct source **source, char *why, size_t room)
{
    struct bytes text;
    *source = NULL;
    bytes_init(&text, SOURCE_LIMIT + 1);
    int err = read_file(path, file, &text, why, room);
    bool is_known = err == 0 && known != NULL &&
                    known->hash == source_hash_of((const char *)text.data, text.size);
    if (err == 0 && !is_known)
        err = build(lineage, path, file, &text, source, why, room);
    bytes_fini(&text);
    return err;
}

int source_read(struct lineage *lineage, const char *path, const char *file,
                struct source **source, char *why, size_t room)
{
    return source_read_if_new(lineage, path, file, NULL, source, why, room);
}
