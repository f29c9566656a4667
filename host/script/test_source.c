/*
 * test_source.c -- what source.h promises.
 */
#include "script/source.h"

#include "base/fault.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char why[600];

static void write_bytes(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "w");
    assert(file != NULL && fwrite(text, 1, size, file) == size);
    fclose(file);
}

static void write_text(const char *path, const char *text)
{
    write_bytes(path, text, strlen(text));
}

static struct source *find(struct sources *sources, const char *path, const char *beside)
{
    struct source *source;
    int err = source_find(sources, path, beside, &source, why, sizeof why);
    if (err != 0) {
        fprintf(stderr, "%s: %d %s\n", path, err, why);
        abort();
    }
    return source;
}

static void refuses(struct sources *sources, const char *path, const char *beside, int err,
                    const char *words)
{
    struct source *source;
    int got = source_find(sources, path, beside, &source, why, sizeof why);
    if (got != err || strcmp(why, words) != 0) {
        fprintf(stderr, "%s\n  said     %d %s\n  expected %d %s\n", path, got, why, err, words);
        abort();
    }
    assert(source == NULL);
}

/* Runs the source with `x = 7` in its environment; its result as text. */
static const char *run(struct source *source)
{
    static char text[600];
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    lua_newtable(L);
    lua_pushinteger(L, 7);
    lua_setfield(L, -2, "x");
    lua_getglobal(L, "error");
    lua_setfield(L, -2, "error");
    int status = source_load(source, L);
    assert(status == LUA_OK && lua_gettop(L) == 1);
    lua_pcall(L, 0, 1, 0);
    snprintf(text, sizeof text, "%s", luaL_tolstring(L, -1, NULL));
    lua_close(L);
    return text;
}

static void test_finding(struct sources *sources)
{
    write_text("here.lua", "return 'here'");
    write_text("examples/pong.lua", "return 'beside'");
    write_text("examples/deep/far.lua", "return 'far'");
    write_text("actors/ledger.lua", "return 'root'");
    write_text("actors/here.lua", "return 'the other here'");
    write_text("plain", "#!/usr/bin/env troupe run\nreturn 'plain'");

    /* In the current folder, with or without .lua. */
    struct source *a = find(sources, "here", NULL), *b = find(sources, "here.lua", NULL);
    /* Compiled once: the same source however it is spelt. */
    assert(a == b);
    struct source *c = find(sources, "./examples/../here.lua", NULL);
    assert(a == c);
    assert(strcmp(source_path(a), "here.lua") == 0 && strcmp(source_folder(a), ".") == 0);
    assert(strcmp(source_stem(a), "here") == 0 && strcmp(run(a), "here") == 0);
    source_unref(a);
    source_unref(b);
    source_unref(c);

    /* Beside the script that spawns, then in the roots. */
    a = find(sources, "pong", "examples/ping.lua");
    assert(strcmp(source_path(a), "examples/pong.lua") == 0);
    assert(strcmp(source_folder(a), "examples") == 0 && strcmp(source_stem(a), "pong") == 0);
    source_unref(a);
    a = find(sources, "deep/far", "examples/ping.lua");
    assert(strcmp(source_folder(a), "examples/deep") == 0);
    source_unref(a);
    a = find(sources, "ledger", "examples/ping.lua");
    assert(strcmp(source_path(a), "actors/ledger.lua") == 0 && strcmp(run(a), "root") == 0);
    source_unref(a);

    /* By an absolute path. */
    char path[4096];
    assert(getcwd(path, 3000) != NULL);
    strcat(path, "/examples/pong");
    a = find(sources, path, NULL);
    assert(strcmp(run(a), "beside") == 0);
    source_unref(a);

    /* A file without .lua, if there is none with it. */
    a = find(sources, "plain", NULL);
    assert(strcmp(run(a), "plain") == 0 && strcmp(source_stem(a), "plain") == 0);
    source_unref(a);

    /* What is not found says where it was looked for, and what may be meant. */
    refuses(sources, "pnog", "examples/x.lua", -ENOENT,
            "no script 'pnog': looked for pnog.lua in examples/, ., actors/, /nowhere/; did you "
            "mean pong.lua?");
    refuses(sources, "zzzzzz.lua", NULL, -ENOENT,
            "no script 'zzzzzz.lua': looked for zzzzzz.lua in ., actors/, /nowhere/");
    refuses(sources, "deep/fra", "examples/x.lua", -ENOENT,
            "no script 'deep/fra': looked for deep/fra.lua in examples/, ., actors/, /nowhere/; "
            "did you mean deep/far.lua?");
    refuses(sources, "/nowhere/x", NULL, -ENOENT, "no script '/nowhere/x'");
    refuses(sources, "", NULL, -ENOENT, "no script: its name is empty");
    refuses(sources, "examples", NULL, -ENOENT,
            "no script 'examples': looked for examples.lua in ., actors/, /nowhere/");
    /* A sentence that does not fit is cut, no more. */
    struct source *none;
    char little[16];
    assert(source_find(sources, "pnog", NULL, &none, little, sizeof little) == -ENOENT);
    assert(strcmp(little, "no script 'pnog") == 0);
}

