/*
 * tap_lines.c -- joins the records of a message to the line that tracers are shown.
 *
 * A message that was sent and is not over is in *flight*: found by where it lies, in a
 * list by age. Of a few thousand in flight the oldest give way, and are shown as what
 * they were then.
 */
#include "actor/tap_room.h"

#include <errno.h>
#include <string.h>

#define FLIGHTS 4096
#define BUCKETS 8192 /* a power of two */

struct flight {
    struct tap_record sent;     /* a copy */
    uint64_t number;
    uint64_t began_ns;          /* 0: not yet */
    type_id  reply;
    bool     told;              /* that it takes long */
    struct flight *next;        /* in its bucket, or of the free ones */
    struct flight *next_asked;  /* in the bucket of the question, if it is one */
    struct flight *older, *younger;
};

static struct {
    struct flight *flights;     /* FLIGHTS of them; NULL: nothing is traced */
    struct flight *free;
    struct flight *oldest, *youngest;
    struct flight *at[BUCKETS];    /* by the message's place */
    struct flight *asked[BUCKETS]; /* by who asks, and the number of his wait */
} table;
static uint64_t numbers;

int tap_lines_open(void)
{
    if (table.flights != NULL)
        return 0;
    table.flights = calloc(FLIGHTS, sizeof *table.flights);
    if (table.flights == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < FLIGHTS; i++)
        table.flights[i].next = i + 1 < FLIGHTS ? &table.flights[i + 1] : NULL;
    table.free = &table.flights[0];
    return 0;
}

void tap_lines_close(void)
{
    free(table.flights);
    memset(&table, 0, sizeof table);
}

/* ---- Finding flights -------------------------------------------------------- */

static size_t bucket_of(uint64_t key)
{
    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (BUCKETS - 1);
}

static struct flight **place_of(uint64_t message)
{
    struct flight **link = &table.at[bucket_of(message)];
    while (*link != NULL && (*link)->sent.message != message)
        link = &(*link)->next;
    return link;
}

static size_t question_bucket(actor_id asker, uint64_t request)
{
    return bucket_of(asker ^ request << 32);
}

static struct flight *find_question(const struct tap_record *answer)
{
    struct flight *each = table.asked[question_bucket(answer->to_id, answer->request)];
    while (each != NULL && (each->sent.from_id != answer->to_id || each->sent.request != answer->request ||
                            each->sent.system != answer->system))
        each = each->next_asked;
    return each;
}

static void take_off(struct flight *flight)
{
    *place_of(flight->sent.message) = flight->next;
    if (flight->sent.kind == TAP_ASK) {
        struct flight **link = &table.asked[question_bucket(flight->sent.from_id, flight->sent.request)];
        while (*link != flight)
            link = &(*link)->next_asked;
        *link = flight->next_asked;
    }
    *(flight->older != NULL ? &flight->older->younger : &table.oldest) = flight->younger;
    *(flight->younger != NULL ? &flight->younger->older : &table.youngest) = flight->older;
    flight->next = table.free;
    table.free = flight;
}

/* ---- Showing ------------------------------------------------------------------ */

static uint64_t wall_us(uint64_t time_ns)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t wall_ns = (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
    return (wall_ns - (tap_now() - time_ns)) / 1000;
}

static const char *text_of(const uint8_t **at, size_t size, char *text)
{
    memcpy(text, *at, size);
    text[size] = '\0';
    *at += size;
    return size > 0 ? text : NULL;
}

/* The texts of a line, with their NULs. */
struct texts {
    char to[UINT8_MAX + 1], from[UINT8_MAX + 1], detail[UINT8_MAX + 1];
};

static void read_sent(const struct tap_record *sent, struct tap_line *line, struct texts *texts)
{
    const uint8_t *at = sent->text, *payload;
    line->to = text_of(&at, sent->to_size, texts->to);
    line->from = text_of(&at, sent->from_size, texts->from);
    line->time_us = wall_us(sent->time_ns);
    line->from_id = sent->from_id;
    line->to_id = sent->to_id;
    line->type = sent->type;
    line->kind = (enum tap_kind)sent->kind;
    line->payload = payload = at;
    at += sent->shown;
    line->detail = text_of(&at, sent->detail_size, texts->detail);
    line->shown = sent->shown;
    line->size = sent->size;
    line->waited_ns = line->took_ns = TAP_UNKNOWN;
    if (line->kind != TAP_FAILURE)
        return;
    /* Its payload is a text, or nothing; then the reason's name says it. */
    const char *reason = failure_reason_name((enum failure_reason)sent->reason);
    if (line->detail == NULL)
        line->detail = text_of(&payload, sent->shown, texts->detail);
    if (line->detail == NULL)
        line->detail = reason;
    line->shown = line->size = 0;
}

static void show(const struct tap_line *line, const struct tap_record *sent)
{
    for (unsigned i = 0; i < TAP_TRACERS_MAX; i++) {
        const struct tracer *tracer = &tap_tracers[i];
        if ((sent->mask & 1u << i) && tracer->used && sent->time_ns >= tracer->opened_ns)
            tracer->show(tracer->context, line);
    }
}

