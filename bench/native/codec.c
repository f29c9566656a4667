/*
 * codec.c -- what it costs to copy a message, and to write and read it as JSON.
 *
 *   bench_codec      prints `codec METRIC VALUE ns` for each metric:
 *
 *   pack_*   a Lua table is packed, and pushed again as a new table
 *   json_*   the packed form is written as JSON text and read back
 *   wire_*   the same with the envelope around it, as a frame on the network
 *
 * Each for {count = i} and for tables that take about 64 bytes, 1, 16 and 256 KiB
 * when packed. Medians of BATCHES batches of BATCH_NS or longer, after one to warm up.
 */
#include "base/clock.h"
#include "message/json.h"
#include "message/wire.h"
#include "script/pack_lua.h"
#include "script/vm.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCHES  5
#define BATCH_NS (20 * NS_PER_MS)

/* Everything that a step of work may use. */
struct bench {
    lua_State           *L;      /* the payload is at index 1 */
    bool                 counts; /* and is {count = i}, with a new i each time */
    lua_Integer          count;
    struct bytes         packed; /* the payload, packed */
    struct bytes         text;
    struct bytes         back;   /* packed again */
    struct wire_envelope envelope;
};

typedef void bench_step(struct bench *bench);

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench_codec: %s failed\n", what);
    exit(1);
}

/* ---- The payloads ------------------------------------------------------- */

/* Pushes a trade: strings, an integer, floats; 62 bytes when packed. */
static void push_trade(lua_State *L, lua_Integer number)
{
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, 1700000000000 + number);
    lua_setfield(L, -2, "id");
    lua_pushliteral(L, "EURUSD");
    lua_setfield(L, -2, "symbol");
    lua_pushnumber(L, 1.08435 + (double)number / 1000);
    lua_setfield(L, -2, "price");
    lua_pushnumber(L, 250000.5);
    lua_setfield(L, -2, "volume");
}

/* Pushes a market's day, with as many trades. */
static void push_day(lua_State *L, lua_Integer trades)
{
    lua_createtable(L, 0, 4);
    lua_pushliteral(L, "frankfurt");
    lua_setfield(L, -2, "market");
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "open");
    lua_createtable(L, 8, 0);
    for (lua_Integer i = 1; i <= 8; i++) {
        lua_pushnumber(L, 1.08 + (double)i / 10000);
        lua_rawseti(L, -2, i);
    }
    lua_setfield(L, -2, "levels");
    lua_createtable(L, (int)trades, 0);
    for (lua_Integer i = 1; i <= trades; i++) {
        push_trade(L, i);
        lua_rawseti(L, -2, i);
    }
    lua_setfield(L, -2, "trades");
}

static size_t packed_size(lua_State *L)
{
    size_t size;
    pack_lua_message(L, 1, &size);
    return size;
}

/* Puts the day that takes about `size` bytes at index 1. */
static void make_day(lua_State *L, size_t size)
{
    lua_settop(L, 0);
    push_day(L, 0);
    size_t empty = packed_size(L);
    lua_settop(L, 0);
    push_day(L, 1);
    size_t trade = packed_size(L) - empty;
    lua_settop(L, 0);
    push_day(L, (lua_Integer)((size - empty) / trade));
}

static void make_payload(struct bench *bench, size_t size)
{
    lua_State *L = bench->L;
    lua_settop(L, 0);
    bench->counts = size == 0;
    if (size == 0) {
        lua_createtable(L, 0, 1);
        lua_pushinteger(L, 1);
        lua_setfield(L, 1, "count");
    } else if (size <= 64) {
        push_trade(L, 1);
    } else {
        make_day(L, size);
    }

    size_t         packed_bytes;
    const uint8_t *packed = pack_lua_message(L, 1, &packed_bytes);
    bytes_clear(&bench->packed, 0);
    bytes_append(&bench->packed, packed, packed_bytes);
    check(!bench->packed.failed, "packing");
    lua_gc(L, LUA_GCCOLLECT);
}

/* ---- The work ----------------------------------------------------------- */

static void pack_and_push(struct bench *bench)
{
    if (bench->counts) {
        lua_pushinteger(bench->L, bench->count++);
        lua_setfield(bench->L, 1, "count");
    }
    size_t         size;
    const uint8_t *packed = pack_lua_message(bench->L, 1, &size);
    pack_lua_push(bench->L, packed, size);
    lua_pop(bench->L, 1);
}

static void write_and_read_json(struct bench *bench)
{
    static const struct json_limits limits = JSON_LIMITS_DEFAULT;
    bench->text.size = 0;
    bench->back.size = 0;
    check(json_write(bench->packed.data, bench->packed.size, JSON_SPACED | JSON_ASCII, NULL, NULL,
                     &bench->text, NULL) == 0, "json_write");
    check(json_read((const char *)bench->text.data, bench->text.size, &limits, &bench->back,
                    NULL) == 0, "json_read");
}

static void write_and_read_frame(struct bench *bench)
{
    static const struct json_limits limits = JSON_LIMITS_DEFAULT;
    bench->text.size = 0;
    check(wire_write("ping", "tcp://127.0.0.1:5002", "pong", "Ping", bench->packed.data,
                     bench->packed.size, NULL, NULL, &bench->text, NULL) == 0, "wire_write");
    check(wire_read((const char *)bench->text.data, bench->text.size, &limits, &bench->envelope,
                    NULL) == 0, "wire_read");
}

/* ---- Measuring ---------------------------------------------------------- */

static uint64_t time_of(struct bench *bench, bench_step *step, uint64_t times)
{
    struct clock clock;
    clock_init(&clock, false);
    uint64_t started = clock_now(&clock);
    for (uint64_t i = 0; i < times; i++)
        step(bench);
    return clock_now(&clock) - started;
}

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static void measure(struct bench *bench, const char *what, const char *payload, bench_step *step)
{
    /* How many steps fill a batch; finding out warms up. */
    uint64_t times = 1;
    while (time_of(bench, step, times) < BATCH_NS)
        times *= 2;

    double cost[BATCHES];
    for (int i = 0; i < BATCHES; i++)
        cost[i] = (double)time_of(bench, step, times) / (double)times;
    qsort(cost, BATCHES, sizeof cost[0], compare);
    printf("codec %s_%s %.6g ns\n", what, payload, cost[BATCHES / 2]);
}

int main(void)
{
    static const struct {
        const char *name;
        size_t      size;
    } payloads[] = {
        { "count", 0 }, { "64", 64 }, { "1k", 1024 }, { "16k", 16 * 1024 }, { "256k", 256 * 1024 },
    };
    static const struct vm_options options = { 0 };

    struct vm    vm;
    struct bench bench = { 0 };
    check(vm_open(&vm, &options) == 0, "vm_open");
    bench.L = vm.L;
    bytes_init(&bench.packed, 0);
    bytes_init(&bench.text, WIRE_FRAME_LIMIT);
    bytes_init(&bench.back, 0);
    wire_envelope_init(&bench.envelope);

    for (size_t i = 0; i < ARRAY_LENGTH(payloads); i++) {
        make_payload(&bench, payloads[i].size);
        measure(&bench, "pack", payloads[i].name, pack_and_push);
        measure(&bench, "json", payloads[i].name, write_and_read_json);
        measure(&bench, "wire", payloads[i].name, write_and_read_frame);
    }

    wire_envelope_fini(&bench.envelope);
    bytes_fini(&bench.back);
    bytes_fini(&bench.text);
    bytes_fini(&bench.packed);
    vm_close(&vm);
    return 0;
}
