/*
 * test_log.c -- the promises of log.h.
 */
#include "base/fault.h"
#include "base/log.h"
#include "base/log_recent.h"
#include "base/memory.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A sink that remembers the last line. */
static int            lines;
static enum log_level last_level;
static char           last[LOG_BLOCK_LIMIT + 1];

static void remember(void *context, enum log_level level, const char *line)
{
    assert(context == &lines);
    lines++;
    last_level = level;
    assert(strlen(line) < sizeof last);
    strcpy(last, line);
}

/* Lines below the level are dropped, the others reach the sink. */
static void test_levels(void)
{
    assert(!log_enabled(LOG_DEBUG) && log_enabled(LOG_INFO) && log_enabled(LOG_ERROR));
    log_debug("too low");
    assert(lines == 0);
    log_info("%s: %d", "room", 7);
    assert(lines == 1 && last_level == LOG_INFO && strcmp(last, "room: 7") == 0);
    log_set_level(LOG_ERROR);
    log_warn("too low");
    log_block(LOG_WARN, NULL, "too low");
    assert(lines == 1);
    log_error("high enough");
    assert(lines == 2 && last_level == LOG_ERROR);
    log_set_level(LOG_DEBUG);
    assert(log_enabled(LOG_DEBUG));
    log_debug("now it is seen");
    assert(lines == 3 && last_level == LOG_DEBUG);
}

/* No text can forge a line or move the cursor: control characters are shown. */
static void test_escapes(void)
{
    log_info("a\nb\tc\r\x1b[31m\x7f");
    assert(strcmp(last, "a\\nb\\x09c\\x0d\\x1b[31m\\x7f") == 0);
    log_info("%s", "\xC2\x9B" "0m"); /* U+009B begins a terminal command */
    assert(strcmp(last, "\\xc2\\x9b0m") == 0);
    log_info("caf\xC3\xA9 \xE2\x82\xAC \xC2\xA0 \\n"); /* whole characters stay */
    assert(strcmp(last, "caf\xC3\xA9 \xE2\x82\xAC \xC2\xA0 \\n") == 0);
}

/* A block keeps its newlines but for the last one, and nothing else. */
static void test_block(void)
{
    log_block(LOG_ERROR, NULL, "first\n\tsecond\x1b\n");
    assert(strcmp(last, "first\n\\x09second\\x1b") == 0 && last_level == LOG_ERROR);
    log_block(LOG_ERROR, NULL, "");
    assert(strcmp(last, "") == 0);
}

/* A long line is cut at the limit, between characters, and says so. */
static void test_cut(void)
{
    char text[LOG_LINE_LIMIT + 100];
    memset(text, 'x', sizeof text);

    text[LOG_LINE_LIMIT] = '\0';
    log_info("%s", text);
    assert(strcmp(last, text) == 0); /* just fits */

    text[LOG_LINE_LIMIT] = 'x';
    text[LOG_LINE_LIMIT + 1] = '\0';
    log_info("%s", text);
    assert(strlen(last) == LOG_LINE_LIMIT);
    assert(strcmp(last + LOG_LINE_LIMIT - 4, "x...") == 0);

    memset(text, '\x01', sizeof text);
    text[sizeof text - 1] = '\0';
    log_info("%s", text);
    assert(strlen(last) <= LOG_LINE_LIMIT);
    assert(strcmp(last + strlen(last) - 7, "\\x01...") == 0);

    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xE2\x82\xAC", 4);
        log_info("%s", text);
        size_t size = strlen(last);
        assert(size <= LOG_LINE_LIMIT && size > LOG_LINE_LIMIT - 6);
        assert((size - shift - 3) % 3 == 0 && strcmp(last + size - 4, "\xAC...") == 0);
    }
}

