/* test_stream.c -- the promises of stream.h, stream_out.h and stream_in.h: both
 * ends of a stream over a network of our making, that loses connections, holds
 * frames back and brings them late, under a clock of our own; receivers that
 * are slow, full, killed and begun again. Each run is one seed. */
#include "base/memory.h"
#include "message/wire.h"
#include "net/stream_in.h"
#include "net/stream_out.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID 77

static uint64_t seed;

static uint64_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static unsigned below(unsigned limit) { return (unsigned)(random_number() % limit); }
static bool one_in(unsigned chances) { return below(chances) == 0; }

/* ---- the network ---- */

enum kind { FRAME, HELLO, ACK };

struct parcel {
    struct parcel *next;
    enum kind      kind;
    uint64_t       arrives_ns;
    unsigned       connection;
    bool           to_old; /* the process that it is for has been killed */
    uint64_t       number;
    struct stream_hello hello;
    struct stream_ack   ack;
};

/* One direction: parcels of one connection stay in order, those of two do not. */
struct way { struct parcel *first; size_t count; };

#define MAILBOX_MAX 400

struct world {
    uint64_t now_ns, latency_ns;
    struct way there, back;
    unsigned connection;      /* from 1; 0: none is up */
    unsigned connections;
    bool     blackhole;       /* up by what TCP says, and carries nothing */
    unsigned send_room;       /* frames the carrier takes now */

    struct stream_out out;

    /* The receiving process: */
    bool     alive, known;
    uint64_t epoch;
    struct stream_in in;
    uint64_t mailbox[MAILBOX_MAX];
    unsigned queued, limit;
    bool     out_of_order;    /* its handlers end in another order than they began */

    /* What the specs of the issue count: */
    uint64_t put, total;
    uint64_t delivered_here;  /* in this epoch: the number before */
    bool     delivered_any;
    uint64_t handled_ever;    /* a bit for each */
    uint8_t *handled;
    uint64_t resent, duplicates, kills;
    bool     gave_up;
};

static void post(struct world *world, struct way *way, struct parcel parcel)
{
    if (world->blackhole)
        return;
    struct parcel *posted = malloc(sizeof *posted);
    *posted = parcel;
    posted->connection = world->connection;
    posted->arrives_ns = world->now_ns + world->latency_ns + below(3) * NS_PER_MS;
    struct parcel **link = &way->first;
    for (; *link != NULL; link = &(*link)->next)
        if ((*link)->connection == posted->connection && (*link)->arrives_ns > posted->arrives_ns)
            posted->arrives_ns = (*link)->arrives_ns;
    posted->next = NULL;
    *link = posted;
    way->count++;
}

/* The one that has arrived, or NULL: the first of any connection. */
static struct parcel *fetch(struct world *world, struct way *way)
{
    unsigned blocked[64], blocked_count = 0;
    for (struct parcel **link = &way->first; *link != NULL; link = &(*link)->next) {
        struct parcel *parcel = *link;
        bool late = parcel->arrives_ns > world->now_ns;
        for (unsigned i = 0; i < blocked_count; i++)
            late |= blocked[i] == parcel->connection;
        if (late) {
            if (blocked_count < ARRAY_LENGTH(blocked))
                blocked[blocked_count++] = parcel->connection;
            continue;
        }
        *link = parcel->next;
        way->count--;
        return parcel;
    }
    return NULL;
}

/* A connection is over: what it carried arrives late, or not. */
static void cut(struct world *world, struct way *way)
{
    struct parcel **link = &way->first;
    bool lost = false; /* and so is all that followed it */
    while (*link != NULL) {
        struct parcel *parcel = *link;
        if (parcel->connection != world->connection) {
            link = &parcel->next;
            continue;
        }
        lost |= one_in(4);
        if (lost) {
            *link = parcel->next;
            way->count--;
            free(parcel);
            continue;
        }
        parcel->arrives_ns += below(400) * NS_PER_MS;
        link = &parcel->next;
    }
}