/* `detail` NULL: as the flight has it. */
static void show_flight(const struct flight *flight, enum tap_outcome outcome, const char *detail,
                        uint64_t now_ns)
{
    struct tap_line line = { .number = flight->number, .outcome = outcome, .reply = flight->reply };
    struct texts texts;
    read_sent(&flight->sent, &line, &texts);
    if (detail != NULL)
        line.detail = detail;
    uint64_t taken_up_ns = flight->began_ns != 0 ? flight->began_ns : now_ns;
    if (flight->began_ns != 0 || outcome == TAP_WAITING)
        line.waited_ns = taken_up_ns > flight->sent.time_ns ? taken_up_ns - flight->sent.time_ns : 0;
    if (flight->began_ns != 0)
        line.took_ns = now_ns > flight->began_ns ? now_ns - flight->began_ns : 0;
    show(&line, &flight->sent);
}

static void show_unfinished(struct flight *flight, uint64_t now_ns)
{
    flight->told = true;
    show_flight(flight, flight->began_ns != 0 ? TAP_RUNNING : TAP_WAITING, NULL, now_ns);
}

/* ---- Joining -------------------------------------------------------------------- */

static struct flight *new_flight(uint64_t now_ns)
{
    if (table.free == NULL) {
        if (!table.oldest->told)
            show_unfinished(table.oldest, now_ns);
        take_off(table.oldest);
    }
    struct flight *flight = table.free;
    table.free = flight->next;
    return flight;
}

static void copy_record(struct tap_record *to, const struct tap_record *from)
{
    size_t head = offsetof(struct tap_record, time_ns);
    memcpy((char *)to + head, (const char *)from + head, sizeof *to - head);
}

static void take_sent(const struct tap_record *record)
{
    struct flight **place = place_of(record->message);
    if (*place != NULL) /* the end of the one that lay there before was lost */
        take_off(*place);

    struct flight *flight = new_flight(record->time_ns);
    copy_record(&flight->sent, record);
    flight->number = ++numbers;
    flight->began_ns = 0;
    flight->reply = TYPE_NONE;
    flight->told = false;
    struct flight **bucket = &table.at[bucket_of(record->message)];
    flight->next = *bucket;
    *bucket = flight;
    if (record->kind == TAP_ASK) {
        bucket = &table.asked[question_bucket(record->from_id, record->request)];
        flight->next_asked = *bucket;
        *bucket = flight;
    }
    flight->younger = NULL;
    flight->older = table.youngest;
    *(table.youngest != NULL ? &table.youngest->younger : &table.oldest) = flight;
    table.youngest = flight;

    struct flight *question = record->kind == TAP_REPLY ? find_question(record) : NULL;
    if (question != NULL)
        question->reply = record->type;
}

static void move(struct flight *flight, uint64_t message)
{
    *place_of(flight->sent.message) = flight->next;
    flight->sent.message = message;
    flight->next = table.at[bucket_of(message)];
    table.at[bucket_of(message)] = flight;
}

static void take_whole(const struct tap_record *record)
{
    struct tap_line line = { .number = ++numbers, .outcome = (enum tap_outcome)record->outcome };
    struct texts texts;
    read_sent(record, &line, &texts);
    show(&line, record);
}

void tap_lines_take(const struct tap_record *record)
{
    if (table.flights == NULL)
        return;
    if (record->event == TAP_EVENT_SENT) {
        take_sent(record);
        return;
    }
    if (record->event == TAP_EVENT_PASSED) {
        take_whole(record);
        return;
    }
    struct flight *flight = *place_of(record->message);
    if (flight == NULL)
        return; /* its beginning was lost, or nobody wants it any more */
    char detail[UINT8_MAX + 1];
    const uint8_t *at = record->text;
    switch ((enum tap_event)record->event) {
    case TAP_EVENT_BEGAN:
        flight->began_ns = record->time_ns;
        break;
    case TAP_EVENT_MOVED:
        move(flight, record->request);
        break;
    case TAP_EVENT_REFUSED:
        show_flight(flight, (enum tap_outcome)record->outcome,
                    text_of(&at, record->detail_size, detail), record->time_ns);
        take_off(flight);
        break;
    default:
        show_flight(flight, TAP_HANDLED, NULL, record->time_ns);
        take_off(flight);
    }
}

void tap_lines_slow(uint64_t now_ns)
{
    for (struct flight *each = table.oldest; each != NULL; each = each->younger) {
        if (now_ns < each->sent.time_ns + TAP_SLOW_NS)
            return;
        if (!each->told)
            show_unfinished(each, now_ns);
    }
}

void tap_lines_forget(uint32_t bit)
{
    struct flight *next;
    for (struct flight *each = table.oldest; each != NULL; each = next) {
        next = each->younger;
        each->sent.mask &= (uint8_t)~bit;
        if (each->sent.mask == 0)
            take_off(each);
    }
}
