/*
 * test_children.c -- what a family of processes is promised to tell, in which order, and
 * what it costs.
 *
 * The children are shells that wait for their input or for each other, never for a time.
 * This program's own output is a pipe of the test's, for what it is to be full or closed.
 */
#include "io/children.h"

#include "base/clock.h"
#include "base/memory.h"
#include "io/outlet.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS (120 * NS_PER_SEC) /* for what must happen */

static struct children *family;
static struct children_event event;
static int  own_output, pipe_ends[2];

static uint64_t now(void)
{
    static struct clock clock;
    return clock_now(&clock);
}

static void begin(void)
{
    assert(children_open(&family) == 0);
}

static void finish(void)
{
    children_close(family);
    family = NULL;
}

/* Standard output is a pipe whose other end the test reads, or not. */
static void redirect_output(void)
{
    fflush(stdout);
    own_output = dup(STDOUT_FILENO);
    assert(own_output >= 0 && pipe2(pipe_ends, O_CLOEXEC) == 0);
    assert(dup2(pipe_ends[1], STDOUT_FILENO) == STDOUT_FILENO);
    close(pipe_ends[1]);
}

static void restore_output(void)
{
    dup2(own_output, STDOUT_FILENO);
    close(own_output);
}

static unsigned spawn_with(const char *script, const char *input, size_t size)
{
    unsigned id;
    pid_t pid;
    const char *const arguments[] = { "/bin/sh", "-c", script, NULL };
    struct children_request request = { arguments, input, size };
    assert(children_spawn(family, &request, &id, &pid) == 0);
    assert(pid > 0);
    return id;
}

static unsigned spawn(const char *script)
{
    return spawn_with(script, NULL, 0);
}

static void next(void)
{
    children_next(family, now() + PATIENCE_NS, -1, &event);
    assert(event.news != CHILDREN_NOTHING);
}

static void expect_line(unsigned child, enum children_stream stream, const char *text)
{
    next();
    assert(event.news == CHILDREN_LINE && event.child == child && event.stream == stream);
    assert(event.size == strlen(text) && memcmp(event.text, text, event.size) == 0);
}

static void expect_exit(unsigned child, int number, bool signalled)
{
    next();
    assert(event.news == CHILDREN_EXIT && event.child == child);
    assert(event.number == number && event.signalled == signalled);
}

/* ---- Lines ------------------------------------------------------------------- */

/* Each stream has its lines, the last one also without a newline; then comes the exit. */
static void test_lines(void)
{
    begin();
    unsigned child = spawn("echo one; echo two >&2; echo '{\"ready\":true}' >&3; printf three; exit 7");
    bool seen[3] = { false, false, false };
    for (int i = 0; i < 4; i++) {
        next();
        assert(event.news == CHILDREN_LINE && event.child == child);
        if (event.stream == CHILDREN_OUT)
            assert(memcmp(event.text, seen[0] ? "three" : "one", event.size) == 0);
        seen[event.stream] = true;
    }
    assert(seen[0] && seen[1] && seen[2]);
    expect_exit(child, 7, false);
    finish();
}

/* Bytes of any value, empty lines too. */
static void test_bytes(void)
{
    begin();
    unsigned child = spawn("printf 'a\\000b\\377\\n\\n\\n\\r\\n'");
    next();
    assert(event.size == 4 && memcmp(event.text, "a\0b\377", 4) == 0);
    expect_line(child, CHILDREN_OUT, "");
    expect_line(child, CHILDREN_OUT, "");
    expect_line(child, CHILDREN_OUT, "\r");
    expect_exit(child, 0, false);
    finish();
}

