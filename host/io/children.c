/*
 * children.c -- see children.h: one round of the family's loop after the other.
 */
#include "io/children_room.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* One process that sends a wish twice within this time has one: timeout(1) does so. */
#define ONE_WISH_NS (100 * NS_PER_MS)
#define FLUSH_MS    500 /* at the end, for a reader that stands still */

static struct children *family; /* there is one in a process */

static uint64_t now_ns(void)
{
    static struct clock clock;
    return clock_now(&clock);
}

/* ---- Its beginning and end -------------------------------------------------- */

static sigset_t family_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    return signals;
}

static int open_signals(struct children *children)
{
    sigset_t signals = family_signals();
    struct sigaction standard = { .sa_handler = SIG_DFL };
    sigaction(SIGCHLD, &standard, NULL); /* ignored, there would be nothing to wait for */
    children->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (children->signals < 0)
        return -errno;
    return -pthread_sigmask(SIG_BLOCK, &signals, &children->mask_before);
}

int children_open(struct children **out)
{
    if (family != NULL)
        return -EBUSY;
    struct children *children = memory_get_zeroed(sizeof *children);
    if (children == NULL)
        return -ENOMEM;
    int error = open_signals(children);
    if (error != 0) {
        memory_put(children, sizeof *children);
        return error;
    }
    children->notes[0] = children->notes[1] = -1;
    outlet_open(&children->outlets[CHILDREN_OUT], STDOUT_FILENO);
    outlet_open(&children->outlets[CHILDREN_ERR], STDERR_FILENO);
    bool is_one = outlet_is_same(STDOUT_FILENO, STDERR_FILENO);
    children->outlet_of[CHILDREN_OUT] = &children->outlets[CHILDREN_OUT];
    children->outlet_of[CHILDREN_ERR] = &children->outlets[is_one ? CHILDREN_OUT : CHILDREN_ERR];
    children->had_terminal = children->outlets[0].is_terminal || children->outlets[1].is_terminal ||
                             isatty(STDIN_FILENO) == 1;
    family = *out = children;
    return 0;
}

static void flush_for_good(struct outlet *outlet, uint64_t until_ns)
{
    for (outlet_flush(outlet); outlet_kept(outlet) > 0; outlet_flush(outlet)) {
        uint64_t at_ns = now_ns();
        struct pollfd file = { .fd = outlet->descriptor, .events = POLLOUT };
        if (at_ns >= until_ns)
            break;
        poll(&file, 1, (int)((until_ns - at_ns) / NS_PER_MS) + 1);
    }
    outlet_close(outlet);
}