static void disconnect(struct world *world)
{
    if (world->connection == 0)
        return;
    cut(world, &world->there);
    cut(world, &world->back);
    world->connection = 0;
    world->blackhole = false;
    stream_out_lost(&world->out);
}

static void connect_again(struct world *world)
{
    world->connection = ++world->connections;
    stream_out_connected(&world->out, world->now_ns);
}

/* ---- the receiving process ---- */

static void say(struct world *world)
{
    if (!world->known || world->connection == 0)
        return;
    post(world, &world->back,
         (struct parcel){ .kind = ACK, .ack = stream_in_ack(&world->in, world->epoch) });
    stream_in_said(&world->in);
}

static void begin_process(struct world *world)
{
    world->alive = true;
    world->known = false;
    world->epoch = random_number() | 1;
    world->queued = 0;
    world->delivered_any = false;
}

static void kill_process(struct world *world)
{
    world->kills++;
    disconnect(world);
    world->alive = false;
    for (struct parcel *each = world->there.first; each != NULL; each = each->next)
        each->to_old = true;
}

static void take_frame(struct world *world, uint64_t number)
{
    if (!world->known)
        return;
    switch (stream_in_judge(&world->in, number)) {
    case STREAM_DUPLICATE:
        world->duplicates++;
        return;
    case STREAM_AHEAD:
        return;
    case STREAM_NO_ROOM:
        stream_in_refuse(&world->in, false, 0);
        return;
    case STREAM_TAKE:
        break;
    }
    stream_in_take(&world->in, 100, world->now_ns);
    if (world->queued >= world->limit) {
        stream_in_refuse(&world->in, true, 100);
        return;
    }
    /* In order, each once, in every epoch; and nothing that was handled before
     * the stream's other end heard so is asked for again. */
    assert(!world->delivered_any || number == world->delivered_here + 1);
    world->delivered_any = true;
    world->delivered_here = number;
    world->mailbox[world->queued++] = number;
}

static void take_hello(struct world *world, const struct stream_hello *hello)
{
    if (!world->known) {
        world->known = true;
        stream_in_init(&world->in, hello);
    } else if (!stream_in_hello(&world->in, hello)) {
        return;
    }
    if (world->delivered_any && world->in.received > world->delivered_here)
        world->delivered_here = world->in.received; /* skipped: handled in another epoch */
    say(world);
}

static void handle_one(struct world *world)
{
    if (world->queued == 0)
        return;
    unsigned at = world->out_of_order ? below(world->queued < 8 ? world->queued : 8) : 0;
    uint64_t number = world->mailbox[at];
    memmove(&world->mailbox[at], &world->mailbox[at + 1],
            (--world->queued - at) * sizeof world->mailbox[0]);
    world->handled[number] = 1;
    if (stream_in_over(&world->in, number, 100))
        say(world);
}

/* ---- the sending process ---- */

static void pump(struct world *world)
{
    for (;;) {
        enum stream_step step = stream_out_step(&world->out, world->now_ns);
        bool done = true;
        switch (step) {
        case STREAM_NOTHING:
            return;
        case STREAM_STRANGER:
            world->gave_up = true;
            return;
        case STREAM_RECONNECT:
            disconnect(world);
            break;
        case STREAM_SAY_HELLO:
        case STREAM_SEND:
            done = world->send_room > 0;
            if (!done)
                break;
            world->send_room--;
            if (step == STREAM_SAY_HELLO) {
                post(world, &world->there,
                     (struct parcel){ .kind = HELLO, .hello = stream_out_hello(&world->out) });
            } else {
                assert(world->out.at <= world->out.received + STREAM_WINDOW);
                world->resent += world->out.at <= world->out.top;
                uint64_t number;
                memcpy(&number, world->out.unsent->bytes, sizeof number);
                assert(number == world->out.at);
                post(world, &world->there, (struct parcel){ .kind = FRAME, .number = number });
            }
        }
        stream_out_did(&world->out, step, done, world->now_ns);
        if (!done)
            return;
    }
}

