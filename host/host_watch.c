/*
 * host_watch.c -- watch mode: what is saved is reloaded. The sources say which
 * files are in use, the watcher which of them have changed, and the reloader what
 * comes of it.
 */
#include "host_internal.h"

#include "base/log.h"
#include "io/watcher.h"
#include "place.h"
#include "script/reload.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ---- A reload ------------------------------------------------------------ */

/* What was refused is tried again at the next save, even of the same text: something
 * else may have been wrong, or the file was read when half of it was there. */
static void hear_of_reload(void *context, int code, const char *json)
{
    struct host *host = context;
    (void)json; /* the reloader's log line has said it */
    atomic_store_explicit(&host->watch_refused, code == RELOAD_REFUSED, memory_order_relaxed);
    if (code == RELOAD_REFUSED)
        watcher_retry(host->watcher);
}

/* A save that changes nothing is worth a line only to who has just been told that
 * his last one was refused. */
static int reload_saved(struct host *host, const char *const *paths)
{
    struct reload_request request = {
        .paths = paths,
        .trial_ns = host->watch_trial_ns,
        .quiet = !atomic_load_explicit(&host->watch_refused, memory_order_relaxed),
        .done = hear_of_reload,
        .context = host,
    };
    return reloads_ask(host->world.reloads, &request);
}

int host_ask_reload(struct host *host, const char *asked_by)
{
    struct reload_request request = { .asked_by = asked_by };
    return reloads_ask(host->world.reloads, &request);
}

/* ---- What the watcher tells ------------------------------------------------ */

static void on_changed(void *context, const char *const *paths)
{
    struct host *host = context;
    int error = reload_saved(host, paths);
    if (error != 0 && error != -ESHUTDOWN)
        log_error("watch: %s: cannot be reloaded: %s", *paths, strerror(-error));
}

static void on_gone(void *context, const char *path)
{
    (void)context;
    log_warn("watch: %s: deleted; the old code goes on, watching for its return", path);
}

static void on_back(void *context, const char *path)
{
    (void)context;
    log_info("watch: %s: is back as it was", path);
}

/* ---- Which files ------------------------------------------------------------ */

static bool is_inside(const char *file, const char *folder, const char *part)
{
    char path[PATH_MAX + 16];
    int  size = snprintf(path, sizeof path, "%s/%s/", folder, part);
    return strncmp(file, path, (size_t)size) == 0;
}

/* Files of ours change when another version is installed, which is no time for
 * reloading them one by one. */
static bool is_shipped(const char *file)
{
    char share[PATH_MAX];
    if (realpath(place_share(), share) == NULL)
        return false;
    return is_inside(file, share, "actors") || is_inside(file, share, "lua");
}

static void note_file(void *context, const char *path, const char *file, uint64_t hash)
{
    struct host *host = context;
    if (is_shipped(file))
        return;
    int error = watcher_add(host->watcher, path, hash);
    if (error != 0)
        log_error("watch: %s: is not watched: %s", path, strerror(-error));
}

int host_start_watch(struct host *host)
{
    const struct watcher_listener listener = {
        .changed = on_changed, .gone = on_gone, .back = on_back, .context = host,
    };
    if (!atomic_load_explicit(&host->watching, memory_order_relaxed))
        return 0;
    int error = watcher_open(&host->watcher, &listener, NULL);
    if (error != 0)
        return error;
    /* In this order no file is missed; one that comes twice is one. */
    sources_listen(host->world.sources, note_file, host);
    sources_each_file(host->world.sources, note_file, host);
    return 0;
}

void host_close_watch(struct host *host)
{
    if (host->watcher != NULL)
        sources_listen(host->world.sources, NULL, NULL);
    watcher_close(host->watcher);
}
