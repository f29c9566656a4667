/*
 * reload.c -- the queue of reloads and the thread that does them; and how an actor
 * begins meanwhile (see reload.h).
 */
#include "script/reload_room.h"

#include "base/memory.h"
#include "script/restart.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- Requests ------------------------------------------------------------- */

static void free_paths(char **paths)
{
    size_t count = 0;
    while (paths != NULL && paths[count] != NULL)
        memory_free_text(paths[count++]);
    if (paths != NULL)
        memory_put(paths, (count + 1) * sizeof *paths);
}

void reload_job_free(struct reload_job *job)
{
    if (job == NULL)
        return;
    free_paths(job->paths);
    source_unref(job->source);
    if (job->text != NULL)
        memory_put(job->text, job->text_size + 1);
    memory_free_text(job->asked_by);
    memory_put(job, sizeof *job);
}

static bool copy_paths(struct reload_job *job, const char *const *paths)
{
    size_t count = 0;
    while (paths[count] != NULL)
        count++;
    job->paths = memory_get_zeroed((count + 1) * sizeof *job->paths);
    if (job->paths == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        job->paths[i] = memory_copy_text(paths[i]);
        if (job->paths[i] != NULL)
            continue;
        while (i-- > 0)
            memory_free_text(job->paths[i]);
        memory_put(job->paths, (count + 1) * sizeof *job->paths);
        job->paths = NULL;
        return false;
    }
    return true;
}

struct reload_job *reload_job_new(const struct reload_request *request)
{
    struct reload_job *job = memory_get_zeroed(sizeof *job);
    if (job == NULL)
        return NULL;
    job->undo = request->undo;
    job->quiet = request->quiet;
    job->trial_ns = request->trial_ns;
    job->decide = request->decide;
    job->done = request->done;
    job->context = request->context;
    if (request->source != NULL)
        job->source = source_ref(request->source);
    else if (request->paths != NULL && !copy_paths(job, request->paths))
        goto free_job;
    if (request->text != NULL) {
        job->text = memory_get(request->text_size + 1);
        if (job->text == NULL)
            goto free_job;
        memcpy(job->text, request->text, request->text_size);
        job->text[request->text_size] = '\0';
        job->text_size = request->text_size;
    }
    if (request->asked_by != NULL && (job->asked_by = memory_copy_text(request->asked_by)) == NULL)
        goto free_job;
    return job;

free_job:
    reload_job_free(job);
    return NULL;
}

/* ---- The reloader --------------------------------------------------------- */

static struct reload_job *take_locked(struct reloads *reloads)
{
    struct reload_job *job = reloads->first;
    if (job == NULL)
        return NULL;
    reloads->first = job->next;
    if (reloads->first == NULL)
        reloads->last = &reloads->first;
    job->next = NULL;
    return job;
}

static uint64_t now(struct reloads *reloads)
{
    return clock_now(&reloads->world->system->clock);
}

/* Does one thing that is to be done; false: there is nothing. A trial that has
 * failed comes before what else is asked. */
static bool do_next(struct reloads *reloads)
{
    lock_acquire(&reloads->lock);
    bool trial = trials_are_due_locked(reloads, now(reloads));
    struct reload_job *job = trial ? NULL : take_locked(reloads);
    lock_release(&reloads->lock);
    if (trial)
        trials_go_on(reloads);
    else if (job != NULL)
        reload_run(reloads, job);
    return trial || job != NULL;
}

static void *reloader(void *argument)
{
    struct reloads *reloads = argument;
    while (!reloads_are_stopping(reloads)) {
        if (do_next(reloads))
            continue;
        lock_acquire(&reloads->lock);
        if (reloads->first == NULL && !trials_are_due_locked(reloads, now(reloads)) &&
            !reloads_are_stopping(reloads))
            signal_wait_until(&reloads->changed, &reloads->lock, trials_next_locked(reloads));
        lock_release(&reloads->lock);
    }
    return NULL;
}

int reloads_open(struct reloads **out, struct script_world *world)
{
    struct reloads *reloads = memory_get_zeroed(sizeof *reloads);
    if (reloads == NULL)
        return -ENOMEM;
    reloads->world = world;
    reloads->last = &reloads->first;
    lock_init(&reloads->lock);
    signal_init(&reloads->changed);
    *out = reloads;
    return 0;
}

