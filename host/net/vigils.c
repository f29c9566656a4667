/*
 * vigils.c -- opening, closing and waking what vigils_out.c and vigils_in.c do.
 */
#include "net/vigils_room.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

uint64_t vigils_random(void)
{
    uint64_t number = 0;
    while (number == 0)
        while (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
            ;
    return number;
}

void vigils_init(struct vigils *vigils, const struct vigils_options *options)
{
    memset(vigils, 0, sizeof *vigils);
    vigils->options = *options;
    vigils->epoch = vigils_random();
    atomic_init(&vigils->wake_ns, UINT64_MAX);
    vigils->planned_ns = UINT64_MAX;
    lock_init(&vigils->lock);
    lock_init(&vigils->guests_lock);
    map_init(&vigils->by_key);
    map_init(&vigils->wards);
    map_init(&vigils->targets);
}

void vigils_close(struct vigils *vigils)
{
    vigils_out_close(vigils);
}

void vigils_fini(struct vigils *vigils)
{
    vigils_in_fini(vigils);
    map_fini(&vigils->targets);
    map_fini(&vigils->wards);
    map_fini(&vigils->by_key);
    lock_fini(&vigils->guests_lock);
    lock_fini(&vigils->lock);
}

/* The word is raised before the look and lowered after it: what comes meanwhile
 * is seen by the look, or finds the word high and writes. */
void vigils_want(struct vigils *vigils, uint64_t due_ns)
{
    uint64_t before = atomic_load_explicit(&vigils->wake_ns, memory_order_seq_cst);
    do {
        if (due_ns >= before)
            return;
    } while (!atomic_compare_exchange_weak_explicit(&vigils->wake_ns, &before, due_ns,
                                                    memory_order_seq_cst, memory_order_seq_cst));
    (void)!write(vigils->options.wake, &(uint64_t){ 1 }, sizeof(uint64_t));
}

int vigils_timeout_ms(struct vigils *vigils)
{
    uint64_t due_ns = atomic_load_explicit(&vigils->wake_ns, memory_order_seq_cst);
    if (LIKELY(due_ns == UINT64_MAX))
        return -1;
    uint64_t now_ns = vigils_now(vigils);
    uint64_t left_ms = due_ns > now_ns ? (due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
    return left_ms < 60000 ? (int)left_ms : 60000;
}

void vigils_tick(struct vigils *vigils, bool stirred)
{
    uint64_t due_ns = atomic_load_explicit(&vigils->wake_ns, memory_order_seq_cst);
    uint64_t now_ns = due_ns != UINT64_MAX || stirred ? vigils_now(vigils) : 0;
    if (!stirred && (due_ns == UINT64_MAX || due_ns > now_ns))
        return;
    atomic_store_explicit(&vigils->wake_ns, UINT64_MAX, memory_order_seq_cst);
    uint64_t out_ns = vigils_out_tick(vigils, now_ns);
    uint64_t in_ns = vigils_in_tick(vigils, now_ns);
    vigils_want(vigils, out_ns < in_ns ? out_ns : in_ns);
}
