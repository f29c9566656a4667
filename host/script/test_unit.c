/*
 * test_unit.c -- what unit.h promises, and source.h of versions and instances.
 */
#include "script/unit.h"

#include "base/fault.h"
#include "base/hash.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char why[600];

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert(file != NULL && fwrite(text, 1, strlen(text), file) == strlen(text));
    fclose(file);
}

static struct source *find(struct sources *sources, const char *path)
{
    struct source *source;
    int err = source_find(sources, path, NULL, &source, why, sizeof why);
    if (err != 0) {
        fprintf(stderr, "%s: %d %s\n", path, err, why);
        abort();
    }
    return source;
}

/* `script` requires `name`; the module, which its unit keeps. */
static struct source *require_in(struct sources *sources, struct source *script,
                                 struct update *update, const char *name)
{
    struct unit_request request = { .script = script, .update = update, .name = name };
    struct source *module;
    int answer = unit_require(sources, &request, &module, why, sizeof why);
    if (answer != UNIT_FOUND) {
        fprintf(stderr, "%s: %d %s\n", name, answer, why);
        abort();
    }
    source_unref(module);
    return module;
}

static struct update *open_update(struct sources *sources, const char *const *paths)
{
    struct update *update;
    int err = update_open(sources, paths, &update, why, sizeof why);
    if (err != 0) {
        fprintf(stderr, "update: %d %s\n", err, why);
        abort();
    }
    return update;
}

#define PATHS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void refuses(struct sources *sources, const char *const *paths, int err, const char *words)
{
    struct update *update;
    int got = update_open(sources, paths, &update, why, sizeof why);
    if (got != err || strcmp(why, words) != 0) {
        fprintf(stderr, "said     %d %s\nexpected %d %s\n", got, why, err, words);
        abort();
    }
    assert(update == NULL);
}

static bool commit(struct sources *sources, const char *const *paths)
{
    struct update *update = open_update(sources, paths);
    bool changes = update_changes(update);
    assert(update_commit(update) == 0);
    update_close(update);
    return changes;
}

/* Which scripts an update affects, as "a.lua 1->0 b.lua 1->0", in the order of their paths. */
static const char *affected(struct update *update, bool scripts)
{
    static char text[400];
    char *lines[16];
    size_t count = 0;
    struct source *from, *to;
    for (size_t position = 0; scripts ? update_next(update, &position, &from, &to)
                                      : update_next_file(update, &position, &from, &to);) {
        assert(from != to && update_find(update, from) == to);
        assert(asprintf(&lines[count++], "%s %u->%u", source_path(from), source_number(from),
                        source_number(to)) > 0);
    }
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count; k++)
            if (strcmp(lines[k], lines[i]) < 0) {
                char *line = lines[i];
                lines[i] = lines[k];
                lines[k] = line;
            }
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " " : "",
                 lines[i]);
        free(lines[i]);
    }
    return text;
}

static bool says(const char *text, const char *expected)
{
    if (strcmp(text, expected) == 0)
        return true;
    fprintf(stderr, "said     %s\nexpected %s\n", text, expected);
    return false;
}

/* A shop and a till that stand on the same prices, and a bell that does not. */
struct rig {
    struct sources *sources;
    struct source  *shop, *till, *bell;
    struct source_instance at[3];
};

static void open_rig(struct rig *rig)
{
    write_text("shop.lua", "return 'shop 1'");
    write_text("till.lua", "return 'till 1'");
    write_text("bell.lua", "return 'bell 1'");
    write_text("lua/prices.lua", "return 'prices 1'");
    *rig = (struct rig){ .sources = sources_new(NULL) };
    rig->shop = find(rig->sources, "shop");
    rig->till = find(rig->sources, "till.lua");
    rig->bell = find(rig->sources, "./bell");
    source_join(rig->sources, rig->shop, &rig->at[0]);
    source_join(rig->sources, rig->till, &rig->at[1]);
    source_join(rig->sources, rig->bell, &rig->at[2]);
    require_in(rig->sources, rig->shop, NULL, "prices");
    require_in(rig->sources, rig->till, NULL, "prices");
}

static void close_rig(struct rig *rig)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rig->at); i++)
        source_leave(rig->sources, &rig->at[i]);
    source_unref(rig->shop);
    source_unref(rig->till);
    source_unref(rig->bell);
    sources_free(rig->sources);
}

/* All that has changed becomes current, as a reload does it: new versions of the shop and the
 * till require their prices, and the instances go over to them. */
