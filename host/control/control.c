/*
 * control.c -- the control socket: made, served by its thread, taken away.
 */
#include "control/control.h"

#include "base/log.h"
#include "base/memory.h"
#include "control/control_room.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- Making ---------------------------------------------------------------- */

static void close_files(struct control *control)
{
    if (control->listener >= 0) {
        close(control->listener);
        unlinkat(control->folder.descriptor, control->file, 0);
    }
    if (control->wake >= 0)
        close(control->wake);
    control_folder_close(&control->folder);
}

static void free_memory(struct control *control)
{
    memory_put(control->connections, CONTROL_CLIENTS_MAX * sizeof *control->connections);
    free(control->commands);
    memory_put(control, sizeof *control);
}

static int open_files(struct control *control, const char *name, char *why, size_t room)
{
    struct control_folder *folder = &control->folder;
    int error = control_folder_open(folder, true, why, room);
    if (error != 0)
        return error;
    control_folder_each(folder, NULL, NULL); /* removes what the dead have left */
    control->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (control->wake < 0) {
        error = -errno;
        snprintf(why, room, "%s", strerror(-error));
        return error;
    }
    control->listener = control_folder_listen(folder, name, control->file);
    if (control->listener < 0) {
        snprintf(why, room, "no socket can be made in %s: %s%s", folder->path,
                 strerror(-control->listener),
                 access("/proc/self/fd", X_OK) != 0 ? " (/proc is not mounted)" : "");
        return control->listener;
    }
    snprintf(control->path, sizeof control->path, "%s/%s", folder->path, control->file);
    return 0;
}

int control_open(struct control **out, const char *name, char *why, size_t room)
{
    struct control *control = memory_get_zeroed(sizeof *control);
    if (control == NULL) {
        snprintf(why, room, "out of memory");
        return -ENOMEM;
    }
    atomic_init(&control->references, 1);
    control->listener = control->wake = control->folder.descriptor = -1;
    control->connections =
        memory_get_zeroed(CONTROL_CLIENTS_MAX * sizeof *control->connections);
    int error = -ENOMEM;
    if (control->connections == NULL)
        snprintf(why, room, "out of memory");
    else
        error = open_files(control, name, why, room);
    if (error != 0) {
        close_files(control);
        free_memory(control);
        return error;
    }
    *out = control;
    return 0;
}

int control_add(struct control *control, const struct control_command *command)
{
    for (size_t i = 0; i < control->command_count; i++)
        if (strcmp(control->commands[i].name, command->name) == 0)
            return -EEXIST;
    struct control_command *commands =
        realloc(control->commands, (control->command_count + 1) * sizeof *commands);
    if (commands == NULL)
        return -ENOMEM;
    control->commands = commands;
    commands[control->command_count++] = *command;
    return 0;
}

const char *control_path(const struct control *control)
{
    return control->path;
}

int control_start(struct control *control)
{
    int error = thread_start(&control->thread, "control", 0, control_run, control);
    control->started = error == 0;
    return error;
}

/* ---- Ending ---------------------------------------------------------------- */

/* The one who wakes it may be the last to know it: the descriptor stays open as long
 * as anybody does. */
void control_wake(struct control *control)
{
    uint64_t one = 1;
    while (write(control->wake, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

void control_unref(struct control *control)
{
    if (atomic_fetch_sub_explicit(&control->references, 1, memory_order_acq_rel) > 1)
        return;
    close_files(control);
    free_memory(control);
}

void control_stop(struct control *control)
{
    if (control->stopped)
        return;
    control->stopped = true;
    if (control->started) {
        atomic_store_explicit(&control->stopping, true, memory_order_release);
        control_wake(control);
        thread_join(&control->thread);
    }
    close(control->listener);
    control->listener = -1;
    unlinkat(control->folder.descriptor, control->file, 0);
}

void control_close(struct control *control)
{
    if (control == NULL)
        return;
    control_stop(control);
    control_unref(control);
}
