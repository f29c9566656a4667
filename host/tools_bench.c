/*
 * tools_bench.c -- `troupe bench`: how fast an actor elsewhere answers, or takes
 * what it is sent, measured where the frames are.
 *
 * No actor and no switch of threads lies between a frame and its time: an
 * answer is timed on the gateway's thread as it comes in, and with it that
 * thread sends the next question. The command line's thread only begins,
 * paces (with a rate), and sweeps for questions that got no answer.
 *
 * A question of slot s goes out as "bench/ask#n" with n % window == s; an answer
 * to an earlier n of the slot is late. Without a rate, times run from the
 * sending; with one, from when the question was due.
 */
#include "tools.h"

#include "base/histogram.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SENDER         "bench"
#define ASK_PREFIX     SENDER "/ask#"
#define SWEEP_NS       (20 * NS_PER_MS)
#define GIVE_UP_AFTER  10  /* questions in a row without an answer, if any ever got one;
                            * or Rejects, if none did */
#define SENDS_AT_ONCE  64  /* before the clock is looked at */

struct slot {
    uint64_t number;  /* of its question; it changes with each */
    uint64_t from_ns; /* its time runs from here */
    uint64_t sent_ns; /* its deadline from here */
    bool     busy;
};

struct bench {
    struct host           *host;
    struct address        *to;      /* counted; fixed, as all here */
    struct tools_bench     options; /* without its texts */
    type_id                type;
    struct bytes           payload;
    uint64_t               began_ns;

    struct lock      lock;
    struct signal    changed;    /* a slot is idle again, or all is done */
    struct slot     *slots;      /* guarded by lock, as all here; NULL: it sends */
    uint64_t         begun, done, timed_out, rejected, unreachable, late;
    uint64_t         in_a_row;   /* not answered, since the last answer */
    uint64_t         ended_ns;   /* when the last one was done */
    uint64_t         next_due_ns; /* with a rate */
    bool             over, interrupted, given_up;
    char             why[512];
    struct histogram histogram;
};

static uint64_t now_ns(struct bench *bench)
{
    return clock_now(&bench->host->system.clock);
}

static bool has_slots(const struct bench *bench)
{
    return bench->options.asks;
}

/* ---- One message leaves ------------------------------------------------- */

/* Any thread, with no lock held. */
static enum router_answer carry(struct bench *bench, const char *from, char *why, size_t room)
{
    struct remote_port *remote = &bench->host->system.remote;
    struct message     *message = message_new(MESSAGE_ORDINARY, bench->type, bench->payload.data,
                                              bench->payload.size);
    if (message == NULL) {
        snprintf(why, room, "out of memory");
        return ROUTER_UNREACHABLE;
    }
    enum router_answer answer =
        remote->carry(remote->context, bench->to, from, &message, why, room);
    message_free(message);
    return answer;
}

static void note_why_locked(struct bench *bench, const char *why)
{
    if (bench->why[0] == '\0')
        snprintf(bench->why, sizeof bench->why, "%s", why);
}

static void look_whether_over_locked(struct bench *bench)
{
    uint64_t ended = bench->done + bench->timed_out + bench->rejected + bench->unreachable;
    if (ended == bench->options.count)
        bench->over = true;
    if (bench->over)
        signal_all(&bench->changed);
}

/* ---- Asking ------------------------------------------------------------- */

/* Takes an idle slot for the next question. False: all have begun. */
static bool begin_locked(struct bench *bench, struct slot *slot, uint64_t from_ns)
{
    if (bench->over || bench->begun == bench->options.count)
        return false;
    bench->begun++;
    slot->number += bench->options.window;
    slot->from_ns = from_ns;
    slot->busy = true;
    return true;
}

static void failed(struct bench *bench, struct slot *slot, uint64_t number, const char *why)
{
    lock_acquire(&bench->lock);
    if (slot->busy && slot->number == number) {
        slot->busy = false;
        bench->unreachable++;
        bench->in_a_row++;
        note_why_locked(bench, why);
        look_whether_over_locked(bench);
    }
    lock_release(&bench->lock);
}

/* Sends the question that the slot was taken for; nobody else touches the slot
 * until an answer to it may come. */
static void ask(struct bench *bench, struct slot *slot, uint64_t number)
{
    char from[sizeof ASK_PREFIX + 20], why[HOST_WHY];
    snprintf(from, sizeof from, ASK_PREFIX "%llu", (unsigned long long)number);
    if (carry(bench, from, why, sizeof why) != ROUTER_OK)
        failed(bench, slot, number, why);
}

