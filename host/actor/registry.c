/*
 * registry.c -- finds an actor by id or by name.
 */
#include "actor/registry.h"

#include "actor/statistics.h"
#include "base/fault.h"
#include "base/memory.h"
#include "base/suggest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHUNKS     (REGISTRY_SLOT_LIMIT / REGISTRY_CHUNK)
#define NOBODYS_ID UINT64_MAX /* slot 0's; as an id, its slot is beyond the limit */

/* The table of chunks is left untouched by calloc() until it is used, so its
 * half megabyte costs a page or two. */
int registry_open(struct registry *registry, uint32_t limit)
{
    memset(registry, 0, sizeof *registry);
    registry->limit = limit < REGISTRY_SLOT_LIMIT - 1 ? limit : REGISTRY_SLOT_LIMIT - 1;
    registry->children_limit = UINT32_MAX;
    registry->chunks = fault_hit() ? NULL : calloc(CHUNKS, sizeof *registry->chunks);
    if (registry->chunks == NULL)
        return -ENOMEM;
    lock_init(&registry->lock);
    map_init(&registry->names);
    return 0;
}

void registry_close(struct registry *registry)
{
    if (registry->taken > 0)
        return;
    for (uint32_t i = 0; i < CHUNKS; i++) {
        struct actor *chunk = atomic_load_explicit(&registry->chunks[i], memory_order_relaxed);
        if (chunk == NULL)
            break; /* they are made in order */
        free(chunk);
    }
    free((void *)registry->chunks);
    map_fini(&registry->names);
    lock_fini(&registry->lock);
}

/* Pairs with the acquire in registry_slot(): whoever sees the chunk sees its
 * actors made. */
static bool make_chunk_locked(struct registry *registry, uint32_t index)
{
    void *memory;
    size_t size = REGISTRY_CHUNK * sizeof(struct actor);
    if (fault_hit() || posix_memalign(&memory, CACHE_LINE, size) != 0)
        return false;
    memset(memory, 0, size);
    struct actor *chunk = memory;
    for (uint32_t i = 0; i < REGISTRY_CHUNK; i++) {
        atomic_init(&chunk[i].alarm.wanted_ns, UINT64_MAX);
        atomic_init(&chunk[i].alarm.armed_ns, UINT64_MAX);
        chunk[i].slot = index * REGISTRY_CHUNK + i;
    }
    if (index == 0) {
        atomic_init(&chunk[0].id, NOBODYS_ID);
        registry->used = 1;
    }
    atomic_store_explicit(&registry->chunks[index], chunk, memory_order_release);
    return true;
}

/* The slot that was given back longest ago, else a new one. */
static struct actor *take_slot_locked(struct registry *registry)
{
    struct actor *actor = registry->free_head;
    if (actor != NULL) {
        registry->free_head = actor->free_next;
        if (registry->free_head == NULL)
            registry->free_tail = NULL;
        actor->free_next = NULL;
    } else {
        if (registry->used % REGISTRY_CHUNK == 0 &&
            !make_chunk_locked(registry, registry->used / REGISTRY_CHUNK))
            return NULL;
        actor = registry_slot(registry, registry->used++);
    }
    registry->taken++;
    return actor;
}

static void give_slot_locked(struct registry *registry, struct actor *actor)
{
    actor->free_next = NULL;
    if (registry->free_tail == NULL)
        registry->free_head = actor;
    else
        registry->free_tail->free_next = actor;
    registry->free_tail = actor;
    registry->taken--;
}

/* Writes "stem#12" (a long stem is cut) and returns its length. */
static size_t unnamed(char *text, size_t room, const char *stem, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);

    size_t size = strlen(stem);
    if (size > room - count - 2)
        size = room - count - 2;
    memcpy(text, stem, size);
    text[size++] = '#';
    while (count > 0)
        text[size++] = digits[--count];
    text[size] = '\0';
    return size;
}

/* Registers the actor under its name. Only -ENOMEM can go wrong. */
static int name_locked(struct registry *registry, struct actor *actor, const char *name,
                       size_t size)
{
    actor->name = memory_copy_text(name);
    if (actor->name == NULL)
        return -ENOMEM;
    int error = map_set(&registry->names, name, size, actor);
    if (error != 0) {
        memory_free_text((char *)(uintptr_t)actor->name);
        actor->name = NULL;
    }
    return error;
}

