/*
 * log_form.c -- a log line as people read it, and as a JSON object.
 */
#include "base/log_room.h"

#include "base/quote.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- For people --------------------------------------------------------- */

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

void log_cut(char *line, size_t limit, const char *text)
{
    memcpy(line, text, limit - 3);
    memcpy(line + whole_characters(line, limit - 3), "...", 4);
}

void log_escape(char *line, size_t limit, const char *text, bool keep_newlines)
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

void log_compose(char *raw, size_t room, const struct log_line *line)
{
    const char *actor = line->about.actor, *script = line->about.script;
    const char *shown = line->shown != NULL ? line->shown : "";
    if (line->head == LOG_HEAD_SCRIPT)
        snprintf(raw, room, "%s (%s): %s%s", actor, script, line->text, shown);
    else if (line->head == LOG_HEAD_ACTOR)
        snprintf(raw, room, "%s: %s%s", actor, line->text, shown);
    else
        snprintf(raw, room, "%s%s", line->text, shown);
}

/* ---- For machines -------------------------------------------------------- */

struct writer {
    char  *to;
    size_t used, room;
};

static void put(struct writer *out, const char *text)
{
    size_t size = strlen(text);
    memcpy(out->to + out->used, text, size);
    out->used += size;
}

/* `behind` bytes are still to come. */
static void put_string(struct writer *out, const char *text, size_t size, size_t behind)
{
    out->used += quote_json(out->to + out->used, out->room - out->used - behind, text, size);
}

#define NAME_MOST 300 /* bytes of the actor's, the file's and the version's */

static void put_name(struct writer *out, const char *text, size_t behind)
{
    if (text != NULL)
        put_string(out, text, strnlen(text, NAME_MOST), behind);
    else
        put(out, "null");
}

size_t log_write_json(const struct log_line *line, char *to, size_t room)
{
    struct writer out = { .to = to, .room = room };
    const char *fields = line->fields != NULL ? line->fields : "{}";
    size_t behind = strlen(fields) + 32; /* what comes after the text */
    time_t seconds = (time_t)(line->time_ms / 1000);
    struct tm utc;
    char time[40];
    gmtime_r(&seconds, &utc);
    size_t size = strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(time + size, sizeof time - size, ".%03uZ", (unsigned)(line->time_ms % 1000));

    put(&out, "{\"v\": 1, \"time\": \"");
    put(&out, time);
    put(&out, "\", \"level\": \"");
    put(&out, log_level_name(line->level));
    put(&out, "\", \"actor\": ");
    put_name(&out, line->about.actor, behind);
    put(&out, ", \"script\": ");
    put_name(&out, line->about.script, behind);
    put(&out, ", \"version\": ");
    put_name(&out, line->about.version, behind);
    put(&out, ", \"text\": ");
    size_t length = strlen(line->text);
    if (line->block && length > 0 && line->text[length - 1] == '\n')
        length--;
    put_string(&out, line->text, length, behind);
    put(&out, ", \"fields\": ");
    put(&out, fields);
    put(&out, "}");
    to[out.used] = '\0';
    return out.used;
}
