/*
 * enter.c -- see enter.h.
 */
#include "enter.h"

#include "base/base.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 250 /* whether the terminal is ours again */

static struct {
    int    terminal; /* our own way to it: what we change of it concerns nobody else */
    bool (*is_free)(void);
    void (*pressed)(void);
} enter;

/* A process in the background that reads is stopped, or takes what is the shell's. */
static bool is_ours(void)
{
    return tcgetpgrp(enter.terminal) == getpgrp() && enter.is_free();
}

static void wait_a_little(void)
{
    struct timespec t = { .tv_nsec = (long)(LOOK_MS * NS_PER_MS) };
    nanosleep(&t, NULL);
}

/* Takes what was typed, a line or part of one. False: nothing more will come. */
static bool read_line(bool *begins)
{
    char    text[256];
    ssize_t size = read(enter.terminal, text, sizeof text);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    bool pressed = *begins && size == 1 && *text == '\n';
    *begins = size > 0 && text[size - 1] == '\n';
    if (pressed)
        enter.pressed();
    return size > 0;
}

static void *take_lines(void *argument)
{
    (void)argument;
    bool begins = true; /* a line */
    for (;;) {
        struct pollfd ready = { .fd = enter.terminal, .events = POLLIN };
        if (!is_ours()) {
            wait_a_little();
            continue;
        }
        /* Not for ever: a script may come to read it, too. */
        int count = poll(&ready, 1, LOOK_MS);
        if (count > 0 && is_ours() && !read_line(&begins))
            break;
    }
    close(enter.terminal);
    return NULL;
}

int enter_watch(bool (*is_free)(void), void (*pressed)(void))
{
    static struct thread thread;
    if (!isatty(STDIN_FILENO))
        return 0;
    enter.terminal = open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (enter.terminal < 0)
        return -errno;
    enter.is_free = is_free;
    enter.pressed = pressed;
    int error = thread_start(&thread, "enter", 0, take_lines, NULL);
    if (error == 0)
        thread_detach(&thread);
    else
        close(enter.terminal);
    return error;
}
