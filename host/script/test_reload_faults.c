/*
 * test_reload_faults.c -- each allocation of a life with reloads fails once: new
 * versions with modules and migrations, one that is refused, one on trial that
 * fails, an undo, an actor that begins meanwhile. Whatever fails, all instances run
 * one version, whoever asked is answered, nobody stays held and no byte is left behind.
 */
#include "script/reload.h"
#include "script/test_faults.h"
#include "script/test_world.h"

#include "base/fault.h"
#include "base/test_tsan.h"
#include "script/libraries.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef TROUPE_FAULTS

#define POINTS_EXPECTED 1000

/* The thread sanitizer is slow, and sees in some lives what it sees in all. */
#define STEP (UNDER_TSAN ? 7 : 2)

static char folder[] = "/tmp/troupe_reloads_XXXXXX";
static char path[64], module[64];
static char     said[2]; /* the version that each instance has named */
static unsigned count_said;

static void on_print(void *context, const char *line, size_t size)
{
    (void)context;
    if (size > 1 && line[0] == 'v' && count_said < sizeof said)
        said[count_said++] = line[1];
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void write_version(int version, const char *rest)
{
    char text[1000];
    snprintf(text, sizeof text, "return { n = %d }", version);
    write_file(module, text);
    snprintf(text, sizeof text,
             "local S = { version = %d }\n"
             "local module = require 'lib'\n"
             "actor.message('Say', { n = 'integer?' })\n"
             "function S:on_start() self.n, self.list = 0, { { 1 }, { 2 } } end\n"
             "function S:on_say() print('v' .. S.version) end\n"
             "function S:on_fail() error('as asked') end\n"
             "%s\nreturn S\n", version, rest);
    write_file(path, text);
}

static const char migrates[] =
    "function S:on_reload() self.n = self.n + 1 self.list[3] = { 3 } actor.self:send('Say')\n"
    "actor.after('1s', 'Say') end";

static void run_reloads(void)
{
    while (scheduler_step(&host) || reloads_step(world.reloads))
        continue;
}

static actor_id spawn(void)
{
    struct script_options options = { 0 };
    actor_id id = 0;
    char why[1024];
    if (script_spawn(&world, path, NULL, 0, &options, &id, why, sizeof why) == 0)
        lifecycle_start(&host, id, NULL, 0);
    return id;
}

static void tell(actor_id to, const char *type)
{
    struct message *message = message_new(MESSAGE_ORDINARY, type_intern(type, strlen(type)), NULL, 0);
    if (message == NULL)
        return;
    message->to = to;
    router_send(&host, &message, 0);
    message_free(message);
}

static void done(void *context, int code, const char *json)
{
    assert(json[0] == '{' && code >= 0);
    *(bool *)context = true;
}

/* While all are held. */
static bool spawn_one(void *context, const char *json)
{
    (void)context, (void)json;
    actor_id id = spawn();
    run_reloads();
    if (id != 0)
        incarnation_kill(&host, id);
    return true;
}

static void reload(const struct reload_request *how)
{
    bool over = false;
    struct reload_request request = *how;
    request.done = done;
    request.context = &over;
    int error = reloads_ask(world.reloads, &request);
    assert(error == 0 || error == -ENOMEM);
    run_reloads();
    assert(over || error != 0);
}

/* Both, if both are there, run the same. */
static void check(actor_id one, actor_id two)
{
    count_said = 0;
    tell(one, "Say");
    tell(two, "Say");
    run_reloads();
    assert(count_said < 2 || said[0] == said[1]);
}

/* All of it, with the n-th allocation failing; true if none did. */
static bool live(uint64_t n)
{
    bool whole = false;
    write_version(1, "");
    fault_arm(n);
    if (!try_open_stage(on_print))
        return false;
    if (reloads_open(&world.reloads, &world) != 0)
        goto close_reloads;
    actor_id one = spawn(), two = spawn();
    run_reloads();
    write_version(2, migrates);
    reload(&(struct reload_request){ .decide = spawn_one });
    check(one, two);
    write_version(3, "S.on_go = 42");
    reload(&(struct reload_request){ .paths = (const char *const[]){ path, NULL }, .asked_by = "me" });
    check(one, two);
    write_version(4, migrates);
    reload(&(struct reload_request){ .trial_ns = NS_PER_SEC });
    tell(one, "Fail");
    run_reloads();
    check(one, two);
    reload(&(struct reload_request){ .undo = true });
    check(one, two);
    reloads_stop(world.reloads);
    stop_stage();
    whole = fault_count() < n;

close_reloads:
    reloads_close(world.reloads);
    free_stage();
    return whole;
}

static void test_each_allocation(void)
{
    assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/script.lua", folder);
    snprintf(module, sizeof module, "%s/lib.lua", folder);
    log_set_sink(be_quiet, NULL);
    uint64_t count = fail_each(live, STEP);
    fault_arm(0);
    assert(count >= POINTS_EXPECTED);
    printf("reload faults: of %llu allocations each %d-th failed once\n",
           (unsigned long long)count, STEP);
    log_set_sink(NULL, NULL);
    unlink(path);
    unlink(module);
    rmdir(folder);
}

int main(void)
{
    assert(libraries_prepare() == 0);
    test_each_allocation();
    puts("reload faults: ok");
    return 0;
}

#else

int main(void)
{
    puts("reload faults: skipped, this build has no TROUPE_FAULTS");
    return 0;
}

#endif