static void put_one(struct world *world)
{
    uint64_t number = world->put + 1;
    if (number > world->total)
        return;
    assert(world->out.next == number);
    if (stream_out_put(&world->out, &number, sizeof number, world->now_ns))
        world->put++;
    else
        assert(world->out.next - world->out.base == world->out.frames_limit);
}

/* ---- a run ---- */

static void receive_all(struct world *world)
{
    struct parcel *parcel;
    while ((parcel = fetch(world, &world->there)) != NULL) {
        if (world->alive && !parcel->to_old && parcel->kind == HELLO)
            take_hello(world, &parcel->hello);
        else if (world->alive && !parcel->to_old)
            take_frame(world, parcel->number);
        free(parcel);
    }
    while ((parcel = fetch(world, &world->back)) != NULL) {
        bool kept = stream_out_ack(&world->out, &parcel->ack, world->now_ns);
        assert(kept);
        /* What is forgotten was handled: nothing is ever lost. */
        for (uint64_t i = world->handled_ever + 1; i < world->out.base; i++)
            assert(world->handled[i]);
        if (world->out.base > world->handled_ever)
            world->handled_ever = world->out.base - 1;
        free(parcel);
    }
}

/* Once in a while something happens. */
static void disturb(struct world *world)
{
    switch (below(5)) {
    case 0:
        disconnect(world);
        break;
    case 1:
        if (world->alive)
            kill_process(world);
        break;
    case 2:
        if (world->connection != 0 && world->out.acquainted) /* else it is a stranger */
            world->blackhole = true; /* until the stream notices */
        break;
    case 3:
        world->limit = below(3) == 0 ? 0 : 1 + below(MAILBOX_MAX - 1);
        break;
    case 4:
        world->out_of_order = !world->out_of_order;
        break;
    }
}

static void tick(struct world *world, bool calm)
{
    world->now_ns += NS_PER_MS;
    world->send_room = calm ? 1000 : below(30);
    if (!calm && one_in(200))
        disturb(world);
    if (!world->alive && (calm || one_in(200)))
        begin_process(world);
    if (world->connection == 0 && world->alive && (calm || one_in(50)))
        connect_again(world);
    if (calm && world->limit < 8)
        world->limit = 8;
    for (unsigned i = below(12); i > 0; i--)
        put_one(world);
    receive_all(world);
    for (unsigned i = calm ? 20 : below(12); i > 0 && world->alive; i--)
        handle_one(world);
    if (world->alive && world->known && world->in.due_ns <= world->now_ns)
        say(world);
    pump(world);
    receive_all(world);
}

static struct world run(uint64_t with, uint64_t total, unsigned wild_ms)
{
    struct world world = { .now_ns = NS_PER_SEC, .total = total,
                           .limit = wild_ms == 0 ? MAILBOX_MAX : 100 };
    seed = with * 0x9e3779b97f4a7c15 + 1;
    world.latency_ns = (uint64_t)below(40) * NS_PER_MS;
    world.handled = calloc(total + 2, 1);
    stream_out_init(&world.out, ID, 300, 1 << 20);
    begin_process(&world);

    for (unsigned i = 0; i < wild_ms; i++)
        tick(&world, false);
    unsigned calm_ms = 0;
    for (; world.put < total || !stream_out_is_idle(&world.out); calm_ms++) {
        if (calm_ms > 60000) {
            fprintf(stderr, "seed %llu: stuck: base %llu at %llu next %llu received %llu allowed "
                            "%llu, in: received %llu handled %llu refused %d\n",
                    (unsigned long long)with, (unsigned long long)world.out.base,
                    (unsigned long long)world.out.at, (unsigned long long)world.out.next,
                    (unsigned long long)world.out.received, (unsigned long long)world.out.allowed,
                    (unsigned long long)world.in.received, (unsigned long long)world.in.handled,
                    world.in.refused);
            abort();
        }
        tick(&world, true);
    }
    for (uint64_t i = 1; i <= total; i++)
        assert(world.handled[i]);
    assert(!world.gave_up);

    world.connection = 0;
    for (struct way *way = &world.there; way != NULL; way = way == &world.there ? &world.back : NULL)
        while (way->first != NULL) {
            struct parcel *parcel = way->first;
            way->first = parcel->next;
            free(parcel);
        }
    stream_out_fini(&world.out);
    free(world.handled);
    return world;
}