/* A block may be far longer than a line, and is cut at its own limit. */
static void test_long_block(void)
{
    static char text[LOG_BLOCK_LIMIT + 100];
    memset(text, 'y', sizeof text);
    text[LOG_BLOCK_LIMIT] = '\0';
    log_block(LOG_ERROR, NULL, text);
    assert(strcmp(last, text) == 0);
    text[LOG_BLOCK_LIMIT] = 'y';
    text[sizeof text - 1] = '\0';
    log_block(LOG_ERROR, NULL, text);
    assert(strlen(last) == LOG_BLOCK_LIMIT);
#ifdef TROUPE_FAULTS
    fault_arm(1); /* without memory it is as long as a line */
    log_block(LOG_ERROR, NULL, text);
    fault_arm(0);
    assert(strlen(last) == LOG_LINE_LIMIT);
#endif
}

/* A place may log so many lines a second; the rest is counted and said later. */
static void test_limit(void)
{
    struct log_limit limit = LOG_LIMIT(5);
    int allowed = 0;
    for (int i = 0; i < 20; i++)
        allowed += log_allowed(&limit);
    assert(allowed >= 5 && allowed <= 10); /* 10 if a second ended meanwhile */

    atomic_store(&limit.second, 1); /* long ago */
    atomic_store(&limit.count, 12);
    lines = 0;
    assert(log_allowed(&limit));
    assert(lines == 1 && last_level == LOG_WARN && strstr(last, " 7 lines") != NULL);

    atomic_store(&limit.second, 1);
    atomic_store(&limit.count, 5); /* none was left out */
    lines = 0;
    assert(log_allowed(&limit) && lines == 0);
}

/* Logging does not disturb the errno it is about to explain. */
static void test_errno(void)
{
    errno = EXDEV;
    log_info("text");
    assert(errno == EXDEV);
}

static void *write_many(void *text)
{
    for (int i = 0; i < 2000; i++)
        log_info("%s", (const char *)text);
    return NULL;
}

static void expect_whole(void *context, enum log_level level, const char *line)
{
    (void)level;
    int *count = context;
    ++*count; /* guarded by the log's own lock */
    assert(strcmp(line, "from one thread") == 0 || strcmp(line, "from another thread") == 0);
}

/* Any thread may log; the sink sees one whole line at a time. */
static void test_threads(void)
{
    int count = 0;
    struct thread one, other;
    log_set_sink(expect_whole, &count);
    assert(thread_start(&one, "one", 0, write_many, "from one thread") == 0);
    assert(thread_start(&other, "other", 0, write_many, "from another thread") == 0);
    thread_join(&one);
    thread_join(&other);
    assert(count == 4000);
    log_set_sink(NULL, NULL);
}

/* The default sink writes time, level and text to stderr in one piece. */
static void test_default_sink(void)
{
    int pipe_ends[2];
    int saved = dup(STDERR_FILENO);
    assert(pipe2(pipe_ends, O_CLOEXEC) == 0);
    assert(dup2(pipe_ends[1], STDERR_FILENO) == STDERR_FILENO);
    log_warn("gateway: cannot listen");
    assert(dup2(saved, STDERR_FILENO) == STDERR_FILENO);

    char text[200];
    ssize_t size = read(pipe_ends[0], text, sizeof text - 1);
    assert(size > 0);
    text[size] = '\0';
    int year, month, day, hour, minute, second, milli, used = 0;
    int fields = sscanf(text, "%4d-%2d-%2d %2d:%2d:%2d.%3d%n", &year, &month, &day, &hour, &minute,
                        &second, &milli, &used);
    assert(fields == 7 && used == 23);
    assert(strcmp(text + used, " warn  gateway: cannot listen\n") == 0);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    close(saved);
}

/* A stderr that is full, closed, or read by nobody is none of the log's business. */
static void test_bad_stderr(void)
{
    int pipe_ends[2];
    int saved = dup(STDERR_FILENO);
    assert(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) == 0);
    assert(dup2(pipe_ends[1], STDERR_FILENO) == STDERR_FILENO);
    for (int i = 0; i < 2000; i++)
        log_warn("until the pipe is full, and longer: %100d", i);

    close(pipe_ends[0]);
    log_warn("nobody reads"); /* SIGPIPE would end us here */
    sigset_t pending;
    sigpending(&pending);
    assert(!sigismember(&pending, SIGPIPE));

    close(STDERR_FILENO);
    log_warn("closed");
    assert(dup2(saved, STDERR_FILENO) == STDERR_FILENO);
    close(pipe_ends[1]);
    close(saved);
}

