/*
 * table.c -- the streams there are, by number, and how each begins and goes.
 */
#include "io/io_room.h"

#include "base/memory.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX 1000000

struct io_stream *io_stream_new(struct io *io, const struct stream_request *request,
                                const char *name)
{
    struct io_stream *stream = memory_get_zeroed(sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->name = memory_copy_text(name);
    if (stream->name == NULL) {
        memory_put(stream, sizeof *stream);
        return NULL;
    }
    atomic_init(&stream->references, 1);
    stream->io = io;
    stream->kind = request->kind;
    stream->item = request->item;
    stream->opened = request->opened;
    stream->ended = request->ended;
    stream->window = request->window;
    stream->limit = request->limit;
    stream->buffer = request->buffer;
    stream->chunks = request->chunks;
    stream->half_open = request->half_open;
    stream->errors = request->errors;
    stream->connections_limit = request->connections;
    atomic_init(&stream->owner, request->owner);
    lock_init(&stream->lock);
    stream->in = stream->out = stream->child_watch = -1;
    bytes_init(&stream->unsent, 0);
    bytes_init(&stream->rest, 0);
    bytes_init(&stream->frame, 0);
    stream->phase = IO_FLOWING;
    stream->due_ns = IO_NEVER;
    atomic_fetch_add_explicit(&io->living, 1, memory_order_relaxed);
    return stream;
}

struct io_stream *io_stream_ref(struct io_stream *stream)
{
    atomic_fetch_add_explicit(&stream->references, 1, memory_order_relaxed);
    return stream;
}

void io_stream_unref(struct io_stream *stream)
{
    /* Whoever frees it sees what all the others have done with it. */
    if (stream == NULL ||
        atomic_fetch_sub_explicit(&stream->references, 1, memory_order_acq_rel) != 1)
        return;
    struct io_stream *listener = stream->listener;
    bytes_fini(&stream->unsent);
    bytes_fini(&stream->rest);
    bytes_fini(&stream->frame);
    lock_fini(&stream->lock);
    memory_free_text(stream->name);
    memory_put(stream, sizeof *stream);
    io_stream_unref(listener);
}

static bool grow_locked(struct io *io)
{
    uint32_t capacity = io->capacity > 0 ? io->capacity * 2 : 16;
    if (capacity > STREAMS_MAX)
        return false;
    struct io_stream **streams = realloc(io->streams, capacity * sizeof *streams);
    if (streams != NULL)
        io->streams = streams;
    uint32_t *generations = realloc(io->generations, capacity * sizeof *generations);
    if (generations != NULL)
        io->generations = generations;
    if (streams == NULL || generations == NULL)
        return false;
    for (uint32_t i = io->capacity; i < capacity; i++) {
        io->streams[i] = NULL;
        io->generations[i] = 0;
    }
    io->capacity = capacity;
    return true;
}

int io_enter(struct io_stream *stream)
{
    struct io *io = stream->io;
    int error = 0;

    lock_acquire(&io->lock);
    uint32_t slot = io->free_hint;
    while (slot < io->capacity && io->streams[slot] != NULL)
        slot++;
    if (io->stopping)
        error = -ESHUTDOWN;
    else if (slot == io->capacity && !grow_locked(io))
        error = -ENOMEM;
    if (error == 0) {
        stream->id = (uint64_t)++io->generations[slot] << 32 | slot;
        io->streams[slot] = stream;
        io->free_hint = slot + 1;
        io->count++;
    }
    lock_release(&io->lock);
    if (error != 0)
        return error;
    atomic_fetch_add_explicit(&io->opened, 1, memory_order_relaxed);
    io_ask(stream);
    return 0;
}

struct io_stream *io_find(struct io *io, stream_id id)
{
    uint32_t slot = (uint32_t)id;
    struct io_stream *stream = NULL;

    lock_acquire(&io->lock);
    if (slot < io->capacity && io->streams[slot] != NULL && io->streams[slot]->id == id)
        stream = io_stream_ref(io->streams[slot]);
    lock_release(&io->lock);
    return stream;
}

static void let_go(struct io_stream *stream)
{
    atomic_fetch_sub_explicit(&stream->io->living, 1, memory_order_relaxed);
    io_stream_unref(stream);
}

void io_discard(struct io_stream *stream)
{
    io_release(stream);
    if (stream->child > 0) {
        io_child_signal(stream, SIGKILL);
        io_child_reap(stream);
    }
    let_go(stream);
}

void io_release(struct io_stream *stream)
{
    struct io *io = stream->io;
    int in, out;
    lock_acquire(&stream->lock);
    in = stream->in;
    out = stream->out;
    stream->in = stream->out = -1;
    stream->shut = true;
    bytes_fini(&stream->unsent);
    stream->unsent_at = 0;
    lock_release(&stream->lock);

    if (stream->packets != NULL)
        io_close_packets(stream, in);
    else
        io_unwatch(io, in);
    if (out != in)
        io_unwatch(io, out);
    io_wake_writers(stream);
    if (stream->is_stdin) {
        lock_acquire(&io->lock);
        io->stdin_taken = false;
        lock_release(&io->lock);
        stream->is_stdin = false;
    }
}

void io_forget(struct io_stream *stream)
{
    struct io *io = stream->io;
    uint32_t slot = (uint32_t)stream->id;

    io_set_due(stream, IO_NEVER);
    stream->forgotten = true;
    lock_acquire(&io->lock);
    io->streams[slot] = NULL;
    if (slot < io->free_hint)
        io->free_hint = slot;
    io->count--;
    lock_release(&io->lock);
    let_go(stream);
}

void io_abandon(struct io *io, actor_id owner)
{
    struct io_stream *lot[32];
    uint32_t at = 0, count;
    do { /* in lots: the lock is not held while they are asked for */
        count = 0;
        lock_acquire(&io->lock);
        for (; at < io->capacity && count < ARRAY_LENGTH(lot); at++) {
            struct io_stream *stream = io->streams[at];
            if (stream != NULL &&
                (owner == 0 ||
                 atomic_load_explicit(&stream->owner, memory_order_acquire) == owner))
                lot[count++] = io_stream_ref(stream);
        }
        lock_release(&io->lock);
        for (uint32_t i = 0; i < count; i++) {
            atomic_store_explicit(&lot[i]->abandoned, true, memory_order_release);
            io_ask(lot[i]);
            io_stream_unref(lot[i]);
        }
    } while (count == ARRAY_LENGTH(lot));
}

void io_kill_children(struct io *io)
{
    lock_acquire(&io->lock);
    for (uint32_t at = 0; at < io->capacity; at++)
        if (io->streams[at] != NULL)
            io_child_signal(io->streams[at], SIGKILL);
    lock_release(&io->lock);
}
