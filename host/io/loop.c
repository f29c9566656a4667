/*
 * loop.c -- serves all streams, in turn.
 *
 * Descriptors are watched edge-triggered and once for all: a stream remembers
 * that it is readable, and is attended again and again, a slice at a time in
 * turn with the others, until it has nothing more or no credit. So a stream
 * that pauses costs nothing, and needs no call to the kernel for it.
 */
#include "io/io_room.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 256

void io_wake(struct io *io)
{
    uint64_t one = 1;
    while (write(io->wake, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

void io_ask(struct io_stream *stream)
{
    struct io *io = stream->io;
    lock_acquire(&io->lock);
    bool first = !stream->is_asked && io->asked == NULL;
    if (!stream->is_asked) {
        stream->is_asked = true;
        stream->asked_next = io->asked;
        io->asked = io_stream_ref(stream);
    }
    if (first)
        io_wake(io);
    lock_release(&io->lock);
}

/* ---- What the loop keeps of them ------------------------------------------ */

/* At the end of the queue: counted while it is there. */
static void make_ready(struct io_stream *stream)
{
    struct io *io = stream->io;
    if (stream->is_ready)
        return;
    stream->is_ready = true;
    stream->ready_next = NULL;
    if (io->ready_last != NULL)
        io->ready_last->ready_next = stream;
    else
        io->ready = stream;
    io->ready_last = io_stream_ref(stream);
}

static struct io_stream *next_ready(struct io *io)
{
    struct io_stream *stream = io->ready;
    if (stream == NULL)
        return NULL;
    io->ready = stream->ready_next;
    if (io->ready == NULL)
        io->ready_last = NULL;
    stream->is_ready = false;
    return stream;
}

static void untime(struct io_stream *stream)
{
    struct io_stream **link = &stream->io->timed;
    if (!stream->is_timed)
        return;
    while (*link != stream)
        link = &(*link)->timed_next;
    *link = stream->timed_next;
    stream->is_timed = false;
}

void io_set_due(struct io_stream *stream, uint64_t due_ns)
{
    struct io *io = stream->io;
    stream->due_ns = due_ns;
    if (due_ns == IO_NEVER)
        untime(stream);
    if (due_ns == IO_NEVER || stream->is_timed)
        return;
    stream->is_timed = true;
    stream->timed_next = io->timed;
    io->timed = stream;
}

int io_watch(struct io_stream *stream, int descriptor, unsigned what)
{
    struct epoll_event event = {
        .events = what == IO_EVENT_CHILD ? EPOLLIN
                  : what == IO_EVENT_OUT ? (uint32_t)(EPOLLOUT | EPOLLET)
                                         : (uint32_t)(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET),
        .data.u64 = (uint64_t)(uintptr_t)stream | what,
    };
    if (epoll_ctl(stream->io->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0)
        return 0;
    return errno == EPERM ? 1 : -errno;
}

void io_unwatch(struct io *io, int descriptor)
{
    if (descriptor < 0)
        return;
    /* Said so: a child that is just being made may hold the same file. */
    epoll_ctl(io->epoll, EPOLL_CTL_DEL, descriptor, NULL);
    close(descriptor);
}

/* ---- The loop ------------------------------------------------------------- */

/* Those that were asked for come into the queue, which then counts them. */
static bool take_asked(struct io *io)
{
    lock_acquire(&io->lock);
    bool any = io->asked != NULL;
    while (io->asked != NULL) {
        struct io_stream *stream = io->asked;
        io->asked = stream->asked_next;
        stream->is_asked = false;
        make_ready(stream);
        io_stream_unref(stream);
    }
    lock_release(&io->lock);
    return any;
}

static void take_event(struct io *io, const struct epoll_event *event)
{
    if (event->data.u64 == 0) {
        uint64_t count;
        while (read(io->wake, &count, sizeof count) < 0 && errno == EINTR)
            continue;
        return;
    }
    struct io_stream *stream =
        (struct io_stream *)(uintptr_t)(event->data.u64 & ~(uint64_t)IO_EVENT_MASK);
    unsigned what = event->data.u64 & IO_EVENT_MASK;
    if (what == IO_EVENT_IN && (event->events & ~(uint32_t)EPOLLOUT))
        stream->readable = true;
    if (what == IO_EVENT_CHILD) /* said once; it is asked what has become of it */
        epoll_ctl(io->epoll, EPOLL_CTL_DEL, stream->child_watch, NULL);
    if (stream->phase != IO_CONNECTING && (event->events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        io_flush(stream, true);
    make_ready(stream);
}

static void take_due(struct io *io, uint64_t now_ns)
{
    struct io_stream **link = &io->timed;
    while (*link != NULL) {
        struct io_stream *stream = *link;
        if (stream->due_ns == IO_NEVER || stream->due_ns <= now_ns) {
            *link = stream->timed_next;
            stream->is_timed = false;
            if (stream->due_ns != IO_NEVER)
                make_ready(stream);
        } else {
            link = &stream->timed_next;
        }
    }
}

static int patience_ms(struct io *io, unsigned wait_ms)
{
    uint64_t now_ns = clock_now(&io->clock), due_ns = IO_NEVER;
    if (io->ready != NULL)
        return 0;
    for (struct io_stream *each = io->timed; each != NULL; each = each->timed_next)
        if (each->due_ns < due_ns)
            due_ns = each->due_ns;
    if (io->ending && io->end_ns < due_ns)
        due_ns = io->end_ns;
    if (due_ns <= now_ns)
        return 0;
    uint64_t left_ms = (due_ns - now_ns) / NS_PER_MS + 1;
    return (int)(left_ms < wait_ms ? left_ms : wait_ms);
}

/* One round: waits at most `wait_ms` for something to do. Whether it did any. */
static bool turn(struct io *io, unsigned wait_ms)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    bool any = take_asked(io);
    int count = epoll_wait(io->epoll, events, EVENTS_AT_ONCE, patience_ms(io, wait_ms));
    for (int i = 0; i < count; i++)
        take_event(io, &events[i]);
    any = take_asked(io) || any;
    take_due(io, clock_now(&io->clock));

    struct io_stream *last = io->ready_last; /* each once, then the kernel is asked again */
    struct io_stream *stream = NULL;
    while (stream != last && (stream = next_ready(io)) != NULL) {
        any = true;
        if (io_attend(stream))
            make_ready(stream);
        io_stream_unref(stream);
    }
    return any;
}

/* ---- Its end -------------------------------------------------------------- */

static bool has_streams(struct io *io)
{
    lock_acquire(&io->lock);
    bool any = io->count > 0;
    lock_release(&io->lock);
    return any;
}

/* Until no stream is left: with patience first, which ends at end_ns, after
 * which io_attend() has none. */
void io_wind_up(struct io *io)
{
    lock_acquire(&io->lock);
    io->end_ns = clock_now(&io->clock) + io->stop_ns;
    lock_release(&io->lock);
    io->ending = true;
    io_abandon(io, 0);
    bool hurried = false;
    while (has_streams(io)) {
        turn(io, 100);
        if (!hurried && clock_now(&io->clock) >= io->end_ns) {
            hurried = true;
            io_abandon(io, 0);
        }
    }
}

static bool told_to_stop(struct io *io)
{
    lock_acquire(&io->lock);
    bool stopping = io->stopping;
    lock_release(&io->lock);
    return stopping;
}

void *io_run(void *argument)
{
    struct io *io = argument;
    while (!told_to_stop(io))
        turn(io, 60000);
    io_wind_up(io);
    return NULL;
}

bool io_step(struct io *io, unsigned wait_ms)
{
    lock_acquire(&io->lock);
    bool idle = !io->started || io->count == 0;
    lock_release(&io->lock);
    return !idle && turn(io, wait_ms);
}

void io_let_all_go(struct io *io)
{
    do {
        while (io->ready != NULL)
            io_stream_unref(next_ready(io));
    } while (take_asked(io));
}
