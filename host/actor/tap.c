/*
 * tap.c -- which messages tracers want, and the records of what becomes of them.
 *
 * Names are compared with patterns once for each actor that is met: the answers are kept
 * in a small table of two words an actor, read and written without a lock.
 */
#include "actor/tap_room.h"

#include "actor/system.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

_Atomic uint32_t tap_on;
struct tracer    tap_tracers[TAP_TRACERS_MAX];
struct lock      tap_lock = { PTHREAD_MUTEX_INITIALIZER };

/* ---- Words ---------------------------------------------------------------- */

static const char *const kind_names[TAP_KIND_COUNT] = {
    "send", "ask", "reply", "failure", "timer", "start", "stop", "down", "notice", "stream",
};

const char *tap_kind_name(enum tap_kind kind)
{
    return kind_names[kind];
}

int tap_find_kind(const char *name)
{
    for (int i = 0; i < TAP_KIND_COUNT; i++)
        if (strcmp(kind_names[i], name) == 0)
            return i;
    return -1;
}

const char *tap_outcome_name(enum tap_outcome outcome)
{
    static const char *const names[] = { "handled", "failed",    "no handler", "dead letter",
                                         "refused", "sent away", "waiting",    "running" };
    return names[outcome];
}

/* What it is to people; -1: the host's own affair. A question from elsewhere is known by
 * the name that is to be answered. */
static int kind_of(const struct message *message)
{
    const struct address *origin = message->kind == MESSAGE_ORDINARY ? message->origin : NULL;
    switch ((enum message_kind)message->kind) {
    case MESSAGE_ORDINARY:
        return origin != NULL && router_is_question(address_name(origin)) ? TAP_ASK : TAP_SEND;
    case MESSAGE_ASK:      return TAP_ASK;
    case MESSAGE_REPLY:    return TAP_REPLY;
    case MESSAGE_FAILURE:  return TAP_FAILURE;
    case MESSAGE_TIMER:    return TAP_TIMER;
    case MESSAGE_START:    return TAP_START;
    case MESSAGE_STOP:     return TAP_STOP;
    case MESSAGE_DOWN:     return TAP_DOWN;
    case MESSAGE_FAIL:
    case MESSAGE_NOTICE:   return TAP_NOTICE;
    case MESSAGE_ITEM:
    case MESSAGE_STREAM:   return TAP_STREAM;
    case MESSAGE_WAKE:
    case MESSAGE_HOLD:
    case MESSAGE_EVALUATE: return -1;
    }
    return -1;
}

/* ---- Names ----------------------------------------------------------------- */

