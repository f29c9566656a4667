/* test_obituaries.c -- the promises of obituaries.h. */
#include "actor/test_system.h"
#include "base/fault.h"
#include "base/memory.h"
#include "message/pack.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What a listener was told. */
struct listener_state {
    unsigned told;
    int64_t  last, missed;
    bool     fails; /* it refuses what it is told, as a handler that fails does */
};

static int64_t integer_of(const struct message *message, const char *field)
{
    struct pack_item item;
    pack_read(pack_field(message->payload, field), &item);
    assert(item.tag == PACK_INT64);
    return item.integer;
}

static bool says(const struct message *message, const char *field, const char *text)
{
    struct pack_item item;
    pack_read(pack_field(message->payload, field), &item);
    return item.tag == PACK_STRING && item.size == strlen(text) &&
           memcmp(item.text, text, item.size) == 0;
}

static enum verdict receive(struct actor *actor, struct message *message)
{
    struct listener_state *state = actor->state;
    if (message->type == TYPE_DEAD_LETTER) {
        assert(message->kind == MESSAGE_NOTICE && integer_of(message, "id") > state->last);
        state->told++;
        state->last = integer_of(message, "id");
        state->missed += integer_of(message, "missed");
        assert(says(message, "type", "Reject") && says(message, "from", "ping"));
        assert(says(message, "to", "pong") || says(message, "text", "dropped: the mailbox was full"));
        if (state->fails)
            router_refuse(&here, &message, FAILURE_FAILED, "the handler failed", NULL);
    }
    message_free(message);
    return VERDICT_DONE;
}

static const struct behaviour behaviour = {
    .receive = receive, .go_on = nothing, .cut = nothing, .shut_down = nothing, .end = ends,
};

static actor_id spawn(struct listener_state *state, uint32_t limit, enum mailbox_overflow overflow)
{
    actor_id id;
    char why[128];
    struct mailbox_options mailbox = MAILBOX_OPTIONS_DEFAULT;
    mailbox.limit = limit;
    mailbox.overflow = overflow;
    struct spawn spawn = { .stem = "listener", .behaviour = &behaviour, .state = state,
                           .mailbox = mailbox };
    assert(lifecycle_spawn(&here, &spawn, &id, why, sizeof why) == 0);
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    run();
    return id;
}

static void die(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct message *message = message_new(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0);
        assert(message != NULL);
        dead_letters_put(&here.letters, &message, FAILURE_DOWN, "ping", "pong", "it has ended");
    }
}

static void begin(void)
{
    struct system_limits limits = SYSTEM_LIMITS_DEFAULT;
    assert(system_open(&here, 0, 0, &limits) == 0);
}

static void end(actor_id *ids, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        lifecycle_stop(&here, ids[i], false);
    run();
    system_close(&here);
}

/* Who listens is told of each, in order, once; who has left or ended is not. */
static void test_told(void)
{
    struct listener_state state = { 0 }, other = { 0 };
    begin();
    actor_id ids[] = { spawn(&state, 100, OVERFLOW_WAIT), spawn(&other, 100, OVERFLOW_WAIT) };
    die(1);
    assert(obituaries_listen(&here, ids[0]) == 0 && obituaries_listen(&here, ids[0]) == 0);
    assert(obituaries_listen(&here, ids[1]) == 0);
    die(3);
    run();
    assert(state.told == 3 && state.last == 4 && state.missed == 0 && other.told == 3);
    assert(obituaries_leave(&here, ids[0]) && !obituaries_leave(&here, ids[0]));
    lifecycle_stop(&here, ids[1], false);
    run();
    die(2);
    run();
    assert(state.told == 3 && other.told == 3 && atomic_load(&here.obituaries.count) == 0);
    end(ids, 1);
}

/* What does not fit is counted, and the next one says how many there were. */
static void test_full(void)
{
    struct listener_state state = { 0 };
    begin();
    actor_id id = spawn(&state, 4, OVERFLOW_WAIT);
    assert(obituaries_listen(&here, id) == 0);
    die(10);
    run();
    assert(state.told == 4 && state.missed == 0);
    die(1);
    run();
    assert(state.told == 5 && state.missed == 6 && state.last == 11);
    assert(dead_letters_total(&here.letters) == 11);
    end(&id, 1);
}

/* Ordinary mail that gives way to a DeadLetter dies, and that is not told at once:
 * else each death would bring about the next. */
static void test_no_circle(void)
{
    struct listener_state states[2] = { { 0 } };
    begin();
    actor_id ids[] = { spawn(&states[0], 8, OVERFLOW_DROP_OLD), spawn(&states[1], 8, OVERFLOW_DROP_OLD) };
    for (unsigned i = 0; i < 16; i++) {
        struct message *message = message_new(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0);
        message->to = ids[i % 2];
        assert(router_send(&here, &message, 0) == ROUTER_OK);
    }
    assert(obituaries_listen(&here, ids[0]) == 0 && obituaries_listen(&here, ids[1]) == 0);
    die(100);
    uint64_t total = dead_letters_total(&here.letters);
    assert(total > 100 && total <= 116);
    run();
    assert(states[0].told > 0 && states[1].told > 0);
    end(ids, 2);
}

/* One that fails at each DeadLetter causes no more of them. */
static void test_failing(void)
{
    struct listener_state state = { .fails = true };
    begin();
    actor_id id = spawn(&state, 100, OVERFLOW_WAIT);
    assert(obituaries_listen(&here, id) == 0);
    die(5);
    run();
    assert(state.told == 5 && dead_letters_total(&here.letters) == 5);
    end(&id, 1);
}

/* There may be so many, of those that live. */
static void test_limit(void)
{
    struct listener_state state = { 0 };
    actor_id ids[OBITUARY_LISTENERS + 1];
    begin();
    for (unsigned i = 0; i <= OBITUARY_LISTENERS; i++) {
        ids[i] = spawn(&state, 100, OVERFLOW_WAIT);
        assert(obituaries_listen(&here, ids[i]) == (i < OBITUARY_LISTENERS ? 0 : -EMFILE));
    }
    lifecycle_stop(&here, ids[0], false);
    run();
    assert(obituaries_listen(&here, ids[OBITUARY_LISTENERS]) == 0);
    end(ids + 1, OBITUARY_LISTENERS);
}

#ifdef TROUPE_FAULTS
/* Without memory it is as with a full mailbox. */
static void test_no_memory(void)
{
    struct listener_state state = { 0 };
    begin();
    actor_id id = spawn(&state, 100, OVERFLOW_WAIT);
    assert(obituaries_listen(&here, id) == 0);
    for (uint64_t n = 1; n <= 2; n++) {
        struct message *message = message_new(MESSAGE_ORDINARY, TYPE_REJECT, NULL, 0);
        fault_arm(n);
        dead_letters_put(&here.letters, &message, FAILURE_DOWN, "ping", "pong", NULL);
        fault_arm(0);
        run();
    }
    assert(state.told == 0);
    die(1);
    run();
    assert(state.told == 1 && state.missed == 2);
    end(&id, 1);
}
#endif

int main(void)
{
    test_told();
    test_full();
    test_no_circle();
    test_failing();
    test_limit();
#ifdef TROUPE_FAULTS
    test_no_memory();
#endif
    assert(memory_used() == 0);
    puts("obituaries: ok");
    return 0;
}
