/*
 * source.c -- see source.h.
 */
#include "script/source.h"

#include "base/bytes.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/suggest.h"
#include "base/thread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUGGEST_FILES 4096 /* names looked at in one folder for "did you mean" */

struct sources {
    struct lock lock;
    struct map  by_file; /* guarded by lock; resolved path -> struct source, one reference each */
    char      **roots;   /* fixed by sources_new(); NULL-terminated */
};

struct source {
    _Atomic unsigned references;
    char        *path;
    char        *folder;
    char        *stem;
    char        *file; /* "" if from memory */
    char        *chunk_name;
    uint64_t     hash;
    struct bytes code; /* what lua_dump() made of it */
};

/* ---- Texts of paths ---------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* The part of `path` after its last slash. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* Writes the folder of `path`: "examples", "." or "/". */
static void folder_of(const char *path, char *folder, size_t room)
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
    const char *slash = here || ends_with(folder, "/") ? "" : "/";
    int size = snprintf(path, PATH_MAX, "%s%s%s%s", here ? "" : folder, slash, name, end);
    return size > 0 && size < PATH_MAX;
}

/* "pong" for "examples/pong.lua"; "main" for what is no file. */
static char *copy_stem(const char *chunk_name)
{
    if (*chunk_name != '@')
        return memory_copy_text("main");
    char *stem = memory_copy_text(base_name(chunk_name + 1));
    if (stem == NULL)
        return NULL;
    size_t size = strlen(stem);
    if (size <= 4 || !ends_with(stem, ".lua"))
        return stem;
    char cut[NAME_MAX + 1];
    snprintf(cut, sizeof cut, "%.*s", (int)(size - 4), stem);
    memory_free_text(stem);
    return memory_copy_text(cut);
}

