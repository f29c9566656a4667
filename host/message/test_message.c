/*
 * test_message.c -- what message/message.h promises.
 */
#include "message/message.h"

#include "base/fault.h"
#include "base/memory.h"
#include "base/thread.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct timer *released;

static void note_release(struct timer *timer)
{
    released = timer;
}

/* A message carries a copy of its payload and starts out blank. */
static void test_new(void)
{
    size_t before = memory_used();
    char   payload[3000];
    memset(payload, 'p', sizeof payload);
    for (size_t size = 0; size <= sizeof payload; size += 500) {
        struct message *message = message_new(MESSAGE_ORDINARY, TYPE_REJECT, payload, size);
        assert(message->type == TYPE_REJECT && message->size == size);
        assert(memcmp(message->payload, payload, size) == 0);
        assert(message->to == 0 && message->from == 0 && message->request == 0);
        assert(message->origin == NULL && message->flags == 0 && message->reason == FAILURE_NONE);
        assert(message_weight(message) == sizeof *message + size);
        message_free(message);
    }
    message_free(message_new(MESSAGE_STOP, TYPE_SHUTDOWN, NULL, 0));
    message_free(NULL);
    assert(memory_used() == before);
}

/* Answers, control and the start overtake ordinary mail. */
static void test_lanes(void)
{
    static const struct { enum message_kind kind; enum message_lane lane; } cases[] = {
        { MESSAGE_ORDINARY, LANE_ORDINARY }, { MESSAGE_ASK, LANE_ORDINARY },
        { MESSAGE_TIMER, LANE_ORDINARY },    { MESSAGE_REPLY, LANE_CONTROL },
        { MESSAGE_FAILURE, LANE_CONTROL },   { MESSAGE_START, LANE_CONTROL },
        { MESSAGE_STOP, LANE_CONTROL },      { MESSAGE_WAKE, LANE_CONTROL },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct message *message = message_new(cases[i].kind, TYPE_NONE, NULL, 0);
        assert(message->kind == cases[i].kind && message->lane == cases[i].lane);
        message_free(message);
    }
}

/* Freeing drops what the message held: its origin, or its timer. */
static void test_holdings(void)
{
    size_t before = memory_used();
    struct message *message = message_new(MESSAGE_ORDINARY, TYPE_REJECT, "x", 1);
    message->origin = address_new("ping", 4, "", 0);
    message_free(message);
    assert(memory_used() == before);

    static int fake;
    struct timer *timer = (struct timer *)(void *)&fake;
    message_timer_release = note_release;
    message = message_new(MESSAGE_TIMER, TYPE_TIMEOUT, NULL, 0);
    message_free(message);
    assert(released == NULL);
    message = message_new(MESSAGE_TIMER, TYPE_TIMEOUT, NULL, 0);
    message->timer = timer;
    message_free(message);
    assert(released == timer);
}

/* Each reason has the word that scripts see. */
static void test_reasons(void)
{
    assert(strcmp(failure_reason_name(FAILURE_TIMEOUT), "timeout") == 0);
    assert(strcmp(failure_reason_name(FAILURE_REJECTED), "rejected") == 0);
    assert(strcmp(failure_reason_name(FAILURE_FAILED), "failed") == 0);
    assert(strcmp(failure_reason_name(FAILURE_DOWN), "down") == 0);
    assert(strcmp(failure_reason_name(FAILURE_DEADLOCK), "deadlock") == 0);
    assert(strcmp(failure_reason_name(FAILURE_FULL), "full") == 0);
    assert(strcmp(failure_reason_name(FAILURE_UNREACHABLE), "unreachable") == 0);
    assert(strcmp(failure_reason_name(FAILURE_NO_REPLY), "no_reply") == 0);
    assert(strcmp(failure_reason_name(FAILURE_STOPPING), "stopping") == 0);
    assert(strcmp(failure_reason_name(FAILURE_RELOAD), "reload") == 0);
}

