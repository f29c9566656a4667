/*
 * test_host.c -- the public header, from the outside: hosts are made, run,
 * asked and ended in all the ways an embedding program may.
 */
#include "host.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
/* The thread sanitizer cannot see how libzmq's own threads keep order. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:libzmq.so\n";
}
#endif

static char why[HOST_WHY];

static void be_quiet(void *context, enum log_level level, const char *line)
{
    (void)context, (void)level, (void)line;
}

static struct host *make(struct host_options options)
{
    struct host *host;
    int error = host_make(&host, &options, why, sizeof why);
    if (error != 0)
        fprintf(stderr, "host_make: %s\n", why);
    assert(error == 0);
    return host;
}

static host_actor spawn(struct host *host, const char *name, const char *text)
{
    struct host_spawn_options options = { .name = name };
    host_actor actor;
    int error = host_spawn_text(host, "=test", text, &options, &actor, why, sizeof why);
    if (error != 0)
        fprintf(stderr, "spawn: %s\n", why);
    assert(error == 0);
    return actor;
}

/* Asks, and leaves "Type {json}" in *answer* or what went wrong in `why`. */
static char answer[512];
static int ask(struct host *host, const char *to, const char *type, const char *json,
               uint64_t timeout_ms)
{
    char *reply_type, *reply_json;
    int error =
        host_ask(host, to, type, json, timeout_ms, &reply_type, &reply_json, why, sizeof why);
    answer[0] = '\0';
    if (error != 0)
        return error;
    snprintf(answer, sizeof answer, "%s %s", reply_type, reply_json);
    free(reply_type);
    free(reply_json);
    return 0;
}

static const char echo[] = "function on_echo(self, msg, env) env:reply('Echoed', msg) end\n"
                           "function on_mute() end\n"
                           "function on_later(self, msg, env) self.kept = env env:defer() end\n"
                           "function on_fail() error('no luck', 0) end\n"
                           "function on_refuse(self, msg, env) env:fail('not today') end\n"
                           "function on_leave() actor.exit() end\n";

/* ---- A C behaviour that writes down what it sees ---- */

struct diary {
    char       text[512];
    atomic_int ended;
};

static void write_down(void *context, const struct host_message *message)
{
    struct diary *diary = context;
    size_t used = strlen(diary->text);
    snprintf(diary->text + used, sizeof diary->text - used, "%s%s%s; ", host_message_type(message),
             host_message_json(message), host_message_asked(message) ? "?" : "");
    if (strcmp(host_message_type(message), "Double") == 0) {
        int n = 0;
        char reply[64];
        sscanf(host_message_json(message), "{\"n\": %d}", &n);
        snprintf(reply, sizeof reply, "{\"n\": %d}", 2 * n);
        assert(host_reply(message, "Doubled", reply, why, sizeof why) == 0);
        if (host_message_asked(message)) /* a question has one answer */
            assert(host_reply(message, "Doubled", reply, why, sizeof why) == -EALREADY);
    }
}

static void close_diary(void *context)
{
    atomic_store(&((struct diary *)context)->ended, 1);
}

static const struct host_behaviour diarist = { .receive = write_down, .end = close_diary };

/* A host that is made and freed, with and without actors, leaves nothing behind. */
static void test_made_and_freed(void)
{
    assert(host_free(NULL));
    assert(host_free(make((struct host_options){ 0 })));
    struct host *host = make((struct host_options){ .workers = 2 });
    spawn(host, "a", echo);
    assert(host_free(host));
    host = make((struct host_options){ .stepped = true });
    spawn(host, "a", echo);
    assert(host_free(host));
}

/* Bad options are refused with a sentence. */
static void test_bad_options(void)
{
    struct host *host;
    struct host_options bad[] = {
        { .workers = 1000 },
        { .stepped = true, .bind = ":0" },
        { .stepped = true, .watch = true },
        { .watch_trial_ms = 1000 },
        { .watch = true, .watch_trial_ms = 25 * 3600 * 1000 },
        { .advertise = ":5001" },
        { .bind = "nonsense" },
        { .log_format = "xml" },
        { .log_level = "loud" },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        why[0] = '\0';
        assert(host_make(&host, &bad[i], why, sizeof why) == -EINVAL && why[0] != '\0');
    }
    struct host *first = make((struct host_options){ .bind = ":0" });
    struct host_options same = { .bind = host_endpoint(first) };
    assert(host_make(&host, &same, why, sizeof why) == -EADDRINUSE);
    host_free(first);
}

