/*
 * host_reload.c -- an embedder's door to reloads: asks for one and waits for it.
 */
#include "host_internal.h"

#include "base/thread.h"
#include "message/pack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Between the reloader and who waits. */
struct reload_outcome {
    struct lock   lock;
    struct signal over;
    bool  is_over; /* guarded by lock, and so is what follows */
    int   code;
    char *report;  /* malloc's; NULL: no memory */
};

static void take_report(void *context, int code, const char *json)
{
    struct reload_outcome *outcome = context;
    lock_acquire(&outcome->lock);
    outcome->is_over = true;
    outcome->code = code;
    outcome->report = strdup(json);
    signal_all(&outcome->over);
    lock_release(&outcome->lock);
}

static int error_of(int code)
{
    switch ((enum reload_code)code) {
    case RELOAD_DONE:
        return 0;
    case RELOAD_UNKNOWN:
        return -ENOENT;
    case RELOAD_NO_HOST:
        return -ESHUTDOWN;
    case RELOAD_REFUSED:
        break;
    }
    return -ECANCELED;
}

void host_reload_why(const char *report, char *why, size_t room)
{
    struct pack_item item = { .tag = PACK_NULL };
    struct bytes packed;
    bytes_init(&packed, 0);
    if (report != NULL &&
        json_read(report, strlen(report), &JSON_LIMITS_DEFAULT, &packed, NULL) == 0) {
        const uint8_t *at = pack_field(packed.data, "error");
        if (at != NULL)
            pack_read(at, &item);
    }
    if (item.tag == PACK_STRING)
        snprintf(why, room, "%.*s", (int)item.size, item.text);
    else
        snprintf(why, room, "the reload was refused");
    bytes_fini(&packed);
}

static void await(struct host *host, struct reload_outcome *outcome)
{
    struct reloads *reloads = host->world.reloads;
    while (host->world.stage && !outcome->is_over && reloads_step(reloads))
        continue;
    lock_acquire(&outcome->lock);
    while (!outcome->is_over)
        signal_wait(&outcome->over, &outcome->lock);
    lock_release(&outcome->lock);
}

int host_reload_scripts(struct host *host, const char *const *paths,
                        const struct host_reload_options *options, char **report, char *why,
                        size_t room)
{
    static const struct host_reload_options defaults;
    struct reload_outcome outcome = { .is_over = false };
    if (options == NULL)
        options = &defaults;
    if (report != NULL)
        *report = NULL;
    if (options->undo && options->trial_ms > 0) {
        snprintf(why, room, "what is undone is not on trial");
        return -EINVAL;
    }
    struct reload_request request = { .paths = paths, .undo = options->undo,
                                      .trial_ns = options->trial_ms * NS_PER_MS,
                                      .asked_by = options->asked_by, .done = take_report,
                                      .context = &outcome };
    if (options->trial_ms > RELOAD_TRIAL_MAX_NS / NS_PER_MS) {
        snprintf(why, room, "a trial takes a day at most");
        return -EINVAL;
    }
    lock_init(&outcome.lock);
    signal_init(&outcome.over);
    int error = reloads_ask(host->world.reloads, &request);
    if (error != 0) {
        snprintf(why, room, "%s", error == -ESHUTDOWN ? "the host is ending" : strerror(-error));
    } else {
        await(host, &outcome);
        error = error_of(outcome.code);
        if (error != 0)
            host_reload_why(outcome.report, why, room);
    }
    if (report != NULL)
        *report = outcome.report;
    else
        free(outcome.report);
    signal_fini(&outcome.over);
    lock_fini(&outcome.lock);
    return error;
}
