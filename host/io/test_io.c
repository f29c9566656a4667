/* test_io.c -- streams against actors in C: credit, ends, children, descriptors,
 * with and without threads. */
#include "io/io.h"

#include "actor/watchdog.h"
#include "base/fault.h"
#include "message/pack.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELD_MAX 4096

static struct system here;
static struct io *io;
static type_id item_type, open_type, end_type;

/* An actor that keeps its items until it is told to let them go. */
struct taker {
    bool     keeps;
    struct message *held[HELD_MAX];
    unsigned held_count;
    _Atomic unsigned items;
    unsigned opened;
    _Atomic unsigned ended;
    unsigned unwanted;
    stream_id last;
    char     text[64];   /* of the last item */
    char     reason[160];
};

static void read_text(const struct message *message, const char *field, char *text, size_t room)
{
    struct pack_item item;
    const uint8_t *at = pack_field(message->payload, field);
    *text = '\0';
    if (at == NULL)
        return;
    pack_read(at, &item);
    assert(item.tag == PACK_STRING);
    snprintf(text, room, "%.*s", (int)item.size, item.text);
}

static enum verdict take(struct actor *actor, struct message *message)
{
    struct taker *taker = actor->state;
    if (message->kind != MESSAGE_ITEM && message->kind != MESSAGE_STREAM) {
        message_free(message);
        return VERDICT_DONE;
    }
    if (!here.streams.admits(message)) {
        taker->unwanted++;
        message_free(message);
        return VERDICT_DONE;
    }
    taker->last = message->request;
    if (message->type == open_type) {
        taker->opened++;
    } else if (message->type == end_type) {
        read_text(message, "reason", taker->reason, sizeof taker->reason);
        atomic_fetch_add(&taker->ended, 1);
    } else {
        assert(message->type == item_type);
        read_text(message, "text", taker->text, sizeof taker->text);
        atomic_fetch_add(&taker->items, 1);
        if (taker->keeps) {
            assert(taker->held_count < HELD_MAX);
            taker->held[taker->held_count++] = message;
            return VERDICT_DONE;
        }
    }
    message_free(message);
    return VERDICT_DONE;
}

static enum verdict nothing(struct actor *actor)
{
    (void)actor;
    return VERDICT_DONE;
}

static void end(struct actor *actor)
{
    here.streams.abandon(here.streams.context, actor_self(actor));
}

static const struct behaviour taker_behaviour = {
    .receive = take, .go_on = nothing, .cut = nothing, .shut_down = nothing, .end = end,
};

static actor_id spawn(struct taker *taker, uint32_t mailbox)
{
    actor_id id;
    char why[128];
    struct spawn options = { .stem = "taker", .behaviour = &taker_behaviour, .state = taker,
                             .mailbox = MAILBOX_OPTIONS_DEFAULT };
    options.mailbox.limit = mailbox;
    assert(lifecycle_spawn(&here, &options, &id, why, sizeof why) == 0);
    assert(lifecycle_start(&here, id, NULL, 0) == 0);
    return id;
}

static void let_go(struct taker *taker, unsigned count)
{
    assert(count <= taker->held_count);
    for (unsigned i = 0; i < count; i++)
        message_free(taker->held[i]);
    taker->held_count -= count;
    memmove(taker->held, taker->held + count, taker->held_count * sizeof *taker->held);
}

static void begin(unsigned workers)
{
    assert(system_open(&here, workers, 0, NULL) == 0);
    assert(io_open(&io, &here, NULL) == 0);
    assert(system_start(&here) == 0);
}

static void finish(void)
{
    struct shutdown_account account;
    lifecycle_shut_down(&here, clock_now(&here.clock) + 30 * NS_PER_SEC, &account);
    assert(account.left == 0);
    io_stop(io, 100 * NS_PER_MS);
    if (here.scheduler.regular > 0) {
        watchdog_stop(&here);
        assert(scheduler_stop(&here, clock_now(&here.clock) + 30 * NS_PER_SEC));
    }
    system_close(&here);
    io_close(io);
}

/* Until there is nothing to do at once. */
static void run(void)
{
    while (scheduler_step(&here) || here.streams.step(here.streams.context, 0))
        continue;
}

/* The same until `count` is `wanted`; half a minute at most. */
static void run_until(_Atomic unsigned *count, unsigned wanted)
{
    for (int i = 0; atomic_load(count) < wanted; i++) {
        assert(i < 3000);
        here.streams.step(here.streams.context, 10);
        run();
    }
}

static struct stream_request request_of(enum stream_kind kind, const char *target, actor_id owner)
{
    return (struct stream_request){
        .kind = kind, .target = target, .owner = owner,
        .item = item_type, .opened = open_type, .ended = end_type,
        .window = 16, .limit = 1024, .buffer = 64 * 1024, .connections = 10,
    };
}