bool tap_fits(const char *pattern, const char *name)
{
    const char *star = NULL, *behind = NULL;
    while (*name != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            behind = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) { /* the star takes one more */
            pattern = star + 1;
            name = ++behind;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

/* Three bits a tracer: whether the name is what it wants as receiver, sender, either. */
#define AS_TO(bit)     ((uint32_t)(bit))
#define AS_FROM(bit)   ((uint32_t)(bit) << TAP_TRACERS_MAX)
#define AS_EITHER(bit) ((uint32_t)(bit) << 2 * TAP_TRACERS_MAX)

static uint32_t fit_of(const char *name, uint32_t on)
{
    uint32_t fit = 0;
    for (unsigned i = 0; i < TAP_TRACERS_MAX; i++) {
        const struct tracer *tracer = &tap_tracers[i];
        uint32_t bit = 1u << i;
        if (!(on & bit))
            continue;
        fit |= tracer->to[0] == '\0' || tap_fits(tracer->to, name) ? AS_TO(bit) : 0;
        fit |= tracer->from[0] == '\0' || tap_fits(tracer->from, name) ? AS_FROM(bit) : 0;
        fit |= tracer->actor[0] == '\0' || tap_fits(tracer->actor, name) ? AS_EITHER(bit) : 0;
    }
    return fit;
}

#define KNOWN_ACTORS 4096 /* a power of two */

/* `answer` is the edition, the fit, and a check that both words are of one writer:
 * 8, 24 and 32 bits. */
static struct {
    _Atomic uint64_t who;
    _Atomic uint64_t answer;
} known[KNOWN_ACTORS];
static _Atomic uint32_t edition; /* of the tracers; changed under tap_lock */

/* Who looks at messages reads the edition before tap_on, which changes first: what is
 * kept under an edition is about all tracers of it. */
struct view {
    uint64_t edition;
    uint32_t on;
};

static struct view enter(void)
{
    uint64_t now = atomic_load_explicit(&edition, memory_order_acquire);
    return (struct view){ .edition = now, .on = tap_enter() };
}

static uint32_t fit_of_actor(struct system *system, actor_id id, struct view view)
{
    if (id == 0) /* has no name: only who does not ask for one wants it */
        return fit_of("", view.on);
    uint64_t who = id ^ ((uint64_t)(uintptr_t)system << 8);
    uint64_t mixed = who * UINT64_C(0x9e3779b97f4a7c15);
    unsigned place = (unsigned)(mixed >> 52) & (KNOWN_ACTORS - 1);
    uint64_t mark = (view.edition & 0xff) << 56 | (uint32_t)mixed;
    uint64_t answer = atomic_load_explicit(&known[place].answer, memory_order_relaxed);
    if (LIKELY(atomic_load_explicit(&known[place].who, memory_order_relaxed) == who &&
               (answer & UINT64_C(0xff000000ffffffff)) == mark))
        return (uint32_t)(answer >> 32) & 0xffffffu;

    char name[ADDRESS_NAME_LIMIT + 1];
    uint32_t fit = fit_of(registry_name(&system->registry, id, name, sizeof name), view.on);
    atomic_store_explicit(&known[place].who, who, memory_order_relaxed);
    atomic_store_explicit(&known[place].answer, mark | (uint64_t)fit << 32, memory_order_relaxed);
    return fit;
}

/* The tracers are others now. One edition in 256 has the same mark as one long ago. */
static void new_edition(void)
{
    uint32_t now = atomic_fetch_add_explicit(&edition, 1, memory_order_release) + 1;
    for (unsigned i = 0; i < KNOWN_ACTORS && (now & 0xff) == 0; i++)
        atomic_store_explicit(&known[i].who, 0, memory_order_relaxed);
}

/* ---- Filters ---------------------------------------------------------------- */

#define WINDOWS_A_SECOND 100 /* the limit is for each of them, so that there are no long gaps */

static bool within_limit(struct tracer *tracer, uint64_t *now_ns)
{
    if (*now_ns == 0)
        *now_ns = tap_now();
    uint64_t window = *now_ns / (NS_PER_SEC / WINDOWS_A_SECOND);
    uint64_t before = atomic_load_explicit(&tracer->window, memory_order_relaxed);
    /* At the edge of a window two threads may let a few more through. */
    if (before != window && atomic_compare_exchange_strong_explicit(
                                &tracer->window, &before, window, memory_order_relaxed,
                                memory_order_relaxed))
        atomic_store_explicit(&tracer->taken, 0, memory_order_relaxed);
    /* What does not divide is spread over the windows of the second. */
    uint32_t index = (uint32_t)(window % WINDOWS_A_SECOND);
    uint32_t room = (uint32_t)((uint64_t)tracer->limit * (index + 1) / WINDOWS_A_SECOND -
                               (uint64_t)tracer->limit * index / WINDOWS_A_SECOND);
    if (atomic_fetch_add_explicit(&tracer->taken, 1, memory_order_relaxed) < room)
        return true;
    atomic_fetch_add_explicit(&tracer->skipped, 1, memory_order_relaxed);
    return false;
}

/* *now_ns is 0 until somebody has asked for the time. */
static bool takes(struct tracer *tracer, const struct system *system, type_id type, int kind,
                  uint32_t to_fit, uint32_t from_fit, uint64_t *now_ns)
{
    uint32_t bit = tracer->bit;
    if (tracer->system != system || !(tracer->kinds & 1u << kind) ||
        (tracer->type != TYPE_NONE && tracer->type != type_alike(type)) || !(to_fit & AS_TO(bit)) ||
        !(from_fit & AS_FROM(bit)) || !((to_fit | from_fit) & AS_EITHER(bit)))
        return false;
    if (tracer->sample > 1 &&
        atomic_fetch_add_explicit(&tracer->seen, 1, memory_order_relaxed) % tracer->sample != 0)
        return false;
    return within_limit(tracer, now_ns);
}

static uint8_t takers(uint32_t on, const struct system *system, type_id type, int kind,
                      uint32_t to_fit, uint32_t from_fit, uint64_t *now_ns)
{
    uint32_t mask = 0;
    for (unsigned i = 0; i < TAP_TRACERS_MAX; i++)
        if ((on & 1u << i) && takes(&tap_tracers[i], system, type, kind, to_fit, from_fit, now_ns))
            mask |= 1u << i;
    return (uint8_t)mask;
}

/* ---- Records ---------------------------------------------------------------- */

static uint64_t place_of(const struct message *message)
{
    return (uint64_t)(uintptr_t)message;
}

static const struct address *origin_of(const struct message *message)
{
    bool has = message->kind == MESSAGE_ORDINARY || message->kind == MESSAGE_ASK ||
               message->kind == MESSAGE_REPLY;
    return has ? message->origin : NULL;
}

/* The name of an actor of this host. */
static void name_of(struct system *system, actor_id id, char *name, size_t room)
{
    const struct actor *here =
        worker_self != NULL ? atomic_load_explicit(&worker_self->running, memory_order_relaxed) : NULL;
    if (id == 0)
        name[0] = '\0';
    else if (here != NULL && here->system == system && actor_self(here) == id)
        snprintf(name, room, "%s", here->name); /* it runs on this thread: its name stays */
    else
        registry_name(&system->registry, id, name, room);
}

static void sender_of(struct system *system, const struct message *message, char *name, size_t room)
{
    const struct address *origin = origin_of(message);
    if (origin != NULL)
        snprintf(name, room, "%s@%s", address_name(origin), address_endpoint(origin));
    else
        name_of(system, message->from, name, room);
}

static uint8_t add_text(struct tap_record *record, size_t *used, const char *text, size_t most)
{
    size_t size = strlen(text);
    if (size > most)
        size = most;
    if (size > TAP_TEXT - *used)
        size = TAP_TEXT - *used;
    memcpy(record->text + *used, text, size);
    *used += size;
    return (uint8_t)size;
}

static void add_payload(struct tap_record *record, size_t used, const struct message *message)
{
    const struct message *content = message->kind == MESSAGE_TIMER ? timer_peek(message) : message;
    size_t shown = content->size < TAP_PAYLOAD ? content->size : TAP_PAYLOAD;
    if (shown > TAP_TEXT - used)
        shown = TAP_TEXT - used;
    memcpy(record->text + used, content->payload, shown);
    record->shown = (uint8_t)shown;
    record->size = content->size;
}

static void fill(struct tap_record *record, enum tap_event event, uint64_t now_ns,
                 struct system *system, const struct message *message, int kind, uint8_t mask)
{
    record->time_ns = now_ns;
    record->message = place_of(message);
    record->event = (uint8_t)event;
    record->system = system;
    record->from_id = message->from;
    record->to_id = message->to;
    record->request = message->request;
    record->type = message->type;
    record->kind = (uint8_t)kind;
    record->mask = mask;
    record->reason = message->reason;
    record->detail_size = 0;
}

static void note_sent(struct system *system, struct message *message, int kind, struct view view)
{
    char from[ADDRESS_NAME_LIMIT + ADDRESS_ENDPOINT_LIMIT + 2], to[ADDRESS_NAME_LIMIT + 1];
    uint64_t now_ns = 0;
    uint32_t to_fit = fit_of_actor(system, message->to, view), from_fit;
    bool remote = origin_of(message) != NULL;
    if (remote) {
        sender_of(system, message, from, sizeof from);
        from_fit = fit_of(from, view.on) | fit_of(address_name(origin_of(message)), view.on);
    } else {
        from_fit = fit_of_actor(system, message->from, view);
    }
    uint8_t mask = takers(view.on, system, message->type, kind, to_fit, from_fit, &now_ns);
    struct tap_record *record = mask != 0 ? tap_claim(true) : NULL;
    if (record == NULL)
        return;
    if (!remote)
        sender_of(system, message, from, sizeof from);
    name_of(system, message->to, to, sizeof to);
    size_t used = 0;
    fill(record, TAP_EVENT_SENT, now_ns, system, message, kind, mask);
    record->to_size = add_text(record, &used, to, TAP_NAME);
    record->from_size = add_text(record, &used, from, TAP_NAME);
    add_payload(record, used, message);
    tap_publish(record);
    message->flags |= MESSAGE_TRACED;
}

void tap_sent(struct system *system, struct message *message)
{
    int kind = kind_of(message);
    message->flags &= (uint8_t)~MESSAGE_TRACED; /* it may come again */
    if (kind < 0)
        return;
    struct view view = enter();
    if (view.on != 0)
        note_sent(system, message, kind, view);
    tap_leave();
}

struct tap_record *tap_passing(struct system *system, const struct message *message, const char *to)
{
    char from[ADDRESS_NAME_LIMIT + ADDRESS_ENDPOINT_LIMIT + 2];
    int kind = kind_of(message);
    if (kind < 0)
        return NULL;
    if (kind == TAP_SEND && router_is_question(to))
        kind = TAP_REPLY;
    sender_of(system, message, from, sizeof from);
    uint64_t now_ns = 0;
    struct view view = enter();
    uint8_t mask = takers(view.on, system, message->type, kind, fit_of(to, view.on),
                          fit_of(from, view.on), &now_ns);
    tap_leave();
    struct tap_record *record = mask != 0 ? tap_claim(true) : NULL;
    if (record == NULL)
        return NULL;
    size_t used = 0;
    fill(record, TAP_EVENT_PASSED, now_ns, system, message, kind, mask);
    record->to_size = add_text(record, &used, to, TAP_NAME);
    record->from_size = add_text(record, &used, from, TAP_NAME);
    add_payload(record, used, message);
    return record;
}

void tap_passed(struct tap_record *record, enum tap_outcome outcome, const char *detail)
{
    if (record == NULL)
        return;
    size_t used = (size_t)record->to_size + record->from_size + record->shown;
    record->outcome = (uint8_t)outcome;
    record->detail_size = add_text(record, &used, detail != NULL ? detail : "", TAP_PAYLOAD);
    tap_publish(record);
}

static void note(const struct message *message, enum tap_event event, uint64_t request)
{
    struct tap_record *record = tap_is_on() ? tap_claim(false) : NULL;
    if (record == NULL)
        return;
    record->time_ns = tap_now();
    record->message = place_of(message);
    record->event = (uint8_t)event;
    record->request = request;
    tap_publish(record);
}

void tap_began(const struct message *message)
{
    note(message, TAP_EVENT_BEGAN, 0);
}

static void moved_or_over(const struct message *message, const struct message *other)
{
    if (other != NULL)
        note(message, TAP_EVENT_MOVED, place_of(other));
    else
        note(message, TAP_EVENT_OVER, 0);
}

void tap_refused(struct message *message, enum tap_outcome outcome, const char *detail)
{
    message->flags &= (uint8_t)~MESSAGE_TRACED; /* that is the end of it */
    struct tap_record *record = tap_is_on() ? tap_claim(false) : NULL;
    if (record == NULL)
        return;
    size_t used = 0;
    record->time_ns = tap_now();
    record->message = place_of(message);
    record->event = TAP_EVENT_REFUSED;
    record->to_size = record->from_size = record->shown = 0;
    record->outcome = (uint8_t)outcome;
    record->detail_size = add_text(record, &used, detail != NULL ? detail : "", TAP_PAYLOAD);
    tap_publish(record);
}

/* ---- Tracers ------------------------------------------------------------------ */

static bool copy_pattern(char *to, const char *from)
{
    size_t size = from != NULL ? strlen(from) : 0;
    if (size > TAP_NAME || (from != NULL && size == 0))
        return false;
    memcpy(to, from != NULL ? from : "", size + 1);
    return true;
}

static int set_up(struct tracer *tracer, struct system *system, const struct tap_filter *filter)
{
    if (!copy_pattern(tracer->to, filter->to) || !copy_pattern(tracer->from, filter->from) ||
        !copy_pattern(tracer->actor, filter->actor))
        return -EINVAL;
    tracer->type = TYPE_NONE;
    if (filter->type != NULL) {
        tracer->type = type_alike(type_intern(filter->type, strlen(filter->type)));
        if (tracer->type == TYPE_NONE)
            return -EINVAL;
    }
    tracer->system = system;
    tracer->kinds = filter->kinds != 0 ? filter->kinds : ~0u;
    tracer->sample = filter->sample;
    tracer->limit = filter->limit != 0 ? filter->limit : TAP_LIMIT_DEFAULT;
    atomic_store_explicit(&tracer->seen, 0, memory_order_relaxed);
    atomic_store_explicit(&tracer->taken, 0, memory_order_relaxed);
    atomic_store_explicit(&tracer->skipped, 0, memory_order_relaxed);
    return 0;
}

static struct tracer *find_free_locked(void)
{
    for (unsigned i = 0; i < TAP_TRACERS_MAX; i++) {
        if (tap_tracers[i].used)
            continue;
        tap_tracers[i].bit = 1u << i;
        return &tap_tracers[i];
    }
    return NULL;
}

int tracer_open(struct tracer **opened, struct system *system, const struct tap_filter *filter,
                void (*show)(void *context, const struct tap_line *line), void *context)
{
    lock_acquire(&tap_lock);
    struct tracer *tracer = find_free_locked();
    int error = tracer != NULL ? set_up(tracer, system, filter) : -EBUSY;
    if (error == 0)
        error = tap_rings_make();
    if (error == 0)
        error = tap_lines_open();
    if (error == 0) {
        if (message_traced == NULL) /* who reads it has it from a message of somebody who saw tap_on */
            message_traced = moved_or_over;
        tracer->show = show;
        tracer->context = context;
        tracer->opened_ns = tap_now();
        tracer->lost_before = tap_rings_lost();
        tracer->used = true;
        atomic_fetch_or_explicit(&tap_on, tracer->bit, memory_order_seq_cst);
        new_edition();
        *opened = tracer;
    }
    lock_release(&tap_lock);
    return error;
}

void tracer_close(struct tracer *tracer)
{
    if (tracer == NULL)
        return;
    lock_acquire(&tap_lock);
    uint32_t before = atomic_fetch_and_explicit(&tap_on, ~tracer->bit, memory_order_seq_cst);
    tap_await_leave();
    new_edition();
    tap_lines_forget(tracer->bit);
    if ((before & ~tracer->bit) == 0)
        tap_lines_close();
    tracer->used = false;
    lock_release(&tap_lock);
}

void tracer_missed(const struct tracer *tracer, uint64_t *skipped, uint64_t *lost)
{
    *skipped = atomic_load_explicit(&tracer->skipped, memory_order_relaxed);
    *lost = tap_rings_lost() - tracer->lost_before;
}

#define IN_ORDER_NS (10 * NS_PER_MS) /* a writer may have been held up for as long */

void tap_collect(bool all)
{
    lock_acquire(&tap_lock);
    uint64_t now_ns = tap_now();
    struct tap_record **records;
    size_t count = tap_gather(all ? UINT64_MAX : now_ns - IN_ORDER_NS, &records);
    for (size_t i = 0; i < count; i++)
        tap_lines_take(records[i]);
    tap_release();
    tap_lines_slow(now_ns);
    lock_release(&tap_lock);
}
