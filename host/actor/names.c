/*
 * names.c -- finding actors by name, waiting for a name, and listing names.
 */
#include "actor/names.h"

#include "actor/system.h"
#include "base/memory.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

/* Who waits for one name, in the order of coming. */
struct line {
    struct name_wait *first, *last;
    size_t size;
    char   name[];
};

/* An actor in a line. All guarded by names->lock. */
struct name_wait {
    struct actor     *waiter;
    struct line      *line;
    struct name_wait *before, *behind;
    struct name_wait *next_own; /* in actor->name_wait: an actor that interleaves may have many */
    struct message   *wake;
};

void names_open(struct names *names)
{
    memset(names, 0, sizeof *names);
    lock_init(&names->lock);
    map_init(&names->awaited);
}

void names_close(struct names *names)
{
    map_fini(&names->awaited);
    lock_fini(&names->lock);
}

/* ---- Finding ------------------------------------------------------------- */

actor_id names_find(struct system *system, const char *name, size_t size)
{
    struct registry *registry = &system->registry;
    lock_acquire(&registry->lock);
    const struct actor *actor = map_find(&registry->names, name, size);
    actor_id id = actor != NULL ? actor_self(actor) : 0;
    if (id != 0 && actor->hidden)
        id = 0;
    lock_release(&registry->lock);
    return id;
}

actor_id names_holder(struct system *system, const char *name, size_t size)
{
    struct registry *registry = &system->registry;
    for (;;) {
        lock_acquire(&registry->lock);
        const struct actor *actor = map_find(&registry->names, name, size);
        actor_id id = actor != NULL ? actor_self(actor) : 0;
        lock_release(&registry->lock);
        if (actor == NULL || id != 0)
            return id;
        sched_yield(); /* between registry_add() and registry_publish() */
    }
}

/* ---- Waiting ------------------------------------------------------------- */

static struct line *line_locked(struct names *names, const char *name, size_t size)
{
    struct line *line = map_find(&names->awaited, name, size);
    if (line != NULL)
        return line;
    line = memory_get(sizeof *line + size);
    if (line == NULL)
        return NULL;
    *line = (struct line){ .size = size };
    memcpy(line->name, name, size);
    if (map_set(&names->awaited, name, size, line) == 0)
        return line;
    memory_put(line, sizeof *line + size);
    return NULL;
}

static void drop_if_empty_locked(struct names *names, struct line *line)
{
    if (line->first != NULL)
        return;
    map_remove(&names->awaited, line->name, line->size);
    memory_put(line, sizeof *line + line->size);
}

static struct name_wait *first_own(const struct actor *waiter)
{
    return atomic_load_explicit(&waiter->name_wait, memory_order_relaxed);
}

static void disown_locked(struct name_wait *wait)
{
    struct name_wait *each = first_own(wait->waiter);
    if (each == wait) {
        atomic_store_explicit(&wait->waiter->name_wait, wait->next_own, memory_order_relaxed);
        return;
    }
    while (each->next_own != wait)
        each = each->next_own;
    each->next_own = wait->next_own;
}

/* Takes it out of its line and frees it: its wake is the caller's. */
static struct message *leave_locked(struct names *names, struct name_wait *wait)
{
    struct line *line = wait->line;
    struct message *wake = wait->wake;
    if (wait->before != NULL)
        wait->before->behind = wait->behind;
    else
        line->first = wait->behind;
    if (wait->behind != NULL)
        wait->behind->before = wait->before;
    else
        line->last = wait->before;
    drop_if_empty_locked(names, line);
    disown_locked(wait);
    atomic_fetch_sub_explicit(&names->waiting, 1, memory_order_relaxed);
    memory_put(wait, sizeof *wait);
    return wake;
}

static int join_locked(struct names *names, struct name_wait *wait, const char *name, size_t size)
{
    struct line *line = line_locked(names, name, size);
    if (line == NULL)
        return -ENOMEM;
    wait->line = line;
    wait->before = line->last;
    if (line->last != NULL)
        line->last->behind = wait;
    else
        line->first = wait;
    line->last = wait;
    wait->next_own = first_own(wait->waiter);
    atomic_store_explicit(&wait->waiter->name_wait, wait, memory_order_relaxed);
    /* Relaxed: the registry's lock, which names_find() takes after this and
     * registry_publish() before names_announce() reads it, orders the two. */
    atomic_fetch_add_explicit(&names->waiting, 1, memory_order_relaxed);
    return 0;
}

