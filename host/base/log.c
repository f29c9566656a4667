/*
 * log.c -- see log.h.
 */
#include "base/log_room.h"

#include "base/memory.h"
#include "base/thread.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void write_text(void *context, enum log_level level, const char *line);

static struct lock   lock = {PTHREAD_MUTEX_INITIALIZER};
static log_sink     *current_sink = write_text; /* guarded by lock */
static void         *current_context;           /* guarded by lock */
static enum log_form form = LOG_TEXT;           /* guarded by lock */
static _Atomic int   lowest = LOG_INFO;

static const char *const level_names[] = { "debug", "info", "warn", "error" };

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

int log_find_level(const char *name)
{
    for (int i = 0; i < (int)ARRAY_LENGTH(level_names); i++)
        if (strcmp(level_names[i], name) == 0)
            return i;
    return -1;
}

void log_set_sink(log_sink *sink, void *context)
{
    lock_acquire(&lock);
    current_sink = sink != NULL ? sink : write_text;
    current_context = context;
    lock_release(&lock);
}

void log_set_form(enum log_form wanted)
{
    lock_acquire(&lock);
    form = wanted;
    lock_release(&lock);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

enum log_level log_level(void)
{
    return (enum log_level)atomic_load_explicit(&lowest, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return level >= log_level();
}

bool log_enabled_for(unsigned own_level, enum log_level level)
{
    return own_level == LOG_AS_ALL ? log_enabled(level) : (unsigned)level + 1 >= own_level;
}

/* ---- The default sink -------------------------------------------------- */

#define PATIENCE_MS 1000 /* with somebody who reads our lines and is slow; then he has stopped */

static _Atomic uint64_t lost;
static uint64_t         lost_untold; /* guarded by lock, as is: */
static bool             blocked;     /* nobody has read the last time */

uint64_t log_lost(void)
{
    return atomic_load_explicit(&lost, memory_order_relaxed);
}

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS;
}

/* Whether stderr takes anything: a pipe that nobody reads costs lines, and not
 * the threads that write them. */
static bool is_writable(void)
{
    struct pollfd output = { .fd = STDERR_FILENO, .events = POLLOUT };
    int ready;
    do
        ready = poll(&output, 1, blocked ? 0 : PATIENCE_MS);
    while (ready < 0 && errno == EINTR);
    blocked = ready == 0;
    return !blocked;
}

/* One system call, so that lines of several processes do not mix either. False:
 * not all of it was written. */
static bool write_quietly(const struct iovec *parts, int count)
{
    if (!is_writable())
        return false;
    sigset_t pipe_signal, before, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    sigpending(&pending);

    ssize_t written;
    do
        written = writev(STDERR_FILENO, parts, count);
    while (written < 0 && errno == EINTR);

    /* The SIGPIPE we raised just now must not wait behind the mask. */
    if (written < 0 && errno == EPIPE && !sigismember(&pending, SIGPIPE)) {
        const struct timespec no_time = {0};
        while (sigtimedwait(&pipe_signal, NULL, &no_time) < 0 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    return written == (ssize_t)size;
}

/* The parts of a line, the first of which is left for what was lost before. */
static void write_parts_locked(struct iovec *parts, int count, bool json)
{
    char text[64], told[400] = "";
    snprintf(text, sizeof text, "log: %llu lines could not be written",
             (unsigned long long)lost_untold);
    const struct log_line line = { .level = LOG_WARN, .time_ms = wall_ms(), .text = text };
    if (lost_untold > 0 && json)
        memcpy(told + log_write_json(&line, told, sizeof told - 1), "\n", 2);
    else if (lost_untold > 0)
        snprintf(told, sizeof told, "%s\n", text);
    parts[0] = (struct iovec){ .iov_base = told, .iov_len = strlen(told) };
    if (write_quietly(parts, count)) {
        lost_untold = 0;
    } else {
        lost_untold++;
        atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
    }
}

static struct iovec part(const char *text, size_t size)
{
    return (struct iovec){ .iov_base = (char *)(uintptr_t)text, .iov_len = size };
}

static void write_text_at(uint64_t time_ms, enum log_level level, const char *line)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm local;
    localtime_r(&seconds, &local);

    char head[64];
    size_t size = strftime(head, sizeof head, "%Y-%m-%d %H:%M:%S", &local);
    int more = snprintf(head + size, sizeof head - size, ".%03u %-5s ", (unsigned)(time_ms % 1000),
                        log_level_name(level));
    struct iovec parts[] = { { 0 }, part(head, size + (size_t)more), part(line, strlen(line)),
                             part("\n", 1) };
    write_parts_locked(parts, ARRAY_LENGTH(parts), false);
}

static void write_text(void *context, enum log_level level, const char *line)
{
    (void)context;
    write_text_at(wall_ms(), level, line);
}

static void write_json_locked(const struct log_line *line)
{
    static char object[2 * LOG_BLOCK_LIMIT]; /* guarded by lock; touched when it is needed */
    size_t size = log_write_json(line, object, sizeof object);
    struct iovec parts[] = { { 0 }, part(object, size), part("\n", 1) };
    write_parts_locked(parts, ARRAY_LENGTH(parts), true);
}

/* ---- Building a line --------------------------------------------------- */

/* To the sink, which gets the text form unless it is ours and writes the other. */
static void hand_to_sink(const struct log_line *line, const char *text)
{
    lock_acquire(&lock);
    if (current_sink != write_text)
        current_sink(current_context, line->level, text);
    else if (form == LOG_JSON)
        write_json_locked(line);
    else
        write_text_at(line->time_ms, line->level, text);
    lock_release(&lock);
}

static void put_line(const struct log_line *line)
{
    char raw[LOG_LINE_LIMIT + 2]; /* one byte too many shows that it was cut */
    char text[LOG_LINE_LIMIT + 1];
    log_compose(raw, sizeof raw, line);
    log_escape(text, LOG_LINE_LIMIT, raw, false);
    hand_to_sink(line, text);
}

static void put_block(const struct log_line *line)
{
    char  fallback[LOG_LINE_LIMIT + 1];
    char *lines = memory_get(LOG_BLOCK_LIMIT + 1);
    char *shown = lines != NULL ? lines : fallback;
    log_escape(shown, lines != NULL ? LOG_BLOCK_LIMIT : LOG_LINE_LIMIT, line->text, true);
    size_t size = strlen(shown);
    if (size > 0 && shown[size - 1] == '\n')
        shown[size - 1] = '\0';
    hand_to_sink(line, shown);
    memory_put(lines, LOG_BLOCK_LIMIT + 1);
}

void log_put(const struct log_line *given)
{
    if (!log_enabled_for(given->about.own_level, given->level))
        return;
    int saved = errno;
    struct log_line line = *given;
    char cut[LOG_LINE_LIMIT + 1];
    if (line.time_ms == 0)
        line.time_ms = wall_ms();
    if (!line.block && strnlen(line.text, LOG_LINE_LIMIT + 1) > LOG_LINE_LIMIT) {
        log_cut(cut, LOG_LINE_LIMIT, line.text);
        line.text = cut;
    }
    log_recent_keep(&line);
    if (line.block)
        put_block(&line);
    else
        put_line(&line);
    errno = saved;
}

static void put_formatted(struct log_line *line, const char *format, va_list arguments)
{
    if (!log_enabled_for(line->about.own_level, line->level))
        return;
    int saved = errno;
    char text[LOG_LINE_LIMIT + 2];
    line->text = vsnprintf(text, sizeof text, format, arguments) < 0 ? format : text;
    log_put(line);
    errno = saved;
}

void log_write(enum log_level level, const char *format, ...)
{
    struct log_line line = { .level = level };
    va_list arguments;
    va_start(arguments, format);
    put_formatted(&line, format, arguments);
    va_end(arguments);
}

void log_about_list(enum log_level level, const struct log_subject *about, const char *format,
                    va_list arguments)
{
    struct log_line line = { .level = level, .about = *about, .head = LOG_HEAD_ACTOR };
    put_formatted(&line, format, arguments);
}

void log_about(enum log_level level, const struct log_subject *about, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_about_list(level, about, format, arguments);
    va_end(arguments);
}

void log_block(enum log_level level, const struct log_subject *about, const char *text)
{
    struct log_line line = { .level = level, .text = text, .block = true };
    if (about != NULL)
        line.about = *about;
    log_put(&line);
}

bool log_allowed(struct log_limit *limit)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    uint64_t second = (uint64_t)now.tv_sec + 1; /* never the 0 it starts with */
    uint64_t before = atomic_load_explicit(&limit->second, memory_order_relaxed);

    /* Two threads at the edge of a second may let a few lines more through. */
    if (before != second &&
        atomic_compare_exchange_strong_explicit(&limit->second, &before, second,
                                                memory_order_relaxed, memory_order_relaxed)) {
        unsigned asked = atomic_exchange_explicit(&limit->count, 0, memory_order_relaxed);
        if (asked > limit->burst)
            log_warn("log: %u lines like the next one were left out", asked - limit->burst);
    }
    return atomic_fetch_add_explicit(&limit->count, 1, memory_order_relaxed) < limit->burst;
}
