/* test_mailbox.c -- the promises of mailbox.h, alone and under many threads. */
#include "actor/mailbox.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct message *make(actor_id from, uint64_t number, enum message_lane lane)
{
    struct message *message = message_new(MESSAGE_ORDINARY, TYPE_TIMEOUT, "12345678", 8);
    assert(message != NULL);
    message->from = from;
    message->request = number;
    message->lane = (uint8_t)lane;
    return message;
}

static enum mailbox_answer put(struct mailbox *box, uint64_t number, enum message_lane lane)
{
    struct message *dropped, *message = make(1, number, lane);
    enum mailbox_answer answer = mailbox_put(box, &message, false, &dropped);
    assert(dropped == NULL);
    message_free(message);
    return answer;
}

static uint64_t take_with(struct mailbox *box, enum appetite appetite, mailbox_chooser *chooses,
                          void *context)
{
    struct message *wakes;
    struct message *message = mailbox_take(box, appetite, chooses, context, &wakes);
    assert(wakes == NULL);
    uint64_t number = message != NULL ? message->request : 0;
    message_free(message);
    return number;
}

static uint64_t take(struct mailbox *box)
{
    return take_with(box, APPETITE_ALL, NULL, NULL);
}

static void close_empty(struct mailbox *box)
{
    struct message *messages;
    struct parked *parked;
    mailbox_close(box, &messages, &parked);
    assert(messages == NULL && parked == NULL);
}

/* Control overtakes high, high overtakes ordinary; in a lane order is kept. */
static void test_lanes(void)
{
    struct mailbox box = { .top = NULL };
    mailbox_open(&box, &MAILBOX_OPTIONS_DEFAULT);
    put(&box, 1, LANE_ORDINARY);
    put(&box, 2, LANE_ORDINARY);
    assert(take(&box) == 1);
    put(&box, 3, LANE_HIGH);
    put(&box, 4, LANE_CONTROL);
    put(&box, 5, LANE_CONTROL);
    put(&box, 6, LANE_HIGH);
    uint64_t order[] = { 4, 5, 3, 6, 2, 0 };
    for (size_t i = 0; i < ARRAY_LENGTH(order); i++)
        assert(take(&box) == order[i]);
    close_empty(&box);
}

static bool is_five(void *context, const struct message *message)
{
    (void)context;
    return message->request == 5;
}

/* Notices come between control and high, have room in a full box, and wait while a
 * handler waits, unless that waits for them. */
static void test_notices(void)
{
    struct mailbox_options options = MAILBOX_OPTIONS_DEFAULT;
    struct mailbox box = { .top = NULL };
    options.limit = 1;
    mailbox_open(&box, &options);
    assert(put(&box, 1, LANE_ORDINARY) == MAILBOX_OK);
    assert(put(&box, 2, LANE_HIGH) == MAILBOX_FULL);
    assert(put(&box, 3, LANE_NOTICE) == MAILBOX_OK);
    assert(put(&box, 4, LANE_CONTROL) == MAILBOX_OK);
    assert(put(&box, 5, LANE_NOTICE) == MAILBOX_OK);
    assert(mailbox_length(&box) == 1);
    assert(take_with(&box, APPETITE_CONTROL, NULL, NULL) == 4);
    assert(take_with(&box, APPETITE_CONTROL, NULL, NULL) == 0);
    assert(take_with(&box, APPETITE_CHOSEN, is_five, NULL) == 5);
    assert(take_with(&box, APPETITE_CHOSEN, is_five, NULL) == 0);
    assert(take(&box) == 3);
    assert(take(&box) == 1);
    close_empty(&box);
}

