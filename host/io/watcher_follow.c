/*
 * watcher_follow.c -- from a path to the directories that decide what is there.
 *
 * A path is walked as the kernel walks it, one name after the other. Whoever can
 * change what a name stands for does it in the directory that holds the name, so
 * that one is watched: for its entries where the name is a link, the file, or
 * missing; else only for being moved or deleted itself. Each directory is watched
 * before it is looked into: what changes after the look is an event.
 */
#include "io/watcher_room.h"

#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 /* on one way, as for the kernel */
#define WALKS_MAX 16 /* if directories change under it each time */

/* IN_EXCL_UNLINK: who still writes to a file that was deleted changes nothing here. */
#define ITSELF  (IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_ADD)
#define ENTRIES (ITSELF | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)

enum kind { KIND_MISSING, KIND_FOLDER, KIND_LINK, KIND_OTHER };

/* One walk. */
struct walk {
    struct watcher *watcher;
    struct sights   sights;
    char            here[PATH_MAX]; /* the directory reached, without links; "" is the root */
    char            rest[PATH_MAX]; /* what is still to be walked */
    unsigned        links;
    int             error; /* why a directory cannot be watched; 0: all are */
};

/* ---- Directories that are watched --------------------------------------- */

static bool is_watched(const struct watcher *watcher, int wd)
{
    for (size_t i = 0; i < watcher->folder_count; i++)
        if (watcher->folders[i] == wd)
            return true;
    return false;
}

static bool remember_folder(struct watcher *watcher, int wd)
{
    if (is_watched(watcher, wd))
        return true;
    if (watcher->folder_count == watcher->folder_room) {
        size_t room = watcher->folder_room > 0 ? 2 * watcher->folder_room : 16;
        int   *folders = memory_resize(watcher->folders, watcher->folder_room * sizeof *folders,
                                       room * sizeof *folders);
        if (folders == NULL)
            return false;
        watcher->folders = folders;
        watcher->folder_room = room;
    }
    watcher->folders[watcher->folder_count++] = wd;
    return true;
}

void watcher_forget_folder(struct watcher *watcher, int wd)
{
    for (size_t i = 0; i < watcher->folder_count; i++)
        if (watcher->folders[i] == wd) {
            watcher->folders[i] = watcher->folders[--watcher->folder_count];
            return;
        }
}

static bool is_needed(const struct watcher *watcher, int wd)
{
    for (const struct watched *file = watcher->files; file != NULL; file = file->next)
        for (size_t i = 0; i < file->sights.count; i++)
            if (file->sights.list[i].wd == wd)
                return true;
    return false;
}

static void drop_unneeded(struct watcher *watcher)
{
    for (size_t i = watcher->folder_count; i-- > 0;) {
        int wd = watcher->folders[i];
        if (is_needed(watcher, wd))
            continue;
        inotify_rm_watch(watcher->inotify, wd);
        watcher_forget_folder(watcher, wd);
    }
}

/* ---- Sights ------------------------------------------------------------- */

static void free_sights(struct sights *sights)
{
    for (size_t i = 0; i < sights->count; i++)
        memory_free_text(sights->list[i].at);
    memory_put(sights->list, sights->room * sizeof *sights->list);
    *sights = (struct sights){ .list = NULL };
}

void watcher_unfollow(struct watched *file)
{
    free_sights(&file->sights);
}

/* Watches `folder` for `mask`, and notes `at` as what is seen there. 0 or -errno. */
static int add_sight(struct walk *walk, const char *folder, const char *at, uint32_t mask)
{
    int wd = inotify_add_watch(walk->watcher->inotify, *folder != '\0' ? folder : "/", mask);
    if (wd < 0)
        return -errno;
    struct sights *sights = &walk->sights;
    if (sights->count == sights->room) {
        size_t room = sights->room > 0 ? 2 * sights->room : 8;
        struct sight *list = memory_resize(sights->list, sights->room * sizeof *list,
                                           room * sizeof *list);
        if (list == NULL)
            return -ENOMEM;
        sights->list = list;
        sights->room = room;
    }
    char *copy = memory_copy_text(at);
    if (copy == NULL || !remember_folder(walk->watcher, wd)) {
        memory_free_text(copy);
        return -ENOMEM;
    }
    char *name = at == folder ? NULL : strrchr(copy, '/') + 1;
    sights->list[sights->count++] = (struct sight){ .wd = wd, .at = copy, .name = name };
    return 0;
}

/* ---- The walk ------------------------------------------------------------ */

static enum kind kind_of(const char *path)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return KIND_MISSING;
    return S_ISDIR(info.st_mode) ? KIND_FOLDER : S_ISLNK(info.st_mode) ? KIND_LINK : KIND_OTHER;
}

