/*
 * test_restart_faults.c -- each allocation of a life with restarts fails once: an
 * actor that restarts by itself, and one that is halted, started, killed and
 * dropped by its supervisor. Whatever fails, nothing crashes, nobody is lost, and
 * no byte is left behind.
 */
#include "script/script.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "script/libraries.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef TROUPE_FAULTS

#define POINTS_EXPECTED 1000

/* The thread sanitizer is slow, and sees in some lives what it sees in all. */
#ifdef __SANITIZE_THREAD__
#define STEP 3
#else
#define STEP 1
#endif

static struct system       host;
static struct script_world world;
static char child_path[] = "/tmp/troupe_restarts_XXXXXX";
static unsigned finished;

static void on_print(void *context, const char *line, size_t size)
{
    (void)context, (void)size;
    finished += strncmp(line, "done", 4) == 0;
}

static void be_quiet(void *context, enum log_level level, const char *line)
{
    (void)context, (void)level, (void)line;
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

static void run(void)
{
    while (scheduler_step(&host))
        continue;
}

static void advance(uint64_t ms)
{
    uint64_t until = clock_now(&host.clock) + ms * NS_PER_MS;
    run();
    for (uint64_t due; (due = timers_next(host.timers)) <= until; run())
        timers_advance(host.timers, due);
    timers_advance(host.timers, until);
    run();
}

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
    struct shutdown_account account;
    finished = 0;
    fault_arm(n);
    if (system_open(&host, 0, 1, NULL) != 0)
        return false;
    if (system_start(&host) != 0)
        goto close_system;
    world = (struct script_world){
        .system = &host,
        .sources = sources_new(NULL),
        .stage = true,
        .seed = 1,
        .arguments = arguments,
        .defaults = { .memory_bytes = 64u << 20,
                      .slice_ns = 5 * NS_PER_SEC,
                      .ask_timeout_ns = 5 * NS_PER_SEC },
        .print = on_print,
    };
    if (world.sources == NULL)
        goto close_system;
    spawn_parent();
    advance(60000);
    lifecycle_shut_down(&host, clock_now(&host.clock) + 5 * NS_PER_SEC, &account);
    assert(atomic_load(&host.registry.living) == 0);
    assert(timers_count(host.timers) == 0);
    sources_free(world.sources);

close_system:
    system_close(&host);
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

    /* The first lives make what stays: message types, this thread's scratch. */
    for (int i = 0; i < 3; i++)
        assert(live(UINT64_MAX));
    size_t states = vm_count();
    size_t before = memory_used();
    uint64_t n = 1;
    while (!live(n)) {
        assert(vm_count() == states);
        if (memory_used() != before) {
            fprintf(stderr, "allocation %llu: %zu bytes left behind\n", (unsigned long long)n,
                    memory_used() - before);
            abort();
        }
        n += STEP;
    }
    fault_arm(0);
    assert(n > POINTS_EXPECTED);
    printf("restart faults: of %llu allocations each one failed once, or each %d-th\n",
           (unsigned long long)(n - 1), STEP);
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