/* Whatever the network and the other process do: nothing is lost, nothing comes
 * twice to one process, the order holds, and it goes on when they let it. */
static void test_runs(void)
{
#ifdef TROUPE_SANITIZED
    const unsigned runs = 150;
#else
    const unsigned runs = 2000;
#endif
    uint64_t resent = 0, duplicates = 0, kills = 0;
    for (unsigned i = 1; i <= runs; i++) {
        struct world world = run(i, 1000, 2000);
        resent += world.resent;
        duplicates += world.duplicates;
        kills += world.kills;
    }
    assert(resent > runs && duplicates > runs && kills > runs); /* it was not easy */
}

/* Without disturbance nothing is sent twice, however slow the other side is. */
static void test_calm(void)
{
    for (unsigned i = 1; i <= 200; i++) {
        struct world world = run(i, 500, 0);
        assert(world.resent == 0 && world.duplicates == 0);
    }
}

/* ---- single promises ---- */

static const struct stream_ack nothing = { .stream = ID, .epoch = 5, .hello = 1, .credit = 256 };

static void say_hello(struct stream_out *out, uint64_t now_ns)
{
    assert(stream_out_step(out, now_ns) == STREAM_SAY_HELLO);
    stream_out_did(out, STREAM_SAY_HELLO, true, now_ns);
}

/* Nothing leaves before a hello was answered; who never answers is a stranger
 * after 5 s, but only while connected. */
static void test_stranger(void)
{
    struct stream_out out;
    stream_out_init(&out, ID, 10, 1000);
    assert(stream_out_due(&out) == UINT64_MAX);
    assert(stream_out_put(&out, "x", 1, NS_PER_SEC));
    assert(stream_out_step(&out, 100 * NS_PER_SEC) == STREAM_NOTHING);
    assert(stream_out_due(&out) == UINT64_MAX);

    uint64_t now_ns = 100 * NS_PER_SEC, hellos = 0;
    stream_out_connected(&out, now_ns);
    while (stream_out_step(&out, now_ns) != STREAM_STRANGER) {
        if (stream_out_step(&out, now_ns) == STREAM_SAY_HELLO) {
            say_hello(&out, now_ns);
            hellos++;
        } else {
            assert(stream_out_step(&out, now_ns) == STREAM_NOTHING);
            assert(stream_out_due(&out) > now_ns);
            now_ns = stream_out_due(&out);
        }
    }
    assert(now_ns == 105 * NS_PER_SEC && hellos >= 4 && hellos <= 8);
    stream_out_fini(&out);
}

/* Who answered once is waited for; a silent connection is given up after 3 s. */
static void test_silence(void)
{
    struct stream_out out;
    uint64_t now_ns = NS_PER_SEC;
    stream_out_init(&out, ID, 10, 1000);
    stream_out_connected(&out, now_ns);
    assert(stream_out_put(&out, "x", 1, now_ns));
    say_hello(&out, now_ns);
    assert(stream_out_ack(&out, &nothing, now_ns));
    assert(stream_out_step(&out, now_ns) == STREAM_SEND);
    stream_out_did(&out, STREAM_SEND, true, now_ns);
    uint64_t asked_ns = 0;
    while (stream_out_step(&out, now_ns) != STREAM_RECONNECT) {
        if (stream_out_step(&out, now_ns) == STREAM_SAY_HELLO) {
            say_hello(&out, now_ns);
            asked_ns = asked_ns == 0 ? now_ns : asked_ns;
        }
        now_ns = stream_out_due(&out);
    }
    assert(asked_ns == NS_PER_SEC + STREAM_RETRY_NS && now_ns == asked_ns + STREAM_SILENCE_NS);
    stream_out_did(&out, STREAM_RECONNECT, true, now_ns);
    assert(stream_out_step(&out, now_ns + 100 * NS_PER_SEC) == STREAM_NOTHING);

    /* Also when the carrier has no room even for a hello. */
    stream_out_connected(&out, now_ns);
    asked_ns = now_ns;
    while (stream_out_step(&out, now_ns) != STREAM_RECONNECT) {
        if (stream_out_step(&out, now_ns) == STREAM_SAY_HELLO)
            stream_out_did(&out, STREAM_SAY_HELLO, false, now_ns);
        now_ns = stream_out_due(&out);
    }
    assert(now_ns == asked_ns + STREAM_SILENCE_NS);
    stream_out_fini(&out);
}

