/*
 * type.c -- the process-wide table of type names.
 *
 * Records lie in chunks that never move. Names are found by open addressing
 * in a table of type numbers; a table that is full is replaced by one twice
 * its size and kept, because a reader may still be in it (all old tables
 * together are smaller than the newest). So only adding a name takes the lock.
 *
 * Names outlive everything, so they come from malloc and do not count in
 * memory_used(), by which tests look for leaks.
 */
#include "message/type.h"

#include "base/fault.h"
#include "base/thread.h"
#include "message/json.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define CHUNK_SIZE     256
#define FIRST_CAPACITY 256

struct type_record {
    const char *name;      /* these are fixed before the number is published */
    uint64_t    hash;
    uint64_t    fold_hash; /* of the folded name */
    type_id     alike;
    uint32_t    size;
    _Atomic bool foreign;  /* of the first of alike names: all of them came from outside */
};

struct table {
    struct table    *previous; /* kept for its last readers */
    size_t           capacity; /* a power of two, at least twice the names in it */
    _Atomic(type_id) slots[];  /* TYPE_NONE: free */
};

static struct lock lock = { PTHREAD_MUTEX_INITIALIZER };
static uint64_t    seed[2];

/* Written under the lock and with release; read with acquire, so who finds a
 * number also sees its record. */
static _Atomic(struct table *)       by_name;
static _Atomic(struct type_record *) chunks[TYPE_LIMIT / CHUNK_SIZE];
static _Atomic(type_id)              count;

static unsigned foreign_count, stray_count; /* guarded by lock: names made for outside */
static struct table *by_fold; /* guarded by lock; holds the first of each alike names */

static const char *const built_in[TYPE_BUILT_IN_COUNT] = {
    [TYPE_NONE] = "",           [TYPE_START] = "Start",   [TYPE_SHUTDOWN] = "Shutdown",
    [TYPE_TIMEOUT] = "Timeout", [TYPE_REJECT] = "Reject", [TYPE_DOWN] = "Down",
    [TYPE_RELOAD] = "Reload",   [TYPE_ANY] = "Any",
    [TYPE_CHILD_WAITS] = "ChildWaits",
    [TYPE_CHILD_STARTED] = "ChildStarted",
    [TYPE_CHILD_HALTED] = "ChildHalted",
    [TYPE_DEAD_LETTER] = "DeadLetter",
    [TYPE_EVALUATE] = "$attach",
};

static void *get_for_ever(size_t size)
{
    return fault_hit() ? NULL : calloc(1, size);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const char *name, size_t size)
{
    uint64_t hash = seed[0] ^ size;
    uint64_t word;
    for (; size >= sizeof word; name += sizeof word, size -= sizeof word) {
        memcpy(&word, name, sizeof word);
        hash = mix(hash ^ word, seed[1]);
    }
    word = 0;
    for (size_t i = 0; i < size; i++)
        word = word << 8 | (uint8_t)name[i];
    return mix(hash ^ word, seed[1]);
}

static struct type_record *record_of(type_id type)
{
    struct type_record *chunk =
        atomic_load_explicit(&chunks[type / CHUNK_SIZE], memory_order_acquire);
    return &chunk[type % CHUNK_SIZE];
}

size_t type_fold(const char *name, size_t size, char *folded, size_t room)
{
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        if (c == '_')
            continue;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (length + 1 < room)
            folded[length] = c;
        length++;
    }
    if (room > 0)
        folded[length < room ? length : room - 1] = '\0';
    return length;
}

static type_id find(const char *name, size_t size, uint64_t hash)
{
    struct table *table = atomic_load_explicit(&by_name, memory_order_acquire);
    for (size_t i = hash;; i++) {
        type_id type = atomic_load_explicit(&table->slots[i & (table->capacity - 1)],
                                            memory_order_acquire);
        if (type == TYPE_NONE)
            return TYPE_NONE;
        const struct type_record *record = record_of(type);
        if (record->hash == hash && record->size == size && memcmp(record->name, name, size) == 0)
            return type;
    }
}

