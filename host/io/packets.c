/*
 * packets.c -- streams of whole frames: a subscription's messages, each an item.
 */
#include "io/io_room.h"

#include "message/pack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#define MESSAGES_AT_ONCE 64

int io_open_packets(struct io_stream *stream, const struct stream_request *request, char *why,
                    size_t room)
{
    struct packet_source *source = &stream->io->packets;
    if (source->open == NULL) {
        snprintf(why, room, "this host cannot subscribe: a stage has no ZeroMQ");
        return -ENOTSUP;
    }
    int error = source->open(source->context, request->target, request->prefix,
                             request->prefix_size, request->limit, &stream->packets, &stream->in,
                             why, room);
    if (error != 0)
        return error;
    stream->mute = true;
    stream->readable = true;
    snprintf(stream->address, sizeof stream->address, "%s", request->target);
    return 0;
}

static int receive(struct io_stream *stream, bool *more)
{
    int got = stream->io->packets.receive(stream->packets, &stream->frame, more);
    if (got > 0)
        atomic_fetch_add_explicit(&stream->io->bytes_in, stream->frame.size,
                                  memory_order_relaxed);
    return got;
}

static void put_frame(struct io_stream *stream, struct bytes *packed)
{
    pack_put_string(packed, (const char *)stream->frame.data, stream->frame.size);
}

/* The next message, packed into stream->rest: 1; 0 if there is none; or -errno.
 * Its parts come all at once, or not at all. */
static int take_one(struct io_stream *stream)
{
    struct bytes *packed = &stream->rest;
    size_t head;
    bool more;
    int got = receive(stream, &more);
    if (got <= 0)
        return got;
    io_begin_item(stream, packed, &head);
    pack_put_string(packed, "text", 4);
    put_frame(stream, packed);
    if (more) {
        uint32_t count = 1;
        pack_put_string(packed, "parts", 5);
        size_t parts = pack_open(packed, PACK_ARRAY);
        put_frame(stream, packed);
        for (; more && receive(stream, &more) > 0; count++)
            put_frame(stream, packed);
        pack_close(packed, parts, count);
        pack_close(packed, head, 3);
    } else {
        pack_close(packed, head, 2);
    }
    return packed->failed ? -ENOMEM : 1;
}

bool io_take_packets(struct io_stream *stream)
{
    char text[100];
    for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
        if (!io_may_deliver(stream))
            return false;
        if (stream->rest.size == 0) {
            int got = stream->readable ? take_one(stream) : 0;
            if (got == 0)
                stream->readable = false;
            if (got < 0)
                io_finish(stream, "error: %s", io_explain(-got, text, sizeof text));
            if (got <= 0)
                return false;
        }
        if (!io_deliver_packed(stream, &stream->rest))
            return false;
        bytes_clear(&stream->rest, IO_SLICE);
    }
    return true;
}

void io_close_packets(struct io_stream *stream, int descriptor)
{
    epoll_ctl(stream->io->epoll, EPOLL_CTL_DEL, descriptor, NULL);
    stream->io->packets.close(stream->packets);
    stream->packets = NULL;
}
