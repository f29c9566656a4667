/*
 * deadletters.c -- what was dropped or could not be delivered, and why.
 */
#include "actor/deadletters.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int dead_letters_open(struct dead_letters *letters, size_t capacity, size_t bytes_limit)
{
    *letters = (struct dead_letters){ .capacity = capacity, .bytes_limit = bytes_limit };
    if (capacity > SIZE_MAX / sizeof *letters->ring)
        return -ENOMEM;
    if (capacity > 0) {
        letters->ring = memory_get(capacity * sizeof *letters->ring);
        if (letters->ring == NULL)
            return -ENOMEM;
    }
    lock_init(&letters->lock);
    return 0;
}

static struct dead_letter *letter_at(struct dead_letters *letters, size_t index)
{
    return &letters->ring[(letters->first + index) % letters->capacity];
}

void dead_letters_close(struct dead_letters *letters)
{
    for (size_t i = 0; i < letters->count; i++)
        message_free(letter_at(letters, i)->message);
    memory_put(letters->ring, letters->capacity * sizeof *letters->ring);
    lock_fini(&letters->lock);
    *letters = (struct dead_letters){ 0 };
}

/* Makes room for one letter of `bytes`: what gave way, linked by next. */
static struct message *give_way_locked(struct dead_letters *letters, size_t bytes)
{
    struct message *gone = NULL;
    while (letters->count > 0 && (letters->count == letters->capacity ||
                                  letters->bytes + bytes > letters->bytes_limit)) {
        struct message *oldest = letter_at(letters, 0)->message;
        letters->bytes -= message_weight(oldest);
        letters->first = (letters->first + 1) % letters->capacity;
        letters->count--;
        atomic_store_explicit(&oldest->next, gone, memory_order_relaxed);
        gone = oldest;
    }
    return gone;
}

static void copy_text(char *to, size_t room, const char *text)
{
    snprintf(to, room, "%s", text != NULL ? text : "");
}

static void tally_locked(struct tally *tally, enum failure_reason reason, const char *target)
{
    char name[sizeof tally->list[0].name];
    if (reason == FAILURE_REJECTED) {
        tally->rejected++;
        return;
    }
    if (reason == FAILURE_FAILED)
        return; /* there is a report of each */
    copy_text(name, sizeof name, target);
    tally->total++;
    for (unsigned i = 0; i < tally->names; i++) {
        if (strcmp(tally->list[i].name, name) == 0) {
            tally->list[i].count++;
            return;
        }
    }
    if (tally->names == TALLY_NAMES) {
        tally->others++;
        return;
    }
    copy_text(tally->list[tally->names].name, sizeof name, name);
    tally->list[tally->names++].count = 1;
}

void dead_letters_tally(struct dead_letters *letters, bool on)
{
    lock_acquire(&letters->lock);
    letters->tallying = on;
    lock_release(&letters->lock);
}

void dead_letters_tallied(struct dead_letters *letters, struct tally *tally)
{
    lock_acquire(&letters->lock);
    *tally = letters->tally;
    lock_release(&letters->lock);
}

void dead_letters_put(struct dead_letters *letters, struct message **message,
                      enum failure_reason reason, const char *sender, const char *target,
                      const char *text)
{
    struct message *dead = *message;
    *message = NULL;
    if (dead == NULL || (dead->flags & MESSAGE_KEPT))
        return; /* not a letter, and not ours to keep */
    message_settle(dead, false);

    size_t bytes = message_weight(dead);
    struct message *gone = NULL;
    struct dead_letter letter = { .type = dead->type, .reason = reason };
    if (letters->clock_ms != NULL)
        letter.died_ms = atomic_load_explicit(letters->clock_ms, memory_order_relaxed);
    copy_text(letter.target, sizeof letter.target, target);
    copy_text(letter.sender, sizeof letter.sender, sender);
    copy_text(letter.text, sizeof letter.text, text);
    lock_acquire(&letters->lock);
    letter.id = ++letters->total;
    if (UNLIKELY(letters->tallying))
        tally_locked(&letters->tally, reason, target);
    if (letters->capacity > 0 && bytes <= letters->bytes_limit) {
        gone = give_way_locked(letters, bytes);
        struct dead_letter *kept = letter_at(letters, letters->count++);
        *kept = letter;
        kept->message = dead;
        letters->bytes += bytes;
        dead = NULL;
    }
    lock_release(&letters->lock);

    message_free(dead);
    while (gone != NULL) {
        struct message *each = gone;
        gone = atomic_load_explicit(&each->next, memory_order_relaxed);
        message_free(each);
    }
    if (letters->listen != NULL)
        letters->listen(letters->context, &letter);
}

uint64_t dead_letters_total(struct dead_letters *letters)
{
    lock_acquire(&letters->lock);
    uint64_t total = letters->total;
    lock_release(&letters->lock);
    return total;
}

void dead_letters_each(struct dead_letters *letters,
                       void (*visit)(void *context, const struct dead_letter *letter),
                       void *context)
{
    lock_acquire(&letters->lock);
    for (size_t i = 0; i < letters->count; i++)
        visit(context, letter_at(letters, i));
    lock_release(&letters->lock);
}

/* The index of the first letter whose id is greater than `id`. */
static size_t index_after_locked(struct dead_letters *letters, uint64_t id)
{
    size_t low = 0, high = letters->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (letter_at(letters, middle)->id > id)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void dead_letters_some(struct dead_letters *letters, uint64_t after, size_t most,
                       void (*visit)(void *context, const struct dead_letter *letter),
                       void *context)
{
    lock_acquire(&letters->lock);
    size_t first = index_after_locked(letters, after);
    for (size_t i = first; i < letters->count && i - first < most; i++)
        visit(context, letter_at(letters, i));
    lock_release(&letters->lock);
}

/* Those on the shorter side move up. */
static void close_gap_locked(struct dead_letters *letters, size_t index)
{
    if (index < letters->count / 2) {
        for (size_t i = index; i > 0; i--)
            *letter_at(letters, i) = *letter_at(letters, i - 1);
        letters->first = (letters->first + 1) % letters->capacity;
    } else {
        for (size_t i = index; i + 1 < letters->count; i++)
            *letter_at(letters, i) = *letter_at(letters, i + 1);
    }
    letters->count--;
}

struct message *dead_letters_take(struct dead_letters *letters, uint64_t id,
                                  struct dead_letter *letter)
{
    struct message *message = NULL;
    lock_acquire(&letters->lock);
    size_t index = id > 0 ? index_after_locked(letters, id - 1) : letters->count;
    if (index < letters->count && letter_at(letters, index)->id == id) {
        *letter = *letter_at(letters, index);
        message = letter->message;
        letter->message = NULL;
        letters->bytes -= message_weight(message);
        close_gap_locked(letters, index);
    }
    lock_release(&letters->lock);
    return message;
}

void dead_letters_give_back(struct dead_letters *letters, struct message **message,
                            const struct dead_letter *letter)
{
    size_t bytes = message_weight(*message);
    lock_acquire(&letters->lock);
    if (letters->count < letters->capacity && letters->bytes + bytes <= letters->bytes_limit) {
        size_t index = index_after_locked(letters, letter->id);
        for (size_t i = letters->count; i > index; i--)
            *letter_at(letters, i) = *letter_at(letters, i - 1);
        letters->count++;
        letters->bytes += bytes;
        *letter_at(letters, index) = *letter;
        letter_at(letters, index)->message = *message;
        *message = NULL;
    }
    lock_release(&letters->lock);
    message_free(*message);
    *message = NULL;
}
