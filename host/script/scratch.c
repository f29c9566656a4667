/*
 * scratch.c -- see scratch.h.
 */
#include "script/scratch.h"

#include "script/pack_lua.h"

#include <pthread.h>

_Thread_local struct bytes scratch_of_thread[SCRATCH_COUNT];

static const size_t limits[SCRATCH_COUNT] = {
    [SCRATCH_PACK] = PACK_LUA_LIMIT,
    [SCRATCH_TEXT] = SCRATCH_TEXT_LIMIT,
    [SCRATCH_TRACE] = SCRATCH_TRACE_LIMIT,
    [SCRATCH_FIT] = PACK_LUA_LIMIT + PACK_LUA_LIMIT / 4,
    [SCRATCH_FIELDS] = SCRATCH_DRAFT_LIMIT,
    [SCRATCH_NAMES] = SCRATCH_DRAFT_LIMIT,
    [SCRATCH_TYPES] = SCRATCH_DRAFT_LIMIT,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t  thread_end;

static void free_scratch(void *unused)
{
    (void)unused;
    for (size_t use = 0; use < SCRATCH_COUNT; use++) {
        bytes_fini(&scratch_of_thread[use]);
        scratch_of_thread[use] = (struct bytes){ 0 };
    }
}

static void make_key(void)
{
    if (pthread_key_create(&thread_end, free_scratch) != 0)
        abort();
}

struct bytes *scratch_take_slow(enum scratch_use use)
{
    struct bytes *bytes = &scratch_of_thread[use];
    if (bytes->capacity > 0) {
        bytes_clear(bytes, SCRATCH_KEEP);
        return bytes;
    }
    pthread_once(&once, make_key);
    /* Any value but NULL has free_scratch() called. Without memory for it the
     * buffer is lost when the thread ends, and nothing worse happens. */
    (void)pthread_setspecific(thread_end, &scratch_of_thread);
    bytes_init(bytes, limits[use]);
    return bytes;
}