/* Takes the next name from the rest, past any slashes. False: there is none. */
static bool next_name(struct walk *walk, char *name)
{
    char  *start = walk->rest + strspn(walk->rest, "/");
    size_t size = strcspn(start, "/");
    if (size == 0 || size > NAME_MAX)
        return false;
    memcpy(name, start, size);
    name[size] = '\0';
    memmove(walk->rest, start + size, strlen(start + size) + 1);
    return true;
}

/* Puts what the link at `path` says in front of the rest. False: it leads nowhere. */
static bool follow_link(struct walk *walk, const char *path)
{
    char    target[PATH_MAX], rest[PATH_MAX];
    ssize_t size = readlink(path, target, sizeof target - 1);
    if (size <= 0 || ++walk->links > LINKS_MAX)
        return false;
    target[size] = '\0';
    int length = snprintf(rest, sizeof rest, "%s/%s", target, walk->rest);
    if (length < 0 || (size_t)length >= sizeof rest)
        return false;
    memcpy(walk->rest, rest, (size_t)length + 1);
    if (*target == '/')
        *walk->here = '\0';
    return true;
}

/* What the walk does after a name. */
enum step { STEP_ON, STEP_END, STEP_AGAIN };

/* It was a directory a moment ago. */
static bool has_moved(int error)
{
    return error == -ENOENT || error == -ENOTDIR || error == -ELOOP;
}

static enum step note_entry(struct walk *walk, const char *path)
{
    int error = add_sight(walk, walk->here, path, ENTRIES);
    if (has_moved(error))
        return STEP_AGAIN;
    if (error != 0)
        walk->error = error;
    return STEP_ON;
}

static enum step step_into(struct walk *walk, const char *path)
{
    snprintf(walk->here, sizeof walk->here, "%s", path);
    int error = add_sight(walk, walk->here, walk->here, ITSELF);
    if (has_moved(error))
        return STEP_AGAIN;
    /* One that is not ours to read is hardly one whose parts are moved about. */
    if (error != 0 && error != -EACCES)
        walk->error = error;
    return STEP_ON;
}

static enum step step(struct walk *walk, const char *name)
{
    char path[PATH_MAX];
    if (strcmp(name, ".") == 0)
        return STEP_ON;
    if (strcmp(name, "..") == 0) {
        char *slash = strrchr(walk->here, '/');
        if (slash != NULL)
            *slash = '\0';
        return STEP_ON;
    }
    int length = snprintf(path, sizeof path, "%s/%s", walk->here, name);
    if (length < 0 || (size_t)length >= sizeof path)
        return STEP_END;
    if (kind_of(path) == KIND_FOLDER)
        return step_into(walk, path);
    if (note_entry(walk, path) == STEP_AGAIN)
        return STEP_AGAIN;
    switch (kind_of(path)) { /* now that its changes are seen */
    case KIND_FOLDER:
        return step_into(walk, path);
    case KIND_LINK:
        return follow_link(walk, path) ? STEP_ON : STEP_END;
    default:
        return STEP_END;
    }
}

static enum step walk_once(struct walk *walk, const char *absolute)
{
    char name[NAME_MAX + 1];
    enum step answer = STEP_ON;
    free_sights(&walk->sights);
    walk->links = 0;
    walk->error = 0;
    *walk->here = '\0';
    snprintf(walk->rest, sizeof walk->rest, "%s", absolute);
    while (answer == STEP_ON && next_name(walk, name))
        answer = step(walk, name);
    return answer;
}

/* Once for all: it is the same limit for the next one. */
static void notice(struct watcher *watcher, const char *path, int error)
{
    if (watcher->noticed)
        return;
    watcher->noticed = true;
    log_warn("watch: %s: cannot be watched (%s), so it is read every second", path,
             error == -ENOSPC ? "no inotify watches are left: sysctl fs.inotify.max_user_watches"
                              : strerror(-error));
}

void watcher_follow(struct watcher *watcher, struct watched *file)
{
    if (watcher->inotify < 0) {
        file->polled = true;
        return;
    }
    struct walk walk = { .watcher = watcher };
    enum step answer = STEP_AGAIN;
    for (unsigned i = 0; answer == STEP_AGAIN && i < WALKS_MAX; i++)
        answer = walk_once(&walk, file->absolute);
    if (answer == STEP_AGAIN)
        walk.error = -EAGAIN;
    file->polled = walk.error != 0;
    if (file->polled)
        notice(watcher, file->path, walk.error);
    free_sights(&file->sights);
    file->sights = walk.sights;
    drop_unneeded(watcher);
}
