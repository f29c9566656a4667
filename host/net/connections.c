/*
 * connections.c -- bytes in, according to the kernel, against frames out.
 *
 * A descriptor is libzmq's and may be another connection's by the time we look;
 * the kernel's cookie of a socket tells. What a frame takes up on the wire is
 * reckoned as ZMTP has it; the small rest (greetings, heartbeats) is forgotten
 * whenever a frame comes of the connection.
 */
#include "net/connections.h"

#include "base/log.h"
#include "base/memory.h"
#include "message/wire.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <zmq.h>

#define EVENTS (ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED)

#define DESCRIPTORS_MAX 65536 /* connections beyond are not looked at */

/* A frame under CURVE: command name, nonce, box, flags. */
#define CURVE_OVERHEAD 33

/* Frames from an inlet after which each connection has had its turns. */
#define TURNS_SPARE 256

struct connection {
    struct inflow *inflow;      /* NULL: not open */
    uint64_t       cookie;      /* the kernel's name of the socket */
    int64_t        read;        /* bytes that libzmq had read at the last tick */
    int64_t        read_before; /* at the one before */
    int64_t        delivered;   /* bytes that frames came of */
    int64_t        held;        /* as judged at this tick */
    bool           judged;
    bool           fresh;       /* a frame came of it since the last tick */
    bool           shut;        /* by us */
};

/* ---- opening and closing ---- */

int connections_open(struct connections *connections, int epoll, bool encrypted)
{
    *connections = (struct connections){ .epoll = epoll, .encrypted = encrypted };
    connections->watch = (struct watch){ WATCH_TICK, connections };
    connections->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (connections->timer < 0)
        return -errno;
    return watch_add(epoll, connections->timer, &connections->watch);
}

void connections_close(struct connections *connections)
{
    if (connections->timer >= 0)
        close(connections->timer);
    connections->timer = -1;
    memory_put(connections->list, connections->count * sizeof *connections->list);
    connections->list = NULL;
    connections->count = 0;
}

/* The next tick comes after `first_ms`; 0: none, without connections there is
 * nothing to look at. */
static void set_timer(struct connections *connections, long first_ms)
{
    struct itimerspec tick = { .it_value.tv_nsec = first_ms * (long)NS_PER_MS };
    tick.it_interval.tv_nsec = first_ms > 0 ? CONNECTIONS_TICK_MS * (long)NS_PER_MS : 0;
    timerfd_settime(connections->timer, 0, &tick, NULL);
}

