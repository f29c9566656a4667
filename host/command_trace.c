/*
 * command_trace.c -- `trace`: messages while they pass.
 *
 *     {"do":"trace","to":"pong*","type":"Ping","kinds":["ask"],"sample":10,"limit":1000}
 *     {"tracing":true}
 *     {"v":1,"n":17,"time":"2026-11-20T17:18:46.123456Z","from":"ping","to":"pong",
 *      "type":"Ping","kind":"ask","message":{"count":1},"bytes":14,"cut":false,
 *      "waited_ms":0.012,"took_ms":0.085,"outcome":"handled","detail":null,"reply":"Pong"}
 *     {"skipped":250,"lost":0}
 *
 * and so on until the client goes. Fields of the request may be left out. The last line
 * says how many were left out so far, when that has changed.
 */
#include "commands.h"
#include "observer.h"

#include "actor/tap.h"
#include "base/memory.h"
#include "base/quote.h"
#include "message/glimpse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct trace {
    struct viewer  viewer; /* the first member */
    struct host   *host;
    struct tracer *tracer;
    char     to[TAP_NAME + 2], from[TAP_NAME + 2], actor[TAP_NAME + 2]; /* a byte more: too long */
    char     type[TYPE_NAME_LIMIT + 2];
    bool     has_to, has_from, has_actor, has_type;
    unsigned kinds;
    uint32_t sample, limit;
    uint64_t unsaid;       /* lines that the client's buffer had no room for */
    uint64_t skipped, lost; /* as told last */
    struct bytes line;
};

/* ---- Lines ------------------------------------------------------------------ */

static size_t name_of(void *context, uint64_t id, char *text, size_t room)
{
    struct host *host = context;
    registry_name(&host->system.registry, id, text, room);
    return strlen(text);
}

static void put_text(struct bytes *out, const char *field, const char *text)
{
    bytes_printf(out, ", \"%s\": ", field);
    size_t size = text != NULL ? strlen(text) : 0;
    if (text == NULL)
        bytes_append_text(out, "null");
    else if (bytes_reserve(out, QUOTE_MOST(size) + QUOTE_LEAST))
        out->size += quote_json((char *)out->data + out->size, QUOTE_MOST(size) + QUOTE_LEAST, text, size);
}

static void put_time(struct bytes *out, uint64_t time_us)
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm utc;
    char text[40];
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    bytes_printf(out, ", \"time\": \"%s.%06uZ\"", text, (unsigned)(time_us % 1000000));
}

static void put_ms(struct bytes *out, const char *field, uint64_t ns)
{
    if (ns == TAP_UNKNOWN)
        bytes_printf(out, ", \"%s\": null", field);
    else
        bytes_printf(out, ", \"%s\": %llu.%03u", field, (unsigned long long)(ns / NS_PER_MS),
                     (unsigned)(ns % NS_PER_MS / 1000));
}

/* The tap's, for each line. */
static void show(void *context, const struct tap_line *line)
{
    struct trace *trace = context;
    struct bytes *out = &trace->line;
    bytes_clear(out, 4096);
    bytes_printf(out, "{\"v\": 1, \"n\": %llu", (unsigned long long)line->number);
    put_time(out, line->time_us);
    put_text(out, "from", line->from);
    put_text(out, "to", line->to);
    put_text(out, "type", line->type != TYPE_NONE ? type_name(line->type) : NULL);
    put_text(out, "kind", tap_kind_name(line->kind));
    bytes_append_text(out, ", \"message\": ");
    bool whole = glimpse(line->payload, line->shown, name_of, trace->host, out) &&
                 line->shown == line->size;
    bytes_printf(out, ", \"bytes\": %zu, \"cut\": %s", line->size, whole ? "false" : "true");
    put_ms(out, "waited_ms", line->waited_ns);
    put_ms(out, "took_ms", line->took_ns);
    put_text(out, "outcome", tap_outcome_name(line->outcome));
    put_text(out, "detail", line->detail);
    put_text(out, "reply", line->reply != TYPE_NONE ? type_name(line->reply) : NULL);
    bytes_append_byte(out, '}');
    if (out->failed || !control_say(trace->viewer.client, (const char *)out->data, out->size))
        trace->unsaid++;
}

/* ---- The viewer --------------------------------------------------------------- */

