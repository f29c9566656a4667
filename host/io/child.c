/*
 * child.c -- child processes: made, ended with all that they have started, and
 * waited for.
 *
 * A child leads a process group of its own. It is waited for last, after what
 * is left of its group was killed: until then nobody else can get its number.
 */
#include "io/io_room.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A pipe whose ends are none of the three that a child has by number. */
static int open_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        if (ends[i] > STDERR_FILENO)
            continue;
        int above = fcntl(ends[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        int error = errno;
        if (above < 0) {
            close(ends[0]);
            close(ends[1]);
            return -error;
        }
        close(ends[i]);
        ends[i] = above;
    }
    return 0;
}

static int say_files(posix_spawn_file_actions_t *files, const struct stream_request *request,
                     int input, int output)
{
    int error = posix_spawn_file_actions_adddup2(files, input, STDIN_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(files, output, STDOUT_FILENO);
    if (error == 0 && request->errors == ERRORS_LINES)
        error = posix_spawn_file_actions_adddup2(files, output, STDERR_FILENO);
    if (error == 0 && request->errors == ERRORS_NONE)
        error = posix_spawn_file_actions_addopen(files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0 && request->folder != NULL)
        error = posix_spawn_file_actions_addchdir_np(files, request->folder);
    if (error == 0) /* whatever else is open in this process, be it a script's file */
        error = posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
    return error;
}

static int say_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                         POSIX_SPAWN_SETSIGDEF);
    if (error == 0)
        error = posix_spawnattr_setpgroup(attributes, 0);
    if (error == 0)
        error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &all);
    return error;
}

/* 0 and *child, or an errno. */
static int spawn(const struct stream_request *request, int input, int output, pid_t *child)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    char *const *arguments = (char *const *)(uintptr_t)request->arguments; /* which it leaves alone */

    int error = posix_spawn_file_actions_init(&files);
    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error != 0)
        goto destroy_files;
    error = say_files(&files, request, input, output);
    if (error == 0)
        error = say_attributes(&attributes);
    if (error == 0)
        error = posix_spawnp(child, arguments[0], &files, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
destroy_files:
    posix_spawn_file_actions_destroy(&files);
    return error;
}

static int refuse(const struct stream_request *request, int error, char *why, size_t room)
{
    struct stat status;
    char text[100];
    if (error == ENOENT && request->folder != NULL && stat(request->folder, &status) != 0)
        snprintf(why, room, "there is no folder %s", request->folder);
    else if (error == ENOENT)
        snprintf(why, room, "there is no program %s", request->arguments[0]);
    else
        snprintf(why, room, "cannot start %s: %s", request->arguments[0],
                 io_explain(error, text, sizeof text));
    return -error;
}


int io_open_child(struct io_stream *stream, const struct stream_request *request, char *why,
                  size_t room)
{
    int input[2], output[2];
    int error = open_pipe(input);
    if (error != 0)
        return refuse(request, -error, why, room);
    error = open_pipe(output);
    if (error != 0) {
        close(input[0]);
        close(input[1]);
        return refuse(request, -error, why, room);
    }
    error = spawn(request, input[0], output[1], &stream->child);
    close(input[0]);
    close(output[1]);
    stream->out = input[1];
    stream->in = output[0];
    stream->writable = true;
    if (error != 0) {
        stream->child = 0;
        return refuse(request, error, why, room);
    }
    fcntl(stream->in, F_SETFL, O_NONBLOCK);
    fcntl(stream->out, F_SETFL, O_NONBLOCK);
    /* Where there are no such descriptors the child is looked at now and then. */
    stream->child_watch = (int)syscall(SYS_pidfd_open, stream->child, 0);
    return 0;
}

/* Nobody signals it any more. */
static void forget(struct io_stream *stream)
{
    lock_acquire(&stream->lock);
    stream->child = 0;
    lock_release(&stream->lock);
}

bool io_child_exited(struct io_stream *stream)
{
    siginfo_t info = { .si_pid = 0 };
    if (stream->child == 0 || stream->child_exited)
        return true;
    int error = waitid(P_PID, (id_t)stream->child, &info, WEXITED | WNOHANG | WNOWAIT);
    if (error != 0 && errno == ECHILD) { /* somebody else has waited for it */
        forget(stream);
        return true;
    }
    if (error != 0 || info.si_pid == 0)
        return false;
    stream->child_exited = true;
    if (info.si_code == CLD_EXITED)
        stream->child_code = info.si_status;
    else
        stream->child_signal = info.si_status;
    return true;
}

void io_child_signal(struct io_stream *stream, int signal)
{
    lock_acquire(&stream->lock);
    if (stream->child > 0)
        kill(-stream->child, signal);
    lock_release(&stream->lock);
}

void io_child_reap(struct io_stream *stream)
{
    pid_t child = stream->child;
    io_child_signal(stream, SIGKILL);
    forget(stream); /* from here on the number may be another's */
    if (child > 0)
        waitpid(child, NULL, 0);
    io_unwatch(stream->io, stream->child_watch);
    stream->child_watch = -1;
}
