/*
 * obituaries.c -- see obituaries.h.
 */
#include "actor/obituaries.h"

#include "actor/system.h"
#include "message/pack.h"

#include <errno.h>
#include <string.h>

/* Telling may push an older message out of a mailbox, which then dies itself. */
static _Thread_local bool telling;

static struct listener *find_locked(struct obituaries *obituaries, actor_id id)
{
    unsigned count = atomic_load_explicit(&obituaries->count, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++)
        if (obituaries->listeners[i].id == id)
            return &obituaries->listeners[i];
    return NULL;
}

static void remove_locked(struct obituaries *obituaries, struct listener *listener)
{
    unsigned last = atomic_load_explicit(&obituaries->count, memory_order_relaxed) - 1;
    *listener = obituaries->listeners[last];
    atomic_store_explicit(&obituaries->count, last, memory_order_relaxed);
}

static void put_text(struct bytes *out, const char *field, const char *text)
{
    pack_put_string(out, field, strlen(field));
    pack_put_string(out, text, strlen(text));
}

static struct message *obituary_new(const struct dead_letter *letter, uint64_t missed)
{
    struct bytes payload;
    bytes_init(&payload, 0);
    size_t map = pack_open(&payload, PACK_MAP);
    pack_put_string(&payload, "id", 2);
    pack_put_integer(&payload, (int64_t)letter->id);
    put_text(&payload, "type", type_name(letter->type));
    put_text(&payload, "from", letter->sender);
    put_text(&payload, "to", letter->target);
    put_text(&payload, "reason", failure_reason_name(letter->reason));
    put_text(&payload, "text", letter->text);
    pack_put_string(&payload, "missed", 6);
    pack_put_integer(&payload, (int64_t)missed);
    pack_close(&payload, map, 7);

    struct message *message = NULL;
    if (!payload.failed)
        message = message_new(MESSAGE_NOTICE, TYPE_DEAD_LETTER, payload.data, payload.size);
    bytes_fini(&payload);
    if (message != NULL)
        message->lane = LANE_ORDINARY;
    return message;
}

static enum router_answer tell(struct system *system, actor_id id, uint64_t missed,
                               const struct dead_letter *letter)
{
    struct message *message = obituary_new(letter, missed);
    if (message == NULL)
        return ROUTER_FULL;
    message->to = id;
    enum router_answer answer = router_send(system, &message, 0);
    message_free(message); /* NULL if it was taken */
    return answer;
}

/* A letter has died: of which each listener is told, or counts it as missed. */
static void hear(void *context, const struct dead_letter *letter)
{
    struct system     *system = context;
    struct obituaries *obituaries = &system->obituaries;
    struct listener    listeners[OBITUARY_LISTENERS];

    /* Pairs with nothing: who begins to listen hears of what dies from then on. */
    if (LIKELY(atomic_load_explicit(&obituaries->count, memory_order_relaxed) == 0))
        return;
    lock_acquire(&obituaries->lock);
    unsigned count = atomic_load_explicit(&obituaries->count, memory_order_relaxed);
    memcpy(listeners, obituaries->listeners, count * sizeof *listeners);
    for (unsigned i = 0; i < count; i++) {
        if (telling)
            obituaries->listeners[i].missed++;
        else
            obituaries->listeners[i].missed = 0; /* it is about to be told how many */
    }
    lock_release(&obituaries->lock);
    if (telling)
        return;

    telling = true;
    for (unsigned i = 0; i < count; i++) {
        enum router_answer answer = tell(system, listeners[i].id, listeners[i].missed, letter);
        if (answer == ROUTER_OK)
            continue;
        lock_acquire(&obituaries->lock);
        struct listener *listener = find_locked(obituaries, listeners[i].id);
        if (listener != NULL && answer == ROUTER_DOWN)
            remove_locked(obituaries, listener);
        else if (listener != NULL)
            listener->missed += listeners[i].missed + 1;
        lock_release(&obituaries->lock);
    }
    telling = false;
}

void obituaries_open(struct system *system)
{
    lock_init(&system->obituaries.lock);
    system->letters.context = system;
    system->letters.listen = hear;
}

void obituaries_close(struct system *system)
{
    system->letters.listen = NULL;
    lock_fini(&system->obituaries.lock);
}

static void forget_ended_locked(struct system *system)
{
    struct obituaries *obituaries = &system->obituaries;
    unsigned i = 0;
    while (i < atomic_load_explicit(&obituaries->count, memory_order_relaxed)) {
        struct listener *listener = &obituaries->listeners[i];
        if (registry_find(&system->registry, listener->id) == NULL)
            remove_locked(obituaries, listener);
        else
            i++;
    }
}

int obituaries_listen(struct system *system, actor_id id)
{
    struct obituaries *obituaries = &system->obituaries;
    int error = 0;
    lock_acquire(&obituaries->lock);
    forget_ended_locked(system);
    unsigned count = atomic_load_explicit(&obituaries->count, memory_order_relaxed);
    if (find_locked(obituaries, id) == NULL) {
        if (count == OBITUARY_LISTENERS) {
            error = -EMFILE;
        } else {
            obituaries->listeners[count] = (struct listener){ .id = id };
            atomic_store_explicit(&obituaries->count, count + 1, memory_order_relaxed);
        }
    }
    lock_release(&obituaries->lock);
    return error;
}

bool obituaries_leave(struct system *system, actor_id id)
{
    struct obituaries *obituaries = &system->obituaries;
    lock_acquire(&obituaries->lock);
    struct listener *listener = find_locked(obituaries, id);
    if (listener != NULL)
        remove_locked(obituaries, listener);
    lock_release(&obituaries->lock);
    return listener != NULL;
}
