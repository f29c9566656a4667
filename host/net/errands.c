/*
 * errands.c -- a queue, and a thread that may be left behind.
 *
 * The thread shares nothing with the gateway but this struct, which the last of
 * the two frees. It touches peers only under the lock, and not once it is closed.
 */
#include "net/errands.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/resolve.h"

#include <string.h>

struct errands {
    struct lock    lock;
    struct signal  changed;
    struct peers  *peers;   /* guarded by lock, as all; NULL: closed */
    _Atomic uint64_t *dropped; /* the gateway's, as are the peers */
    struct outbox  queue;   /* each frame with its endpoint and a NUL in front */
    bool           running; /* the thread */
    bool           left;    /* by everybody else: the thread frees it */
    struct clock   clock;
};

struct errands *errands_new(struct peers *peers, _Atomic uint64_t *dropped)
{
    struct errands *errands = memory_get_zeroed(sizeof *errands);
    if (errands == NULL)
        return NULL;
    lock_init(&errands->lock);
    signal_init(&errands->changed);
    clock_init(&errands->clock, false);
    outbox_init(&errands->queue, ERRANDS_MAX, SIZE_MAX);
    errands->peers = peers;
    errands->dropped = dropped;
    return errands;
}

static void destroy(struct errands *errands)
{
    outbox_fini(&errands->queue);
    signal_fini(&errands->changed);
    lock_fini(&errands->lock);
    memory_put(errands, sizeof *errands);
}

static bool send_locked(struct errands *errands, const struct outbox_frame *frame,
                        const char *numeric)
{
    const char  *endpoint = (const char *)frame->bytes;
    size_t       skipped = strlen(endpoint) + 1;
    uint64_t     now = clock_now(&errands->clock);
    char         why[200];
    struct peer *peer = peers_get_answered(errands->peers, endpoint, numeric, why, sizeof why);
    bool         sent =
        peer != NULL &&
        (frame->size == skipped ||
         (peer_may_reject(peer, now) &&
          peer_send(peer, frame->bytes + skipped, frame->size - skipped, false, now) < PEER_FULL));
    peer_unref(peer);
    return sent;
}

/* Sends all that waits for one host, now that it is looked up (NULL: in vain). */
static void settle_locked(struct errands *errands, const char *endpoint, const char *numeric)
{
    const struct outbox_frame *first;
    while ((first = outbox_first(&errands->queue)) != NULL &&
           strcmp((const char *)first->bytes, endpoint) == 0) {
        if (numeric == NULL || !send_locked(errands, first, numeric))
            atomic_fetch_add_explicit(errands->dropped, 1, memory_order_relaxed);
        outbox_drop_first(&errands->queue);
    }
}

static void *errands_main(void *argument)
{
    struct errands *errands = argument;
    char            endpoint[ADDRESS_ENDPOINT_LIMIT], numeric[ADDRESS_ENDPOINT_LIMIT], why[200];

    lock_acquire(&errands->lock);
    while (errands->peers != NULL) {
        const struct outbox_frame *first = outbox_first(&errands->queue);
        if (first == NULL) {
            signal_wait(&errands->changed, &errands->lock);
            continue;
        }
        memcpy(endpoint, first->bytes, strlen((const char *)first->bytes) + 1);
        lock_release(&errands->lock);
        bool found = resolve_endpoint(endpoint, numeric, why, sizeof why) == 0;
        if (!found)
            log_debug("gateway: %s", why);
        lock_acquire(&errands->lock);
        if (errands->peers != NULL)
            settle_locked(errands, endpoint, found ? numeric : NULL);
    }
    errands->running = false;
    bool last = errands->left;
    lock_release(&errands->lock);
    if (last)
        destroy(errands);
    return NULL;
}

static bool start_locked(struct errands *errands)
{
    struct thread thread;
    if (!errands->running && errands->peers != NULL && thread_start(&thread, "errands", 0, errands_main, errands) == 0) {
        errands->running = true;
        thread_detach(&thread);
    }
    return errands->running && errands->peers != NULL;
}

bool errands_put(struct errands *errands, const char *endpoint, const void *frame, size_t size)
{
    size_t   head = strlen(endpoint) + 1;
    uint8_t *both = memory_get(head + size);
    if (both == NULL)
        return false;
    memcpy(both, endpoint, head);
    if (size > 0)
        memcpy(both + head, frame, size);

    lock_acquire(&errands->lock);
    bool kept = start_locked(errands) && outbox_put(&errands->queue, both, head + size, 0);
    signal_one(&errands->changed);
    lock_release(&errands->lock);
    memory_put(both, head + size);
    return kept;
}

void errands_close(struct errands *errands)
{
    lock_acquire(&errands->lock);
    errands->peers = NULL;
    signal_one(&errands->changed);
    lock_release(&errands->lock);
}

void errands_free(struct errands *errands)
{
    if (errands == NULL)
        return;
    errands_close(errands);
    lock_acquire(&errands->lock);
    bool last = !errands->running;
    errands->left = true;
    lock_release(&errands->lock);
    if (last)
        destroy(errands);
}
