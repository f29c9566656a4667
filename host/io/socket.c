/*
 * socket.c -- TCP: connections that come in, and those that we make.
 */
#include "io/io_room.h"

#include "base/holder.h"
#include "base/log.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_AT_ONCE 32
#define BACKLOG         4096
#define PAUSE_NS        (100 * NS_PER_MS) /* when there are no descriptors left */

/* ---- Addresses ------------------------------------------------------------ */

/* The addresses of a normalised endpoint; to be freed. NULL and a sentence. */
static struct addrinfo *find(const char *endpoint, bool to_listen, char *why, size_t room)
{
    char host[ADDRESS_ENDPOINT_LIMIT];
    struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | (to_listen ? AI_PASSIVE : 0),
    };
    struct addrinfo *found = NULL;

    const char *start = endpoint + strlen("tcp://");
    const char *colon = strrchr(start, ':');
    snprintf(host, sizeof host, "%.*s", (int)(colon - start), start);
    char *name = host;
    if (*name == '[') {
        name++;
        name[strcspn(name, "]")] = '\0';
    }
    bool everywhere = strcmp(name, "*") == 0;
    /* As the wire has it: localhost is 127.0.0.1, and `*` all of IPv4. */
    if (everywhere || strcmp(name, "localhost") == 0)
        hints.ai_family = AF_INET;
    int error = getaddrinfo(everywhere ? NULL : name, colon + 1, &hints, &found);
    if (error == 0)
        return found;
    snprintf(why, room, "cannot find %s: %s", endpoint, gai_strerror(error));
    return NULL;
}

static void describe(const struct sockaddr *address, socklen_t size, char *text, size_t room)
{
    char host[64], port[16];
    if (getnameinfo(address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(text, room, "tcp://?");
        return;
    }
    bool six = strchr(host, ':') != NULL;
    snprintf(text, room, "tcp://%s%s%s:%s", six ? "[" : "", host, six ? "]" : "", port);
}

/* What is said goes out at once; and a client that has vanished without a word is noticed. */
static void set_options(int descriptor)
{
    int on = 1, idle_s = 60, every_s = 15, probes = 4;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/* ---- Listening ------------------------------------------------------------ */

static int bind_one(const struct addrinfo *address)
{
    int on = 1;
    int descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return -errno;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(descriptor, address->ai_addr, address->ai_addrlen) == 0 &&
        listen(descriptor, BACKLOG) == 0)
        return descriptor;
    int error = errno;
    close(descriptor);
    return -error;
}

/* Why it cannot be listened there; if the port is taken, by whom. */
static const char *explain_bind(int error, const struct addrinfo *address, char *text, size_t room)
{
    char          host[64], port[16];
    struct holder holder;
    if (error != EADDRINUSE ||
        getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0 ||
        holder_find(host, (uint16_t)atoi(port), &holder) != HOLDER_FOUND)
        return io_explain(error, text, room);
    if (holder.pid == getpid())
        return "this process does already";
    snprintf(text, room, "it is taken by process %ld (%s)", holder.pid, holder.name);
    return text;
}

int io_open_listener(struct io_stream *stream, const char *endpoint, char *why, size_t room)
{
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    char text[HOLDER_NAME_ROOM + 100];
    struct addrinfo *found = find(endpoint, true, why, room);
    if (found == NULL)
        return -EHOSTUNREACH;
    stream->mute = true;
    int descriptor = bind_one(found);
    int error = descriptor < 0 ? descriptor : 0;
    if (error != 0)
        snprintf(why, room, "cannot listen on %s: %s", endpoint,
                 explain_bind(-error, found, text, sizeof text));
    freeaddrinfo(found);
    if (error == 0) {
        stream->in = descriptor;
        getsockname(descriptor, (struct sockaddr *)&bound, &size);
        describe((struct sockaddr *)&bound, size, stream->address, sizeof stream->address);
    }
    return error;
}

/* A connection that has come in becomes a stream of the listener's actor. */
static int welcome(struct io_stream *listener, int descriptor, const struct sockaddr *address,
                   socklen_t size)
{
    struct stream_request request = {
        .kind = STREAM_CONNECT,
        .owner = atomic_load_explicit(&listener->owner, memory_order_acquire),
        .item = listener->item,
        .opened = listener->opened,
        .ended = listener->ended,
        .window = listener->window,
        .limit = listener->limit,
        .buffer = listener->buffer,
        .chunks = listener->chunks,
        .half_open = listener->half_open,
    };
    struct io_stream *stream = io_stream_new(listener->io, &request, listener->name);
    if (stream == NULL) {
        close(descriptor);
        return -ENOMEM;
    }
    set_options(descriptor);
    describe(address, size, stream->address, sizeof stream->address);
    stream->in = stream->out = descriptor;
    stream->writable = true;
    stream->readable = true;
    atomic_store_explicit(&stream->owners, 1, memory_order_relaxed);
    stream->listener = io_stream_ref(listener);
    int error = io_enter(stream);
    if (error != 0) {
        io_discard(stream);
        return error;
    }
    atomic_fetch_add_explicit(&listener->connections, 1, memory_order_relaxed);
    /* Its opening is an item of the listener's, whose credit comes back with it. */
    atomic_fetch_add_explicit(&listener->unhandled, 1, memory_order_seq_cst);
    return 0;
}

/* What is wrong with one connection is its own affair; with all, it is said. */
static bool pause_after(struct io_stream *listener, int error)
{
    static struct log_limit limit = LOG_LIMIT(1);
    char text[100];
    switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case EPERM:
        return true;
    case EAGAIN:
        listener->readable = false;
        return false;
    default:
        if (log_allowed(&limit))
            log_warn("streams: %s cannot accept a connection: %s; they wait", listener->address,
                     io_explain(error, text, sizeof text));
        io_set_due(listener, clock_now(&listener->io->clock) + PAUSE_NS);
        return false;
    }
}