/* Spawning says what is wrong, and where. */
static void test_bad_spawns(void)
{
    struct host *host = make((struct host_options){ .workers = 1 });
    struct host_spawn_options options = { .name = "a" };
    assert(host_spawn(host, "no/such.lua", NULL, NULL, why, sizeof why) == -ENOENT);
    assert(host_spawn_text(host, "=chunk", "x x", NULL, NULL, why, sizeof why) == -EINVAL);
    assert(strstr(why, "chunk:1:") != NULL);
    spawn(host, "a", echo);
    assert(host_spawn_text(host, "=chunk", echo, &options, NULL, why, sizeof why) == -EEXIST);
    options = (struct host_spawn_options){ .name = "b", .config = "[1]" };
    assert(host_spawn_text(host, "=chunk", echo, &options, NULL, why, sizeof why) == -EINVAL);
    assert(host_start_actor(host, host_find(host, "a")) == -ESRCH);
    assert(host_find(host, "b") == 0);
    host_free(host);
}

/* {"$ref": "..."} in a config is a ref: to the actor of that name, if it lives when
 * this one starts; else to whoever is called so. */
static void test_refs_in_config(void)
{
    struct host *host = make((struct host_options){ .stepped = true });
    struct diary diary = { .text = "" };
    struct host_spawn_options options = {
        .name = "a", .config = "{\"to\":{\"$ref\":\"b\"},\"more\":[{\"$ref\":\"x@:5001\"}]}", .held = true };
    host_actor held;
    assert(host_spawn_c(host, "diary", &diarist, &diary, NULL, why, sizeof why) == 0);
    assert(host_spawn_text(host, "=test", "function on_start(self) actor.ref('diary'):send('Here', {"
                           " same = self.config.to == actor.ref('b'), to = tostring(self.config.to),"
                           " more = tostring(self.config.more[1]) }) end", &options, &held, why,
                           sizeof why) == 0);
    spawn(host, "b", echo);
    assert(host_start_actor(host, held) == 0);
    while (host_step(host))
        continue;
    assert(strcmp(diary.text, "Start{}; Here{\"more\": \"x@tcp://127.0.0.1:5001\", \"same\": true, "
                              "\"to\": \"b\"}; ") == 0);

    options = (struct host_spawn_options){ .config = "{\"to\":{\"$ref\":\"b@tcp://*:1\"}}" };
    assert(host_spawn_text(host, "=test", echo, &options, NULL, why, sizeof why) == -EINVAL);
    assert(strstr(why, "config: no ref can be made: '*'") == why);
    options.config = "{\"$ref\":\"b\"}";
    assert(host_spawn_text(host, "=test", echo, &options, NULL, why, sizeof why) == -EINVAL);
    host_free(host);
}

/* The payload of an answer is exact; every way of not answering has its own. */
static void test_questions(void)
{
    struct host *host = make((struct host_options){ .workers = 2 });
    host_actor actor = spawn(host, "echo", echo);
    assert(ask(host, "echo", "Echo", "{\"n\": 9007199254740993, \"a\": [], \"f\": 1.0}", 5000) == 0);
    assert(strcmp(answer, "Echoed {\"a\": [], \"f\": 1.0, \"n\": 9007199254740993}") == 0);
    assert(ask(host, "echo", "Echo", NULL, 5000) == 0 && strcmp(answer, "Echoed {}") == 0);
    assert(ask(host, "echo", "Mute", NULL, 5000) == -ESRCH);
    assert(ask(host, "echo", "Later", NULL, 30) == -ETIMEDOUT);
    assert(strcmp(why, "no answer from echo to Later in 0.0 s") == 0);
    assert(ask(host, "echo", "Fail", NULL, 5000) == -ESRCH && strstr(why, "no luck") != NULL);
    assert(ask(host, "echo", "Refuse", NULL, 5000) != 0 && strstr(why, "not today") != NULL);
    assert(ask(host, "echo", "Unknown", NULL, 5000) == -ECONNREFUSED);
    assert(ask(host, "ecko", "Echo", NULL, 5000) == -ESRCH && strstr(why, "echo") != NULL);
    assert(ask(host, "echo", "Echo", "{", 5000) == -EINVAL);
    assert(ask(host, "echo", "Start", NULL, 5000) == -EINVAL);
    assert(host_end_actor(host, actor, true));
    assert(ask(host, "echo", "Echo", NULL, 5000) == -ESRCH);
    host_free(host);
}