static bool reload(struct rig *rig, const char *const *paths)
{
    struct update *update = open_update(rig->sources, paths);
    bool changes = update_changes(update);
    struct source *from, *to;
    for (size_t position = 0; update_next(update, &position, &from, &to);)
        if (strcmp(source_path(from), "bell.lua") != 0)
            require_in(rig->sources, to, update, "prices");
    assert(update_commit(update) == 0);
    for (size_t position = 0; update_next(update, &position, &from, &to);)
        for (size_t i = 0; i < ARRAY_LENGTH(rig->at); i++)
            if (rig->at[i].source == from)
                source_move(&rig->at[i], to);
    update_close(update);
    return changes;
}

/* ---- Versions ----------------------------------------------------------------- */

/* A version is beside the one in use until it is committed; then it has the next number,
 * and the one before says that it is over. */
static void test_versions(void)
{
    struct rig rig;
    open_rig(&rig);
    assert(source_number(rig.shop) == 1 && source_state(rig.shop) == SOURCE_CURRENT);

    /* The same bytes, written again, are no other version. */
    write_text("shop.lua", "return 'shop 1'");
    assert(!commit(rig.sources, NULL) && source_state(rig.shop) == SOURCE_CURRENT);

    write_text("shop.lua", "return 'shop 2'");
    struct update *update = open_update(rig.sources, NULL);
    assert(update_changes(update));
    assert(says(affected(update, true), "shop.lua 1->0"));
    assert(says(affected(update, false), "shop.lua 1->0"));
    assert(source_state(rig.shop) == SOURCE_RELOADING);
    assert(source_state(rig.till) == SOURCE_CURRENT);
    struct source *next = update_find(update, rig.shop);
    assert(next != NULL && source_hash(next) != source_hash(rig.shop));
    assert(update_find(update, rig.bell) == NULL && update_find(update, next) == NULL);
    /* Who asks meanwhile gets what is in use. */
    struct source *meanwhile = find(rig.sources, "shop");
    assert(meanwhile == rig.shop);
    source_unref(meanwhile);

    /* An update that is closed without a commit leaves everything as it was. */
    update_close(update);
    assert(source_state(rig.shop) == SOURCE_CURRENT && source_number(rig.shop) == 1);

    assert(commit(rig.sources, NULL));
    assert(source_state(rig.shop) == SOURCE_SUPERSEDED && source_number(rig.shop) == 1);
    struct source *current = find(rig.sources, "shop");
    assert(current != rig.shop && source_number(current) == 2);
    assert(source_state(current) == SOURCE_CURRENT);
    struct source *same = source_current(rig.sources, rig.shop);
    assert(same == current);
    source_unref(same);
    source_unref(current);
    close_rig(&rig);
}

/* A module's change makes new versions of all scripts that have required it, and of no other,
 * though their own texts are the same. */
static void test_modules(void)
{
    struct rig rig;
    open_rig(&rig);
    write_text("lua/prices.lua", "return 'prices 2'");
    struct update *update = open_update(rig.sources, PATHS("shop")); /* its unit is read */
    assert(says(affected(update, true), "shop.lua 1->0 till.lua 1->0"));
    assert(says(affected(update, false), "lua/prices.lua 1->0"));
    struct source *shop = update_find(update, rig.shop);
    assert(source_hash(shop) == source_hash(rig.shop));
    struct source *old = require_in(rig.sources, rig.shop, NULL, "prices");
    struct source *prices = require_in(rig.sources, shop, update, "prices");
    assert(prices == update_find(update, old) && prices != old);
    assert(update_commit(update) == 0);
    update_close(update);

    struct source *current = find(rig.sources, "shop");
    assert(source_number(current) == 2);
    assert(require_in(rig.sources, current, NULL, "prices") == prices);
    /* A superseded version goes on with the modules that it had. */
    assert(require_in(rig.sources, rig.shop, NULL, "prices") == old);
    source_unref(current);
    close_rig(&rig);
}

/* Names of modules: dots are folders, an init.lua stands for its folder; beside the script,
 * then lua/, then actors/. */
