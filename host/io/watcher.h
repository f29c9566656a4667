/*
 * watcher.h -- says which files hold something else than they did.
 *
 * Files are watched through the directories on the way to them, links and what
 * links lead to included, so it does not matter how a file is saved: written in
 * place, renamed over, deleted and made again, a link moved to another target
 * anywhere on its path. A save is looked at once it has been quiet for 80 ms (or
 * has gone on for 1 s); what counts is the content, so a touch, a chmod and the
 * same bytes once more are no change.
 *
 * Where inotify is not to be had, or has no watches left, files are read once a
 * second instead; one log line says so. If the kernel has dropped events all files
 * are looked at.
 *
 * It knows files and directories, and nothing of what is in them. It has one
 * thread, on which the listener is called; a slow listener delays the next call
 * and loses nothing.
 */
#ifndef TROUPE_IO_WATCHER_H
#define TROUPE_IO_WATCHER_H

#include "base/base.h"

struct watcher;

/* All on the watcher's thread, with paths as they were added, valid for the call. */
struct watcher_listener {
    /* These hold something else now than what was last told, or cannot be read any
     * more; `paths` is NULL-terminated. One call for all that were saved together. */
    void (*changed)(void *context, const char *const *paths);
    /* It is not there, nor was when the quiet was over. Once, until it is back. */
    void (*gone)(void *context, const char *path);
    /* It is there again, and holds what it held before. */
    void (*back)(void *context, const char *path);
    void  *context;
};

/* 0: the default in brackets. */
struct watcher_options {
    uint64_t quiet_ns;    /* without an event before a save is looked at [80 ms] */
    uint64_t patience_ns; /* for that quiet [1 s] */
    uint64_t poll_ns;     /* between two looks at what cannot be watched [1 s] */
};

/* Starts the thread; the listener is copied. `options` may be NULL. 0 or -errno. */
int watcher_open(struct watcher **out, const struct watcher_listener *listener,
                 const struct watcher_options *options);

/* Watches the file at `path`, which may be missing, may be relative to the current
 * folder of now, and may go through links. `hash` (base/hash.h) is of the content that
 * the caller knows: if the file holds anything else, then or later, that is told. A
 * path that is watched already stays as it is. 0 or -ENOMEM. Any thread. */
int watcher_add(struct watcher *watcher, const char *path, uint64_t hash);

/* What was told last was of no use: the next event of each file is told, whatever
 * the file holds then. Any thread. */
void watcher_retry(struct watcher *watcher);

/* Returns when the thread has ended: the listener is not called any more. Not from
 * the listener. NULL is fine. */
void watcher_close(struct watcher *watcher);

#endif