static stream_id open_stream(const struct stream_request *request)
{
    char why[300] = "";
    stream_id id;
    if (here.streams.open(here.streams.context, request, &id, why, sizeof why) != 0) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    return id;
}

static const char *file_of_lines(unsigned lines)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/test_io.%d", (int)getpid());
    FILE *file = fopen(path, "w");
    assert(file != NULL);
    for (unsigned i = 1; i <= lines; i++)
        fprintf(file, "%u\n", i);
    fclose(file);
    return path;
}

static unsigned descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert(folder != NULL);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

/* Never more than the window is out; each that comes back lets others come. */
static void test_window(void)
{
    begin(0);
    struct taker taker = { .keeps = true };
    struct stream_request request =
        request_of(STREAM_LINES, file_of_lines(1000), spawn(&taker, 1024));
    open_stream(&request);
    unsigned handled = 0;
    while (handled < 1000) {
        run();
        assert(taker.held_count >= 1 && taker.held_count <= 16);
        unsigned some = 1 + handled % taker.held_count;
        handled += some;
        let_go(&taker, some);
    }
    run();
    assert(taker.items == 1000 && taker.ended == 1 && strcmp(taker.reason, "normal") == 0);
    finish();
}

/* With a mailbox smaller than the window: parked, in order, the end last. */
static void test_narrow_mailbox(void)
{
    begin(0);
    struct taker taker = { .keeps = false };
    struct stream_request request = request_of(STREAM_LINES, file_of_lines(500), spawn(&taker, 2));
    open_stream(&request);
    run();
    assert(taker.items == 500 && taker.ended == 1 && strcmp(taker.text, "500") == 0);
    finish();
}

/* After close() nothing is admitted, one end comes, and all descriptors are back. */
static void test_close(void)
{
    begin(0);
    struct taker taker = { .keeps = true };
    struct stream_request request =
        request_of(STREAM_LINES, file_of_lines(1000), spawn(&taker, 1024));
    stream_id warm_up = open_stream(&request);
    run();
    let_go(&taker, taker.held_count);
    here.streams.close(here.streams.context, warm_up);
    run();
    unsigned before = descriptors(), ends = taker.ended;

    stream_id id = open_stream(&request);
    here.streams.step(here.streams.context, 0); /* items lie in the mailbox, unhandled */
    unsigned items = taker.items;
    assert(here.streams.close(here.streams.context, id));
    assert(!here.streams.close(here.streams.context, id));
    run();
    assert(taker.items == items && taker.unwanted > 0);
    assert(taker.ended == ends + 1 && strcmp(taker.reason, "closed") == 0);
    assert(descriptors() == before);
    char text[100], address[100];
    assert(!here.streams.describe(here.streams.context, id, text, sizeof text, address,
                                  sizeof address));
    finish();
}

/* Items that are still held when their stream, their actor and the whole room
 * have gone give back their credit to nobody, harmlessly. */
static void test_held_beyond_the_end(void)
{
    begin(0);
    struct taker taker = { .keeps = true };
    actor_id owner = spawn(&taker, 1024);
    struct stream_request request = request_of(STREAM_LINES, file_of_lines(1000), owner);
    open_stream(&request);
    run();
    assert(taker.held_count == 16);
    lifecycle_stop(&here, owner, false);
    run();
    assert(taker.ended == 0); /* who has ended hears nothing */
    io_stop(io, 0);
    let_go(&taker, 16);
    finish();
}

/* A child is written to, reads the end, and its output and status come back. */
static void test_child(void)
{
    begin(0);
    struct taker taker = { .keeps = false };
    struct stream_request request = request_of(STREAM_PROCESS, "cat", spawn(&taker, 1024));
    request.arguments = (const char *const[]){ "sh", "-c", "cat; exit 4", NULL };
    stream_id id = open_stream(&request);
    void *port = here.streams.context;
    assert(here.streams.write(port, id, "one\ntwo\n", 8, 0, 0) == STREAM_OK);
    assert(here.streams.shut_down(port, id) == STREAM_OK);
    assert(here.streams.write(port, id, "late", 4, 0, 0) == STREAM_GONE);
    run_until(&taker.ended, 1);
    assert(taker.items == 2 && strcmp(taker.text, "two") == 0);
    assert(strcmp(taker.reason, "error: exit status 4") == 0);
    finish();
}

/* A bounded buffer: FULL without a wait; and a wait that is over tells nobody twice. */
static void test_full(void)
{
    begin(0);
    struct taker taker = { .keeps = false };
    actor_id owner = spawn(&taker, 1024);
    struct stream_request request = request_of(STREAM_PROCESS, "sleep", owner);
    request.arguments = (const char *const[]){ "sleep", "1000", NULL };
    stream_id id = open_stream(&request);
    void *port = here.streams.context;
    static char text[32 * 1024];
    unsigned sent = 0;
    while (here.streams.write(port, id, text, sizeof text, 0, 0) == STREAM_OK)
        assert(++sent < 100);
    for (uint64_t wait = 1; wait <= 100; wait++) /* one waiter for an actor, not a hundred */
        assert(here.streams.write(port, id, text, sizeof text, owner, wait) == STREAM_PARKED);
    assert(here.streams.close(port, id));
    run_until(&taker.ended, 1);
    assert(strcmp(taker.reason, "closed") == 0);
    finish();
}

