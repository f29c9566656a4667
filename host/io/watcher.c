/*
 * watcher.c -- the watcher's thread: events become a batch, a batch that is
 * quiet becomes looks, and looks that show something new are told.
 */
#include "io/watcher_room.h"

#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUIET_NS    (80 * NS_PER_MS)
#define PATIENCE_NS NS_PER_SEC
#define POLL_NS     NS_PER_SEC
#define READS_MAX   256 /* in a row, before the clock is looked at again */

/* ---- Events become a batch ----------------------------------------------- */

static void touch_batch(struct watcher *watcher)
{
    watcher->last_ns = clock_now(&watcher->clock);
    if (!watcher->batch)
        watcher->first_ns = watcher->last_ns;
    watcher->batch = true;
}

static void make_due(struct watcher *watcher, struct watched *file)
{
    file->due = true;
    touch_batch(watcher);
}

static void make_all_due(struct watcher *watcher)
{
    for (struct watched *file = watcher->files; file != NULL; file = file->next)
        make_due(watcher, file);
}

/* Whether a file that was just made under that name is still open to who made it:
 * not if it is a link, or has another name as well. (One that was made by linking and
 * has lost its other name looks the same: then the patience ends the waiting.) */
static bool is_being_made(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1;
}

static bool concerns(const struct inotify_event *event, const struct sight *sight)
{
    const uint32_t whole = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED;
    if (event->wd != sight->wd)
        return false;
    return (event->mask & whole) != 0 ||
           (sight->name != NULL && event->len > 0 && strcmp(event->name, sight->name) == 0);
}

static void take_event(struct watcher *watcher, const struct inotify_event *event)
{
    if ((event->mask & IN_Q_OVERFLOW) != 0) {
        make_all_due(watcher);
        return;
    }
    for (struct watched *file = watcher->files; file != NULL; file = file->next)
        for (size_t i = 0; i < file->sights.count; i++) {
            const struct sight *sight = &file->sights.list[i];
            if (!concerns(event, sight))
                continue;
            file->unclosed = (event->mask & IN_CREATE) != 0 && is_being_made(sight->at);
            make_due(watcher, file);
            break;
        }
    if ((event->mask & IN_IGNORED) != 0)
        watcher_forget_folder(watcher, event->wd);
}

static void read_events(struct watcher *watcher)
{
    _Alignas(struct inotify_event) char bytes[16 * 1024];
    for (unsigned turn = 0; watcher->inotify >= 0 && turn < READS_MAX; turn++) {
        ssize_t size = read(watcher->inotify, bytes, sizeof bytes);
        if (size <= 0)
            return;
        const struct inotify_event *event;
        for (char *at = bytes; at < bytes + size; at += sizeof *event + event->len) {
            event = (const void *)at;
            take_event(watcher, event);
        }
    }
}

/* ---- A quiet batch becomes looks ------------------------------------------ */

static bool is_unclosed(const struct watcher *watcher)
{
    for (const struct watched *file = watcher->files; file != NULL; file = file->next)
        if (file->unclosed)
            return true;
    return false;
}

/* When the batch is to be looked at; UINT64_MAX: there is none. */
static uint64_t batch_end(const struct watcher *watcher)
{
    if (!watcher->batch)
        return UINT64_MAX;
    uint64_t quiet_ns = watcher->last_ns + watcher->options.quiet_ns;
    uint64_t end_ns = watcher->first_ns + watcher->options.patience_ns;
    return quiet_ns < end_ns && !is_unclosed(watcher) ? quiet_ns : end_ns;
}

/* Looks; true: at something else than the last time. */
static bool look_again(struct watched *file)
{
    struct look look = watcher_look(file->absolute);
    bool changed = look.there != file->seen.there || look.hash != file->seen.hash;
    file->seen = look;
    return changed;
}

/* Looks at all that is due. False: one that nothing is heard of has just changed,
 * and perhaps not for the last time. */
static bool look_at_batch(struct watcher *watcher)
{
    bool steady = true;
    for (struct watched *file = watcher->files; file != NULL; file = file->next) {
        if (!file->due)
            continue;
        watcher_follow(watcher, file); /* first, for what changes after the look is an event */
        if (look_again(file) && file->polled)
            steady = false;
    }
    return steady;
}