/* Who asks is no user's actor: the host ends when the last of those has. */
static void test_hidden(void)
{
    struct host *host = make((struct host_options){ .workers = 2 });
    char names[64];
    spawn(host, "echo", echo);
    assert(ask(host, "echo", "Later", NULL, 10) == -ETIMEDOUT);
    assert(host_living(host, names, sizeof names) == 1 && strcmp(names, "echo (0 messages)") == 0);
    assert(host_send(host, "echo", "Leave", NULL, why, sizeof why) == 0);
    assert(host_run(host) == 0);
    assert(ask(host, "echo", "Echo", NULL, 10) == -ESHUTDOWN);
    host_free(host);
}

struct asking {
    struct host *host;
    int          error;
};

static void *ask_for_ever(void *argument)
{
    struct asking *asking = argument;
    char *type, *json, reason[HOST_WHY];
    asking->error =
        host_ask(asking->host, "echo", "Later", NULL, 60000, &type, &json, reason, sizeof reason);
    return NULL;
}

/* A shutdown ends every wait. */
static void test_shutdown_ends_questions(void)
{
    struct host *host = make((struct host_options){ .workers = 2 });
    struct asking asking[4];
    pthread_t threads[4];
    spawn(host, "echo", echo);
    assert(host_start(host) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        asking[i].host = host;
        assert(pthread_create(&threads[i], NULL, ask_for_ever, &asking[i]) == 0);
    }
    host_stop(host, 9);
    host_stop(host, 3); /* the first one counts */
    assert(host_run(host) == 9);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        pthread_join(threads[i], NULL);
        assert(asking[i].error == -ESHUTDOWN || asking[i].error == -ESRCH);
    }
    host_free(host);
}

/* A C behaviour sees Start first, Shutdown last, and its context is freed once. */
static void test_c_behaviour(void)
{
    struct host *host = make((struct host_options){ .workers = 2 });
    struct diary diary = { .text = "" };
    host_actor actor;
    assert(host_spawn_c(host, "diary", &diarist, &diary, &actor, why, sizeof why) == 0);
    assert(host_spawn_c(host, "diary", &diarist, &diary, NULL, why, sizeof why) == -EEXIST);
    assert(host_find(host, "diary") == actor);
    assert(host_send(host, "diary", "Note", "{\"a\": [1, {}]}", why, sizeof why) == 0);
    assert(ask(host, "diary", "Double", "{\"n\": 21}", 5000) == 0);
    assert(strcmp(answer, "Doubled {\"n\": 42}") == 0);
    assert(ask(host, "diary", "Quiet", NULL, 5000) == -ESRCH);
    spawn(host, "echo", "function on_start() actor.ref('diary'):send('Double', { n = 1 }) end\n"
                        "function on_doubled(self, msg) actor.ref('diary'):stop{ drain = true }\n"
                        "  actor.exit() end");
    assert(host_run(host) == 0);
    assert(atomic_load(&diary.ended) == 1);
    assert(strcmp(diary.text, "Start{}; Note{\"a\": [1, {}]}; Double{\"n\": 21}?; Quiet{}?; "
                              "Double{\"n\": 1}; Shutdown{}; ") == 0);
    host_free(host);
}

/* 1 if the last actor ended by an error, or a vital one could not start. */
static void test_exit_codes(void)
{
    struct host *host = make((struct host_options){ .workers = 1 });
    spawn(host, "a", "return { failure = 'stop', on_go = function() error('x') end }");
    assert(host_send(host, "a", "Go", NULL, why, sizeof why) == 0);
    assert(host_run(host) == 1);
    host_free(host);

    host = make((struct host_options){ .workers = 1 });
    spawn(host, "a", echo);
    struct host_spawn_options options = { .name = "b", .vital = true, .held = true };
    host_actor actor;
    assert(host_spawn_text(host, "=b", "function on_start() error('x') end", &options, &actor, why,
                           sizeof why) == 0);
    assert(host_start_actor(host, actor) == 0);
    assert(host_run(host) == 1);
    host_free(host);

    host = make((struct host_options){ .workers = 1 });
    spawn(host, "a", "function on_start() actor.stop_host(7) end");
    assert(host_run(host) == 7);
    host_free(host);
}

/* A runaway does not hold up the end for longer than the budget. (It calls
 * os.time() because the thread sanitizer lets signals in at such calls only.) */