/* The reason that a Reject gives. */
static void note_reject_locked(struct bench *bench, const struct message *reject)
{
    const uint8_t   *at = reject->size > 0 ? pack_field(reject->payload, "reason") : NULL;
    struct pack_item item = { .tag = PACK_NULL };
    char             why[HOST_WHY];
    if (at != NULL)
        pack_read(at, &item);
    if (item.tag == PACK_STRING)
        snprintf(why, sizeof why, "%.*s", (int)item.size, item.text);
    else
        snprintf(why, sizeof why, "rejected, without a reason");
    note_why_locked(bench, why);
}

static void answered_locked(struct bench *bench, struct slot *slot, const struct message *answer,
                            uint64_t now)
{
    slot->busy = false;
    bench->in_a_row = 0;
    bench->ended_ns = now;
    if (answer->type == TYPE_REJECT) {
        bench->rejected++;
        note_reject_locked(bench, answer);
        if (bench->done == 0 && bench->rejected == GIVE_UP_AFTER)
            bench->given_up = bench->over = true;
    } else {
        bench->done++;
        histogram_add(&bench->histogram, now - slot->from_ns);
    }
    look_whether_over_locked(bench);
}

/* The gateway's thread: an answer. */
static bool intercept(void *context, const char *receiver, struct message **message)
{
    struct bench *bench = context;
    if (!has_slots(bench) || strncmp(receiver, ASK_PREFIX, strlen(ASK_PREFIX)) != 0)
        return false;
    char    *end;
    uint64_t number = strtoull(receiver + strlen(ASK_PREFIX), &end, 10);
    if (*end != '\0')
        return false;
    struct slot *slot = &bench->slots[number % bench->options.window];
    uint64_t     now = now_ns(bench), next = 0;

    lock_acquire(&bench->lock);
    if (!slot->busy || slot->number != number) {
        bench->late++;
    } else {
        answered_locked(bench, slot, *message, now);
        if (bench->options.rate > 0)
            signal_all(&bench->changed);
        else if (begin_locked(bench, slot, now))
            next = slot->number;
        slot->sent_ns = now;
    }
    lock_release(&bench->lock);
    message_free(*message);
    *message = NULL;
    if (next != 0)
        ask(bench, slot, next);
    return true;
}

/* Questions whose deadline has passed. */
static void sweep(struct bench *bench, uint64_t now)
{
    bool connected = gateway_peer_state(bench->host->gateway, address_endpoint(bench->to)) ==
                     PEER_CONNECTED;
    uint64_t patience_ns = bench->options.timeout_ms * NS_PER_MS;

    lock_acquire(&bench->lock);
    for (uint32_t i = 0; i < bench->options.window; i++) {
        struct slot *slot = &bench->slots[i];
        if (!slot->busy || now < slot->sent_ns + patience_ns)
            continue;
        slot->busy = false;
        *(connected ? &bench->timed_out : &bench->unreachable) += 1;
        bench->in_a_row++;
        bench->ended_ns = now;
        note_why_locked(bench, connected ? "no answer in time" : "the connection was lost");
    }
    bool ever = bench->done + bench->rejected > 0;
    if (bench->in_a_row >= (ever ? GIVE_UP_AFTER : 1) &&
        bench->in_a_row >= bench->options.window) {
        bench->given_up = true;
        bench->over = true;
    }
    look_whether_over_locked(bench);
    lock_release(&bench->lock);
}

/* Gives idle slots their questions: all of them, or those that are due. */
static void begin_questions(struct bench *bench, uint64_t now)
{
    for (uint32_t i = 0; i < bench->options.window; i++) {
        struct slot *slot = &bench->slots[i];
        uint64_t     next = 0;
        bool         paced = bench->options.rate > 0;
        lock_acquire(&bench->lock);
        bool due = !paced || bench->next_due_ns <= now;
        if (due && !slot->busy && begin_locked(bench, slot, paced ? bench->next_due_ns : now)) {
            next = slot->number;
            slot->sent_ns = now;
            if (paced)
                bench->next_due_ns =
                    bench->began_ns +
                    (uint64_t)((double)bench->begun / bench->options.rate * (double)NS_PER_SEC);
        }
        lock_release(&bench->lock);
        if (next != 0)
            ask(bench, slot, next);
        else if (!due)
            return;
    }
}

