/*
 * test_staging.c -- a new version beside the old one in one actor: what it takes over,
 * what it is refused for, and that nothing of a refused one is left.
 */
#include "script/staging.h"
#include "script/test_faults.h"
#include "script/test_world.h"

#include "base/fault.h"
#include "base/memory.h"
#include "base/test_tsan.h"
#include "script/libraries.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static actor_id subject;
static size_t   memory_limit = 64u << 20;

static void open_host(bool stage)
{
    open_stage();
    world.stage = stage;
    world.defaults.memory_bytes = memory_limit;
}

static const char *chunk_name = "@subject.lua";

static struct source *source_of(const char *text)
{
    struct source *source;
    char why[500] = "";
    if (source_from_text(chunk_name, text, strlen(text), &source, why, sizeof why) != 0)
        return NULL;
    return source;
}

/* Spawns the actor that all is about; not started yet. */
static int try_bear(const char *text)
{
    struct script_options options = { .name = "subject" };
    struct source *source = source_of(text);
    char why[500] = "";
    if (source == NULL)
        return -ENOMEM;
    int error = script_spawn_source(&world, source, 0, &options, &subject, why, sizeof why);
    source_unref(source);
    if (error != 0 && error != -ENOMEM)
        fprintf(stderr, "%s\n", why);
    return error;
}

static void spawn(const char *text)
{
    assert(try_bear(text) == 0);
    assert(lifecycle_start(&host, subject, NULL, 0) == 0);
    run();
}

static struct script *script_now(void)
{
    return registry_find(&host.registry, subject)->state;
}

static bool try_tell(const char *type)
{
    struct message *message = message_new(MESSAGE_ORDINARY, type_intern(type, strlen(type)), NULL, 0);
    if (message == NULL)
        return false;
    message->to = subject;
    bool sent = router_send(&host, &message, 0) == ROUTER_OK;
    message_free(message);
    run();
    return sent;
}

static void tell(const char *type)
{
    assert(try_tell(type));
}

/* What is printed since the last look. */
static const char *prints(void)
{
    static char text[sizeof printed];
    snprintf(text, sizeof text, "%s", printed);
    forget_texts();
    return text;
}

static void expect_prints(const char *type, const char *expected)
{
    forget_texts();
    tell(type);
    const char *text = prints();
    if (strcmp(text, expected) != 0)
        fprintf(stderr, "%s: printed '%s', not '%s'\n", type, text, expected);
    assert(strcmp(text, expected) == 0);
}

/* ---- Reloading ------------------------------------------------------------- */

static struct staging_notes notes;
static char                 why[1000];

static int prepare_with(const char *text, struct staging_options options)
{
    struct source *source = source_of(text);
    if (source == NULL)
        return -ENOMEM;
    staging_notes_fini(&notes);
    staging_notes_init(&notes);
    why[0] = '\0';
    int error = staging_prepare(script_now(), NULL, source, &options, &notes, why, sizeof why);
    source_unref(source);
    assert((error == 0) == staging_is_prepared(script_now()));
    return error;
}

static void prepare(const char *text)
{
    int error = prepare_with(text, (struct staging_options){ .undo = false });
    if (error != 0)
        fprintf(stderr, "%d: %s\n", error, why);
    assert(error == 0);
}

/* Neither needs memory: the state gets none meanwhile. */
static void without_memory(void (*decide)(struct script *script))
{
    struct arena *arena = &script_now()->vm.arena;
    size_t limit = arena->limit;
    arena_set_limit(arena, 1);
    decide(script_now());
    arena_set_limit(arena, limit);
}

static void commit(void) { without_memory(staging_commit); }
static void call_off(void) { without_memory(staging_abort); }

static void reload_with(const char *text, struct staging_options options)
{
    int error = prepare_with(text, options);
    if (error != 0)
        fprintf(stderr, "%d: %s\n", error, why);
    assert(error == 0);
    commit();
    run();
}

static void reload(const char *text)
{
    reload_with(text, (struct staging_options){ .undo = false });
}

static void expect_refusal(const char *text, const char *reason)
{
    int error = prepare_with(text, (struct staging_options){ .undo = false });
    if (error == 0 || strstr(why, reason) == NULL)
        fprintf(stderr, "%s\n%d: '%s', not '%s'\n", text, error, why, reason);
    assert(error < 0);
    assert(strstr(why, reason) != NULL);
    assert(strncmp(why, "subject.lua:", 12) == 0);
    run();
}

static bool warned(const char *text)
{
    bool found = strstr(bytes_text(&notes.warnings), text) != NULL;
    if (!found)
        fprintf(stderr, "warnings: '%s', without '%s'\n", bytes_text(&notes.warnings), text);
    return found;
}

static bool is_stale(const char *handlers)
{
    bool same = strcmp(bytes_text(&notes.stale), handlers) == 0;
    if (!same)
        fprintf(stderr, "stale: '%s', not '%s'\n", bytes_text(&notes.stale), handlers);
    return same;
}

/* ---- What a version takes over ---------------------------------------------- */

#define COUNTER(version, step)                                             \
    "local Counter = { version = " #version " }\n"                         \
    "function Counter:on_start() self.count = 0 first = self end\n"        \
    "function Counter:on_add() self.count = self.count + " #step " end\n"  \
    "function Counter:on_show() print(self.count) end\n"