/* A put into a sleeping box answers WOKE, once; a closed box refuses. */
static void test_sleeping(void)
{
    struct mailbox box = { .top = NULL };
    mailbox_open(&box, &MAILBOX_OPTIONS_DEFAULT);
    assert(mailbox_sleep(&box));
    assert(put(&box, 1, LANE_ORDINARY) == MAILBOX_WOKE);
    assert(put(&box, 2, LANE_ORDINARY) == MAILBOX_OK);
    assert(!mailbox_sleep(&box));
    assert(take(&box) == 1 && take(&box) == 2 && take(&box) == 0);
    assert(mailbox_sleep(&box));
    close_empty(&box);
    assert(put(&box, 3, LANE_ORDINARY) == MAILBOX_CLOSED);
    assert(put(&box, 3, LANE_CONTROL) == MAILBOX_CLOSED);
}

/* The limit holds in messages and in bytes; control and reserved ignore it; a
 * message larger than the box fits into an empty one. */
static void test_bounds(void)
{
    struct mailbox box = { .top = NULL };
    mailbox_open(&box, &(struct mailbox_options){ .limit = 3, .bytes = 1000000 });
    for (uint64_t i = 1; i <= 3; i++)
        assert(put(&box, i, LANE_ORDINARY) == MAILBOX_OK);
    assert(put(&box, 4, LANE_ORDINARY) == MAILBOX_FULL);
    assert(put(&box, 4, LANE_HIGH) == MAILBOX_FULL);
    assert(put(&box, 9, LANE_CONTROL) == MAILBOX_OK);
    assert(mailbox_length(&box) == 3);
    assert(take(&box) == 9 && take(&box) == 1);
    assert(put(&box, 4, LANE_ORDINARY) == MAILBOX_OK);
    while (take(&box) != 0)
        continue;
    assert(mailbox_length(&box) == 0 && mailbox_bytes(&box) == 0);
    close_empty(&box);

    mailbox_open(&box, &(struct mailbox_options){ .limit = 100, .bytes = 10 });
    assert(put(&box, 1, LANE_ORDINARY) == MAILBOX_OK);
    assert(put(&box, 2, LANE_ORDINARY) == MAILBOX_FULL);
    assert(take(&box) == 1 && take(&box) == 0);
    close_empty(&box);
}

/* What was taken is no longer in the box, although its room is given back in
 * lots; what waits for room is not in it yet, but would be lost with it. */
static void test_length(void)
{
    struct mailbox box = { .top = NULL };
    struct message *messages, *wait = make(2, 101, LANE_ORDINARY);
    struct parked *parked;
    mailbox_open(&box, &(struct mailbox_options){ .limit = 100, .bytes = 1000000 });
    for (uint64_t i = 1; i <= 100; i++)
        assert(put(&box, i, LANE_ORDINARY) == MAILBOX_OK);
    assert(put(&box, 200, LANE_CONTROL) == MAILBOX_OK);
    assert(mailbox_length(&box) == 100 && mailbox_unhandled(&box) == 100);
    uint64_t one = mailbox_bytes(&box) / 100;
    assert(mailbox_park(&box, &wait, NULL) == MAILBOX_PARKED);
    assert(mailbox_length(&box) == 100 && mailbox_unhandled(&box) == 101);
    assert(take(&box) == 200 && take(&box) == 1 && take(&box) == 2);
    assert(mailbox_length(&box) == 98 && mailbox_unhandled(&box) == 99);
    assert(mailbox_bytes(&box) == 98 * one);
    mailbox_close(&box, &messages, &parked);
    while (messages != NULL) {
        struct message *each = messages;
        messages = atomic_load(&each->next);
        message_free(each);
    }
    message_free(parked->message);
    memory_put(parked, sizeof *parked);
}

