/*
 * tools_control.c -- the command line's way to running hosts, filled: it finds them
 * in the folder of this user's control sockets.
 */
#include "tools.h"

#include "control/folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LET_IN_TRIES 100 /* of 10 ms each, while too many wait to be let in */

struct list {
    struct control_host *hosts;
    unsigned most, count;
    const char *folder;
};

static void note_host(void *context, const char *file, const char *name, long pid)
{
    struct list *list = context;
    if (list->count == list->most)
        return;
    struct control_host *host = &list->hosts[list->count++];
    snprintf(host->path, sizeof host->path, "%s/%s", list->folder, file);
    snprintf(host->name, sizeof host->name, "%s", name);
    host->pid = pid;
}

static int list(struct control_host *hosts, unsigned most, char *path, size_t path_room, char *why,
                size_t room)
{
    struct control_folder folder;
    int error = control_folder_open(&folder, false, why, room);
    snprintf(path, path_room, "%s", folder.path);
    if (error != 0)
        return error == -ENOENT ? 0 : error;
    struct list found = { .hosts = hosts, .most = most, .folder = folder.path };
    error = control_folder_each(&folder, note_host, &found);
    control_folder_close(&folder);
    if (error == 0)
        return (int)found.count;
    snprintf(why, room, "%s cannot be read: %s", path, strerror(-error));
    return error;
}

static int connect(const char *path, char *why, size_t room)
{
    struct control_folder folder;
    const char *slash = strrchr(path, '/');
    int descriptor = control_folder_open(&folder, false, why, room);
    if (descriptor != 0)
        return descriptor;
    for (unsigned i = 0; i < LET_IN_TRIES; i++) {
        struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
        descriptor = control_folder_connect(&folder, slash != NULL ? slash + 1 : path);
        if (descriptor != -EAGAIN)
            break;
        nanosleep(&pause, NULL);
    }
    control_folder_close(&folder);
    if (descriptor == -EPERM)
        snprintf(why, room, "%s belongs to another user", path);
    else if (descriptor == -EAGAIN)
        snprintf(why, room, "the host does not let anybody in: is it stopped?");
    else if (descriptor < 0)
        snprintf(why, room, "the host has ended");
    return descriptor;
}

const struct control_port control_port = { .list = list, .connect = connect };
