/*
 * unit_open.c -- see unit.h: the files of an update are read, and the scripts
 * found that they affect.
 */
#include "script/unit_store.h"

#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

/* ---- Beginning ------------------------------------------------------------- */

static int begin(struct sources *sources, bool is_undo, struct update **update, char *why,
                 size_t room)
{
    struct update *made = memory_get_zeroed(sizeof *made);
    *update = NULL;
    if (made == NULL)
        return source_no_memory(why, room);
    made->sources = sources;
    made->is_undo = is_undo;
    lock_init(&made->lock);
    map_init(&made->requests);

    lock_acquire(&sources->lock);
    bool is_busy = sources->update != NULL;
    if (!is_busy) {
        sources->update = made;
        made->number = ++sources->updates;
    }
    lock_release(&sources->lock);
    if (is_busy) {
        update_close(made);
        snprintf(why, room, "another reload is under way");
        return -EBUSY;
    }
    *update = made;
    return 0;
}

/* Notes an error in `file` with the scripts whose unit has it. */
static void note_failure(struct sources *sources, const struct lineage *file, const char *why)
{
    lock_acquire(&sources->lock);
    for (struct lineage *at = sources->lineages; at != NULL; at = at->next)
        if (at->is_script && (at == file || unit_member_locked(at->current, file) != NULL))
            source_note_failure(at->current, why);
    lock_release(&sources->lock);
}

static int add_members_locked(struct unit_set *set, const struct source *script)
{
    int err = 0;
    for (size_t i = 0; script != NULL && i < script->member_count && err == 0; i++)
        err = unit_set_add_locked(set, script->members[i].lineage);
    return err;
}

/* Adds the modules of the units of what is in the set: also what the version before has
 * required, and this one has not yet. */
static int add_members(struct sources *sources, struct unit_set *set, char *why, size_t room)
{
    int err = 0;
    lock_acquire(&sources->lock);
    size_t scripts = set->count;
    for (size_t i = 0; i < scripts && err == 0; i++)
        err = add_members_locked(set, set->lineages[i]->current);
    for (size_t i = 0; i < scripts && err == 0; i++)
        err = add_members_locked(set, set->lineages[i]->previous);
    lock_release(&sources->lock);
    return err == 0 ? 0 : source_no_memory(why, room);
}

/* ---- Reading ------------------------------------------------------------------ */

static struct source *current_of(struct sources *sources, struct lineage *lineage)
{
    lock_acquire(&sources->lock);
    struct source *source = lineage->known ? source_ref(lineage->current) : NULL;
    lock_release(&sources->lock);
    return source;
}

static int add_change(struct update *update, struct lineage *lineage, struct source *to, char *why,
                      size_t room)
{
    struct sources *sources = update->sources;
    int err = 0;
    lock_acquire(&sources->lock);
    if (lineage->known)
        err = update_add_locked(update, lineage, to, false);
    lock_release(&sources->lock);
    return err == 0 ? 0 : source_no_memory(why, room);
}

/* The file has been read, and leads to `file`; `to` is what it is now, NULL: as `known`. */
static void note_file(struct sources *sources, struct lineage *lineage, const char *file,
                      const struct source *known, const struct source *to)
{
    lock_acquire(&sources->lock);
    bool has_moved = lineage->file != NULL && strcmp(lineage->file, file) != 0;
    if (to == NULL)
        sources_move_file_locked(sources, lineage, file);
    lock_release(&sources->lock);
    if (has_moved)
        sources_tell(sources, lineage->path, file, to != NULL ? to->hash : known->hash);
}

/* Reads the file of `lineage`, which is in use as `known`. */
static int read_changed(struct update *update, struct lineage *lineage, struct source *known,
                        char *why, size_t room)
{
    char file[PATH_MAX];
    struct source *to = NULL;
    int err = source_resolve(lineage->path, file, why, room);
    if (err == 0)
        err = source_read_if_new(lineage, lineage->path, file, known, &to, why, room);
    if (err == 0)
        note_file(update->sources, lineage, file, known, to);
    if (to != NULL)
        err = add_change(update, lineage, to, why, room);
    source_unref(to);
    return err;
}

/* Of a file that cannot be had: whether that matters. If it is not there any more, it depends
 * on whether it is still required: see refuse_gone_locked(). */
static bool is_refused(struct update *update, struct lineage *lineage, bool is_named, int err)
{
    struct sources *sources = update->sources;
    bool is_gone = err == -ENOENT || err == -ENOTDIR;
    lock_acquire(&sources->lock);
    bool is_wanted = is_named || unit_is_used_locked(sources, lineage, true);
    if (is_wanted && is_gone)
        lineage->gone_for = update->number;
    lock_release(&sources->lock);
    return is_wanted && !is_gone;
}

