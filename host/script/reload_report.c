/*
 * reload_report.c -- what is said of a reload: as JSON for programs, in one line of
 * the log for people.
 */
#include "script/reload_room.h"

#include "base/log.h"
#include "base/memory.h"
#include "message/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NOTES_LIMIT (64 * 1024) /* bytes of warnings, and of stale handlers */

void reload_report_init(struct reload_report *report, const struct reload_job *job)
{
    *report = (struct reload_report){ .job = job };
    bytes_init(&report->modules, NOTES_LIMIT);
    bytes_init(&report->warnings, NOTES_LIMIT);
    bytes_init(&report->stale, NOTES_LIMIT);
}

static void drop_rows(struct reload_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        source_unref(report->rows[i].from);
        source_unref(report->rows[i].to);
    }
    if (report->rows != NULL)
        memory_put(report->rows, report->count * sizeof *report->rows);
    report->rows = NULL;
    report->count = 0;
}

void reload_report_fini(struct reload_report *report)
{
    drop_rows(report);
    bytes_fini(&report->modules);
    bytes_fini(&report->warnings);
    bytes_fini(&report->stale);
}

int reload_report_scripts(struct reload_report *report, const struct update *update)
{
    struct source *from, *to;
    size_t position = 0, count = 0;
    drop_rows(report); /* of an attempt before */
    while (update_next(update, &position, &from, &to))
        count++;
    if (count == 0)
        return 0;
    report->rows = memory_get_zeroed(count * sizeof *report->rows);
    if (report->rows == NULL)
        return -ENOMEM;
    position = 0;
    while (report->count < count && update_next(update, &position, &from, &to)) {
        unsigned number = source_number(from);
        report->rows[report->count++] = (struct reload_row){
            .from = source_ref(from), .to = source_ref(to),
            .from_number = number, .to_number = number + 1,
        };
    }
    return 0;
}

static bool is_script(const struct reload_report *report, const struct source *from)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->rows[i].from == from)
            return true;
    return false;
}

void reload_report_modules(struct reload_report *report, const struct update *update)
{
    struct source *from, *to;
    for (size_t position = 0; update_next_file(update, &position, &from, &to);)
        if (!is_script(report, from))
            bytes_printf(&report->modules, "%s\n", source_path(from));
}

/* Whether that line is there. */
static bool has_line(struct bytes *lines, const char *line, size_t size)
{
    const char *text = bytes_text(lines);
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        if (length == size && memcmp(text, line, size) == 0)
            return true;
        text += length + (text[length] == '\n');
    }
    return false;
}

void reload_report_lines(struct bytes *to, struct bytes *from, const char *before)
{
    const char *text = from->size > 0 ? bytes_text(from) : "";
    while (*text != '\0') {
        char   line[1000];
        size_t length = strcspn(text, "\n");
        int    size = snprintf(line, sizeof line, "%s%.*s", before != NULL ? before : "",
                               (int)length, text);
        size_t kept = size < 0 ? 0 : (size_t)size < sizeof line ? (size_t)size : sizeof line - 1;
        if (before != NULL || !has_line(to, line, kept))
            bytes_printf(to, "%s\n", line);
        text += length + (text[length] == '\n');
    }
}

/* ---- As JSON --------------------------------------------------------------- */

static void put_string(struct bytes *json, const char *text, size_t size)
{
    if (json_write_string(text, size, JSON_COMPACT, json))
        return;
    bytes_append_byte(json, '"'); /* no UTF-8: a script's file may hold anything */
    for (size_t i = 0; i < size; i++) {
        unsigned char letter = (unsigned char)text[i];
        bool plain = letter >= ' ' && letter < 0x7f && letter != '"' && letter != '\\';
        bytes_append_byte(json, plain ? letter : '?');
    }
    bytes_append_byte(json, '"');
}

static void put_text(struct bytes *json, const char *key, const char *text)
{
    bytes_printf(json, ",\"%s\":", key);
    put_string(json, text, strlen(text));
}

static void put_lines(struct bytes *json, const char *key, const struct bytes *lines)
{
    const char *at = (const char *)lines->data, *end = at + lines->size;
    if (lines->size == 0)
        return;
    bytes_printf(json, ",\"%s\":[", key);
    for (const char *begin = at; at < end; begin = at) {
        const char *mark = memchr(at, '\n', (size_t)(end - at));
        at = mark != NULL ? mark : end;
        put_string(json, begin, (size_t)(at - begin));
        at += at < end;
        if (at < end)
            bytes_append_byte(json, ',');
    }
    bytes_append_byte(json, ']');
}

static uint32_t shown_hash(const struct source *source)
{
    return (uint32_t)(source_hash(source) >> 32);
}

static void put_row(struct bytes *json, const struct reload_row *row, bool done)
{
    bytes_append_text(json, "{\"script\":");
    put_string(json, source_path(row->from), strlen(source_path(row->from)));
    bytes_printf(json, ",\"from\":%u", row->from_number);
    if (done)
        bytes_printf(json, ",\"to\":%u", row->to_number);
    if (row->version[0] != '\0')
        put_text(json, "version", row->version);
    bytes_printf(json, ",\"hash\":\"%08x\",\"instances\":%u,\"migrated\":%u}",
                 shown_hash(done ? row->to : row->from), row->instances, row->migrated);
}