static int check_room_locked(struct registry *registry, actor_id parent)
{
    const struct actor *actor = registry_find(registry, parent);
    if (registry->taken >= registry->limit)
        return -EAGAIN;
    if (actor == NULL)
        return 0;
    uint32_t limit = actor->children_limit != 0 ? actor->children_limit : registry->children_limit;
    return actor->children_count < limit ? 0 : -EMLINK;
}

int registry_check_room(struct registry *registry, actor_id parent)
{
    lock_acquire(&registry->lock);
    int error = check_room_locked(registry, parent);
    lock_release(&registry->lock);
    return error;
}

static int add_locked(struct registry *registry, const char *name, const char *stem,
                      actor_id parent, struct actor **actor)
{
    char made[ADDRESS_NAME_LIMIT + 1];
    size_t size = 0;
    int error;
    if (name != NULL) {
        size = strlen(name);
        if (map_find(&registry->names, name, size) != NULL)
            return -EEXIST;
    }
    error = check_room_locked(registry, parent);
    if (error != 0)
        return error;
    if (name == NULL) {
        do
            size = unnamed(made, sizeof made, stem, ++registry->births);
        while (map_find(&registry->names, made, size) != NULL);
        name = made;
    }

    struct actor *added = take_slot_locked(registry);
    if (added == NULL)
        return -ENOMEM;
    error = name_locked(registry, added, name, size);
    if (error != 0) {
        give_slot_locked(registry, added);
        return error;
    }
    *actor = added;
    return 0;
}

static void adopt_locked(struct registry *registry, actor_id parent, struct actor *child)
{
    child->parent = registry_find(registry, parent);
    child->children = child->younger_sibling = child->older_sibling = NULL;
    child->children_count = child->children_limit = 0;
    child->mourner = 0;
    child->mourned = 0;
    child->mourns = false;
    if (child->parent == NULL)
        return;
    child->parent->children_count++;
    child->older_sibling = child->parent->children;
    if (child->older_sibling != NULL)
        child->older_sibling->younger_sibling = child;
    child->parent->children = child;
}

static void leave_parent_locked(struct actor *child)
{
    if (child->parent == NULL)
        return;
    if (child->younger_sibling != NULL)
        child->younger_sibling->older_sibling = child->older_sibling;
    else
        child->parent->children = child->older_sibling;
    if (child->older_sibling != NULL)
        child->older_sibling->younger_sibling = child->younger_sibling;
    child->parent->children_count--;
    child->parent = child->younger_sibling = child->older_sibling = NULL;
}

unsigned registry_take_children(struct registry *registry, struct actor *actor,
                                actor_id *children, unsigned room, bool mourned)
{
    unsigned count = 0;
    lock_acquire(&registry->lock);
    while (count < room && actor->children != NULL) {
        struct actor *child = actor->children;
        children[count++] = actor_self(child);
        leave_parent_locked(child);
        if (mourned) {
            child->mourner = actor_self(actor);
            actor->mourned++;
        }
    }
    lock_release(&registry->lock);
    return count;
}

bool registry_mourns(struct registry *registry, struct actor *actor)
{
    lock_acquire(&registry->lock);
    actor->mourns = actor->mourned > 0;
    bool mourns = actor->mourns;
    lock_release(&registry->lock);
    return mourns;
}

unsigned registry_mourned(struct registry *registry, struct actor *actor, actor_id *children,
                          unsigned room)
{
    unsigned count = 0;
    actor_id mourner = actor_self(actor);
    lock_acquire(&registry->lock);
    for (struct actor *each = registry->newest; each != NULL && count < room;
         each = each->born_before)
        if (each->mourner == mourner)
            children[count++] = actor_self(each);
    lock_release(&registry->lock);
    return count;
}

/* The actor ends: who has waited for that as the last, or 0. */
static actor_id leave_mourner_locked(struct registry *registry, struct actor *actor)
{
    struct actor *mourner = actor->mourner != 0 ? registry_find(registry, actor->mourner) : NULL;
    actor->mourner = 0;
    if (mourner == NULL || --mourner->mourned > 0 || !mourner->mourns)
        return 0;
    mourner->mourns = false;
    return actor_self(mourner);
}