/* A host that stops leaves no child, whatever that makes of SIGTERM. */
static void test_stop_ends_children(void)
{
    begin(2);
    struct taker taker = { .keeps = false };
    actor_id owner = spawn(&taker, 1024);
    for (int i = 0; i < 5; i++) {
        struct stream_request request = request_of(STREAM_PROCESS, "sh", owner);
        request.arguments = (const char *const[]){
            "sh", "-c", "trap '' TERM; echo $$; while :; do sleep 1; done", NULL };
        open_stream(&request);
    }
    while (atomic_load(&taker.items) < 5)
        usleep(1000);
    pid_t last = (pid_t)atoi(taker.text);
    finish();
    assert(last > 1 && kill(last, 0) != 0 && errno == ESRCH);
}

/* Many streams of two workers' actors, credit coming back on all threads. */
static void test_threads(void)
{
    enum { ACTORS = 4, STREAMS = 8, LINES = 2000 };
    static struct taker takers[ACTORS];
    begin(2);
    const char *path = file_of_lines(LINES);
    for (int i = 0; i < ACTORS; i++) {
        takers[i] = (struct taker){ .keeps = false };
        actor_id owner = spawn(&takers[i], i % 2 == 0 ? 4 : 1024);
        for (int k = 0; k < STREAMS; k++) {
            struct stream_request request = request_of(STREAM_LINES, path, owner);
            request.window = (uint32_t)(1 + k * 5);
            open_stream(&request);
        }
    }
    for (int i = 0; i < ACTORS; i++) {
        for (int naps = 0; atomic_load(&takers[i].ended) < STREAMS; naps++) {
            assert(naps < 120000);
            usleep(1000);
        }
        assert(takers[i].items == STREAMS * LINES);
    }
    finish();
}

/* No descriptor, no child and no memory is left of those that could not be opened. */
static void test_refusals(void)
{
    begin(0);
    struct taker taker = { .keeps = false };
    actor_id owner = spawn(&taker, 1024);
    static const struct { enum stream_kind kind; const char *target, *program, *why; } cases[] = {
        { STREAM_LINES, "/no/such/file", NULL, "there is no file /no/such/file" },
        { STREAM_LINES, "/", NULL, "/ is a directory" },
        { STREAM_PROCESS, "x", "/no/such/program", "there is no program /no/such/program" },
        { STREAM_PROCESS, "x", "/", "cannot start /: Permission denied" },
        { STREAM_SUBSCRIBE, "tcp://127.0.0.1:1", NULL,
          "this host cannot subscribe: a stage has no ZeroMQ" },
    };
    unsigned before = 0;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
            struct stream_request request = request_of(cases[i].kind, cases[i].target, owner);
            const char *const arguments[] = { cases[i].program, NULL };
            char why[300];
            stream_id id;
            request.arguments = arguments;
            assert(here.streams.open(here.streams.context, &request, &id, why, sizeof why) < 0);
            assert(strcmp(why, cases[i].why) == 0);
        }
        if (round == 0)
            before = descriptors(); /* the room has made its own */
        else
            assert(descriptors() == before);
    }
    finish();
}

#ifdef TROUPE_FAULTS
/* Whichever allocation fails, a stream is refused with nothing left of it, or
 * brings all it has, and its end, a moment later. */
static void test_no_memory(void)
{
    const char *path = file_of_lines(50);
    for (uint64_t n = 1; n <= 80; n++) {
        begin(0);
        struct taker taker = { .keeps = false };
        struct stream_request request = request_of(STREAM_LINES, path, spawn(&taker, 4));
        char why[300];
        stream_id id;
        run();
        fault_arm(n);
        int error = here.streams.open(here.streams.context, &request, &id, why, sizeof why);
        assert(error == 0 || error == -ENOMEM);
        if (error == 0) {
            run();
            run_until(&taker.ended, 1);
            assert(strcmp(taker.reason, "normal") == 0 ? taker.items == 50
                                                       : strcmp(taker.reason, "error: out of memory") == 0);
        }
        fault_arm(0);
        finish();
    }
}
#endif

int main(void)
{
    item_type = type_intern("Line", 4);
    open_type = type_intern("LineOpen", 8);
    end_type = type_intern("LineEnd", 7);
    test_window();
    test_narrow_mailbox();
    test_close();
    test_held_beyond_the_end();
    test_child();
    test_full();
    test_stop_ends_children();
    test_threads();
    test_refusals();
#ifdef TROUPE_FAULTS
    test_no_memory();
#endif
    remove(file_of_lines(0));
    puts("test_io: ok");
    return 0;
}