void reload_report_write(const struct reload_report *report, struct bytes *json)
{
    const struct reload_job *job = report->job;
    bool done = report->code == RELOAD_DONE;
    bytes_printf(json, "{\"ok\":%s,\"changed\":%s", done ? "true" : "false",
                 done && report->changed ? "true" : "false");
    if (job->undo)
        bytes_append_text(json, ",\"undo\":true");
    if (job->trial_ns > 0)
        bytes_printf(json, ",\"trial_s\":%g", (double)job->trial_ns / (double)NS_PER_SEC);
    for (size_t i = 0; i < report->count; i++) {
        bytes_append_text(json, i == 0 ? ",\"scripts\":[" : ",");
        put_row(json, &report->rows[i], done);
    }
    if (report->count > 0)
        bytes_append_byte(json, ']');
    put_lines(json, "modules", &report->modules);
    put_lines(json, "warnings", &report->warnings);
    put_lines(json, "stale", &report->stale);
    if (report->held_ns > 0)
        bytes_printf(json, ",\"held_ms\":%.3f", (double)report->held_ns / (double)NS_PER_MS);
    if (!done)
        put_text(json, "error", report->why);
    bytes_append_byte(json, '}');
}

/* ---- As people read it ----------------------------------------------------- */

const char *reload_report_names(const struct reload_report *report, char *text, size_t room)
{
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < report->count && size < room; i++) {
        int more = snprintf(text + size, room - size, "%s%s", i > 0 ? ", " : "",
                            source_path(report->rows[i].from));
        size += more > 0 ? (size_t)more : 0;
    }
    return text;
}

static void say_rows(const struct reload_report *report, bool done, struct bytes *line)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct reload_row *row = &report->rows[i];
        bytes_printf(line, "%s%s: ", i > 0 ? ", " : "", source_path(row->from));
        if (done)
            bytes_printf(line, "#%u -> #%u", row->from_number, row->to_number);
        else
            bytes_printf(line, "%s#%u goes on", i == 0 ? "refused, " : "", row->from_number);
    }
}

/* "lua/a.lua, lua/b.lua" */
static void say_modules(const struct reload_report *report, struct bytes *line)
{
    const char *text = (const char *)report->modules.data, *end = text + report->modules.size;
    for (const char *between = ""; text < end; between = ", ") {
        const char *mark = memchr(text, '\n', (size_t)(end - text)); /* every line has its end */
        bytes_printf(line, "%s%.*s", between, (int)(mark - text), text);
        text = mark + 1;
    }
}

static void say_done(const struct reload_report *report, struct bytes *line)
{
    unsigned instances = 0;
    if (!report->changed) {
        bytes_append_text(line, "nothing has changed");
        return;
    }
    for (size_t i = 0; i < report->count; i++)
        instances += report->rows[i].instances;
    say_rows(report, true, line);
    if (report->modules.size > 0) {
        bytes_append_text(line, report->count > 0 ? " with " : "");
        say_modules(report, line);
    }
    bytes_printf(line, ", %u actor%s, %.1f ms%s", instances, instances == 1 ? "" : "s",
                 (double)report->held_ns / (double)NS_PER_MS,
                 report->job->undo ? ", back to what was before" : "");
    if (report->job->trial_ns > 0)
        bytes_printf(line, ", on trial for %g s", (double)report->job->trial_ns / (double)NS_PER_SEC);
}

/* The same of one that came not so far that the scripts were known. */
static void say_job(const struct reload_job *job, struct bytes *line)
{
    if (job->source != NULL) {
        bytes_printf(line, "%s: refused, #%u goes on", source_path(job->source),
                     source_number(job->source));
        return;
    }
    for (size_t i = 0; job->paths != NULL && job->paths[i] != NULL; i++)
        bytes_printf(line, "%s%s", i > 0 ? ", " : "", job->paths[i]);
    bytes_printf(line, "%srefused", job->paths != NULL && job->paths[0] != NULL ? ": " : "");
}

void reload_report_log(const struct reload_report *report)
{
    bool done = report->code == RELOAD_DONE;
    if (done && !report->changed && report->job->quiet)
        return;
    struct bytes line;
    bytes_init(&line, LOG_LINE_LIMIT);
    if (done) {
        say_done(report, &line);
    } else if (report->count > 0) {
        say_rows(report, false, &line);
        bytes_printf(&line, ": %s", report->why);
    } else {
        say_job(report->job, &line);
        bytes_printf(&line, ": %s", report->why);
    }
    if (report->job->asked_by != NULL)
        bytes_printf(&line, " (%s)", report->job->asked_by);
    log_write(done ? LOG_INFO : LOG_ERROR, "reload: %s", bytes_text(&line));
    bytes_fini(&line);

    struct bytes warnings = report->warnings; /* borrowed, for bytes_text() of it */
    const char *text = warnings.size > 0 ? (const char *)warnings.data : "";
    const char *end = text + warnings.size;
    while (text < end) {
        const char *mark = memchr(text, '\n', (size_t)(end - text));
        int size = (int)((mark != NULL ? mark : end) - text);
        log_warn("reload: %.*s", size, text);
        text += size + 1;
    }
}