/* A line about somebody names it first; fields come behind, as people read them. */
static void test_about(void)
{
    const struct log_subject pong = { .actor = "pong", .script = "pong.lua", .version = "2" };
    log_about(LOG_WARN, &pong, "it %s", "ends");
    assert(strcmp(last, "pong: it ends") == 0 && last_level == LOG_WARN);
    const struct log_line line = { .level = LOG_INFO, .about = pong, .head = LOG_HEAD_SCRIPT,
                                   .text = "two\nlines", .fields = "{\"a\": 1}", .shown = " {a=1}" };
    log_put(&line);
    assert(strcmp(last, "pong (pong.lua): two\\nlines {a=1}") == 0);
    log_block(LOG_ERROR, &pong, "report\nof it\n");
    assert(strcmp(last, "report\nof it") == 0);
}

/* Who has a level of its own is asked for that, not for the level of all. */
static void test_own_levels(void)
{
    struct log_subject about = { .actor = "pong", .own_level = 1 + LOG_DEBUG };
    log_set_level(LOG_ERROR);
    lines = 0;
    log_about(LOG_DEBUG, &about, "seen");
    assert(lines == 1);
    about.own_level = LOG_AS_ALL;
    log_about(LOG_WARN, &about, "not seen");
    about.own_level = 1 + LOG_ERROR;
    log_set_level(LOG_DEBUG);
    log_about(LOG_WARN, &about, "not seen");
    assert(lines == 1);
    assert(log_level() == LOG_DEBUG && log_find_level("warn") == LOG_WARN && log_find_level("loud") == -1);
}

/* As JSON a line is one object, whatever is in it; its keys are always there. */
static void test_json(void)
{
    static char text[LOG_BLOCK_LIMIT + 1], json[2 * LOG_BLOCK_LIMIT];
    struct log_line line = { .level = LOG_ERROR, .time_ms = 1000, .text = "a \"b\"\n\xff\x9b\x1b" };
    size_t size = log_write_json(&line, json, sizeof json);
    assert(size == strlen(json));
    assert(strcmp(json, "{\"v\": 1, \"time\": \"1970-01-01T00:00:01.000Z\", \"level\": \"error\", "
                        "\"actor\": null, \"script\": null, \"version\": null, "
                        "\"text\": \"a \\\"b\\\"\\n\\ufffd\\ufffd\\u001b\", \"fields\": {}}") == 0);
    line = (struct log_line){ .level = LOG_DEBUG, .time_ms = 999, .fields = "{\"n\": 1}", .block = true,
                              .text = "one\ntwo\n",
                              .about = { .actor = "p", .script = "s", .version = "v" } };
    log_write_json(&line, json, sizeof json);
    assert(strstr(json, "\"actor\": \"p\", \"script\": \"s\", \"version\": \"v\", \"text\": "
                        "\"one\\ntwo\", \"fields\": {\"n\": 1}}") != NULL);

    memset(text, '\x01', sizeof text - 1); /* grows six times */
    line.text = text;
    size = log_write_json(&line, json, LOG_JSON_LEAST);
    assert(size < LOG_JSON_LEAST && strstr(json, "\\u0001...\", \"fields\": {\"n\": 1}}") != NULL);
}