static void test_finding(void)
{
    struct sources *sources = sources_new(NULL);
    mkdir("game", 0777);
    mkdir("game/lib", 0777);
    mkdir("game/kit", 0777);
    write_text("game/play.lua", "");
    write_text("game/both.lua", "");
    write_text("lua/both.lua", "");
    write_text("lua/other.lua", "");
    write_text("actors/other.lua", "");
    write_text("actors/last.lua", "");
    write_text("game/lib/dice.lua", "");
    write_text("game/kit/init.lua", "");
    struct source *play = find(sources, "game/play");
    static const char *const names[][2] = {
        { "both", "game/both.lua" },     { "other", "lua/other.lua" },
        { "last", "actors/last.lua" },   { "lib.dice", "game/lib/dice.lua" },
        { "kit", "game/kit/init.lua" },  { "lib/dice", "game/lib/dice.lua" },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct source *module = require_in(sources, play, NULL, names[i][0]);
        assert(strcmp(source_path(module), names[i][1]) == 0);
    }

    /* What is not there says where it was looked for. Names of Troupe's own are not looked for. */
    struct unit_request request = { .script = play, .name = "no.such" };
    struct source *module;
    assert(unit_require(sources, &request, &module, why, sizeof why) == UNIT_NOT_HERE);
    assert(module == NULL);
    assert(says(why, "no file 'game/no/such.lua'\n\tno file 'game/no/such/init.lua'\n"
                     "\tno file 'lua/no/such.lua'\n\tno file 'lua/no/such/init.lua'\n"
                     "\tno file 'actors/no/such.lua'\n\tno file 'actors/no/such/init.lua'"));
    mkdir("lua/troupe", 0777);
    write_text("lua/troupe/rate.lua", "return 'mine'");
    request.name = "troupe.rate";
    assert(unit_require(sources, &request, &module, why, sizeof why) == UNIT_ELSEWHERE);
    /* A name that begins with a slash or dot is no way to the root of the file system. */
    char absolute[PATH_MAX];
    assert(getcwd(absolute, sizeof absolute) != NULL);
    strcat(absolute, "/lua/both");
    request.name = absolute;
    assert(unit_require(sources, &request, &module, why, sizeof why) == UNIT_ELSEWHERE);
    absolute[0] = '.';
    assert(unit_require(sources, &request, &module, why, sizeof why) == UNIT_ELSEWHERE);

    /* What was found elsewhere is not looked for again, until an update is committed. */
    request.name = "late";
    assert(unit_require(sources, &request, &module, why, sizeof why) == UNIT_NOT_HERE);
    unit_found_elsewhere(sources, &request);
    write_text("lua/late.lua", "");
    assert(unit_require(sources, &request, &module, why, sizeof why) == UNIT_ELSEWHERE);
    commit(sources, NULL);
    require_in(sources, play, NULL, "late");

    /* A sandbox: its own folder, and no link that leads out of it. */
    char within[PATH_MAX];
    assert(realpath("game", within) != NULL);
    strcat(within, "/");
    request.within = within;
    request.name = "both";
    assert(unit_require(sources, &request, &module, why, sizeof why) == UNIT_FOUND);
    source_unref(module);
    request.name = "other";
    assert(unit_require(sources, &request, &module, why, sizeof why) == UNIT_NOT_HERE);
    assert(symlink("../lua/other.lua", "game/leads_out.lua") == 0);
    request.name = "leads_out";
    assert(unit_require(sources, &request, &module, why, sizeof why) == UNIT_NOT_HERE);
    assert(says(why, "no file 'game/leads_out.lua'\n\tno file 'game/leads_out/init.lua'"));

    source_unref(play);
    sources_free(sources);
}

/* ---- Naming -------------------------------------------------------------------- */

static void test_naming(void)
{
    struct rig rig;
    open_rig(&rig);
    mkdir("deep", 0777);
    write_text("deep/pump.lua", "");
    struct source *pump = find(rig.sources, "deep/pump");
    char absolute[PATH_MAX];
    assert(realpath("deep/pump.lua", absolute) != NULL);
    const char *const names[] = { "deep/pump.lua", "deep/pump", "./deep/pump.lua", "pump",
                                  "pump.lua", absolute, "deep/../deep/pump.lua" };
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char text[40];
        snprintf(text, sizeof text, "return %zu", i);
        write_text("deep/pump.lua", text);
        assert(commit(rig.sources, PATHS(names[i])));
    }
    /* A module by its path; others that have changed are not read then. */
    write_text("shop.lua", "return 'shop 2'");
    write_text("lua/prices.lua", "return 'prices 2'");
    struct update *update = open_update(rig.sources, PATHS("lua/prices.lua"));
    assert(says(affected(update, false), "lua/prices.lua 1->0"));
    update_close(update);
    /* One that is named twice is read once. */
    update = open_update(rig.sources, PATHS("shop", "shop.lua", "./shop.lua"));
    assert(says(affected(update, false), "lua/prices.lua 1->0 shop.lua 1->0"));
    update_close(update);

    refuses(rig.sources, PATHS("pupm"), -ENOENT, "no script 'pupm' is in use here; there are: "
            "deep/pump.lua, bell.lua, till.lua, shop.lua");
    refuses(rig.sources, PATHS("shop", "shopp.lua"), -ENOENT,
            "no script 'shopp.lua' is in use here; did you mean shop.lua?");
    mkdir("wide", 0777);
    write_text("wide/pump.lua", "");
    struct source *other = find(rig.sources, "wide/pump");
    refuses(rig.sources, PATHS("pump"), -ENOENT,
            "'pump' may be wide/pump.lua or deep/pump.lua: name one of them");
    source_unref(other);
    source_unref(pump);
    close_rig(&rig);
}

