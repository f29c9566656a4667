/*
 * test_restart_faults.c -- each allocation of a life with restarts fails once: an
 * actor that restarts by itself, and one that is halted, started, killed and
 * dropped by its supervisor. Whatever fails, nothing crashes, nobody is lost, and
 * no byte is left behind.
 */
#include "script/script.h"
#include "script/test_faults.h"
#include "script/test_world.h"

#include "base/fault.h"
#include "base/test_tsan.h"
#include "script/libraries.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef TROUPE_FAULTS

#define POINTS_EXPECTED 1000

/* The thread sanitizer is slow, and sees in some lives what it sees in all. */
#define STEP (UNDER_TSAN ? 3 : 1)

static char child_path[] = "/tmp/troupe_restarts_XXXXXX";
static unsigned finished;

static void on_print(void *context, const char *line, size_t size)
{
    (void)context, (void)size;
    finished += strncmp(line, "done", 4) == 0;
}

static const char child[] =
    "local Child = {}\n"
    "function Child:on_start(msg) self.timer = actor.every('2ms', 'Tick', { n = 1 }) end\n"
    "function Child:on_tick() end\n"
    "function Child:on_keep(msg, env) self.kept = env env:defer() end\n"
    "function Child:on_fail() error('child') end\n"
    "function Child:on_shutdown() if self.kept then actor.sleep('1h') end end\n"
    "return Child\n";

/* Leads a supervised child through all that there is, and fails; then it restarts
 * once more, because of a child whose failure climbs. */
static const char parent[] =
    "local children = require 'troupe.children'\n"
    "local Parent = { failure = 'restart', restart = { backoff = '1ms' } }\n"
    "function Parent:on_start(msg)\n"
    "  if msg.restarts == 2 then print('done') return end\n"
    "  if msg.restarts == 1 then\n"
    "    assert(actor.spawn(actor.args[1], { failure = 'escalate' })):send('Fail')\n"
    "    return\n"
    "  end\n"
    "  self.child = assert(children.spawn(actor.args[1], { name = 'child', config = { n = 1 } }))\n"
    "  assert(children.start(self.child))\n"
    "end\n"
    "function Parent:on_child_started(msg)\n"
    "  self.started = (self.started or 0) + 1\n"
    "  if self.started == 1 then msg.who:send('Fail') return end\n"
    "  self.child:start_ask('Keep')\n"
    "  assert(children.halt(self.child, '5ms'))\n"
    "end\n"
    "function Parent:on_child_halted(msg)\n"
    "  if msg.reason ~= 'killed' then assert(children.start(self.child)) return end\n"
    "  assert(children.drop(self.child))\n"
    "  error('once')\n"
    "end\n"
    "return Parent\n";

static void spawn_parent(void)
{
    struct source *source;
    struct script_options options = { .name = "parent" };
    char     why[1024] = "";
    actor_id id;
    int error = source_from_text("@parent.lua", parent, strlen(parent), &source, why, sizeof why);
    if (error == 0) {
        error = script_spawn_source(&world, source, 0, &options, &id, why, sizeof why);
        source_unref(source);
    }
    assert(error == 0 || *why != '\0');
    if (error == 0)
        lifecycle_start(&host, id, NULL, 0);
}

/* All of it, with the n-th allocation failing; true if none did. */
static bool live(uint64_t n)
{
    char *arguments[] = { child_path, NULL };
    finished = 0;
    fault_arm(n);
    if (!try_open_stage(on_print))
        return false;
    world.arguments = arguments;
    spawn_parent();
    advance(60000);
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
    log_set_sink(be_quiet, NULL);
    uint64_t count = fail_each(live, STEP);
    fault_arm(0);
    assert(count >= POINTS_EXPECTED);
    printf("restart faults: of %llu allocations each one failed once, or each %d-th\n",
           (unsigned long long)count, STEP);
    log_set_sink(NULL, NULL);
    unlink(child_path);
}

int main(void)
{
    assert(libraries_prepare() == 0);
    test_each_allocation();
    puts("restart faults: ok");
    return 0;
}

#else

int main(void)
{
    puts("restart faults: skipped, this build has no TROUPE_FAULTS");
    return 0;
}

#endif