int inflow_open(struct inflow *inflow, struct connections *connections, void *zmq, void *pull)
{
    char endpoint[64], none;
    snprintf(endpoint, sizeof endpoint, "inproc://inflow-%p", (void *)inflow);
    *inflow = (struct inflow){ .watch = { WATCH_INFLOW, inflow }, .connections = connections };
    if (zmq_socket_monitor(pull, endpoint, EVENTS) != 0)
        return -errno;
    inflow->monitor = zmq_socket(zmq, ZMQ_PAIR);
    int err = inflow->monitor != NULL ? 0 : -errno;
    if (err == 0) {
        zmq_setsockopt(inflow->monitor, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
        /* Its first EAGAIN is waited for here (see net/watch.h). */
        if (zmq_connect(inflow->monitor, endpoint) != 0 ||
            zmq_recv(inflow->monitor, &none, 0, ZMQ_DONTWAIT) != -1 || errno != EAGAIN)
            err = -errno;
    }
    if (err == 0) {
        inflow->descriptor = watch_descriptor(inflow->monitor);
        err = watch_add(connections->epoll, inflow->descriptor, &inflow->watch);
    }
    if (err != 0) {
        zmq_socket_monitor(pull, NULL, 0);
        if (inflow->monitor != NULL)
            zmq_close(inflow->monitor);
        inflow->monitor = NULL;
    }
    return err;
}

void inflow_close(struct inflow *inflow, void *pull)
{
    watch_remove(inflow->connections->epoll, inflow->descriptor);
    zmq_socket_monitor(pull, NULL, 0);
    zmq_close(inflow->monitor);
    inflow->monitor = NULL;
}

/* ---- who comes and goes ---- */

static uint64_t cookie_of(int descriptor)
{
    uint64_t  cookie = 0;
    socklen_t size = sizeof cookie;
    return getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

/* The entry of a descriptor, or NULL. */
static struct connection *find(struct connections *connections, int descriptor)
{
    return descriptor >= 0 && (size_t)descriptor < connections->count
               ? &connections->list[descriptor]
               : NULL;
}

static bool make_room(struct connections *connections, size_t descriptor)
{
    if (descriptor < connections->count)
        return true;
    size_t count = connections->count > 0 ? connections->count : 64;
    while (count <= descriptor)
        count *= 2;
    struct connection *grown =
        memory_resize(connections->list, connections->count * sizeof *grown,
                      count * sizeof *grown);
    if (grown == NULL)
        return false;
    memset(grown + connections->count, 0, (count - connections->count) * sizeof *grown);
    connections->list = grown;
    connections->count = count;
    return true;
}

static void has_gone(struct connections *connections, struct connection *connection)
{
    if (connection == NULL || connection->inflow == NULL)
        return;
    connection->inflow->open--;
    connection->inflow = NULL;
    if (--connections->open == 0)
        set_timer(connections, 0);
}

static void has_come(struct inflow *inflow, int descriptor)
{
    struct connections *connections = inflow->connections;
    if (descriptor < 0 || descriptor >= DESCRIPTORS_MAX ||
        !make_room(connections, (size_t)descriptor))
        return;
    struct connection *connection = &connections->list[descriptor];
    has_gone(connections, connection); /* nobody has told us */
    *connection = (struct connection){ .inflow = inflow, .cookie = cookie_of(descriptor) };
    inflow->open++;
    if (connections->open++ == 0)
        set_timer(connections, CONNECTIONS_TICK_MS);
}

static void add_one(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void happened(struct inflow *inflow, unsigned event, int descriptor)
{
    struct connections *connections = inflow->connections;
    switch (event) {
    case ZMQ_EVENT_ACCEPTED:
        add_one(&connections->accepted);
        has_come(inflow, descriptor);
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        add_one(&connections->greeted);
        break;
    case ZMQ_EVENT_DISCONNECTED:
        has_gone(connections, find(connections, descriptor));
        break;
    default:
        break;
    }
}

void inflow_told(struct inflow *inflow)
{
    unsigned event;
    int      value;
    while (watch_read_event(inflow->monitor, &event, &value))
        happened(inflow, event, value);
}

/* ---- what they hold ---- */

void inflow_took(struct inflow *inflow, int descriptor, size_t size)
{
    struct connection *connection = find(inflow->connections, descriptor);
    inflow->taken++;
    if (connection == NULL)
        return;
    size += inflow->connections->encrypted ? CURVE_OVERHEAD : 0;
    connection->delivered += (int64_t)size + (size > 255 ? 9 : 2); /* its flags and length */
    connection->fresh = true;
}

void inflow_next_tick(struct inflow *inflow)
{
    inflow->emptied_before = inflow->emptied;
    inflow->emptied = false;
    inflow->taken = 0;
}

/* How much libzmq has read from it, or -1: it is not there any more. */
static int64_t bytes_read(int descriptor, const struct connection *connection)
{
    struct tcp_info info = { 0 };
    socklen_t       size = sizeof info;
    int             unread = 0;
    if (cookie_of(descriptor) != connection->cookie ||
        getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received ||
        ioctl(descriptor, SIOCINQ, &unread) != 0)
        return -1;
    return (int64_t)info.tcpi_bytes_received - unread;
}

/* What of `read` no frame has come of: all of it was there when the inlet was
 * last emptied, but for a batch that libzmq may have had in hand. */
static void judge(struct connection *connection)
{
    const struct inflow *inflow = connection->inflow;
    /* Inlets serve connections in turn: who was passed by has no message there. */
    bool passed_by = !connection->fresh && inflow->taken > 2 * (uint64_t)inflow->open + TURNS_SPARE;

    connection->judged = inflow->emptied || passed_by;
    /* What is unfinished began after the last frame, and that after the inlet was empty before. */
    if (connection->fresh && inflow->emptied_before && connection->delivered < connection->read_before)
        connection->delivered = connection->read_before;
    connection->held = connection->read - connection->delivered;
    if (connection->held < 0)
        connection->held = 0;
}

/* Whether it had better be looked at again soon: more than a frame and none came of it. */
static bool look_again(int descriptor, struct connection *connection)
{
    int64_t now = bytes_read(descriptor, connection);
    bool    silent = !connection->fresh && !connection->shut;
    connection->read_before = connection->read;
    connection->read = now > connection->read ? now : connection->read;
    connection->fresh = false;
    return silent && connection->read > connection->read_before &&
           connection->read - connection->delivered > 2 * (int64_t)wire_frame_limit();
}

/* Shuts the connection under libzmq, which then drops what it kept of it. */
static void cut(struct connections *connections, int descriptor, struct connection *connection)
{
    static struct log_limit limit = LOG_LIMIT(1);
    struct sockaddr_storage peer;
    socklen_t               size = sizeof peer;
    char                    host[NI_MAXHOST] = "somebody";

    connection->shut = true;
    if (cookie_of(descriptor) != connection->cookie)
        return;
    if (getpeername(descriptor, (struct sockaddr *)&peer, &size) == 0)
        getnameinfo((struct sockaddr *)&peer, size, host, sizeof host, NULL, 0, NI_NUMERICHOST);
    /* So that libzmq's close() tells the peer at once, whatever it still had to send. */
    const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    shutdown(descriptor, SHUT_RDWR);
    add_one(&connections->cut);
    if (log_allowed(&limit))
        log_warn("gateway: a connection from %s is cut: it has sent %lld bytes of a message "
                 "that does not end", host, (long long)connection->held);
}

static bool counts(const struct connection *connection)
{
    return connection->inflow != NULL && !connection->shut && connection->judged;
}

/* Who holds most, or -1: nobody holds anything. */
static int find_largest(const struct connections *connections)
{
    int     largest = -1;
    int64_t most = 0;
    for (size_t i = 0; i < connections->count; i++) {
        const struct connection *each = &connections->list[i];
        if (counts(each) && each->held > most) {
            most = each->held;
            largest = (int)i;
        }
    }
    return largest;
}

void connections_told(struct connections *connections)
{
    uint64_t expirations;
    int64_t  all = 0;
    int      largest;
    (void)!read(connections->timer, &expirations, sizeof expirations);

    for (size_t i = 0; i < connections->count; i++) {
        struct connection *each = &connections->list[i];
        if (each->inflow != NULL)
            judge(each);
        if (counts(each))
            all += each->held;
    }
    while ((largest = find_largest(connections)) >= 0) {
        struct connection *connection = &connections->list[largest];
        if (connection->held <= CONNECTION_HELD_MAX && all <= CONNECTIONS_HELD_MAX)
            break;
        all -= connection->held;
        cut(connections, largest, connection);
    }
    bool soon = false;
    for (size_t i = 0; i < connections->count; i++)
        if (connections->list[i].inflow != NULL)
            soon |= look_again((int)i, &connections->list[i]);
    if (soon)
        set_timer(connections, CONNECTIONS_SOON_MS);
}
