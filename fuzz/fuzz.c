/*
 * fuzz.c -- the small words that all targets use.
 */
#include "fuzz.h"

#include <assert.h>

char *fuzz_tight_copy(const void *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    assert(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

size_t fuzz_choice(const void *data, size_t size, size_t below)
{
    const uint8_t *byte = data;
    uint64_t       hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return (size_t)((hash ^ hash >> 32) % below);
}

bool fuzz_is_text(const char *text, size_t size)
{
    return memchr(text, '\0', size + 1) == text + size;
}
