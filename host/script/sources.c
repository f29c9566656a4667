/*
 * sources.c -- see source.h: all sources of a host, and which is current.
 */
#include "script/source_store.h"

#include "base/memory.h"
#include "script/script_path.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUESTS_LIMIT 16384 /* ways of asking that are remembered; more begin anew */

struct lineage source_elsewhere;

/* ---- All of a host ----------------------------------------------------- */

struct sources *sources_new(const char *const *roots)
{
    size_t count = 0;
    while (roots != NULL && roots[count] != NULL)
        count++;

    struct sources *sources = memory_get_zeroed(sizeof *sources);
    if (sources == NULL)
        return NULL;
    lock_init(&sources->lock);
    map_init(&sources->by_file);
    map_init(&sources->by_request);
    map_init(&sources->by_module);
    sources->roots = calloc(count + 1, sizeof *sources->roots);
    for (size_t i = 0; sources->roots != NULL && i < count; i++) {
        sources->roots[i] = strdup(roots[i]);
        if (sources->roots[i] == NULL) {
            sources_free(sources);
            return NULL;
        }
    }
    if (sources->roots == NULL) {
        sources_free(sources);
        return NULL;
    }
    return sources;
}

void sources_free(struct sources *sources)
{
    if (sources == NULL)
        return;
    while (sources->lineages != NULL) {
        struct lineage *lineage = sources->lineages;
        sources->lineages = lineage->next;
        lineage->known = false;
        source_unref(lineage->current);
        source_unref(lineage->previous);
        lineage->current = lineage->previous = NULL;
        lineage_unref(lineage);
    }
    map_fini(&sources->by_file);
    map_fini(&sources->by_request);
    map_fini(&sources->by_module);
    for (char **root = sources->roots; root != NULL && *root != NULL; root++)
        free(*root);
    free(sources->roots);
    lock_fini(&sources->lock);
    memory_put(sources, sizeof *sources);
}

/* ---- Who watches ------------------------------------------------------- */

void sources_each_file(struct sources *sources, source_file_fn *fn, void *context)
{
    lock_acquire(&sources->lock);
    for (struct lineage *lineage = sources->lineages; lineage != NULL; lineage = lineage->next)
        if (lineage->file != NULL)
            fn(context, lineage->path, lineage->file, lineage->current->hash);
    lock_release(&sources->lock);
}

void sources_listen(struct sources *sources, source_file_fn *fn, void *context)
{
    lock_acquire(&sources->lock);
    sources->listener = fn;
    sources->listener_context = context;
    lock_release(&sources->lock);
}

void sources_tell(struct sources *sources, const char *path, const char *file, uint64_t hash)
{
    lock_acquire(&sources->lock);
    source_file_fn *listener = sources->listener;
    void *context = sources->listener_context;
    lock_release(&sources->lock);
    if (listener != NULL)
        listener(context, path, file, hash);
}

/* ---- What is known ----------------------------------------------------- */

static struct lineage *find_file_locked(struct sources *sources, const char *file)
{
    return map_find(&sources->by_file, file, strlen(file));
}

static int make_known_locked(struct sources *sources, struct source *source)
{
    struct lineage *lineage = source->lineage;
    lineage->file = memory_copy_text(source->file);
    if (lineage->file == NULL ||
        map_set(&sources->by_file, lineage->file, strlen(lineage->file), lineage) != 0)
        return -ENOMEM;
    lineage->known = true;
    lineage->current = source_ref(source);
    lineage->last_number = 1;
    source_set_number(source, 1);
    atomic_store_explicit(&source->state, SOURCE_CURRENT, memory_order_release);
    lineage->next = sources->lineages;
    if (lineage->next != NULL)
        lineage->next->before = lineage;
    sources->lineages = lineage_ref(lineage);
    return 0;
}

