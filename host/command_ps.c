/*
 * command_ps.c -- `ps`: what the actors of this host do, and its connections.
 *
 *     {"do":"ps","actors":"pong*","sort":"queue","limit":20,"from":0,"hidden":false}
 *     {"kind":"host","name":"pong","pid":4711,...}
 *     {"kind":"actor","name":"pong","state":"running","handling":"Ping",...}
 *     {"kind":"next","from":20480}
 *
 * A host may have a million actors, so an answer is a part: it tells of so many slots
 * of the registry, or so many actors, and with "next" where to ask on; without it,
 * that was the last part. With "limit" each part has the first so many of it, as they
 * are sorted by the key; else the order is that of the slots. "host" and the
 * connections ("wire") come with the first part.
 *
 * Rates are measured between two looks (actor/statistics.h): {"do":"ps","mark":true}
 * is a look that says nothing of actors.
 */
#include "commands.h"

#include "actor/statistics.h"
#include "base/memory.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define SLOTS_A_PART 20000u  /* looked at */
#define MARKS_A_PART 100000u
#define ROWS_A_PART  300u    /* said: what a client's buffer has room for in the worst case */

typedef bool goes_before(const struct actor_report *a, const struct actor_report *b);

struct look {
    struct control_client *client;
    const char *pattern; /* NULL: all */
    bool        hidden;  /* the host's own, too */
    bool        said;    /* false: the client has no room, or there is no memory */
    uint32_t    rows;
    /* With a limit: the first of them, as a heap with the last at its root. */
    goes_before *before;
    struct actor_report *best;
    uint32_t    limit, count;
};

/* ---- A line --------------------------------------------------------------- */

static void put_null(struct command_row *row, const char *field)
{
    command_row_field(row, field);
    pack_put_null(&row->packed);
}

static void put_text(struct command_row *row, const char *field, const char *text)
{
    if (text[0] != '\0')
        command_row_text(row, field, text);
    else
        put_null(row, field);
}

static void put_seconds(struct command_row *row, const char *field, bool is_known, uint64_t ns)
{
    if (is_known)
        command_row_number(row, field, (double)ns / (double)NS_PER_SEC);
    else
        put_null(row, field);
}

static void put_subject(struct command_row *row, const struct actor_report *report)
{
    const struct subject_report *subject = &report->subject;
    char hash[20];
    put_text(row, "script", report->path);
    if (!report->has_subject) {
        static const char *const fields[] = { "version", "number", "hash", "failed", "error" };
        for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
            put_null(row, fields[i]);
        return;
    }
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)subject->hash);
    put_text(row, "version", subject->version);
    command_row_integer(row, "number", subject->number);
    command_row_text(row, "hash", hash);
    command_row_integer(row, "failed", subject->failed);
    put_text(row, "error", subject->error);
}

static void put_activity(struct command_row *row, const struct actor_report *report)
{
    bool lasts = report->activity == ACTIVITY_RUNNING || report->activity == ACTIVITY_PREEMPTED ||
                 report->activity == ACTIVITY_WAITING;
    command_row_text(row, "state", activity_name(report->activity));
    put_text(row, "handling", type_name(report->handling));
    put_text(row, "waits", waiting_name(report->waiting));
    put_text(row, "target", report->target);
    put_text(row, "about", type_name(report->waits_type));
    put_seconds(row, "for", lasts, report->for_ns);
    command_row_text(row, "thread", report->thread);
}

static bool say_actor(struct control_client *client, const struct actor_report *report)
{
    struct command_row row;
    bool timed = report->timed > 0;
    command_row_begin(&row);
    command_row_text(&row, "kind", "actor");
    command_row_text(&row, "name", report->name);
    put_subject(&row, report);
    put_activity(&row, report);
    command_row_integer(&row, "queued", report->queued);
    command_row_integer(&row, "high", report->high);
    command_row_integer(&row, "reserved", report->reserved);
    command_row_integer(&row, "notices", report->notices);
    command_row_integer(&row, "control", report->control);
    command_row_integer(&row, "parked", report->parked);
    command_row_integer(&row, "limit", report->limit);
    command_row_integer(&row, "queued_bytes", (int64_t)report->queued_bytes);
    put_seconds(&row, "oldest", report->has_oldest, report->oldest_ns);
    command_row_integer(&row, "handled", (int64_t)report->handled);
    command_row_number(&row, "rate", report->rate);
    command_row_integer(&row, "timed", (int64_t)report->timed);
    put_seconds(&row, "p50", timed, report->p50_ns);
    put_seconds(&row, "p99", timed, report->p99_ns);
    put_seconds(&row, "max", timed, report->most_ns);
    command_row_integer(&row, "memory", (int64_t)report->memory);
    command_row_integer(&row, "errors", report->errors);
    command_row_integer(&row, "restarts", report->restarts);
    put_text(&row, "last", type_name(report->last_type));
    command_row_flag(&row, "supervised", report->supervised);
    command_row_flag(&row, "hidden", report->hidden);
    return command_row_say(&row, client);
}