/* ---- Refusals ------------------------------------------------------------------- */

static void refuses_module(struct rig *rig, const char *words)
{
    unsigned before = source_failures(rig->shop, NULL, 0);
    refuses(rig->sources, NULL, -EINVAL, words);
    /* Noted with those whose unit has the file, and with nobody else. */
    char last[SOURCE_ERROR_ROOM];
    assert(source_failures(rig->shop, last, sizeof last) == before + 1 && says(last, words));
    assert(source_failures(rig->till, NULL, 0) == before + 1);
    assert(source_failures(rig->bell, last, sizeof last) == 0 && *last == '\0');
    assert(source_state(rig->shop) == SOURCE_CURRENT && source_number(rig->shop) == 1);
}

/* Whatever becomes of a file: one line that names it, and the old version goes on. */
static void test_refusals(void)
{
    struct rig rig;
    open_rig(&rig);
    const char *path = "lua/prices.lua";
    write_text(path, "local x\n\nlocal = 3\n");
    refuses_module(&rig, "lua/prices.lua:3: <name> expected near '='");
    write_text(path, "local Prices = {}\nfunction Prices.of(");
    refuses_module(&rig, "lua/prices.lua:2: <name> or '...' expected near <eof>");
    write_text(path, "\033Lua\x54");
    refuses_module(&rig,
                   "lua/prices.lua: compiled Lua (bytecode) is never loaded; give its source");
    assert(truncate(path, (off_t)17 << 20) == 0);
    refuses_module(&rig, "lua/prices.lua: larger than 16 MiB");
    write_text(path, "\x01\x02\x03\xff");
    refuses_module(&rig, "lua/prices.lua:1: unexpected symbol near '<\\1>'");
    if (geteuid() != 0) {
        chmod(path, 0);
        refuses_module(&rig, "lua/prices.lua: Permission denied");
    }
    unlink(path);
    refuses_module(&rig, "lua/prices.lua: No such file or directory");
    mkdir(path, 0777);
    refuses_module(&rig, "lua/prices.lua: is a folder, not a script");
    rmdir(path);
    assert(mkfifo(path, 0666) == 0);
    refuses_module(&rig, "lua/prices.lua: is not a plain file");
    unlink(path);

    /* It is back, 10 MiB long: fine. An empty file is a version, too. The failures are over. */
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 10 * 1024; i++)
        fprintf(file, "--%01021d\n", i);
    fclose(file);
    assert(reload(&rig, NULL));
    struct source *shop = find(rig.sources, "shop");
    assert(source_number(shop) == 2 && source_failures(shop, NULL, 0) == 0);
    source_unref(shop);
    write_text(path, "");
    assert(reload(&rig, NULL));

    /* A module that is gone is missed by who has not changed; who has may not require it now. */
    unlink(path);
    write_text("shop.lua", "return 'shop 2'");
    refuses(rig.sources, NULL, -EINVAL, "lua/prices.lua: No such file or directory");
    write_text("till.lua", "return 'till 2'");
    struct update *update = open_update(rig.sources, NULL);
    assert(says(affected(update, true), "shop.lua 3->0 till.lua 3->0"));
    struct unit_request request = {
        .script = update_find(update, rig.shop), .update = update, .name = "prices",
    };
    struct source *module;
    assert(unit_require(rig.sources, &request, &module, why, sizeof why) == UNIT_NOT_HERE);
    write_text("actors/prices.lua", "return 'moved'");
    request.script = update_find(update, rig.till);
    assert(unit_require(rig.sources, &request, &module, why, sizeof why) == UNIT_NOT_HERE);
    update_close(update);
    update = open_update(rig.sources, NULL);
    request.script = update_find(update, rig.shop);
    request.update = update;
    assert(unit_require(rig.sources, &request, &module, why, sizeof why) == UNIT_FOUND);
    assert(says(source_path(module), "actors/prices.lua"));
    source_unref(module);
    update_close(update);
    unlink("actors/prices.lua");
    write_text(path, "");
    assert(reload(&rig, NULL));

    /* A file that nobody runs is passed over when it is gone, unless it is named. */
    source_leave(rig.sources, &rig.at[2]);
    unlink("bell.lua");
    assert(!reload(&rig, NULL));
    refuses(rig.sources, PATHS("bell"), -EINVAL, "bell.lua: No such file or directory");

    /* One update at a time. */
    update = open_update(rig.sources, NULL);
    refuses(rig.sources, NULL, -EBUSY, "another reload is under way");
    update_close(update);
    /* A version that is refused later is noted with all that it affects. */
    write_text(path, "return 'prices 3'");
    update = open_update(rig.sources, NULL);
    update_fail(update, "shop.lua:3: no");
    update_close(update);
    shop = find(rig.sources, "shop");
    assert(source_failures(shop, why, sizeof why) == 1 && says(why, "shop.lua:3: no"));
    source_unref(shop);
    update_close(NULL);
    close_rig(&rig);
}