/* drop_old keeps the newest, in order, and hands over what made room. */
static void test_drop_old(void)
{
    struct mailbox box = { .top = NULL };
    mailbox_open(&box, &(struct mailbox_options){ .limit = 3, .bytes = 1000000,
                                                  .overflow = OVERFLOW_DROP_OLD });
    uint64_t dropped_sum = 0;
    for (uint64_t i = 1; i <= 10; i++) {
        struct message *dropped, *message = make(1, i, LANE_ORDINARY);
        assert(mailbox_put(&box, &message, false, &dropped) == MAILBOX_OK);
        while (dropped != NULL) {
            struct message *each = dropped;
            dropped = atomic_load(&each->next);
            dropped_sum += each->request;
            message_free(each);
        }
    }
    assert(dropped_sum == 1 + 2 + 3 + 4 + 5 + 6 + 7);
    assert(take(&box) == 8 && take(&box) == 9 && take(&box) == 10 && take(&box) == 0);
    close_empty(&box);

    /* One that is larger than the whole box fits into an empty one. */
    mailbox_open(&box, &(struct mailbox_options){ .limit = 3, .bytes = 10,
                                                  .overflow = OVERFLOW_DROP_OLD });
    assert(put(&box, 1, LANE_ORDINARY) == MAILBOX_OK);
    assert(take(&box) == 1 && take(&box) == 0);
    close_empty(&box);
}

static bool is_even(void *context, const struct message *message)
{
    (void)context;
    return message->request % 2 == 0;
}

/* Selective taking leaves the others in order; control comes all the same. */
static void test_choosing(void)
{
    struct mailbox box = { .top = NULL };
    mailbox_open(&box, &MAILBOX_OPTIONS_DEFAULT);
    for (uint64_t i = 1; i <= 5; i++)
        put(&box, i, LANE_ORDINARY);
    mailbox_reconsider(&box);
    assert(take_with(&box, APPETITE_CONTROL, is_even, NULL) == 0);
    assert(take_with(&box, APPETITE_CHOSEN, is_even, NULL) == 2);
    assert(take_with(&box, APPETITE_CHOSEN, is_even, NULL) == 4);
    assert(take_with(&box, APPETITE_CHOSEN, is_even, NULL) == 0);
    put(&box, 7, LANE_ORDINARY);
    put(&box, 6, LANE_ORDINARY);
    put(&box, 100, LANE_CONTROL);
    assert(take_with(&box, APPETITE_CHOSEN, is_even, NULL) == 100);
    assert(take_with(&box, APPETITE_CHOSEN, is_even, NULL) == 6);
    uint64_t rest[] = { 1, 3, 5, 7, 0 };
    for (size_t i = 0; i < ARRAY_LENGTH(rest); i++)
        assert(take(&box) == rest[i]);
    close_empty(&box);
}

/* A parked message is stored when there is room, after what its sender sent
 * before, and its sender is woken; it can be taken back while it waits. */
static void test_parking(void)
{
    struct mailbox box = { .top = NULL };
    mailbox_open(&box, &(struct mailbox_options){ .limit = 2, .bytes = 1000000 });
    put(&box, 1, LANE_ORDINARY);
    put(&box, 2, LANE_ORDINARY);
    for (uint64_t i = 3; i <= 5; i++) {
        struct message *message = make(1, i, LANE_ORDINARY);
        struct message *wake = message_new(MESSAGE_WAKE, TYPE_NONE, NULL, 0);
        wake->to = 77;
        wake->request = i;
        assert(mailbox_park(&box, &message, &wake) == MAILBOX_PARKED);
        assert(message == NULL && wake == NULL);
    }
    /* Those who wait come first. */
    assert(put(&box, 9, LANE_ORDINARY) == MAILBOX_FULL);
    struct message *back = mailbox_unpark(&box, 1, 4);
    assert(back != NULL && back->request == 4);
    message_free(back);
    assert(mailbox_unpark(&box, 1, 4) == NULL);

    struct message *wakes;
    struct message *first = mailbox_take(&box, APPETITE_ALL, NULL, NULL, &wakes);
    assert(first->request == 1 && wakes != NULL && wakes->to == 77 && wakes->request == 3);
    assert(atomic_load(&wakes->next) == NULL);
    message_free(first);
    message_free(wakes);
    first = mailbox_take(&box, APPETITE_ALL, NULL, NULL, &wakes);
    assert(first->request == 2 && wakes != NULL && wakes->request == 5);
    message_free(first);
    message_free(wakes);
    assert(take(&box) == 3 && take(&box) == 5 && take(&box) == 0);
    close_empty(&box);
}