static void test_takes_over(void)
{
    open_host(true);
    spawn(COUNTER(1, 1) "return Counter");
    tell("Add");

    /* The new handlers take over, with the same self; on_start is not run again. */
    reload(COUNTER(2, 10) "return Counter");
    assert(!notes.migrated);
    assert(strcmp(script_now()->version, "2") == 0);
    expect_prints("Show", "1\n");
    tell("Add");
    expect_prints("Show", "11\n");

    /* Until the commit all is as it was; and so it is after an abort. */
    prepare(COUNTER(3, 100) "return Counter");
    assert(strcmp(script_now()->version, "2") == 0);
    call_off();
    tell("Add");
    expect_prints("Show", "21\n");

    /* Nothing that was global is: each version has globals of its own. */
    reload(COUNTER(4, 1) "function Counter:on_show() print(rawget(_G, 'first')) end return Counter");
    expect_prints("Show", "nil\n");

    /* From a table to global functions, and back. */
    reload("function on_show(self) print('global', self.count) end");
    expect_prints("Show", "global\t21\n");
    assert(script_now()->version[0] == '\0');
    reload(COUNTER(5, 1) "function Counter:on_reload(from) print('from', from) end return Counter");
    assert(strcmp(prints(), "from\t0\n") == 0);
    expect_prints("Show", "21\n");

    /* A type that only the new version handles; one that both do and was looked up as absent. */
    forget_texts();
    tell("Later");
    assert(strstr(logged, "no handler on_later") != NULL);
    reload("local T = {} function T:on_later() print('later') end return T");
    expect_prints("Later", "later\n");
    close_stage();
}

static void test_migrates(void)
{
    open_host(true);
    spawn("local T = { version = 'one' }\n"
          "function T:on_start() self.items = { 1, 2 } self.me = self itself = self "
          "self.alias = self.items self.list = { owner = self, [self] = 'key' } end\n"
          "function T:on_show() print(#self.items, self.me == self, itself == self) end\n"
          "return T");
    reload("local T = { version = 2 }\n"
           "function T:on_reload(from)\n"
           "  print('from', from, self.items == self.alias, self.me == self)\n"
           "  self.items[3] = 3 self.name = 'new' self.alias = nil self.copy = self\n"
           "  self.get = function() return self end\n"
           "end\n"
           "function T:on_show() print(#self.items, self.me == self, self.copy == self,"
           " self.list.owner == self, self.list[self], self.get() == self, self.alias, self.name) end\n"
           "return T");
    assert(notes.migrated);
    assert(strcmp(prints(), "from\tone\ttrue\ttrue\n") == 0);
    expect_prints("Show", "3\ttrue\ttrue\ttrue\tkey\ttrue\tnil\tnew\n");

    /* Nor does it matter where else the new version has put the self that it was given. */
    reload("local mine, box, function_box = nil, {}, nil\n"
           "local Class = actor.class 'Holder'\n"
           "local T = {}\n"
           "function T:on_reload()\n"
           "  mine, box[1], box[self], ours = self, { self }, 1, self\n"
           "  function_box = function() return function() return self end end\n"
           "  Class.held = setmetatable({}, { __index = self })\n"
           "end\n"
           "function T:on_boxes() print(mine == self, box[1][1] == self, box[self], ours == self,"
           " function_box()() == self, getmetatable(Class.held).__index == self) end\n"
           "function T:on_show() print(#self.items, self.me == self, self.copy == self,"
           " self.list.owner == self, self.list[self], self.get() == self, self.alias, self.name) end\n"
           "return T");
    expect_prints("Boxes", "true\ttrue\t1\ttrue\ttrue\ttrue\n");
    expect_prints("Show", "3\ttrue\ttrue\ttrue\tkey\ttrue\tnil\tnew\n");

    /* It failed after it has changed a lot: nothing of that is there. */
    expect_refusal("local T = {}\n"
                   "function T:on_reload() self.items[1] = nil self.items = nil self.x = 1 error('no') end\n"
                   "return T", "subject.lua:2: no");
    expect_prints("Show", "3\ttrue\ttrue\ttrue\tkey\ttrue\tnil\tnew\n");

    /* A self with a metatable of its own keeps it, or gets another. */
    reload("local M = { __index = { kind = 'old' } }\n"
           "local T = {}\n"
           "function T:on_reload() setmetatable(self, M) end\n"
           "function T:on_show() print(self.kind, #self.items) end return T");
    expect_prints("Show", "old\t3\n");
    reload("local T = {}\n"
           "function T:on_reload() getmetatable(self).__index.kind = self.kind .. '!' end\n"
           "function T:on_show() print(self.kind, #self.items) end return T");
    expect_prints("Show", "old!\t3\n");
    close_stage();
}

/* A state with all that a state can have in it. */
static void test_copies(void)
{
    open_host(true);
    spawn("local T = {}\n"
          "function T:on_start()\n"
          "  local function no() error('a metamethod ran') end\n"
          "  local trap = { __index = no, __newindex = no, __pairs = no, __len = no, __eq = no }\n"
          "  self.trapped = setmetatable({ 1, 2, x = 3 }, trap)\n"
          "  self.weak = setmetatable({}, { __mode = 'k' })\n"
          "  self.key = {} self.weak[self.key] = 'value'\n"
          "  self.keys = { [{ 'a' }] = { 'b' } }\n"
          "  self.proto = { hello = 'hello' } self.proto.__index = self.proto\n"
          "  self.object = setmetatable({}, self.proto)\n"
          "  self.ref = actor.self self.by = { [actor.self] = true }\n"
          "  self.far = actor.ref('x@tcp://localhost:5001')\n"
          "  self.timer = actor.after('1h', 'Never')\n"
          "  self.math = math self.null = json.null self.float = 0.5\n"
          "  self.fn = function() return 'fn' end\n"
          "  local deep = {} self.deep = deep\n"
          "  for i = 1, 200000 do deep.next = { i } deep = deep.next end\n"
          "end\n"
          "return T");
    reload("local T = {}\n"
           "function T:on_reload()\n"
           "  local mt = getmetatable(self.trapped)\n"
           "  print(rawlen(self.trapped), rawget(self.trapped, 'x'), type(mt.__index))\n"
           "  print(getmetatable(self.weak).__mode, self.weak[self.key])\n"
           "  local k, v = next(self.keys) print(k[1], v[1])\n"
           "  print(self.object.hello, getmetatable(self.object) == self.proto)\n"
           "  print(self.ref == actor.self, self.by[actor.self], self.far == actor.ref('x@tcp://localhost:5001'))\n"
           "  print(tostring(self.timer), self.math == math, self.null == json.null, self.float, self.fn())\n"
           "  local n = 0 local d = self.deep while d do n = n + 1 d = d.next end print(n)\n"
           "end\n"
           "function T:on_show() print(self.timer:cancel(), self.weak[self.key]) end return T");
    const char *text = prints();
    const char *expected = "2\t3\tfunction\nk\tvalue\na\tb\nhello\ttrue\ntrue\ttrue\ttrue\n"
                           "timer Never\ttrue\ttrue\t0.5\tfn\n200001\n";
    if (strcmp(text, expected) != 0)
        fprintf(stderr, "%s", text);
    assert(strcmp(text, expected) == 0);
    assert(warned("self.fn is a function or coroutine, and stays old code"));
    expect_prints("Show", "true\tvalue\n");
    close_stage();
}

