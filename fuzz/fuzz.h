/*
 * fuzz.h -- what a fuzz target is.
 *
 * A target checks every promise of one header about any bytes at all, by plain
 * asserts. It is linked twice: with libfuzzer.c, which invents the bytes, and
 * with replay.c, which takes them from the files of fuzz/corpus/.
 */
#ifndef TROUPE_FUZZ_FUZZ_H
#define TROUPE_FUZZ_FUZZ_H

#include "base/bytes.h"

/* Each target has this one: whether the bytes are right input of what it is
 * about. Aborts when a promise is broken. */
bool fuzz_accepts(const char *data, size_t size);

/* A copy in a block of just that size, so that a sanitizer sees a read beyond.
 * The caller frees it with free(). */
char *fuzz_tight_copy(const void *data, size_t size);

/* A number from 0 to below - 1 that depends on the bytes alone. */
size_t fuzz_choice(const void *data, size_t size, size_t below);

/* Whether `size` bytes end with a NUL just behind them and have none inside. */
bool fuzz_is_text(const char *text, size_t size);

#endif