static int read_one(struct update *update, struct lineage *lineage, bool is_named, char *why,
                    size_t room)
{
    struct sources *sources = update->sources;
    if (lineage->from_memory)
        return 0;
    struct source *known = current_of(sources, lineage);
    if (known == NULL)
        return 0;
    int err = read_changed(update, lineage, known, why, room);
    source_unref(known);
    if (err == 0 || err == -ENOMEM)
        return err;
    if (!is_refused(update, lineage, is_named, err))
        return 0;
    note_failure(sources, lineage, why);
    return -EINVAL;
}

/* ---- Whom it affects ------------------------------------------------------------- */

/* A module of the unit that has another text. */
static const struct change *changed_module_locked(const struct source *script)
{
    for (size_t i = 0; i < script->member_count; i++) {
        const struct change *change = script->members[i].lineage->change;
        if (change != NULL && !change->is_twin)
            return change;
    }
    return NULL;
}

/* The unit of `script` for its twin. */
static int copy_members_locked(struct source *twin, const struct source *script)
{
    int err = 0;
    for (size_t i = 0; i < script->member_count && err == 0; i++) {
        const struct unit_member *member = &script->members[i];
        const struct change *change = member->lineage->change;
        err = unit_add_member_locked(twin, member->lineage,
                                     change != NULL ? change->to->hash : member->hash,
                                     member->name, member->in_sandbox);
    }
    return err;
}

/* What takes the place of a script of which only a module changes; for an undo the version
 * before, if that was replaced by the same update, or else one that finds its modules where
 * it has found them. Counted; NULL: no memory. */
static struct source *make_twin_locked(const struct update *update, const struct lineage *script,
                                       const struct change *module)
{
    if (update->is_undo && script->previous != NULL &&
        script->current->committed == module->from->committed)
        return source_ref(script->previous);
    struct source *twin = source_twin(script->current);
    if (twin == NULL || !update->is_undo || copy_members_locked(twin, script->current) == 0)
        return twin;
    source_unref(twin);
    return NULL;
}

/* Whether the file, which is gone, is missed by somebody who runs the same text as before:
 * a new one may do without it, and tells when it is prepared. */
static bool is_missed_locked(const struct update *update, const struct lineage *gone)
{
    for (struct lineage *at = update->sources->lineages; at != NULL; at = at->next) {
        if (!at->is_script || source_instance_count(at->current) == 0 ||
            unit_member_locked(at->current, gone) == NULL)
            continue;
        if (at->change == NULL && changed_module_locked(at->current) == NULL)
            return true;
    }
    return false;
}

/* The first of the set that is gone and missed; NULL: none. */
static struct lineage *find_missed(struct update *update, const struct unit_set *set)
{
    struct lineage *missed = NULL;
    lock_acquire(&update->sources->lock);
    for (size_t i = 0; i < set->count && missed == NULL; i++) {
        struct lineage *at = set->lineages[i];
        if (at->gone_for == update->number && (at->is_script || is_missed_locked(update, at)))
            missed = at;
    }
    lock_release(&update->sources->lock);
    return missed;
}

static int refuse_gone(struct update *update, const struct unit_set *set, char *why, size_t room)
{
    char file[PATH_MAX];
    struct lineage *missed = find_missed(update, set);
    if (missed == NULL)
        return 0;
    if (source_resolve(missed->path, file, why, room) == 0)
        snprintf(why, room, "%s: was not there for a moment: reload again", missed->path);
    note_failure(update->sources, missed, why);
    return -EINVAL;
}

/* Adds the scripts that run what changes, and marks all that change. */
static int affect(struct update *update, char *why, size_t room)
{
    struct sources *sources = update->sources;
    int err = 0;
    lock_acquire(&sources->lock);
    for (struct lineage *at = sources->lineages; at != NULL && err == 0; at = at->next) {
        if (!at->is_script || at->change != NULL)
            continue;
        const struct change *module = changed_module_locked(at->current);
        if (module == NULL)
            continue;
        struct source *twin = make_twin_locked(update, at, module);
        err = twin != NULL ? update_add_locked(update, at, twin, true) : -ENOMEM;
        source_unref(twin);
    }
    for (size_t i = 0; i < update->count && err == 0; i++)
        atomic_store_explicit(&update->changes[i]->from->state, SOURCE_RELOADING,
                              memory_order_release);
    lock_release(&sources->lock);
    return err == 0 ? 0 : source_no_memory(why, room);
}

/* What was read is made an update: 0, or the update is closed. */
static int finish(struct update **update, struct unit_set *set, int err, char *why, size_t room)
{
    if (err == 0)
        err = refuse_gone(*update, set, why, room);
    if (err == 0)
        err = affect(*update, why, room);
    unit_set_fini(set);
    if (err != 0) {
        update_close(*update);
        *update = NULL;
    }
    return err;
}

int update_open(struct sources *sources, const char *const *paths, struct update **update,
                char *why, size_t room)
{
    int err = begin(sources, false, update, why, room);
    if (err != 0)
        return err;
    struct unit_set set = { .mark = (*update)->number };
    err = unit_find(sources, paths, &set, why, room);
    size_t named = paths != NULL ? set.count : 0;
    if (err == 0)
        err = add_members(sources, &set, why, room);
    for (size_t i = 0; i < set.count && err == 0; i++)
        err = read_one(*update, set.lineages[i], i < named, why, room);
    return finish(update, &set, err, why, room);
}