/* An idle stream wants nothing; and one that waits long for a slow handler only
 * asks now and then, and sends nothing again. */
static void test_patience(void)
{
    struct stream_out out;
    uint64_t now_ns = NS_PER_SEC;
    stream_out_init(&out, ID, 10, 1000);
    stream_out_connected(&out, now_ns);
    assert(stream_out_put(&out, "x", 1, now_ns));
    say_hello(&out, now_ns);
    struct stream_ack ack = nothing;
    assert(stream_out_ack(&out, &ack, now_ns));
    stream_out_did(&out, STREAM_SEND, true, now_ns);
    ack.received = 1;
    ack.credit = 255;
    unsigned hellos = 0;
    for (uint64_t end_ns = now_ns + 60 * NS_PER_SEC; now_ns < end_ns; now_ns = stream_out_due(&out)) {
        assert(stream_out_ack(&out, &ack, now_ns));
        if (stream_out_step(&out, now_ns) == STREAM_NOTHING)
            continue;
        say_hello(&out, now_ns);
        hellos++;
        ack.hello = out.hellos;
    }
    assert(hellos >= 25 && hellos <= 40 && out.at == 2);
    ack.handled = 1;
    assert(stream_out_ack(&out, &ack, now_ns) && stream_out_is_idle(&out));
    assert(stream_out_due(&out) == UINT64_MAX && out.bytes == 0 && out.flying == 0);
    stream_out_fini(&out);
}

/* What cannot be true is not believed, and a dead process's last words only as
 * far as they tell what was handled. */
static void test_false_acks(void)
{
    struct stream_out out;
    stream_out_init(&out, ID, 10, 1000);
    for (unsigned i = 0; i < 6; i++)
        assert(stream_out_put(&out, "frame", 5, NS_PER_SEC));
    stream_out_connected(&out, NS_PER_SEC);
    say_hello(&out, NS_PER_SEC);

    struct stream_ack ack = nothing;
    ack.received = ack.handled = 7;
    assert(!stream_out_ack(&out, &ack, NS_PER_SEC)); /* of what does not exist */
    ack = nothing;
    ack.hello = 2;
    assert(!stream_out_ack(&out, &ack, NS_PER_SEC)); /* to what was never said */
    ack.hello = 0;
    assert(!stream_out_ack(&out, &ack, NS_PER_SEC));
    assert(out.base == 1 && !out.acquainted);

    assert(stream_out_ack(&out, &nothing, NS_PER_SEC));
    for (unsigned i = 0; i < 4; i++)
        stream_out_did(&out, STREAM_SEND, true, NS_PER_SEC);
    assert(out.at == 5 && out.flying == 20);

    /* It ends; another is there; then its last $ack is read. */
    stream_out_lost(&out);
    stream_out_connected(&out, NS_PER_SEC);
    say_hello(&out, NS_PER_SEC);
    struct stream_ack another = { .stream = ID, .epoch = 6, .hello = 2, .credit = 256 };
    assert(stream_out_ack(&out, &another, NS_PER_SEC));
    assert(out.at == 1 && out.flying == 0);
    struct stream_ack last = { .stream = ID, .epoch = 5, .hello = 1, .handled = 3, .received = 4,
                               .credit = 253 };
    assert(stream_out_ack(&out, &last, NS_PER_SEC));
    assert(out.base == 4 && out.at == 4 && out.epoch == 6 && out.received == 0);
    stream_out_fini(&out);
}

/* What was refused, and all behind it, is sent again as soon as there is credit,
 * once for each refusal. */
