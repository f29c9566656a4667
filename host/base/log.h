/*
 * log.h -- levelled log lines to one replaceable sink.
 *
 * Process-wide; any thread. A line is built whole before the sink sees it, so
 * lines never mix. Control characters in it are escaped (a name off the wire
 * cannot forge a line) and it is cut at LOG_LINE_LIMIT bytes.
 */
#ifndef TROUPE_BASE_LOG_H
#define TROUPE_BASE_LOG_H

#include "base/base.h"

#include <stdatomic.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

#define LOG_LINE_LIMIT  4096
#define LOG_BLOCK_LIMIT (16 * LOG_LINE_LIMIT)

/* Gets one line without its newline (from log_block(), several with newlines
 * between). Called under the log's own lock: it must not log. */
typedef void log_sink(void *context, enum log_level level, const char *line);

/* Replaces the sink; NULL restores the default, which writes
 * "2026-11-20 17:18:46.123 warn  text" to stderr. */
void log_set_sink(log_sink *sink, void *context);

/* Lines below this level are dropped; LOG_INFO at first. */
void log_set_level(enum log_level level);

/* Whether a line of this level is written: for one that is dear to build. */
bool log_enabled(enum log_level level);

/* Leaves errno as it was, so that a line may be written before it is read. */
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* Writes several lines as one, newlines kept: an error report. Cut at
 * LOG_BLOCK_LIMIT bytes, or at LOG_LINE_LIMIT when there is no memory. */
void log_block(enum log_level level, const char *text);

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

/* Lines that could not be written: the disk is full, or who reads them has stopped
 * reading. (Once it can be written again, a line says how many.) Any thread. */
uint64_t log_lost(void);

/* At most `burst` lines a second for one place in the code. What is left out is
 * counted, and said in a line of its own before the next that is let through:
 *     static struct log_limit limit = LOG_LIMIT(5);
 *     if (log_allowed(&limit))
 *         log_warn(...);
 * Any thread. */
struct log_limit {
    unsigned         burst;  /* allowed a second */
    _Atomic uint64_t second; /* which second the count belongs to; 0 at first */
    _Atomic unsigned count;  /* asked for in that second, allowed or not */
};
#define LOG_LIMIT(n) { .burst = (n) }
bool log_allowed(struct log_limit *limit);

#endif