static type_id find_alike_locked(const char *folded, size_t length, uint64_t fold_hash)
{
    char other[TYPE_NAME_LIMIT + 1];
    for (size_t i = fold_hash;; i++) {
        type_id type = atomic_load_explicit(&by_fold->slots[i & (by_fold->capacity - 1)],
                                            memory_order_relaxed);
        if (type == TYPE_NONE)
            return TYPE_NONE;
        const struct type_record *record = record_of(type);
        if (record->fold_hash == fold_hash &&
            type_fold(record->name, record->size, other, sizeof other) == length &&
            memcmp(folded, other, length) == 0)
            return type;
    }
}

/* Readers may be in the table: the release pairs with find()'s acquire. */
static void insert(struct table *table, uint64_t hash, type_id type)
{
    size_t i = hash & (table->capacity - 1);
    while (atomic_load_explicit(&table->slots[i], memory_order_relaxed) != TYPE_NONE)
        i = (i + 1) & (table->capacity - 1);
    atomic_store_explicit(&table->slots[i], type, memory_order_release);
}

static struct table *table_new(size_t capacity)
{
    struct table *table =
        get_for_ever(sizeof *table + capacity * sizeof table->slots[0]);
    if (table != NULL)
        table->capacity = capacity;
    return table;
}

/* Makes both tables twice as large, the chunk for `type` there, or neither. */
static bool make_room_locked(type_id type)
{
    struct table *old = atomic_load_explicit(&by_name, memory_order_relaxed);
    if (type >= old->capacity / 2) {
        struct table *name = table_new(old->capacity * 2);
        struct table *fold = table_new(old->capacity * 2);
        if (name == NULL || fold == NULL) {
            free(name);
            free(fold);
            return false;
        }
        for (type_id each = 1; each < type; each++) {
            insert(name, record_of(each)->hash, each);
            if (record_of(each)->alike == each)
                insert(fold, record_of(each)->fold_hash, each);
        }
        name->previous = old;
        free(by_fold);
        by_fold = fold;
        atomic_store_explicit(&by_name, name, memory_order_release);
    }
    if (atomic_load_explicit(&chunks[type / CHUNK_SIZE], memory_order_relaxed) == NULL) {
        struct type_record *chunk = get_for_ever(CHUNK_SIZE * sizeof *chunk);
        if (chunk == NULL)
            return false;
        atomic_store_explicit(&chunks[type / CHUNK_SIZE], chunk, memory_order_release);
    }
    return true;
}

static type_id add_locked(const char *name, size_t size, uint64_t hash, bool foreign)
{
    type_id type = atomic_load_explicit(&count, memory_order_relaxed);
    if (type >= TYPE_LIMIT || !make_room_locked(type))
        return TYPE_NONE;
    char *copy = get_for_ever(size + 1);
    if (copy == NULL)
        return TYPE_NONE;
    memcpy(copy, name, size);

    char   folded[TYPE_NAME_LIMIT + 1];
    size_t length = type_fold(name, size, folded, sizeof folded);
    struct type_record *record = record_of(type);
    *record = (struct type_record){ .name = copy, .size = (uint32_t)size, .hash = hash,
                                    .fold_hash = hash_of(folded, length), .foreign = foreign };
    record->alike = find_alike_locked(folded, length, record->fold_hash);
    if (record->alike == TYPE_NONE) {
        record->alike = type;
        insert(by_fold, record->fold_hash, type);
    }
    /* First the number is known, then it can be found: who finds it asks for its name. */
    atomic_store_explicit(&count, type + 1, memory_order_release);
    insert(atomic_load_explicit(&by_name, memory_order_relaxed), hash, type);
    return type;
}

