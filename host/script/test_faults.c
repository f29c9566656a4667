/*
 * test_faults.c -- each allocation of a whole life fails once: scripts are
 * loaded, spawned, send, ask, wait, set timers, fail, and are stopped. Whatever
 * fails, nothing crashes, nobody hangs, and no byte is left behind.
 */
#include "script/script.h"
#include "script/test_faults.h"
#include "script/test_world.h"

#include "base/fault.h"
#include "message/pack.h"
#include "script/libraries.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef TROUPE_FAULTS

#define POINTS_EXPECTED 600

static char child_path[] = "/tmp/troupe_faults_XXXXXX";
static unsigned finished; /* prints of a life that went well */

static void on_print(void *context, const char *line, size_t size)
{
    (void)context, (void)size;
    finished += strncmp(line, "done", 4) == 0;
}

static const char child[] =
    "local Child = { mailbox = { limit = 2 }, version = 1, interleave = { 'Mull', 'Hear' } }\n"
    "local Pong = actor.message('Pong', { { 'list', 'any[]?' }, { 'from', { { 'ref', 'ref?' } } } })\n"
    "for i = 1, 5 do actor.message('Add' .. i, { n = 'integer' }) end\n"
    "function Child:on_add1(msg, env) env:reply('Sum', { n = msg.n + 1 }) end\n"
    "function Child:on_start() self.kept = {} end\n"
    "function Child:on_note(msg) self.note = msg.text end\n"
    "function Child:on_ping(msg, env) env:reply(Pong{ list = msg.list, from = { ref = env.from } }) end\n"
    "function Child:on_later(msg, env) env:defer() table.insert(self.kept, env) end\n"
    "function Child:on_fail(msg) local word, list = 'word', { 1, { a = 2 } } error({ code = msg.code }) end\n"
    "function Child:on_burst() coroutine.wrap(function() local co = coroutine.create(function() local a = self error(\n"
    "  setmetatable({}, { __tostring = function() return 'burst' end })) end)\n"
    "  local _, why = coroutine.resume(co) error(why) end)() end\n"
    "function Child:on_tick(msg) for _, env in ipairs(self.kept) do env:reply('Now', msg) end self.kept = {} end\n"
    "function Child:on_mull(msg, env)\n"
    "  if msg.later then env = env:defer() end\n"
    "  print(actor.self:start_ask('Hear'))\n"
    "  print(actor.sleep(msg.for_ms / 1000))\n"
    "  env:reply('Mulled')\n"
    "end\n"
    "function Child:on_hear(msg, env) print(actor.receive({ 'Word', 'Note' }, { timeout = '1s' })) end\n"
    "function Child:on_shutdown() self.kept = nil end\n"
    "return Child\n";

static const char parent[] =
    "function on_start(self)\n"
    "  local child = assert(actor.spawn(self.config.path, { config = { of = actor.self } }))\n"
    "  for i = 1, 5 do child:send('Note', { text = ('x'):rep(i * 100) }) end\n"
    "  local pong = assert(child:ask('Ping', { list = { 1, 2.5, 'three', { deep = true } } }))\n"
    "  assert(#pong.list == 4)\n"
    "  actor.message('Sum', { n = 'integer' })\n"
    "  assert(math.type(child:ask('Add1', { n = 1.0 }).n) == 'integer')\n"
    "  print(child:ask('Add1', { n = 1.5 }))\n"
    "  print(pcall(child.send, child, 'Sum', { m = 1 }))\n"
    "  local timer = actor.every('10ms', 'Tick', { n = 1 }, { to = child })\n"
    "  self.own = actor.after('5ms', actor.next_timer_id())\n"
    "  assert(child:ask('Later', nil, { timeout = '1s' }))\n"
    "  timer:cancel()\n"
    "  print(child:ask('Fail', { code = 3 }))\n"
    "  print(child:ask('Unknown'))\n"
    "  local all = actor.all { a = child:start_ask('Ping', {}), b = child:start_ask('Ping', {}) }\n"
    "  log.info('all', { is = all ~= nil })\n"
    "  actor.self:send('Later', { text = json.encode({ a = { 1, 2 } }) }, { after = '20ms' })\n"
    "  print(pcall(coroutine.wrap(function() actor.sleep('1ms') error('inside') end)))\n"
    "  print(coroutine.resume(coroutine.create(function() error('inside') end)))\n"
    "  print(child:ask('Burst'))\n"
    "  local mulled = { child:start_ask('Mull', { for_ms = 5 }), child:start_ask('Mull', { for_ms = 2, later = true }) }\n"
    "  print(actor.all(mulled))\n"
    "  for _ = 1, 2 do child:try_send('Mull', { for_ms = 3600000 }) child:try_send('Hear') end\n"
    "  actor.self:send('Word')\n"
    "  actor.receive('Word', { timeout = '1s' })\n"
    "end\n"
    "function on_later(self, msg)\n"
    "  if json.decode(msg.text).a[2] == 2 then print('done') end\n"
    "  undefined_name = 1\n"
    "  return nothing + 1\n"
    "end\n";

static uint8_t config[100]; /* {path = child_path}, packed */
static size_t  config_size;

static void pack_config(void)
{
    struct bytes out;
    bytes_init(&out, 0);
    size_t head = pack_open(&out, PACK_MAP);
    pack_put_string(&out, "path", 4);
    pack_put_string(&out, child_path, strlen(child_path));
    pack_close(&out, head, 1);
    assert(!out.failed && out.size <= sizeof config);
    memcpy(config, out.data, out.size);
    config_size = out.size;
    bytes_fini(&out);
}

static bool spawn_parent(void)
{
    struct source *source;
    struct script_options options = { .name = "parent", .config = config, .config_size = config_size };
    char     why[1024] = "";
    actor_id id;
    int error = source_from_text("@parent.lua", parent, strlen(parent), &source, why, sizeof why);
    if (error == 0) {
        error = script_spawn_source(&world, source, 0, &options, &id, why, sizeof why);
        source_unref(source);
    }
    assert(error == 0 || *why != '\0');
    return error == 0 && lifecycle_start(&host, id, config, config_size) == 0;
}

/* All of it, with the n-th allocation failing; true if none did. */
static bool live(uint64_t n)
{
    finished = 0;
    fault_arm(n);
    if (!try_open_stage(on_print))
        return false;
    spawn_parent();
    advance(10000);
    stop_stage();
    free_stage();
    bool whole = fault_count() < n;
    assert(!whole || finished == 1);
    return whole;
}

static void test_each_allocation(void)
{
    int fd = mkstemp(child_path);
    assert(fd >= 0 && write(fd, child, sizeof child - 1) == sizeof child - 1);
    close(fd);
    pack_config();
    log_set_sink(be_quiet, NULL);
    uint64_t count = fail_each(live, 1);
    fault_arm(0);
    assert(count >= POINTS_EXPECTED);
    printf("faults: %llu allocations failed, each once\n", (unsigned long long)count);
    log_set_sink(NULL, NULL);
    unlink(child_path);
}

int main(void)
{
    assert(libraries_prepare() == 0);
    test_each_allocation();
    puts("faults: ok");
    return 0;
}

#else

int main(void)
{
    puts("faults: skipped, this build has no TROUPE_FAULTS");
    return 0;
}

#endif
