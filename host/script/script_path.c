/*
 * script_path.c -- see script_path.h.
 */
#include "script/script_path.h"

#include "base/bytes.h"
#include "base/suggest.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define SUGGEST_FILES 4096 /* names looked at in one folder for "did you mean" */

bool script_path_ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* The part of `path` after its last slash. */
const char *script_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* Writes the folder of `path`: "examples", "." or "/". */
void script_path_folder(const char *path, char *folder, size_t room)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        snprintf(folder, room, ".");
    else if (slash == path)
        snprintf(folder, room, "/");
    else
        snprintf(folder, room, "%.*s", (int)(slash - path), path);
}

/* Writes folder/name as a person would; false if it does not fit. */
static bool join(const char *folder, const char *name, const char *end, char *path)
{
    while (strncmp(name, "./", 2) == 0)
        name += 2;
    bool here = *name == '/' || strcmp(folder, ".") == 0;
    const char *slash = here || script_path_ends_with(folder, "/") ? "" : "/";
    int size = snprintf(path, PATH_MAX, "%s%s%s%s", here ? "" : folder, slash, name, end);
    return size > 0 && size < PATH_MAX;
}

/* The folders a find looks in, without repetitions, NULL-terminated. */
struct search {
    const char *wanted;
    char        beside[PATH_MAX]; /* folder of the script that spawns */
    const char *folders[66];
    size_t      count;
};

static void add_folder(struct search *search, const char *folder)
{
    for (size_t i = 0; i < search->count; i++)
        if (strcmp(search->folders[i], folder) == 0)
            return;
    if (search->count + 1 < ARRAY_LENGTH(search->folders))
        search->folders[search->count++] = folder;
}

static void list_folders(struct search *search, char *const *roots, const char *wanted,
                         const char *beside)
{
    search->wanted = wanted;
    search->count = 0;
    if (*wanted == '/') {
        add_folder(search, "/");
        return;
    }
    if (beside != NULL) {
        script_path_folder(beside, search->beside, sizeof search->beside);
        add_folder(search, search->beside);
    }
    add_folder(search, ".");
    for (char *const *root = roots; *root != NULL; root++)
        add_folder(search, *root);
}

static bool exists(const char *path, bool plain_only)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return errno != ENOENT && errno != ENOTDIR;
    return !plain_only || S_ISREG(info.st_mode);
}

/* Whether the wanted script is in `folder`, and its path. */
static bool look_in(const struct search *search, const char *folder, char *path)
{
    if (script_path_ends_with(search->wanted, ".lua"))
        return join(folder, search->wanted, "", path) && exists(path, false);
    return (join(folder, search->wanted, ".lua", path) && exists(path, false)) ||
           (join(folder, search->wanted, "", path) && exists(path, true));
}

/* Offers the scripts that lie where `search` looked in `folder`. `best` keeps
 * the text of the best one. */
static void offer_files(const struct search *search, const char *folder, struct suggest *suggest,
                        char *best)
{
    char path[PATH_MAX], place[PATH_MAX];
    if (!join(folder, search->wanted, "", path))
        return;
    script_path_folder(path, place, sizeof place);
    DIR *directory = opendir(place);
    if (directory == NULL)
        return;
    struct dirent *entry;
    for (int i = 0; i < SUGGEST_FILES && (entry = readdir(directory)) != NULL; i++) {
        if (!script_path_ends_with(entry->d_name, ".lua"))
            continue;
        char stem[NAME_MAX + 1];
        snprintf(stem, sizeof stem, "%.*s", (int)(strlen(entry->d_name) - 4), entry->d_name);
        suggest_offer(suggest, stem);
        if (suggest->best == stem) {
            snprintf(best, NAME_MAX + 1, "%s", stem);
            suggest->best = best;
        }
    }
    closedir(directory);
}

/* "no script 'pnog': looked for pnog.lua in examples/, .; did you mean pong.lua?" */
static int not_found(const struct search *search, char *why, size_t room)
{
    const char  *wanted = search->wanted;
    const char  *end = script_path_ends_with(wanted, ".lua") ? "" : ".lua";
    struct bytes text;
    bytes_init(&text, room);
    bytes_printf(&text, "no script '%s'", wanted);

    for (size_t i = 0; *wanted != '/' && i < search->count; i++) {
        const char *folder = search->folders[i];
        if (i == 0)
            bytes_printf(&text, ": looked for %s%s in ", wanted, end);
        else
            bytes_printf(&text, ", ");
        bool bare = strcmp(folder, ".") == 0 || script_path_ends_with(folder, "/");
        bytes_printf(&text, "%s%s", folder, bare ? "" : "/");
    }

    char stem[NAME_MAX + 1], best[NAME_MAX + 1];
    const char *name = script_path_base(wanted);
    snprintf(stem, sizeof stem, "%.*s", (int)(strlen(name) - (*end == '\0' ? 4 : 0)), name);
    struct suggest suggest;
    suggest_init(&suggest, stem);
    for (size_t i = 0; i < search->count; i++)
        offer_files(search, search->folders[i], &suggest, best);
    if (suggest.best != NULL)
        bytes_printf(&text, "; did you mean %.*s%s.lua?", (int)(name - wanted), wanted,
                     suggest.best);

    snprintf(why, room, "%.*s", (int)text.size, (const char *)text.data);
    bytes_fini(&text);
    return -ENOENT;
}

int script_path_find(const char *wanted, const char *beside, char *const *roots, char *found,
                     char *why, size_t room)
{
    if (*wanted == '\0') {
        snprintf(why, room, "no script: its name is empty");
        return -ENOENT;
    }
    struct search search;
    list_folders(&search, roots, wanted, beside);
    for (size_t i = 0; i < search.count; i++)
        if (look_in(&search, search.folders[i], found))
            return 0;
    return not_found(&search, why, room);
}

/* ---- Modules ----------------------------------------------------------------- */

/* Whether something lies there that a module could be; what cannot be looked at may be. */
static bool may_be_module(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ||
           (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG);
}

int script_path_find_module(const char *name, const char *const *folders, size_t count,
                            module_admit_fn *admits, const void *context, char *found, char *why,
                            size_t room)
{
    static const char *const ends[] = { ".lua", "/init.lua" };
    struct bytes text;
    bytes_init(&text, room);
    int err = -ENOENT;
    for (size_t i = 0; err != 0 && i < count; i++) {
        for (size_t k = 0; err != 0 && k < ARRAY_LENGTH(ends); k++) {
            if (!join(folders[i], name, ends[k], found))
                continue;
            if (may_be_module(found) && (admits == NULL || admits(context, found)))
                err = 0;
            else
                bytes_printf(&text, "%sno file '%s'", text.size > 0 ? "\n\t" : "", found);
        }
    }
    if (err != 0 && room > 0)
        snprintf(why, room, "%.*s", (int)text.size, (const char *)text.data);
    bytes_fini(&text);
    return err;
}