/* Before main(), so that no lookup has to ask whether the table is there. */
__attribute__((constructor)) static void begin(void)
{
    if (getrandom(seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed[0] = (uint64_t)time(NULL) ^ (uint64_t)(uintptr_t)&seed;
    seed[1] |= 1; /* a factor must not be zero */

    struct table *name = table_new(FIRST_CAPACITY);
    by_fold = table_new(FIRST_CAPACITY);
    if (name == NULL || by_fold == NULL)
        abort();
    atomic_store(&by_name, name);
    atomic_store(&count, 1);
    for (type_id type = 1; type < TYPE_BUILT_IN_COUNT; type++) {
        size_t size = strlen(built_in[type]);
        if (add_locked(built_in[type], size, hash_of(built_in[type], size), false) != type)
            abort();
    }
}

/* Somebody here uses the name, or one that is alike. A hint: who reads it late
 * only counts a name as a stray. */
static type_id claim(type_id type)
{
    struct type_record *first = record_of(record_of(type)->alike);
    if (UNLIKELY(atomic_load_explicit(&first->foreign, memory_order_relaxed)))
        atomic_store_explicit(&first->foreign, false, memory_order_relaxed);
    return type;
}

type_id type_intern(const char *name, size_t size)
{
    if (size == 0 || size > TYPE_NAME_LIMIT)
        return TYPE_NONE;
    uint64_t hash = hash_of(name, size);
    type_id  type = find(name, size, hash);
    if (type != TYPE_NONE)
        return claim(type);
    if (!json_is_printable(name, size))
        return TYPE_NONE;

    lock_acquire(&lock);
    type = find(name, size, hash);
    if (type == TYPE_NONE)
        type = add_locked(name, size, hash, false);
    lock_release(&lock);
    return type != TYPE_NONE ? claim(type) : TYPE_NONE;
}

static type_id add_foreign_locked(const char *name, size_t size, uint64_t hash, bool wanted)
{
    char    folded[TYPE_NAME_LIMIT + 1];
    size_t  length = type_fold(name, size, folded, sizeof folded);
    type_id alike = find_alike_locked(folded, length, hash_of(folded, length));
    if (alike >= TYPE_BUILT_IN_COUNT || alike == TYPE_REJECT)
        wanted |= !atomic_load_explicit(&record_of(alike)->foreign, memory_order_relaxed);

    unsigned *made = wanted ? &foreign_count : &stray_count;
    bool      room = *made < (wanted ? TYPE_FOREIGN_LIMIT : TYPE_STRAY_LIMIT);
    type_id   type = room ? add_locked(name, size, hash, true) : TYPE_NONE;
    if (type == TYPE_NONE)
        return wanted ? alike : TYPE_NONE;
    ++*made;
    return type;
}

type_id type_intern_foreign(const char *name, size_t size, bool wanted)
{
    if (size == 0 || size > TYPE_NAME_LIMIT)
        return TYPE_NONE;
    uint64_t hash = hash_of(name, size);
    type_id  type = find(name, size, hash);
    if (type != TYPE_NONE || !json_is_printable(name, size))
        return type;

    lock_acquire(&lock);
    type = find(name, size, hash);
    if (type == TYPE_NONE)
        type = add_foreign_locked(name, size, hash, wanted);
    lock_release(&lock);
    return type;
}

type_id type_find(const char *name, size_t size)
{
    if (size == 0 || size > TYPE_NAME_LIMIT)
        return TYPE_NONE;
    return find(name, size, hash_of(name, size));
}

static bool is_known(type_id type)
{
    return type != TYPE_NONE && type < atomic_load_explicit(&count, memory_order_acquire);
}

const char *type_name(type_id type)
{
    return is_known(type) ? record_of(type)->name : "";
}

size_t type_name_size(type_id type)
{
    return is_known(type) ? record_of(type)->size : 0;
}

type_id type_alike(type_id type)
{
    return is_known(type) ? record_of(type)->alike : TYPE_NONE;
}

bool type_is_reserved(const char *name, size_t size)
{
    static const char *const reserved[] = { "start",  "shutdown", "timeout",      "down",
                                            "reload", "any",      "childstarted", "childhalted",
                                            "deadletter" };
    char   folded[16];
    size_t length = type_fold(name, size, folded, sizeof folded);
    if (length >= sizeof folded)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(reserved); i++)
        if (length == strlen(reserved[i]) && memcmp(folded, reserved[i], length) == 0)
            return true;
    return false;
}
