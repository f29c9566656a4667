/*
 * log_recent.c -- the last lines of the log.
 *
 * A ring of bytes with whole entries: one that does not fit before the end begins at
 * the front. What is in its way gives way, oldest first.
 */
#include "base/log_recent.h"

#include "base/log_room.h"
#include "base/memory.h"
#include "base/thread.h"

#include <errno.h>
#include <string.h>

enum { ACTOR, SCRIPT, VERSION, TEXT, FIELDS, TEXTS };

struct entry {
    uint32_t size;          /* of it all; 0: nothing more before the end of the ring */
    uint32_t sizes[TEXTS];  /* of the texts behind, with their NULs; 0: there is none */
    uint64_t time_ms;
    uint8_t  level, head, block;
};

/* The sizes of entries are multiples of this, so that a size can always be written. */
#define GRAIN sizeof(uint64_t)

static struct lock lock = { PTHREAD_MUTEX_INITIALIZER };
static struct {
    unsigned users;
    char    *bytes;         /* LOG_RECENT_BYTES of them, or NULL; as all here guarded by lock */
    size_t   oldest, end;   /* places */
    uint64_t first, next;   /* numbers of the oldest line and of the next */
    uint64_t rounds;        /* how often it has begun at the front */
} kept = { .first = 1, .next = 1 };
static _Atomic bool keeping;

int log_recent_open(void)
{
    int error = 0;
    lock_acquire(&lock);
    if (kept.bytes == NULL)
        kept.bytes = memory_get(LOG_RECENT_BYTES);
    if (kept.bytes == NULL)
        error = -ENOMEM;
    else
        kept.users++;
    atomic_store_explicit(&keeping, kept.bytes != NULL, memory_order_relaxed);
    lock_release(&lock);
    return error;
}

void log_recent_close(void)
{
    lock_acquire(&lock);
    if (--kept.users == 0) {
        memory_put(kept.bytes, LOG_RECENT_BYTES);
        kept.bytes = NULL;
        kept.oldest = kept.end = 0;
        kept.first = kept.next;
        atomic_store_explicit(&keeping, false, memory_order_relaxed);
    }
    lock_release(&lock);
}

static struct entry entry_at(size_t place)
{
    struct entry entry = { .size = 0 };
    if (LOG_RECENT_BYTES - place >= sizeof entry)
        memcpy(&entry, kept.bytes + place, sizeof entry);
    return entry;
}

/* Where line `number` is, when that before it ends at `place`. To be asked at once: what
 * says that it is at the front may be written over later. */
static size_t settled(size_t place, uint64_t number)
{
    return number < kept.next && entry_at(place).size == 0 ? 0 : place;
}

static void drop_oldest_locked(void)
{
    kept.first++;
    kept.oldest = settled(kept.oldest + entry_at(kept.oldest).size, kept.first);
}

static void end_ring_here_locked(void)
{
    if (LOG_RECENT_BYTES - kept.end >= sizeof(struct entry))
        memset(kept.bytes + kept.end, 0, sizeof(struct entry));
}

/* Makes room for `size` bytes at kept.end. */
static void make_room_locked(size_t size)
{
    if (LOG_RECENT_BYTES - kept.end < size) {
        while (kept.first < kept.next && kept.oldest >= kept.end)
            drop_oldest_locked();
        end_ring_here_locked();
        kept.end = 0;
        kept.rounds++;
    }
    while (kept.first < kept.next && kept.oldest >= kept.end && kept.oldest - kept.end < size)
        drop_oldest_locked();
    if (kept.first == kept.next)
        kept.oldest = kept.end;
}

void log_recent_keep(const struct log_line *line)
{
    if (!atomic_load_explicit(&keeping, memory_order_relaxed))
        return;
    const char *const texts[TEXTS] = { line->about.actor, line->about.script, line->about.version,
                                       line->text, line->fields };
    struct entry entry = { .time_ms = line->time_ms, .level = (uint8_t)line->level,
                           .head = (uint8_t)line->head, .block = line->block };
    size_t size = sizeof entry;
    for (unsigned i = 0; i < TEXTS; i++) {
        entry.sizes[i] = texts[i] != NULL ? (uint32_t)strnlen(texts[i], LOG_BLOCK_LIMIT) + 1 : 0;
        size += entry.sizes[i];
    }
    entry.size = (uint32_t)((size + GRAIN - 1) / GRAIN * GRAIN);

    lock_acquire(&lock);
    if (kept.bytes != NULL && entry.size <= LOG_RECENT_BYTES / 2) {
        make_room_locked(entry.size);
        char *at = kept.bytes + kept.end;
        memcpy(at, &entry, sizeof entry);
        at += sizeof entry;
        for (unsigned i = 0; i < TEXTS; i++) {
            if (entry.sizes[i] == 0)
                continue;
            memcpy(at, texts[i], entry.sizes[i] - 1);
            at[entry.sizes[i] - 1] = '\0';
            at += entry.sizes[i];
        }
        kept.end += entry.size;
        kept.next++;
    }
    lock_release(&lock);
}

/* False: no memory. */
static bool copy_locked(const struct entry *entry, size_t place, struct log_line *line,
                        struct bytes *room)
{
    size_t size = entry->size - sizeof *entry;
    bytes_append(room, kept.bytes + place + sizeof *entry, size);
    if (room->failed)
        return false;
    const char *texts[TEXTS], *at = (const char *)room->data;
    for (unsigned i = 0; i < TEXTS; i++) {
        texts[i] = entry->sizes[i] > 0 ? at : NULL;
        at += entry->sizes[i];
    }
    *line = (struct log_line){
        .level = (enum log_level)entry->level,
        .time_ms = entry->time_ms,
        .about = { .actor = texts[ACTOR], .script = texts[SCRIPT], .version = texts[VERSION] },
        .head = (enum log_head)entry->head,
        .text = texts[TEXT],
        .fields = texts[FIELDS],
        .block = entry->block != 0,
    };
    return true;
}

/* Where the reader's line is: known if it was last in this round of the ring. */
static void find_locked(struct log_reader *reader)
{
    if (reader->next > kept.first && reader->round == kept.rounds)
        return;
    size_t place = kept.oldest;
    for (uint64_t number = kept.first; number < reader->next; number++)
        place = settled(place + entry_at(place).size, number + 1);
    reader->place = place;
    reader->round = kept.rounds;
}

bool log_recent_read(struct log_reader *reader, struct log_line *line, struct bytes *room)
{
    bool read = false;
    bytes_clear(room, LOG_BLOCK_LIMIT);
    lock_acquire(&lock);
    if (reader->next < kept.first) {
        reader->missed += reader->next > 0 ? kept.first - reader->next : 0;
        reader->next = kept.first;
    }
    if (kept.bytes != NULL && reader->next < kept.next) {
        find_locked(reader);
        struct entry entry = entry_at(reader->place);
        read = copy_locked(&entry, reader->place, line, room);
        if (read) {
            reader->next++;
            reader->place = settled(reader->place + entry.size, reader->next);
        }
    }
    lock_release(&lock);
    return read;
}