/* ---- A text from memory ------------------------------------------------------------ */

static int take_text(struct update *update, struct lineage *lineage, const char *text, size_t size,
                     char *why, size_t room)
{
    struct source *known = current_of(update->sources, lineage);
    if (known == NULL) {
        snprintf(why, room, "%s is not in use here", lineage->path);
        return -ENOENT;
    }
    struct source *to = NULL;
    int err = 0;
    if (known->hash != source_hash_of(text, size))
        err = source_build(lineage, known->file, text, size, &to, why, room);
    if (err == -EINVAL)
        note_failure(update->sources, lineage, why);
    if (to != NULL)
        err = add_change(update, lineage, to, why, room);
    source_unref(to);
    source_unref(known);
    return err;
}

/* Adds the file or text that `source` is a version of. */
static int add_lineage(struct sources *sources, struct unit_set *set, struct source *source,
                       char *why, size_t room)
{
    lock_acquire(&sources->lock);
    int err = unit_set_add_locked(set, source->lineage);
    lock_release(&sources->lock);
    return err == 0 ? 0 : source_no_memory(why, room);
}

int update_open_text(struct sources *sources, struct source *source, const char *text, size_t size,
                     struct update **update, char *why, size_t room)
{
    int err = begin(sources, false, update, why, room);
    if (err != 0)
        return err;
    struct unit_set set = { .mark = (*update)->number };
    bool is_read = text == NULL && source_file(source)[0] != '\0';
    err = add_lineage(sources, &set, source, why, room);
    if (err == 0)
        err = add_members(sources, &set, why, room);
    if (err == 0 && text != NULL)
        err = take_text(*update, source->lineage, text, size, why, room);
    for (size_t i = is_read ? 0 : 1; i < set.count && err == 0; i++)
        err = read_one(*update, set.lineages[i], false, why, room);
    return finish(update, &set, err, why, room);
}

/* ---- Back to what was before --------------------------------------------------------- */

static bool was_changed_by(const struct lineage *lineage, uint64_t commit)
{
    return lineage->known && lineage->previous != NULL && lineage->current->committed == commit;
}

static int put_back_locked(struct update *update, struct lineage *lineage)
{
    if (lineage->change != NULL)
        return 0;
    struct source *to = lineage->previous;
    return update_add_locked(update, lineage, to, to->hash == lineage->current->hash);
}

/* What the commit that made `lineage` what it is has changed in its unit: also what the
 * version before required, and this one does not. */
static int put_unit_back_locked(struct update *update, struct lineage *lineage)
{
    const struct source *versions[] = { lineage->current, lineage->previous };
    uint64_t commit = lineage->current->committed;
    int err = put_back_locked(update, lineage);
    for (size_t i = 0; i < ARRAY_LENGTH(versions); i++)
        for (size_t k = 0; k < versions[i]->member_count && err == 0; k++)
            if (was_changed_by(versions[i]->members[k].lineage, commit))
                err = put_back_locked(update, versions[i]->members[k].lineage);
    return err;
}

static int put_back(struct update *update, const struct unit_set *set, bool all, char *why,
                    size_t room)
{
    struct sources *sources = update->sources;
    int err = 0;
    lock_acquire(&sources->lock);
    for (size_t i = 0; i < set->count && err == 0; i++) {
        struct lineage *lineage = set->lineages[i];
        if (all) {
            if (sources->commits > 0 && was_changed_by(lineage, sources->commits))
                err = put_back_locked(update, lineage);
        } else if (lineage->known && lineage->previous != NULL) {
            err = put_unit_back_locked(update, lineage);
        } else {
            snprintf(why, room, "%s: there is no version before #%u", lineage->path,
                     lineage->last_number);
            err = -ENODATA;
        }
    }
    bool is_empty = err == 0 && update->count == 0;
    lock_release(&sources->lock);
    if (err == -ENOMEM)
        return source_no_memory(why, room);
    if (is_empty) {
        snprintf(why, room, "there is nothing to undo: no reload has changed anything");
        return -ENODATA;
    }
    return err;
}

int update_open_undo_of(struct sources *sources, struct source *source, struct update **update,
                        char *why, size_t room)
{
    int err = begin(sources, true, update, why, room);
    if (err != 0)
        return err;
    struct unit_set set = { .mark = (*update)->number };
    err = add_lineage(sources, &set, source, why, room);
    if (err == 0)
        err = put_back(*update, &set, false, why, room);
    return finish(update, &set, err, why, room);
}

int update_open_undo(struct sources *sources, const char *const *paths, struct update **update,
                     char *why, size_t room)
{
    int err = begin(sources, true, update, why, room);
    if (err != 0)
        return err;
    struct unit_set set = { .mark = (*update)->number };
    err = unit_find(sources, paths, &set, why, room);
    if (err == 0)
        err = put_back(*update, &set, paths == NULL, why, room);
    return finish(update, &set, err, why, room);
}
