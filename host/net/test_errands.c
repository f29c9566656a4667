/* test_errands.c -- the promises of errands.h, with a name server that is mute until told. */
#include "net/errands.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#define PATIENCE_NS (10 * NS_PER_SEC)

/* ---- the name server ---- */

static struct lock   server_lock = { PTHREAD_MUTEX_INITIALIZER };
static struct signal server_changed;
static unsigned      asked;        /* guarded by server_lock, as all here */
static bool          mute;

/* Takes the place of the C library's: `*.here` is 127.0.0.1, others are not found. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *wanted,
                struct addrinfo **found)
{
    (void)wanted;
    lock_acquire(&server_lock);
    asked++;
    signal_all(&server_changed);
    while (mute)
        signal_wait(&server_changed, &server_lock);
    lock_release(&server_lock);
    if (strstr(host, ".here") == NULL)
        return EAI_NONAME;
    struct {
        struct addrinfo    info;
        struct sockaddr_in address;
    } *answer = calloc(1, sizeof *answer);
    assert(answer != NULL);
    answer->address.sin_family = AF_INET;
    answer->address.sin_port = htons((uint16_t)atoi(port));
    answer->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    answer->info.ai_family = AF_INET;
    answer->info.ai_addrlen = sizeof answer->address;
    answer->info.ai_addr = (struct sockaddr *)&answer->address;
    *found = &answer->info;
    return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
    free(info);
}

static void set_mute(bool on)
{
    lock_acquire(&server_lock);
    mute = on;
    signal_all(&server_changed);
    lock_release(&server_lock);
}

static void wait_asked(unsigned count)
{
    struct clock clock;
    clock_init(&clock, false);
    lock_acquire(&server_lock);
    while (asked < count)
        assert(signal_wait_until(&server_changed, &server_lock, clock_now(&clock) + PATIENCE_NS));
    lock_release(&server_lock);
}

/* ---- peers without a gateway: frames to them wait ---- */

static struct {
    void            *zmq;
    int              epoll, wake;
    struct clock     clock;
    struct peers     peers;
    _Atomic uint64_t dropped;
    struct errands  *errands;
} here;

static void nothing_lost(void *context, const char *endpoint, const void *frame, size_t size,
                         const char *why)
{
    (void)context, (void)endpoint, (void)frame, (void)size, (void)why;
}

static size_t used_at_first;

static void open_here(void)
{
    here.zmq = zmq_ctx_new();
    here.epoll = epoll_create1(EPOLL_CLOEXEC);
    here.wake = eventfd(0, EFD_CLOEXEC);
    here.dropped = 0;
    asked = 0;
    clock_init(&here.clock, false);
    peers_init(&here.peers, here.zmq, here.epoll, here.wake,
               &(struct peers_options){ .clock = &here.clock, .limit = 8, .queue_messages = 1000,
                                        .queue_bytes = 1u << 20, .lost = nothing_lost });
    here.errands = errands_new(&here.peers, &here.dropped);
    assert(here.errands != NULL);
}

static void close_peers(void)
{
    errands_close(here.errands);
    peers_close(&here.peers, 0);
    assert(zmq_ctx_term(here.zmq) == 0);
    errands_free(here.errands);
    peers_fini(&here.peers);
    close(here.epoll);
    close(here.wake);
}

static bool put(const char *endpoint, const char *frame)
{
    return errands_put(here.errands, endpoint, frame, strlen(frame));
}

/* Frames that wait for the peer; bounded. */
static size_t wait_for(const char *endpoint, size_t count)
{
    struct clock clock;
    clock_init(&clock, false);
    uint64_t end = clock_now(&clock) + PATIENCE_NS;
    for (;;) {
        struct peer *peer = peers_find(&here.peers, endpoint);
        size_t       found = 0;
        if (peer != NULL) {
            lock_acquire(&peer->lock);
            found = peer->queue.count;
            lock_release(&peer->lock);
        }
        peer_unref(peer);
        if (found >= count || clock_now(&clock) > end)
            return found;
        sched_yield();
    }
}

/* What is put is sent once its host is found. */
static void test_sending(void)
{
    open_here();
    assert(put("tcp://a.here:5001", "one"));
    assert(put("tcp://a.here:5001", "two"));
    assert(put("tcp://b.here:5002", "three"));
    assert(wait_for("tcp://a.here:5001", 2) == 2);
    assert(wait_for("tcp://b.here:5002", 1) == 1);
    struct peer *peer = peers_find(&here.peers, "tcp://a.here:5001");
    assert(strcmp(peer->numeric, "tcp://127.0.0.1:5001") == 0);
    assert(memcmp(outbox_first(&peer->queue)->bytes, "one", 3) == 0);
    peer_unref(peer);
    assert(here.dropped == 0);
    close_peers();
}

/* An errand without a frame makes the peer, and leaves nothing there. */
static void test_making_a_way(void)
{
    open_here();
    assert(errands_put(here.errands, "tcp://a.here:5001", NULL, 0));
    assert(put("tcp://b.here:5002", "after it"));
    assert(wait_for("tcp://b.here:5002", 1) == 1);
    struct peer *peer = peers_find(&here.peers, "tcp://a.here:5001");
    assert(peer != NULL && peer->queue.count == 0);
    peer_unref(peer);
    assert(here.dropped == 0);
    close_peers();
}

/* Who cannot be found costs one question for all that waits for him, and is counted. */
static void test_not_found(void)
{
    open_here();
    set_mute(true);
    for (unsigned i = 0; i < 10; i++)
        assert(put("tcp://nobody:5001", "lost"));
    wait_asked(1);
    assert(put("tcp://a.here:5001", "kept"));
    set_mute(false);
    assert(wait_for("tcp://a.here:5001", 1) == 1);
    assert(here.dropped == 10 && asked == 2);
    assert(peers_find(&here.peers, "tcp://nobody:5001") == NULL);
    close_peers();
}

/* With a mute server nobody waits: what is too much is refused, and closing does
 * not wait either. The thread that does is freed with what it held, when it may. */
static void test_mute_server(void)
{
    open_here();
    set_mute(true);
    unsigned kept = 0;
    for (unsigned i = 0; i < 3 * ERRANDS_MAX; i++)
        kept += put("tcp://a.here:5001", "frame");
    assert(kept == ERRANDS_MAX);
    wait_asked(1);
    close_peers();
    set_mute(false);
    struct clock clock;
    clock_init(&clock, false);
    uint64_t end = clock_now(&clock) + PATIENCE_NS;
    /* Of the tests before, too, threads may have been at work until now. */
    while (memory_used() != used_at_first && clock_now(&clock) < end)
        sched_yield();
    assert(memory_used() == used_at_first);
}

int main(void)
{
    used_at_first = memory_used();
    signal_init(&server_changed);
    test_sending();
    test_making_a_way();
    test_not_found();
    test_mute_server();
    puts("errands: ok");
    return 0;
}