static void test_refused(void)
{
    struct stream_out out;
    stream_out_init(&out, ID, 10, 1000);
    for (unsigned i = 0; i < 5; i++)
        assert(stream_out_put(&out, "frame", 5, NS_PER_SEC));
    stream_out_connected(&out, NS_PER_SEC);
    say_hello(&out, NS_PER_SEC);
    assert(stream_out_ack(&out, &nothing, NS_PER_SEC));
    while (stream_out_step(&out, NS_PER_SEC) == STREAM_SEND)
        stream_out_did(&out, STREAM_SEND, true, NS_PER_SEC);
    assert(out.at == 6);

    struct stream_ack ack = nothing;
    ack.received = 2;
    ack.refusals = 1;
    ack.credit = 0;
    assert(stream_out_ack(&out, &ack, NS_PER_SEC));
    assert(out.at == 3 && stream_out_step(&out, NS_PER_SEC) == STREAM_NOTHING);
    ack.credit = 8;
    assert(stream_out_ack(&out, &ack, NS_PER_SEC));
    while (stream_out_step(&out, NS_PER_SEC) == STREAM_SEND)
        stream_out_did(&out, STREAM_SEND, true, NS_PER_SEC);
    assert(stream_out_ack(&out, &ack, NS_PER_SEC)); /* of the same refusal */
    assert(out.at == 6 && out.flying == 25);
    stream_out_fini(&out);
}

/* Both limits hold; a put beyond them changes nothing. */
static void test_limits(void)
{
    struct stream_out out;
    char frame[100] = { 0 };
    stream_out_init(&out, ID, 3, 250);
    assert(stream_out_put(&out, frame, 100, 1) && stream_out_put(&out, frame, 100, 1));
    assert(!stream_out_put(&out, frame, 51, 1) && stream_out_put(&out, frame, 50, 1));
    assert(!stream_out_put(&out, frame, 0, 1));
    assert(out.next == 4 && out.bytes == 250);
    stream_out_fini(&out);
    assert(out.bytes == 0);
}

/* No more bytes than the window's are under way, but always one frame. */
static void test_window_bytes(void)
{
    static char frame[STREAM_WINDOW_BYTES / 2 + 1];
    struct stream_out out;
    stream_out_init(&out, ID, 100, 100u << 20);
    for (unsigned i = 0; i < 3; i++)
        assert(stream_out_put(&out, frame, sizeof frame, 1));
    stream_out_connected(&out, 1);
    say_hello(&out, 1);
    assert(stream_out_ack(&out, &nothing, 1));
    assert(stream_out_step(&out, 1) == STREAM_SEND);
    stream_out_did(&out, STREAM_SEND, true, 1);
    assert(stream_out_step(&out, 1) == STREAM_NOTHING);
    struct stream_ack ack = nothing;
    ack.received = ack.handled = 1;
    assert(stream_out_ack(&out, &ack, 1) && stream_out_step(&out, 1) == STREAM_SEND);
    stream_out_fini(&out);
}

/* An $ack serves for many: at once for every 32 handled, else a little later. */
static void test_acknowledging(void)
{
    struct stream_in in;
    struct stream_hello hello = { .stream = ID, .hello = 1, .base = 1 };
    stream_in_init(&in, &hello);
    assert(in.due_ns == 0);
    stream_in_said(&in);
    for (uint64_t i = 1; i <= 40; i++) {
        assert(stream_in_judge(&in, i) == STREAM_TAKE);
        stream_in_take(&in, 10, i);
    }
    assert(in.due_ns == 1 + STREAM_ACK_DELAY_NS);
    unsigned at_once = 0;
    for (uint64_t i = 40; i >= 1; i--) { /* the cumulative one waits for the first */
        assert(stream_in_ack(&in, 1).handled == 0);
        at_once += stream_in_over(&in, i, 10);
    }
    assert(at_once == 1 && in.handled == 40 && in.bytes == 0);
    struct stream_ack ack = stream_in_ack(&in, 9);
    assert(ack.handled == 40 && ack.received == 40 && ack.credit == 256 && ack.epoch == 9);
    stream_in_said(&in);
    stream_in_take(&in, 10, 5);
    stream_in_said(&in); /* the delay is over, and it is not handled yet */
    assert(stream_in_over(&in, 41, 10));

    /* Of large ones not so many have to come together. */
    stream_in_said(&in);
    for (unsigned i = 0; i < 4; i++)
        stream_in_take(&in, STREAM_ACK_BYTES / 2, 5);
    assert(!stream_in_over(&in, 42, STREAM_ACK_BYTES / 2));
    assert(stream_in_over(&in, 43, STREAM_ACK_BYTES / 2));
}

