/*
 * test_watcher.c -- every way of saving a file is one call, and what is none is none.
 *
 * A way of saving takes several steps, between which this machine may do anything
 * else for as long as it likes: so the watcher's thread is held in its listener
 * meanwhile (begin_save), and sees all of it when it is let go. Where the pauses
 * themselves matter there is a test of its own. That no second call comes is shown by
 * saving another file behind it, `mark`, whose call must be the next one.
 */
#include "io/watcher.h"

#include "base/fault.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS (60 * NS_PER_SEC) /* for what must happen */
#define CALLS_MAX   16

/* ---- The kernel, when it has none left: these stand before those of libc ---- */

static _Atomic int refuse_inotify, refuse_watches; /* an errno, or 0 */

int inotify_init1(int flags)
{
    if (refuse_inotify == 0)
        return (int)syscall(SYS_inotify_init1, flags);
    errno = refuse_inotify;
    return -1;
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    if (refuse_watches == 0)
        return (int)syscall(SYS_inotify_add_watch, fd, path, mask);
    errno = refuse_watches;
    return -1;
}

/* ---- What is told ---------------------------------------------------------- */

static struct {
    struct lock   lock;
    struct signal changed;
    char          calls[CALLS_MAX][300]; /* guarded by lock, as all here */
    char          content[100];          /* of x at the last call about it */
    unsigned      count;                 /* of calls */
    unsigned      seen;                  /* of those were asked for */
    bool          hold, held;            /* the thread, at the next call about mark */
} told;

static char     notices[1000]; /* guarded by the log's lock */
static unsigned notice_count;

