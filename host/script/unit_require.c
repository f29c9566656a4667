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

/* A request, and its name as a path: "lib.prices" is "lib/prices". */
struct wanted {
    const struct unit_request *request;
    char place[PATH_MAX];
};

/* False: it can be in none of the roots. */
static bool read_name(struct wanted *wanted, const struct unit_request *request)
{
    size_t size = 0;
    wanted->request = request;
    for (const char *at = request->name; *at != '\0'; at++) {
        bool is_slash = *at == '.' || *at == '/';
        if (size + 1 == sizeof wanted->place || (is_slash && size == 0))
            return false; /* one that begins so would be an absolute path */
        if (!is_slash || wanted->place[size - 1] != '/')
            wanted->place[size++] = is_slash ? '/' : *at;
    }
    wanted->place[size] = '\0';
    return size > 0 && !is_ours(request->name);
}

/* What a request is known by. False: too long to be known. The name, which a script may
 * choose, is last, so that it cannot pass for another part. */
static bool make_key(const struct wanted *wanted, char *key, size_t *size)
{
    const char *folder = source_folder(wanted->request->script);
    const char *within = wanted->request->within != NULL ? wanted->request->within : "";
    int length = snprintf(key, KEY_ROOM, "%zu %zu %s%s%s", strlen(folder), strlen(within), folder,
                          within, wanted->place);
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

static int look_where(const struct wanted *wanted, module_admit_fn *admits, char *found,
                      char *why, size_t room)
{
    const struct unit_request *request = wanted->request;
    const char *folders[3] = { source_folder(request->script) };
    size_t count = 1;
    if (request->within == NULL && strcmp(folders[0], "lua") != 0)
        folders[count++] = "lua";
    if (request->within == NULL && strcmp(folders[0], "actors") != 0)
        folders[count++] = "actors";
    return script_path_find_module(wanted->place, folders, count, admits, request->within, found,
                                   why, room);
}

static int look(const struct wanted *wanted, char *found, char *why, size_t room)
{
    return look_where(wanted, wanted->request->within != NULL ? is_within : NULL, found, why, room);
}

/* What look() has said when it found nothing, whatever lies there now. */
static void say_not_here(const struct wanted *wanted, char *why, size_t room)
{
    char found[PATH_MAX];
    look_where(wanted, is_never_there, found, why, room);
}

/* ---- Belonging to a unit -------------------------------------------------------- */

static const struct unit_member *find_member_locked(const struct wanted *wanted)
{
    const struct source *script = wanted->request->script;
    bool in_sandbox = wanted->request->within != NULL;
    for (size_t i = 0; i < script->member_count; i++) {
        const struct unit_member *member = &script->members[i];
        if (member->in_sandbox == in_sandbox && strcmp(member->name, wanted->place) == 0)
            return member;
    }
    return NULL;
}

/* The version that the script runs: a superseded one goes on with what it has. */
static struct source *version_locked(const struct unit_request *request,
                                     const struct lineage *lineage)
{
    const struct unit_member *member = unit_member_locked(request->script, lineage);
    struct source *before = lineage->previous;
    if (request->update != NULL && lineage->change != NULL)
        return lineage->change->to;
    bool is_old = member != NULL && before != NULL && before->hash == member->hash &&
                  lineage->current->hash != member->hash;
    return is_old ? before : lineage->current;
}

/* Notes that the unit has the file, and answers with the version to run, counted. */
static int take_locked(struct sources *sources, const struct wanted *wanted,
                       struct lineage *lineage, struct source **module)
{
    const struct unit_request *request = wanted->request;
    struct source *script = request->script;
    const struct change *change = lineage->change;
    struct source *version = version_locked(request, lineage);
    if (script->lineage != lineage) {
        if (unit_add_member_locked(script, lineage, version->hash, wanted->place,
                                   request->within != NULL) != 0)
            return -ENOMEM;
        if (request->update == NULL && change != NULL && !change->is_twin &&
            script->lineage->change == NULL)
            sources->update->has_grown = true; /* it would go on with what is replaced */
    }
    *module = source_ref(version);
    return 0;
}

static int take(struct sources *sources, const struct wanted *wanted, struct lineage *lineage,
                struct source **module, char *why, size_t room)
{
    int err = 0;
    lock_acquire(&sources->lock);
    const struct unit_member *member = find_member_locked(wanted); /* since it was looked for */
    if (member != NULL)
        *module = source_ref(version_locked(wanted->request, member->lineage));
    else
        err = take_locked(sources, wanted, lineage, module);
    lock_release(&sources->lock);
    return err == 0 ? 0 : source_no_memory(why, room);
}

/* What the unit has already; NULL: it is new to it. Counted. */
static struct source *find_member(struct sources *sources, const struct wanted *wanted)
{
    lock_acquire(&sources->lock);
    const struct unit_member *member = find_member_locked(wanted);
    struct source *module =
        member != NULL ? source_ref(version_locked(wanted->request, member->lineage)) : NULL;
    lock_release(&sources->lock);
    return module;
}

/* ---- What is current --------------------------------------------------------------- */

static int require_current(struct sources *sources, const struct wanted *wanted,
                           struct source **module, char *why, size_t room)
{
    char key[KEY_ROOM], found[PATH_MAX];
    size_t size;
    bool can_know = make_key(wanted, key, &size);

    lock_acquire(&sources->lock);
    struct lineage *known = can_know ? map_find(&sources->by_module, key, size) : NULL;
    lock_release(&sources->lock);
    if (known == &source_elsewhere)
        return UNIT_ELSEWHERE;
    if (known != NULL)
        return take(sources, wanted, known, module, why, room);

    if (look(wanted, found, why, room) != 0)
        return UNIT_NOT_HERE;
    struct source *source;
    int err = sources_open(sources, found, false, &source, NULL, why, room);
    if (err != 0)
        return err;
    err = take(sources, wanted, source->lineage, module, why, room);
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
    struct wanted wanted;
    char key[KEY_ROOM];
    size_t size;
    if (request->update != NULL || !read_name(&wanted, request) || !make_key(&wanted, key, &size))
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
static int require_update_locked(struct update *update, const struct wanted *wanted,
                                 struct source **module, char *why, size_t room)
{
    char key[KEY_ROOM], found[PATH_MAX];
    size_t size;
    bool can_know = make_key(wanted, key, &size);
    struct lineage *known = can_know ? map_find(&update->requests, key, size) : NULL;
    if (known == &source_elsewhere) {
        say_not_here(wanted, why, room);
        return UNIT_NOT_HERE;
    }
    if (known != NULL)
        return take(update->sources, wanted, known, module, why, room);

    if (look(wanted, found, why, room) != 0) {
        if (can_know)
            map_set(&update->requests, key, size, &source_elsewhere);
        return UNIT_NOT_HERE;
    }
    struct source *source;
    int err = open_for_update(update, found, &source, why, room);
    if (err != 0)
        return err;
    err = take(update->sources, wanted, source->lineage, module, why, room);
    if (err == 0 && can_know)
        map_set(&update->requests, key, size, source->lineage);
    source_unref(source);
    return err;
}

int unit_require(struct sources *sources, const struct unit_request *request,
                 struct source **module, char *why, size_t room)
{
    struct update *update = request->update;
    struct wanted wanted;
    *module = NULL;
    if (!read_name(&wanted, request))
        return UNIT_ELSEWHERE;
    *module = find_member(sources, &wanted);
    if (*module != NULL)
        return UNIT_FOUND;
    if (update == NULL)
        return require_current(sources, &wanted, module, why, room);
    lock_acquire(&update->lock);
    int err = require_update_locked(update, &wanted, module, why, room);
    lock_release(&update->lock);
    return err;
}
