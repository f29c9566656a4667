/*
 * write.c -- what actors write to connections and children: at once if it can
 * be, else from a bounded buffer, when the other side has made room.
 */
#include "io/io_room.h"

#include "base/memory.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* write() to a pipe that raises no SIGPIPE, whatever the thread makes of it. */
static ssize_t write_quietly(int descriptor, const void *bytes, size_t size)
{
    sigset_t pipe_signal, pending, before;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    ssize_t written = write(descriptor, bytes, size);
    int error = errno;
    if (written < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE)) {
        static const struct timespec at_once;
        while (sigtimedwait(&pipe_signal, NULL, &at_once) < 0 && errno == EINTR)
            continue;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return written;
}

/* So many bytes, or -errno; 0 for none now. */
static ssize_t put(struct io_stream *stream, const void *bytes, size_t size)
{
    ssize_t written;
    do {
        written = stream->kind == STREAM_PROCESS
                      ? write_quietly(stream->out, bytes, size)
                      : send(stream->out, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (written < 0 && errno == EINTR);
    if (written < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    atomic_fetch_add_explicit(&stream->io->bytes_out, (uint64_t)written, memory_order_relaxed);
    return written;
}

static size_t queued_locked(const struct io_stream *stream)
{
    return stream->unsent.size - stream->unsent_at;
}

static void break_locked(struct io_stream *stream)
{
    stream->shut = true;
    bytes_fini(&stream->unsent);
    stream->unsent_at = 0;
}

/* Writes what can be written of `size` bytes: how many; it may break. */
static size_t put_all_locked(struct io_stream *stream, const uint8_t *bytes, size_t size)
{
    size_t done = 0;
    while (done < size && stream->writable) {
        ssize_t written = put(stream, bytes + done, size - done);
        if (written < 0) {
            break_locked(stream);
            return done;
        }
        done += (size_t)written;
        if (written == 0)
            stream->writable = false;
    }
    return done;
}

/* The other side is to read the end, after all that was written. */
static void shut_when_done_locked(struct io_stream *stream)
{
    if (!stream->shut_asked || stream->shut || queued_locked(stream) > 0 || stream->out < 0 ||
        stream->out_connecting)
        return;
    stream->shut = true;
    if (stream->kind == STREAM_CONNECT) {
        shutdown(stream->out, SHUT_WR);
        return;
    }
    io_unwatch(stream->io, stream->out);
    stream->out = -1;
}

/* At most one for each actor: what it waited for before is over. */
static struct io_waiter *add_waiter_locked(struct io_stream *stream, struct io_waiter *waiter)
{
    struct io_waiter **link = &stream->waiters, *old = NULL;
    while (*link != NULL && (*link)->wake->to != waiter->wake->to)
        link = &(*link)->next;
    if (*link != NULL) {
        old = *link;
        *link = old->next;
    }
    waiter->next = stream->waiters;
    stream->waiters = waiter;
    return old;
}

static void waiter_free(struct io_waiter *waiter)
{
    if (waiter == NULL)
        return;
    message_free(waiter->wake);
    memory_put(waiter, sizeof *waiter);
}

static struct io_waiter *waiter_new(actor_id actor, uint64_t wait)
{
    struct io_waiter *waiter = memory_get(sizeof *waiter);
    if (waiter == NULL)
        return NULL;
    waiter->wake = message_new(MESSAGE_WAKE, TYPE_NONE, NULL, 0);
    if (waiter->wake == NULL) {
        memory_put(waiter, sizeof *waiter);
        return NULL;
    }
    waiter->wake->to = actor;
    waiter->wake->request = wait;
    return waiter;
}

/* What could not be written at once is kept. */
static void keep_locked(struct io_stream *stream, const uint8_t *bytes, size_t size)
{
    struct bytes *unsent = &stream->unsent;
    if (stream->unsent_at > unsent->size / 2) {
        memmove(unsent->data, unsent->data + stream->unsent_at, queued_locked(stream));
        unsent->size -= stream->unsent_at;
        stream->unsent_at = 0;
    }
    bytes_append(unsent, bytes, size);
    if (unsent->failed) /* half of it may have left: nothing that follows would make sense */
        break_locked(stream);
}

enum stream_answer io_write(struct io_stream *stream, const void *bytes, size_t size,
                            actor_id waiter, uint64_t wait)
{
    struct io_waiter *mine = wait != 0 ? waiter_new(waiter, wait) : NULL;
    enum stream_answer answer = STREAM_OK;
    bool broken = false;

    lock_acquire(&stream->lock);
    size_t queued = queued_locked(stream);
    if (stream->mute) {
        answer = STREAM_MUTE;
    } else if (stream->shut || stream->shut_asked ||
               atomic_load_explicit(&stream->close_asked, memory_order_acquire)) {
        answer = STREAM_GONE;
    } else if (queued > 0 && (size > stream->buffer || queued > stream->buffer - size)) {
        answer = STREAM_FULL;
        if (mine != NULL) {
            answer = STREAM_PARKED;
            mine = add_waiter_locked(stream, mine);
        }
    } else {
        size_t done = queued == 0 ? put_all_locked(stream, bytes, size) : 0;
        if (!stream->shut && done < size)
            keep_locked(stream, (const uint8_t *)bytes + done, size - done);
        broken = stream->shut;
        answer = broken ? STREAM_GONE : STREAM_OK;
    }
    lock_release(&stream->lock);
    waiter_free(mine);
    if (broken)
        io_ask(stream);
    return answer;
}

void io_wake_writers(struct io_stream *stream)
{
    lock_acquire(&stream->lock);
    struct io_waiter *waiters = stream->waiters;
    stream->waiters = NULL;
    lock_release(&stream->lock);
    while (waiters != NULL) {
        struct io_waiter *each = waiters;
        waiters = each->next;
        router_send(stream->io->system, &each->wake, ROUTE_RESERVED);
        waiter_free(each); /* its wake is NULL if it was taken */
    }
}

bool io_flush(struct io_stream *stream, bool now_writable)
{
    lock_acquire(&stream->lock);
    if (now_writable && stream->out >= 0) {
        stream->writable = true;
        stream->out_connecting = false;
    }
    size_t queued = queued_locked(stream);
    if (queued > 0 && stream->out >= 0 && !stream->shut) {
        stream->unsent_at +=
            put_all_locked(stream, stream->unsent.data + stream->unsent_at, queued);
        if (stream->shut)
            stream->unsent_at = 0;
        queued = queued_locked(stream);
        if (queued == 0) {
            bytes_clear(&stream->unsent, IO_SLICE);
            stream->unsent_at = 0;
        }
    }
    shut_when_done_locked(stream);
    bool done = queued == 0 || stream->shut;
    bool room = done || queued <= stream->buffer / 2;
    room = room && stream->waiters != NULL;
    lock_release(&stream->lock);
    if (room)
        io_wake_writers(stream);
    return done;
}

enum stream_answer io_shut_down(struct io_stream *stream)
{
    enum stream_answer answer = STREAM_OK;
    lock_acquire(&stream->lock);
    if (stream->mute)
        answer = STREAM_MUTE;
    else if (stream->shut)
        answer = STREAM_GONE;
    stream->shut_asked = true;
    lock_release(&stream->lock);
    io_flush(stream, false);
    io_wake_writers(stream);
    io_ask(stream);
    return answer;
}