/* ---- Undo ------------------------------------------------------------------------ */

static int undo(struct sources *sources, const char *const *paths)
{
    struct update *update;
    int err = update_open_undo(sources, paths, &update, why, sizeof why);
    if (err != 0)
        return err;
    assert(update_commit(update) == 0);
    update_close(update);
    return 0;
}

static unsigned number_of(struct sources *sources, const char *path)
{
    struct source *source = find(sources, path);
    unsigned number = source_number(source);
    source_unref(source);
    return number;
}

static void test_undo(void)
{
    struct rig rig;
    open_rig(&rig);
    assert(undo(rig.sources, NULL) == -ENODATA);
    assert(says(why, "there is nothing to undo: no reload has changed anything"));
    assert(undo(rig.sources, PATHS("shop")) == -ENODATA);
    assert(says(why, "shop.lua: there is no version before #1"));

    /* Script and module go back together, whatever lies in the files now. */
    struct source *prices = require_in(rig.sources, rig.shop, NULL, "prices");
    write_text("shop.lua", "return 'shop 2'");
    write_text("lua/prices.lua", "return 'prices 2'");
    assert(reload(&rig, NULL));
    unlink("lua/prices.lua");
    assert(undo(rig.sources, NULL) == 0);
    struct source *shop = find(rig.sources, "shop"), *till = find(rig.sources, "till");
    assert(shop == rig.shop && till == rig.till && source_number(shop) == 1);
    assert(source_state(shop) == SOURCE_CURRENT);
    assert(require_in(rig.sources, shop, NULL, "prices") == prices);
    source_unref(shop);
    source_unref(till);
    /* An undo can be undone; what comes later has a number of its own. */
    assert(undo(rig.sources, PATHS("shop")) == 0 && number_of(rig.sources, "shop") == 2);
    assert(number_of(rig.sources, "till") == 2);
    write_text("lua/prices.lua", "return 'prices 3'");
    assert(reload(&rig, NULL));
    assert(number_of(rig.sources, "shop") == 3 && number_of(rig.sources, "till") == 3);

    /* By name: what the last update of that script has changed, which a later one of another
     * script does not touch. */
    write_text("bell.lua", "return 'bell 2'");
    assert(reload(&rig, PATHS("bell")));
    assert(undo(rig.sources, PATHS("till")) == 0);
    assert(number_of(rig.sources, "bell") == 2 && number_of(rig.sources, "till") == 2);
    assert(number_of(rig.sources, "shop") == 2);
    close_rig(&rig);
}

/* ---- Texts from memory -------------------------------------------------------------- */

static void test_texts(void)
{
    struct rig rig;
    open_rig(&rig);
    struct source *source;
    struct source_instance at[2] = { 0 };
    assert(source_from_text("@pong.lua", "return 1", 8, &source, why, sizeof why) == 0);
    assert(source_number(source) == 1 && source_state(source) == SOURCE_CURRENT);

    /* It is in use while it has instances. */
    struct update *update;
    assert(update_open_text(rig.sources, source, "return 2", 8, &update, why, sizeof why) ==
           -ENOENT);
    assert(says(why, "pong.lua is not in use here"));
    source_join(rig.sources, source, &at[0]);
    source_join(rig.sources, source, &at[1]);
    struct source *prices = require_in(rig.sources, source, NULL, "prices");

    assert(update_open_text(rig.sources, source, "return 1", 8, &update, why, sizeof why) == 0);
    assert(!update_changes(update));
    update_close(update);
    assert(update_open_text(rig.sources, source, "return =", 8, &update, why, sizeof why) ==
           -EINVAL);
    assert(says(why, "pong.lua:1: unexpected symbol near '='"));
    assert(source_failures(source, NULL, 0) == 1);

    /* Its modules are read with it, and change it without another text of its own. */
    write_text("lua/prices.lua", "return 'prices 2'");
    assert(update_open_text(rig.sources, source, "return 2", 8, &update, why, sizeof why) == 0);
    assert(says(affected(update, true), "pong.lua 1->0 shop.lua 1->0 till.lua 1->0"));
    struct source *next = source_ref(update_find(update, source));
    assert(require_in(rig.sources, next, update, "prices") != prices);
    assert(update_commit(update) == 0);
    update_close(update);
    assert(source_number(next) == 2 && source_state(source) == SOURCE_SUPERSEDED);

    /* Any version of it will do to name it; a file may be given a text, too. */
    source_move(&at[0], next);
    assert(source_instance_count(source) == 1 && source_instance_count(next) == 1);
    assert(update_open_text(rig.sources, source, "return 3", 8, &update, why, sizeof why) == 0);
    assert(says(affected(update, true), "pong.lua 2->0"));
    update_close(update);
    assert(update_open_text(rig.sources, rig.bell, "return 3", 8, &update, why, sizeof why) == 0);
    assert(says(affected(update, true), "bell.lua 1->0"));
    assert(update_commit(update) == 0);
    update_close(update);
    assert(commit(rig.sources, PATHS("bell"))); /* the file says otherwise */
    assert(number_of(rig.sources, "bell") == 3);

    source_leave(rig.sources, &at[0]);
    source_leave(rig.sources, &at[1]);
    refuses(rig.sources, PATHS("pong"), -ENOENT, "no script 'pong' is in use here; there are: "
            "bell.lua, till.lua, shop.lua");
    source_unref(next);
    source_unref(source);
    close_rig(&rig);
}

