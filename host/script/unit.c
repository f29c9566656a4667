/*
 * unit.c -- see unit.h: an update is opened, looked at, committed or closed.
 */
#include "script/unit_store.h"

#include "actor/subject.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

/* ---- Members ------------------------------------------------------------- */

const struct unit_member *unit_member_locked(const struct source *script,
                                             const struct lineage *lineage)
{
    for (size_t i = 0; i < script->member_count; i++)
        if (script->members[i].lineage == lineage)
            return &script->members[i];
    return NULL;
}

bool unit_is_used_locked(struct sources *sources, const struct lineage *file, bool living)
{
    for (struct lineage *at = sources->lineages; at != NULL; at = at->next) {
        bool uses = at == file || unit_member_locked(at->current, file) != NULL;
        if (!at->is_script || !uses)
            continue;
        if (living ? source_instance_count(at->current) > 0 : at->change == NULL)
            return true;
    }
    return false;
}

int unit_add_member_locked(struct source *script, struct lineage *lineage, uint64_t hash,
                           const char *name, bool in_sandbox)
{
    if (script->member_count == script->member_capacity) {
        size_t capacity = script->member_capacity > 0 ? script->member_capacity * 2 : 4;
        struct unit_member *more =
            memory_resize(script->members, script->member_capacity * sizeof *more,
                          capacity * sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        script->members = more;
        script->member_capacity = capacity;
    }
    char *copy = memory_copy_text(name);
    if (copy == NULL)
        return -ENOMEM;
    script->members[script->member_count++] = (struct unit_member){
        .lineage = lineage_ref(lineage), .hash = hash, .name = copy, .in_sandbox = in_sandbox,
    };
    return 0;
}

/* ---- Changes --------------------------------------------------------------- */

int update_add_locked(struct update *update, struct lineage *lineage, struct source *to,
                      bool is_twin)
{
    if (update->count == update->capacity) {
        size_t capacity = update->capacity > 0 ? update->capacity * 2 : 16;
        struct change **more =
            memory_resize(update->changes, update->capacity * sizeof *more,
                          capacity * sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        update->changes = more;
        update->capacity = capacity;
    }
    struct change *change = memory_get(sizeof *change);
    if (change == NULL)
        return -ENOMEM;
    *change = (struct change){
        .lineage = lineage_ref(lineage),
        .from = source_ref(lineage->current),
        .to = source_ref(to),
        .is_twin = is_twin,
    };
    lineage->change = change;
    update->changes[update->count++] = change;
    return 0;
}

bool update_changes(const struct update *update)
{
    lock_acquire(&update->sources->lock);
    bool changes = update->count > 0;
    lock_release(&update->sources->lock);
    return changes;
}

static bool next(const struct update *update, size_t *position, bool scripts, struct source **from,
                 struct source **to)
{
    bool is_found = false;
    lock_acquire(&update->sources->lock);
    while (!is_found && *position < update->count) {
        const struct change *change = update->changes[(*position)++];
        is_found = scripts ? change->lineage->is_script : !change->is_twin;
        *from = change->from;
        *to = change->to;
    }
    lock_release(&update->sources->lock);
    return is_found;
}

bool update_next(const struct update *update, size_t *position, struct source **from,
                 struct source **to)
{
    return next(update, position, true, from, to);
}

bool update_next_file(const struct update *update, size_t *position, struct source **from,
                      struct source **to)
{
    return next(update, position, false, from, to);
}

struct source *update_find(struct update *update, const struct source *source)
{
    lock_acquire(&update->sources->lock);
    const struct change *change = source->lineage->change;
    struct source *to = change != NULL && change->to != source ? change->to : NULL;
    lock_release(&update->sources->lock);
    return to;
}

void update_fail(struct update *update, const char *why)
{
    struct source *from, *to;
    for (size_t position = 0; update_next(update, &position, &from, &to);)
        source_note_failure(from, why);
}

/* ---- The end --------------------------------------------------------------- */

static void set_state(struct source *source, enum source_state state)
{
    atomic_store_explicit(&source->state, state, memory_order_release);
}

/* `change->to` is current from now on. Returns what nobody keeps any more. */
static struct source *make_current_locked(struct sources *sources, const struct change *change)
{
    struct lineage *lineage = change->lineage;
    struct source *to = change->to, *old = lineage->previous;

    if (source_number(to) == 0)
        source_set_number(to, ++lineage->last_number);
    to->committed = sources->commits;
    subject_forget_failures(to->subject);
    lineage->previous = lineage->current; /* with its reference */
    lineage->current = source_ref(to);
    sources_move_file_locked(sources, lineage, to->file);
    set_state(to, SOURCE_CURRENT);
    set_state(change->from, SOURCE_SUPERSEDED);
    return old;
}

int update_commit(struct update *update)
{
    struct sources *sources = update->sources;
    lock_acquire(&sources->lock);
    if (update->has_grown) {
        lock_release(&sources->lock);
        return -EAGAIN;
    }
    sources->commits++;
    for (size_t i = 0; i < update->count; i++)
        if (update->changes[i]->lineage->known) /* else it was from memory, and has ended */
            source_unref(make_current_locked(sources, update->changes[i]));
    /* A new file may lie where another was found so far. */
    map_fini(&sources->by_request);
    map_fini(&sources->by_module);
    map_init(&sources->by_request);
    map_init(&sources->by_module);
    lock_release(&sources->lock);
    update->committed = true;
    return 0;
}

void update_close(struct update *update)
{
    if (update == NULL)
        return;
    struct sources *sources = update->sources;
    lock_acquire(&sources->lock);
    for (size_t i = 0; i < update->count; i++) {
        struct change *change = update->changes[i];
        change->lineage->change = NULL;
        if (!update->committed)
            set_state(change->from, SOURCE_CURRENT);
    }
    if (sources->update == update)
        sources->update = NULL;
    lock_release(&sources->lock);

    for (size_t i = 0; i < update->count; i++) {
        struct change *change = update->changes[i];
        source_unref(change->from);
        source_unref(change->to);
        lineage_unref(change->lineage);
        memory_put(change, sizeof *change);
    }
    memory_put(update->changes, update->capacity * sizeof *update->changes);
    map_fini(&update->requests);
    lock_fini(&update->lock);
    memory_put(update, sizeof *update);
}
