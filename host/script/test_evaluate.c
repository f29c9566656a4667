/*
 * test_evaluate.c -- texts evaluated inside actors, stepped on a stage: what they see,
 * what is told of them, and that they are no concern of the actor's.
 */
#include "script/evaluate.h"
#include "script/staging.h"
#include "script/test_world.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static actor_id make(const char *name, const char *text, const struct script_options *options)
{
    struct source *source;
    char chunk[64], why[500] = "";
    actor_id id;
    snprintf(chunk, sizeof chunk, "@%s.lua", name);
    assert(source_from_text(chunk, text, strlen(text), &source, why, sizeof why) == 0);
    struct script_options with = options != NULL ? *options : (struct script_options){ 0 };
    with.name = name;
    int error = script_spawn_source(&world, source, 0, &with, &id, why, sizeof why);
    if (error != 0)
        fprintf(stderr, "%s: %s\n", name, why);
    assert(error == 0);
    source_unref(source);
    return id;
}

static actor_id spawn_with(const char *name, const char *text, const struct script_options *options)
{
    actor_id id = make(name, text, options);
    assert(lifecycle_start(&host, id, NULL, 0) == 0);
    run();
    return id;
}

static actor_id spawn(const char *name, const char *text)
{
    return spawn_with(name, text, NULL);
}

static void post(actor_id to, const char *type)
{
    struct message *message = message_new(MESSAGE_ORDINARY, type_intern(type, strlen(type)), NULL, 0);
    assert(message != NULL);
    message->to = to;
    assert(router_send(&host, &message, 0) == ROUTER_OK);
}

/* ---- What is told -------------------------------------------------------- */

static struct {
    enum evaluate_news last; /* the last news, of `lasts` so far */
    unsigned lasts, released, reloads;
    char     text[2 * EVALUATE_RESULT_LIMIT];
    char     more[EVALUATE_RESULT_LIMIT];
    char     waits[500];
    char     lines[4096];
    unsigned count;
    bool     cut;
} heard;

static void on_tell(void *context, const struct evaluate_told *told)
{
    assert(context == &heard && heard.released == 0);
    switch (told->news) {
    case EVALUATE_WAITS:
        snprintf(heard.waits, sizeof heard.waits, "%.*s", (int)told->size, told->text);
        return;
    case EVALUATE_PRINTED:
        snprintf(heard.lines + strlen(heard.lines), sizeof heard.lines - strlen(heard.lines),
                 "%.*s", (int)told->size, told->text);
        return;
    case EVALUATE_RELOADED:
        heard.reloads++;
        return;
    default:
        heard.last = told->news;
        heard.lasts++;
        heard.count = told->count;
        heard.cut = told->cut;
        snprintf(heard.text, sizeof heard.text, "%.*s", (int)told->size,
                 told->size > 0 ? told->text : "");
        snprintf(heard.more, sizeof heard.more, "%.*s", (int)told->more_size,
                 told->more_size > 0 ? told->more : "");
    }
}

static void on_release(void *context)
{
    assert(context == &heard);
    heard.released++;
}

static uint64_t session = 1;

static struct evaluate_request request_for(enum evaluate_what what, const char *text)
{
    memset(&heard, 0, sizeof heard);
    return (struct evaluate_request){
        .what = what, .session = session, .text = text, .size = strlen(text), .json = true,
        .tell = on_tell, .release = on_release, .context = &heard,
    };
}

static struct evaluation *begin(actor_id actor, const char *text)
{
    struct evaluation *evaluation;
    struct evaluate_request request = request_for(EVALUATE_TEXT, text);
    assert(evaluate(&host, actor, &request, &evaluation) == 0);
    return evaluation;
}

static void finish(actor_id actor, enum evaluate_what what, const char *text)
{
    struct evaluate_request request = request_for(what, text);
    assert(evaluate(&host, actor, &request, NULL) == 0);
    run();
    assert(heard.lasts == 1 && heard.released == 1);
}

static void expect(actor_id actor, const char *text, const char *expected)
{
    finish(actor, EVALUATE_TEXT, text);
    if (heard.last != EVALUATE_DONE || strcmp(heard.text, expected) != 0)
        fprintf(stderr, "%s: %d %s\n", text, (int)heard.last, heard.text);
    assert(heard.last == EVALUATE_DONE);
    assert(strcmp(heard.text, expected) == 0);
}