int registry_add(struct registry *registry, const char *name, const char *stem, actor_id parent,
                 struct actor **actor)
{
    lock_acquire(&registry->lock);
    int error = add_locked(registry, name, stem, parent, actor);
    if (error == 0) {
        if (++(*actor)->generation == 0)
            (*actor)->generation = 1;
        adopt_locked(registry, parent, *actor);
    }
    lock_release(&registry->lock);
    return error;
}

static void join_births_locked(struct registry *registry, struct actor *actor)
{
    actor->born_after = NULL;
    actor->born_before = registry->newest;
    if (registry->newest == NULL)
        registry->oldest = actor;
    else
        registry->newest->born_after = actor;
    registry->newest = actor;
}

static void leave_births_locked(struct registry *registry, struct actor *actor)
{
    if (actor->born_before == NULL)
        registry->oldest = actor->born_after;
    else
        actor->born_before->born_after = actor->born_after;
    if (actor->born_after == NULL)
        registry->newest = actor->born_before;
    else
        actor->born_after->born_before = actor->born_before;
    actor->born_before = actor->born_after = NULL;
}

void registry_make_newest(struct registry *registry, struct actor *actor)
{
    lock_acquire(&registry->lock);
    if (registry->newest != actor) {
        leave_births_locked(registry, actor);
        join_births_locked(registry, actor);
    }
    lock_release(&registry->lock);
}

actor_id registry_publish(struct registry *registry, struct actor *actor)
{
    actor_id id = (actor_id)actor->generation << 32 | actor->slot;

    lock_acquire(&registry->lock);
    join_births_locked(registry, actor);
    atomic_fetch_add_explicit(&registry->living, 1, memory_order_relaxed);
    /* Pairs with the acquire in registry_find(): whoever finds the actor sees it made. */
    atomic_store_explicit(&actor->id, id, memory_order_release);
    lock_release(&registry->lock);
    return id;
}

actor_id registry_remove(struct registry *registry, struct actor *actor)
{
    lock_acquire(&registry->lock);
    if (actor_self(actor) != 0) {
        leave_births_locked(registry, actor);
        atomic_fetch_add_explicit(&registry->ended, 1, memory_order_relaxed);
    }
    map_remove(&registry->names, actor->name, strlen(actor->name));
    memory_free_text((char *)(uintptr_t)actor->name);
    actor->name = NULL;
    statistics_forget(actor);
    leave_parent_locked(actor);
    actor_id told = leave_mourner_locked(registry, actor);
    /* The edge first: actor/waits.c reads it and then the id, so an edge that is
     * seen with an id is this id's. */
    atomic_store_explicit(&actor->edge, 0, memory_order_seq_cst);
    atomic_store_explicit(&actor->id, 0, memory_order_seq_cst);
    lock_release(&registry->lock);
    return told;
}

void registry_release(struct registry *registry, struct actor *actor)
{
    lock_acquire(&registry->lock);
    give_slot_locked(registry, actor);
    lock_release(&registry->lock);
}

actor_id registry_find_name(struct registry *registry, const char *name, size_t size)
{
    lock_acquire(&registry->lock);
    struct actor *actor = map_find(&registry->names, name, size);
    actor_id id = actor != NULL ? actor_self(actor) : 0;
    lock_release(&registry->lock);
    return id;
}

const char *registry_name(struct registry *registry, actor_id id, char *text, size_t room)
{
    if (id == 0) {
        snprintf(text, room, "nobody");
        return text;
    }
    lock_acquire(&registry->lock);
    struct actor *actor = registry_find(registry, id);
    snprintf(text, room, "%s", actor != NULL ? actor->name : "an ended actor");
    lock_release(&registry->lock);
    return text;
}

const char *registry_suggest(struct registry *registry, const char *name, char *text, size_t room)
{
    struct suggest suggest;
    suggest_init(&suggest, name);

    lock_acquire(&registry->lock);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&registry->names, &position)) != NULL) {
        const struct actor *actor = entry->value;
        if (actor_self(actor) != 0 && !actor->hidden)
            suggest_offer(&suggest, entry->key);
    }
    if (suggest.best != NULL)
        snprintf(text, room, "%s", suggest.best);
    lock_release(&registry->lock);
    return suggest.best != NULL ? text : NULL;
}