static uint64_t hash_of(const char *text, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* ---- One source -------------------------------------------------------- */

struct source *source_ref(struct source *source)
{
    atomic_fetch_add_explicit(&source->references, 1, memory_order_relaxed);
    return source;
}

void source_unref(struct source *source)
{
    if (source == NULL ||
        atomic_fetch_sub_explicit(&source->references, 1, memory_order_acq_rel) > 1)
        return;
    memory_free_text(source->path);
    memory_free_text(source->folder);
    memory_free_text(source->stem);
    memory_free_text(source->file);
    memory_free_text(source->chunk_name);
    bytes_fini(&source->code);
    memory_put(source, sizeof *source);
}

const char *source_path(const struct source *source) { return source->path; }
const char *source_folder(const struct source *source) { return source->folder; }
const char *source_stem(const struct source *source) { return source->stem; }
const char *source_file(const struct source *source) { return source->file; }
uint64_t    source_hash(const struct source *source) { return source->hash; }

/* A source without its code yet; NULL when there is no memory. */
static struct source *source_new(const char *chunk_name, const char *file)
{
    struct source *source = memory_get_zeroed(sizeof *source);
    if (source == NULL)
        return NULL;
    atomic_init(&source->references, 1);
    bytes_init(&source->code, 0);

    bool is_named = *chunk_name == '@' || *chunk_name == '=';
    const char *path = is_named ? chunk_name + 1 : chunk_name;
    char folder[PATH_MAX];
    folder_of(*chunk_name == '@' ? path : "", folder, sizeof folder);

    source->path = memory_copy_text(path);
    source->folder = memory_copy_text(folder);
    source->stem = copy_stem(chunk_name);
    source->file = memory_copy_text(file);
    source->chunk_name = memory_copy_text(chunk_name);
    if (source->path != NULL && source->folder != NULL && source->stem != NULL &&
        source->file != NULL && source->chunk_name != NULL)
        return source;
    source_unref(source);
    return NULL;
}

/* ---- Compiling --------------------------------------------------------- */

static int no_memory(char *why, size_t room)
{
    snprintf(why, room, "not enough memory");
    return -ENOMEM;
}

static int write_code(lua_State *L, const void *data, size_t size, void *context)
{
    (void)L;
    struct bytes *code = context;
    bytes_append(code, data, size);
    return code->failed;
}

/* Where the Lua text starts behind a byte order mark and a first line with
 * '#'; the end of that line stays, so that line numbers do. */
static const char *skip_preamble(const char *text, const char *end)
{
    if (end - text >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    if (text < end && *text == '#')
        while (text < end && *text != '\n')
            text++;
    return text;
}

/* Compiles `text` into source->code, in a state of its own. */
static int compile(struct source *source, const char *text, size_t size, char *why, size_t room)
{
    const char *end = text + size;
    const char *start = skip_preamble(text, end);
    const char *first = start < end && *start == '\n' ? start + 1 : start;
    if (first < end && *first == LUA_SIGNATURE[0]) {
        snprintf(why, room, "%s: compiled Lua (bytecode) is never loaded; give its source",
                 source->path);
        return -EINVAL;
    }

    lua_State *L = luaL_newstate();
    if (L == NULL)
        return no_memory(why, room);
    int err = 0;
    int status = luaL_loadbufferx(L, start, (size_t)(end - start), source->chunk_name, "t");
    if (status == LUA_ERRMEM) {
        err = no_memory(why, room);
    } else if (status != LUA_OK) {
        snprintf(why, room, "%s", lua_tostring(L, -1));
        err = -EINVAL;
    } else if (lua_dump(L, write_code, &source->code, 0) != 0) {
        err = no_memory(why, room);
    }
    lua_close(L);
    source->hash = hash_of(text, size);
    return err;
}

static int build(const char *chunk_name, const char *file, const char *text, size_t size,
                 struct source **source, char *why, size_t room)
{
    struct source *built = source_new(chunk_name, file);
    if (built == NULL)
        return no_memory(why, room);
    int err = compile(built, text, size, why, room);
    if (err != 0) {
        source_unref(built);
        return err;
    }
    *source = built;
    return 0;
}

int source_from_text(const char *name, const char *text, size_t size, struct source **source,
                     char *why, size_t room)
{
    *source = NULL;
    return build(name, "", text, size, source, why, room);
}

int source_load(const struct source *source, lua_State *L)
{
    int status = luaL_loadbufferx(L, (const char *)source->code.data, source->code.size,
                                  source->chunk_name, "b");
    lua_insert(L, -2); /* the function or message, below the environment */
    if (status != LUA_OK)
        lua_pop(L, 1);
    else if (lua_setupvalue(L, -2, 1) == NULL)
        UNREACHABLE(); /* a main chunk has _ENV, used or not */
    return status;
}

/* ---- Reading files ----------------------------------------------------- */

static int cannot_read(const char *path, int error, char *why, size_t room)
{
    char text[128];
    snprintf(why, room, "%s: %s", path, strerror_r(error, text, sizeof text));
    return -error;
}

/* Appends `file`, known to people as `path`, to `text`. 0 or -errno and why. */
static int read_file(const char *path, const char *file, struct bytes *text, char *why, size_t room)
{
    /* O_NONBLOCK: a pipe must not make us wait before we know it is one. */
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return cannot_read(path, errno, why, room);

    int         err = 0;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        err = cannot_read(path, errno, why, room);
        goto close_file;
    }
    if (!S_ISREG(info.st_mode)) {
        snprintf(why, room, "%s: %s", path,
                 S_ISDIR(info.st_mode) ? "is a folder, not a script" : "is not a plain file");
        err = S_ISDIR(info.st_mode) ? -EISDIR : -EINVAL;
        goto close_file;
    }
    bytes_reserve(text, info.st_size < (off_t)SOURCE_LIMIT ? (size_t)info.st_size + 1 : 1);
    while (bytes_reserve(text, 1)) {
        ssize_t got = read(fd, text->data + text->size, text->capacity - text->size);
        if (got == 0)
            goto close_file;
        if (got > 0)
            text->size += (size_t)got;
        else if (errno != EINTR) {
            err = cannot_read(path, errno, why, room);
            goto close_file;
        }
    }
    if (text->size >= SOURCE_LIMIT) {
        snprintf(why, room, "%s: larger than %zu MiB", path, SOURCE_LIMIT / (1024 * 1024));
        err = -EFBIG;
    } else {
        err = no_memory(why, room);
    }

close_file:
    close(fd);
    return err;
}

/* Reads and compiles `path`, which resolves to `file`. With `old`, an equal
 * text is not compiled: SOURCE_SAME. */
static int read_source(const char *path, const char *file, const struct source *old,
                       struct source **source, char *why, size_t room)
{
    struct bytes text;
    bytes_init(&text, SOURCE_LIMIT + 1);
    int answer = read_file(path, file, &text, why, room);
    if (answer == 0 && old != NULL && hash_of((const char *)text.data, text.size) == old->hash)
        answer = SOURCE_SAME;
    if (answer == 0) {
        char name[PATH_MAX + 1];
        snprintf(name, sizeof name, "@%s", path);
        answer = build(name, file, (const char *)text.data, text.size, source, why, room);
    }
    bytes_fini(&text);
    return answer;
}

int source_read_again(const struct source *source, struct source **fresh, char *why, size_t room)
{
    *fresh = NULL;
    if (*source->file == '\0')
        return SOURCE_SAME;
    /* The path as it is now: a link may have been moved to a new file. */
    char file[PATH_MAX];
    if (realpath(source->path, file) == NULL)
        snprintf(file, sizeof file, "%s", source->file);
    return read_source(source->path, file, source, fresh, why, room);
}

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
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&sources->by_file, &position)) != NULL)
        source_unref(entry->value);
    map_fini(&sources->by_file);
    for (char **root = sources->roots; root != NULL && *root != NULL; root++)
        free(*root);
    free(sources->roots);
    lock_fini(&sources->lock);
    memory_put(sources, sizeof *sources);
}