/* ---- many putters, and takers that hand the box to each other ---- */

enum { PUTTERS = 3, EACH = 60000, LIMIT = 64 };

static struct mailbox hammered;
static atomic_uint awake_count;   /* times somebody may run: a semaphore of our own */
static atomic_int running;        /* must never be 2 */
static atomic_uint handled;
static uint64_t last_seen[PUTTERS + 1];

static void *hammer_putter(void *argument)
{
    actor_id self = (actor_id)(uintptr_t)argument;
    for (uint64_t i = 1; i <= EACH; i++) {
        struct message *dropped, *message = make(self, i, LANE_ORDINARY);
        enum mailbox_answer answer;
        while ((answer = mailbox_put(&hammered, &message, false, &dropped)) == MAILBOX_FULL) {
            assert(mailbox_length(&hammered) <= LIMIT);
            cpu_relax();
        }
        if (answer == MAILBOX_WOKE)
            atomic_fetch_add(&awake_count, 1);
    }
    return NULL;
}

static void run_once(void)
{
    assert(atomic_fetch_add(&running, 1) == 0);
    for (;;) {
        struct message *wakes;
        struct message *message = mailbox_take(&hammered, APPETITE_ALL, NULL, NULL, &wakes);
        assert(wakes == NULL);
        if (message == NULL) {
            atomic_fetch_sub(&running, 1); /* before the sleep: afterwards another may run */
            if (mailbox_sleep(&hammered))
                return;
            assert(atomic_fetch_add(&running, 1) == 0);
            continue;
        }
        assert(message->request == last_seen[message->from] + 1);
        last_seen[message->from] = message->request;
        message_free(message);
        atomic_fetch_add(&handled, 1);
    }
}

static void *hammer_taker(void *argument)
{
    (void)argument;
    while (atomic_load(&handled) < PUTTERS * EACH) {
        unsigned count = atomic_load(&awake_count);
        if (count > 0 && atomic_compare_exchange_strong(&awake_count, &count, count - 1))
            run_once();
        else
            cpu_relax();
    }
    return NULL;
}

/* Two takers never run at once, no message is lost or changes places, the limit
 * is never passed, and no wake-up is lost (the test would not end). */
static void test_hammer(void)
{
    mailbox_open(&hammered, &(struct mailbox_options){ .limit = LIMIT, .bytes = 1u << 30 });
    assert(mailbox_sleep(&hammered));
    struct thread threads[PUTTERS + 2];
    for (uintptr_t i = 0; i < PUTTERS; i++)
        assert(thread_start(&threads[i], "putter", 0, hammer_putter, (void *)(i + 1)) == 0);
    for (int i = 0; i < 2; i++)
        assert(thread_start(&threads[PUTTERS + i], "taker", 0, hammer_taker, NULL) == 0);
    for (int i = 0; i < PUTTERS + 2; i++)
        thread_join(&threads[i]);
    assert(atomic_load(&handled) == PUTTERS * EACH);
    assert(mailbox_length(&hammered) == 0);
    close_empty(&hammered);
}

/* The same with senders that park instead of trying again: every one is woken. */
enum { PARKERS = 3, PARKED_EACH = 20000 };
static atomic_uint woken[PARKERS + 1];