/* A refused frame is told at once, as often as it happens, and credit is less
 * from then on until things go well. */
static void test_refusing(void)
{
    struct stream_in in;
    struct stream_hello hello = { .stream = ID, .hello = 1, .base = 1 };
    stream_in_init(&in, &hello);
    stream_in_said(&in);
    stream_in_take(&in, 10, 1);
    stream_in_refuse(&in, true, 10);
    struct stream_ack ack = stream_in_ack(&in, 1);
    assert(in.due_ns == 0 && ack.received == 0 && ack.credit == 0 && ack.refusals == 1);
    assert(stream_in_judge(&in, 1) == STREAM_TAKE && stream_in_judge(&in, 2) == STREAM_AHEAD);
    hello.hello = 2;
    assert(stream_in_hello(&in, &hello) && stream_in_ack(&in, 1).credit == 128);
    for (uint64_t i = 1; i <= 20; i++) {
        stream_in_refuse(&in, false, 0);
        hello.hello++;
        assert(stream_in_hello(&in, &hello));
    }
    assert(stream_in_ack(&in, 1).credit == STREAM_OPEN_MIN && in.refusals == 21);
    assert(!stream_in_hello(&in, &hello)); /* that one again */
    for (uint64_t i = 1; i <= 2000; i++) {
        stream_in_take(&in, 10, 1);
        stream_in_over(&in, i, 10);
    }
    assert(stream_in_ack(&in, 1).credit == STREAM_WINDOW);
}

/* Nobody gets more in than the window, whatever he sends. */
static void test_hostile_numbers(void)
{
    struct stream_in in;
    struct stream_hello hello = { .stream = ID, .hello = 1, .base = 1 };
    stream_in_init(&in, &hello);
    for (uint64_t i = 1; i <= STREAM_WINDOW; i++) {
        assert(stream_in_judge(&in, i) == STREAM_TAKE);
        stream_in_take(&in, 1, 1);
    }
    assert(stream_in_judge(&in, STREAM_WINDOW + 1) == STREAM_NO_ROOM);
    assert(stream_in_judge(&in, UINT64_MAX) == STREAM_AHEAD);
    assert(stream_in_judge(&in, 0) == STREAM_DUPLICATE);

    hello.hello = 2;
    hello.base = UINT64_C(1) << 53; /* skips all that there is */
    assert(stream_in_hello(&in, &hello) && in.handled == hello.base - 1 && stream_in_is_idle(&in));
    for (uint64_t i = 1; i <= STREAM_WINDOW; i++)
        assert(!stream_in_over(&in, i, 1));
    assert(in.bytes == 0 && in.handled == hello.base - 1);
    assert(stream_in_judge(&in, hello.base) == STREAM_TAKE);

    stream_in_init(&in, &(struct stream_hello){ .stream = ID, .hello = 1, .base = 1 });
    for (unsigned i = 0; i < 5; i++)
        stream_in_take(&in, 1, 1);
    hello.base = 4; /* skips some of what is not handled */
    assert(stream_in_hello(&in, &hello) && in.handled == 3 && in.received == 5);
    assert(!stream_in_over(&in, 2, 1));
    stream_in_over(&in, 5, 1);
    stream_in_over(&in, 4, 1);
    assert(in.handled == 5);
}

