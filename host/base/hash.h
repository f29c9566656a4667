/*
 * hash.h -- a number that tells contents apart: FNV-1a of 64 bits.
 *
 * Good enough to notice that a text has changed; no defence against somebody
 * who wants two texts to look alike.
 */
#ifndef TROUPE_BASE_HASH_H
#define TROUPE_BASE_HASH_H

#include "base/base.h"

#define HASH_EMPTY UINT64_C(0xcbf29ce484222325) /* of no bytes at all */

/* The hash of what `hash` is of, with `size` more bytes behind it. */
static inline uint64_t hash_more(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
