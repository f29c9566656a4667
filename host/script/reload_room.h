/*
 * reload_room.h -- what the files of a reload share: reload.c (the queue and its
 * thread), reload_run.c (one reload), reload_hold.c (its instances), reload_report.c
 * (what is said of it), reload_trial.c (what comes afterwards). Nobody else includes it.
 */
#ifndef TROUPE_SCRIPT_RELOAD_ROOM_H
#define TROUPE_SCRIPT_RELOAD_ROOM_H

#include "actor/hold.h"
#include "script/reload.h"
#include "script/staging.h"
#include "script/unit.h"

/* ---- The queue: reload.c ------------------------------------------------ */

/* A request, copied. */
struct reload_job {
    struct reload_job *next;
    char         **paths;   /* owned; NULL: all, or `source` */
    struct source *source;  /* counted, or NULL */
    char          *text;    /* owned, or NULL; of: */
    size_t         text_size;
    char          *asked_by; /* owned, or NULL */
    bool           undo, quiet;
    uint64_t       trial_ns;
    bool         (*decide)(void *context, const char *json);
    void         (*done)(void *context, int code, const char *json);
    void          *context;
};

struct reload_trial;

struct reloads {
    struct script_world *world;
    struct lock   lock;       /* a leaf, but for what a signal takes */
    struct signal changed;    /* anything that somebody may wait for here */
    struct reload_job *first, **last; /* that wait for their turn; guarded by lock */
    struct reload_trial *trials;      /* guarded by lock */
    struct message *waiting;  /* HOLD_ENDs of actors that wait to begin; guarded by lock */
    struct thread thread;     /* the reloader */
    bool has_thread;          /* guarded by lock */
    _Atomic bool stopping;    /* set under lock */
    _Atomic bool on_trial;    /* there are trials: for a look without the lock */
};

/* A copy of the request; NULL: no memory. */
struct reload_job *reload_job_new(const struct reload_request *request);
void               reload_job_free(struct reload_job *job);

/* ---- What is said of a reload: reload_report.c --------------------------- */

#define RELOAD_WHY 1024

struct reload_row {
    struct source *from, *to; /* counted */
    unsigned from_number, to_number;
    char     version[16];
    unsigned instances, migrated;
};

struct reload_report {
    const struct reload_job *job;
    int    code;              /* enum reload_code */
    bool   changed;
    struct reload_row *rows;  /* owned */
    size_t count;
    struct bytes modules;     /* lines: those that have another text, once it is committed */
    struct bytes warnings;    /* lines, each once */
    struct bytes stale;       /* likewise: "pong: on_buy" */
    uint64_t held_ns;         /* 0: nobody was held */
    char   why[RELOAD_WHY];   /* of code > 0 */
};

void reload_report_init(struct reload_report *report, const struct reload_job *job);
void reload_report_fini(struct reload_report *report);
/* Fills in the rows. 0 or -ENOMEM. */
int  reload_report_scripts(struct reload_report *report, const struct update *update);
/* Notes the modules that are other ones now. */
void reload_report_modules(struct reload_report *report, const struct update *update);
/* Adds the lines of `from`, with `before` in front of each; NULL: those that `to` has not. */
void reload_report_lines(struct bytes *to, struct bytes *from, const char *before);
/* Appends the JSON text. */
void reload_report_write(const struct reload_report *report, struct bytes *json);
/* Says it in the log. */
void reload_report_log(const struct reload_report *report);
/* "a.lua, b.lua": the scripts of the report, cut. */
const char *reload_report_names(const struct reload_report *report, char *text, size_t room);

/* ---- The instances: reload_hold.c ---------------------------------------- */

struct party;

/* The instances of all scripts in the report's rows. NULL: no memory. `update` and
 * `report` are used until party_end(). */
struct party *party_new(struct reloads *reloads, struct update *update,
                        struct reload_report *report, const struct staging_options *options);
size_t party_size(const struct party *party);
/* Holds all. False, and report->why: one was busy, or the host ends. */
bool party_hold(struct party *party);
/* Has all prepare. False, and report->why: one refused, or the host ends. */
bool party_prepare(struct party *party);
/* All commit, or all abort; they are let go, and the party is freed. */
void party_end(struct party *party, bool commit);
/* Those that wait to begin do: when no source is being reloaded any more. */
void party_let_begin(struct reloads *reloads);

/* ---- One reload, to its end: reload_run.c --------------------------------- */

/* Answers whoever asked, and frees the job. On the reloader. Its code. */
int reload_run(struct reloads *reloads, struct reload_job *job);
/* The same without doing anything: the host ends. */
void reload_call_off(struct reload_job *job);

/* ---- Trials: reload_trial.c ----------------------------------------------- */

/* What has been committed is on trial, if its job says so; trials of what it
 * replaced are over. Before any instance goes on, or its first error may be missed. */
void trials_committed(struct reloads *reloads, const struct reload_report *report);
/* Whether one has failed or is over; when that is so at the latest. */
bool     trials_are_due_locked(const struct reloads *reloads, uint64_t now_ns);
uint64_t trials_next_locked(const struct reloads *reloads);
/* Does what is to be done about one of them. On the reloader. */
void trials_go_on(struct reloads *reloads);
void trials_free(struct reloads *reloads);

#endif