static int begin(struct viewer *viewer, char *why, size_t room)
{
    static const char tracing[] = "{\"tracing\": true}";
    struct trace *trace = (struct trace *)(void *)viewer;
    const struct tap_filter filter = {
        .to = trace->has_to ? trace->to : NULL,
        .from = trace->has_from ? trace->from : NULL,
        .actor = trace->has_actor ? trace->actor : NULL,
        .type = trace->has_type ? trace->type : NULL,
        .kinds = trace->kinds,
        .sample = trace->sample,
        .limit = trace->limit,
    };
    int error = tracer_open(&trace->tracer, &trace->host->system, &filter, show, trace);
    if (error == -EBUSY)
        snprintf(why, room, "there are %d traces under way already", TAP_TRACERS_MAX);
    else if (error == -EINVAL)
        snprintf(why, room, "a pattern of names has 1 to %d characters, and a type 1 to %d", TAP_NAME,
                 TYPE_NAME_LIMIT);
    else if (error != 0)
        snprintf(why, room, "the host has no memory for it");
    else
        control_say(viewer->client, tracing, sizeof tracing - 1);
    return error == 0 ? 0 : error == -EINVAL ? 2 : 1;
}

static bool look(struct viewer *viewer)
{
    struct trace *trace = (struct trace *)(void *)viewer;
    uint64_t skipped, lost;
    tracer_missed(trace->tracer, &skipped, &lost);
    lost += trace->unsaid;
    if (skipped == trace->skipped && lost == trace->lost)
        return true;
    char text[100];
    int size = snprintf(text, sizeof text, "{\"skipped\": %llu, \"lost\": %llu}",
                        (unsigned long long)skipped, (unsigned long long)lost);
    if (control_say(viewer->client, text, (size_t)size)) {
        trace->skipped = skipped;
        trace->lost = lost;
    }
    return true;
}

static void end(struct viewer *viewer, bool begun)
{
    struct trace *trace = (struct trace *)(void *)viewer;
    if (begun)
        tracer_close(trace->tracer);
    bytes_fini(&trace->line);
    memory_put(trace, sizeof *trace);
}

/* ---- The request ---------------------------------------------------------------- */

static bool take_text(const struct control_request *request, const char *field, char *to, size_t room)
{
    const char *text = control_request_text(request, field);
    if (text != NULL)
        snprintf(to, room, "%s", text);
    return text != NULL;
}

/* False: `why` says what is wrong with it. */
static bool take_kinds(const struct control_request *request, unsigned *kinds, char *why, size_t room)
{
    const char *word;
    for (size_t i = 0; (word = control_request_item(request, "kinds", i)) != NULL; i++) {
        int kind = tap_find_kind(word);
        if (kind < 0) {
            snprintf(why, room, "'%.40s' is no kind of message: it may be " TAP_KIND_WORDS, word);
            return false;
        }
        *kinds |= 1u << kind;
    }
    return true;
}

static bool take_count(const struct control_request *request, const char *field, int64_t most,
                       uint32_t *count, char *why, size_t room)
{
    int64_t given;
    if (!control_request_integer(request, field, &given))
        return true;
    if (given < 1 || given > most) {
        snprintf(why, room, "%s is a number from 1 to %lld", field, (long long)most);
        return false;
    }
    *count = (uint32_t)given;
    return true;
}

static void serve(void *context, struct control_client *client, const struct control_request *request)
{
    char why[HOST_WHY] = "the host has no memory for it";
    struct trace *trace = memory_get_zeroed(sizeof *trace);
    if (trace == NULL) {
        control_end(client, 1, why);
        return;
    }
    trace->host = context;
    trace->viewer = (struct viewer){ .client = client, .begin = begin, .look = look, .end = end };
    bytes_init(&trace->line, 64 * 1024);
    trace->has_to = take_text(request, "to", trace->to, sizeof trace->to);
    trace->has_from = take_text(request, "from", trace->from, sizeof trace->from);
    trace->has_actor = take_text(request, "actor", trace->actor, sizeof trace->actor);
    trace->has_type = take_text(request, "type", trace->type, sizeof trace->type);
    bool good = take_kinds(request, &trace->kinds, why, sizeof why) &&
                take_count(request, "sample", UINT32_MAX, &trace->sample, why, sizeof why) &&
                take_count(request, "limit", TAP_LIMIT_MAX, &trace->limit, why, sizeof why);
    if (good && observer_add(trace->host, &trace->viewer) == 0)
        return;
    control_end(client, good ? 1 : 2, why);
    end(&trace->viewer, false);
}

int command_trace_open(struct host *host)
{
    return control_add(host->control, &(struct control_command){ .name = "trace", .serve = serve,
                                                                 .context = host });
}
