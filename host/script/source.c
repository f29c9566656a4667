/*
 * source.c -- see source.h.
 */
#include "script/source.h"

#include "actor/subject.h"
#include "base/bytes.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/thread.h"
#include "script/script_path.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct sources {
    struct lock lock;
    struct map  by_file; /* guarded by lock; resolved path -> struct source, one reference each */
    struct map  by_request; /* guarded by lock; "path\nfolder" as it was asked for -> the same,
                               borrowed: the second spawn asks the file system nothing */
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
    struct subject *subject; /* one reference */
    struct bytes code; /* what lua_dump() made of it */
};

/* ---- Texts ---- */

static char *copy_stem(const char *chunk_name)
{
    if (*chunk_name != '@')
        return memory_copy_text("main");
    char *stem = memory_copy_text(script_path_base(chunk_name + 1));
    if (stem == NULL)
        return NULL;
    size_t size = strlen(stem);
    if (size <= 4 || !script_path_ends_with(stem, ".lua"))
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
    subject_unref(source->subject);
    memory_put(source, sizeof *source);
}

const char *source_path(const struct source *source) { return source->path; }
const char *source_folder(const struct source *source) { return source->folder; }
const char *source_stem(const struct source *source) { return source->stem; }
const char *source_file(const struct source *source) { return source->file; }
uint64_t    source_hash(const struct source *source) { return source->hash; }
struct subject *source_subject(const struct source *source) { return source->subject; }

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
    script_path_folder(*chunk_name == '@' ? path : "", folder, sizeof folder);

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
    if (err == 0 && (built->subject = subject_new(built->path, 1, built->hash)) == NULL)
        err = no_memory(why, room);
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

/* Reads and compiles `path`, which resolves to `file`. */
static int read_source(const char *path, const char *file, struct source **source, char *why,
                       size_t room)
{
    struct bytes text;
    bytes_init(&text, SOURCE_LIMIT + 1);
    int answer = read_file(path, file, &text, why, room);
    if (answer == 0) {
        char name[PATH_MAX + 1];
        snprintf(name, sizeof name, "@%s", path);
        answer = build(name, file, (const char *)text.data, text.size, source, why, room);
    }
    bytes_fini(&text);
    return answer;
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
    map_init(&sources->by_request);
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
    map_fini(&sources->by_request);
    for (char **root = sources->roots; root != NULL && *root != NULL; root++)
        free(*root);
    free(sources->roots);
    lock_fini(&sources->lock);
    memory_put(sources, sizeof *sources);
}

/* Makes *source the one of its file; if another thread was faster, its source
 * takes the place of *source. */
static int remember(struct sources *sources, struct source **source)
{
    const char *file = (*source)->file;
    int err = 0;

    lock_acquire(&sources->lock);
    struct source *known = map_find(&sources->by_file, file, strlen(file));
    if (known != NULL) {
        source_unref(*source);
        *source = source_ref(known);
    } else {
        err = map_set(&sources->by_file, file, strlen(file), *source);
        if (err == 0)
            source_ref(*source);
    }
    lock_release(&sources->lock);
    return err;
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

    int err = read_source(path, file, source, why, room);
    if (err != 0)
        return err;
    err = remember(sources, source);
    if (err != 0) {
        source_unref(*source);
        *source = NULL;
        return no_memory(why, room);
    }
    return 0;
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
    bool known = request_key(path, beside, key, sizeof key, &size);

    *source = NULL;
    if (known) {
        lock_acquire(&sources->lock);
        struct source *before = map_find(&sources->by_request, key, size);
        if (before != NULL)
            *source = source_ref(before);
        lock_release(&sources->lock);
        if (*source != NULL)
            return 0;
    }
    int err = script_path_find(path, beside, sources->roots, found, why, room);
    if (err == 0)
        err = open_found(sources, found, source, why, room);
    if (err == 0 && known) {
        lock_acquire(&sources->lock);
        map_set(&sources->by_request, key, size, *source); /* without memory: found anew */
        lock_release(&sources->lock);
    }
    return err;
}