/* ---- What is refused --------------------------------------------------------- */

#define TOP(text)    text " local T = {} return T"
#define RELOAD(text) "local T = {} function T:on_reload() " text " end return T"

static void test_refusals(void)
{
    static const struct {
        const char *text, *reason;
    } refusals[] = {
        { TOP("error('bad')"), "subject.lua:1: bad" },
        { TOP("error({ code = 3 })"), "{code = 3}" },
        { TOP("error(setmetatable({}, { __tostring = error }))"), "error object" },
        { TOP("error(nil)"), "nil" },
        { TOP("nothing()"), "undefined global 'nothing'" },
        { TOP("actor.self:send('X')"), "subject.lua:1" },
        { TOP("actor.spawn('x')"), "a script's top level only defines" },
        { TOP("actor.sleep(1)"), "a script's top level only defines" },
        { TOP("require 'no.such.module'"), "no.such.module" },
        { TOP("os.exit(1)"), "its top level calls os.exit" },
        { TOP("actor.exit()"), "a script's top level only defines" },
        { TOP("while true do end"), "subject.lua:1: " },
        { TOP("pcall(function() while true do end end)"), "subject.lua:1: " },
        { TOP("coroutine.wrap(function() while true do end end)()"), "subject.lua:1: " },
        { TOP("local s = setmetatable({}, { __index = function() while true do end end }) s.x()"),
          "subject.lua:1: " },
        { TOP("table.sort({ 1, 2, 3 }, function() while true do end end)"), "subject.lua:1: " },
        { TOP("local function f() return f() + 1 end f()"), "subject.lua:1: " },
        { TOP("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end"), "not enough memory" },
        { TOP("local x <close> = setmetatable({}, { __close = function() while true do end end })"),
          "subject.lua:1: " },
        { "return 7", "returns no table" },
        { "", "returns no table" },
        { "return {}, error('x')", "x" },
        { "return { on_ping = 7 }", "on_ping is a number, not a function" },
        { "local T = {} function T:on_ping() end function T:on_Ping() end return T",
          "handlers of the same type" },
        { "return { version = {} }", "version is a number or a string" },
        { "return { mailbox = 'large' }", "mailbox" },
        { "return { interleave = { 'Nope' } }", "interleave names Nope" },
        { RELOAD("error('bad')"), "subject.lua:1: bad" },
        { RELOAD("error({})"), "error object" },
        { RELOAD("local x = self.none.x"), "attempt to index a nil value" },
        { RELOAD("while true do end"), "subject.lua:1: " },
        { RELOAD("while true do pcall(function() while true do end end) end"), "subject.lua:1: " },
        { RELOAD("coroutine.wrap(function() while true do end end)()"), "subject.lua:1: " },
        { RELOAD("setmetatable(self, { __index = function() while true do end end }) "
                 "return self.nope"), "subject.lua:1: " },
        { RELOAD("local function f() return f() + 1 end f()"), "subject.lua:1: " },
        { RELOAD("for i = 1, 1e9 do self[i] = ('x'):rep(1000) .. i end"), "not enough memory" },
        { RELOAD("os.exit()"), "on_reload calls os.exit" },
        { RELOAD("actor.exit()"), "actor.exit: on_reload only" },
        { RELOAD("actor.stop_host()"), "actor.stop_host: on_reload only" },
        { RELOAD("actor.spawn('x')"), "actor.spawn: on_reload only" },
        { RELOAD("actor.sleep(1)"), "sleep: on_reload only" },
        { RELOAD("actor.receive('X')"), "on_reload only" },
        { RELOAD("actor.self:ask('X')"), "on_reload only" },
        { RELOAD("actor.self:start_ask('X')"), "on_reload only" },
        { RELOAD("actor.self:stop()"), "stop: on_reload only" },
        { RELOAD("actor.watch(actor.self)"), "on_reload only" },
        { RELOAD("actor.link(actor.self)"), "on_reload only" },
        { RELOAD("actor.join('g')"), "actor.join: on_reload only" },
        { RELOAD("actor.publish('g', 'X')"), "actor.publish: on_reload only" },
        { RELOAD("actor.stream(actor.lines('/etc/hosts'))"), "on_reload only" },
        { RELOAD("actor.class('Late')"), "actor.class: classes are made at the top level" },
        { RELOAD("self.env:reply('X')"), "reply: on_reload only" },
        { RELOAD("self.env:fail('X')"), "fail: on_reload only" },
        { RELOAD("coroutine.yield()"), "attempt to yield" },
        { RELOAD("actor.self:send('X') actor.after('1s', 'X') self.alarm:cancel() error('after')"),
          "after" },
        { "local Book = actor.class 'Book' Book.title = nil Book.new = 1 error('in class')",
          "in class" },
        { "local New = actor.class 'New' error('in class')", "in class" },
    };
    memory_limit = 16u << 20;
    open_host(true);
    spawn("local Book = actor.class 'Book'\n"
          "function Book:title() return 'title' end\n"
          "local T = {}\n"
          "function T:on_start() self.items = { 1, 2, { 3 } } self.book = setmetatable({}, Book) "
          "self.alarm = actor.after('1h', 'Alarm') end\n"
          "function T:on_ask(msg, env) self.env = env:defer() end\n"
          "function T:on_x() print('x') end\n"
          "function T:on_show() local t = {} for k in pairs(self) do t[#t + 1] = k end table.sort(t)\n"
          "  print(table.concat(t, ' '), self.items[3][1], self.book:title(), Book.new, tostring(self.alarm)) end\n"
          "return T");
    tell("Ask");
    static const char shown[] = "alarm book config env items\t3\ttitle\tnil\ttimer Alarm\n";
    expect_prints("Show", shown);
    size_t armed = timers_count(host.timers);
    for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++) {
        expect_refusal(refusals[i].text, refusals[i].reason);
        expect_prints("Show", shown);
        assert(timers_count(host.timers) == armed);
    }
    /* And a good one finds all as it should be. */
    reload("local Book = actor.class 'Book'\n"
           "function Book:title() return 'new title' end\n"
           "local T = {}\n"
           "function T:on_show() print(self.items[3][1], self.book:title(), self.alarm:cancel()) end return T");
    expect_prints("Show", "3\tnew title\ttrue\n");
    close_stage();
    memory_limit = 64u << 20;
}

