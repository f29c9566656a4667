/*
 * subject.h -- what an actor runs, as people are told: which script, in which
 * version, and what came of the attempts to replace it.
 *
 * A subject is shared by all actors that run the same version of a script, and
 * says nothing that is needed to run it. A new version is a new subject. Path
 * and hash never change; the rest may be noted and read by any thread.
 *
 * An actor holds one reference. Which subject it holds is guarded by the
 * registry's lock, so that whoever looks at actors under that lock may read the
 * subjects of those that he finds.
 */
#ifndef TROUPE_ACTOR_SUBJECT_H
#define TROUPE_ACTOR_SUBJECT_H

#include "actor/actor.h"

struct subject;

#define SUBJECT_VERSION_ROOM 32
#define SUBJECT_ERROR_ROOM   600

/* A new one, the caller's: `path` as people know the script, the `number` of this
 * version (from 1; 0: it has none yet), the hash of its text. NULL when there is no memory. */
struct subject *subject_new(const char *path, uint32_t number, uint64_t hash);
struct subject *subject_ref(struct subject *subject);
void            subject_unref(struct subject *subject); /* NULL is fine */

void subject_set_number(struct subject *subject, uint32_t number);
/* What the script says of itself: its field `version`, as text; cut at
 * SUBJECT_VERSION_ROOM. Known when it was loaded. */
void subject_note_version(struct subject *subject, const char *version);

/* An attempt to replace this version has failed: counted, and the error is kept
 * until the next one. */
void subject_note_failure(struct subject *subject, const char *error);
/* This version was put in use (again): no attempt has failed since. */
void subject_forget_failures(struct subject *subject);

struct subject_report {
    const char *path;                      /* as long as the subject is held */
    uint32_t number;
    uint64_t hash;
    char     version[SUBJECT_VERSION_ROOM]; /* "": it says none */
    uint32_t failed;                       /* attempts since it was put in use */
    char     error[SUBJECT_ERROR_ROOM];    /* of the last one; "": none */
};
void subject_read(struct subject *subject, struct subject_report *report);

/* From now on the actor runs that, of which it takes a reference of its own; NULL:
 * nothing that could be named. Whoever may not see it end: on its worker, or held.
 * Any thread. */
void subject_set(struct actor *actor, struct subject *subject);

/* What it runs now, with a reference for the caller; NULL: nothing, or it has ended. */
struct subject *subject_of(struct system *system, actor_id id);

#endif
