/*
 * port.c -- the streams as the rest of the house sees them: struct stream_port.
 */
#include "io/io_room.h"

#include "message/pack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int open_source(struct io_stream *stream, const struct stream_request *request, char *why,
                       size_t room)
{
    switch (request->kind) {
    case STREAM_LINES:
        return io_open_file(stream, request->target, why, room);
    case STREAM_PROCESS:
        return io_open_child(stream, request, why, room);
    case STREAM_LISTEN:
        return io_open_listener(stream, request->target, why, room);
    case STREAM_CONNECT:
        return io_open_connection(stream, request->target, why, room);
    case STREAM_SUBSCRIBE:
        return io_open_packets(stream, request, why, room);
    }
    UNREACHABLE();
}

static int refuse(int error, char *why, size_t room)
{
    char text[100];
    if (error == -ESHUTDOWN)
        snprintf(why, room, "the host is stopping");
    else
        snprintf(why, room, "streams cannot be opened: %s", io_explain(-error, text, sizeof text));
    return error;
}

static int port_open(void *context, const struct stream_request *request, stream_id *id, char *why,
                     size_t room)
{
    struct io *io = context;
    int error = io_begin(io);
    if (error != 0)
        return refuse(error, why, room);
    struct io_stream *stream = io_stream_new(io, request, request->target);
    if (stream == NULL)
        return refuse(-ENOMEM, why, room);
    error = open_source(stream, request, why, room);
    if (error == 0) {
        error = io_enter(stream);
        if (error == 0) {
            *id = stream->id;
            return 0;
        }
        refuse(error, why, room);
    }
    io_discard(stream);
    return error;
}

static enum stream_answer port_write(void *context, stream_id id, const void *bytes, size_t size,
                                     actor_id waiter, uint64_t wait)
{
    struct io_stream *stream = io_find(context, id);
    if (stream == NULL)
        return STREAM_GONE;
    enum stream_answer answer = io_write(stream, bytes, size, waiter, wait);
    io_stream_unref(stream);
    return answer;
}

static enum stream_answer port_shut_down(void *context, stream_id id)
{
    struct io_stream *stream = io_find(context, id);
    if (stream == NULL)
        return STREAM_GONE;
    enum stream_answer answer = io_shut_down(stream);
    io_stream_unref(stream);
    return answer;
}

static bool port_close(void *context, stream_id id)
{
    struct io_stream *stream = io_find(context, id);
    if (stream == NULL)
        return false;
    bool first = !atomic_exchange_explicit(&stream->close_asked, true, memory_order_acq_rel) &&
                 !atomic_load_explicit(&stream->end_handled, memory_order_acquire);
    io_wake_writers(stream);
    io_ask(stream);
    io_stream_unref(stream);
    return first;
}

static enum stream_answer port_hand_over(void *context, stream_id id, actor_id from, actor_id to)
{
    struct io_stream *stream = io_find(context, id);
    if (stream == NULL)
        return STREAM_NOT_YOURS;
    bool done = atomic_compare_exchange_strong_explicit(&stream->owner, &from, to,
                                                        memory_order_acq_rel, memory_order_relaxed);
    if (done) {
        atomic_fetch_add_explicit(&stream->owners, 1, memory_order_release);
        io_ask(stream);
    }
    io_stream_unref(stream);
    return done ? STREAM_OK : STREAM_NOT_YOURS;
}

static bool port_describe(void *context, stream_id id, char *text, size_t room, char *address,
                          size_t address_room)
{
    static const char *const kinds[] = {
        [STREAM_LINES] = "lines of", [STREAM_PROCESS] = "process", [STREAM_LISTEN] = "listening on",
        [STREAM_CONNECT] = "connection with", [STREAM_SUBSCRIBE] = "subscription to",
    };
    struct io_stream *stream = io_find(context, id);
    if (stream == NULL)
        return false;
    const char *name = *stream->address != '\0' ? stream->address : stream->name;
    snprintf(text, room, "%s %s", kinds[stream->kind],
             strcmp(name, "-") == 0 ? "the standard input" : name);
    snprintf(address, address_room, "%s", stream->address);
    io_stream_unref(stream);
    return true;
}

static void port_abandon(void *context, actor_id owner)
{
    io_abandon(context, owner);
}

static void put_count(struct bytes *packed, const char *name, uint64_t value)
{
    pack_put_string(packed, name, strlen(name));
    pack_put_integer(packed, (int64_t)value);
}

static void port_measure(void *context, struct bytes *packed)
{
    struct io *io = context;
    size_t head = pack_open(packed, PACK_MAP);
    put_count(packed, "open", atomic_load_explicit(&io->living, memory_order_relaxed));
    put_count(packed, "opened", atomic_load_explicit(&io->opened, memory_order_relaxed));
    put_count(packed, "items", atomic_load_explicit(&io->items, memory_order_relaxed));
    put_count(packed, "bytes_in", atomic_load_explicit(&io->bytes_in, memory_order_relaxed));
    put_count(packed, "bytes_out", atomic_load_explicit(&io->bytes_out, memory_order_relaxed));
    pack_close(packed, head, 5);
}

static bool port_step(void *context, unsigned wait_ms)
{
    return io_step(context, wait_ms);
}

void io_fill_port(struct io *io, struct stream_port *port)
{
    *port = (struct stream_port){
        .context = io,
        .open = port_open,
        .write = port_write,
        .shut_down = port_shut_down,
        .close = port_close,
        .hand_over = port_hand_over,
        .describe = port_describe,
        .abandon = port_abandon,
        .admits = io_admits,
        .measure = port_measure,
        .step = port_step,
    };
}
