/*
 * source.c -- see source.h: one source, its code, its instances.
 */
#include "script/source_store.h"

#include "actor/subject.h"
#include "base/hash.h"
#include "base/memory.h"
#include "script/script_path.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>

/* ---- Lineages ----------------------------------------------------------- */

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

struct lineage *lineage_ref(struct lineage *lineage)
{
    atomic_fetch_add_explicit(&lineage->references, 1, memory_order_relaxed);
    return lineage;
}

void lineage_unref(struct lineage *lineage)
{
    if (lineage == NULL ||
        atomic_fetch_sub_explicit(&lineage->references, 1, memory_order_acq_rel) > 1)
        return;
    memory_free_text(lineage->path);
    memory_free_text(lineage->folder);
    memory_free_text(lineage->stem);
    memory_free_text(lineage->chunk_name);
    memory_free_text(lineage->file);
    memory_put(lineage, sizeof *lineage);
}

struct lineage *lineage_new(const char *chunk_name)
{
    struct lineage *lineage = memory_get_zeroed(sizeof *lineage);
    if (lineage == NULL)
        return NULL;
    atomic_init(&lineage->references, 1);

    bool is_named = *chunk_name == '@' || *chunk_name == '=';
    const char *path = is_named ? chunk_name + 1 : chunk_name;
    char folder[PATH_MAX];
    script_path_folder(*chunk_name == '@' ? path : "", folder, sizeof folder);

    lineage->path = memory_copy_text(path);
    lineage->folder = memory_copy_text(folder);
    lineage->stem = copy_stem(chunk_name);
    lineage->chunk_name = memory_copy_text(chunk_name);
    if (lineage->path != NULL && lineage->folder != NULL && lineage->stem != NULL &&
        lineage->chunk_name != NULL)
        return lineage;
    lineage_unref(lineage);
    return NULL;
}

/* ---- One source --------------------------------------------------------- */

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
    for (size_t i = 0; i < source->member_count; i++) {
        lineage_unref(source->members[i].lineage);
        memory_free_text(source->members[i].name);
    }
    memory_put(source->members, source->member_capacity * sizeof *source->members);
    lineage_unref(source->lineage);
    memory_free_text(source->file);
    bytes_fini(&source->code);
    subject_unref(source->subject);
    lock_fini(&source->lock);
    memory_put(source, sizeof *source);
}

const char *source_path(const struct source *source) { return source->lineage->path; }
const char *source_folder(const struct source *source) { return source->lineage->folder; }
const char *source_stem(const struct source *source) { return source->lineage->stem; }
const char *source_file(const struct source *source) { return source->file; }
uint64_t    source_hash(const struct source *source) { return source->hash; }
struct subject *source_subject(const struct source *source) { return source->subject; }

/* A source without its code yet; NULL when there is no memory. */
static struct source *source_new(struct lineage *lineage, const char *file)
{
    struct source *source = memory_get_zeroed(sizeof *source);
    if (source == NULL)
        return NULL;
    atomic_init(&source->references, 1);
    atomic_init(&source->number, 0);
    atomic_init(&source->state, SOURCE_RELOADING);
    lock_init(&source->lock);
    bytes_init(&source->code, 0);
    source->lineage = lineage_ref(lineage);
    source->file = memory_copy_text(file);
    if (source->file != NULL)
        return source;
    source_unref(source);
    return NULL;
}

struct source *source_twin(const struct source *source)
{
    struct source *twin = source_new(source->lineage, source->file);
    if (twin == NULL)
        return NULL;
    twin->hash = source->hash;
    bytes_append(&twin->code, source->code.data, source->code.size);
    twin->subject = subject_new(source->lineage->path, 0, source->hash);
    if (!twin->code.failed && twin->subject != NULL)
        return twin;
    source_unref(twin);
    return NULL;
}

/* ---- Compiling ---------------------------------------------------------- */

uint64_t source_hash_of(const char *text, size_t size)
{
    return hash_more(HASH_EMPTY, text, size);
}

int source_no_memory(char *why, size_t room)
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
                 source_path(source));
        return -EINVAL;
    }

    lua_State *L = luaL_newstate();
    if (L == NULL)
        return source_no_memory(why, room);
    int err = 0;
    int status =
        luaL_loadbufferx(L, start, (size_t)(end - start), source->lineage->chunk_name, "t");
    if (status == LUA_ERRMEM) {
        err = source_no_memory(why, room);
    } else if (status != LUA_OK) {
        snprintf(why, room, "%s", lua_tostring(L, -1));
        err = -EINVAL;
    } else if (lua_dump(L, write_code, &source->code, 0) != 0) {
        err = source_no_memory(why, room);
    }
    lua_close(L);
    source->hash = source_hash_of(text, size);
    return err;
}

int source_build(struct lineage *lineage, const char *file, const char *text, size_t size,
                 struct source **source, char *why, size_t room)
{
    *source = NULL;
    struct source *built = source_new(lineage, file);
    if (built == NULL)
        return source_no_memory(why, room);
    int err = compile(built, text, size, why, room);
    if (err == 0 && (built->subject = subject_new(lineage->path, 0, built->hash)) == NULL)
        err = source_no_memory(why, room);
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
    struct lineage *lineage = lineage_new(name);
    if (lineage == NULL)
        return source_no_memory(why, room);
    lineage->from_memory = true;
    lineage->last_number = 1;
    int err = source_build(lineage, "", text, size, source, why, room);
    if (err == 0) {
        source_set_number(*source, 1);
        atomic_store_explicit(&(*source)->state, SOURCE_CURRENT, memory_order_relaxed);
    }
    lineage_unref(lineage);
    return err;
}