static void expect_failure(actor_id actor, const char *text, const char *expected)
{
    finish(actor, EVALUATE_TEXT, text);
    if (heard.last != EVALUATE_FAILED || strstr(heard.text, expected) == NULL)
        fprintf(stderr, "%s: %d %s\n", text, (int)heard.last, heard.text);
    assert(heard.last == EVALUATE_FAILED);
    assert(strstr(heard.text, expected) != NULL);
}

static void expect_completion(actor_id actor, const char *text, const char *expected)
{
    finish(actor, EVALUATE_COMPLETE, text);
    if (strcmp(heard.text, expected) != 0)
        fprintf(stderr, "%s: %s\n", text, heard.text);
    assert(heard.last == EVALUATE_DONE);
    assert(strcmp(heard.text, expected) == 0);
}

static const char counter_text[] =
    "local Counter = {}\n"
    "limit = 10\n"
    "function Counter:on_start() self.count = 0 end\n"
    "function Counter:on_add() self.count = self.count + 1 end\n"
    "function Counter:on_fail() local why = 'bad luck' error(why) end\n"
    "function Counter:on_sleep() actor.sleep('10s') end\n"
    "function Counter:on_ask(msg, env) env:reply('Count', {count = self.count}) end\n"
    "return Counter\n";

/* ---- What a text sees, and what comes of it --------------------------------- */

static void values_are_shown(void)
{
    open_stage();
    actor_id id = spawn("counter", counter_text);
    expect(id, "1 + 1", "2");
    expect(id, "=self.count", "0");
    expect(id, "'a\\nb', 2.0, nil", "\"a\\nb\"\n2.0\nnil");
    assert(heard.count == 3);
    assert(strcmp(heard.more, "[\"a\\nb\", 2.0, null]") == 0);
    expect(id, "self", "{config = {}, count = 0}");
    expect(id, "{3, 2, b = {1}, a = print}", "{3, 2, a = <function>, b = {1}}");
    assert(strcmp(heard.more, "[null]") == 0); /* mixed keys have no JSON form */
    expect(id, "actor.self", "<counter>");
    expect(id, "{[actor.self] = true, ['a b'] = false}", "{[\"a b\"] = false, [<counter>] = true}");
    expect(id, "(function() local t = {} t.t = t return t end)()", "{t = <cycle>}");
    expect(id, "'\\xff\\27'", "\"\\xff\\027\"");
    expect(id, "limit", "10");
    expect(id, "json.null", "json.null");
    expect(id, "", "");
    assert(heard.count == 0);
    close_stage();
}

static void long_values_take_several_lines_and_end(void)
{
    open_stage();
    actor_id id = spawn("counter", counter_text);
    expect(id, "{name = ('x'):rep(40), other = ('y'):rep(40), list = {1, 2}}",
           "{\n  list = {1, 2},\n  name = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",\n"
           "  other = \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"\n}");
    assert(!heard.cut);
    finish(id, EVALUATE_TEXT, "('x'):rep(1000000)");
    assert(heard.last == EVALUATE_DONE && heard.cut);
    assert(strlen(heard.text) <= EVALUATE_RESULT_LIMIT);
    finish(id, EVALUATE_TEXT, "(function() local t = {} for i = 1, 3e3 do t['k' .. i] = {i} end return t end)()");
    assert(heard.last == EVALUATE_DONE && heard.cut);
    assert(strstr(heard.text, "  ...\n}") != NULL);
    finish(id, EVALUATE_TEXT, "(function() local t = {} for i = 1, 100 do t = {t} end return t end)()");
    assert(heard.cut && strstr(heard.text, "{...}") != NULL);
    close_stage();
}