/* $hello and $ack are read as they were written; anything else is none. */
static void test_words(void)
{
    struct stream_hello hello = { 0x0123456789abcdef, 3, 17, 2, "tcp://127.0.0.1:5001" }, hello_read;
    struct stream_ack   ack = { 0xfedcba9876543210, 3, 1, 16, 20, 4, 200 }, ack_read;
    struct wire_envelope envelope;
    struct bytes frame;
    bytes_init(&frame, 0);
    wire_envelope_init(&envelope);

    assert(stream_write_hello(&hello, &frame) == 0);
    assert(wire_read((char *)frame.data, frame.size, &JSON_LIMITS_DEFAULT, &envelope, NULL) == 0);
    assert(strcmp(envelope.receiver, "$rel") == 0 && strcmp(envelope.message_type, "$hello") == 0);
    assert(envelope.sender_actor[0] == '\0' && envelope.sequence == 0);
    assert(stream_read_hello(envelope.message.data, &hello_read));
    assert(hello_read.stream == hello.stream && hello_read.hello == 3 && hello_read.base == 17 &&
           hello_read.heard == 2 && strcmp(hello_read.to, hello.to) == 0);
    assert(!stream_read_ack(envelope.message.data, &ack_read));

    frame.size = 0;
    assert(stream_write_ack(&ack, &frame) == 0);
    assert(wire_read((char *)frame.data, frame.size, &JSON_LIMITS_DEFAULT, &envelope, NULL) == 0);
    assert(stream_read_ack(envelope.message.data, &ack_read));
    assert(ack_read.stream == ack.stream && ack_read.hello == 3 && ack_read.epoch == 1 &&
           ack_read.handled == 16 && ack_read.received == 20 && ack_read.refusals == 4 &&
           ack_read.credit == 200);
    assert(!stream_read_hello(envelope.message.data, &hello_read));

    static const char *const bad[] = {
        "{}", "{\"i\":1,\"n\":1,\"e\":\"0000000000000001\",\"s\":0,\"r\":0,\"c\":1,\"d\":0}",
        "{\"i\":\"0000000000000001\",\"n\":1,\"e\":\"0000000000000001\",\"s\":2,\"r\":1,\"c\":1,\"d\":0}",
        "{\"i\":\"0000000000000001\",\"n\":1,\"e\":\"0000000000000001\",\"s\":0,\"r\":0,\"c\":257,\"d\":0}",
        "{\"i\":\"0000000000000001\",\"n\":1,\"e\":\"0000000000000001\",\"s\":0,\"r\":-1,\"c\":1,\"d\":0}",
        "{\"i\":\"0000000000000001\",\"n\":1,\"e\":null,\"s\":0,\"r\":0,\"c\":1,\"d\":0}",
        "{\"i\":\"0000000000000001\",\"n\":1,\"b\":0,\"h\":0,\"to\":\"tcp://1.2.3.4:1\"}",
        "{\"i\":\"0000000000000001\",\"n\":0,\"b\":1,\"h\":0,\"to\":\"tcp://1.2.3.4:1\"}",
        "{\"i\":\"0000000000000001\",\"n\":1,\"b\":1,\"h\":0,\"to\":[]}",
        "{\"i\":\"0000000000000001\",\"n\":1,\"b\":1,\"h\":0,\"to\":\"tcp://1.2\\u0000.3.4:1\"}",
        "{\"i\":\"0000000000000001\",\"n\":1e300,\"b\":1,\"h\":0,\"to\":\"\"}",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct bytes packed;
        bytes_init(&packed, 0);
        assert(json_read(bad[i], strlen(bad[i]), &JSON_LIMITS_DEFAULT, &packed, NULL) == 0);
        assert(!stream_read_ack(packed.data, &ack_read));
        assert(!stream_read_hello(packed.data, &hello_read));
        bytes_fini(&packed);
    }
    wire_envelope_fini(&envelope);
    bytes_fini(&frame);
}

int main(void)
{
    test_words();
    test_limits();
    test_window_bytes();
    test_stranger();
    test_silence();
    test_patience();
    test_false_acks();
    test_refused();
    test_acknowledging();
    test_refusing();
    test_hostile_numbers();
    test_calm();
    test_runs();
    assert(memory_used() == 0);
    return 0;
}
