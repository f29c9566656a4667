/*
 * scratch.h -- byte buffers that belong to the calling thread.
 *
 * For bytes that live from one call to the next line of the caller: packed
 * values before a message copies them, JSON text before Lua does. Nothing is
 * leaked when a Lua error jumps past the code that filled one: the thread owns
 * it, keeps at most SCRATCH_KEEP bytes of it between uses, and frees it when
 * the thread ends.
 */
#ifndef TROUPE_SCRIPT_SCRATCH_H
#define TROUPE_SCRIPT_SCRATCH_H

#include "base/bytes.h"

#define SCRATCH_KEEP ((size_t)1024 * 1024)

enum scratch_use {
    SCRATCH_PACK,   /* pack_lua: grows to PACK_LUA_LIMIT */
    SCRATCH_TEXT,   /* json_lua: grows to SCRATCH_TEXT_LIMIT */
    SCRATCH_TRACE,  /* trace: an error on its way out */
    SCRATCH_FIT,    /* declared: a message in its declared form */
    SCRATCH_FIELDS, /* api_message: a declaration being read */
    SCRATCH_NAMES,
    SCRATCH_TYPES,  /* and what a spawner has declared so */
    SCRATCH_COUNT,
};

#define SCRATCH_TEXT_LIMIT ((size_t)128 * 1024 * 1024)
#define SCRATCH_DRAFT_LIMIT ((size_t)1024 * 1024)
#define SCRATCH_TRACE_LIMIT ((size_t)16 * 1024)

extern _Thread_local struct bytes scratch_of_thread[SCRATCH_COUNT]
    __attribute__((tls_model("initial-exec")));

struct bytes *scratch_take_slow(enum scratch_use use);

/* The calling thread's buffer for this use, emptied. Valid, with what the
 * caller writes into it, until the next scratch_take() of the same use. */
static inline struct bytes *scratch_take(enum scratch_use use)
{
    struct bytes *bytes = &scratch_of_thread[use];
    if (UNLIKELY(bytes->capacity == 0 || bytes->capacity > SCRATCH_KEEP))
        return scratch_take_slow(use);
    bytes->size = 0;
    bytes->failed = false;
    return bytes;
}

#endif