/* ---- Which, and in what order ----------------------------------------------- */

/* "pong#2" before "pong#10": digits count as a number. */
static int compare_names(const char *a, const char *b)
{
    for (;;) {
        size_t m = strspn(a, "0123456789"), n = strspn(b, "0123456789");
        int difference = m > 0 && n > 0 && m != n ? (m < n ? -1 : 1)
                                                  : (uint8_t)*a - (uint8_t)*b;
        if (m > 0 && m == n)
            difference = memcmp(a, b, m);
        if (difference != 0 || *a == '\0')
            return difference;
        a += m > 0 ? m : 1;
        b += n > 0 ? n : 1;
    }
}

static bool name_before(const struct actor_report *a, const struct actor_report *b)
{
    return compare_names(a->name, b->name) < 0;
}

/* The larger first; of equals, by name. */
#define BEFORE(sort, figure)                                                     \
    static bool sort(const struct actor_report *a, const struct actor_report *b) \
    {                                                                            \
        return (figure(a)) > (figure(b)) ||                                      \
               ((figure(a)) == (figure(b)) && name_before(a, b));                \
    }
#define QUEUE_OF(report) \
    ((uint64_t)(report)->queued + (report)->reserved + (report)->notices + (report)->control + \
     (report)->parked)
#define RATE_OF(report)   ((uint64_t)((report)->rate * 1000))
#define MEMORY_OF(report) ((report)->memory)
#define ERRORS_OF(report) ((report)->errors)
#define P99_OF(report)    ((report)->p99_ns)
BEFORE(queue_before, QUEUE_OF)
BEFORE(rate_before, RATE_OF)
BEFORE(memory_before, MEMORY_OF)
BEFORE(errors_before, ERRORS_OF)
BEFORE(p99_before, P99_OF)

static goes_before *find_order(const char *sort)
{
    static const struct {
        const char  *name;
        goes_before *before;
    } orders[] = {
        { "name", name_before },     { "queue", queue_before },   { "rate", rate_before },
        { "memory", memory_before }, { "errors", errors_before }, { "p99", p99_before },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(orders); i++)
        if (strcmp(orders[i].name, sort) == 0)
            return orders[i].before;
    return NULL;
}

/* A name, a part of one, or with `*`, `?` or `[` a pattern for the whole. */
static bool matches(const char *pattern, const char *name)
{
    if (strpbrk(pattern, "*?[") == NULL)
        return strstr(name, pattern) != NULL;
    return fnmatch(pattern, name, 0) == 0;
}

static void swap(struct actor_report *a, struct actor_report *b)
{
    struct actor_report kept = *a;
    *a = *b;
    *b = kept;
}

/* Moves the one at `at` down to where each has only such below it as go before it. */
static void sift_down(struct look *look, uint32_t at)
{
    for (;;) {
        uint32_t last = at, child = 2 * at + 1;
        for (uint32_t i = child; i < child + 2 && i < look->count; i++)
            if (look->before(&look->best[last], &look->best[i]))
                last = i;
        if (last == at)
            return;
        swap(&look->best[at], &look->best[last]);
        at = last;
    }
}

static void keep(struct look *look, const struct actor_report *report)
{
    if (look->count == look->limit) {
        if (look->before(report, &look->best[0])) {
            look->best[0] = *report;
            sift_down(look, 0);
        }
        return;
    }
    uint32_t at = look->count++;
    look->best[at] = *report;
    while (at > 0 && look->before(&look->best[(at - 1) / 2], &look->best[at])) {
        swap(&look->best[(at - 1) / 2], &look->best[at]);
        at = (at - 1) / 2;
    }
}

static bool visit(void *context, const struct actor_report *report)
{
    struct look *look = context;
    if ((report->hidden && !look->hidden) ||
        (look->pattern != NULL && !matches(look->pattern, report->name)))
        return true;
    if (look->best != NULL) {
        keep(look, report);
        return true;
    }
    look->said = say_actor(look->client, report);
    return look->said && ++look->rows < ROWS_A_PART;
}