int reloads_ask(struct reloads *reloads, const struct reload_request *request)
{
    if (request->trial_ns > RELOAD_TRIAL_MAX_NS)
        return -EINVAL;
    struct reload_job *job = reload_job_new(request);
    if (job == NULL)
        return -ENOMEM;
    int error = 0;
    lock_acquire(&reloads->lock);
    if (reloads_are_stopping(reloads)) {
        error = -ESHUTDOWN;
    } else if (!reloads->world->stage && !reloads->has_thread) {
        error = thread_start(&reloads->thread, "reloader", 0, reloader, reloads) == 0 ? 0 : -EAGAIN;
        reloads->has_thread = error == 0;
    }
    if (error == 0) {
        *reloads->last = job;
        reloads->last = &job->next;
        signal_all(&reloads->changed);
    }
    lock_release(&reloads->lock);
    if (error != 0)
        reload_job_free(job);
    return error;
}

bool reloads_are_stopping(const struct reloads *reloads)
{
    return atomic_load_explicit(&reloads->stopping, memory_order_relaxed);
}

bool reloads_step(struct reloads *reloads)
{
    if (!reloads->world->stage || (reloads->first == NULL && reloads->trials == NULL))
        return false; /* (one thread: without the lock) */
    return !reloads_are_stopping(reloads) && do_next(reloads);
}

uint64_t reloads_next_ns(struct reloads *reloads)
{
    lock_acquire(&reloads->lock);
    uint64_t next_ns = trials_next_locked(reloads);
    lock_release(&reloads->lock);
    return next_ns;
}

void reloads_stop(struct reloads *reloads)
{
    lock_acquire(&reloads->lock);
    atomic_store_explicit(&reloads->stopping, true, memory_order_relaxed);
    signal_all(&reloads->changed);
    bool joins = reloads->has_thread;
    reloads->has_thread = false;
    lock_release(&reloads->lock);
    if (joins)
        thread_join(&reloads->thread);
    struct reload_job *job;
    do {
        lock_acquire(&reloads->lock);
        job = take_locked(reloads);
        lock_release(&reloads->lock);
        if (job != NULL)
            reload_call_off(job);
    } while (job != NULL);
    trials_free(reloads);
}

void reloads_close(struct reloads *reloads)
{
    if (reloads == NULL)
        return;
    reloads_stop(reloads);
    signal_fini(&reloads->changed);
    lock_fini(&reloads->lock);
    memory_put(reloads, sizeof *reloads);
}

/* ---- An actor begins meanwhile -------------------------------------------- */

/* Whether it waits for the reload's end: what then lets it go is left with whoever
 * does the reload, so that nothing can be wanting when it is decided. */
static enum beginning wait_for_end(struct reloads *reloads, struct actor *actor,
                                   const struct source *source, char *why, size_t room)
{
    struct hold_order nothing = { .run = NULL };
    struct message *end = hold_order_new(actor_self(actor), HOLD_END, &nothing, NULL);
    if (end == NULL) {
        snprintf(why, room, "out of memory");
        return BEGIN_FAILED;
    }
    lock_acquire(&reloads->lock);
    /* Whoever takes those that wait has decided before: under the lock one of the
     * two sees the other. */
    bool waits = source_state(source) == SOURCE_RELOADING && !reloads_are_stopping(reloads);
    if (waits) {
        atomic_store_explicit(&end->next, reloads->waiting, memory_order_relaxed);
        reloads->waiting = end;
    }
    lock_release(&reloads->lock);
    if (!waits)
        message_free(end);
    return waits ? BEGIN_LATER : BEGIN_NOW;
}

enum beginning reload_may_begin(struct actor *actor, char *why, size_t room)
{
    struct script *script = actor->state;
    struct reloads *reloads = script->world->reloads;
    enum beginning beginning;
    script->actor = actor;
    source_name_instance(&script->instance, actor_self(actor));
    for (;;) {
        switch (source_state(script->source)) {
        case SOURCE_CURRENT:
            return BEGIN_NOW;
        case SOURCE_RELOADING:
            if (reloads == NULL || reloads_are_stopping(reloads))
                return BEGIN_NOW;
            beginning = wait_for_end(reloads, actor, script->source, why, room);
            if (beginning != BEGIN_NOW)
                return beginning;
            break;
        case SOURCE_SUPERSEDED:
            if (restart_anew(actor, why, room) != 0)
                return BEGIN_FAILED;
        }
    }
}
