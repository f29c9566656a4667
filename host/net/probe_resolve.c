/*
 * probe_resolve.c -- getaddrinfo() with a deadline, which it has none of: it runs on
 * a thread of its own, and who does not want to wait any longer leaves it there.
 */
#include "net/probe.h"

#include "base/clock.h"
#include "base/thread.h"
#include "net/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#define ADDRESSES_ROOM 1024

/* Shared by the one who waits and the thread that looks up. */
struct look_up {
    struct lock   lock;
    struct signal changed;
    unsigned      owners;                    /* guarded by lock, as all below */
    bool          over;
    int           failed;                    /* an EAI_ code, or 0 */
    char          addresses[ADDRESSES_ROOM]; /* if not */
    char          host[];                    /* fixed */
};

static void release(struct look_up *look_up)
{
    lock_acquire(&look_up->lock);
    bool last = --look_up->owners == 0;
    lock_release(&look_up->lock);
    if (!last)
        return;
    signal_fini(&look_up->changed);
    lock_fini(&look_up->lock);
    free(look_up);
}

/* Each address once, as long as there is room. */
static void write_addresses(const struct addrinfo *found, char *addresses, size_t room)
{
    size_t size = 0;
    addresses[0] = '\0';
    for (const struct addrinfo *each = found; each != NULL; each = each->ai_next) {
        char host[ADDRESS_ENDPOINT_LIMIT];
        if (resolve_host_text(each->ai_addr, each->ai_addrlen, host) != 0 ||
            size + strlen(host) + 2 > room)
            continue;
        size += (size_t)snprintf(addresses + size, room - size, "%s%s", size > 0 ? " " : "", host);
    }
}

static void *look_up_main(void *argument)
{
    struct look_up  *look_up = argument;
    struct addrinfo  wanted = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    struct addrinfo *found = NULL;
    char             addresses[ADDRESSES_ROOM] = "";

    int failed = getaddrinfo(look_up->host, NULL, &wanted, &found);
    if (failed == 0) {
        write_addresses(found, addresses, sizeof addresses);
        freeaddrinfo(found);
    }
    lock_acquire(&look_up->lock);
    look_up->over = true;
    look_up->failed = failed;
    memcpy(look_up->addresses, addresses, sizeof addresses);
    signal_all(&look_up->changed);
    lock_release(&look_up->lock);
    release(look_up);
    return NULL;
}

static struct look_up *begin(const char *host)
{
    struct look_up *look_up = calloc(1, sizeof *look_up + strlen(host) + 1);
    struct thread   thread;
    if (look_up == NULL)
        return NULL;
    lock_init(&look_up->lock);
    signal_init(&look_up->changed);
    look_up->owners = 2;
    memcpy(look_up->host, host, strlen(host) + 1);
    if (thread_start(&thread, "look-up", 0, look_up_main, look_up) != 0) {
        look_up->owners = 1;
        release(look_up);
        return NULL;
    }
    thread_detach(&thread);
    return look_up;
}

int probe_resolve(const char *host, uint64_t timeout_ms, char *addresses, size_t size, char *why,
                  size_t room)
{
    struct clock clock;
    clock_init(&clock, false);
    uint64_t deadline_ns = clock_now(&clock) + timeout_ms * NS_PER_MS;
    struct look_up *look_up = begin(host);
    if (look_up == NULL) {
        snprintf(why, room, "no memory to look it up");
        return -ENOMEM;
    }

    int  error = 0;
    bool in_time = true;
    lock_acquire(&look_up->lock);
    while (!look_up->over && in_time)
        in_time = signal_wait_until(&look_up->changed, &look_up->lock, deadline_ns);
    if (!look_up->over) {
        snprintf(why, room, "no name server has answered in %.1f s", (double)timeout_ms / 1000);
        error = -ETIMEDOUT;
    } else if (look_up->failed != 0) {
        snprintf(why, room, "%s", gai_strerror(look_up->failed));
        error = -EHOSTUNREACH;
    } else {
        snprintf(addresses, size, "%s", look_up->addresses);
    }
    lock_release(&look_up->lock);
    release(look_up);
    return error;
}
