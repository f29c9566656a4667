/*
 * library_process.c -- os.execute and io.popen, so that a program that a script
 * starts can be interrupted.
 *
 * Worker threads have signals blocked, and system() and popen() pass the mask
 * of their thread on: neither Ctrl-C nor a TERM would reach the child.
 * system() also has the whole process ignore SIGINT for as long as it takes.
 */
#include "script/libraries.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Starts `sh -c command` with no signal blocked; if `target` is not negative,
 * with `fd` as that descriptor. 0 or an errno. */
static int start(pid_t *pid, const char *command, int fd, int target)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    char *const words[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)command, NULL };

    int error = posix_spawnattr_init(&attributes);
    if (error != 0)
        return error;
    error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        goto destroy_attributes;
    sigemptyset(&none);
    error = posix_spawnattr_setsigmask(&attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (error == 0 && target >= 0)
        error = posix_spawn_file_actions_adddup2(&actions, fd, target);
    if (error == 0)
        error = posix_spawn(pid, "/bin/sh", &actions, &attributes, words, environ);
    posix_spawn_file_actions_destroy(&actions);
destroy_attributes:
    posix_spawnattr_destroy(&attributes);
    return error;
}

/* Waits for its end; what luaL_execresult() takes, with errno. */
static int await(pid_t pid)
{
    int status;
    pid_t ended;
    do
        ended = waitpid(pid, &status, 0);
    while (ended < 0 && errno == EINTR);
    if (ended < 0)
        return -1;
    errno = 0;
    return status;
}

/* execute([command]) */
int library_os_execute(lua_State *L)
{
    const char *command = luaL_optstring(L, 1, NULL);
    pid_t pid;
    if (command == NULL) {
        lua_pushboolean(L, access("/bin/sh", X_OK) == 0);
        return 1;
    }
    int error = start(&pid, command, -1, -1);
    if (error != 0) {
        errno = error;
        return luaL_execresult(L, -1);
    }
    return luaL_execresult(L, await(pid));
}

/* A file of Lua's, and whose output or input it is. */
struct pipe {
    luaL_Stream stream; /* first: Lua's functions know only this */
    pid_t       pid;
};

/* Called by file:close() and by the collector; `stream` is marked closed. */
static int close_pipe(lua_State *L)
{
    struct pipe *pipe = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    fclose(pipe->stream.f);
    return luaL_execresult(L, await(pipe->pid));
}

/* 0 or an errno, and then nothing is open. */
static int open_pipe(struct pipe *pipe, const char *command, bool reads)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    int ours = ends[reads ? 0 : 1], theirs = ends[reads ? 1 : 0];
    int error;

    pipe->stream.f = fdopen(ours, reads ? "r" : "w");
    if (pipe->stream.f == NULL) {
        error = errno;
        close(ours);
    } else {
        error = start(&pipe->pid, command, theirs, reads ? STDOUT_FILENO : STDIN_FILENO);
        if (error != 0)
            fclose(pipe->stream.f);
    }
    close(theirs);
    return error;
}

/* popen(command [, mode]) */
int library_io_popen(lua_State *L)
{
    const char *command = luaL_checkstring(L, 1);
    const char *mode = luaL_optstring(L, 2, "r");
    luaL_argcheck(L, strcmp(mode, "r") == 0 || strcmp(mode, "w") == 0, 2, "invalid mode");

    struct pipe *pipe = lua_newuserdatauv(L, sizeof *pipe, 0);
    pipe->stream.closef = NULL; /* closed, to Lua */
    luaL_setmetatable(L, LUA_FILEHANDLE);
    fflush(NULL);
    int error = open_pipe(pipe, command, mode[0] == 'r');
    if (error != 0) {
        errno = error;
        return luaL_fileresult(L, 0, command);
    }
    pipe->stream.closef = close_pipe;
    return 1;
}