/* From the first to the last. */
static void say_best(struct look *look)
{
    uint32_t count = look->count;
    while (look->count > 1) { /* the last goes to the end, until all are in order */
        swap(&look->best[0], &look->best[--look->count]);
        sift_down(look, 0);
    }
    for (uint32_t i = 0; i < count && look->said; i++)
        look->said = say_actor(look->client, &look->best[i]);
}

/* ---- The host ---------------------------------------------------------------- */

static uint64_t resident_bytes(void)
{
    char text[128];
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fgets(text, sizeof text, file) == NULL || sscanf(text, "%*u %llu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static bool say_host(struct host *host, struct control_client *client)
{
    struct system *system = &host->system;
    struct host_report report;
    struct command_row row;
    statistics_of_host(system, &report);
    command_row_begin(&row);
    command_row_text(&row, "kind", "host");
    command_row_text(&row, "name", host->name);
    command_row_integer(&row, "pid", getpid());
    put_text(&row, "endpoint", host_endpoint(host));
    command_row_number(&row, "uptime",
                       (double)(clock_now(&system->clock) - host->since_ns) / (double)NS_PER_SEC);
    command_row_number(&row, "cpu", cpu_seconds());
    command_row_integer(&row, "rss", (int64_t)resident_bytes());
    command_row_integer(&row, "workers", report.workers);
    command_row_integer(&row, "spares", report.spares);
    command_row_integer(&row, "pinned", report.pinned);
    command_row_integer(&row, "busy", report.busy);
    command_row_integer(&row, "actors", report.actors);
    command_row_integer(&row, "handled", (int64_t)report.handled);
    command_row_integer(&row, "dead_letters", (int64_t)dead_letters_total(&system->letters));
    command_row_flag(&row, "stopping",
                     atomic_load_explicit(&system->inlet_closed, memory_order_relaxed));
    return command_row_say(&row, client);
}

/* All that the gateway has counted, with a list of peers. */
static bool say_wire(struct host *host, struct control_client *client)
{
    struct command_row row;
    if (host->gateway == NULL)
        return true;
    command_row_begin(&row);
    command_row_text(&row, "kind", "wire");
    command_row_field(&row, "wire");
    gateway_measure(host->gateway, &row.packed);
    return command_row_say(&row, client);
}

static bool say_next(struct control_client *client, uint32_t slot)
{
    struct command_row row;
    if (slot == 0)
        return true;
    command_row_begin(&row);
    command_row_text(&row, "kind", "next");
    command_row_integer(&row, "from", slot);
    return command_row_say(&row, client);
}

/* ---- The command --------------------------------------------------------------- */

static uint32_t number_of(const struct control_request *request, const char *field)
{
    int64_t number;
    if (!control_request_integer(request, field, &number) || number < 0)
        return 0;
    return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

static void mark(struct host *host, struct control_client *client, uint32_t slot)
{
    bool said = slot != 0 || say_host(host, client);
    statistics_mark(&host->system, &slot, MARKS_A_PART);
    said = said && say_next(client, slot);
    control_end(client, said ? 0 : 1, said ? NULL : "out of memory");
}

static void serve(void *context, struct control_client *client,
                  const struct control_request *request)
{
    struct host *host = context;
    uint32_t slot = number_of(request, "from"), limit = number_of(request, "limit");
    const char *sort = control_request_text(request, "sort");
    struct look look = {
        .client = client,
        .pattern = control_request_text(request, "actors"),
        .hidden = control_request_flag(request, "hidden"),
        .before = find_order(sort != NULL ? sort : "name"),
        .limit = limit,
    };
    if (look.before == NULL) {
        control_end(client, 2, "sort by queue, rate, memory, errors, p99 or name");
        return;
    }
    if (control_request_flag(request, "mark")) {
        mark(host, client, slot);
        return;
    }
    size_t size = limit * sizeof *look.best;
    if (limit > 0 && limit <= ROWS_A_PART)
        look.best = memory_get(size);
    look.said = slot != 0 || (say_host(host, client) && say_wire(host, client));
    if (look.said)
        statistics_each(&host->system, &slot, SLOTS_A_PART, visit, &look);
    if (look.best != NULL)
        say_best(&look);
    memory_put(look.best, size);
    bool said = look.said && say_next(client, slot);
    control_end(client, said ? 0 : 1, said ? NULL : "there is no memory for the answer");
}

int command_ps_open(struct host *host)
{
    return control_add(host->control, &(struct control_command){ .name = "ps", .serve = serve,
                                                                 .context = host });
}