bool io_accept(struct io_stream *listener)
{
    struct sockaddr_storage address;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        socklen_t size = sizeof address;
        if (atomic_load_explicit(&listener->connections, memory_order_relaxed) >=
                listener->connections_limit ||
            !io_may_deliver(listener))
            return false;
        int descriptor = accept4(listener->in, (struct sockaddr *)&address, &size,
                                 SOCK_CLOEXEC | SOCK_NONBLOCK);
        int error = descriptor < 0
                        ? errno
                        : -welcome(listener, descriptor, (struct sockaddr *)&address, size);
        if (error != 0)
            return pause_after(listener, error);
    }
    return true;
}

/* ---- Connecting ----------------------------------------------------------- */

int io_open_connection(struct io_stream *stream, const char *endpoint, char *why, size_t room)
{
    char text[100];
    struct addrinfo *found = find(endpoint, false, why, room);
    if (found == NULL)
        return -EHOSTUNREACH;
    int error = 0;
    int descriptor = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        error = -errno;
    } else {
        set_options(descriptor);
        describe(found->ai_addr, found->ai_addrlen, stream->address, sizeof stream->address);
        stream->in = stream->out = descriptor;
        if (connect(descriptor, found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS)
            stream->refused = errno; /* told as the end, as it is when it takes longer */
        stream->phase = IO_CONNECTING;
        stream->out_connecting = true;
        atomic_store_explicit(&stream->owners, 1, memory_order_relaxed);
        stream->due_ns = clock_now(&stream->io->clock) + IO_CONNECT_NS;
    }
    freeaddrinfo(found);
    if (error != 0)
        snprintf(why, room, "cannot connect to %s: %s", endpoint,
                 io_explain(-error, text, sizeof text));
    return error;
}

int io_connected(struct io_stream *stream)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int error = stream->refused;
    socklen_t error_size = sizeof error;
    if (error == 0 && getsockopt(stream->in, SOL_SOCKET, SO_ERROR, &error, &error_size) != 0)
        error = errno;
    if (error != 0)
        return -error;
    return getpeername(stream->in, (struct sockaddr *)&peer, &size) == 0 ? 1 : 0;
}
