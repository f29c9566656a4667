/*
 * watcher_room.h -- what the files of the watcher share.
 */
#ifndef TROUPE_IO_WATCHER_ROOM_H
#define TROUPE_IO_WATCHER_ROOM_H

#include "io/watcher.h"

#include "base/clock.h"
#include "base/thread.h"

/* One entry of a directory that is on the way to a file. */
struct sight {
    int   wd;   /* of the directory, as inotify calls it */
    char *at;   /* owned: the path of the entry, or of the directory itself if: */
    char *name; /* inside `at`; NULL: what matters is only that the directory stays */
};

struct sights {
    struct sight *list;
    size_t        count, room;
};

/* What was seen of a file. */
struct look {
    bool     there;
    uint64_t hash; /* of its content, or of why it cannot be read */
};

/* A file; on the watcher's thread only, once that has taken it over. */
struct watched {
    struct watched *next;
    char           *path;     /* as it was added */
    char           *absolute; /* its links not resolved */
    struct sights   sights;
    struct look     seen;     /* at the last look */
    uint64_t        known;    /* the content that was last told, or is known to who added it */
    bool            retry;    /* the next look is told, whatever is seen */
    bool            gone;     /* and that was told */
    bool            polled;   /* something on the way to it cannot be watched */
    bool            due;      /* it is in the batch of now */
    bool            unclosed; /* it was just made, and who made it still writes */
};

struct watcher {
    struct watcher_listener listener; /* these three are fixed by watcher_open() */
    struct watcher_options  options;
    struct clock            clock;
    int                     wake;     /* an eventfd: there are orders, or it is to stop */
    struct thread           thread;

    struct lock     lock;
    struct watched *added;    /* guarded by lock, as these: not taken over yet */
    bool            retry;    /* all are to be told again */
    bool            stopping;

    /* The rest is the thread's. */
    int             inotify;     /* -1: not to be had */
    bool            noticed;     /* that something is polled was said */
    struct watched *files;
    int            *folders;     /* all that inotify watches for us */
    size_t          folder_count, folder_room;
    bool            batch;       /* something has happened that was not looked at yet: */
    uint64_t        first_ns, last_ns; /* its first and its last event */
    uint64_t        poll_ns;     /* when what cannot be watched is looked at next */
};

/* Watches all directories on the way to the file, and no more those that were
 * and are not now. What it cannot watch makes the file a polled one. */
void watcher_follow(struct watcher *watcher, struct watched *file);
/* Forgets the way to the file. */
void watcher_unfollow(struct watched *file);
/* That directory is watched no more: it has gone. */
void watcher_forget_folder(struct watcher *watcher, int wd);

/* What is in the file now. */
struct look watcher_look(const char *path);

#endif