/* Makes *source the one of its file, unless `keep` and there is one: then that
 * one takes its place in *source. */
static int remember(struct sources *sources, struct source **source, bool keep)
{
    const char    *file = (*source)->file;
    struct source *displaced = NULL;
    int            err = 0;

    lock_acquire(&sources->lock);
    struct source *known = map_find(&sources->by_file, file, strlen(file));
    if (known != NULL && keep) {
        displaced = *source;
        *source = source_ref(known);
    } else {
        err = map_set(&sources->by_file, file, strlen(file), *source);
        if (err == 0) {
            source_ref(*source);
            displaced = known;
        }
    }
    lock_release(&sources->lock);
    source_unref(displaced);
    return err;
}

int sources_adopt(struct sources *sources, struct source *source)
{
    return *source->file == '\0' ? 0 : remember(sources, &source, false);
}

static struct source *find_known(struct sources *sources, const char *file)
{
    lock_acquire(&sources->lock);
    struct source *known = map_find(&sources->by_file, file, strlen(file));
    if (known != NULL)
        source_ref(known);
    lock_release(&sources->lock);
    return known;
}

/* The source of the file at `path`, which was found there. */
static int open_found(struct sources *sources, const char *path, struct source **source, char *why,
                      size_t room)
{
    char file[PATH_MAX];
    if (realpath(path, file) == NULL)
        return cannot_read(path, errno, why, room);
    *source = find_known(sources, file);
    if (*source != NULL)
        return 0;

    int err = read_source(path, file, NULL, source, why, room);
    if (err != 0)
        return err;
    err = remember(sources, source, true);
    if (err != 0) {
        source_unref(*source);
        *source = NULL;
        return no_memory(why, room);
    }
    return 0;
}

/* ---- Finding ----------------------------------------------------------- */

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

static void list_folders(struct search *search, const struct sources *sources, const char *wanted,
                         const char *beside)
{
    search->wanted = wanted;
    search->count = 0;
    if (*wanted == '/') {
        add_folder(search, "/");
        return;
    }
    if (beside != NULL) {
        folder_of(beside, search->beside, sizeof search->beside);
        add_folder(search, search->beside);
    }
    add_folder(search, ".");
    for (char **root = sources->roots; *root != NULL; root++)
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
    if (ends_with(search->wanted, ".lua"))
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
    folder_of(path, place, sizeof place);
    DIR *directory = opendir(place);
    if (directory == NULL)
        return;
    struct dirent *entry;
    for (int i = 0; i < SUGGEST_FILES && (entry = readdir(directory)) != NULL; i++) {
        if (!ends_with(entry->d_name, ".lua"))
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
    const char  *end = ends_with(wanted, ".lua") ? "" : ".lua";
    struct bytes text;
    bytes_init(&text, room);
    bytes_printf(&text, "no script '%s'", wanted);

    for (size_t i = 0; *wanted != '/' && i < search->count; i++) {
        const char *folder = search->folders[i];
        if (i == 0)
            bytes_printf(&text, ": looked for %s%s in ", wanted, end);
        else
            bytes_printf(&text, ", ");
        bool bare = strcmp(folder, ".") == 0 || ends_with(folder, "/");
        bytes_printf(&text, "%s%s", folder, bare ? "" : "/");
    }

    char stem[NAME_MAX + 1], best[NAME_MAX + 1];
    const char *name = base_name(wanted);
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

int source_find(struct sources *sources, const char *path, const char *beside,
                struct source **source, char *why, size_t room)
{
    *source = NULL;
    if (*path == '\0') {
        snprintf(why, room, "no script: its name is empty");
        return -ENOENT;
    }
    struct search search;
    list_folders(&search, sources, path, beside);
    for (size_t i = 0; i < search.count; i++) {
        char found[PATH_MAX];
        if (look_in(&search, search.folders[i], found))
            return open_found(sources, found, source, why, room);
    }
    return not_found(&search, why, room);
}