/* ---- Instances ------------------------------------------------------------------------ */

static void test_instances(void)
{
    struct rig rig;
    open_rig(&rig);
    struct source_instance more[3] = { 0 };
    uint64_t ids[4] = { 0 };
    assert(source_instances(rig.shop, ids, 4) == 0 && source_instance_count(rig.shop) == 1);
    for (size_t i = 0; i < 3; i++) {
        source_join(rig.sources, rig.shop, &more[i]);
        source_name_instance(&more[i], 10 + i);
    }
    source_leave(rig.sources, &more[1]);
    source_leave(rig.sources, &more[1]); /* it has gone already */
    assert(source_instances(rig.shop, ids, 1) == 2 && ids[0] == 12 && ids[1] == 0);
    assert(source_instances(rig.shop, ids, 4) == 2 && ids[1] == 10);

    write_text("shop.lua", "return 'shop 2'");
    assert(commit(rig.sources, NULL));
    struct source *next = find(rig.sources, "shop");
    assert(source_instance_count(next) == 0);
    source_move(&more[0], next);
    source_move(&more[0], next);
    assert(source_instances(next, ids, 4) == 1 && ids[0] == 10);
    assert(source_instance_count(rig.shop) == 2);
    source_leave(rig.sources, &more[0]);
    source_leave(rig.sources, &more[2]);
    source_unref(next);
    close_rig(&rig);
}

/* ---- Once read ------------------------------------------------------------------------- */

/* What an update has read it does not read again: not where a module lies, nor its text. */
static void test_reads_once(void)
{
    struct rig rig;
    open_rig(&rig);
    write_text("shop.lua", "return 'shop 2'");
    struct update *update = open_update(rig.sources, PATHS("shop"));
    struct source *shop = update_find(update, rig.shop);
    uint64_t hash = source_hash(shop);
    write_text("shop.lua", "return 'shop 3'");
    write_text("lua/prices.lua", "return 'prices 3'");
    write_text("lua/fresh.lua", "return 'fresh 1'");
    struct source *old = require_in(rig.sources, rig.till, NULL, "prices");
    assert(source_hash(update_find(update, rig.shop)) == hash);
    assert(require_in(rig.sources, shop, update, "prices") == old); /* read at the opening */

    struct source *fresh = require_in(rig.sources, shop, update, "fresh");
    write_text("lua/fresh.lua", "return 'fresh 2'");
    write_text("fresh.lua", "return 'nearer'");
    assert(require_in(rig.sources, shop, update, "fresh") == fresh);
    unlink("lua/fresh.lua");
    assert(require_in(rig.sources, shop, update, "fresh") == fresh);
    /* What was not there for one instance is not there for the next. */
    struct unit_request request = { .script = shop, .update = update, .name = "absent" };
    struct source *module;
    assert(unit_require(rig.sources, &request, &module, why, sizeof why) == UNIT_NOT_HERE);
    write_text("lua/absent.lua", "");
    char again[600];
    assert(unit_require(rig.sources, &request, &module, again, sizeof again) == UNIT_NOT_HERE);
    assert(says(again, why));
    assert(update_commit(update) == 0);
    update_close(update);
    unlink("fresh.lua");
    unlink("lua/absent.lua");
    close_rig(&rig);
}