static void statements_change_the_actor_and_not_its_script(void)
{
    open_stage();
    actor_id id = spawn("counter", counter_text);
    expect(id, "self.count = 41", "");
    post(id, "Add");
    run();
    expect(id, "self.count", "42");
    expect(id, "_ + 1", "43");
    expect(id, "x, limit = 7, 99", ""); /* the session's own */
    expect(id, "x, limit", "7\n99");
    expect(id, "local y = 1", "");
    expect_failure(id, "y", "y");       /* locals do not survive */
    session = 2;
    expect_failure(id, "x", "x");
    expect(id, "limit", "10");
    session = 1;
    expect(id, "x", "7");
    struct evaluate_request forget = request_for(EVALUATE_FORGET, "");
    assert(evaluate(&host, id, &forget, NULL) == 0);
    run();
    expect_failure(id, "x", "x");
    assert(strstr(logged, "global") == NULL); /* nobody was warned */
    close_stage();
}

static void what_is_printed_is_for_the_prompt(void)
{
    open_stage();
    actor_id id = spawn("talker", "function on_say() print('for all') end");
    expect(id, "print('for', 'me')", "");
    assert(strcmp(heard.lines, "for\tme\n") == 0 && printed[0] == '\0');
    post(id, "Say");
    run();
    assert(strcmp(printed, "for all\n") == 0);
    close_stage();
}

static void errors_are_told_and_are_no_failures(void)
{
    open_stage();
    struct script_options options = { .has_failure = true, .failure = ON_FAILURE_STOP };
    actor_id id = spawn_with("counter", counter_text, &options);
    expect_failure(id, "error('no')", "attach:1: no");
    assert(strstr(heard.more, "traceback") != NULL || heard.more[0] != '\0');
    expect_failure(id, "self.x.y", "attempt to index a nil value (field 'x')");
    expect_failure(id, "1 +", "unexpected symbol near <eof>");
    assert(heard.more[0] == '\0');
    expect_failure(id, "error(setmetatable({}, {__tostring = function() return 'mine' end}))", "mine");
    expect_failure(id, "\x1bLua", "attempt to load a binary chunk");
    expect_failure(id, "string.rep('x', 1 << 28)", "memory limit of 64 MiB");
    expect_failure(id, "local t = {} for i = 1, 1e9 do t[i] = {} end", "memory limit of 64 MiB");
    expect_failure(id, "(function() while true do end end)()", "instruction budget");
    expect(id, "self.count", "0"); /* the actor was not touched */
    assert(registry_find(&host.registry, id) != NULL);
    assert(strstr(logged, "counter") == NULL);
    close_stage();
}

static void the_last_report_is_err(void)
{
    open_stage();
    struct script_options options = {
        .has_failure = true, .failure = ON_FAILURE_RESTART,
        .has_restart = true, .restart = { .max = 3, .within_ns = NS_PER_SEC },
    };
    actor_id id = spawn_with("counter", counter_text, &options);
    expect(id, "err, _", "false\nfalse");
    post(id, "Fail");
    advance(1000);
    expect(id, "err:match('bad luck'), err:match('on_fail')", "\"bad luck\"\n\"on_fail\"");
    close_stage();
}

/* ---- Waiting ------------------------------------------------------------------- */

static void a_text_may_wait(void)
{
    open_stage();
    actor_id counter = spawn("counter", counter_text);
    actor_id other = spawn("other", counter_text);
    expect(other, "actor.ref('counter'):ask('Ask').count", "0");
    unsigned before = heard.count;
    struct evaluation *evaluation = begin(counter, "print('a') actor.sleep('1s') print('b') return 7");
    run();
    assert(heard.lasts == 0 && evaluation_has_begun(evaluation));
    assert(strcmp(heard.lines, "a\n") == 0);
    post(counter, "Add"); /* one handler at a time */
    run();
    advance(2000);
    assert(heard.lasts == 1 && strcmp(heard.text, "7") == 0 && before == 1);
    assert(strcmp(heard.lines, "a\nb\n") == 0);
    evaluation_unref(evaluation);
    assert(heard.released == 1);
    expect(counter, "self.count", "1");
    close_stage();
}

static void a_busy_actor_says_what_it_does(void)
{
    open_stage();
    actor_id id = spawn("counter", counter_text);
    post(id, "Sleep");
    run();
    advance(1200);
    struct evaluation *evaluation = begin(id, "self.count");
    run();
    assert(heard.lasts == 0);
    if (strcmp(heard.waits, "counter is in on_sleep, asleep for 1.2 s") != 0)
        fprintf(stderr, "%s\n", heard.waits);
    assert(strcmp(heard.waits, "counter is in on_sleep, asleep for 1.2 s") == 0);
    advance(10000);
    assert(heard.last == EVALUATE_DONE && strcmp(heard.text, "0") == 0);
    evaluation_unref(evaluation);
    close_stage();
}

