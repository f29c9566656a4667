/*
 * map.c -- see map.h: open addressing, seeded hashing, deletion by moving up.
 */
#include "base/map.h"

#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define FIRST_CAPACITY 8

/* ---- Hashing: SipHash-1-3 under a key chosen when the process starts ---- */

static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static uint64_t       seed[2]; /* fixed by make_seed() */

static void make_seed(void)
{
    if (getrandom(seed, sizeof seed, 0) == (ssize_t)sizeof seed)
        return;
    /* A kernel without random numbers: the time and our address must do. */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    seed[0] ^= (uint64_t)now.tv_nsec * UINT64_C(0x9E3779B97F4A7C15);
    seed[1] ^= (uint64_t)now.tv_sec ^ (uint64_t)(uintptr_t)&now;
}

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static uint64_t hash_of(const char *key, size_t size)
{
    pthread_once(&seed_once, make_seed);
    uint64_t v[4] = {
        seed[0] ^ UINT64_C(0x736f6d6570736575),
        seed[1] ^ UINT64_C(0x646f72616e646f6d),
        seed[0] ^ UINT64_C(0x6c7967656e657261),
        seed[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t left = size;
    for (; left >= 8; key += 8, left -= 8) {
        uint64_t word;
        memcpy(&word, key, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)size << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)(unsigned char)key[i] << (8 * i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xFF;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- The table: linear probing, at most three quarters full ------------- */

static size_t next_slot(const struct map *map, size_t slot)
{
    return (slot + 1) & (map->capacity - 1);
}

/* The slot of `key`, or the free one where it belongs. There is always a free
 * one unless there is no table. */
static struct map_entry *find_slot(const struct map *map, const char *key, size_t size,
                                   uint64_t hash)
{
    size_t slot = hash & (map->capacity - 1);
    for (;; slot = next_slot(map, slot)) {
        struct map_entry *entry = &map->entries[slot];
        if (entry->key == NULL)
            return entry;
        if (entry->hash == hash && entry->size == size && memcmp(entry->key, key, size) == 0)
            return entry;
    }
}

static void free_table(struct map *map)
{
    memory_put(map->entries, map->capacity * sizeof *map->entries);
}

static bool is_crowded(const struct map *map)
{
    return map->count >= map->capacity / 4 * 3;
}

static int grow(struct map *map)
{
    struct map bigger = {
        .capacity = map->capacity > 0 ? map->capacity * 2 : FIRST_CAPACITY,
        .count = map->count,
    };
    if (bigger.capacity > SIZE_MAX / sizeof *bigger.entries)
        return -ENOMEM;
    bigger.entries = memory_get_zeroed(bigger.capacity * sizeof *bigger.entries);
    if (bigger.entries == NULL)
        return -ENOMEM;

    for (size_t i = 0; i < map->capacity; i++) {
        const struct map_entry *entry = &map->entries[i];
        if (entry->key == NULL)
            continue;
        size_t slot = entry->hash & (bigger.capacity - 1);
        while (bigger.entries[slot].key != NULL)
            slot = next_slot(&bigger, slot);
        bigger.entries[slot] = *entry;
    }
    free_table(map);
    *map = bigger;
    return 0;
}

void map_init(struct map *map)
{
    *map = (struct map){0};
}

void map_fini(struct map *map)
{
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].key != NULL)
            memory_put(map->entries[i].key, map->entries[i].size + 1);
    }
    free_table(map);
    map_init(map);
}

void *map_find(const struct map *map, const char *key, size_t size)
{
    if (map->count == 0)
        return NULL;
    return find_slot(map, key, size, hash_of(key, size))->value;
}

int map_set(struct map *map, const char *key, size_t size, void *value)
{
    uint64_t hash = hash_of(key, size);
    if (map->count > 0) {
        struct map_entry *known = find_slot(map, key, size, hash);
        if (known->key != NULL) {
            known->value = value;
            return 0;
        }
    }

    if (is_crowded(map)) {
        int err = grow(map);
        if (err != 0)
            return err;
    }
    char *copy = size < SIZE_MAX ? memory_get(size + 1) : NULL;
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, key, size);
    copy[size] = '\0';
    *find_slot(map, key, size, hash) =
        (struct map_entry){.key = copy, .size = size, .hash = hash, .value = value};
    map->count++;
    return 0;
}

/* Frees the slot by moving back those behind it that it kept from their place. */
static void close_gap(struct map *map, size_t gap)
{
    size_t mask = map->capacity - 1;
    for (size_t slot = next_slot(map, gap);; slot = next_slot(map, slot)) {
        struct map_entry *entry = &map->entries[slot];
        if (entry->key == NULL)
            break;
        size_t home = entry->hash & mask;
        if (((slot - home) & mask) >= ((slot - gap) & mask)) {
            map->entries[gap] = *entry;
            gap = slot;
        }
    }
    map->entries[gap] = (struct map_entry){0};
}

void *map_remove(struct map *map, const char *key, size_t size)
{
    if (map->count == 0)
        return NULL;
    struct map_entry *entry = find_slot(map, key, size, hash_of(key, size));
    if (entry->key == NULL)
        return NULL;
    void *value = entry->value;
    memory_put(entry->key, entry->size + 1);
    close_gap(map, (size_t)(entry - map->entries));
    map->count--;
    return value;
}

const struct map_entry *map_next(const struct map *map, size_t *position)
{
    while (*position < map->capacity) {
        const struct map_entry *entry = &map->entries[(*position)++];
        if (entry->key != NULL)
            return entry;
    }
    return NULL;
}
