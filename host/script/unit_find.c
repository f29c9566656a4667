/*
 * unit_find.c -- what people mean when they name a script or a module that is in use.
 */
#include "script/unit_store.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "base/suggest.h"
#include "script/script_path.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* A path in the forms in which it is compared. */
struct wanted {
    const char *path;           /* without "./" in front */
    char        file[PATH_MAX]; /* where it leads; "" if nowhere */
};

static const char *without_dot(const char *path)
{
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    return path;
}

static void read_wanted(struct wanted *wanted, const char *path)
{
    char longer[PATH_MAX];
    wanted->path = without_dot(path);
    wanted->file[0] = '\0';
    int size = snprintf(longer, sizeof longer, "%s.lua", path);
    bool fits = size > 0 && (size_t)size < sizeof longer;
    if ((!fits || realpath(longer, wanted->file) == NULL) && realpath(path, wanted->file) == NULL)
        wanted->file[0] = '\0';
}

static bool is_same_path(const char *known, const char *path)
{
    size_t size = strlen(path);
    known = without_dot(known);
    return strncmp(known, path, size) == 0 &&
           (known[size] == '\0' || strcmp(known + size, ".lua") == 0);
}

static bool means_file(const struct wanted *wanted, const struct lineage *lineage)
{
    return is_same_path(lineage->path, wanted->path) ||
           (lineage->file != NULL && strcmp(lineage->file, wanted->file) == 0);
}

/* "pong", of "examples/pong.lua". */
static bool means_name(const struct wanted *wanted, const struct lineage *lineage)
{
    return lineage->is_script && strchr(wanted->path, '/') == NULL &&
           is_same_path(script_path_base(lineage->path), wanted->path);
}

static void name_all(const struct sources *sources, struct bytes *text)
{
    const char *between = "; there are: ";
    for (const struct lineage *at = sources->lineages; at != NULL; at = at->next) {
        if (!at->is_script)
            continue;
        bytes_printf(text, "%s%s", between, at->path);
        between = ", ";
    }
}

static int unknown(const struct sources *sources, const char *path, char *why, size_t room)
{
    struct bytes text;
    struct suggest suggest;
    bytes_init(&text, room);
    suggest_init(&suggest, path);
    for (const struct lineage *at = sources->lineages; at != NULL; at = at->next)
        suggest_offer(&suggest, at->path);
    bytes_printf(&text, "no script '%s' is in use here", path);
    if (suggest.best != NULL)
        bytes_printf(&text, "; did you mean %s?", suggest.best);
    else
        name_all(sources, &text);
    snprintf(why, room, "%.*s", (int)text.size, (const char *)text.data);
    bytes_fini(&text);
    return -ENOENT;
}

static int ambiguous(const char *path, const struct lineage *a, const struct lineage *b, char *why,
                     size_t room)
{
    snprintf(why, room, "'%s' may be %s or %s: name one of them", path, a->path, b->path);
    return -ENOENT;
}

static int find_one_locked(struct sources *sources, const char *path, const struct wanted *wanted,
                           struct unit_set *set, char *why, size_t room)
{
    bool is_there = false;
    for (struct lineage *at = sources->lineages; at != NULL; at = at->next) {
        if (!means_file(wanted, at))
            continue;
        is_there = true;
        if (unit_set_add_locked(set, at) != 0)
            return source_no_memory(why, room);
    }
    if (is_there)
        return 0;

    struct lineage *named = NULL;
    for (struct lineage *at = sources->lineages; at != NULL; at = at->next) {
        if (!means_name(wanted, at))
            continue;
        if (named != NULL)
            return ambiguous(path, named, at, why, room);
        named = at;
    }
    if (named == NULL)
        return unknown(sources, path, why, room);
    return unit_set_add_locked(set, named) == 0 ? 0 : source_no_memory(why, room);
}

static int find_all_locked(struct sources *sources, struct unit_set *set, char *why, size_t room)
{
    for (struct lineage *at = sources->lineages; at != NULL; at = at->next)
        if (unit_set_add_locked(set, at) != 0)
            return source_no_memory(why, room);
    return 0;
}

int unit_find(struct sources *sources, const char *const *paths, struct unit_set *set, char *why,
              size_t room)
{
    int err = 0;
    if (paths == NULL) {
        lock_acquire(&sources->lock);
        err = find_all_locked(sources, set, why, room);
        lock_release(&sources->lock);
    }
    for (size_t i = 0; paths != NULL && paths[i] != NULL && err == 0; i++) {
        struct wanted wanted;
        read_wanted(&wanted, paths[i]);
        lock_acquire(&sources->lock);
        err = find_one_locked(sources, paths[i], &wanted, set, why, room);
        lock_release(&sources->lock);
    }
    return err;
}

/* ---- Sets -------------------------------------------------------------------- */

int unit_set_add_locked(struct unit_set *set, struct lineage *lineage)
{
    if (lineage->read_for == set->mark)
        return 0;
    if (set->count == set->capacity) {
        size_t capacity = set->capacity > 0 ? set->capacity * 2 : 16;
        struct lineage **more = memory_resize(set->lineages, set->capacity * sizeof *more,
                                              capacity * sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        set->lineages = more;
        set->capacity = capacity;
    }
    lineage->read_for = set->mark;
    set->lineages[set->count++] = lineage_ref(lineage);
    return 0;
}

void unit_set_fini(struct unit_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        lineage_unref(set->lineages[i]);
    memory_put(set->lineages, set->capacity * sizeof *set->lineages);
    *set = (struct unit_set){ 0 };
}
