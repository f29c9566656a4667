/*
 * tools_children.c -- the command line's way to processes, filled: families of children,
 * and who says in the folder of the control sockets that he is there.
 */
#include "tools.h"

#include "base/memory.h"
#include "control/presence.h"
#include "io/children.h"
#include "script/program_children.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A family to the one side is children to the other. */
static struct children *children_of(struct family *family)
{
    return (struct children *)(void *)family;
}

static int open_family(struct family **family)
{
    struct children *children;
    int error = children_open(&children);
    if (error == 0)
        *family = (struct family *)(void *)children;
    return error;
}

static void close_family(struct family *family)
{
    children_close(children_of(family));
}

static int spawn(struct family *family, const char *const *arguments, const char *input,
                 size_t input_size, unsigned *child, long *pid)
{
    pid_t process = 0;
    struct children_request request = { arguments, input, input_size };
    int error = children_spawn(children_of(family), &request, child, &process);
    *pid = process;
    return error;
}

static bool signal_child(struct family *family, unsigned child, int signal)
{
    return children_kill(children_of(family), child, signal);
}

static void next(struct family *family, uint64_t deadline_ns, int descriptor,
                 struct family_event *event)
{
    static const enum family_news news[] = {
        [CHILDREN_NOTHING] = FAMILY_NOTHING, [CHILDREN_LINE] = FAMILY_LINE,
        [CHILDREN_EXIT] = FAMILY_EXIT,       [CHILDREN_SIGNAL] = FAMILY_SIGNAL,
        [CHILDREN_HANGUP] = FAMILY_HANGUP,   [CHILDREN_FILE] = FAMILY_FILE,
        [CHILDREN_GONE] = FAMILY_GONE,       [CHILDREN_LOST] = FAMILY_LOST,
        [CHILDREN_READY] = FAMILY_READY,
    };
    static const char *const streams[] = { [CHILDREN_OUT] = "out", [CHILDREN_ERR] = "err",
                                           [CHILDREN_STATUS] = "status" };
    static const char *const whats[] = { [CHILDREN_FILE_CHANGED] = "changed",
                                         [CHILDREN_FILE_MISSING] = "missing",
                                         [CHILDREN_FILE_BACK] = "back" };
    struct children_event heard;
    children_next(children_of(family), deadline_ns, descriptor, &heard);
    *event = (struct family_event){
        .news = news[heard.news],
        .child = heard.child,
        .stream = streams[heard.stream],
        .what = heard.news == CHILDREN_FILE ? whats[heard.number] : NULL,
        .text = heard.text,
        .size = heard.size,
        .number = heard.number,
        .signalled = heard.signalled,
    };
}

static void write_own(struct family *family, bool errors, const char *text, size_t size)
{
    children_write(children_of(family), errors ? CHILDREN_ERR : CHILDREN_OUT, text, size);
}

static int watch(struct family *family, const char *path, const char *text, size_t size)
{
    return children_watch(children_of(family), path, text, size);
}

static int hold(struct presence **presence, const char *name, const char *text, char *why,
                size_t room)
{
    struct presence *made = memory_get(sizeof *made);
    int error = made != NULL ? presence_hold(made, name, text, why, room) : -ENOMEM;
    if (made == NULL)
        snprintf(why, room, "out of memory");
    if (error != 0)
        memory_put(made, sizeof *made);
    else
        *presence = made;
    return error;
}

static void end(struct presence *presence)
{
    presence_end(presence);
    memory_put(presence, sizeof *presence);
}

const struct children_port children_port = {
    .open = open_family,
    .close = close_family,
    .spawn = spawn,
    .kill = signal_child,
    .next = next,
    .write = write_own,
    .watch = watch,
    .hold = hold,
    .say = presence_say,
    .end = end,
    .present = presence_each,
    .reach = presence_reach,
};
