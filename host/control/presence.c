/*
 * presence.c -- see presence.h.
 */
#include "control/presence.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SUFFIX ".up"

/* A presence's file is called as a socket is, but for what it ends with. */
static bool parse(const char *file, char name[CONTROL_NAME_ROOM], long *pid)
{
    char   socket_file[CONTROL_FILE_ROOM];
    size_t size = strlen(file), suffix = sizeof SUFFIX - 1;
    if (size <= suffix || size >= sizeof socket_file - 8 || strcmp(file + size - suffix, SUFFIX) != 0)
        return false;
    snprintf(socket_file, sizeof socket_file, "%.*s.sock", (int)(size - suffix), file);
    return control_folder_parse(socket_file, name, pid);
}

/* ---- Ours ------------------------------------------------------------------- */

int presence_say(struct presence *presence, const char *text)
{
    size_t size = strlen(text);
    if (size >= PRESENCE_TEXT_MOST)
        return -E2BIG;
    if (pwrite(presence->descriptor, text, size, 0) != (ssize_t)size ||
        ftruncate(presence->descriptor, (off_t)size) != 0)
        return errno != 0 ? -errno : -EIO;
    return 0;
}

/* It gets its name when it is locked and complete: nobody takes it for one left behind. */
static int make(struct presence *presence, const char *hidden, const char *text)
{
    int folder = presence->folder.descriptor;
    unlinkat(folder, hidden, 0); /* left by a process that had our number */
    presence->descriptor = openat(folder, hidden, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (presence->descriptor < 0)
        return -errno;
    int error = flock(presence->descriptor, LOCK_EX | LOCK_NB) != 0 ? -errno : 0;
    if (error == 0)
        error = presence_say(presence, text);
    if (error == 0 && renameat(folder, hidden, folder, presence->file) != 0)
        error = -errno;
    if (error != 0) {
        unlinkat(folder, hidden, 0);
        close(presence->descriptor);
    }
    return error;
}

int presence_hold(struct presence *presence, const char *name, const char *text, char *why,
                  size_t room)
{
    char socket_file[CONTROL_FILE_ROOM], hidden[CONTROL_FILE_ROOM + 1];
    int  error = control_folder_open(&presence->folder, true, why, room);
    if (error != 0)
        return error;
    control_folder_name(socket_file, name);
    int stem = (int)(strlen(socket_file) - strlen(".sock"));
    snprintf(presence->file, sizeof presence->file, "%.*s" SUFFIX, stem, socket_file);
    snprintf(hidden, sizeof hidden, ".%s", presence->file);
    error = make(presence, hidden, text);
    if (error != 0) {
        snprintf(why, room, "%s/%s cannot be made: %s", presence->folder.path, presence->file,
                 strerror(-error));
        control_folder_close(&presence->folder);
    }
    return error;
}

void presence_end(struct presence *presence)
{
    unlinkat(presence->folder.descriptor, presence->file, 0);
    close(presence->descriptor);
    control_folder_close(&presence->folder);
}

/* ---- Others' ---------------------------------------------------------------- */

static bool has_number(int folder, const char *file, int descriptor)
{
    struct stat by_name, opened;
    return fstatat(folder, file, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(descriptor, &opened) == 0 && by_name.st_ino == opened.st_ino;
}

/* The file, if somebody holds it; if nobody does it is removed. */
static int open_held(int folder, const char *file)
{
    int descriptor = openat(folder, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0)
        return -1;
    if (flock(descriptor, LOCK_SH | LOCK_NB) != 0)
        return descriptor;
    if (has_number(folder, file, descriptor))
        unlinkat(folder, file, 0);
    close(descriptor);
    return -1;
}

static void visit_file(int folder, const char *file, char *text,
                       void (*visit)(void *context, const char *file, const char *name, long pid,
                                     const char *text),
                       void *context)
{
    char name[CONTROL_NAME_ROOM];
    long pid;
    if (!parse(file, name, &pid))
        return;
    int descriptor = open_held(folder, file);
    if (descriptor < 0)
        return;
    ssize_t size = pread(descriptor, text, PRESENCE_TEXT_MOST - 1, 0);
    close(descriptor);
    text[size > 0 ? size : 0] = '\0';
    visit(context, file, name, pid, text);
}

int presence_each(void (*visit)(void *context, const char *file, const char *name, long pid,
                                const char *text),
                  void *context, char *why, size_t room)
{
    struct control_folder folder;
    int error = control_folder_open(&folder, false, why, room);
    if (error != 0)
        return error == -ENOENT ? 0 : error;
    int   descriptor = openat(folder.descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR  *files = descriptor >= 0 ? fdopendir(descriptor) : NULL;
    char *text = memory_get(PRESENCE_TEXT_MOST);
    if (files == NULL || text == NULL) {
        error = files == NULL ? -errno : -ENOMEM;
        snprintf(why, room, "%s cannot be read: %s", folder.path, strerror(-error));
    }
    struct dirent *each;
    while (error == 0 && (each = readdir(files)) != NULL)
        if (each->d_name[0] != '.')
            visit_file(folder.descriptor, each->d_name, text, visit, context);
    memory_put(text, PRESENCE_TEXT_MOST);
    if (files != NULL)
        closedir(files);
    else if (descriptor >= 0)
        close(descriptor);
    control_folder_close(&folder);
    return error;
}

int presence_reach(const char *file)
{
    struct control_folder folder;
    char name[CONTROL_NAME_ROOM], why[1];
    long pid;
    if (!parse(file, name, &pid))
        return -EINVAL;
    int error = control_folder_open(&folder, false, why, sizeof why);
    if (error != 0)
        return error == -ENOENT ? -ESRCH : error;
    int process = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    error = process < 0 ? -errno : 0;
    /* Held after that: then it was not another process that got the number. */
    int held = error == 0 ? open_held(folder.descriptor, file) : -1;
    if (error == 0 && held < 0) {
        error = -ESRCH;
        close(process);
    }
    if (held >= 0)
        close(held);
    control_folder_close(&folder);
    return error != 0 ? error : process;
}