int names_await(struct actor *waiter, const char *name, size_t size, uint64_t wait_number,
                actor_id *id)
{
    struct system *system = waiter->system;
    struct names *names = &system->names;
    struct name_wait *wait = memory_get_zeroed(sizeof *wait);
    struct message *wake = message_new(MESSAGE_WAKE, TYPE_NONE, NULL, 0);
    if (wait == NULL || wake == NULL) {
        memory_put(wait, sizeof *wait);
        message_free(wake);
        return -ENOMEM;
    }
    wake->to = actor_self(waiter);
    wake->request = wait_number;
    wait->waiter = waiter;
    wait->wake = wake;

    *id = 0;
    lock_acquire(&names->lock);
    int error = join_locked(names, wait, name, size);
    if (error == 0)
        *id = names_find(system, name, size);
    if (*id != 0)
        leave_locked(names, wait); /* frees it; the wake is ours again */
    lock_release(&names->lock);
    if (error != 0)
        memory_put(wait, sizeof *wait);
    if (error != 0 || *id != 0)
        message_free(wake);
    return error;
}

void names_forget(struct actor *waiter, uint64_t wait_number)
{
    /* Set on this very worker: NULL means that there is none. */
    if (LIKELY(first_own(waiter) == NULL))
        return;
    struct names *names = &waiter->system->names;
    struct message *wakes = NULL;
    lock_acquire(&names->lock);
    for (struct name_wait *each = first_own(waiter), *next; each != NULL; each = next) {
        next = each->next_own;
        if (wait_number != 0 && each->wake->request != wait_number)
            continue;
        struct message *wake = leave_locked(names, each);
        atomic_store_explicit(&wake->next, wakes, memory_order_relaxed);
        wakes = wake;
    }
    lock_release(&names->lock);
    while (wakes != NULL) {
        struct message *wake = wakes;
        wakes = atomic_load_explicit(&wake->next, memory_order_relaxed);
        message_free(wake);
    }
}

/* The wakes of the first in line, linked by next; NULL: nobody waits. */
static struct message *take_wakes(struct names *names, const char *name, size_t size)
{
    enum { AT_ONCE = 64 };
    struct message *wakes = NULL, *last = NULL;
    lock_acquire(&names->lock);
    const struct line *line = map_find(&names->awaited, name, size);
    struct name_wait *next = line != NULL ? line->first : NULL;
    for (int count = 0; next != NULL && count < AT_ONCE; count++) {
        struct name_wait *behind = next->behind;
        struct message *wake = leave_locked(names, next);
        atomic_store_explicit(&wake->next, NULL, memory_order_relaxed);
        if (last == NULL)
            wakes = wake;
        else
            atomic_store_explicit(&last->next, wake, memory_order_relaxed);
        last = wake;
        next = behind;
    }
    lock_release(&names->lock);
    return wakes;
}

void names_announce(struct system *system, const struct actor *actor)
{
    struct names *names = &system->names;
    if (LIKELY(atomic_load_explicit(&names->waiting, memory_order_relaxed) == 0) || actor->hidden)
        return;
    size_t size = strlen(actor->name);
    struct message *wakes;
    while ((wakes = take_wakes(names, actor->name, size)) != NULL) {
        while (wakes != NULL) {
            struct message *wake = wakes;
            wakes = atomic_load_explicit(&wake->next, memory_order_relaxed);
            router_send(system, &wake, ROUTE_RESERVED);
            message_free(wake); /* who waited has ended */
        }
    }
}

/* ---- Listing ------------------------------------------------------------- */

static bool is_listed(const struct actor *actor, const char *prefix, size_t prefix_size)
{
    return actor_self(actor) != 0 && !actor->hidden && strchr(actor->name, '#') == NULL &&
           strncmp(actor->name, prefix, prefix_size) == 0;
}

size_t names_list(struct system *system, const char *prefix, size_t prefix_size, char *text,
                  uint32_t *position)
{
    struct registry *registry = &system->registry;
    size_t written = 0;
    lock_acquire(&registry->lock);
    uint32_t end = registry->used - *position > NAMES_LOT ? *position + NAMES_LOT : registry->used;
    for (uint32_t slot = *position; slot < end; slot++) {
        const struct actor *actor = registry_slot(registry, slot);
        if (slot == 0 || !is_listed(actor, prefix, prefix_size))
            continue; /* slot 0 is nobody's */
        size_t size = strlen(actor->name) + 1;
        memcpy(text + written, actor->name, size);
        written += size;
    }
    *position = end < registry->used ? end : UINT32_MAX;
    lock_release(&registry->lock);
    return written;
}
