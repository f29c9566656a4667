/*
 * base.h -- the handful of macros every other file may use.
 */
#ifndef TROUPE_BASE_BASE_H
#define TROUPE_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The structure of `type` whose `member` is at `pointer`. */
#define CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* A place that our own code can never reach; bad input never leads here. */
#define UNREACHABLE() abort()

/* Checked like printf: the positions, from 1, of the format and of what it shows. */
#define PRINTF_LIKE(text, first) __attribute__((__format__(__printf__, text, first)))

/* Two cores must not write into one line of this many bytes without need. */
#define CACHE_LINE 64

#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_SEC UINT64_C(1000000000)

#endif
