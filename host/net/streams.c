/*
 * streams.c -- opening, closing and waking what streams_out.c and streams_in.c do.
 *
 * Waking. Whoever gives a stream something to do later lowers the word of its
 * kind and, if that was later before, writes to the gateway's eventfd. The
 * gateway's thread raises the word before it looks at the streams and lowers it
 * afterwards to the earliest that it found: what another thread adds meanwhile
 * is either seen by the look or finds the word high.
 */
#include "net/streams_room.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

uint64_t streams_random(void)
{
    uint64_t number = 0;
    while (number == 0)
        while (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
            ;
    return number;
}

void streams_init(struct streams *streams, const struct streams_options *options)
{
    memset(streams, 0, sizeof *streams);
    streams->options = *options;
    streams->epoch = streams_random();
    streams->began_ns = streams_now(streams);
    atomic_init(&streams->out_wake_ns, UINT64_MAX);
    atomic_init(&streams->in_wake_ns, UINT64_MAX);
    lock_init(&streams->lock);
    signal_init(&streams->changed);
    map_init(&streams->by_target);
    map_init(&streams->by_id);
    map_init(&streams->in_by_id);
}

void streams_close(struct streams *streams, const char *why)
{
    lock_acquire(&streams->lock);
    bool closed = streams->closed;
    streams->closed = true;
    lock_release(&streams->lock);
    if (closed)
        return;
    outgoing_close_all(streams, why);
    incoming_close_all(streams);
}

void streams_fini(struct streams *streams)
{
    map_fini(&streams->in_by_id);
    map_fini(&streams->by_id);
    map_fini(&streams->by_target);
    signal_fini(&streams->changed);
    lock_fini(&streams->lock);
}

/* ---- waking the gateway's thread ---- */

void streams_note(_Atomic uint64_t *word, uint64_t due_ns)
{
    uint64_t before = atomic_load_explicit(word, memory_order_seq_cst);
    while (due_ns < before &&
           !atomic_compare_exchange_weak_explicit(word, &before, due_ns, memory_order_seq_cst,
                                                  memory_order_seq_cst))
        ;
}

void streams_want(struct streams *streams, _Atomic uint64_t *word, uint64_t due_ns)
{
    uint64_t before = atomic_load_explicit(word, memory_order_seq_cst);
    do {
        if (due_ns >= before)
            return;
    } while (!atomic_compare_exchange_weak_explicit(word, &before, due_ns, memory_order_seq_cst,
                                                    memory_order_seq_cst));
    (void)!write(streams->options.wake, &(uint64_t){ 1 }, sizeof(uint64_t));
}

void streams_stir(struct streams *streams)
{
    streams->stirred = true;
}

int streams_timeout_ms(struct streams *streams)
{
    uint64_t out_ns = atomic_load_explicit(&streams->out_wake_ns, memory_order_seq_cst);
    uint64_t in_ns = atomic_load_explicit(&streams->in_wake_ns, memory_order_seq_cst);
    uint64_t due_ns = out_ns < in_ns ? out_ns : in_ns;

    if (streams->stirred)
        return 0;
    if (LIKELY(due_ns == UINT64_MAX))
        return -1;
    uint64_t now_ns = streams_now(streams);
    if (due_ns <= now_ns)
        return 0;
    uint64_t left_ms = (due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    return left_ms < 60000 ? (int)left_ms : 60000;
}

static bool is_due(_Atomic uint64_t *word, struct streams *streams)
{
    uint64_t due_ns = atomic_load_explicit(word, memory_order_seq_cst);
    return due_ns != UINT64_MAX && due_ns <= streams_now(streams);
}

void streams_tick(struct streams *streams)
{
    bool stirred = streams->stirred;
    streams->stirred = false;
    if (stirred || is_due(&streams->in_wake_ns, streams))
        incoming_tick(streams, stirred);
    if (stirred || is_due(&streams->out_wake_ns, streams))
        outgoing_tick(streams);
}

/* ---- the end ---- */

void streams_drain(struct streams *streams, uint64_t deadline_ns)
{
    bool in_time = true;
    lock_acquire(&streams->lock);
    streams->draining = true;
    while (in_time && outgoing_have_hope_locked(streams))
        in_time = signal_wait_until(&streams->changed, &streams->lock, deadline_ns);
    streams->draining = false;
    lock_release(&streams->lock);
}
