/*
 * identifier.h -- whether a key is written as `.key`, or as `["a key"]`.
 */
#ifndef TROUPE_SCRIPT_IDENTIFIER_H
#define TROUPE_SCRIPT_IDENTIFIER_H

#include "base/base.h"

/* A word of ASCII letters, digits and `_`, not too long to be shown whole. */
static inline bool is_identifier(const char *text, size_t size)
{
    if (size == 0 || size > 40 || (text[0] >= '0' && text[0] <= '9'))
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c != '_' && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
            return false;
    }
    return true;
}

#endif