/* Takes the file out of the batch. True: what it holds is to be told as changed. */
static bool judge(const struct watcher_listener *listener, struct watched *file)
{
    file->due = file->unclosed = false;
    if (!file->seen.there) {
        if (!file->gone)
            listener->gone(listener->context, file->path);
        file->gone = true;
        return false;
    }
    bool was_gone = file->gone;
    bool news = file->retry || file->seen.hash != file->known;
    file->gone = file->retry = false;
    file->known = file->seen.hash;
    if (was_gone && !news)
        listener->back(listener->context, file->path);
    return news;
}

static void tell(struct watcher *watcher)
{
    size_t count = 1; /* for the NULL */
    for (struct watched *file = watcher->files; file != NULL; file = file->next)
        count += file->due;
    const char **paths = memory_get(count * sizeof *paths);
    if (paths == NULL) {
        touch_batch(watcher); /* they stay due, until there is memory */
        return;
    }
    watcher->batch = false;
    size_t told = 0;
    for (struct watched *file = watcher->files; file != NULL; file = file->next)
        if (file->due && judge(&watcher->listener, file))
            paths[told++] = file->path;
    paths[told] = NULL;
    if (told > 0)
        watcher->listener.changed(watcher->listener.context, paths);
    memory_put(paths, count * sizeof *paths);
}

static void end_batch(struct watcher *watcher, uint64_t now_ns)
{
    bool patient = now_ns < watcher->first_ns + watcher->options.patience_ns;
    if (!look_at_batch(watcher) && patient)
        touch_batch(watcher);
    else
        tell(watcher);
}

/* ---- What cannot be watched ----------------------------------------------- */

/* When that is looked at next; UINT64_MAX: everything is watched. */
static uint64_t next_poll(const struct watcher *watcher)
{
    for (const struct watched *file = watcher->files; file != NULL; file = file->next)
        if (file->polled)
            return watcher->poll_ns;
    return UINT64_MAX;
}

static void poll_files(struct watcher *watcher, uint64_t now_ns)
{
    watcher->poll_ns = now_ns + watcher->options.poll_ns;
    for (struct watched *file = watcher->files; file != NULL; file = file->next)
        if (file->polled && !file->due && look_again(file))
            make_due(watcher, file);
}

/* ---- What is asked for ----------------------------------------------------- */

static void free_file(struct watched *file)
{
    watcher_unfollow(file);
    memory_free_text(file->path);
    memory_free_text(file->absolute);
    memory_put(file, sizeof *file);
}

static void free_files(struct watched *file)
{
    while (file != NULL) {
        struct watched *next = file->next;
        free_file(file);
        file = next;
    }
}

static bool is_known(const struct watcher *watcher, const char *path)
{
    for (const struct watched *file = watcher->files; file != NULL; file = file->next)
        if (strcmp(file->path, path) == 0)
            return true;
    return false;
}

static void take_over(struct watcher *watcher, struct watched *file)
{
    if (is_known(watcher, file->path)) {
        free_file(file);
        return;
    }
    file->next = watcher->files;
    watcher->files = file;
    make_due(watcher, file); /* it may have changed since it was read */
}

/* Does what other threads asked for. False: it is to stop. */
static bool take_orders(struct watcher *watcher)
{
    uint64_t count;
    ssize_t  got = read(watcher->wake, &count, sizeof count);
    (void)got; /* whatever it says: here is what there is to do */
    lock_acquire(&watcher->lock);
    bool            stopping = watcher->stopping, retry = watcher->retry;
    struct watched *added = watcher->added;
    watcher->added = NULL;
    watcher->retry = false;
    lock_release(&watcher->lock);

    for (struct watched *file = watcher->files; retry && file != NULL; file = file->next)
        file->retry = true;
    while (added != NULL) {
        struct watched *next = added->next;
        take_over(watcher, added);
        added = next;
    }
    return !stopping;
}

static void wake(struct watcher *watcher)
{
    uint64_t one = 1;
    ssize_t  put = write(watcher->wake, &one, sizeof one);
    (void)put; /* full: it will wake up anyway */
}

/* The path from the root, its links not resolved. */
static char *absolute_of(const char *path)
{
    char folder[PATH_MAX], absolute[2 * PATH_MAX];
    if (*path == '/' || getcwd(folder, sizeof folder) == NULL) /* it has gone, and so has the file */
        return memory_copy_text(path);
    snprintf(absolute, sizeof absolute, "%s/%s", folder, path);
    return memory_copy_text(absolute);
}

