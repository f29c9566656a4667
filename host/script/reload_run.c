/*
 * reload_run.c -- one reload: read anew, held, prepared, decided, told.
 */
#include "script/reload_room.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>

#define ATTEMPTS 3 /* as long as other scripts come to use what is to be changed */

/* The texts that the job is about. */
static int open_update(struct reloads *reloads, const struct reload_job *job, struct update **update,
                       char *why, size_t room)
{
    struct sources *sources = reloads->world->sources;
    const char *const *paths = (const char *const *)job->paths;
    if (job->source != NULL)
        return job->undo ? update_open_undo_of(sources, job->source, update, why, room)
                         : update_open_text(sources, job->source, job->text, job->text_size, update,
                                            why, room);
    return job->undo ? update_open_undo(sources, paths, update, why, room)
                     : update_open(sources, paths, update, why, room);
}

static int code_of(int error)
{
    return error == 0                               ? RELOAD_DONE
           : error == -ENOENT || error == -ENODATA ? RELOAD_UNKNOWN
                                                    : RELOAD_REFUSED;
}

static bool is_wanted(struct reloads *reloads, const struct reload_job *job,
                      struct reload_report *report)
{
    bool wanted = true;
    if (job->decide != NULL) {
        struct bytes json;
        bytes_init(&json, 0);
        reload_report_write(report, &json);
        wanted = job->decide(job->context, bytes_text(&json));
        bytes_fini(&json);
    }
    bool ends = reloads_are_stopping(reloads);
    if (ends || !wanted)
        snprintf(report->why, sizeof report->why, "%s",
                 ends ? "the host is ending" : "it was called off");
    return wanted && !ends;
}

/* The new versions are current. */
static void note_commit(struct reload_report *report, const struct update *update)
{
    reload_report_modules(report, update);
    for (size_t i = 0; i < report->count; i++)
        report->rows[i].to_number = source_number(report->rows[i].to);
}

enum attempt { ATTEMPT_DONE, ATTEMPT_REFUSED, ATTEMPT_AGAIN };

/* All instances are held and have prepared, or none is afterwards. */
static enum attempt try_all(struct reloads *reloads, struct reload_job *job, struct update *update,
                            struct reload_report *report)
{
    struct clock *clock = &reloads->world->system->clock;
    struct staging_options options = { .undo = job->undo, .keep = job->trial_ns > 0 };
    snprintf(report->why, sizeof report->why, "out of memory");
    if (reload_report_scripts(report, update) != 0)
        return ATTEMPT_REFUSED;
    struct party *party = party_new(reloads, update, report, &options);
    if (party == NULL)
        return ATTEMPT_REFUSED;

    uint64_t began_ns = clock_now(clock);
    bool prepared = party_hold(party) && party_prepare(party) && is_wanted(reloads, job, report);
    int  error = prepared ? update_commit(update) : 0;
    bool commit = prepared && error == 0;
    if (commit) {
        note_commit(report, update);
        trials_committed(reloads, report); /* before any of them handles a message */
    }
    party_end(party, commit);
    report->held_ns = clock_now(clock) - began_ns;
    if (commit)
        return ATTEMPT_DONE;
    if (!prepared)
        return ATTEMPT_REFUSED;
    snprintf(report->why, sizeof report->why, "other scripts come to use what is to be changed");
    return ATTEMPT_AGAIN;
}

static enum attempt attempt(struct reloads *reloads, struct reload_job *job,
                            struct reload_report *report)
{
    struct update *update = NULL;
    int error = open_update(reloads, job, &update, report->why, sizeof report->why);
    report->code = code_of(error);
    if (error != 0)
        return ATTEMPT_REFUSED;
    report->changed = update_changes(update);
    enum attempt outcome = ATTEMPT_DONE;
    if (report->changed)
        outcome = try_all(reloads, job, update, report);
    if (outcome != ATTEMPT_DONE) {
        report->code = reloads_are_stopping(reloads) ? RELOAD_NO_HOST : RELOAD_REFUSED;
        if (report->code == RELOAD_REFUSED && outcome == ATTEMPT_REFUSED)
            update_fail(update, report->why);
    }
    update_close(update);
    party_let_begin(reloads);
    return outcome;
}

static void answer(struct reload_job *job, const struct reload_report *report)
{
    struct bytes json;
    if (job->done == NULL)
        return;
    bytes_init(&json, 0);
    reload_report_write(report, &json);
    const char *text = bytes_text(&json);
    job->done(job->context, report->code,
              json.failed ? "{\"ok\":false,\"error\":\"out of memory\"}" : text);
    bytes_fini(&json);
}

int reload_run(struct reloads *reloads, struct reload_job *job)
{
    struct reload_report report;
    enum attempt outcome = ATTEMPT_AGAIN;
    reload_report_init(&report, job);
    for (unsigned i = 0; i < ATTEMPTS && outcome == ATTEMPT_AGAIN; i++)
        outcome = attempt(reloads, job, &report);
    int code = report.code;
    reload_report_log(&report);
    answer(job, &report);
    reload_report_fini(&report);
    reload_job_free(job);
    return code;
}

void reload_call_off(struct reload_job *job)
{
    struct reload_report report;
    reload_report_init(&report, job);
    report.code = RELOAD_NO_HOST;
    snprintf(report.why, sizeof report.why, "the host is ending");
    answer(job, &report);
    reload_report_fini(&report);
    reload_job_free(job);
}
