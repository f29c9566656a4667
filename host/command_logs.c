/*
 * command_logs.c -- `logs`: the last lines of the log, those to come, and its levels.
 *
 *     {"do":"logs","count":100,"follow":true,"level":"warn","actor":"pong*"}
 *     {"v": 1, "time": "2026-11-20T17:18:46.123Z", "level": "warn", "actor": "pong", ...}
 *     {"missed":12}
 *     {"following":true}
 *
 *     {"do":"logs","set":"debug","actor":"pong"}       without actor: of all without their own
 *     {"actor":"pong","level":"debug","was":"info"}
 *
 * Lines are as log_write_json() writes them. Fields of the request may be left out. `missed`
 * is how many there was no room for since it was said last; `following` comes once, when
 * there is no more but what is to come.
 */
#include "commands.h"
#include "observer.h"

#include "actor/actor_log.h"
#include "actor/tap.h"
#include "base/log_recent.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LINE_ROOM ((size_t)2 * LOG_BLOCK_LIMIT + LOG_JSON_LEAST)

struct reading {
    struct viewer     viewer; /* the first member */
    struct log_reader reader;
    enum log_level    level;
    char     actor[ADDRESS_NAME_LIMIT + 1]; /* pattern; "": any, and nobody */
    uint64_t count;           /* of the last lines, at first */
    bool     follow, begun, told; /* told: that it follows */
    uint64_t missed;          /* and not yet told */
    struct bytes room;        /* of the line that is read */
    char    *text;            /* LINE_ROOM bytes */
};

static bool is_wanted(const struct reading *reading, const struct log_line *line)
{
    const char *actor = line->about.actor != NULL ? line->about.actor : "";
    return line->level >= reading->level &&
           (reading->actor[0] == '\0' || tap_fits(reading->actor, actor));
}

static bool next(struct reading *reading, struct log_line *line)
{
    while (log_recent_read(&reading->reader, line, &reading->room))
        if (is_wanted(reading, line))
            return true;
    return false;
}

/* Goes to where the last `count` lines begin. */
static void skip_to_last(struct reading *reading)
{
    struct log_reader start = reading->reader;
    struct log_line line;
    uint64_t lines = 0;
    while (next(reading, &line))
        lines++;
    reading->reader = start;
    for (; lines > reading->count && next(reading, &line); lines--)
        continue;
}

static void say(struct reading *reading, const struct log_line *line)
{
    size_t size = log_write_json(line, reading->text, LINE_ROOM);
    if (!control_say(reading->viewer.client, reading->text, size))
        reading->missed++;
}

static void say_missed(struct reading *reading)
{
    char text[48];
    reading->missed += reading->reader.missed;
    reading->reader.missed = 0;
    if (reading->missed == 0)
        return;
    int size = snprintf(text, sizeof text, "{\"missed\": %llu}", (unsigned long long)reading->missed);
    if (control_say(reading->viewer.client, text, (size_t)size))
        reading->missed = 0;
}

/* ---- The viewer --------------------------------------------------------------- */

static int begin(struct viewer *viewer, char *why, size_t room)
{
    struct reading *reading = (struct reading *)(void *)viewer;
    reading->text = memory_get(LINE_ROOM);
    if (reading->text == NULL)
        snprintf(why, room, "the host has no memory for it");
    return reading->text == NULL ? 1 : 0;
}

static bool look(struct viewer *viewer)
{
    struct reading *reading = (struct reading *)(void *)viewer;
    static const char following[] = "{\"following\": true}";
    struct log_line line;
    if (!reading->begun)
        skip_to_last(reading);
    reading->begun = true;
    say_missed(reading);
    while (next(reading, &line))
        say(reading, &line);
    if (reading->follow) {
        reading->told = reading->told || control_say(viewer->client, following, sizeof following - 1);
        return true;
    }
    say_missed(reading);
    control_end(viewer->client, 0, NULL);
    return false;
}

static void end(struct viewer *viewer, bool begun)
{
    struct reading *reading = (struct reading *)(void *)viewer;
    (void)begun;
    memory_put(reading->text, LINE_ROOM);
    bytes_fini(&reading->room);
    memory_put(reading, sizeof *reading);
}

/* ---- The request ---------------------------------------------------------------- */