/* The budget is a second of the real clock where there is no instruction budget. (The thread
 * sanitizer keeps signals back as long as a thread makes no system call.) */
static void test_budget(void)
{
#if !UNDER_TSAN
    open_host(false);
    spawn("local T = {} function T:on_start() self.n = 1 end "
          "function T:on_show() print(self.n) end return T");
    expect_refusal(TOP("while true do end"), "its top level ran for more than 1 s");
    expect_refusal(RELOAD("while true do pcall(error) end"), "on_reload ran for more than 1 s");
    expect_refusal(RELOAD("table.sort({ 1, 2, 3 }, function() while true do end end)"),
                   "on_reload ran for more than 1 s");
    expect_prints("Show", "1\n");
    close_stage();
#endif
}

/* ---- Effects ------------------------------------------------------------------ */

static const char effects[] =
    "local T = { version = 2 }\n"
    "function T:on_reload()\n"
    "  print(actor.self:send('Note', { n = 1 }))\n"
    "  self.soon = actor.after('1s', 'Note', { n = 3 })\n"
    "  self.never = actor.after('1s', 'Note', { n = 4 })\n"
    "  print(self.never:cancel(), self.never:cancel(), self.old:cancel(), self.old:cancel())\n"
    "  actor.self:try_send('Note', { n = 2 })\n"
    "  self.tick = actor.every('2s', 'Note', { n = 5 })\n"
    "  actor.self:send('Note', { n = 6 }, { after = '4500ms' })\n"
    "  print(actor.ref('nobody'):send('Note'))\n"
    "end\n"
    "function T:on_note(msg) print('note', msg.n) end\n"
    "function T:on_off() self.tick:cancel() self.soon:cancel() end\n"
    "return T";

static const char quiet[] =
    "local T = { version = 1 }\n"
    "function T:on_start() self.old = actor.after('1s', 'Old') end\n"
    "function T:on_old() print('old') end\n"
    "return T";

static void test_effects(void)
{
    open_host(true);
    spawn(quiet);
    prepare(effects);
    /* Nothing happens before the commit; then all does, in order. */
    assert(strcmp(prints(), "true\ntrue\tfalse\ttrue\tfalse\ntrue\n") == 0);
    assert(timers_count(host.timers) == 1);
    run();
    assert(printed_size == 0);
    commit();
    assert(strstr(logged, "its on_reload sent Note to nobody") != NULL);
    run();
    assert(strcmp(prints(), "note\t1\nnote\t2\n") == 0);
    assert(timers_count(host.timers) == 3);
    advance(5000);
    assert(strcmp(prints(), "note\t3\nnote\t5\nnote\t5\nnote\t6\n") == 0);
    tell("Off");
    assert(timers_count(host.timers) == 0);
    close_stage();

    /* An abort drops all of it. */
    open_host(true);
    spawn(quiet);
    prepare(effects);
    call_off();
    forget_texts();
    assert(timers_count(host.timers) == 1);
    advance(10000);
    assert(strcmp(prints(), "old\n") == 0);
    close_stage();

    /* So does the end of the actor in between. */
    open_host(true);
    spawn(quiet);
    prepare(effects);
    close_stage();
}

/* ---- Classes ------------------------------------------------------------------- */