int sources_remember(struct sources *sources, struct source **source)
{
    struct source *spare = NULL;
    bool is_new = false;
    int  err = 0;

    lock_acquire(&sources->lock);
    struct lineage *known = find_file_locked(sources, (*source)->file);
    if (known != NULL) {
        known->is_script |= (*source)->lineage->is_script;
        spare = *source;
        *source = source_ref(known->current);
    } else {
        err = make_known_locked(sources, *source);
        is_new = err == 0;
    }
    lock_release(&sources->lock);
    source_unref(spare);
    if (is_new)
        sources_tell(sources, source_path(*source), (*source)->file, (*source)->hash);
    return err;
}

void sources_move_file_locked(struct sources *sources, struct lineage *lineage, const char *file)
{
    if (lineage->file == NULL || strcmp(lineage->file, file) == 0)
        return;
    char *copy = memory_copy_text(file);
    if (copy == NULL)
        return; /* found anew by its next user */
    if (find_file_locked(sources, lineage->file) == lineage)
        map_remove(&sources->by_file, lineage->file, strlen(lineage->file));
    memory_free_text(lineage->file);
    lineage->file = copy;
    if (find_file_locked(sources, file) == NULL)
        map_set(&sources->by_file, file, strlen(file), lineage);
}

static struct source *find_known(struct sources *sources, const char *file, bool is_script)
{
    struct source *source = NULL;
    lock_acquire(&sources->lock);
    struct lineage *known = find_file_locked(sources, file);
    if (known != NULL) {
        known->is_script |= is_script;
        source = source_ref(known->current);
    }
    lock_release(&sources->lock);
    return source;
}

int sources_open(struct sources *sources, const char *path, bool is_script, struct source **source,
                 bool *is_new, char *why, size_t room)
{
    char file[PATH_MAX];
    *source = NULL;
    int err = source_resolve(path, file, why, room);
    if (err != 0)
        return err;
    *source = find_known(sources, file, is_script);
    if (is_new != NULL)
        *is_new = *source == NULL;
    if (*source != NULL)
        return 0;

    err = source_read(NULL, path, file, source, why, room);
    if (err != 0)
        return err;
    (*source)->lineage->is_script = is_script;
    err = sources_remember(sources, source);
    if (err != 0) {
        source_unref(*source);
        *source = NULL;
        return source_no_memory(why, room);
    }
    return 0;
}

/* ---- Requests ---------------------------------------------------------- */

void sources_note_request_locked(struct map *map, const char *key, size_t size,
                                 struct lineage *lineage)
{
    if (map->count >= REQUESTS_LIMIT) {
        map_fini(map);
        map_init(map);
    }
    map_set(map, key, size, lineage); /* without memory: found anew */
}

/* What a find is known by. False: too long to be known. */
static bool request_key(const char *path, const char *beside, char *key, size_t room, size_t *size)
{
    char folder[PATH_MAX] = "";
    if (beside != NULL)
        script_path_folder(beside, folder, sizeof folder);
    int length = snprintf(key, room, "%s\n%s", path, folder);
    *size = (size_t)length;
    return length > 0 && (size_t)length < room;
}

int source_find(struct sources *sources, const char *path, const char *beside,
                struct source **source, char *why, size_t room)
{
    char key[PATH_MAX], found[PATH_MAX];
    size_t size;
    bool can_know = request_key(path, beside, key, sizeof key, &size);

    *source = NULL;
    if (can_know) {
        lock_acquire(&sources->lock);
        struct lineage *before = map_find(&sources->by_request, key, size);
        if (before != NULL)
            *source = source_ref(before->current);
        lock_release(&sources->lock);
        if (*source != NULL)
            return 0;
    }
    int err = script_path_find(path, beside, sources->roots, found, why, room);
    if (err == 0)
        err = sources_open(sources, found, true, source, NULL, why, room);
    if (err == 0 && can_know) {
        lock_acquire(&sources->lock);
        sources_note_request_locked(&sources->by_request, key, size, (*source)->lineage);
        lock_release(&sources->lock);
    }
    return err;
}

struct source *source_current(struct sources *sources, struct source *source)
{
    lock_acquire(&sources->lock);
    struct lineage *lineage = source->lineage;
    struct source *current = source_ref(lineage->known ? lineage->current : source);
    lock_release(&sources->lock);
    return current;
}