static void test_bad_files(struct sources *sources)
{
    write_text("bad.lua", "local x\n\nlocal = 3\n");
    refuses(sources, "bad", NULL, -EINVAL, "bad.lua:3: <name> expected near '='");
    /* Bytecode is refused, also behind a first line with '#'. */
    write_text("code.lua", "\033Lua");
    refuses(sources, "code", NULL, -EINVAL,
            "code.lua: compiled Lua (bytecode) is never loaded; give its source");
    write_text("code2.lua", "#!x\n\033Lua");
    refuses(sources, "code2", NULL, -EINVAL,
            "code2.lua: compiled Lua (bytecode) is never loaded; give its source");
    mkdir("folder.lua", 0777);
    refuses(sources, "folder", NULL, -EISDIR, "folder.lua: is a folder, not a script");
    assert(mkfifo("pipe.lua", 0666) == 0);
    refuses(sources, "pipe", NULL, -EINVAL, "pipe.lua: is not a plain file");
    assert(symlink("loop.lua", "loop.lua") == 0);
    refuses(sources, "loop", NULL, -ELOOP, "loop.lua: Too many levels of symbolic links");
    write_text("secret.lua", "return 1");
    chmod("secret.lua", 0);
    if (geteuid() != 0)
        refuses(sources, "secret", NULL, -EACCES, "secret.lua: Permission denied");
    /* Reading is bounded. */
    write_text("huge.lua", "return 1");
    assert(truncate("huge.lua", (off_t)SOURCE_LIMIT + 1) == 0);
    refuses(sources, "huge", NULL, -EFBIG, "huge.lua: larger than 16 MiB");

    /* A fault does not stay: the repaired file is found. */
    write_text("bad.lua", "return 'good'");
    struct source *source = find(sources, "bad", NULL);
    assert(strcmp(run(source), "good") == 0);
    source_unref(source);
}

static void test_loading(struct sources *sources)
{
    /* Lines count from 1 behind a byte order mark and a '#' line. */
    write_text("mark.lua", "\xef\xbb\xbf#!/usr/bin/env troupe\nerror('here')");
    struct source *source = find(sources, "mark", NULL);
    assert(strcmp(run(source), "mark.lua:2: here") == 0);
    source_unref(source);
    /* Globals are the environment's, and nobody else's. */
    write_text("env.lua", "y = x + 1 return y");
    source = find(sources, "env", NULL);
    assert(strcmp(run(source), "8") == 0 && strcmp(run(source), "8") == 0);
    /* A state without memory: an error code and a message, no more. */
    lua_State *L = luaL_newstate();
    lua_newtable(L);
    assert(source_load(source, L) == LUA_OK && lua_isfunction(L, -1) && lua_gettop(L) == 1);
    lua_close(L);
    source_unref(source);

    /* An empty file, and one without a line end, are scripts. */
    write_text("empty.lua", "");
    source = find(sources, "empty", NULL);
    assert(strcmp(run(source), "nil") == 0);
    source_unref(source);
    write_text("comment.lua", "# only this");
    source = find(sources, "comment", NULL);
    assert(strcmp(run(source), "nil") == 0);
    source_unref(source);
}