static void an_interleaving_actor_evaluates_meanwhile(void)
{
    open_stage();
    struct script_options some = { .interleave = INTERLEAVE_SOME, .interleaved_count = 1,
                                   .interleaved = { type_intern("Ask", 3) } };
    actor_id id = spawn_with("counter", counter_text, &some);
    post(id, "Sleep");
    run();
    expect(id, "self.count", "0");
    struct evaluation *evaluation = begin(id, "actor.sleep('2s') return 1");
    run();
    assert(heard.lasts == 0);
    evaluation_cancel(&host, evaluation); /* it is set aside */
    run();
    assert(heard.last == EVALUATE_CANCELLED);
    evaluation_unref(evaluation);
    advance(20000);
    expect(id, "self.count", "0");
    close_stage();
}

/* ---- Giving up, and ends --------------------------------------------------------- */

static void one_that_waits_is_cancelled(void)
{
    open_stage();
    actor_id id = spawn("counter", counter_text);
    struct evaluation *evaluation =
        begin(id, "local c <close> = setmetatable({}, {__close = function() self.closed = true end}) "
                  "actor.sleep('1h')");
    run();
    evaluation_cancel(&host, evaluation);
    run();
    assert(heard.last == EVALUATE_CANCELLED && heard.lasts == 1);
    evaluation_cancel(&host, evaluation); /* once more is fine */
    run();
    evaluation_unref(evaluation);
    expect(id, "self.count, self.closed", "0\ntrue");
    assert(timers_next(host.timers) == UINT64_MAX);
    close_stage();
}

static void one_that_has_not_begun_never_does(void)
{
    open_stage();
    actor_id id = spawn("counter", counter_text);
    post(id, "Sleep");
    run();
    struct evaluation *evaluation = begin(id, "self.count = 99");
    run();
    evaluation_cancel(&host, evaluation);
    assert(heard.last == EVALUATE_CANCELLED && heard.text[0] == '\0');
    evaluation_unref(evaluation);
    advance(20000);
    assert(heard.released == 1);
    expect(id, "self.count", "0");
    close_stage();
}

static void the_actor_may_end_meanwhile(void)
{
    open_stage();
    actor_id id = spawn("counter", counter_text);
    struct evaluation *evaluation = begin(id, "actor.sleep('1h')");
    run();
    incarnation_kill(&host, id);
    run();
    assert(heard.last == EVALUATE_LOST && heard.lasts == 1);
    evaluation_unref(evaluation);
    struct evaluate_request request = request_for(EVALUATE_TEXT, "1");
    assert(evaluate(&host, id, &request, NULL) == -ESRCH);
    assert(heard.released == 0);

    id = spawn("counter", counter_text);
    finish(id, EVALUATE_TEXT, "actor.exit('enough')");
    assert(heard.last == EVALUATE_EXITED && strcmp(heard.text, "enough") == 0);
    assert(registry_find(&host.registry, id) == NULL);

    id = spawn("sleeper", counter_text);
    post(id, "Sleep");
    run();
    evaluation = begin(id, "1");
    run();
    incarnation_kill(&host, id);
    run();
    assert(heard.last == EVALUATE_LOST && heard.lasts == 1);
    evaluation_unref(evaluation);

    id = make("unborn", counter_text, NULL);
    evaluation = begin(id, "self.count");
    run();
    assert(strcmp(heard.waits, "unborn has not begun yet") == 0);
    assert(lifecycle_start(&host, id, NULL, 0) == 0);
    run();
    assert(heard.last == EVALUATE_DONE && strcmp(heard.text, "0") == 0);
    evaluation_unref(evaluation);
    close_stage();
}