static void test_classes(void)
{
    static const char first[] =
        "local Book = actor.class 'Book'\n"
        "assert(Book.__index == Book and actor.class 'Book' == Book)\n"
        "function Book.new(title) return setmetatable({ title = title }, Book) end\n"
        "function Book:show() return 'a ' .. self.title end\n"
        "function Book:gone() return 'gone' end\n"
        "local T = {}\n"
        "function T:on_start() self.book = Book.new('b') self.class = Book end\n"
        "function T:on_show() print(self.book:show(), self.book.gone ~= nil, self.class == Book) end\n"
        "return T";
    open_host(true);
    spawn(first);
    expect_prints("Show", "a b\ttrue\ttrue\n");

    /* Its objects get the new methods, and lose those that are gone; on_reload has them. */
    static const char second[] =
        "local Base = { kind = function() return 'based' end } Base.__index = Base\n"
        "local Book = setmetatable(actor.class 'Book', Base)\n"
        "assert(rawget(Book, 'gone') == nil and Book.__index == Book)\n"
        "function Book:show() return 'the ' .. self.title end\n"
        "local Pen = actor.class 'Pen'\n"
        "local T = {}\n"
        "function T:on_reload() print(self.book:show(), getmetatable(self.book) == Book, self.class == Book) "
        "  self.pen = setmetatable({}, Pen) end\n"
        "function T:on_show() print(self.book:show(), self.book.gone, self.book.kind(), self.class == Book) end\n"
        "return T";
    prepare(second);
    assert(strcmp(prints(), "the b\ttrue\ttrue\n") == 0);
    call_off();
    expect_prints("Show", "a b\ttrue\ttrue\n");
    reload(second);
    forget_texts();
    expect_prints("Show", "the b\tnil\tbased\ttrue\n");

    /* And back. */
    reload_with(first, (struct staging_options){ .undo = true });
    expect_prints("Show", "a b\ttrue\ttrue\n");
    close_stage();
}

/* ---- Handlers that wait ---------------------------------------------------------- */

#define SLEEPER(text, options)                                                       \
    "local T = { " options " }\n"                                                    \
    "function T:on_start() self.items = { 'old' } self.n = 0 end\n"                  \
    "function T:on_wait() local items = self.items actor.sleep('1s') "               \
    "self.n = self.n + 1 print('" text "', items[1], self.items[1], helper()) end\n" \
    "function T:on_calm() actor.sleep('1s') self.n = self.n + 1 print('calm') end\n" \
    "function T:on_deep() coroutine.wrap(function() local t = self.items actor.sleep('1s') end)() end\n" \
    "function T:on_show() print('" text "', self.n, self.items[1]) end\n"            \
    "function helper() return '" text "' end\n"

static void test_waiting(void)
{
    static const char next[] =
        SLEEPER("new", "") "function T:on_reload() self.items = { 'new' } end return T";
    open_host(true);
    spawn(SLEEPER("old", "") "return T");

    /* A handler that waits finishes on the code it began with, and with the same self. */
    tell("Wait");
    reload(next);
    assert(is_stale("on_wait\n"));
    advance(1000);
    assert(strcmp(prints(), "old\told\tnew\told\n") == 0);
    expect_prints("Show", "new\t1\tnew\n");

    /* One that has no part of self in its hands is not stale; a coroutine of it may be. */
    tell("Calm");
    reload(next);
    assert(is_stale(""));
    advance(1000);
    tell("Deep");
    reload(next);
    assert(is_stale("on_deep\n"));
    advance(1000);

    /* Without on_reload nothing of self is replaced. */
    tell("Wait");
    reload(SLEEPER("newer", "") "return T");
    assert(is_stale(""));
    advance(1000);
    assert(strstr(prints(), "new\tnew\tnew\tnew\n") != NULL);

    /* Refused, or aborted, it goes on as well. */
    tell("Wait");
    expect_refusal(RELOAD("error('x')"), "x");
    prepare(next);
    call_off();
    forget_texts();
    advance(1000);
    assert(strcmp(prints(), "newer\tnew\tnew\tnewer\n") == 0);
    close_stage();

    /* Handlers that are set aside go on, too, and new ones begin on the new code. */
    open_host(true);
    spawn(SLEEPER("old", "interleave = { 'Wait', 'Calm' }") "return T");
    tell("Wait");
    tell("Calm");
    tell("Wait");
    tell("Show");
    reload(SLEEPER("new", "interleave = { 'Wait', 'Show' }")
           "function T:on_reload() self.items = { 'new' } end return T");
    assert(is_stale("on_wait\n"));
    tell("Calm");
    const char *text = prints();
    assert(strcmp(text, "new\t0\tnew\n") == 0); /* Show may begin now, and Calm not */
    tell("Wait");
    advance(1000);
    text = prints();
    const char *expected = "old\told\tnew\told\ncalm\nold\told\tnew\told\nnew\tnew\tnew\tnew\n";
    if (strcmp(text, expected) != 0)
        fprintf(stderr, "%s", text);
    assert(strcmp(text, expected) == 0);
    advance(1000);
    expect_prints("Show", "new\t5\tnew\n");
    close_stage();
}

/* ---- Warnings --------------------------------------------------------------------- */

static void test_warnings(void)
{
    open_host(true);
    spawn("local T = { mailbox = { limit = 10 }, memory = '16MiB', config = 1 }\n"
          "function T:on_start() self.cb = { fn = function() end } self.co = coroutine.create(print) "
          "self.list = { function() end } self.print = print self.t = actor.every('1h', 'Tick') end\n"
          "function T:on_ping() end function T:on_pong() end function T:on_tick() end\n"
          "return T");
    tell("Ping");
    reload("local T = { mailbox = { limit = 10 }, memory = '17MiB', slow = 'stop', config = 2 } "
           "function T:on_pong() end return T");
    assert(warned("on_ping is gone, and there were messages for it\n"));
    assert(warned("on_tick is gone, and timers are under way for it\n"));
    assert(warned("memory has changed: it counts for actors spawned from now on\n"));
    assert(warned("slow has changed"));
    assert(warned("self.cb.fn is a function"));
    assert(warned("self.list[1] is a function"));
    assert(warned("self.co is a function or coroutine"));
    assert(strstr(bytes_text(&notes.warnings), "mailbox") == NULL);
    assert(strstr(bytes_text(&notes.warnings), "config") == NULL);
    assert(strstr(bytes_text(&notes.warnings), "self.print") == NULL);
    assert(strstr(bytes_text(&notes.warnings), "on_pong") == NULL);

    /* What on_reload has made anew is not old. */
    reload("local T = {} function T:on_reload() self.cb.fn = function() end self.list = nil end\n"
           "function T:on_any() end return T");
    assert(strstr(bytes_text(&notes.warnings), "self.cb") == NULL);
    assert(strstr(bytes_text(&notes.warnings), "self.list") == NULL);
    assert(warned("self.co is a function"));
    close_stage();
}

