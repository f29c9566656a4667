/*
 * server.c -- the control thread: lets in who may come, and attends to all in turn.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/control_room.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE_NS       (60 * NS_PER_SEC) /* without a request: may have to make room for others */
#define TICK_MS       500               /* how often deadlines are looked at */
#define ACCEPT_AT_ONCE 64

static uint64_t now(void)
{
    static struct clock clock;
    return clock_now(&clock);
}

/* ---- Letting in ------------------------------------------------------------ */

/* Turned away with a sentence; nobody waits for him to read it. */
static void turn_away(int descriptor, int code, const char *why)
{
    struct bytes line;
    bytes_init(&line, 0);
    write_end(&line, code, why);
    if (line.size > 0)
        (void)!send(descriptor, line.data, line.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    bytes_fini(&line);
    close(descriptor);
}

static void remove_connection(struct control *control, size_t index)
{
    control->connections[index] = control->connections[--control->count];
}

/* Whoever is connected for nothing, and the longest, makes room. */
static bool make_room(struct control *control, uint64_t now_ns)
{
    struct connection *idle = NULL;
    for (size_t i = 0; i < control->count; i++) {
        struct connection *each = &control->connections[i];
        if (each->client == NULL && now_ns - each->heard_ns > IDLE_NS &&
            (idle == NULL || each->heard_ns < idle->heard_ns))
            idle = each;
    }
    if (idle == NULL)
        return false;
    connection_close(idle, 0, NULL);
    remove_connection(control, (size_t)(idle - control->connections));
    return true;
}

static bool is_own_user(int descriptor)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           peer.uid == geteuid();
}

static void let_in(struct control *control, int descriptor, uint64_t now_ns)
{
    if (!is_own_user(descriptor)) {
        static struct log_limit limit = LOG_LIMIT(1);
        if (log_allowed(&limit))
            log_warn("control: another user was turned away from %s", control->path);
        turn_away(descriptor, 4, "only the user who runs this host is heard");
        return;
    }
    if (control->count == CONTROL_CLIENTS_MAX && !make_room(control, now_ns)) {
        turn_away(descriptor, 5, "this host has 32 control connections already");
        return;
    }
    struct connection *connection = &control->connections[control->count++];
    *connection = (struct connection){ .descriptor = descriptor, .heard_ns = now_ns };
    bytes_init(&connection->in, 0);
    bytes_init(&connection->out, 0);
}

/* Nobody is turned away before those have been attended to who may have left
 * already. False: no descriptors are left, and whoever waits stays there for the while. */
static bool accept_some(struct control *control, uint64_t now_ns)
{
    bool was_full = control->count == CONTROL_CLIENTS_MAX;
    for (unsigned i = 0; i < ACCEPT_AT_ONCE; i++) {
        if (control->count == CONTROL_CLIENTS_MAX && !was_full)
            return true;
        int descriptor = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (descriptor >= 0)
            let_in(control, descriptor, now_ns);
        else if (errno == EAGAIN)
            return true;
        else if (errno != EINTR && errno != ECONNABORTED)
            return false;
    }
    return true;
}

/* ---- The loop -------------------------------------------------------------- */

/* What is waited for: our own two first, then the connections in their order. */
static size_t prepare(struct control *control, bool accepting, struct pollfd *files, bool *tick)
{
    files[0] = (struct pollfd){ .fd = control->wake, .events = POLLIN };
    files[1] = (struct pollfd){ .fd = accepting ? control->listener : -1, .events = POLLIN };
    *tick = !accepting;
    for (size_t i = 0; i < control->count; i++) {
        struct connection *each = &control->connections[i];
        files[2 + i] = (struct pollfd){ .fd = each->descriptor, .events = connection_events(each) };
        *tick = *tick || connection_has_deadline(each);
    }
    return 2 + control->count;
}

static void attend_all(struct control *control, const struct pollfd *files, uint64_t now_ns)
{
    for (size_t i = 0; i < control->count; i++)
        connection_attend(control, &control->connections[i], files[2 + i].revents, now_ns);
    for (size_t i = control->count; i-- > 0;) {
        if (!control->connections[i].broken)
            continue;
        connection_close(&control->connections[i], 0, NULL);
        remove_connection(control, i);
    }
}

void *control_run(void *argument)
{
    struct control *control = argument;
    struct pollfd files[2 + CONTROL_CLIENTS_MAX];
    bool accepting = true;
    while (!atomic_load_explicit(&control->stopping, memory_order_acquire)) {
        bool tick;
        size_t count = prepare(control, accepting, files, &tick);
        if (poll(files, count, tick ? TICK_MS : -1) < 0)
            continue; /* EINTR; or no memory, which passes */
        if (files[0].revents & POLLIN) {
            uint64_t woken;
            (void)!read(control->wake, &woken, sizeof woken);
        }
        uint64_t now_ns = now();
        attend_all(control, files, now_ns);
        accepting = !(files[1].revents & POLLIN) || accept_some(control, now_ns);
    }
    while (control->count > 0)
        connection_close(&control->connections[--control->count], 5, "the host has ended");
    return NULL;
}