/* A line that is longer than a pipe is one; longer than CHILDREN_LINE_MOST it is cut. */
static void test_long_lines(void)
{
    begin();
    unsigned child = spawn("head -c 700000 /dev/zero | tr '\\0' x; echo; "
                           "head -c 2500000 /dev/zero | tr '\\0' y; echo; echo end");
    next();
    assert(event.news == CHILDREN_LINE && event.size == 700000 && event.text[699999] == 'x');
    next();
    assert(event.size == CHILDREN_LINE_MOST && event.text[0] == 'y');
    next();
    assert(event.size == CHILDREN_LINE_MOST);
    next();
    assert(event.size == 2500000 - 2 * CHILDREN_LINE_MOST);
    expect_line(child, CHILDREN_OUT, "end");
    expect_exit(child, 0, false);

    child = spawn("head -c 1048576 /dev/zero | tr '\\0' z; echo; echo end"); /* just as long */
    next();
    assert(event.size == CHILDREN_LINE_MOST);
    expect_line(child, CHILDREN_OUT, "end");
    expect_exit(child, 0, false);
    finish();
}

/* What it says of its doing comes behind what it wrote before. */
static void test_status_order(void)
{
    int seen[CHILDREN_STREAMS] = { 0 };
    begin();
    spawn("for i in $(seq 300); do echo; echo >&2; echo >&3; done");
    for (next(); event.news == CHILDREN_LINE; next()) {
        seen[event.stream]++;
        assert(seen[CHILDREN_STATUS] <= seen[CHILDREN_OUT]);
        assert(seen[CHILDREN_STATUS] <= seen[CHILDREN_ERR]);
    }
    assert(seen[CHILDREN_STATUS] == 300);
    finish();
}

/* A child that has closed its streams lives on; its end is told when it comes. */
static void test_closed_streams(void)
{
    begin();
    unsigned child = spawn("exec >&- 2>&-; echo closed >&3; read x; exit 3");
    expect_line(child, CHILDREN_STATUS, "closed");
    expect_exit(child, 3, false);
    finish();
}

/* Input that is longer than a pipe arrives whole and then ends; who does not want it is
 * not written to. */
static void test_input(void)
{
    size_t size = 3000000;
    char  *text = memory_get(size);
    assert(text != NULL);
    memset(text, 'i', size);
    begin();
    unsigned child = spawn_with("wc -c", text, size);
    next();
    assert(event.news == CHILDREN_LINE && atol(event.text) == 3000000);
    expect_exit(child, 0, false);
    child = spawn_with("exec <&-; echo no >&3", text, size);
    expect_line(child, CHILDREN_STATUS, "no");
    expect_exit(child, 0, false);
    finish();
    memory_put(text, size);
}

/* ---- Ends -------------------------------------------------------------------- */

/* What a child leaves behind in its group is killed, and holds nothing up. */
static void test_group(void)
{
    begin();
    unsigned child = spawn("sleep 1000 & echo $!; exit 0");
    next();
    assert(event.news == CHILDREN_LINE && event.child == child);
    pid_t left = (pid_t)atol(event.text);
    expect_exit(child, 0, false);
    while (kill(left, 0) == 0) { /* until its new parent has waited for it */
        char state[40], path[40];
        snprintf(path, sizeof path, "/proc/%ld/stat", (long)left);
        FILE *file = fopen(path, "r");
        if (file == NULL || fscanf(file, "%*d %*s %39s", state) != 1)
            state[0] = 'Z';
        if (file != NULL)
            fclose(file);
        if (state[0] == 'Z')
            break;
    }
    finish();
}

/* A signal reaches the child; one that has ended gets none. */
static void test_kill(void)
{
    begin();
    unsigned child = spawn("trap 'exit 9' TERM; echo up; while :; do sleep 1000 & wait; done");
    expect_line(child, CHILDREN_OUT, "up");
    assert(children_kill(family, child, SIGTERM));
    expect_exit(child, 9, false);
    assert(!children_kill(family, child, SIGTERM));
    child = spawn("echo up; kill -STOP $$");
    expect_line(child, CHILDREN_OUT, "up");
    assert(children_kill(family, child, SIGKILL));
    expect_exit(child, SIGKILL, true);
    finish();
}