/* ---- Undo --------------------------------------------------------------------------- */

static void test_undo(void)
{
    static const struct staging_options undo = { .undo = true }, trial = { .keep = true };
    static const char one[] =
        "local T = { version = 1 } function T:on_start() self.list = { 1 } end "
        "function T:on_add() table.insert(self.list, 1) end "
        "function T:on_show() print('one', #self.list, self.n) end return T";
    static const char two[] =
        "local T = { version = 2 } function T:on_reload() self.n = #self.list self.list = nil end "
        "function T:on_add() self.n = self.n + 1 end "
        "function T:on_show() print('two', self.list, self.n) end return T";
    static const char same[] =
        "local T = { version = 3 } function T:on_add() table.insert(self.list, 2) "
        "table.insert(self.list, 2) end "
        "function T:on_show() print('same', #self.list) end return T";
    open_host(true);
    spawn(one);
    tell("Add");
    reload(two);
    tell("Add");
    expect_prints("Show", "two\tnil\t3\n");

    /* Back to the shape that self had; what has changed since is dropped. And again forth. */
    reload_with(one, undo);
    assert(notes.restored);
    expect_prints("Show", "one\t2\tnil\n");
    tell("Add");
    reload_with(two, undo);
    assert(notes.restored);
    expect_prints("Show", "two\tnil\t3\n");
    reload_with(one, undo);
    expect_prints("Show", "one\t3\tnil\n");

    /* Without on_reload self is of no other shape, and stays. */
    reload(same);
    tell("Add");
    reload_with(one, undo);
    assert(!notes.restored);
    expect_prints("Show", "one\t5\tnil\n");

    /* Of a trial a copy is kept all the same, until that has passed. */
    reload_with(same, trial);
    tell("Add");
    expect_prints("Show", "same\t7\n");
    reload_with(one, undo);
    assert(notes.restored);
    expect_prints("Show", "one\t5\tnil\n");
    reload_with(same, trial);
    tell("Add");
    staging_trial_passed(script_now());
    reload_with(one, undo);
    assert(!notes.restored);
    expect_prints("Show", "one\t7\tnil\n");

    /* A handler that waits with what an undo replaces is stale, too. */
    static const char waits[] =
        "local T = { version = 4 } function T:on_reload() self.list = { 1, 2 } end "
        "function T:on_wait() local list = self.list actor.sleep('1s') print(#list) end "
        "function T:on_show() print('waits', #self.list) end return T";
    reload(waits);
    tell("Wait");
    reload_with(one, undo);
    assert(notes.restored && is_stale("on_wait\n"));
    advance(1000);
    assert(strcmp(prints(), "2\n") == 0);
    expect_prints("Show", "one\t7\tnil\n");

    /* A refused one leaves what was kept. */
    reload(two);
    expect_refusal(TOP("error('x')"), "x");
    reload_with(one, undo);
    expect_prints("Show", "one\t7\tnil\n");
    close_stage();
}

/* ---- Without a state ------------------------------------------------------------------ */

static void test_not_begun(void)
{
    open_host(true);
    assert(try_bear("local T = {} function T:on_start() print('one') end return T") == 0);
    expect_refusal(TOP("error('x')"), "x");
    reload("local T = {} function T:on_start() print('two') end "
           "function T:on_reload() print('on_reload') end return T");
    assert(!notes.migrated);
    assert(lifecycle_start(&host, subject, NULL, 0) == 0);
    run();
    assert(strcmp(prints(), "two\n") == 0);
    close_stage();

    /* One that waits to be restarted has none: it begins with the new version. */
    open_host(true);
    spawn("local T = { failure = 'restart' } function T:on_start() print('one') end "
          "function T:on_fail() error('now') end return T");
    tell("Fail");
    assert(script_now()->vm.L == NULL);
    prepare("local T = {} function T:on_start() print('two') end return T");
    call_off();
    reload("local T = {} function T:on_start() print('three') end return T");
    forget_texts();
    advance(60000);
    assert(strcmp(prints(), "three\n") == 0);
    close_stage();
}

/* ---- Declared types ---------------------------------------------------------------------- */

static void test_declared(void)
{
    static const char one[] =
        "local Ping = actor.message('Ping', { n = 'integer' })\n"
        "local T = {} function T:on_start() self.kept = Ping{ n = 1 } self.type = Ping end\n"
        "function T:on_go() actor.self:send(self.kept) print(pcall(self.type, { n = 'x' })) end\n"
        "function T:on_ping(msg) print(msg.n) end return T";
    static const char two[] =
        "actor.message('Ping', { n = 'string' })\n"
        "local T = {}\n"
        "function T:on_go() print(pcall(function() actor.self:send(self.kept) end)) "
        "actor.self:send('Ping', { n = 'text' }) end\n"
        "function T:on_ping(msg) print(msg.n) end return T";
    open_host(true);
    spawn(one);
    reload(one);
    tell("Go");
    assert(strstr(prints(), "1\n") != NULL);
    expect_refusal("actor.message('Ping', { n = 'string' }) error('x')", "x");
    tell("Go");
    assert(strstr(prints(), "1\n") != NULL);
    reload(two);
    tell("Go");
    const char *text = prints();
    assert(strncmp(text, "false", 5) == 0 && strstr(text, "text\n") != NULL);
    for (int i = 0; i < 20; i++)
        reload(i % 2 == 0 ? one : two);
    tell("Go");
    reload("local T = {} function T:on_go() print(pcall(self.type, { n = 'x' })) end return T");
    tell("Go");
    close_stage();
}

