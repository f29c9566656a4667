/*
 * children_watch.c -- what the watcher tells on its thread comes to the family's by a
 * pipe: a letter, the path, a NUL.
 */
#include "io/children_room.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const char letters[] = { 'c', 'm', 'b' }; /* by enum children_file */

/* One that does not fit is left out: then many that nobody has taken are there. */
static void say(const struct children *children, enum children_file what, const char *path)
{
    char note[CHILDREN_WATCH_ROOM];
    int  size = snprintf(note, sizeof note, "%c%s", letters[what], path) + 1;
    if (size > 0 && (size_t)size <= sizeof note)
        (void)!write(children->notes[1], note, (size_t)size);
}

static void changed(void *context, const char *const *paths)
{
    for (; *paths != NULL; paths++)
        say(context, CHILDREN_FILE_CHANGED, *paths);
}

static void gone(void *context, const char *path)
{
    say(context, CHILDREN_FILE_MISSING, path);
}

static void back(void *context, const char *path)
{
    say(context, CHILDREN_FILE_BACK, path);
}

static int begin(struct children *children)
{
    const struct watcher_listener listener = { changed, gone, back, children };
    if (children->watcher != NULL)
        return 0;
    if (children->notes[0] < 0 && pipe2(children->notes, O_CLOEXEC | O_NONBLOCK) != 0)
        return -errno;
    return watcher_open(&children->watcher, &listener, NULL);
}

int children_watch(struct children *children, const char *path, const char *text, size_t size)
{
    if (strlen(path) + 2 > CHILDREN_WATCH_ROOM)
        return -ENAMETOOLONG;
    int error = begin(children);
    return error != 0 ? error
                      : watcher_add(children->watcher, path, hash_more(HASH_EMPTY, text, size));
}

bool children_take_note(struct children *children, struct children_event *event)
{
    char byte;
    while (children->notes[0] >= 0 && read(children->notes[0], &byte, 1) == 1) {
        children->note[children->note_size++] = byte;
        if (byte != '\0' && children->note_size < sizeof children->note)
            continue;
        event->size = children->note_size - 2;
        children->note_size = 0;
        event->news = CHILDREN_FILE;
        event->text = children->note + 1;
        event->number = (int)((const char *)memchr(letters, children->note[0], sizeof letters) - letters);
        return true;
    }
    return false;
}

void children_unwatch(struct children *children)
{
    watcher_close(children->watcher);
    children->watcher = NULL;
    for (int i = 0; i < 2; i++) {
        if (children->notes[i] >= 0)
            close(children->notes[i]);
        children->notes[i] = -1;
    }
}