/* What still lives when the family is closed is gone, with all it has started. */
static void test_close(void)
{
    begin();
    unsigned child = spawn("trap '' TERM INT HUP; sleep 1000 & echo $!; wait");
    next();
    assert(event.news == CHILDREN_LINE && event.child == child);
    finish();
    assert(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

/* A program that is not there is no child. */
static void test_no_program(void)
{
    begin();
    unsigned id;
    pid_t pid;
    const char *const arguments[] = { "/nowhere/at/all", NULL };
    struct children_request request = { arguments, NULL, 0 };
    assert(children_spawn(family, &request, &id, &pid) == -ENOENT);
    children_next(family, now(), -1, &event);
    assert(event.news == CHILDREN_NOTHING);
    finish();
}

/* When this process dies, in whatever way, its children are told to end. */
static void test_death(void)
{
    int ends[2];
    assert(pipe(ends) == 0);
    pid_t parent = fork();
    if (parent == 0) {
        char script[200];
        begin();
        snprintf(script, sizeof script, /* the pipe by our descriptor: it inherits none */
                 "exec 4>/proc/%ld/fd/%d; trap 'echo ended >&4; exit' TERM; echo up; "
                 "while :; do sleep 1000 & wait; done", (long)getpid(), ends[1]);
        expect_line(spawn(script), CHILDREN_OUT, "up");
        kill(getpid(), SIGKILL);
    }
    close(ends[1]);
    char said[20] = "";
    assert(read(ends[0], said, sizeof said - 1) == 6);
    assert(strcmp(said, "ended\n") == 0);
    close(ends[0]);
    assert(waitpid(parent, NULL, 0) == parent);
}

/* ---- Signals, files, time, descriptors ------------------------------------------ */

/* Those for this process are news; the two of timeout(1) are one. */
static void test_signals(void)
{
    begin();
    kill(getpid(), SIGHUP);
    next();
    assert(event.news == CHILDREN_SIGNAL && event.number == SIGHUP);
    kill(getpid(), SIGTERM);
    next();
    assert(event.news == CHILDREN_SIGNAL && event.number == SIGTERM);
    kill(getpid(), SIGINT);
    next();
    assert(event.news == CHILDREN_SIGNAL && event.number == SIGINT);
    children_next(family, now(), -1, &event);
    assert(event.news == CHILDREN_NOTHING);
    finish();
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* A file that is saved with something else in it is told, also if that happened before
 * it was watched; so is that it is missing, and that it is back. */
static void test_files(void)
{
    char folder[] = "/tmp/troupe-children-XXXXXX", path[100];
    assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/file", folder);
    begin();
    write_file(path, "two");
    assert(children_watch(family, path, "one", 3) == 0);
    next();
    assert(event.news == CHILDREN_FILE && event.number == CHILDREN_FILE_CHANGED);
    assert(event.size == strlen(path) && strcmp(event.text, path) == 0);
    unlink(path);
    next();
    assert(event.news == CHILDREN_FILE && event.number == CHILDREN_FILE_MISSING);
    write_file(path, "two");
    next();
    assert(event.news == CHILDREN_FILE && event.number == CHILDREN_FILE_BACK);
    unlink(path);
    rmdir(folder);
    finish();
}

/* It waits as long as it is told, and for a descriptor of the caller's too. */
static void test_waiting(void)
{
    int ends[2];
    begin();
    uint64_t began = now();
    children_next(family, began + 20 * NS_PER_MS, -1, &event);
    assert(event.news == CHILDREN_NOTHING && now() >= began + 20 * NS_PER_MS);
    assert(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
    children_next(family, now() + PATIENCE_NS, ends[0], &event);
    assert(event.news == CHILDREN_READY);
    close(ends[0]);
    close(ends[1]);
    finish();
}

/* ---- Our own output ----------------------------------------------------------- */

/* A reader that stands still stops the lines and nothing else, and memory does not grow:
 * the exit is told all the same, and the lines come when it reads again. */
static void test_full_output(void)
{
    char read_away[65536];
    redirect_output();
    begin();
    unsigned child = spawn("yes 'a line like any other' | head -n 400000; echo last >&3");
    size_t lines = 0, most = 0, taken = 0;
    bool stands_still = false, ended = false;
    while (!ended || lines < 400000) {
        children_next(family, stands_still && !ended ? now() + 50 * NS_PER_MS : now() + PATIENCE_NS,
                      -1, &event);
        if (event.news == CHILDREN_LINE && event.stream == CHILDREN_OUT) {
            lines++;
            children_write(family, CHILDREN_OUT, event.text, event.size);
            children_write(family, CHILDREN_OUT, "\n", 1);
        } else if (event.news == CHILDREN_NOTHING) {
            assert(lines < 400000 / 2); /* the flood stands */
            children_kill(family, child, SIGKILL);
        } else if (event.news == CHILDREN_EXIT) {
            ended = true;
        }
        if (memory_used() > most)
            most = memory_used();
        stands_still = lines > 1000;
        if (ended)
            break;
    }
    assert(most < (size_t)1 << 20);
    size_t at_exit = lines;
    fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
    for (;;) { /* what was read of the child before its end still comes */
        ssize_t size = read(pipe_ends[0], read_away, sizeof read_away);
        taken += size > 0 ? (size_t)size : 0;
        children_next(family, now() + 20 * NS_PER_MS, -1, &event);
        if (event.news == CHILDREN_NOTHING && size < 0)
            break;
        if (event.news != CHILDREN_LINE)
            continue;
        lines++;
        children_write(family, CHILDREN_OUT, event.text, event.size);
        children_write(family, CHILDREN_OUT, "\n", 1);
    }
    assert(lines > at_exit);
    assert(taken > OUTLET_FULL);
    finish();
    restore_output();
    close(pipe_ends[0]);
}

/* That nobody reads any more is told without a word being written, and once. */
static void test_reader_gone(void)
{
    redirect_output();
    begin();
    close(pipe_ends[0]);
    next();
    assert(event.news == CHILDREN_GONE && event.stream == CHILDREN_OUT);
    children_write(family, CHILDREN_OUT, "nobody\n", 7);
    children_next(family, now() + 20 * NS_PER_MS, -1, &event);
    assert(event.news == CHILDREN_NOTHING);
    finish();
    restore_output();
}

/* A full disk is told once, and the lines after it are tried again. */
static void test_full_disk(void)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (full < 0)
        return;
    fflush(stdout);
    own_output = dup(STDOUT_FILENO);
    dup2(full, STDOUT_FILENO);
    close(full);
    begin();
    for (int i = 0; i < 2; i++) {
        children_write(family, CHILDREN_OUT, "lost\n", 5);
        children_next(family, now() + 20 * NS_PER_MS, -1, &event);
        if (i == 0) { /* noticed in the wait, or at the next call */
            if (event.news == CHILDREN_NOTHING)
                next();
            assert(event.news == CHILDREN_LOST && event.number == ENOSPC);
        } else {
            assert(event.news == CHILDREN_NOTHING);
        }
    }
    finish();
    restore_output();
}

/* Twenty at once, each with its own lines, in order. */
static void test_many(void)
{
    unsigned first = 0, ended = 0, lines[21] = { 0 };
    begin();
    for (int i = 0; i < 20; i++) {
        unsigned id = spawn("i=0; while [ $i -lt 500 ]; do echo $i; i=$((i+1)); done");
        first = i == 0 ? id : first;
    }
    while (ended < 20) {
        next();
        if (event.news == CHILDREN_EXIT) {
            assert(lines[event.child - first] == 500);
            ended++;
        } else {
            assert((unsigned)atol(event.text) == lines[event.child - first]++);
        }
    }
    finish();
}

int main(void)
{
    struct sigaction quiet = { .sa_handler = SIG_IGN };
    sigaction(SIGPIPE, &quiet, NULL);
    test_lines();
    test_bytes();
    test_long_lines();
    test_status_order();
    test_closed_streams();
    test_input();
    test_group();
    test_kill();
    test_close();
    test_no_program();
    test_death();
    test_signals();
    test_files();
    test_waiting();
    test_full_output();
    test_reader_gone();
    test_full_disk();
    test_many();
    return 0;
}