/* Waits until a slot is idle and its question due, or until `until_ns`. */
static void wait_for_more(struct bench *bench, uint64_t until_ns)
{
    lock_acquire(&bench->lock);
    if (bench->options.rate > 0 && bench->begun < bench->options.count) {
        bool idle = false;
        for (uint32_t i = 0; i < bench->options.window && !idle; i++)
            idle = !bench->slots[i].busy;
        if (idle && bench->next_due_ns < until_ns)
            until_ns = bench->next_due_ns;
    }
    if (!bench->over)
        signal_wait_until(&bench->changed, &bench->lock, until_ns);
    lock_release(&bench->lock);
}

static bool is_over(struct bench *bench)
{
    lock_acquire(&bench->lock);
    bool over = bench->over;
    lock_release(&bench->lock);
    return over;
}

static void go_on_asking(struct bench *bench, uint64_t until_ns)
{
    uint64_t swept_ns = 0;
    for (;;) {
        uint64_t now = now_ns(bench);
        if (now >= swept_ns + SWEEP_NS) {
            sweep(bench, now);
            swept_ns = now;
        }
        if (now >= until_ns || is_over(bench))
            return;
        begin_questions(bench, now);
        wait_for_more(bench, until_ns < swept_ns + SWEEP_NS ? until_ns : swept_ns + SWEEP_NS);
    }
}

/* ---- Sending ------------------------------------------------------------ */

/* It never got so far: what has not been begun is unreachable. */
static void end_sending(struct bench *bench, const char *why)
{
    lock_acquire(&bench->lock);
    note_why_locked(bench, why);
    bench->unreachable = bench->options.count - bench->done;
    bench->given_up = true;
    bench->over = true;
    lock_release(&bench->lock);
}

/* When the next one is due; 0 without a rate. */
static uint64_t send_due_ns(const struct bench *bench)
{
    if (bench->options.rate <= 0)
        return 0;
    return bench->began_ns +
           (uint64_t)((double)bench->begun / bench->options.rate * (double)NS_PER_SEC);
}

/* Sends until the queue is full, it is late, or all are sent. False: no way. */
static bool send_some(struct bench *bench, uint64_t until_ns)
{
    char why[HOST_WHY];
    for (unsigned sent = 1; bench->begun < bench->options.count; sent++) {
        uint64_t due_ns = send_due_ns(bench);
        if ((due_ns != 0 || sent % SENDS_AT_ONCE == 0) && now_ns(bench) >= until_ns)
            return true;
        if (due_ns > now_ns(bench)) {
            lock_acquire(&bench->lock);
            signal_wait_until(&bench->changed, &bench->lock,
                              due_ns < until_ns ? due_ns : until_ns);
            lock_release(&bench->lock);
            continue;
        }
        switch (carry(bench, NULL, why, sizeof why)) {
        case ROUTER_OK:
            lock_acquire(&bench->lock);
            bench->begun++;
            lock_release(&bench->lock);
            break;
        case ROUTER_FULL:
            return true;
        default:
            end_sending(bench, why);
            return false;
        }
    }
    return true;
}

/* How far the network has taken them. */
static void note_progress(struct bench *bench)
{
    uint64_t waiting = gateway_waiting(bench->host->gateway, address_endpoint(bench->to));
    uint64_t now = now_ns(bench);

    lock_acquire(&bench->lock);
    uint64_t done = bench->begun > waiting ? bench->begun - waiting : 0;
    if (done > bench->done) {
        bench->done = done;
        bench->ended_ns = now;
    }
    bench->over = bench->done == bench->options.count;
    bool stuck = now > bench->ended_ns + bench->options.timeout_ms * NS_PER_MS;
    lock_release(&bench->lock);
    if (stuck && waiting > 0)
        end_sending(bench, "what was sent is not taken any more");
}

/* A full queue and the last messages wait for the network. */
static void go_on_sending(struct bench *bench, uint64_t until_ns)
{
    if (!send_some(bench, until_ns))
        return;
    if (now_ns(bench) < until_ns || bench->begun == bench->options.count)
        gateway_flush(bench->host->gateway, address_endpoint(bench->to), until_ns);
    note_progress(bench);
}

/* ---- Opening, measuring, closing ---------------------------------------- */

