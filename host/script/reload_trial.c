/*
 * reload_trial.c -- versions on trial: what they fail at brings all instances back
 * to the version before, and what they do not lets that one go.
 */
#include "script/reload_room.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>

#define RETURN_TRIES    10 /* to go back, when an instance is busy */
#define RETURN_RETRY_NS NS_PER_SEC

/* What one reload has committed. */
struct reload_trial {
    struct reload_trial *next;
    struct source **sources; /* counted: its new versions */
    size_t   count;
    uint64_t began_ns, due_ns; /* when it is over, or when going back is tried again */
    bool     failed;
    unsigned tries;
    char     names[300];
    char     why[RELOAD_WHY];
};

static void trial_free(struct reload_trial *trial)
{
    for (size_t i = 0; i < trial->count; i++)
        source_unref(trial->sources[i]);
    memory_put(trial->sources, trial->count * sizeof *trial->sources);
    memory_put(trial, sizeof *trial);
}

static bool is_about(const struct reload_trial *trial, const struct source *source)
{
    for (size_t i = 0; i < trial->count; i++)
        if (trial->sources[i] == source)
            return true;
    return false;
}

static void set_on_trial_locked(struct reloads *reloads)
{
    atomic_store_explicit(&reloads->on_trial, reloads->trials != NULL, memory_order_relaxed);
}

static struct reload_trial *trial_new(struct reloads *reloads, const struct reload_report *report)
{
    struct reload_trial *trial = memory_get_zeroed(sizeof *trial);
    if (trial == NULL)
        return NULL;
    trial->sources = memory_get(report->count * sizeof *trial->sources);
    if (trial->sources == NULL) {
        memory_put(trial, sizeof *trial);
        return NULL;
    }
    trial->count = report->count;
    for (size_t i = 0; i < report->count; i++)
        trial->sources[i] = source_ref(report->rows[i].to);
    trial->began_ns = clock_now(&reloads->world->system->clock);
    trial->due_ns = trial->began_ns + report->job->trial_ns;
    reload_report_names(report, trial->names, sizeof trial->names);
    return trial;
}

/* Takes those out of the list that are about what the report has replaced. */
static struct reload_trial *take_replaced_locked(struct reloads *reloads,
                                                 const struct reload_report *report)
{
    struct reload_trial *taken = NULL;
    struct reload_trial **link = &reloads->trials;
    while (*link != NULL) {
        struct reload_trial *trial = *link;
        bool replaced = false;
        for (size_t i = 0; i < report->count && !replaced; i++)
            replaced = is_about(trial, report->rows[i].from);
        if (!replaced) {
            link = &trial->next;
            continue;
        }
        *link = trial->next;
        trial->next = taken;
        taken = trial;
    }
    return taken;
}

static void free_all(struct reload_trial *trial)
{
    while (trial != NULL) {
        struct reload_trial *next = trial->next;
        trial_free(trial);
        trial = next;
    }
}

void trials_committed(struct reloads *reloads, const struct reload_report *report)
{
    struct reload_trial *trial = NULL;
    if (report->job->trial_ns > 0) {
        trial = trial_new(reloads, report);
        if (trial == NULL)
            log_error("reload: there is no trial: out of memory");
    }
    lock_acquire(&reloads->lock);
    struct reload_trial *replaced = take_replaced_locked(reloads, report);
    if (trial != NULL) {
        trial->next = reloads->trials;
        reloads->trials = trial;
    }
    set_on_trial_locked(reloads);
    lock_release(&reloads->lock);
    for (struct reload_trial *each = replaced; each != NULL; each = each->next)
        log_info("reload: %s: the trial is over, another version has come", each->names);
    free_all(replaced);
}

void trials_free(struct reloads *reloads)
{
    lock_acquire(&reloads->lock);
    struct reload_trial *all = reloads->trials;
    reloads->trials = NULL;
    set_on_trial_locked(reloads);
    lock_release(&reloads->lock);
    free_all(all);
}

/* ---- It fails --------------------------------------------------------------- */

void reload_handler_failed(struct script *script, const char *reason)
{
    struct reloads *reloads = script->world->reloads;
    if (reloads == NULL || !atomic_load_explicit(&reloads->on_trial, memory_order_relaxed))
        return;
    lock_acquire(&reloads->lock);
    for (struct reload_trial *each = reloads->trials; each != NULL; each = each->next) {
        if (each->failed || !is_about(each, script->source))
            continue;
        each->failed = true;
        each->due_ns = clock_now(&reloads->world->system->clock);
        snprintf(each->why, sizeof each->why, "%s: %s", script->actor->name, reason);
        signal_all(&reloads->changed);
    }
    lock_release(&reloads->lock);
}

