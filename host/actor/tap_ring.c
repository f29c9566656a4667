/*
 * tap_ring.c -- where records of messages lie until they are collected.
 *
 * A thread always writes to the same one of a few rings, so that threads seldom meet;
 * whoever collects reads them all. A slot's `turn` says whose it is: in round r of its
 * ring 2r is free for a writer, 2r + 1 is written, 2r + 2 is read and the same as free
 * in the next round. Zeroed memory is an empty ring, and pages that no record came to
 * take no memory.
 */
#include "actor/tap_room.h"

#include <errno.h>
#include <sched.h>

#define RINGS     8
#define RING_SIZE 4096 /* records; a power of two */
#define FIRST_MAX (RING_SIZE / 4 * 3) /* beyond that no message's first record is taken */
_Static_assert(TAP_BATCH == RINGS * RING_SIZE, "a batch has room for all");

struct ring {
    _Alignas(CACHE_LINE) _Atomic uint64_t head; /* of the next record to be written */
    _Atomic uint64_t lost;
    _Atomic uint32_t inside;
    _Alignas(CACHE_LINE) _Atomic uint64_t tail; /* of the next to be released; written under tap_lock */
    uint64_t gathered;                          /* of the next to be gathered; under tap_lock */
};

static struct ring rings[RINGS];
static _Atomic(struct tap_record *) records; /* RINGS * RING_SIZE, or NULL; never freed: a thread may write */
static struct tap_record *batch[TAP_BATCH];  /* under tap_lock */

static _Thread_local unsigned own __attribute__((tls_model("initial-exec"))); /* ring + 1; 0: none yet */

static unsigned own_ring(void)
{
    static _Atomic unsigned next;
    if (UNLIKELY(own == 0))
        own = 1 + atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % RINGS;
    return own - 1;
}

int tap_rings_make(void)
{
    if (atomic_load_explicit(&records, memory_order_relaxed) != NULL)
        return 0;
    struct tap_record *made = calloc((size_t)RINGS * RING_SIZE, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    atomic_store_explicit(&records, made, memory_order_release);
    return 0;
}

static struct tap_record *slot(unsigned ring, uint64_t place)
{
    return &atomic_load_explicit(&records, memory_order_acquire)[ring * RING_SIZE + place % RING_SIZE];
}

struct tap_record *tap_claim(bool first)
{
    unsigned index = own_ring();
    struct ring *ring = &rings[index];
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    for (;;) {
        struct tap_record *record = slot(index, head);
        uint64_t turn = atomic_load_explicit(&record->turn, memory_order_acquire);
        uint64_t free_turn = head / RING_SIZE * 2;
        if (turn > free_turn) { /* somebody was quicker */
            head = atomic_load_explicit(&ring->head, memory_order_relaxed);
            continue;
        }
        if (turn < free_turn ||
            (first && head - atomic_load_explicit(&ring->tail, memory_order_relaxed) > FIRST_MAX)) {
            atomic_fetch_add_explicit(&ring->lost, 1, memory_order_relaxed);
            return NULL;
        }
        if (atomic_compare_exchange_weak_explicit(&ring->head, &head, head + 1,
                                                       memory_order_relaxed, memory_order_relaxed))
            return record;
    }
}

void tap_publish(struct tap_record *record)
{
    uint64_t turn = atomic_load_explicit(&record->turn, memory_order_relaxed);
    atomic_store_explicit(&record->turn, turn + 1, memory_order_release);
}

uint64_t tap_rings_lost(void)
{
    uint64_t lost = 0;
    for (unsigned i = 0; i < RINGS; i++)
        lost += atomic_load_explicit(&rings[i].lost, memory_order_relaxed);
    return lost;
}

/* ---- Reading ------------------------------------------------------------- */

static int compare_times(const void *a, const void *b)
{
    const struct tap_record *one = *(struct tap_record *const *)a;
    const struct tap_record *other = *(struct tap_record *const *)b;
    if (one->time_ns != other->time_ns)
        return one->time_ns < other->time_ns ? -1 : 1;
    return one < other ? -1 : one > other; /* of one thread: as they were written, nearly always */
}

size_t tap_gather(uint64_t until_ns, struct tap_record ***gathered)
{
    size_t count = 0;
    *gathered = batch;
    if (atomic_load_explicit(&records, memory_order_acquire) == NULL)
        return 0;
    for (unsigned i = 0; i < RINGS; i++) {
        struct ring *ring = &rings[i];
        uint64_t place = atomic_load_explicit(&ring->tail, memory_order_relaxed), end = place + RING_SIZE;
        for (; place < end; place++) {
            struct tap_record *record = slot(i, place);
            uint64_t turn = atomic_load_explicit(&record->turn, memory_order_acquire);
            if (turn != place / RING_SIZE * 2 + 1 || record->time_ns > until_ns)
                break;
            batch[count++] = record;
        }
        ring->gathered = place;
    }
    qsort(batch, count, sizeof batch[0], compare_times);
    return count;
}

void tap_release(void)
{
    for (unsigned i = 0; i < RINGS; i++) {
        struct ring *ring = &rings[i];
        uint64_t place = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        for (; place < ring->gathered; place++)
            atomic_store_explicit(&slot(i, place)->turn, place / RING_SIZE * 2 + 2, memory_order_release);
        atomic_store_explicit(&ring->tail, place, memory_order_relaxed);
    }
}

/* ---- Who looks at the filters --------------------------------------------- */

/* Either who changes tap_on sees that we are inside, or we see what it was changed to. */
uint32_t tap_enter(void)
{
    atomic_fetch_add_explicit(&rings[own_ring()].inside, 1, memory_order_seq_cst);
    return atomic_load_explicit(&tap_on, memory_order_seq_cst);
}

void tap_leave(void)
{
    atomic_fetch_sub_explicit(&rings[own_ring()].inside, 1, memory_order_release);
}

void tap_await_leave(void)
{
    for (unsigned i = 0; i < RINGS; i++)
        while (atomic_load_explicit(&rings[i].inside, memory_order_seq_cst) != 0)
            sched_yield();
}