static void note(void *context, enum log_level level, const char *line)
{
    (void)context;
    assert(level == LOG_WARN);
    snprintf(notices, sizeof notices, "%s", line);
    notice_count++;
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static void read_text(const char *path, char *text, size_t room)
{
    FILE *file = fopen(path, "r");
    size_t size = file != NULL ? fread(text, 1, room - 1, file) : 0;
    text[size] = '\0';
    if (file != NULL)
        fclose(file);
}

static void tell(const char *text)
{
    lock_acquire(&told.lock);
    assert(told.count < CALLS_MAX);
    snprintf(told.calls[told.count++], sizeof told.calls[0], "%s", text);
    if (strstr(text, "x") != NULL)
        read_text("x", told.content, sizeof told.content);
    signal_all(&told.changed);
    while (told.hold && strcmp(text, "mark") == 0) {
        told.held = true;
        signal_all(&told.changed);
        signal_wait(&told.changed, &told.lock);
    }
    told.held = false;
    lock_release(&told.lock);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void on_changed(void *context, const char *const *paths)
{
    (void)context;
    const char *sorted[8];
    char        text[300] = "";
    size_t      count = 0;
    for (; paths[count] != NULL; count++) {
        assert(count < ARRAY_LENGTH(sorted));
        sorted[count] = paths[count];
    }
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " " : "",
                 sorted[i]);
    tell(text);
}

static void on_gone(void *context, const char *path)
{
    (void)context;
    char text[300];
    snprintf(text, sizeof text, "%s is gone", path);
    tell(text);
}

static void on_back(void *context, const char *path)
{
    (void)context;
    char text[300];
    snprintf(text, sizeof text, "%s is back", path);
    tell(text);
}

/* The next call is this one. */
static void expect(const char *text)
{
    uint64_t deadline_ns = now() + PATIENCE_NS;
    lock_acquire(&told.lock);
    while (told.count == told.seen)
        if (!signal_wait_until(&told.changed, &told.lock, deadline_ns)) {
            fprintf(stderr, "expected '%s', but nothing is told\n", text);
            abort();
        }
    if (strcmp(told.calls[told.seen], text) != 0) {
        fprintf(stderr, "expected '%s', but was told '%s'\n", text, told.calls[told.seen]);
        abort();
    }
    if (++told.seen == told.count)
        told.seen = told.count = 0;
    lock_release(&told.lock);
}

/* ---- Files ------------------------------------------------------------------ */

static void write_as(const char *path, const char *text, int flags)
{
    int fd = open(path, O_WRONLY | O_CREAT | flags, 0644);
    assert(fd >= 0);
    assert(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    assert(close(fd) == 0);
}

static void write_in_place(const char *path, const char *text)
{
    write_as(path, text, O_TRUNC);
}

static void rename_over(const char *path, const char *text)
{
    char other[PATH_MAX];
    snprintf(other, sizeof other, "%s.tmp", path);
    write_in_place(other, text);
    assert(rename(other, path) == 0);
}

static void move(const char *from, const char *to) { assert(rename(from, to) == 0); }
static void delete(const char *path) { assert(unlink(path) == 0); }
static void make_folder(const char *path) { assert(mkdir(path, 0755) == 0); }
static void make_link(const char *target, const char *path) { assert(symlink(target, path) == 0); }

/* As `ln -sfn` does, and as those do who want no moment without it. */
static void swap_link(const char *target, const char *path)
{
    delete(path);
    make_link(target, path);
}

static void swap_link_at_once(const char *target, const char *path)
{
    make_link(target, "link.tmp");
    move("link.tmp", path);
}

static void pause_ms(unsigned ms)
{
    struct timespec t = { .tv_nsec = (long)(ms * NS_PER_MS) };
    nanosleep(&t, NULL);
}

/* ---- A watcher ---------------------------------------------------------------- */

static struct watcher *watcher;
static char            home[] = "/tmp/test_watcher.XXXXXX";
static unsigned        marks;

static void in_new_folder(void)
{
    assert(chdir(home) == 0);
    assert(system("rm -rf all && mkdir all") == 0);
    assert(chdir("all") == 0);
}

static void watch(const char *path)
{
    char text[100];
    read_text(path, text, sizeof text);
    assert(watcher_add(watcher, path, hash_more(HASH_EMPTY, text, strlen(text))) == 0);
}

static void open_watcher(struct watcher_options options)
{
    struct watcher_listener listener = { .changed = on_changed, .gone = on_gone, .back = on_back };
    notice_count = 0;
    told.count = told.seen = 0;
    write_in_place("mark", "");
    assert(watcher_open(&watcher, &listener, &options) == 0);
    watch("mark");
}

/* In a folder of its own, where x is the file that matters. */
static void begin(void)
{
    in_new_folder();
    write_in_place("x", "old");
    open_watcher((struct watcher_options){ .quiet_ns = 30 * NS_PER_MS });
    watch("x");
}

static void save_mark(void)
{
    char text[20];
    snprintf(text, sizeof text, "%u", ++marks);
    rename_over("mark", text);
}

/* The watcher waits from now on; it has seen all that was before. */
static void begin_save(void)
{
    lock_acquire(&told.lock);
    told.hold = true;
    lock_release(&told.lock);
    save_mark();
    expect("mark");
    lock_acquire(&told.lock);
    while (!told.held)
        signal_wait(&told.changed, &told.lock);
    lock_release(&told.lock);
}

static void end_save(void)
{
    lock_acquire(&told.lock);
    told.hold = false;
    signal_all(&told.changed);
    lock_release(&told.lock);
}

/* Nothing was told but what was expected. */
static void expect_no_more(void)
{
    save_mark();
    expect("mark");
}

static void end(void)
{
    expect_no_more();
    watcher_close(watcher);
    assert(notice_count == 0);
}

/* ---- Ways of saving ----------------------------------------------------------- */

static void in_place(void) { write_in_place("x", "new"); }
static void longer_in_place(void) { write_as("x", "new and longer", 0); }
static void appended(void) { write_as("x", " and new", O_APPEND); }
static void renamed_over(void) { rename_over("x", "new"); }

static void moved_from_elsewhere(void)
{
    make_folder("d");
    write_in_place("d/y", "new");
    move("d/y", "x");
}

/* vim, `set backupcopy=no`: it tries whether it may make files here, and the backup
 * goes at the end. */
static void vim_renames(void)
{
    write_in_place("4913", "");
    delete("4913");
    move("x", "x~");
    write_in_place("x", "new");
    delete("x~");
}

/* vim, `set backupcopy=yes`, with its swap file. */
static void vim_copies(void)
{
    write_in_place(".x.swp", "swap");
    write_in_place("x~", "old");
    write_in_place("x", "new");
    delete("x~");
    delete(".x.swp");
}

/* Emacs: the backup is the old file, and there is a lock that leads nowhere. */
static void emacs_saves(void)
{
    make_link("somebody@here.1", ".#x");
    write_in_place("#x#", "new");
    move("x", "x~");
    write_in_place("x", "new");
    delete("#x#");
    delete(".#x");
}

static void deleted_and_created(void)
{
    delete("x");
    write_in_place("x", "new");
}

static void burst_of_five(void)
{
    for (int i = 0; i < 5; i++) {
        char text[20];
        snprintf(text, sizeof text, "new %d", i);
        write_in_place("x", text);
    }
}

static void burst_of_hundred(void)
{
    for (int i = 0; i < 100; i++) {
        char text[20];
        snprintf(text, sizeof text, "new %d", i);
        if (i % 2 == 0)
            write_in_place("x", text);
        else
            rename_over("x", text);
    }
}

static void hard_link_made(void)
{
    write_in_place("y", "new");
    delete("x");
    assert(link("y", "x") == 0);
}

/* As those do who must not overwrite: its other name goes away at once. */
static void linked_and_unlinked(void)
{
    hard_link_made();
    delete("y");
}

static void hard_link_moved_over(void)
{
    write_in_place("y", "new");
    assert(link("y", "z") == 0);
    move("z", "x");
}

static void replaced_by_link(void)
{
    write_in_place("y", "new");
    swap_link("y", "x");
}

static void made_empty(void) { assert(truncate("x", 0) == 0); write_as("x", "", 0); }

static void written_twice_with_touch(void)
{
    write_in_place("x", "new");
    assert(utimensat(AT_FDCWD, "x", NULL, 0) == 0);
    assert(chmod("x", 0755) == 0);
    write_in_place("x", "new");
}

/* These are no change. */
static void touched(void)
{
    assert(utimensat(AT_FDCWD, "x", NULL, 0) == 0);
    write_as("x", "", O_APPEND);
}

static void mode_changed(void) { assert(chmod("x", 0755) == 0); }
static void same_in_place(void) { write_in_place("x", "old"); }
static void same_renamed_over(void) { rename_over("x", "old"); }

static void changed_and_changed_back(void)
{
    write_in_place("x", "new");
    write_in_place("x", "old");
}

static void moved_away_and_back(void)
{
    move("x", "y");
    move("y", "x");
}

static void read_only(void)
{
    char text[10];
    read_text("x", text, sizeof text);
}

static void neighbours_saved(void)
{
    write_in_place("x.lua", "new");
    write_in_place(".x.swp", "new");
    write_in_place("x~", "new");
    write_in_place("4913", "new");
    delete("4913");
    make_folder("folder");
    make_link("x", "link");
}

static void test_ways_of_saving(void)
{
    static void (*const changes[])(void) = {
        in_place, longer_in_place, appended, renamed_over, moved_from_elsewhere, vim_renames,
        vim_copies, emacs_saves, deleted_and_created, burst_of_five, burst_of_hundred,
        hard_link_made, linked_and_unlinked, hard_link_moved_over, replaced_by_link, made_empty,
        written_twice_with_touch,
    };
    static void (*const nothings[])(void) = {
        touched, mode_changed, same_in_place, same_renamed_over, changed_and_changed_back,
        moved_away_and_back, read_only, neighbours_saved,
    };
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        begin();
        begin_save();
        changes[i]();
        end_save();
        expect("x");
        /* And it goes on: the file that is there now is seen as well. */
        expect_no_more();
        rename_over("x", "newer still");
        expect("x");
        end();
    }
    for (size_t i = 0; i < ARRAY_LENGTH(nothings); i++) {
        begin();
        begin_save();
        nothings[i]();
        end_save();
        expect_no_more();
        write_in_place("x", "new");
        expect("x");
        end();
    }
}

/* Those saved together are told together. */
static void test_several_files(void)
{
    begin();
    write_in_place("y", "old");
    make_folder("d");
    write_in_place("d/z", "old");
    watch("y");
    watch("d/z");
    watch("d/z"); /* twice is once */
    begin_save();
    rename_over("d/z", "new");
    write_in_place("x", "new");
    write_in_place("y", "old");
    end_save();
    expect("d/z x");
    end();
}

/* ---- Links and directories ------------------------------------------------------ */

static void see_all_of(const char *path, void (*const steps[])(void), size_t count)
{
    open_watcher((struct watcher_options){ .quiet_ns = 30 * NS_PER_MS });
    watch(path);
    for (size_t i = 0; i < count; i++) {
        begin_save();
        steps[i]();
        end_save();
        expect(path);
    }
    end();
}

static void save_target(void) { write_in_place("b/real", "2"); }
static void replace_target(void) { rename_over("b/real", "3"); }
static void swap_first(void) { swap_link("../b/other", "a/link"); }
static void save_other(void) { write_in_place("b/other", "5"); }
static void swap_back(void) { swap_link_at_once("../b/../b/chain", "a/link"); }
static void swap_chain(void) { write_in_place("b/third", "7"); swap_link_at_once("third", "b/chain"); }

static void test_links(void)
{
    static void (*const steps[])(void) = { save_target, replace_target, swap_first,
                                           save_other,  swap_back,      swap_chain };
    in_new_folder();
    make_folder("a");
    make_folder("b");
    write_in_place("b/real", "1");
    write_in_place("b/other", "4");
    make_link("real", "b/chain");
    make_link("../b/chain", "a/link");
    see_all_of("a/link", steps, ARRAY_LENGTH(steps));
}

static void move_data(void) { swap_link_at_once("version2", "mount/..data"); }
static void replace_data(void)
{
    make_folder("mount/version3");
    write_in_place("mount/version3/x", "three");
    swap_link("version3", "mount/..data");
}

/* As Kubernetes does it: x leads through a link to a directory, which is moved. */
static void test_directory_links(void)
{
    static void (*const steps[])(void) = { move_data, replace_data };
    in_new_folder();
    make_folder("mount");
    make_folder("mount/version1");
    make_folder("mount/version2");
    write_in_place("mount/version1/x", "one");
    write_in_place("mount/version2/x", "two");
    make_link("version1", "mount/..data");
    make_link("..data/x", "mount/x");
    see_all_of("mount/x", steps, ARRAY_LENGTH(steps));
}

static void remake_folder(void)
{
    delete("d/e/x");
    assert(rmdir("d/e") == 0);
    assert(rmdir("d") == 0);
    make_folder("d");
    make_folder("d/e");
    write_in_place("d/e/x", "two");
}

static void exchange_folder(void)
{
    make_folder("new");
    make_folder("new/e");
    write_in_place("new/e/x", "three");
    move("d", "d.old");
    move("new", "d");
}

static void save_in_folder(void) { write_in_place("d/e/x", "four"); }

static void test_directories(void)
{
    static void (*const steps[])(void) = { remake_folder, save_in_folder, exchange_folder,
                                           save_in_folder };
    in_new_folder();
    make_folder("d");
    make_folder("d/e");
    write_in_place("d/e/x", "one");
    see_all_of("d/e/x", steps, ARRAY_LENGTH(steps));
}

/* ---- Files that are not there ----------------------------------------------------- */

static void test_gone(void)
{
    begin();
    delete("x");
    expect("x is gone");
    expect_no_more();
    rename_over("x", "old");
    expect("x is back");
    delete("x");
    expect("x is gone");
    rename_over("x", "new");
    expect("x");
    move("x", "y");
    expect("x is gone");
    end();
}

/* With all its folders; and who comes back comes step by step. */
static void test_gone_folder(void)
{
    in_new_folder();
    make_folder("d");
    make_folder("d/e");
    write_in_place("d/e/x", "old");
    open_watcher((struct watcher_options){ .quiet_ns = 30 * NS_PER_MS });
    watch("d/e/x");
    expect_no_more();
    assert(system("rm -r d") == 0);
    expect("d/e/x is gone");
    make_folder("d");
    expect_no_more();
    make_folder("d/e");
    expect_no_more();
    rename_over("d/e/x", "new");
    expect("d/e/x");
    end();
}

/* What cannot be read is a change: who reads it will say why. */
static void test_unreadable(void)
{
    begin();
    delete("x");
    make_folder("x");
    expect("x");
    expect_no_more();
    assert(rmdir("x") == 0);
    expect("x is gone");
    write_in_place("x", "old");
    expect("x");
    end();
}

/* One that was never there, and one that has changed since it was read. */
static void test_known_content(void)
{
    in_new_folder();
    write_in_place("x", "newer");
    open_watcher((struct watcher_options){ .quiet_ns = 30 * NS_PER_MS });
    assert(watcher_add(watcher, "x", hash_more(HASH_EMPTY, "old", 3)) == 0);
    expect("x");
    watch("missing/y");
    expect("missing/y is gone");
    end();
}

/* What was told and of no use is told again, at the next event. */
static void test_retry(void)
{
    begin();
    rename_over("x", "broken");
    expect("x");
    rename_over("x", "broken");
    expect_no_more();
    watcher_retry(watcher);
    expect_no_more();
    rename_over("x", "broken");
    expect("x");
    rename_over("x", "broken");
    end();
}

/* ---- Time -------------------------------------------------------------------------- */

/* A writer who closes in between, with pauses shorter than the quiet: one call. */
static void test_short_pauses(void)
{
    in_new_folder();
    write_in_place("x", "old");
    open_watcher((struct watcher_options){ .quiet_ns = 3 * NS_PER_SEC,
                                           .patience_ns = 3 * PATIENCE_NS });
    watch("x");
    write_in_place("x", "a");
    for (int i = 0; i < 5; i++) {
        pause_ms(5);
        write_as("x", "b", O_APPEND);
    }
    expect("x");
    assert(strcmp(told.content, "abbbbb") == 0);
    watcher_close(watcher);
}

/* With longer ones each part is told, and the whole in the end. */
static void test_long_pauses(void)
{
    begin();
    begin_save();
    write_in_place("x", "a");
    end_save();
    expect("x");
    for (int i = 0; i < 3; i++) {
        write_as("x", "b", O_APPEND);
        expect("x");
    }
    assert(strcmp(told.content, "abbb") == 0);
    end();
}

/* Who never leaves it quiet is looked at nevertheless. */
static void test_patience(void)
{
    in_new_folder();
    write_in_place("x", "old");
    open_watcher((struct watcher_options){ .quiet_ns = 2 * PATIENCE_NS,
                                           .patience_ns = 200 * NS_PER_MS });
    watch("x");
    uint64_t deadline_ns = now() + PATIENCE_NS;
    for (bool is_told = false; !is_told;) {
        assert(now() < deadline_ns);
        write_in_place("x", "a");
        write_in_place("x", "b");
        lock_acquire(&told.lock);
        is_told = told.count > 0;
        lock_release(&told.lock);
    }
    watcher_close(watcher);
}

/* A file that was just made is not looked at before it is closed. */
static void test_unclosed(void)
{
    in_new_folder();
    write_in_place("x", "old");
    open_watcher((struct watcher_options){ .quiet_ns = 10 * NS_PER_MS,
                                           .patience_ns = PATIENCE_NS });
    watch("x");
    expect_no_more();
    delete("x");
    int fd = open("x", O_WRONLY | O_CREAT | O_EXCL, 0644);
    assert(fd >= 0 && write(fd, "half", 4) == 4);
    pause_ms(150); /* enough for a mistake to show */
    assert(write(fd, " whole", 6) == 6 && close(fd) == 0);
    expect("x");
    assert(strcmp(told.content, "half whole") == 0);
    end();
}

/* ---- Limits --------------------------------------------------------------------------- */

/* The kernel has dropped what did not fit: all is looked at. */
static void test_overflow(void)
{
    unsigned limit = 0;
    FILE    *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    assert(file != NULL && fscanf(file, "%u", &limit) == 1);
    fclose(file);
    if (limit > 200000) {
        fprintf(stderr, "no test of the overflow: the queue takes %u events\n", limit);
        return;
    }
    begin();
    make_folder("d");
    write_in_place("d/y", "old");
    watch("d/y");
    begin_save();
    for (unsigned i = 0; i < limit; i++)
        write_as(i % 2 == 0 ? "odd" : "even", "", 0); /* equal ones in a row would be one */
    rename_over("x", "new");
    rename_over("d/y", "new");
    end_save();
    expect("d/y x");
    expect_no_more();
    rename_over("d/y", "newer");
    expect("d/y");
    end();
}

static void check_polling(const char *said)
{
    in_new_folder();
    write_in_place("x", "old");
    make_folder("d");
    write_in_place("d/y", "old");
    open_watcher((struct watcher_options){ .quiet_ns = 20 * NS_PER_MS,
                                           .poll_ns = 50 * NS_PER_MS });
    watch("x");
    watch("d/y");
    write_in_place("x", "old");
    rename_over("x", "new");
    expect("x");
    expect_no_more();
    delete("x");
    expect("x is gone");
    rename_over("x", "newer");
    expect("x");
    rename_over("d/y", "new");
    expect("d/y");
    expect_no_more();
    watcher_close(watcher);
    assert(notice_count == 1);
    assert(strstr(notices, said) != NULL);
}

static void test_without_inotify(void)
{
    refuse_inotify = EMFILE;
    check_polling("watch: there is no inotify (too many instances: sysctl "
                  "fs.inotify.max_user_instances), so files are read every second");
    refuse_inotify = ENOSYS;
    check_polling("watch: there is no inotify (Function not implemented), so");
    refuse_inotify = 0;
    refuse_watches = ENOSPC;
    check_polling("cannot be watched (no inotify watches are left: sysctl "
                  "fs.inotify.max_user_watches), so it is read every second");
    refuse_watches = 0;
}

/* Watches are taken back by the next save, if there are some again. */
static void test_watches_return(void)
{
    in_new_folder();
    write_in_place("x", "old");
    refuse_watches = ENOSPC;
    open_watcher((struct watcher_options){ .quiet_ns = 20 * NS_PER_MS,
                                           .poll_ns = 50 * NS_PER_MS });
    watch("x");
    expect_no_more();
    refuse_watches = 0;
    rename_over("x", "new");
    expect("x");
    begin_save();
    burst_of_hundred();
    end_save();
    expect("x");
    expect_no_more();
    watcher_close(watcher);
    assert(notice_count == 1);
}

/* Folders that nothing leads through any more are not watched any more. */
static unsigned count_watches(void)
{
    unsigned count = 0;
    char     path[64], line[300];
    for (int fd = 3; fd < 64; fd++) {
        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
        FILE *file = fopen(path, "r");
        while (file != NULL && fgets(line, sizeof line, file) != NULL)
            count += strncmp(line, "inotify wd:", 11) == 0;
        if (file != NULL)
            fclose(file);
    }
    return count;
}

static void test_no_watch_is_left(void)
{
    in_new_folder();
    make_folder("1");
    make_folder("2");
    write_in_place("1/x", "0");
    write_in_place("2/x", "1");
    make_link("1", "current");
    open_watcher((struct watcher_options){ .quiet_ns = 10 * NS_PER_MS });
    watch("current/x");
    expect_no_more();
    unsigned before = count_watches();
    assert(before > 0);
    for (int i = 0; i < 10; i++) {
        swap_link_at_once(i % 2 == 0 ? "2" : "1", "current");
        expect("current/x");
        expect_no_more();
        assert(count_watches() == before);
    }
    end();
}

#ifdef TROUPE_FAULTS
/* Any allocation may fail: a save is told late or not at all, and nothing breaks. */
static void test_no_memory(void)
{
    struct watcher_listener listener = { .changed = on_changed, .gone = on_gone, .back = on_back };
    struct watcher_options options = { .quiet_ns = NS_PER_MS, .patience_ns = 5 * NS_PER_MS,
                                       .poll_ns = 5 * NS_PER_MS };
    for (unsigned n = 1; n <= 40; n++) {
        in_new_folder();
        write_in_place("y", "old");
        make_link("y", "x");
        told.count = told.seen = notice_count = 0;
        fault_arm(n);
        int error = watcher_open(&watcher, &listener, &options);
        assert(error == 0 || error == -ENOMEM);
        if (error != 0)
            continue;
        error = watcher_add(watcher, "x", hash_more(HASH_EMPTY, "old", 3));
        assert(error == 0 || error == -ENOMEM);
        write_in_place("y", "new");
        if (error == 0)
            expect("x");
        watcher_close(watcher);
        assert(notice_count <= 1);
    }
    fault_arm(0);
}
#endif

int main(void)
{
    assert(mkdtemp(home) != NULL);
    lock_init(&told.lock);
    signal_init(&told.changed);
    log_set_sink(note, NULL);
    size_t used = memory_used();

    test_ways_of_saving();
    test_several_files();
    test_links();
    test_directory_links();
    test_directories();
    test_gone();
    test_gone_folder();
    test_unreadable();
    test_known_content();
    test_retry();
    test_short_pauses();
    test_long_pauses();
    test_patience();
    test_unclosed();
    test_overflow();
    test_without_inotify();
    test_watches_return();
    test_no_watch_is_left();
#ifdef TROUPE_FAULTS
    test_no_memory();
#endif

    assert(memory_used() == used);
    log_set_sink(NULL, NULL);
    assert(chdir("/") == 0);
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", home);
    assert(system(command) == 0);
    return 0;
}
