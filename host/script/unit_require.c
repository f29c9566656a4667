/*
 * unit_require.c -- see unit.h: a module is found, and belongs to a unit from then on.
 */
#include "script/unit_store.h"

#include "base/memory.h"
#include "script/script_path.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#define KEY_ROOM (2 * PATH_MAX)

/* ---- Where it is looked for -------------------------------------------------- */

/* Troupe's own modules are the same for all, and no part of a project. */
static bool is_ours(const char *name)
{
    return strncmp(name, "troupe", 6) == 0 && (name[6] == '\0' || name[6] == '.');
}

/* What a request is known by. False: too long to be known. The name, which a script may
 * choose, is last, so that it cannot pass for another part. */
static bool make_key(const struct unit_request *request, char *key, size_t *size)
{
    const char *folder = source_folder(request->script);
    const char *within = request->within != NULL ? request->within : "";
    int length = snprintf(key, KEY_ROOM, "%zu %zu %s%s%s", strlen(folder), strlen(within), folder,
                          within, request->name);
    *size = (size_t)length;
    return length > 0 && length < KEY_ROOM;
}

/* Whether what lies at `path` is inside the folder of a sandbox. */
static bool is_within(const void *within, const char *path)
{
    char file[PATH_MAX], why[PATH_MAX];
    return source_resolve(path, file, why, sizeof why) == 0 &&
           strncmp(file, within, strlen(within)) == 0;
}

static bool is_never_there(const void *context, const char *path)
{
    (void)context;
    (void)path;
    return false;
}

static int look_where(const struct unit_request *request, module_admit_fn *admits, char *found,
                      char *why, size_t room)
{
    const char *folders[3] = { source_folder(request->script) };
    size_t count = 1;
    if (request->within == NULL && strcmp(folders[0], "lua") != 0)
        folders[count++] = "lua";
    if (request->within == NULL && strcmp(folders[0], "actors") != 0)
        folders[count++] = "actors";
    return script_path_find_module(request->name, folders, count, admits, request->within, found,
                                   why, room);
}

static int look(const struct unit_request *request, char *found, char *why, size_t room)
{
    return look_where(request, request->within != NULL ? is_within : NULL, found, why, room);
}

/* What look() has said when it found nothing, whatever lies there now. */
static void say_not_here(const struct unit_request *request, char *why, size_t room)
{
    char found[PATH_MAX];
    look_where(request, is_never_there, found, why, room);
}

/* ---- Belonging to a unit -------------------------------------------------------- */

static int add_member_locked(struct source *script, struct lineage *lineage, unsigned number)
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
    script->members[script->member_count++] =
        (struct unit_member){ .lineage = lineage_ref(lineage), .number = number };
    return 0;
}

/* The version that `script` runs: a superseded one goes on with what it has. */
static struct source *version_locked(const struct source *script, const struct lineage *lineage)
{
    const struct unit_member *member = unit_member_locked(script, lineage);
    struct source *before = lineage->previous;
    bool is_old = member != NULL && before != NULL && source_number(before) == member->number &&
                  source_number(lineage->current) != member->number;
    return is_old ? before : lineage->current;
}

/* Notes that the unit has the file, and answers with the version to run, counted. */
static int take_locked(struct sources *sources, const struct unit_request *request,
                       struct lineage *lineage, struct source **module)
{
    struct source *script = request->script;
    const struct change *change = lineage->change;
    struct source *version = request->update != NULL && change != NULL
                                 ? change->to
                                 : version_locked(script, lineage);
    if (script->lineage != lineage && unit_member_locked(script, lineage) == NULL) {
        if (add_member_locked(script, lineage, source_number(version)) != 0)
            return -ENOMEM;
        if (request->update == NULL && change != NULL && !change->is_twin &&
            script->lineage->change == NULL)
            sources->update->has_grown = true; /* it would go on with what is replaced */
    }
    *module = source_ref(version);
    return 0;
}

static int take(struct sources *sources, const struct unit_request *request,
                struct lineage *lineage, struct source **module, char *why, size_t room)
{
    lock_acquire(&sources->lock);
    int err = take_locked(sources, request, lineage, module);
    lock_release(&sources->lock);
    return err == 0 ? 0 : source_no_memory(why, room);
}

/* ---- What is current --------------------------------------------------------------- */

static int require_current(struct sources *sources, const struct unit_request *request,
                           struct source **module, char *why, size_t room)
{
    char key[KEY_ROOM], found[PATH_MAX];
    size_t size;
    bool can_know = make_key(request, key, &size);
    int  err = 0;