static void *parking_putter(void *argument)
{
    actor_id self = (actor_id)(uintptr_t)argument;
    for (uint64_t i = 1; i <= PARKED_EACH; i++) {
        struct message *dropped, *message = make(self, i, LANE_ORDINARY);
        enum mailbox_answer answer = mailbox_put(&hammered, &message, false, &dropped);
        if (answer == MAILBOX_FULL) {
            struct message *wake = message_new(MESSAGE_WAKE, TYPE_NONE, NULL, 0);
            wake->to = self;
            answer = mailbox_park(&hammered, &message, &wake);
            message_free(wake);
        }
        if (answer == MAILBOX_WOKE)
            atomic_fetch_add(&awake_count, 1);
        if (answer == MAILBOX_PARKED) {
            while (atomic_load(&woken[self]) == 0)
                cpu_relax();
            atomic_fetch_sub(&woken[self], 1);
        }
    }
    return NULL;
}

static void *waking_taker(void *argument)
{
    (void)argument;
    unsigned left = PARKERS * PARKED_EACH;
    while (left > 0) {
        struct message *wakes;
        struct message *message = mailbox_take(&hammered, APPETITE_ALL, NULL, NULL, &wakes);
        while (wakes != NULL) {
            struct message *each = wakes;
            wakes = atomic_load(&each->next);
            atomic_fetch_add(&woken[each->to], 1);
            message_free(each);
        }
        if (message == NULL)
            continue;
        assert(message->request == last_seen[message->from] + 1);
        last_seen[message->from] = message->request;
        message_free(message);
        left--;
    }
    return NULL;
}

static void test_parking_hammer(void)
{
    memset(last_seen, 0, sizeof last_seen);
    mailbox_open(&hammered, &(struct mailbox_options){ .limit = 2, .bytes = 1u << 30 });
    struct thread threads[PARKERS + 1];
    for (uintptr_t i = 0; i < PARKERS; i++)
        assert(thread_start(&threads[i], "parker", 0, parking_putter, (void *)(i + 1)) == 0);
    assert(thread_start(&threads[PARKERS], "taker", 0, waking_taker, NULL) == 0);
    for (int i = 0; i <= PARKERS; i++)
        thread_join(&threads[i]);
    close_empty(&hammered);
}

/* ---- One box for one actor after the other -------------------------------- */

#ifdef TROUPE_SANITIZED
enum { PUTTERS_TO_ANY = 2, TENANTS = 5000 };
#else
enum { PUTTERS_TO_ANY = 2, TENANTS = 200000 };
#endif

static atomic_bool tenants_over;

static void *putter_to_any(void *argument)
{
    uint64_t number = 0;
    (void)argument;
    while (!atomic_load(&tenants_over)) {
        struct message *dropped, *message = make(1, ++number, LANE_ORDINARY);
        mailbox_put(&hammered, &message, false, &dropped);
        message_free(message);
        while (dropped != NULL) {
            struct message *next = atomic_load_explicit(&dropped->next, memory_order_relaxed);
            message_free(dropped);
            dropped = next;
        }
    }
    return NULL;
}

/* However late a put is: no tenant of the box inherits room that is taken, or
 * room that he has not. */
static void test_tenants(void)
{
    struct thread threads[PUTTERS_TO_ANY];
    static const struct mailbox_options options[] = {
        { .limit = 4, .bytes = 1u << 30 },
        { .limit = 1000, .bytes = 600 },
        { .limit = 4, .bytes = 1u << 30, .overflow = OVERFLOW_DROP_OLD },
    };
    atomic_store(&tenants_over, false);
    mailbox_open(&hammered, &options[0]);
    for (int i = 0; i < PUTTERS_TO_ANY; i++)
        assert(thread_start(&threads[i], "putter", 0, putter_to_any, NULL) == 0);
    for (size_t tenant = 1; tenant <= TENANTS; tenant++) {
        struct message *messages, *next, *wakes;
        struct parked *parked;
        for (size_t i = 0; i < tenant % 6; i++)
            message_free(mailbox_take(&hammered, APPETITE_ALL, NULL, NULL, &wakes));
        mailbox_close(&hammered, &messages, &parked);
        assert(parked == NULL);
        assert(mailbox_length(&hammered) <= PUTTERS_TO_ANY); /* those that are under way */
        for (; messages != NULL; messages = next) {
            next = atomic_load_explicit(&messages->next, memory_order_relaxed);
            message_free(messages);
        }
        if (tenant == TENANTS)
            break;
        mailbox_open(&hammered, &options[tenant % ARRAY_LENGTH(options)]);
    }
    atomic_store(&tenants_over, true);
    for (int i = 0; i < PUTTERS_TO_ANY; i++)
        thread_join(&threads[i]);
    assert(mailbox_length(&hammered) == 0 && mailbox_bytes(&hammered) == 0);
    assert(atomic_load(&hammered.load) == 0);
}