static void free_child(struct child *child)
{
    if (child->pid > 0) {
        kill(-child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
    }
    if (child->input >= 0)
        close(child->input);
    memory_put(child->text, child->text_size);
    for (int i = 0; i < CHILDREN_STREAMS; i++)
        children_stream_close(&child->streams[i]);
    memory_put(child, sizeof *child);
}

void children_close(struct children *children)
{
    if (children == NULL)
        return;
    while (children->list != NULL) {
        struct child *child = children->list;
        children->list = child->next;
        free_child(child);
    }
    children_unwatch(children);
    uint64_t until_ns = now_ns() + FLUSH_MS * NS_PER_MS;
    flush_for_good(&children->outlets[CHILDREN_OUT], until_ns);
    flush_for_good(&children->outlets[CHILDREN_ERR], until_ns);
    close(children->signals);
    pthread_sigmask(SIG_SETMASK, &children->mask_before, NULL);
    memory_put(children->polled, children->polled_room * sizeof *children->polled);
    memory_put(children, sizeof *children);
    family = NULL;
}

/* ---- Children --------------------------------------------------------------- */

static struct child *find(const struct children *children, unsigned id)
{
    struct child *child = children->list;
    while (child != NULL && child->id != id)
        child = child->next;
    return child;
}

static void append(struct children *children, struct child *child)
{
    struct child **link = &children->list;
    while (*link != NULL)
        link = &(*link)->next;
    *link = child;
    children->count++;
}

static void discard(struct children *children, struct child *child)
{
    struct child **link = &children->list;
    while (*link != child)
        link = &(*link)->next;
    *link = child->next;
    if (children->turn == child)
        children->turn = child->next;
    children->count--;
    free_child(child);
}

static bool make_poll_room(struct children *children, size_t count)
{
    if (count <= children->polled_room)
        return true;
    struct pollfd *polled = memory_resize(children->polled,
                                          children->polled_room * sizeof *polled,
                                          2 * count * sizeof *polled);
    if (polled == NULL)
        return false;
    children->polled = polled;
    children->polled_room = 2 * count;
    return true;
}

int children_spawn(struct children *children, const struct children_request *request, unsigned *id,
                   pid_t *pid)
{
    struct child *child = memory_get_zeroed(sizeof *child);
    char *text = request->input_size > 0 ? memory_get(request->input_size) : NULL;
    bool has_room = make_poll_room(children, 8 + (children->count + 1) * (1 + CHILDREN_STREAMS));
    int error = child == NULL || (text == NULL && request->input_size > 0) || !has_room ? -ENOMEM : 0;
    if (error == 0)
        error = children_start(child, request);
    if (error != 0) {
        memory_put(text, request->input_size);
        memory_put(child, sizeof *child);
        return error;
    }
    if (text != NULL)
        memcpy(text, request->input, request->input_size);
    child->text = text;
    child->text_size = request->input_size;
    child->id = *id = ++children->last_id;
    *pid = child->pid;
    append(children, child);
    children_feed(child);
    return 0;
}

bool children_kill(struct children *children, unsigned id, int signal)
{
    struct child *child = find(children, id);
    if (child == NULL || child->pid <= 0)
        return false;
    return kill(signal == SIGKILL ? -child->pid : child->pid, signal) == 0;
}

void children_write(struct children *children, enum children_stream stream, const char *text,
                    size_t size)
{
    outlet_put(children->outlet_of[stream], text, size);
}

/* ---- What is already known -------------------------------------------------- */

/* Whether lines of this stream have somewhere to go. */
static bool is_wanted(const struct children *children, enum children_stream stream)
{
    return stream == CHILDREN_STATUS || !outlet_is_full(children->outlet_of[stream]);
}

static bool take_line_of(struct children *children, struct child *child,
                         struct children_event *event)
{
    for (enum children_stream i = 0; i < CHILDREN_STREAMS; i++) {
        struct child_stream *stream = &child->streams[i];
        if (!is_wanted(children, i) || !children_stream_line(stream, &event->text, &event->size))
            continue;
        event->news = CHILDREN_LINE;
        event->stream = i;
        event->child = child->id;
        return true;
    }
    return false;
}

/* One line of a child, then of the next. */
static bool take_line(struct children *children, struct children_event *event)
{
    for (unsigned i = 0; i <= children->count; i++) {
        struct child *child = children->turn != NULL ? children->turn : children->list;
        if (child == NULL)
            return false;
        if (take_line_of(children, child, event)) {
            children->turn = child->next;
            return true;
        }
        children->turn = child->next;
    }
    return false;
}

static bool is_read_out(const struct child *child)
{
    for (int i = 0; i < CHILDREN_STREAMS; i++)
        if (child->streams[i].descriptor >= 0)
            return false;
    return true;
}

/* Its last lines were told before, or cannot be for now. */
static bool may_tell_exit(const struct children *children, const struct child *child)
{
    return is_read_out(child) || !is_wanted(children, CHILDREN_OUT) ||
           !is_wanted(children, CHILDREN_ERR);
}

static bool take_exit(struct children *children, struct children_event *event)
{
    for (struct child *child = children->list, *next; child != NULL; child = next) {
        next = child->next;
        bool tells = child->exited && !child->told && may_tell_exit(children, child);
        if (tells) {
            event->news = CHILDREN_EXIT;
            event->child = child->id;
            event->number = child->number;
            event->signalled = child->signalled;
            child->told = true;
        }
        bool has_lines = child->streams[CHILDREN_OUT].data.size > child->streams[CHILDREN_OUT].begin ||
                         child->streams[CHILDREN_ERR].data.size > child->streams[CHILDREN_ERR].begin;
        if (child->told && is_read_out(child) && !has_lines)
            discard(children, child);
        if (tells)
            return true;
    }
    return false;
}

static bool take_outlet_news(struct children *children, struct children_event *event)
{
    for (enum children_stream i = CHILDREN_OUT; i <= CHILDREN_ERR; i++) {
        const struct outlet *outlet = children->outlet_of[i];
        bool is_gone = outlet->gone && !children->gone_told[i];
        bool is_lost = outlet->error != 0 && !children->lost_told[i];
        if (!is_gone && !is_lost)
            continue;
        event->news = is_gone ? CHILDREN_GONE : CHILDREN_LOST;
        event->stream = i;
        event->number = outlet->error;
        *(is_gone ? &children->gone_told[i] : &children->lost_told[i]) = true;
        return true;
    }
    return false;
}

/* ---- Signals ---------------------------------------------------------------- */

/* What poll() says of a terminal that nobody sits at any more. */
static bool terminal_has_gone(const struct children *children)
{
    for (int i = 0; i <= STDERR_FILENO && children->had_terminal; i++) {
        struct pollfd file = { .fd = i };
        if (poll(&file, 1, 0) == 1 && (file.revents & POLLHUP) != 0 && isatty(i) == 0 && errno == EIO)
            return true;
    }
    return false;
}

static bool is_same_wish(struct children *children, const struct signalfd_siginfo *info)
{
    uint64_t at_ns = now_ns();
    bool is_same = info->ssi_pid != 0 && (pid_t)info->ssi_pid == children->wisher &&
                   (int)info->ssi_signo == children->wish && at_ns - children->wished_ns < ONE_WISH_NS;
    children->wisher = (pid_t)info->ssi_pid;
    children->wish = (int)info->ssi_signo;
    children->wished_ns = at_ns;
    return is_same;
}

static void look_at_children(struct children *children)
{
    for (struct child *child = children->list; child != NULL; child = child->next)
        children_look(child);
}

static bool take_signal(struct children *children, struct children_event *event)
{
    struct signalfd_siginfo info;
    while (read(children->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            look_at_children(children);
            continue;
        }
        if (info.ssi_signo == SIGHUP && terminal_has_gone(children)) {
            if (children->hung_up)
                continue;
            children->hung_up = true;
            event->news = CHILDREN_HANGUP;
            return true;
        }
        if (info.ssi_signo != SIGHUP && is_same_wish(children, &info))
            continue;
        event->news = CHILDREN_SIGNAL;
        event->number = (int)info.ssi_signo;
        return true;
    }
    return false;
}

/* ---- One round -------------------------------------------------------------- */

static struct pollfd *ask(struct children *children, size_t *count, int descriptor, int events)
{
    struct pollfd *file = &children->polled[(*count)++];
    *file = (struct pollfd){ .fd = descriptor, .events = (short)events };
    return file;
}

static size_t ask_of_children(struct children *children, size_t count)
{
    for (struct child *child = children->list; child != NULL; child = child->next) {
        ask(children, &count, child->input, POLLOUT);
        for (enum children_stream i = 0; i < CHILDREN_STREAMS; i++)
            ask(children, &count, is_wanted(children, i) ? child->streams[i].descriptor : -1, POLLIN);
    }
    return count;
}

/* What it has said of its doing is read first, and with it all that it wrote before. */
static void read_child(struct children *children, struct child *child, const struct pollfd *files)
{
    bool has_status = files[CHILDREN_STATUS].revents != 0;
    if (has_status)
        children_stream_read(&child->streams[CHILDREN_STATUS]);
    for (enum children_stream i = 0; i < CHILDREN_STATUS; i++) {
        bool is_open = child->streams[i].descriptor >= 0;
        if (files[i].revents != 0 || (has_status && is_open && is_wanted(children, i)))
            children_stream_read(&child->streams[i]);
    }
}

static void attend_to_children(struct children *children, const struct pollfd *file)
{
    for (struct child *child = children->list; child != NULL; child = child->next) {
        if ((file++)->revents != 0)
            children_feed(child);
        read_child(children, child, file);
        file += CHILDREN_STREAMS;
    }
}

/* An outlet is watched also when nothing waits for it: for its reader's end. */
static void ask_of_outlet(struct children *children, size_t *count, struct outlet *outlet)
{
    ask(children, count, outlet->gone || outlet->kind == OUTLET_PLAIN ? -1 : outlet->descriptor,
        outlet_kept(outlet) > 0 ? POLLOUT : 0);
}

static void attend_to_outlet(struct outlet *outlet, const struct pollfd *file)
{
    if ((file->revents & POLLOUT) != 0)
        outlet_flush(outlet);
    if ((file->revents & (POLLERR | POLLHUP)) != 0)
        outlet->gone = true;
}

static int patience_ms(uint64_t deadline_ns)
{
    uint64_t at_ns = now_ns();
    if (deadline_ns <= at_ns)
        return 0;
    uint64_t left_ms = (deadline_ns - at_ns) / NS_PER_MS + 1;
    return left_ms < 3600 * 1000 ? (int)left_ms : 3600 * 1000;
}

/* An ended child's streams are read until they are empty, whatever poll() says. */
static void read_out(struct children *children)
{
    for (struct child *child = children->list; child != NULL; child = child->next)
        for (enum children_stream i = 0; i < CHILDREN_STREAMS && child->exited; i++)
            if (child->streams[i].descriptor >= 0 && is_wanted(children, i))
                children_stream_read(&child->streams[i]);
}

static bool is_reading_out(const struct children *children)
{
    for (const struct child *child = children->list; child != NULL; child = child->next)
        for (enum children_stream i = 0; i < CHILDREN_STREAMS && child->exited; i++)
            if (child->streams[i].descriptor >= 0 && is_wanted(children, i))
                return true;
    return false;
}

/* Waits for something; true: it is the event. */
static bool wait_round(struct children *children, uint64_t deadline_ns, int descriptor,
                       struct children_event *event)
{
    size_t count = 0;
    int timeout_ms = is_reading_out(children) ? 0 : patience_ms(deadline_ns);
    ask(children, &count, children->signals, POLLIN);
    ask(children, &count, children->notes[0], POLLIN);
    ask(children, &count, descriptor, POLLIN);
    ask_of_outlet(children, &count, &children->outlets[CHILDREN_OUT]);
    ask_of_outlet(children, &count, &children->outlets[CHILDREN_ERR]);
    size_t first = count;
    count = ask_of_children(children, count);
    if (poll(children->polled, count, timeout_ms) > 0) {
        attend_to_outlet(&children->outlets[CHILDREN_OUT], &children->polled[3]);
        attend_to_outlet(&children->outlets[CHILDREN_ERR], &children->polled[4]);
        attend_to_children(children, &children->polled[first]);
        if (children->polled[0].revents != 0 && take_signal(children, event))
            return true;
        if (children->polled[1].revents != 0 && children_take_note(children, event))
            return true;
        if (children->polled[2].revents != 0) {
            event->news = CHILDREN_READY;
            return true;
        }
    }
    read_out(children);
    return false;
}

void children_next(struct children *children, uint64_t deadline_ns, int descriptor,
                   struct children_event *event)
{
    *event = (struct children_event){ .news = CHILDREN_NOTHING };
    for (bool is_late = false;;) {
        if (take_line(children, event) || take_exit(children, event) ||
            take_outlet_news(children, event))
            return;
        if (is_late)
            return;
        outlet_flush(&children->outlets[CHILDREN_OUT]);
        outlet_flush(&children->outlets[CHILDREN_ERR]);
        if (!make_poll_room(children, 8 + children->count * (1 + CHILDREN_STREAMS))) {
            is_late = true; /* no memory: it is tried again at the next call */
            continue;
        }
        if (wait_round(children, deadline_ns, descriptor, event))
            return;
        is_late = now_ns() >= deadline_ns;
    }
}