/* ---- Globals of modules --------------------------------------------------------------------- */

static void test_globals(void)
{
    /* The environment that a required module has is shared: a refused version gives it back. */
    static const char text[] =
        "local plain = require('package').loaded._G\n"
        "local T = {} function T:on_start() plain.shared = 1 plain.other = 2 end\n"
        "function T:on_show() print(plain.shared, plain.other, plain.more) end\n";
    char refused[600], good[600];
    snprintf(good, sizeof good, "%s return T", text);
    snprintf(refused, sizeof refused, "%s plain.shared = 2 plain.other = nil plain.more = 3 error('x')", text);
    open_host(true);
    spawn(good);
    expect_prints("Show", "1\t2\tnil\n");
    expect_refusal(refused, "x");
    expect_prints("Show", "1\t2\tnil\n");
    snprintf(good, sizeof good, "%s plain.shared = 2 plain.other = nil plain.more = 3 return T", text);
    prepare(good);
    call_off();
    expect_prints("Show", "1\t2\tnil\n");
    reload(good);
    expect_prints("Show", "2\tnil\t3\n");
    close_stage();
}

/* ---- Modules ---- */

/* Those that lie beside the script run anew with each version; others are shared. */
static void test_modules(void)
{
    char folder[] = "/tmp/troupe_staging_XXXXXX", path[64], name[64];
    assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/near.lua", folder);
    snprintf(name, sizeof name, "@%s/subject.lua", folder);
    FILE *file = fopen(path, "w");
    assert(file != NULL);
    fputs("print('runs') local Near = { n = 0 } return Near", file);
    fclose(file);
    chunk_name = name;

    static const char script[] =
        "local near = require 'near' local children = require 'troupe.children'\n"
        "local T = {}\n"
        "function T:on_start() self.near = near self.children = children near.n = 1 end\n"
        "function T:on_show() print(near.n, self.near == near, package.loaded.near == near, "
        "self.children == children, require 'near' == near) end\n";
    char good[600], bad[600];
    snprintf(good, sizeof good, "%s function T:on_reload() print(self.near.n) end return T", script);
    snprintf(bad, sizeof bad, "%s error('x')", script);
    open_host(true);
    spawn(good);
    assert(strcmp(prints(), "runs\n") == 0);
    expect_prints("Show", "1\ttrue\ttrue\ttrue\ttrue\n");
    assert(prepare_with(bad, (struct staging_options){ .undo = false }) == -EINVAL);
    assert(strcmp(prints(), "runs\n") == 0);
    expect_prints("Show", "1\ttrue\ttrue\ttrue\ttrue\n");
    prepare(good);
    call_off();
    assert(strcmp(prints(), "runs\n1\n") == 0);
    expect_prints("Show", "1\ttrue\ttrue\ttrue\ttrue\n");
    reload(good);
    assert(strcmp(prints(), "runs\n1\n") == 0);
    expect_prints("Show", "0\tfalse\ttrue\ttrue\ttrue\n");
    close_stage();

    /* One that is required for the first time by a version that is refused is not there. */
    open_host(true);
    spawn("local T = {} function T:on_show() print(rawget(package.loaded, 'near')) end return T");
    assert(prepare_with(bad, (struct staging_options){ .undo = false }) == -EINVAL);
    expect_prints("Show", "nil\n");
    close_stage();
    chunk_name = "@subject.lua";
    unlink(path);
    rmdir(folder);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void test_memory_limit(void)
{
    /* A copy of a state that fills more than half of its limit does not fit. */
    memory_limit = 8u << 20;
    open_host(true);
    spawn("local T = {} function T:on_start() self.t = {} for i = 1, 60000 do self.t[i] = { i } end end "
          "function T:on_show() print(#self.t, self.t[60000][1]) end return T");
    for (int i = 0; i < 5; i++)
        assert(prepare_with(RELOAD("self.x = 1"), (struct staging_options){ .undo = false }) == -ENOMEM);
    assert(strstr(why, "not enough memory") != NULL);
    expect_prints("Show", "60000\t60000\n");
    reload("local T = {} function T:on_show() print('new', #self.t) end return T");
    expect_prints("Show", "new\t60000\n");
    close_stage();
    memory_limit = 64u << 20;
}

static const char rich_one[] =
    "local Book = actor.class 'Book'\n"
    "function Book:name() return 'one' end\n"
    "local Ping = actor.message('Ping', { n = 'integer?' })\n"
    "local T = { version = 1, interleave = { 'Wait', 'Show' } }\n"
    "function T:on_start() self.list = { 1, { 2 } } self.book = setmetatable({}, Book) "
    "self.timer = actor.every('1h', 'Tick') end\n"
    "function T:on_wait() local list = self.list actor.sleep('1s') end\n"
    "function T:on_tick() end\n"
    "function T:on_show() print('one', #self.list, self.book:name(), self.n) end\n"
    "return T";

static const char rich_two[] =
    "local Book = actor.class 'Book'\n"
    "function Book:name() return 'two' end\n"
    "function Book:more() end function Book:and_more() end\n"
    "local Pen = actor.class 'Pen'\n"
    "local Ping = actor.message('Ping', { n = 'string?' })\n"
    "local Pong = actor.message('Pong', { n = 'string?' })\n"
    "local T = { version = 2, interleave = { 'Wait', 'Show' } }\n"
    "function T:on_reload() self.list[3] = 3 self.n = 1 self.a = 1 self.b = 2 self.c = 3 self.d = 4\n"
    "  actor.self:send('Note') self.timer:cancel() self.timer = assert(actor.every('1h', 'Tick')) "
    "  assert(actor.after('1h', 'Note')):cancel() end\n"
    "function T:on_wait() actor.sleep('1s') end\n"
    "function T:on_note() end function T:on_tick() end\n"
    "function T:on_show() print('two', #self.list, self.book:name(), self.n) end\n"
    "return T";

/* The state has a little more memory each time, until it is enough: wherever it ends, what was
 * changed in place is as it was. */
static void test_each_limit(void)
{
    unsigned refused = 0;
    open_host(true);
    spawn(rich_one);
    tell("Wait");
    for (size_t more = 0;; more += 48) {
        struct arena *arena = &script_now()->vm.arena;
        size_t limit = arena->limit;
        lua_gc(script_now()->vm.L, LUA_GCCOLLECT);
        arena_set_limit(arena, arena->used + more);
        int error = prepare_with(rich_two, (struct staging_options){ .keep = true });
        arena_set_limit(arena, limit);
        if (error == 0)
            break;
        assert(strstr(why, "not enough memory") != NULL || strstr(why, "out of memory") != NULL);
        expect_prints("Show", "one\t2\tone\tnil\n");
        assert(timers_count(host.timers) == 1);
        refused++;
    }
    assert(refused > 50);
    call_off();
    expect_prints("Show", "one\t2\tone\tnil\n");
    reload(rich_two);
    forget_texts();
    expect_prints("Show", "two\t3\ttwo\t1\n");
    advance(1000);
    close_stage();
}

#ifdef TROUPE_FAULTS

/* Shows what version it is: one or the other, but whole. */
static bool shows(const char *expected)
{
    forget_texts();
    return try_tell("Show") && (printed_size == 0 || strcmp(printed, expected) == 0);
}

/* Reloads with the n-th allocation failing, aborts or commits; true if none did. */
static bool live(uint64_t n, bool commits)
{
    struct staging_options options = { .keep = true };
    open_host(true);
    spawn(rich_one);
    tell("Wait");
    struct source *source = source_of(rich_two);
    staging_notes_fini(&notes);
    staging_notes_init(&notes);
    fault_arm(n);
    int error = staging_prepare(script_now(), NULL, source, &options, &notes, why, sizeof why);
    bool prepared = error == 0;
    assert(prepared || error == -ENOMEM || error == -EINVAL);
    assert(prepared || strstr(why, "memory") != NULL);
    bool whole = fault_count() < n;
    assert(!whole || prepared);
    if (prepared && commits) {
        commit();
        whole = whole && fault_count() < n;
    } else if (prepared) {
        call_off();
    }
    fault_arm(0);
    source_unref(source);
    assert(shows(prepared && commits ? "two\t3\ttwo\t1\n" : "one\t2\tone\tnil\n"));
    assert(printed_size > 0);
    assert(timers_count(host.timers) == 1);
    advance(1000);
    close_stage();
    staging_notes_fini(&notes);
    return whole;
}

static bool live_to_commit(uint64_t n) { return live(n, true); }
static bool live_to_abort(uint64_t n) { return live(n, false); }

static void test_each_allocation(bool (*one_life)(uint64_t n))
{
    uint64_t count = fail_each(one_life, UNDER_TSAN ? 3 : 1);
    assert(count >= 100);
    printf("staging: of %llu allocations each one failed once\n", (unsigned long long)count);
}

#endif

/* Many times over, nothing grows. */
static void test_no_growth(void)
{
    open_host(true);
    spawn("local T = {} function T:on_start() self.list = { 1, 2, 3 } end "
          "function T:on_show() print(#self.list) end return T");
    static const char next[] =
        "local Book = actor.class 'Book' function Book:x() end\n"
        "local Ping = actor.message('Ping', { n = 'integer' })\n"
        "local T = {} function T:on_reload() self.n = (self.n or 0) + 1 end "
        "function T:on_show() print(#self.list, self.n) end return T";
    for (int i = 0; i < 20; i++)
        reload(next);
    size_t used = script_now()->vm.arena.used, ours = memory_used();
    for (int i = 0; i < 200; i++) {
        reload(next);
        assert(prepare_with(RELOAD("self.x = 1 error('x')"), (struct staging_options){ .keep = true }) != 0);
    }
    size_t now = script_now()->vm.arena.used;
    if (now > used + used / 4 || memory_used() != ours)
        fprintf(stderr, "%zu, then %zu; ours %zu, then %zu\n", used, now, ours, memory_used());
    assert(now <= used + used / 4);
    assert(memory_used() == ours);
    expect_prints("Show", "3\t220\n");
    close_stage();
}

int main(void)
{
    assert(libraries_prepare() == 0);
    log_set_sink(keep_log, NULL);
    staging_notes_init(&notes);
    test_takes_over();
    test_migrates();
    test_copies();
    test_refusals();
    test_budget();
    test_effects();
    test_classes();
    test_waiting();
    test_warnings();
    test_undo();
    test_not_begun();
    test_declared();
    test_globals();
    test_modules();
    test_memory_limit();
    test_each_limit();
    test_no_growth();
    staging_notes_fini(&notes);
#ifdef TROUPE_FAULTS
    test_each_allocation(live_to_commit);
    test_each_allocation(live_to_abort);
#endif
    log_set_sink(NULL, NULL);
    puts("staging: ok");
    return 0;
}
