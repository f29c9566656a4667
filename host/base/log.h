/*
 * log.h -- levelled log lines to one replaceable sink, and the last of them kept.
 *
 * Process-wide; any thread. A line is built whole before the sink sees it, so
 * lines never mix. Control characters in it are escaped (a name off the wire
 * cannot forge a line) and it is cut at LOG_LINE_LIMIT bytes.
 *
 * A line may say whom it is about, and carry fields: people see them in its text,
 * machines (log_form(), base/log_recent.h) each under a name of its own.
 */
#ifndef TROUPE_BASE_LOG_H
#define TROUPE_BASE_LOG_H

#include "base/base.h"

#include <stdarg.h>
#include <stdatomic.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
/* "debug", "info", "warn", "error"; and back: -1 if it is none. */
const char *log_level_name(enum log_level level);
int         log_find_level(const char *name);

#define LOG_LINE_LIMIT  4096
#define LOG_BLOCK_LIMIT (16 * LOG_LINE_LIMIT)

/* Gets one line without its newline (from log_block(), several with newlines
 * between). Called under the log's own lock: it must not log. */
typedef void log_sink(void *context, enum log_level level, const char *line);

/* Replaces the sink; NULL restores the default, which writes to stderr as
 * log_set_form() says. */
void log_set_sink(log_sink *sink, void *context);

/* LOG_TEXT, as at first: "2026-11-20 17:18:46.123 warn  text". LOG_JSON: one object a
 * line, a block too: log_write_json(). Of the default sink. */
enum log_form { LOG_TEXT, LOG_JSON };
void log_set_form(enum log_form form);

/* Lines below this level are dropped; LOG_INFO at first. */
void log_set_level(enum log_level level);
enum log_level log_level(void);

/* Whether a line of this level is written: for one that is dear to build. */
bool log_enabled(enum log_level level);

/* What somebody has a level of his own for: LOG_AS_ALL, or 1 + enum log_level. */
#define LOG_AS_ALL 0
bool log_enabled_for(unsigned own_level, enum log_level level);

/* Whom a line is about; all borrowed for the call. */
struct log_subject {
    const char *actor;   /* NULL: nobody */
    const char *script;  /* its file; NULL: it runs none, or that is not known here */
    const char *version; /* that it says it is; NULL: it says none */
    unsigned own_level;  /* LOG_AS_ALL, or 1 + the lowest that is written of it */
};

/* How the subject shows in the text of a line. */
enum log_head {
    LOG_HEAD_NONE,   /* not at all: the text names it itself */
    LOG_HEAD_ACTOR,  /* "pong: text": the host says something of it */
    LOG_HEAD_SCRIPT, /* "pong (pong.lua): text": it says something itself */
};

struct log_line {
    enum log_level level;
    uint64_t    time_ms;     /* since 1970; 0: now */
    struct log_subject about;
    enum log_head head;
    const char *text;        /* as it is: it is escaped when it is written */
    const char *fields;      /* one JSON object; NULL: none */
    const char *shown;       /* the same for people, with a space in front; NULL: nothing */
    bool        block;       /* its newlines are kept, and only LOG_BLOCK_LIMIT cuts it */
};

/* Writes the line, unless it is below the level. Leaves errno as it was. */
void log_put(const struct log_line *line);

/* Writes one JSON object with its NUL to `to`, cutting the text if `room` (LOG_JSON_LEAST
 * and the fields, at least) is too small; returns its length. The keys are always there:
 *     {"v": 1, "time": "2026-11-20T17:18:46.123Z", "level": "warn", "actor": "pong" or null,
 *      "script": "pong.lua" or null, "version": "2" or null, "text": "...", "fields": {...}} */
#define LOG_JSON_LEAST 6000
size_t log_write_json(const struct log_line *line, char *to, size_t room);

/* Leaves errno as it was, so that a line may be written before it is read. */
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* The same about somebody, whose name goes before the text (LOG_HEAD_ACTOR). */
void log_about(enum log_level level, const struct log_subject *about, const char *format, ...)
    PRINTF_LIKE(3, 4);
void log_about_list(enum log_level level, const struct log_subject *about, const char *format,
                    va_list arguments) PRINTF_LIKE(3, 0);

/* Writes several lines as one, newlines kept: an error report. Cut at
 * LOG_BLOCK_LIMIT bytes, or at LOG_LINE_LIMIT when there is no memory. `about` may be NULL. */
void log_block(enum log_level level, const struct log_subject *about, const char *text);

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