/* A new version requires what only others had so far. */
static void test_discovers(void)
{
    struct rig rig;
    open_rig(&rig);
    write_text("bell.lua", "return 'bell 2'");
    struct source *prices = require_in(rig.sources, rig.shop, NULL, "prices");

    /* As it is in use: it joins the unit. */
    struct update *update = open_update(rig.sources, PATHS("bell"));
    struct source *bell = update_find(update, rig.bell);
    assert(require_in(rig.sources, bell, update, "prices") == prices);
    update_close(update);

    /* Changed meanwhile: others would run what they have not prepared for. */
    write_text("lua/prices.lua", "return 'prices 2'");
    update = open_update(rig.sources, PATHS("bell"));
    bell = update_find(update, rig.bell);
    struct unit_request request = { .script = bell, .update = update, .name = "prices" };
    struct source *module;
    assert(unit_require(rig.sources, &request, &module, why, sizeof why) == -EINVAL);
    assert(says(why, "lua/prices.lua: has changed and others use it: reload it as well"));
    update_close(update);
    update = open_update(rig.sources, PATHS("bell", "lua/prices.lua"));
    bell = update_find(update, rig.bell);
    assert(require_in(rig.sources, bell, update, "prices") != prices);
    assert(update_commit(update) == 0);
    update_close(update);

    /* Known from an attempt that failed, and used by nobody: its new text comes with it. */
    write_text("lua/spare.lua", "return 'spare 1'");
    write_text("bell.lua", "return 'bell 3'");
    update = open_update(rig.sources, PATHS("bell"));
    bell = update_find(update, rig.bell);
    struct source *spare = require_in(rig.sources, bell, update, "spare");
    update_close(update);
    write_text("lua/spare.lua", "return 'spare 2'");
    update = open_update(rig.sources, PATHS("bell"));
    bell = update_find(update, rig.bell);
    assert(require_in(rig.sources, bell, update, "spare") == update_find(update, spare));
    assert(says(affected(update, false), "bell.lua 2->0 lua/spare.lua 1->0"));
    assert(update_commit(update) == 0);
    update_close(update);
    close_rig(&rig);
}

/* A script that comes to use a changed module while the update is open would be left with the
 * old one: the commit says so, and nothing has changed. */
static void test_grows(void)
{
    struct rig rig;
    open_rig(&rig);
    write_text("lua/prices.lua", "return 'prices 2'");
    struct update *update = open_update(rig.sources, NULL);
    assert(says(affected(update, true), "shop.lua 1->0 till.lua 1->0"));
    require_in(rig.sources, rig.shop, NULL, "prices"); /* affected anyway */
    struct source *old = require_in(rig.sources, rig.bell, NULL, "prices");
    assert(update_commit(update) == -EAGAIN);
    update_close(update);
    assert(source_state(rig.shop) == SOURCE_CURRENT && source_number(rig.shop) == 1);
    assert(require_in(rig.sources, rig.shop, NULL, "prices") == old);

    update = open_update(rig.sources, NULL);
    assert(says(affected(update, true), "bell.lua 1->0 shop.lua 1->0 till.lua 1->0"));
    assert(update_commit(update) == 0);
    update_close(update);
    close_rig(&rig);
}

/* ---- Who watches -------------------------------------------------------------------------- */

struct heard {
    char text[400];
};

static void hear(void *context, const char *path, const char *file, uint64_t hash)
{
    struct heard *heard = context;
    char text[20];
    FILE *now = fopen(file, "r");
    assert(now != NULL);
    assert(hash == hash_more(HASH_EMPTY, text, fread(text, 1, sizeof text, now)));
    fclose(now);
    const char *base = strrchr(file, '/');
    size_t size = strlen(heard->text);
    snprintf(heard->text + size, sizeof heard->text - size, "%s=%s ", path, base + 1);
}

static void test_files(void)
{
    struct sources *sources = sources_new(NULL);
    struct heard heard = { "" }, all = { "" };
    write_text("live1.lua", "return 1");
    write_text("live2.lua", "return 2");
    write_text("lua/prices.lua", "return 1");
    unlink("live.lua");
    assert(symlink("live1.lua", "live.lua") == 0);
    sources_listen(sources, hear, &heard);
    struct source *live = find(sources, "live");
    require_in(sources, live, NULL, "prices");
    require_in(sources, live, NULL, "prices");
    assert(says(heard.text, "live.lua=live1.lua lua/prices.lua=prices.lua "));
    sources_each_file(sources, hear, &all);
    assert(says(all.text, "lua/prices.lua=prices.lua live.lua=live1.lua "));

    /* Where the path leads to now is what counts. */
    heard.text[0] = '\0';
    assert(unlink("live.lua") == 0 && symlink("live2.lua", "live.lua") == 0);
    assert(commit(sources, NULL));
    assert(says(heard.text, "live.lua=live2.lua "));
    struct source *now = find(sources, "live");
    assert(now != live && strcmp(strrchr(source_file(now), '/'), "/live2.lua") == 0);
    source_unref(now);

    sources_listen(sources, NULL, NULL);
    write_text("late.lua", "");
    source_unref(find(sources, "late"));
    assert(says(heard.text, "live.lua=live2.lua "));
    source_unref(live);
    sources_free(sources);
}

