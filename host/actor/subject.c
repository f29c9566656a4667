/*
 * subject.c -- see subject.h.
 */
#include "actor/subject.h"

#include "actor/system.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

struct subject {
    _Atomic unsigned references;
    uint64_t    hash;
    char       *path;
    struct lock lock; /* a leaf: taken under the registry's */
    char        version[SUBJECT_VERSION_ROOM]; /* guarded by lock, as are these: */
    uint32_t    number;
    uint32_t    failed;
    char       *error; /* owned; NULL: none, or no memory for it */
};

struct subject *subject_new(const char *path, uint32_t number, uint64_t hash)
{
    struct subject *subject = memory_get_zeroed(sizeof *subject);
    if (subject == NULL)
        return NULL;
    subject->path = memory_copy_text(path);
    if (subject->path == NULL) {
        memory_put(subject, sizeof *subject);
        return NULL;
    }
    atomic_init(&subject->references, 1);
    subject->number = number;
    subject->hash = hash;
    lock_init(&subject->lock);
    return subject;
}

struct subject *subject_ref(struct subject *subject)
{
    atomic_fetch_add_explicit(&subject->references, 1, memory_order_relaxed);
    return subject;
}

void subject_unref(struct subject *subject)
{
    if (subject == NULL ||
        atomic_fetch_sub_explicit(&subject->references, 1, memory_order_acq_rel) > 1)
        return;
    memory_free_text(subject->path);
    memory_free_text(subject->error);
    lock_fini(&subject->lock);
    memory_put(subject, sizeof *subject);
}

void subject_set_number(struct subject *subject, uint32_t number)
{
    lock_acquire(&subject->lock);
    subject->number = number;
    lock_release(&subject->lock);
}

void subject_note_version(struct subject *subject, const char *version)
{
    lock_acquire(&subject->lock);
    snprintf(subject->version, sizeof subject->version, "%s", version);
    lock_release(&subject->lock);
}

/* Takes `error`, which may be NULL. */
static void replace_error(struct subject *subject, char *error, bool failed)
{
    lock_acquire(&subject->lock);
    char *before = subject->error;
    subject->error = error;
    subject->failed = failed ? subject->failed + 1 : 0;
    lock_release(&subject->lock);
    memory_free_text(before);
}

void subject_note_failure(struct subject *subject, const char *error)
{
    replace_error(subject, memory_copy_text(error), true);
}

void subject_forget_failures(struct subject *subject)
{
    replace_error(subject, NULL, false);
}

void subject_read(struct subject *subject, struct subject_report *report)
{
    report->path = subject->path;
    report->hash = subject->hash;
    lock_acquire(&subject->lock);
    report->number = subject->number;
    snprintf(report->version, sizeof report->version, "%s", subject->version);
    report->failed = subject->failed;
    snprintf(report->error, sizeof report->error, "%s",
             subject->error != NULL ? subject->error : "");
    lock_release(&subject->lock);
}

void subject_set(struct actor *actor, struct subject *subject)
{
    struct registry *registry = &actor->system->registry;
    if (subject != NULL)
        subject_ref(subject);
    lock_acquire(&registry->lock);
    struct subject *before = actor->subject;
    actor->subject = subject;
    lock_release(&registry->lock);
    subject_unref(before);
}

struct subject *subject_of(struct system *system, actor_id id)
{
    struct registry *registry = &system->registry;
    lock_acquire(&registry->lock);
    const struct actor *actor = registry_find(registry, id);
    struct subject *subject =
        actor != NULL && actor->subject != NULL ? subject_ref(actor->subject) : NULL;
    lock_release(&registry->lock);
    return subject;
}