/* -1: none is given; -2: it is none, and the client has been told. */
static int take_level(struct control_client *client, const struct control_request *request,
                      const char *field, const char *besides)
{
    char why[120];
    const char *word = control_request_text(request, field);
    int level = word != NULL ? log_find_level(word) : -1;
    if (word == NULL || level >= 0 || (besides != NULL && strcmp(word, besides) == 0))
        return level;
    snprintf(why, sizeof why, "'%.20s' is no level: it may be debug, info, warn or error%s%s", word,
             besides != NULL ? ", or for an actor " : "", besides != NULL ? besides : "");
    control_end(client, 2, why);
    return -2;
}

static void set_host_level(struct control_client *client, int level)
{
    struct command_row row;
    if (level < 0) {
        control_end(client, 2, "'default' is a level for an actor only");
        return;
    }
    command_row_begin(&row);
    command_row_field(&row, "actor");
    pack_put_null(&row.packed);
    command_row_text(&row, "level", log_level_name((enum log_level)level));
    command_row_text(&row, "was", log_level_name(log_level()));
    log_set_level((enum log_level)level);
    command_row_say(&row, client);
    control_end(client, 0, NULL);
}

static const char *level_word(unsigned own_level)
{
    return own_level == LOG_AS_ALL ? "default" : log_level_name((enum log_level)(own_level - 1));
}

static void set_actor_level(struct host *host, struct control_client *client, const char *name, int level)
{
    struct registry *registry = &host->system.registry;
    struct actor *actor = registry_find(registry, registry_find_name(registry, name, strlen(name)));
    struct command_row row;
    char near[ADDRESS_NAME_LIMIT + 1], why[HOST_WHY];
    if (actor == NULL) {
        const char *best = registry_suggest(registry, name, near, sizeof near);
        snprintf(why, sizeof why, "no actor is named '%.200s'%s%s%s", name,
                 best != NULL ? " (did you mean '" : "", best != NULL ? best : "",
                 best != NULL ? "'?)" : "");
        control_end(client, 1, why);
        return;
    }
    unsigned own = level < 0 ? LOG_AS_ALL : (unsigned)level + 1;
    command_row_begin(&row);
    command_row_text(&row, "actor", name);
    command_row_text(&row, "level", level_word(own));
    command_row_text(&row, "was", level_word(actor_log_level(actor)));
    actor_set_log_level(actor, own);
    command_row_say(&row, client);
    control_end(client, 0, NULL);
}

static void set_level(struct host *host, struct control_client *client,
                      const struct control_request *request)
{
    const char *actor = control_request_text(request, "actor");
    int level = take_level(client, request, "set", "default");
    if (level == -2)
        return;
    if (actor != NULL)
        set_actor_level(host, client, actor, level);
    else
        set_host_level(client, level);
}

static void serve(void *context, struct control_client *client, const struct control_request *request)
{
    struct host *host = context;
    if (control_request_text(request, "set") != NULL) {
        set_level(host, client, request);
        return;
    }
    int64_t count = 100;
    int level = take_level(client, request, "level", NULL);
    if (level == -2)
        return;
    if (control_request_integer(request, "count", &count) && count < 0) {
        control_end(client, 2, "count is a number from 0");
        return;
    }
    struct reading *reading = memory_get_zeroed(sizeof *reading);
    if (reading == NULL) {
        control_end(client, 1, "the host has no memory for it");
        return;
    }
    const char *actor = control_request_text(request, "actor");
    reading->viewer = (struct viewer){ .client = client, .begin = begin, .look = look, .end = end };
    reading->level = level < 0 ? LOG_DEBUG : (enum log_level)level;
    reading->count = (uint64_t)count;
    reading->follow = control_request_flag(request, "follow");
    snprintf(reading->actor, sizeof reading->actor, "%s", actor != NULL ? actor : "");
    bytes_init(&reading->room, 0);
    if (observer_add(host, &reading->viewer) == 0)
        return;
    control_end(client, 1, "the host has no thread for it");
    end(&reading->viewer, false);
}

int command_logs_open(struct host *host)
{
    int error = log_recent_open();
    host->keeps_log = error == 0;
    if (error != 0)
        return error;
    return control_add(host->control, &(struct control_command){ .name = "logs", .serve = serve,
                                                                 .context = host });
}

void command_logs_close(struct host *host)
{
    if (host->keeps_log)
        log_recent_close();
    host->keeps_log = false;
}