static void test_from_text(void)
{
    struct source *source;
    const char *text = "return x * 2";
    assert(source_from_text("=(command line)", text, strlen(text), &source, why, sizeof why) == 0);
    assert(strcmp(source_stem(source), "main") == 0 && strcmp(source_folder(source), ".") == 0);
    assert(strcmp(source_path(source), "(command line)") == 0 && *source_file(source) == '\0');
    assert(strcmp(run(source), "14") == 0);
    source_unref(source);

    assert(source_from_text("@lib/pong.lua", "x x", 3, &source, why, sizeof why) == -EINVAL);
    assert(strcmp(why, "lib/pong.lua:1: syntax error near 'x'") == 0 && source == NULL);
    assert(source_from_text("@lib/pong.lua", "", 0, &source, why, sizeof why) == 0);
    assert(strcmp(source_stem(source), "pong") == 0 && strcmp(source_folder(source), "lib") == 0);
    source_unref(source);
}

/* A changed or removed file changes nothing: the compiled form is in memory. */
static void test_once(struct sources *sources)
{
    write_text("live.lua", "return 'one'");
    struct source *old = find(sources, "live", NULL);
    write_text("live.lua", "return 'two'");
    struct source *again = find(sources, "live", NULL);
    assert(again == old);
    source_unref(again);
    unlink("live.lua");
    again = find(sources, "live", NULL);
    assert(again == old && strcmp(run(again), "one") == 0);
    source_unref(again);
    source_unref(old);
}

static void *find_often(void *context)
{
    for (int i = 0; i < 200; i++) {
        struct source *source;
        assert(source_find(context, i % 2 ? "here" : "env", NULL, &source, why, 0) == 0);
        source_unref(source);
    }
    return NULL;
}

/* Threads that find at the same time get whole sources. */
static void test_threads(void)
{
    struct sources *sources = sources_new(NULL);
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert(pthread_create(&threads[i], NULL, find_often, sources) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        pthread_join(threads[i], NULL);
    sources_free(sources);
}

#ifdef TROUPE_FAULTS
/* Whichever allocation fails: an answer, and nothing is lost. */
static void test_faults(void)
{
    write_text("fault.lua", "return 'fine'");
    size_t used = memory_used();
    int err;
    for (uint64_t n = 1;; n++) {
        struct sources *sources = sources_new(NULL);
        struct source *source;
        assert(sources != NULL);
        fault_arm(n);
        err = source_find(sources, "fault", NULL, &source, why, sizeof why);
        bool was_hit = fault_count() >= n;
        fault_arm(0);
        assert(err == 0 || (err == -ENOMEM && strcmp(why, "not enough memory") == 0));
        source_unref(source);
        sources_free(sources);
        assert(memory_used() == used);
        if (!was_hit)
            break;
    }
    assert(err == 0);
}
#endif

int main(void)
{
    char folder[] = "/tmp/test_source.XXXXXX";
    assert(mkdtemp(folder) != NULL && chdir(folder) == 0);
    mkdir("examples", 0777);
    mkdir("examples/deep", 0777);
    mkdir("actors", 0777);

    struct sources *sources = sources_new((const char *const[]){"actors", "/nowhere", NULL});
    assert(sources != NULL);
    test_finding(sources);
    test_bad_files(sources);
    test_loading(sources);
    test_from_text();
    test_once(sources);
    test_threads();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    sources_free(sources);

    /* No roots is fine. */
    sources = sources_new(NULL);
    refuses(sources, "ledger", NULL, -ENOENT, "no script 'ledger': looked for ledger.lua in .");
    sources_free(sources);
    sources_free(NULL);

    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}
