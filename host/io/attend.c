/*
 * attend.c -- what a stream does next: it opens, flows, ends, tells so, closes.
 *
 * io_attend() is called whenever anything may have changed, and does all that
 * can be done now; so nobody has to say what has changed.
 */
#include "io/io_room.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DRAIN_NS           NS_PER_SEC          /* for the other side to end, too */

static uint64_t now(struct io_stream *stream)
{
    return clock_now(&stream->io->clock);
}

static bool is_abandoned(const struct io_stream *stream)
{
    return atomic_load_explicit(&stream->abandoned, memory_order_acquire);
}

static bool is_closed(const struct io_stream *stream)
{
    return atomic_load_explicit(&stream->close_asked, memory_order_acquire);
}

static bool is_hurried(struct io_stream *stream)
{
    return stream->io->ending && now(stream) >= stream->io->end_ns;
}

void io_finish(struct io_stream *stream, const char *format, ...)
{
    va_list arguments;
    stream->phase = IO_ENDED;
    if (*stream->reason != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(stream->reason, sizeof stream->reason, format, arguments);
    va_end(arguments);
}

/* ---- Closing -------------------------------------------------------------- */

/* Nothing is left of it but its name, until its end was handled. */
static bool gone(struct io_stream *stream)
{
    io_release(stream);
    stream->failed = true;
    if (stream->end_told && !is_abandoned(stream) &&
        !atomic_load_explicit(&stream->end_handled, memory_order_acquire))
        return false;
    if (stream->listener != NULL) {
        atomic_fetch_sub_explicit(&stream->listener->connections, 1, memory_order_relaxed);
        io_ask(stream->listener); /* it may have waited for one to go */
    }
    io_forget(stream);
    return false;
}

static void begin_closing(struct io_stream *stream)
{
    stream->failed = stream->failed || stream->phase == IO_CONNECTING;
    stream->phase = IO_CLOSING;
    bytes_fini(&stream->rest);
    bytes_fini(&stream->frame);
    stream->rest_at = 0;
    io_set_due(stream, IO_NEVER);
    if (stream->kind == STREAM_PROCESS && stream->child != 0) {
        io_release(stream); /* it reads the end, and its output breaks */
        io_child_signal(stream, SIGTERM);
        io_set_due(stream, now(stream) + IO_CHILD_PATIENCE_NS);
    } else if (stream->kind == STREAM_CONNECT) {
        io_shut_down(stream);
        io_set_due(stream, now(stream) + IO_LINGER_NS);
    }
}

static bool closing_child(struct io_stream *stream)
{
    if (stream->child == 0 || io_child_exited(stream)) {
        io_child_reap(stream);
        return gone(stream);
    }
    if (now(stream) >= stream->due_ns || is_hurried(stream)) {
        io_child_signal(stream, SIGKILL);
        io_set_due(stream, now(stream) + 10 * NS_PER_MS);
    }
    return false;
}

/* What is buffered leaves first; then the other side has a moment to end, for
 * what it still sends would else make the kernel take back what we have sent. */
static bool closing_connection(struct io_stream *stream)
{
    bool late = now(stream) >= stream->due_ns || is_hurried(stream);
    if (stream->failed || late)
        return gone(stream);
    if (!io_flush(stream, false))
        return false;
    if (stream->drained)
        return gone(stream);
    if (stream->due_ns > now(stream) + DRAIN_NS)
        io_set_due(stream, now(stream) + DRAIN_NS);
    if (!stream->readable)
        return false;
    ssize_t size = io_read(stream, stream->io->slice, IO_SLICE);
    if (size == -EAGAIN)
        stream->readable = false;
    else if (size <= 0)
        return gone(stream);
    return size > 0;
}

static bool closing(struct io_stream *stream)
{
    if (stream->kind == STREAM_PROCESS)
        return closing_child(stream);
    if (stream->kind == STREAM_CONNECT)
        return closing_connection(stream);
    return gone(stream);
}

/* The notice of the end is sent: what is left to do? */
static bool told(struct io_stream *stream)
{
    bool both_ways = stream->kind == STREAM_CONNECT && !stream->failed;
    if (!both_ways) {
        begin_closing(stream);
        return closing(stream);
    }
    lock_acquire(&stream->lock);
    bool shut = stream->shut;
    lock_release(&stream->lock);
    if (!shut && (stream->half_open ||
                  !atomic_load_explicit(&stream->end_handled, memory_order_acquire)))
        return false; /* until then it can be written to */
    stream->drained = true;
    begin_closing(stream);
    return closing(stream);
}

/* ---- Flowing -------------------------------------------------------------- */

static void end_of_child(struct io_stream *stream)
{
    io_child_reap(stream);
    if (stream->child_signal != 0)
        io_finish(stream, "error: ended by signal %d (%s)", stream->child_signal,
                  sigdescr_np(stream->child_signal) != NULL ? sigdescr_np(stream->child_signal)
                                                            : "unknown");
    else if (stream->child_code != 0)
        io_finish(stream, "error: exit status %d", stream->child_code);
    else
        io_finish(stream, "normal");
}

/* Everything that could be read was delivered. */
static void all_delivered(struct io_stream *stream)
{
    if (stream->kind != STREAM_PROCESS || *stream->reason != '\0') {
        io_finish(stream, "normal");
    } else if (io_child_exited(stream)) {
        end_of_child(stream);
    } else if (stream->child_watch < 0) {
        io_set_due(stream, now(stream) + IO_RETRY_NS);
    }
}

static void read_failed(struct io_stream *stream, int error)
{
    char text[100];
    snprintf(stream->reason, sizeof stream->reason, "error: %s",
             io_explain(error, text, sizeof text));
    stream->eof = stream->failed = true;
    stream->readable = false;
}

/* Delivers what is whole of stream->rest. False: no credit, or it was too long. */
static bool deliver_rest(struct io_stream *stream)
{
    struct bytes *rest = &stream->rest;
    bool starved = false;
    bool last = stream->eof && !stream->failed;
    ssize_t used = io_split(stream, (const char *)rest->data + stream->rest_at,
                            rest->size - stream->rest_at, last, &starved);
    if (used == -EMSGSIZE) {
        io_finish(stream, "error: a line is longer than %zu bytes (option limit)", stream->limit);
        stream->failed = true;
        return false;
    }
    stream->rest_at += (size_t)used;
    if (stream->rest_at == rest->size || (stream->eof && !starved)) {
        bytes_clear(rest, 2 * IO_SLICE);
        stream->rest_at = 0;
    }
    return !starved;
}

/* Keeps what io_split() has left of a slice. */
static void keep(struct io_stream *stream, const char *bytes, size_t size)
{
    bytes_append(&stream->rest, bytes, size);
    if (!stream->rest.failed)
        return;
    stream->failed = true;
    io_finish(stream, "error: out of memory");
}

static ssize_t fill(struct io_stream *stream)
{
    struct bytes *rest = &stream->rest;
    if (rest->size == 0)
        return io_read(stream, stream->io->slice, IO_SLICE);
    if (stream->rest_at > 0) {
        memmove(rest->data, rest->data + stream->rest_at, rest->size - stream->rest_at);
        rest->size -= stream->rest_at;
        stream->rest_at = 0;
    }
    if (!bytes_reserve(rest, IO_SLICE)) {
        rest->failed = false;
        io_set_due(stream, now(stream) + IO_RETRY_NS);
        return -EAGAIN;
    }
    ssize_t size = io_read(stream, rest->data + rest->size, IO_SLICE);
    if (size > 0)
        rest->size += (size_t)size;
    return size;
}

/* What fill() has read straight into the loop's slice. */
static void deliver_slice(struct io_stream *stream, size_t size)
{
    const char *slice = stream->io->slice;
    bool starved = false;
    ssize_t used = io_split(stream, slice, size, false, &starved);
    if (used == -EMSGSIZE) {
        io_finish(stream, "error: a line is longer than %zu bytes (option limit)", stream->limit);
        stream->failed = true;
    } else if ((size_t)used < size) {
        keep(stream, slice + used, size - (size_t)used);
    }
}

static bool flow_bytes(struct io_stream *stream)
{
    if (stream->rest.size > stream->rest_at && !deliver_rest(stream))
        return false;
    if (stream->eof) {
        all_delivered(stream);
        return false;
    }
    if (!stream->readable || !io_may_deliver(stream))
        return false;
    bool into_slice = stream->rest.size == 0;
    ssize_t size = fill(stream);
    if (size > 0) {
        atomic_fetch_add_explicit(&stream->io->bytes_in, (uint64_t)size, memory_order_relaxed);
        if (into_slice)
            deliver_slice(stream, (size_t)size);
        return true;
    }
    if (size == -EAGAIN) {
        if (stream->due_ns == IO_NEVER) /* else it looks again by itself */
            stream->readable = false;
        if (stream->rest.size == 0)
            bytes_clear(&stream->rest, 0);
        return false;
    }
    if (size == 0)
        stream->eof = true;
    else
        read_failed(stream, (int)-size);
    return true;
}

/* ---- Beginning ------------------------------------------------------------ */

/* From here on the kernel says what becomes of its descriptors. */
static void begin(struct io_stream *stream)
{
    int watched = io_watch(stream, stream->in, IO_EVENT_IN);
    stream->begun = true;
    if (watched == 1) /* a file that is always ready */
        stream->readable = true;
    if (watched >= 0 && stream->kind == STREAM_PROCESS) {
        lock_acquire(&stream->lock);
        if (stream->out >= 0)
            watched = io_watch(stream, stream->out, IO_EVENT_OUT);
        lock_release(&stream->lock);
    }
    if (watched >= 0 && stream->child_watch >= 0)
        watched = io_watch(stream, stream->child_watch, IO_EVENT_CHILD);
    if (watched < 0) {
        read_failed(stream, -watched);
        io_finish(stream, "error");
    }
}

/* ---- Opening -------------------------------------------------------------- */

/* An outgoing connection: is it there? If it cannot be made, that is its end. */
static void look_for_connection(struct io_stream *stream)
{
    char text[100];
    if (!stream->is_timed)
        io_set_due(stream, stream->due_ns);
    int there = io_connected(stream);
    if (there == 0 && now(stream) >= stream->due_ns)
        there = -ETIMEDOUT;
    if (there == 0)
        return;
    io_set_due(stream, IO_NEVER);
    if (there < 0) {
        stream->failed = true;
        io_finish(stream, "error: cannot connect to %s: %s", stream->name,
                  io_explain(-there, text, sizeof text));
        return;
    }
    stream->phase = IO_FLOWING;
    stream->readable = true;
    io_flush(stream, true);
}

/* Whoever owns it now has been told, and has handled that: else it brings nothing. */
static bool owner_has_heard(struct io_stream *stream)
{
    uint32_t owner = atomic_load_explicit(&stream->owners, memory_order_acquire);
    if (stream->owners_told != owner && io_notify_open(stream, owner))
        stream->owners_told = owner;
    return atomic_load_explicit(&stream->owners_heard, memory_order_acquire) == owner;
}

static bool flow(struct io_stream *stream)
{
    switch (stream->kind) {
    case STREAM_LISTEN:
        return stream->readable && io_accept(stream);
    case STREAM_SUBSCRIBE:
        return io_take_packets(stream);
    default:
        return flow_bytes(stream);
    }
}

/* Up to the notice of its end. */
static bool live(struct io_stream *stream)
{
    bool more = false;
    if (stream->phase == IO_CONNECTING)
        look_for_connection(stream);
    if (stream->phase == IO_FLOWING && owner_has_heard(stream))
        more = flow(stream);
    if (stream->phase != IO_ENDED || is_abandoned(stream))
        return more;
    if (stream->parked && !is_closed(stream) && !io_may_deliver(stream))
        return false; /* the notice must not overtake what waits for room */
    stream->end_told = io_notify_end(stream);
    if (stream->end_told)
        stream->phase = IO_TOLD;
    return false;
}

bool io_attend(struct io_stream *stream)
{
    bool more = false;
    if (stream->forgotten)
        return false; /* while it stood in the queue */
    if (!stream->begun)
        begin(stream);
    if (stream->phase == IO_FLOWING)
        io_set_due(stream, IO_NEVER); /* what it waited for is tried again now */

    if (stream->phase < IO_TOLD && is_closed(stream)) {
        *stream->reason = '\0';
        if (stream->phase == IO_CONNECTING)
            stream->failed = true;
        io_finish(stream, "closed");
    }
    if (stream->phase < IO_TOLD && !is_abandoned(stream))
        more = live(stream);
    if (stream->phase == IO_TOLD && stream->kind == STREAM_CONNECT && !is_abandoned(stream))
        owner_has_heard(stream); /* it may be handed on, to be written to */
    if (stream->phase != IO_CLOSING &&
        (is_abandoned(stream) || (stream->phase == IO_TOLD && is_closed(stream))))
        begin_closing(stream);
    if (stream->phase == IO_TOLD)
        return told(stream);
    return stream->phase == IO_CLOSING ? closing(stream) : more;
}