int source_load(const struct source *source, lua_State *L)
{
    int status = luaL_loadbufferx(L, (const char *)source->code.data, source->code.size,
                                  source->lineage->chunk_name, "b");
    lua_insert(L, -2); /* the function or message, below the environment */
    if (status != LUA_OK)
        lua_pop(L, 1);
    else if (lua_setupvalue(L, -2, 1) == NULL)
        UNREACHABLE(); /* a main chunk has _ENV, used or not */
    return status;
}

/* ---- Versions ----------------------------------------------------------- */

enum source_state source_state(const struct source *source)
{
    return (enum source_state)atomic_load_explicit(&source->state, memory_order_acquire);
}

unsigned source_number(const struct source *source)
{
    return atomic_load_explicit(&source->number, memory_order_relaxed);
}

void source_set_number(struct source *source, unsigned number)
{
    atomic_store_explicit(&source->number, number, memory_order_relaxed);
    subject_set_number(source->subject, number);
}

void source_note_failure(struct source *source, const char *why)
{
    subject_note_failure(source->subject, why);
}

unsigned source_failures(struct source *source, char *why, size_t room)
{
    struct subject_report report;
    subject_read(source->subject, &report);
    if (room > 0)
        snprintf(why, room, "%s", report.error);
    return report.failed;
}

/* ---- Instances ---------------------------------------------------------- */

static void add_instance(struct source *source, struct source_instance *instance)
{
    lock_acquire(&source->lock);
    instance->source = source;
    instance->previous = NULL;
    instance->next = source->instances;
    if (instance->next != NULL)
        instance->next->previous = instance;
    source->instances = instance;
    source->instance_count++;
    lock_release(&source->lock);
}

static void remove_instance(struct source_instance *instance)
{
    struct source *source = instance->source;
    lock_acquire(&source->lock);
    if (instance->previous != NULL)
        instance->previous->next = instance->next;
    else
        source->instances = instance->next;
    if (instance->next != NULL)
        instance->next->previous = instance->previous;
    source->instance_count--;
    instance->source = NULL;
    lock_release(&source->lock);
}

/* Makes a text from memory known while it has instances. */
static void count_instance(struct sources *sources, struct source *source)
{
    struct lineage *lineage = source->lineage;
    if (!lineage->from_memory)
        return;
    lock_acquire(&sources->lock);
    lineage->instances++;
    lineage->is_script = true;
    if (!lineage->known) {
        lineage->known = true;
        lineage->current = source_ref(source);
        lineage->next = sources->lineages;
        if (lineage->next != NULL)
            lineage->next->before = lineage;
        sources->lineages = lineage_ref(lineage);
    }
    lock_release(&sources->lock);
}

static void discount_instance(struct sources *sources, struct lineage *lineage)
{
    if (!lineage->from_memory)
        return;
    struct source *current = NULL, *previous = NULL;
    lock_acquire(&sources->lock);
    bool is_last = --lineage->instances == 0 && lineage->known;
    if (is_last) {
        current = lineage->current;
        previous = lineage->previous;
        lineage->current = lineage->previous = NULL;
        lineage->known = false;
        if (lineage->before != NULL)
            lineage->before->next = lineage->next;
        else
            sources->lineages = lineage->next;
        if (lineage->next != NULL)
            lineage->next->before = lineage->before;
        lineage->next = lineage->before = NULL;
    }
    lock_release(&sources->lock);
    source_unref(current);
    source_unref(previous);
    if (is_last)
        lineage_unref(lineage);
}

void source_join(struct sources *sources, struct source *source, struct source_instance *instance)
{
    count_instance(sources, source);
    add_instance(source, instance);
}

void source_leave(struct sources *sources, struct source_instance *instance)
{
    struct source *source = instance->source;
    if (source == NULL)
        return;
    remove_instance(instance);
    discount_instance(sources, source->lineage);
}

void source_name_instance(struct source_instance *instance, uint64_t actor)
{
    /* An update marks a source and then lists its instances; an actor is named and then reads
     * the mark: whichever takes the source's lock first, one of them sees the other. */
    struct source *source = instance->source;
    lock_acquire(&source->lock);
    instance->actor = actor;
    lock_release(&source->lock);
}

void source_move(struct source_instance *instance, struct source *source)
{
    if (instance->source == source)
        return;
    remove_instance(instance);
    add_instance(source, instance);
}

size_t source_instance_count(struct source *source)
{
    lock_acquire(&source->lock);
    size_t count = source->instance_count;
    lock_release(&source->lock);
    return count;
}

size_t source_instances(struct source *source, uint64_t *actors, size_t room)
{
    size_t count = 0;
    lock_acquire(&source->lock);
    for (struct source_instance *at = source->instances; at != NULL; at = at->next) {
        if (at->actor == 0)
            continue;
        if (count < room)
            actors[count] = at->actor;
        count++;
    }
    lock_release(&source->lock);
    return count;
}
