/*
 * map.h -- a table from strings to pointers.
 *
 * Not locked: the owner sees to that. Keys are copied. Seeded hashing, so
 * that names off the wire cannot be chosen to collide.
 */
#ifndef TROUPE_BASE_MAP_H
#define TROUPE_BASE_MAP_H

#include "base/base.h"

struct map_entry {
    char    *key;   /* owned, a NUL after it; NULL: free slot */
    size_t   size;
    uint64_t hash;
    void    *value;
};

struct map {
    struct map_entry *entries; /* open addressing, a power of two */
    size_t            capacity;
    size_t            count;
};

void map_init(struct map *map);
void map_fini(struct map *map); /* frees keys, not values; the map is empty then */

/* The value, or NULL. */
void *map_find(const struct map *map, const char *key, size_t size);

/* Adds or replaces. 0, or -ENOMEM (then nothing has changed). `value` not NULL. */
int map_set(struct map *map, const char *key, size_t size, void *value);

/* Removes and returns the value, or NULL. Never fails. */
void *map_remove(struct map *map, const char *key, size_t size);

/* Visits all entries: start with 0, ends by returning NULL. The map must not
 * change meanwhile. */
const struct map_entry *map_next(const struct map *map, size_t *position);

#endif