/* The ledger names what is alive and where it was made, and nothing else. */
static void test_ledger(void)
{
    char   where[256], expected[256];
    size_t before = memory_used();
    assert(message_ledger_left(where, sizeof where) == 0 && where[0] == '\0');

    struct message *unseen = message_new(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0);
    message_ledger_begin();
    message_ledger_begin();
    struct message *first = message_new(MESSAGE_ORDINARY, TYPE_REJECT, "abc", 3);
    int             line = __LINE__ - 1;
    struct message *second = message_new_at(MESSAGE_WAKE, TYPE_NONE, NULL, 0, "x.c", 7);
    assert(first->flags == MESSAGE_LEDGER && (uintptr_t)first % 16 == 0);
    assert(memcmp(first->payload, "abc", 3) == 0);
    assert(message_ledger_left(where, sizeof where) == 2);
    snprintf(expected, sizeof expected, "Reject made at %s:%d; a message made at x.c:7", __FILE__,
             line);
    assert(strcmp(where, expected) == 0);

    message_ledger_end();
    message_free(message_new(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0));
    message_free(second);
    message_ledger_end();
    message_free(unseen);
    message_free(message_new(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0));
    assert(message_ledger_left(where, sizeof where) == 1);
    assert(message_ledger_left(where, 4) == 1 && strcmp(where, "Rej") == 0);
    assert(message_ledger_left(NULL, 0) == 1);

    /* A new stage is not blamed for what an earlier one left. */
    message_ledger_begin();
    assert(message_ledger_left(where, sizeof where) == 0);
    struct message *many[9];
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++)
        many[i] = message_new_at(MESSAGE_ORDINARY, TYPE_DOWN, NULL, 0, "y.c", (int)i);
    assert(message_ledger_left(where, sizeof where) == ARRAY_LENGTH(many));
    assert(strstr(where, "Down made at y.c:4; and 4 more") != NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++)
        message_free(many[i]);
    message_free(first);
    assert(message_ledger_left(where, sizeof where) == 0);
    message_ledger_end();
    assert(memory_used() == before);
}

/* Messages are made and freed on any thread while the ledger is on. */
static void *make_some(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2000; i++) {
        char where[64];
        struct message *message = message_new(MESSAGE_ORDINARY, TYPE_REJECT, "x", 1);
        assert(message != NULL);
        if (i % 500 == 0)
            message_ledger_left(where, sizeof where);
        message_free(message);
    }
    return NULL;
}

static void test_threads(void)
{
    struct thread threads[3];
    message_ledger_begin();
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert(thread_start(&threads[i], "maker", 0, make_some, NULL) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        thread_join(&threads[i]);
    assert(message_ledger_left(NULL, 0) == 0);
    message_ledger_end();
}

struct told { unsigned times; uint64_t number; size_t weight; bool handled; };

static void note_over(void *context, uint64_t number, size_t weight, bool handled)
{
    struct told *told = context;
    *told = (struct told){ told->times + 1, number, weight, handled };
}

/* Whoever tracks a message is told once that it is over, also if it is kept. */
static void test_receipts(void)
{
    struct told told = { 0 };
    struct message_receipt receipt = { note_over, &told, 17, 100 };
    for (unsigned size = 0; size < 40; size += 13) { /* wherever the receipt comes to lie */
        uint8_t payload[40] = { 1, 2, 3 };
        told.times = 0;
        struct message *message =
            message_new_tracked(MESSAGE_ORDINARY, TYPE_REJECT, payload, size, &receipt);
        assert(message->size == size && memcmp(message->payload, payload, size) == 0);
        assert(message_is_awaited(message) && told.times == 0);
        message_free(message);
        assert(told.times == 1 && told.number == 17 && told.weight == 100 && told.handled);

        /* Another payload in its place, and it still counts as the same. */
        told.times = 0;
        message = message_new_tracked(MESSAGE_ORDINARY, TYPE_REJECT, payload, size, &receipt);
        message->to = 5;
        message->flags |= MESSAGE_REMOTE;
        message = message_replace(message, payload, 3);
        assert(told.times == 0 && message_is_awaited(message) && message->size == 3);
        assert(message->to == 5 && (message->flags & MESSAGE_REMOTE));
        message_free(message);
        assert(told.times == 1 && told.weight == 100 && told.handled);
    }

    told.times = 0;
    struct message *kept = message_new_tracked(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0, &receipt);
    message_settle(kept, false);
    assert(told.times == 1 && !told.handled && !message_is_awaited(kept));
    message_settle(kept, true);
    message_free(kept);
    assert(told.times == 1);

    struct message *forgotten =
        message_new_tracked(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0, &receipt);
    message_untrack(forgotten);
    message_free(forgotten);
    assert(told.times == 1);

    message_ledger_begin();
    message_free(message_new_tracked(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0, &receipt));
    assert(told.times == 2 && message_ledger_left(NULL, 0) == 0);
    message_ledger_end();

    struct message *plain = message_new(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0);
    assert(!message_is_awaited(plain));
    message_settle(plain, true);
    message_free(plain);
}

#ifdef TROUPE_FAULTS
/* Without memory there is no message, and the ledger stays right. */
static void test_faults(void)
{
    message_ledger_begin();
    for (int round = 0; round < 2; round++) {
        fault_arm(1);
        assert(message_new(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0) == NULL);
        fault_arm(0);
        assert(message_ledger_left(NULL, 0) == 0);
        if (round == 0)
            message_ledger_end();
    }
}
#endif

int main(void)
{
    test_new();
    test_lanes();
    test_holdings();
    test_reasons();
    test_ledger();
    test_threads();
    test_receipts();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    return 0;
}