static int prepare(struct bench *bench, const struct tools_bench *options, char *why, size_t room)
{
    struct message *first;
    int error = host_compose(MESSAGE_ORDINARY, options->to, options->type, options->json,
                             &bench->to, &first, why, room);
    if (error != 0)
        return error;
    bench->type = first->type;
    bytes_append(&bench->payload, first->payload, first->size);
    message_free(first);
    if (bench->payload.failed) {
        snprintf(why, room, "out of memory");
        return -ENOMEM;
    }
    bench->options = *options;
    bench->options.to = bench->options.type = bench->options.json = NULL;
    if (!options->asks)
        return 0;
    bench->slots = memory_get_zeroed(options->window * sizeof *bench->slots);
    if (bench->slots == NULL) {
        snprintf(why, room, "out of memory");
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < options->window; i++)
        bench->slots[i].number = i;
    return 0;
}

static int connect_host(struct bench *bench, char *why, size_t room)
{
    int error = tools_make_host(&bench->host, &(struct tools_listen){ .security = bench->options.security },
                                why, room);
    if (error != 0)
        return error;
    bench->host->system.intercept = intercept;
    bench->host->system.intercept_context = bench;
    error = host_start(bench->host);
    if (error != 0) {
        snprintf(why, room, "the host's threads cannot be started: %s", strerror(-error));
        return error;
    }
    const char *endpoint = address_endpoint(bench->to);
    uint64_t    deadline_ns = now_ns(bench) + bench->options.timeout_ms * NS_PER_MS;
    if (*endpoint == '\0' || !gateway_connect(bench->host->gateway, endpoint, deadline_ns, why, room))
        return -EHOSTUNREACH;
    bench->began_ns = bench->next_due_ns = bench->ended_ns = now_ns(bench);
    return 0;
}

int tools_bench_open(struct bench **out, const struct tools_bench *options, char *why, size_t room)
{
    struct bench *bench = memory_get_zeroed(sizeof *bench);
    if (bench == NULL) {
        snprintf(why, room, "out of memory");
        return -ENOMEM;
    }
    lock_init(&bench->lock);
    signal_init(&bench->changed);
    bytes_init(&bench->payload, 0);
    tools_take_signals();
    int error = prepare(bench, options, why, room);
    if (error == 0)
        error = connect_host(bench, why, room);
    if (error != 0)
        tools_bench_close(bench);
    else
        *out = bench;
    return error;
}

void tools_bench_go_on(struct bench *bench, uint64_t for_ms)
{
    uint64_t until_ns = now_ns(bench) + for_ms * NS_PER_MS;
    if (tools_signal() != 0) {
        lock_acquire(&bench->lock);
        bench->interrupted = bench->over = true;
        lock_release(&bench->lock);
    }
    if (is_over(bench))
        return;
    if (has_slots(bench))
        go_on_asking(bench, until_ns);
    else
        go_on_sending(bench, until_ns);
}

void tools_bench_read(struct bench *bench, struct tools_measured *measured)
{
    lock_acquire(&bench->lock);
    const struct histogram *histogram = &bench->histogram;
    *measured = (struct tools_measured){
        .begun = bench->begun,
        .done = bench->done,
        .timed_out = bench->timed_out,
        .rejected = bench->rejected,
        .unreachable = bench->unreachable,
        .late = bench->late,
        .elapsed_ns = (bench->over ? bench->ended_ns : now_ns(bench)) - bench->began_ns,
        .least_ns = histogram->least,
        .mean_ns = histogram->count > 0 ? histogram->sum / histogram->count : 0,
        .p50_ns = histogram_quantile(histogram, 0.5),
        .p90_ns = histogram_quantile(histogram, 0.9),
        .p99_ns = histogram_quantile(histogram, 0.99),
        .p999_ns = histogram_quantile(histogram, 0.999),
        .greatest_ns = histogram->greatest,
        .over = bench->over,
        .interrupted = bench->interrupted,
        .given_up = bench->given_up,
    };
    memcpy(measured->why, bench->why, sizeof measured->why);
    lock_release(&bench->lock);
}

void tools_bench_close(struct bench *bench)
{
    if (bench == NULL)
        return;
    host_free(bench->host); /* it has no actors: nothing can be stuck */
    if (bench->slots != NULL)
        memory_put(bench->slots, bench->options.window * sizeof *bench->slots);
    address_unref(bench->to);
    bytes_fini(&bench->payload);
    signal_fini(&bench->changed);
    lock_fini(&bench->lock);
    memory_put(bench, sizeof *bench);
}