static void put_at(struct mailbox *box, uint32_t born_ms, enum message_lane lane)
{
    struct message *dropped, *message = make(1, born_ms, lane);
    message->born_ms = born_ms;
    enum mailbox_answer answer = mailbox_put(box, &message, false, &dropped);
    assert(answer == MAILBOX_OK || answer == MAILBOX_WOKE);
    while (dropped != NULL) {
        struct message *each = dropped;
        dropped = atomic_load(&each->next);
        message_free(each);
    }
}

static bool oldest_is(const struct mailbox *box, uint32_t wanted_ms)
{
    uint32_t born_ms;
    return mailbox_oldest(box, &born_ms) && born_ms == wanted_ms;
}

/* Whoever looks from outside sees since when the oldest waits, wherever it lies; and
 * what lies in which lane. */
static void test_looking(void)
{
    struct mailbox box = { .top = NULL };
    uint32_t born_ms;
    mailbox_open(&box, &(struct mailbox_options){ .limit = 3, .bytes = 1000,
                                                  .overflow = OVERFLOW_DROP_OLD });
    assert(!mailbox_oldest(&box, &born_ms) && mailbox_sleep(&box) && mailbox_is_asleep(&box));
    put_at(&box, 10, LANE_ORDINARY); /* on the stack */
    put_at(&box, 20, LANE_ORDINARY);
    assert(oldest_is(&box, 10) && !mailbox_is_asleep(&box));
    assert(take(&box) == 10 && oldest_is(&box, 20)); /* in a lane */
    put_at(&box, 30, LANE_HIGH);
    put_at(&box, 40, LANE_CONTROL);
    assert(mailbox_lane(&box, LANE_HIGH) == 1 && mailbox_lane(&box, LANE_CONTROL) == 1);
    assert(oldest_is(&box, 20));
    struct message *dropped, *timers = make(1, 50, LANE_ORDINARY); /* takes no room */
    assert(mailbox_put(&box, &timers, true, &dropped) == MAILBOX_OK);
    assert(mailbox_lane(&box, LANE_ORDINARY) == 1 && mailbox_length(&box) == 2);
    assert(take_with(&box, APPETITE_CONTROL, NULL, NULL) == 40);
    assert(take(&box) == 30 && take(&box) == 20 && take(&box) == 50 &&
           take(&box) == 0);
    assert(mailbox_lane(&box, LANE_ORDINARY) == 0 && mailbox_lane(&box, LANE_HIGH) == 0 && mailbox_lane(&box, LANE_CONTROL) == 0);
    assert(!mailbox_oldest(&box, &born_ms));
    for (uint32_t i = 1; i <= 6; i++)
        put_at(&box, 100 * i, LANE_ORDINARY); /* what is too old is dropped */
    assert(oldest_is(&box, 400) && take(&box) == 400);
    put_at(&box, 700, LANE_HIGH);
    assert(oldest_is(&box, 500) && take(&box) == 700);
    assert(take(&box) == 500 && take(&box) == 600 && take(&box) == 0);
    close_empty(&box);
}

int main(void)
{
    test_lanes();
    test_notices();
    test_sleeping();
    test_bounds();
    test_length();
    test_drop_old();
    test_looking();
    test_choosing();
    test_parking();
    test_hammer();
    test_parking_hammer();
    test_tenants();
    assert(memory_used() == 0);
    puts("mailbox: ok");
    return 0;
}