static void test_runaway(void)
{
    struct host *host = make((struct host_options){ .workers = 2, .shutdown_ms = 100 });
    spawn(host, "a", "function on_start() while true do os.time() end end");
    assert(host_start(host) == 0);
    host_stop(host, 0);
    assert(host_run(host) == 1);
    assert(host_free(host));
}

/* Two hosts of one process talk over the wire. */
static void test_two_hosts(void)
{
    struct host *one = make((struct host_options){ .workers = 1, .bind = ":0" });
    struct host *two = make((struct host_options){ .workers = 1 });
    char to[128];
    spawn(one, "echo", echo);
    assert(host_start(one) == 0 && host_start(two) == 0);
    snprintf(to, sizeof to, "echo@%s", host_endpoint(one));
    assert(strcmp(host_endpoint(two), "") == 0);
    assert(ask(two, to, "Echo", "{\"n\": 1}", 5000) == 0);
    assert(strcmp(answer, "Echoed {\"n\": 1}") == 0);
    assert(ask(two, to, "Unknown", NULL, 5000) == -ECONNREFUSED);
    assert(strcmp(why, "Unknown message type: Unknown") == 0);
    assert(ask(two, to, "Later", NULL, 50) == -ETIMEDOUT);
    assert(host_send(two, to, "Leave", NULL, why, sizeof why) == 0);
    assert(host_flush(two, to, 5000, why, sizeof why) == 0);
    assert(host_run(one) == 0);
    host_free(one);
    host_free(two);
}

/* A watched script answers with what was saved last. */
static void test_watch(void)
{
    static const char text[] = "function on_ask(self, msg, env) env:reply('Told', { n = %d }) end";
    struct host_spawn_options named = { .name = "watched" };
    char path[] = "/tmp/test_host.XXXXXX", script[64], other[80];
    char *type, *json;
    assert(mkdtemp(path) != NULL);
    snprintf(script, sizeof script, "%s/watched.lua", path);
    snprintf(other, sizeof other, "%s.new", script);

    struct host *host = make((struct host_options){ .workers = 1, .watch = true });
    for (int n = 1; n <= 2; n++) {
        FILE *file = fopen(other, "w");
        assert(file != NULL && fprintf(file, text, n) > 0 && fclose(file) == 0);
        assert(rename(other, script) == 0);
        if (n == 1) {
            assert(host_spawn(host, script, &named, NULL, why, sizeof why) == 0);
            assert(host_start(host) == 0);
        }
        bool is_new = false;
        for (int i = 0; i < 3000 && !is_new; i++) {
            char wanted[20];
            snprintf(wanted, sizeof wanted, "{\"n\": %d}", n);
            assert(host_ask(host, "watched", "Ask", NULL, 5000, &type, &json, why, sizeof why) == 0);
            is_new = strcmp(json, wanted) == 0;
            free(type);
            free(json);
            usleep(is_new ? 0 : 10000);
        }
        assert(is_new);
    }
    host_stop(host, 0);
    assert(host_run(host) == 0);
    assert(host_free(host));
    assert(unlink(script) == 0 && rmdir(path) == 0);
}

/* A stepped host does nothing by itself; its clock moves when told. */
static void test_stepped(void)
{
    struct host *host = make((struct host_options){ .stepped = true });
    struct diary diary = { .text = "" };
    assert(host_spawn_c(host, "diary", &diarist, &diary, NULL, why, sizeof why) == 0);
    spawn(host, "echo", "function on_start() actor.after('2s', 'Tick', nil,"
                        " { to = actor.ref('diary') }) end");
    while (host_step(host))
        continue;
    assert(strcmp(diary.text, "Start{}; ") == 0);
    host_advance(host, UINT64_C(1999999999));
    assert(strcmp(diary.text, "Start{}; ") == 0);
    host_advance(host, 1);
    assert(strcmp(diary.text, "Start{}; Tick{}; ") == 0);
    assert(ask(host, "diary", "Double", "{\"n\": 4}", 1000) == 0);
    assert(ask(host, "diary", "Mute", NULL, 1000) == -ESRCH);
    host_free(host);
    assert(atomic_load(&diary.ended) == 1);
}

int main(void)
{
    log_set_sink(be_quiet, NULL);
    test_made_and_freed();
    test_bad_options();
    test_bad_spawns();
    test_refs_in_config();
    test_questions();
    test_hidden();
    test_shutdown_ends_questions();
    test_c_behaviour();
    test_exit_codes();
    test_runaway();
    test_two_hosts();
    test_watch();
    test_stepped();
    return 0;
}