/* The script of an actor that executes no Lua is another one from now on. */
static void reload(actor_id id, const char *text)
{
    struct source *source;
    struct staging_notes notes;
    struct staging_options options = { .undo = false };
    struct script *script = registry_find(&host.registry, id)->state;
    char why[500] = "";
    assert(source_from_text("@counter.lua", text, strlen(text), &source, why, sizeof why) == 0);
    staging_notes_init(&notes);
    assert(staging_prepare(script, NULL, source, &options, &notes, why, sizeof why) == 0);
    staging_commit(script);
    staging_notes_fini(&notes);
    source_unref(source);
}

static void new_code_is_told_and_the_names_stay(void)
{
    open_stage();
    actor_id id = spawn("counter", counter_text);
    expect(id, "x, self.count = 1, 3", "");
    struct evaluation *evaluation = begin(id, "actor.sleep('1s') return limit");
    run();
    reload(id, "limit = 20 function on_add(self) self.count = self.count + 100 end");
    advance(2000);
    assert(heard.last == EVALUATE_DONE && strcmp(heard.text, "10") == 0); /* what it began with */
    evaluation_unref(evaluation);
    post(id, "Add");
    run();
    expect(id, "limit, self.count, x", "20\n103\n1");
    assert(heard.reloads == 1);
    expect(id, "limit", "20");
    assert(heard.reloads == 0);
    close_stage();
}

/* ---- Completion -------------------------------------------------------------------- */

static void names_are_completed_without_running_code(void)
{
    open_stage();
    actor_id id = spawn("thing",
        "local Base = {size = 1, grow = function() end}\n"
        "Base.__index = Base\n"
        "local T = {}\n"
        "function T:on_start()\n"
        "  self.count, self.config_text = 1, 'x'\n"
        "  self.box = setmetatable({width = 1}, Base)\n"
        "  self.trap = setmetatable({}, {__index = function() error('run') end})\n"
        "  self.list = {{price = 1}, {}}\n"
        "  self.to = actor.self\n"
        "  self['not a name'] = 1\n"
        "end\n"
        "return T\n");
    expect_completion(id, "self.co", "config\nconfig_text\ncount");
    expect_completion(id, "x = self.box.", "grow\nsize\nwidth");
    expect_completion(id, "self.box:", "grow");
    expect_completion(id, "self.trap.x", "");
    expect_completion(id, "self.list[1].p", "price");
    expect_completion(id, "self.nothing.at.all", "");
    expect_completion(id, "self.to:as", "ask");
    expect_completion(id, "string.form", "format");
    expect_completion(id, "self.config_text:rep", "rep");
    expect_completion(id, "whi", "while");
    expect_completion(id, "acto", "actor");
    expect_completion(id, "actor.spaw", "spawn");
    expect_completion(id, "sel", "select\nself");
    expect(id, "own_name = 1", "");
    expect_completion(id, "own_", "own_name");
    expect_completion(id, "self.not", "");
    expect_completion(id, "1 + ", heard.text); /* all there are: just no crash */
    post(id, "Sleep");
    close_stage();
}

static void completion_does_not_wait(void)
{
    open_stage();
    actor_id id = spawn("counter", counter_text);
    post(id, "Sleep");
    run();
    expect_completion(id, "self.cou", "count");
    advance(20000);
    close_stage();
}

static void a_sandbox_stays_one(void)
{
    open_stage();
    struct script_options options = { .sandbox = true };
    actor_id id = spawn_with("caged", counter_text, &options);
    expect_failure(id, "io.open('/etc/passwd')", "io");
    expect_completion(id, "io", "");
    close_stage();
}

static void run_all(void)
{
    values_are_shown();
    long_values_take_several_lines_and_end();
    statements_change_the_actor_and_not_its_script();
    what_is_printed_is_for_the_prompt();
    errors_are_told_and_are_no_failures();
    the_last_report_is_err();
    a_text_may_wait();
    a_busy_actor_says_what_it_does();
    an_interleaving_actor_evaluates_meanwhile();
    one_that_waits_is_cancelled();
    one_that_has_not_begun_never_does();
    the_actor_may_end_meanwhile();
    new_code_is_told_and_the_names_stay();
    names_are_completed_without_running_code();
    completion_does_not_wait();
    a_sandbox_stays_one();
}

int main(void)
{
    log_set_sink(keep_log, NULL);
    run_all(); /* what is kept for the next states is there then */
    size_t kept = memory_used();
    run_all();
    assert(memory_used() == kept);
    return 0;
}