static void write_to_pipe(int *end, int *saved)
{
    int ends[2];
    *saved = dup(STDERR_FILENO);
    assert(pipe2(ends, O_CLOEXEC) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    close(ends[1]);
    *end = ends[0];
}

/* The default sink writes such objects if it is told to. */
static void test_json_sink(void)
{
    int end, saved;
    char text[1000];
    log_set_form(LOG_JSON);
    write_to_pipe(&end, &saved);
    log_block(LOG_ERROR, NULL, "two\nlines\n");
    assert(dup2(saved, STDERR_FILENO) == STDERR_FILENO);
    ssize_t size = read(end, text, sizeof text - 1);
    assert(size > 0);
    text[size] = '\0';
    assert(strncmp(text, "{\"v\": 1, \"time\": \"", 18) == 0 && strchr(text, '\n') == text + size - 1);
    assert(strstr(text, "\"text\": \"two\\nlines\", \"fields\": {}}\n") != NULL);
    log_set_form(LOG_TEXT);
    close(end);
    close(saved);
}

static unsigned count_recent(struct log_reader *reader, struct bytes *room, char *newest)
{
    struct log_line line;
    unsigned count = 0;
    while (log_recent_read(reader, &line, room)) {
        strcpy(newest, line.text);
        count++;
    }
    return count;
}

/* The last lines are kept, as far as there is room, whatever the sink does with them. */
static void test_recent(void)
{
    static char newest[LOG_BLOCK_LIMIT + 1], big[LOG_BLOCK_LIMIT + 1];
    const struct log_subject pong = { .actor = "pong", .script = "pong.lua" };
    struct log_reader reader = { 0 }, late = { 0 };
    struct log_line line;
    struct bytes room;
    bytes_init(&room, 0);
    log_set_sink(remember, &lines);
    log_info("before anybody keeps them");
    assert(!log_recent_read(&reader, &line, &room));
    assert(log_recent_open() == 0);
    assert(!log_recent_read(&reader, &line, &room));
    log_about(LOG_WARN, &pong, "first\n");
    assert(log_recent_read(&reader, &line, &room));
    assert(strcmp(line.text, "first\n") == 0 && strcmp(line.about.actor, "pong") == 0);
    assert(strcmp(line.about.script, "pong.lua") == 0 && line.about.version == NULL);
    assert(line.level == LOG_WARN && line.fields == NULL && line.time_ms > 0);
    assert(!log_recent_read(&reader, &line, &room) && reader.missed == 0);

    /* Lines of all lengths, many times round: who reads along misses none, and who comes
     * late finds the last ones. */
    memset(big, 'b', sizeof big - 1);
    for (unsigned i = 0; i < 3000; i++) {
        char wanted[LOG_LINE_LIMIT];
        bool block = i % 500 == 499;
        snprintf(wanted, sizeof wanted, "%u %.*s", i, (int)(i * 7919 % 3000), big);
        if (block)
            log_block(LOG_INFO, NULL, big);
        else
            log_info("%s", wanted);
        assert(log_recent_read(&reader, &line, &room));
        assert(strcmp(line.text, block ? big : wanted) == 0 && line.block == block);
        assert(!log_recent_read(&reader, &line, &room) && reader.missed == 0);
    }
    unsigned found = count_recent(&late, &room, newest);
    assert(found > 30 && found < 3000 && late.missed == 0 && strncmp(newest, "bbb", 3) == 0);

    for (unsigned i = 0; i < 1000; i++) /* nobody reads: then some are missed, and counted */
        log_info("%u %.*s", i, 1000, big);
    unsigned left = count_recent(&reader, &room, newest);
    assert(left > 200 && left + reader.missed == 1000 && strncmp(newest, "999 ", 4) == 0);

    log_recent_close();
    assert(!log_recent_read(&reader, &line, &room));
    bytes_fini(&room);
}

int main(void)
{
    size_t before = memory_used();
    log_set_sink(remember, &lines);
    test_levels();
    test_escapes();
    test_block();
    test_about();
    test_own_levels();
    test_json();
    test_cut();
    test_long_block();
    test_limit();
    test_errno();
    test_threads();
    test_default_sink();
    test_json_sink();
    test_recent();
    log_set_sink(NULL, NULL);
    test_bad_stderr();
    assert(memory_used() == before);
    puts("log: ok");
    return 0;
}