    lock_acquire(&sources->lock);
    struct lineage *known = can_know ? map_find(&sources->by_module, key, size) : NULL;
    if (known != NULL && known != &source_elsewhere)
        err = take_locked(sources, request, known, module);
    lock_release(&sources->lock);
    if (err != 0)
        return source_no_memory(why, room);
    if (known != NULL)
        return known == &source_elsewhere ? UNIT_ELSEWHERE : UNIT_FOUND;

    if (look(request, found, why, room) != 0)
        return UNIT_NOT_HERE;
    struct source *source;
    err = sources_open(sources, found, false, &source, NULL, why, room);
    if (err != 0)
        return err;
    err = take(sources, request, source->lineage, module, why, room);
    if (err == 0 && can_know) {
        lock_acquire(&sources->lock);
        sources_note_request_locked(&sources->by_module, key, size, source->lineage);
        lock_release(&sources->lock);
    }
    source_unref(source);
    return err;
}

void unit_found_elsewhere(struct sources *sources, const struct unit_request *request)
{
    char key[KEY_ROOM];
    size_t size;
    if (request->update != NULL || is_ours(request->name) || !make_key(request, key, &size))
        return;
    lock_acquire(&sources->lock);
    if (map_find(&sources->by_module, key, size) == NULL)
        sources_note_request_locked(&sources->by_module, key, size, &source_elsewhere);
    lock_release(&sources->lock);
}

/* ---- For an update ------------------------------------------------------------------- */

/* A file that others have in use, and that no unit of this update had: it is read anew, as
 * all that belongs to the update. What others run too cannot change under them. */
static int read_known(struct update *update, struct source *known, const char *path, char *why,
                      size_t room)
{
    struct sources *sources = update->sources;
    struct lineage *lineage = known->lineage;
    struct source *to = NULL;
    char file[PATH_MAX];

    int err = source_resolve(path, file, why, room);
    if (err == 0)
        err = source_read_if_new(lineage, lineage->path, file, known, &to, why, room);
    if (err != 0 || to == NULL)
        return err;
    lock_acquire(&sources->lock);
    bool is_used = unit_is_used_locked(sources, lineage, false);
    if (!is_used)
        err = update_add_locked(update, lineage, to, false);
    lock_release(&sources->lock);
    source_unref(to);
    if (err != 0)
        return source_no_memory(why, room);
    if (is_used) {
        snprintf(why, room, "%s: has changed and others use it: reload it as well", lineage->path);
        return -EINVAL;
    }
    return 0;
}

/* The lineage of the module that lies at `path`, read once for this update. */
static int open_for_update(struct update *update, const char *path, struct source **source,
                           char *why, size_t room)
{
    struct sources *sources = update->sources;
    bool is_new;
    int err = sources_open(sources, path, false, source, &is_new, why, room);
    if (err != 0)
        return err;
    struct lineage *lineage = (*source)->lineage;
    lock_acquire(&sources->lock);
    bool is_read = is_new || update->is_undo || lineage->read_for == update->number;
    lineage->read_for = update->number;
    lock_release(&sources->lock);
    if (!is_read)
        err = read_known(update, *source, path, why, room);
    if (err != 0) {
        source_unref(*source);
        *source = NULL;
    }
    return err;
}

/* Where a module lies is decided once for all instances, too. */
static int require_update_locked(struct update *update, const struct unit_request *request,
                                 struct source **module, char *why, size_t room)
{
    char key[KEY_ROOM], found[PATH_MAX];
    size_t size;
    bool can_know = make_key(request, key, &size);
    struct lineage *known = can_know ? map_find(&update->requests, key, size) : NULL;
    if (known == &source_elsewhere) {
        say_not_here(request, why, room);
        return UNIT_NOT_HERE;
    }
    if (known != NULL)
        return take(update->sources, request, known, module, why, room);

    if (look(request, found, why, room) != 0) {
        if (can_know)
            map_set(&update->requests, key, size, &source_elsewhere);
        return UNIT_NOT_HERE;
    }
    struct source *source;
    int err = open_for_update(update, found, &source, why, room);
    if (err != 0)
        return err;
    err = take(update->sources, request, source->lineage, module, why, room);
    if (err == 0 && can_know)
        map_set(&update->requests, key, size, source->lineage);
    source_unref(source);
    return err;
}

int unit_require(struct sources *sources, const struct unit_request *request,
                 struct source **module, char *why, size_t room)
{
    struct update *update = request->update;
    *module = NULL;
    if (is_ours(request->name))
        return UNIT_ELSEWHERE;
    if (update == NULL)
        return require_current(sources, request, module, why, room);
    lock_acquire(&update->lock);
    int err = require_update_locked(update, request, module, why, room);
    lock_release(&update->lock);
    return err;
}