/* ---- What is due ------------------------------------------------------------- */

uint64_t trials_next_locked(const struct reloads *reloads)
{
    uint64_t next_ns = UINT64_MAX;
    for (const struct reload_trial *each = reloads->trials; each != NULL; each = each->next)
        if (each->due_ns < next_ns)
            next_ns = each->due_ns;
    return next_ns;
}

bool trials_are_due_locked(const struct reloads *reloads, uint64_t now_ns)
{
    return trials_next_locked(reloads) <= now_ns;
}

static void let_go_of_copy(void *context, struct actor *actor)
{
    struct script *script = actor->state;
    (void)context;
    script->actor = actor;
    staging_trial_passed(script);
}

/* The copies of self that were kept for it are let go of. */
static void tell_passed(struct reloads *reloads, struct source *source)
{
    struct hold_order order = { .run = let_go_of_copy };
    size_t room = source_instance_count(source);
    actor_id *ids = memory_get((room + 1) * sizeof *ids);
    if (ids == NULL)
        return; /* they stay until the next reload */
    size_t count = source_instances(source, ids, room);
    for (size_t i = 0; i < count && i < room; i++) {
        struct message *message = hold_order_new(ids[i], HOLD_WORK, &order, NULL);
        if (message != NULL)
            hold_order_send(reloads->world->system, message);
    }
    memory_put(ids, (room + 1) * sizeof *ids);
}

static void pass(struct reloads *reloads, struct reload_trial *trial, double seconds)
{
    log_info("reload: %s: the trial of %g s is passed", trial->names,
             (double)(uint64_t)(seconds * 10 + 0.5) / 10);
    for (size_t i = 0; i < trial->count; i++)
        tell_passed(reloads, trial->sources[i]);
    trial_free(trial);
}

/* The trial, to be tried again, is in the list once more. */
static void put_back(struct reloads *reloads, struct reload_trial *trial)
{
    trial->due_ns = clock_now(&reloads->world->system->clock) + RETURN_RETRY_NS;
    lock_acquire(&reloads->lock);
    trial->next = reloads->trials;
    reloads->trials = trial;
    set_on_trial_locked(reloads);
    lock_release(&reloads->lock);
}

/* The undo of it; NULL: no memory. */
static struct reload_job *job_back(const struct reload_trial *trial)
{
    struct reload_request request = { .undo = true, .asked_by = "trial" };
    if (source_file(trial->sources[0])[0] == '\0') { /* from memory: it was alone */
        request.source = trial->sources[0];
        return reload_job_new(&request);
    }
    size_t size = (trial->count + 1) * sizeof(const char *);
    const char **paths = memory_get_zeroed(size);
    if (paths == NULL)
        return NULL;
    for (size_t i = 0; i < trial->count; i++)
        paths[i] = source_file(trial->sources[i]);
    request.paths = paths;
    struct reload_job *job = reload_job_new(&request);
    memory_put(paths, size);
    return job;
}

/* All its instances return to the version before. */
static void go_back(struct reloads *reloads, struct reload_trial *trial, double seconds)
{
    if (trial->tries++ == 0)
        log_warn("reload: %s: the trial has failed after %.1f s, back to the version before: %s",
                 trial->names, seconds, trial->why);
    struct reload_job *job = job_back(trial);
    bool refused = job == NULL || reload_run(reloads, job) == RELOAD_REFUSED;
    if (refused && trial->tries < RETURN_TRIES)
        put_back(reloads, trial);
    else
        trial_free(trial);
}

void trials_go_on(struct reloads *reloads)
{
    uint64_t now_ns = clock_now(&reloads->world->system->clock);
    lock_acquire(&reloads->lock);
    struct reload_trial **link = &reloads->trials;
    while (*link != NULL && (*link)->due_ns > now_ns)
        link = &(*link)->next;
    struct reload_trial *trial = *link;
    if (trial != NULL)
        *link = trial->next;
    set_on_trial_locked(reloads);
    lock_release(&reloads->lock);
    if (trial == NULL)
        return;
    double seconds = (double)(now_ns - trial->began_ns) / (double)NS_PER_SEC;
    if (trial->failed)
        go_back(reloads, trial, seconds);
    else
        pass(reloads, trial, seconds);
}