/* ---- Threads ------------------------------------------------------------------------------- */

struct crowd {
    struct sources *sources;
    atomic_bool     over;
};

/* Actors come and go, and look into what they run. */
static void *come_and_go(void *context)
{
    struct crowd *crowd = context;
    char text[200];
    while (!atomic_load(&crowd->over)) {
        struct source_instance instance = { 0 };
        struct source *script, *module;
        assert(source_find(crowd->sources, "shop", NULL, &script, text, sizeof text) == 0);
        source_join(crowd->sources, script, &instance);
        struct unit_request request = { .script = script, .name = "prices" };
        assert(unit_require(crowd->sources, &request, &module, text, sizeof text) == UNIT_FOUND);
        source_name_instance(&instance, 7);
        assert(source_number(script) > 0);
        source_failures(script, text, sizeof text);
        struct source *current = source_current(crowd->sources, script);
        source_move(&instance, current);
        source_leave(crowd->sources, &instance);
        source_unref(current);
        source_unref(module);
        source_unref(script);
    }
    return NULL;
}

static void test_threads(void)
{
    struct crowd crowd = { .sources = sources_new(NULL) };
    pthread_t threads[3];
    write_text("shop.lua", "return 'shop 1'");
    write_text("lua/prices.lua", "return 'prices 1'");
    source_unref(find(crowd.sources, "shop"));
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert(pthread_create(&threads[i], NULL, come_and_go, &crowd) == 0);
    unsigned commits = 0;
    for (int i = 0; i < 60; i++) {
        char text[60];
        snprintf(text, sizeof text, "return 'prices %d'", i + 2);
        write_text("lua/prices.lua", i % 7 == 3 ? "return =" : text);
        struct update *update;
        if (update_open(crowd.sources, NULL, &update, why, sizeof why) != 0)
            continue;
        uint64_t ids[64];
        struct source *from, *to;
        for (size_t position = 0; update_next(update, &position, &from, &to);)
            source_instances(from, ids, ARRAY_LENGTH(ids));
        int err = i % 5 == 4 ? 0 : update_commit(update);
        assert(err == 0 || err == -EAGAIN);
        commits += err == 0;
        update_close(update);
    }
    atomic_store(&crowd.over, true);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        pthread_join(threads[i], NULL);
    assert(commits > 0);
    sources_free(crowd.sources);
}

#ifdef TROUPE_FAULTS
/* Whichever allocation fails: an answer, nothing has changed, and nothing is lost. */
static void test_faults(void)
{
    size_t used = memory_used();
    int err;
    for (uint64_t n = 1;; n++) {
        struct rig rig;
        struct update *update = NULL;
        struct source *module = NULL;
        open_rig(&rig);
        write_text("shop.lua", "return 'shop 2'");
        write_text("lua/prices.lua", "return 'prices 2'");
        fault_arm(n);
        err = update_open(rig.sources, PATHS("shop"), &update, why, sizeof why);
        if (err == 0) {
            struct unit_request request = {
                .script = update_find(update, rig.shop), .update = update, .name = "prices",
            };
            err = unit_require(rig.sources, &request, &module, why, sizeof why);
        }
        bool was_hit = fault_count() >= n;
        fault_arm(0);
        assert(err == 0 || (err == -ENOMEM && strcmp(why, "not enough memory") == 0));
        if (update != NULL && err == 0)
            assert(update_commit(update) == 0);
        update_close(update);
        source_unref(module);
        assert(source_state(rig.shop) == (err == 0 ? SOURCE_SUPERSEDED : SOURCE_CURRENT));
        close_rig(&rig);
        assert(memory_used() == used);
        if (!was_hit)
            break;
    }
    assert(err == 0);
}
#endif

int main(void)
{
    char folder[] = "/tmp/test_unit.XXXXXX";
    assert(mkdtemp(folder) != NULL && chdir(folder) == 0);
    mkdir("lua", 0777);
    mkdir("actors", 0777);
    test_versions();
    test_modules();
    test_finding();
    test_naming();
    test_refusals();
    test_undo();
    test_texts();
    test_instances();
    test_reads_once();
    test_discovers();
    test_grows();
    test_files();
    test_threads();
#ifdef TROUPE_FAULTS
    test_faults();
#endif

    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}
