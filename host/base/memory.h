/*
 * memory.h -- blocks of memory, fast on the thread that made them and cheap
 * to give back on another.
 *
 * Blocks up to MEMORY_SMALL_LIMIT bytes come from size classes with a cache a
 * thread; whole batches move between a thread's cache and the shared store,
 * so a message made on one worker and freed on another costs no lock most of
 * the time. Larger blocks are malloc's. Under a sanitizer every block is
 * malloc's, so that it sees each use after free.
 *
 * The caller remembers the size of a block and says it again when freeing.
 * Any thread. The cache of a thread that ends goes back to the store.
 */
#ifndef TROUPE_BASE_MEMORY_H
#define TROUPE_BASE_MEMORY_H

#include <stddef.h>

#define MEMORY_SMALL_LIMIT 2048

/* A block of at least `size` bytes, aligned to 16, contents undefined; NULL
 * when there is no memory (or base/fault.h says so). */
void *memory_get(size_t size);

/* The same, filled with zeros. */
void *memory_get_zeroed(size_t size);

/* Gives back a block got with the same `size`. NULL is fine. */
void memory_put(void *block, size_t size);

/* Moves a block got with `size` to one of `new_size`, keeping as much of its
 * contents as fits both. NULL when there is no memory, also when shrinking; then
 * the old block is untouched. With `block` NULL, memory_get(new_size). */
void *memory_resize(void *block, size_t size, size_t new_size);

/* A copy of the string `text`, to be freed with memory_free_text() while it is
 * still as long; NULL when there is no memory. */
char *memory_copy_text(const char *text);
void  memory_free_text(char *text);

/* Gives memory that nobody has back to the system, if that is worth while: much more
 * is free than is in use, and more than there was after the last time. To be called
 * now and then. Any thread. */
void memory_tidy(void);

/* Bytes now handed out and not yet given back, in all threads; exact when no
 * other thread is allocating. For tests and metrics. */
size_t memory_used(void);

#endif
