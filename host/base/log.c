/*
 * log.c -- see log.h.
 */
#include "base/log.h"

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

static void write_to_stderr(void *context, enum log_level level, const char *line);

static struct lock   lock = {PTHREAD_MUTEX_INITIALIZER};
static log_sink     *current_sink = write_to_stderr; /* guarded by lock */
static void         *current_context;                /* guarded by lock */
static _Atomic int   lowest = LOG_INFO;

void log_set_sink(log_sink *sink, void *context)
{
    lock_acquire(&lock);
    current_sink = sink != NULL ? sink : write_to_stderr;
    current_context = context;
    lock_release(&lock);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&lowest, memory_order_relaxed);
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

static void write_to_stderr(void *context, enum log_level level, const char *line)
{
    (void)context;
    static const char *const names[] = {"debug", "info ", "warn ", "error"};
    struct timespec now;
    struct tm local;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);

    char head[64];
    size_t size = strftime(head, sizeof head, "%Y-%m-%d %H:%M:%S", &local);
    int more = snprintf(head + size, sizeof head - size, ".%03ld %s ", now.tv_nsec / 1000000,
                        names[level]);
    char told[64] = "";
    if (lost_untold > 0)
        snprintf(told, sizeof told, "log: %llu lines could not be written\n",
                 (unsigned long long)lost_untold);
    const struct iovec parts[] = {
        {.iov_base = told, .iov_len = strlen(told)},
        {.iov_base = head, .iov_len = size + (size_t)more},
        {.iov_base = (char *)(uintptr_t)line, .iov_len = strlen(line)},
        {.iov_base = "\n", .iov_len = 1},
    };
    if (write_quietly(parts, ARRAY_LENGTH(parts))) {
        lost_untold = 0;
    } else {
        lost_untold++;
        atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
    }
}

/* ---- Building a line --------------------------------------------------- */

/* How many bytes at `text` are one control character: in ASCII one, in the
 * upper half of Latin-1 (0x9B alone begins a terminal command) two. */
static size_t control_size(const unsigned char *text)
{
    if (text[0] < 0x20 || text[0] == 0x7F)
        return 1;
    if (text[0] == 0xC2 && text[1] >= 0x80 && text[1] <= 0x9F)
        return 2;
    return 0;
}

/* The largest part of `line[0..size]` that ends with a whole UTF-8 character. */
static size_t whole_characters(const char *line, size_t size)
{
    size_t start = size;
    while (start > 0 && size - start < 4 && ((unsigned char)line[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0 || (unsigned char)line[start - 1] < 0xC0)
        return size;
    unsigned char lead = (unsigned char)line[start - 1];
    size_t wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    return size - (start - 1) < wanted ? start - 1 : size;
}

/* Copies `text` to `line`, which has room for `limit` bytes and a NUL. What is
 * cut off leaves "..." behind. */
static void escape(char *line, size_t limit, const char *text, bool keep_newlines)
{
    static const char mark[] = "...";
    static const char digits[] = "0123456789abcdef";
    const unsigned char *from = (const unsigned char *)text;
    size_t size = 0;
    size_t cut = 0; /* the longest line so far that leaves room for the mark */

    while (*from != '\0') {
        char piece[8];
        size_t length = 0;
        size_t eaten = control_size(from);
        if (*from == '\n') {
            if (!keep_newlines)
                piece[length++] = '\\';
            piece[length++] = keep_newlines ? '\n' : 'n';
        } else if (eaten == 0) {
            piece[length++] = (char)*from;
            eaten = 1;
        } else {
            for (size_t i = 0; i < eaten; i++) {
                piece[length++] = '\\';
                piece[length++] = 'x';
                piece[length++] = digits[from[i] >> 4];
                piece[length++] = digits[from[i] & 15];
            }
        }
        if (size + length > limit) {
            size = whole_characters(line, cut);
            memcpy(line + size, mark, sizeof mark - 1);
            size += sizeof mark - 1;
            break;
        }
        memcpy(line + size, piece, length);
        size += length;
        if (size <= limit - (sizeof mark - 1))
            cut = size;
        from += eaten;
    }
    line[size] = '\0';
}

static void hand_to_sink(enum log_level level, const char *line)
{
    lock_acquire(&lock);
    current_sink(current_context, level, line);
    lock_release(&lock);
}

void log_write(enum log_level level, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    int saved = errno;
    char text[LOG_LINE_LIMIT + 2]; /* one byte too many shows that it was cut */
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0)
        snprintf(text, sizeof text, "%s", format);

    char line[LOG_LINE_LIMIT + 1];
    escape(line, LOG_LINE_LIMIT, text, false);
    hand_to_sink(level, line);
    errno = saved;
}

void log_block(enum log_level level, const char *text)
{
    if (!log_enabled(level))
        return;
    int saved = errno;
    char  fallback[LOG_LINE_LIMIT + 1];
    char *lines = memory_get(LOG_BLOCK_LIMIT + 1);
    escape(lines != NULL ? lines : fallback, lines != NULL ? LOG_BLOCK_LIMIT : LOG_LINE_LIMIT,
           text, true);

    char *shown = lines != NULL ? lines : fallback;
    size_t size = strlen(shown);
    if (size > 0 && shown[size - 1] == '\n')
        shown[size - 1] = '\0';
    hand_to_sink(level, shown);
    memory_put(lines, LOG_BLOCK_LIMIT + 1);
    errno = saved;
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