int watcher_add(struct watcher *watcher, const char *path, uint64_t hash)
{
    struct watched *file = memory_get_zeroed(sizeof *file);
    if (file == NULL)
        return -ENOMEM;
    file->path = memory_copy_text(path);
    file->absolute = absolute_of(path);
    if (file->path == NULL || file->absolute == NULL) {
        free_file(file);
        return -ENOMEM;
    }
    file->known = hash;
    file->seen = (struct look){ .there = true, .hash = hash };
    lock_acquire(&watcher->lock);
    file->next = watcher->added;
    watcher->added = file;
    lock_release(&watcher->lock);
    wake(watcher);
    return 0;
}

void watcher_retry(struct watcher *watcher)
{
    lock_acquire(&watcher->lock);
    watcher->retry = true;
    lock_release(&watcher->lock);
    wake(watcher);
}

/* ---- The thread ------------------------------------------------------------- */

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void wait_until(struct watcher *watcher, uint64_t end_ns)
{
    struct pollfd ready[] = {
        { .fd = watcher->wake, .events = POLLIN },
        { .fd = watcher->inotify, .events = POLLIN }, /* -1 is passed over */
    };
    uint64_t now_ns = clock_now(&watcher->clock);
    uint64_t ns = end_ns > now_ns ? end_ns - now_ns : 0;
    struct timespec left = { .tv_sec = (time_t)(ns / NS_PER_SEC),
                             .tv_nsec = (long)(ns % NS_PER_SEC) };
    ppoll(ready, ARRAY_LENGTH(ready), end_ns != UINT64_MAX ? &left : NULL, NULL);
}

static void *watch(void *argument)
{
    struct watcher *watcher = argument;
    while (take_orders(watcher)) {
        read_events(watcher);
        uint64_t now_ns = clock_now(&watcher->clock);
        if (now_ns >= batch_end(watcher))
            end_batch(watcher, now_ns);
        if (now_ns >= next_poll(watcher))
            poll_files(watcher, now_ns);
        wait_until(watcher, smaller(batch_end(watcher), next_poll(watcher)));
    }
    return NULL;
}

/* ---- Made and taken down ------------------------------------------------------ */

static void open_inotify(struct watcher *watcher)
{
    watcher->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watcher->inotify >= 0)
        return;
    int error = errno;
    watcher->noticed = true;
    log_warn("watch: there is no inotify (%s), so files are read every second",
             error == EMFILE ? "too many instances: sysctl fs.inotify.max_user_instances"
                             : strerror(error));
}

static uint64_t or_default(uint64_t ns, uint64_t default_ns)
{
    return ns > 0 ? ns : default_ns;
}

static void free_watcher(struct watcher *watcher)
{
    free_files(watcher->added);
    free_files(watcher->files);
    if (watcher->inotify >= 0)
        close(watcher->inotify);
    close(watcher->wake);
    memory_put(watcher->folders, watcher->folder_room * sizeof *watcher->folders);
    lock_fini(&watcher->lock);
    memory_put(watcher, sizeof *watcher);
}

int watcher_open(struct watcher **out, const struct watcher_listener *listener,
                 const struct watcher_options *options)
{
    static const struct watcher_options defaults;
    if (options == NULL)
        options = &defaults;
    struct watcher *watcher = memory_get_zeroed(sizeof *watcher);
    if (watcher == NULL)
        return -ENOMEM;
    watcher->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watcher->wake < 0) {
        int error = -errno;
        memory_put(watcher, sizeof *watcher);
        return error;
    }
    watcher->listener = *listener;
    watcher->options.quiet_ns = or_default(options->quiet_ns, QUIET_NS);
    watcher->options.patience_ns = or_default(options->patience_ns, PATIENCE_NS);
    watcher->options.poll_ns = or_default(options->poll_ns, POLL_NS);
    clock_init(&watcher->clock, false);
    lock_init(&watcher->lock);
    open_inotify(watcher);
    int error = thread_start(&watcher->thread, "troupe-watch", 0, watch, watcher);
    if (error != 0) {
        free_watcher(watcher);
        return error;
    }
    *out = watcher;
    return 0;
}

void watcher_close(struct watcher *watcher)
{
    if (watcher == NULL)
        return;
    lock_acquire(&watcher->lock);
    watcher->stopping = true;
    lock_release(&watcher->lock);
    wake(watcher);
    thread_join(&watcher->thread);
    free_watcher(watcher);
}
