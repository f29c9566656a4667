/*
 * watch_table.c -- see watches_room.h.
 */
#include "actor/watches_room.h"

#include "actor/notice.h"
#include "actor/system.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>

#define FIRST_BUCKETS 8

static size_t table_size(unsigned buckets)
{
    return sizeof(struct watches) + buckets * sizeof(struct actor_watch *);
}

static uint32_t hash_of(const struct watch_target *target)
{
    uint64_t hash = target->id * UINT64_C(0x9E3779B97F4A7C15);
    if (target->id == 0) {
        const char *text = target->address->text;
        size_t size = (size_t)target->address->name_size + target->address->endpoint_size + 1;
        for (size_t i = 0; i < size; i++)
            hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    }
    return (uint32_t)(hash >> 32 ^ hash);
}

static bool is_called(const struct actor_watch *watch, const struct address *other)
{
    const struct address *one = watch->address;
    return one != NULL && other != NULL && one->name_size == other->name_size &&
           one->endpoint_size == other->endpoint_size &&
           memcmp(one->text, other->text, (size_t)one->name_size + one->endpoint_size + 1) == 0;
}

static bool is_target(const struct actor_watch *watch, const struct watch_target *target)
{
    return watch->target == target->id && (target->id != 0 || is_called(watch, target->address));
}

/* ---- The table of the watcher -------------------------------------------- */

struct actor_watch **watch_place_locked(struct actor *actor, const struct watch_target *target)
{
    if (actor->watches == NULL)
        return NULL;
    struct actor_watch **place = &actor->watches->buckets[hash_of(target) & actor->watches->mask];
    while (*place != NULL && !is_target(*place, target))
        place = &(*place)->next;
    return *place != NULL ? place : NULL;
}

struct actor_watch **watch_called_locked(struct actor *actor, const struct watch_target *target,
                                   unsigned flags)
{
    struct actor_watch **place = watch_place_locked(actor, target);
    struct watches *table = actor->watches;
    if (place != NULL && (watch_flags(*place) & flags))
        return place;
    if (table == NULL || target->address == NULL || target->address->endpoint_size > 0)
        return NULL; /* elsewhere an address is who it is */
    for (unsigned i = 0; i <= table->mask; i++)
        for (place = &table->buckets[i]; *place != NULL; place = &(*place)->next)
            if (is_called(*place, target->address) && (watch_flags(*place) & flags))
                return place;
    return NULL;
}

struct actor_watch **watch_numbered_locked(struct actor *actor, uint64_t number)
{
    if (actor->watches == NULL)
        return NULL;
    struct actor_watch **place = &actor->watches->buckets[(uint32_t)number & actor->watches->mask];
    while (*place != NULL && (*place)->number != number)
        place = &(*place)->next;
    return *place != NULL ? place : NULL;
}

static void put_in(struct watches *table, struct actor_watch *watch)
{
    struct actor_watch **bucket = &table->buckets[(uint32_t)watch->number & table->mask];
    watch->next = *bucket;
    *bucket = watch;
    table->count++;
}

void watch_add_locked(struct actor *actor, struct actor_watch *watch, const struct watch_target *target)
{
    watch->number = (uint64_t)++actor->watches->serial << 32 | hash_of(target);
    watch->notice->request = watch->number;
    put_in(actor->watches, watch);
}

struct actor_watch *watch_take_locked(struct watches *table, struct actor_watch **place)
{
    struct actor_watch *watch = *place;
    *place = watch->next;
    table->count--;
    return watch;
}

static void move_all(struct watches *from, struct watches *to)
{
    to->serial = from->serial;
    for (unsigned i = 0; i <= from->mask; i++)
        while (from->buckets[i] != NULL)
            put_in(to, watch_take_locked(from, &from->buckets[i]));
}

int watches_prepare(struct actor *actor, actor_id id)
{
    spin_acquire(&actor->watch_lock);
    unsigned buckets = actor->watches != NULL ? actor->watches->mask + 1 : 0;
    unsigned count = actor->watches != NULL ? actor->watches->count : 0;
    spin_release(&actor->watch_lock);
    if (count >= WATCHES_LIMIT)
        return -EMFILE;
    if (count < buckets)
        return 0;

    unsigned wanted = buckets == 0 ? FIRST_BUCKETS : buckets * 2;
    struct watches *table = memory_get_zeroed(table_size(wanted));
    if (table == NULL)
        return buckets > 0 ? 0 : -ENOMEM; /* longer chains will do */
    table->mask = wanted - 1;
    spin_acquire(&actor->watch_lock);
    struct watches *old = actor->watches;
    if (!watch_target_lives_locked(actor, id) ||
        (old != NULL && old->mask >= table->mask)) {
        old = table;
    } else {
        if (old != NULL)
            move_all(old, table);
        actor->watches = table;
    }
    spin_release(&actor->watch_lock);
    if (old != NULL)
        watches_free_table(old);
    return 0;
}

void watches_free_table(struct watches *table)
{
    memory_put(table, table_size(table->mask + 1));
}

void watch_lock_both(struct actor *one, struct actor *other)
{
    struct actor *first = other != NULL && other->slot < one->slot ? other : one;
    spin_acquire(&first->watch_lock);
    if (other != NULL)
        spin_acquire(first == one ? &other->watch_lock : &one->watch_lock);
}

void watch_unlock_both(struct actor *one, struct actor *other)
{
    spin_release(&one->watch_lock);
    if (other != NULL)
        spin_release(&other->watch_lock);
}

/* ---- The list of the target ---------------------------------------------- */

void watch_list_locked(struct actor *target, struct actor_watch *watch)
{
    struct actor_watch *first = target->watchers;
    watch->listed = true;
    if (first == NULL) {
        watch->before = watch->after = watch;
        target->watchers = watch;
        return;
    }
    watch->after = first; /* the last before the first: they are told in order */
    watch->before = first->before;
    watch->before->after = watch;
    first->before = watch;
}

void watch_unlist_locked(struct actor *target, struct actor_watch *watch)
{
    watch->listed = false;
    if (watch->after == watch) {
        target->watchers = NULL;
        return;
    }
    watch->before->after = watch->after;
    watch->after->before = watch->before;
    if (target->watchers == watch)
        target->watchers = watch->after;
}

/* ---- Single watches -------------------------------------------------------- */

void watch_free(struct actor_watch *watch)
{
    if (watch == NULL)
        return;
    message_free(watch->notice);
    address_unref(watch->address);
    memory_put(watch, sizeof *watch);
}

/* The name of the target, for its notice. */
static const char *name_of(struct system *system, const struct watch_target *target, char *text,
                           size_t room)
{
    if (target->id == 0)
        return address_name(target->address);
    return registry_name(&system->registry, target->id, text, room);
}

struct actor_watch *watch_new(struct system *system, actor_id watcher, const struct watch_target *target,
                        unsigned flags)
{
    char name[ADDRESS_NAME_LIMIT + 1];
    struct actor_watch *watch = memory_get_zeroed(sizeof *watch);
    if (watch == NULL)
        return NULL;
    watch->watcher = watcher;
    watch->target = target->id;
    watch_set_flags(watch, flags);
    watch->notice = notice_new(watcher, 0, name_of(system, target, name, sizeof name), target->id,
                               target->text);
    if (target->address != NULL)
        watch->address = address_ref((struct address *)(uintptr_t)target->address);
    if (watch->notice != NULL)
        return watch;
    watch_free(watch);
    return NULL;
}
