/* test_presence.c -- what control/presence.h promises, also of files that somebody else made. */
#include "control/presence.h"

#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WHY    300
#define ROUNDS 200

static char base[64];        /* XDG_RUNTIME_DIR of this test */
static char folder_path[80]; /* and the folder in it */

/* ---- What is there ---------------------------------------------------------- */

struct found {
    unsigned count;
    char     file[CONTROL_FILE_ROOM], name[CONTROL_NAME_ROOM]; /* of the last one */
    long     pid;
    size_t   size;
    char     text[64]; /* its beginning */
};

static void note(void *context, const char *file, const char *name, long pid, const char *text)
{
    struct found *found = context;
    found->count++;
    found->pid = pid;
    found->size = strlen(text);
    snprintf(found->file, sizeof found->file, "%s", file);
    snprintf(found->name, sizeof found->name, "%s", name);
    snprintf(found->text, sizeof found->text, "%.60s", text);
}

static struct found look(void)
{
    struct found found = { 0 };
    char why[WHY] = "";
    assert(presence_each(note, &found, why, sizeof why) == 0);
    return found;
}

static void path_of(char path[PATH_MAX], const char *file)
{
    snprintf(path, PATH_MAX, "%s/%s", folder_path, file);
}

static bool is_there(const char *file)
{
    struct stat status;
    char path[PATH_MAX];
    path_of(path, file);
    return lstat(path, &status) == 0;
}

/* A file that somebody has put there; the descriptor is the caller's. */
static int put_file(const char *file, const char *text, size_t size)
{
    char path[PATH_MAX];
    path_of(path, file);
    int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert(descriptor >= 0 && write(descriptor, text, size) == (ssize_t)size);
    return descriptor;
}

static void hold(struct presence *presence, const char *name, const char *text)
{
    char why[WHY] = "";
    assert(presence_hold(presence, name, text, why, sizeof why) == 0);
}

/* ---- The promises ----------------------------------------------------------- */

/* Nobody is there where there is no folder, and that is no error. */
static void test_no_folder(void)
{
    assert(look().count == 0);
    assert(presence_reach("market.1.up") == -ESRCH);
}

/* Who is there is found with what he says, and what he says later, until he ends. */
static void test_held(void)
{
    struct presence presence;
    hold(&presence, "market", "{\"n\":1, and more}");
    struct found found = look();
    assert(found.count == 1 && found.pid == getpid());
    assert(strcmp(found.name, "market") == 0 && strcmp(found.text, "{\"n\":1, and more}") == 0);
    assert(presence_say(&presence, "less") == 0);
    found = look();
    assert(found.count == 1 && found.size == 4 && strcmp(found.text, "less") == 0);

    int process = presence_reach(found.file);
    assert(process >= 0);
    struct pollfd file = { .fd = process, .events = POLLIN };
    assert(poll(&file, 1, 0) == 0); /* this process lives */
    close(process);

    presence_end(&presence);
    assert(look().count == 0 && !is_there(found.file));
    assert(presence_reach(found.file) == -ESRCH);
}

/* Two of a name in one process: the later one's file, and none when it has ended. */
static void test_twice(void)
{
    struct presence first, second;
    hold(&first, "market", "first");
    hold(&second, "market", "second");
    struct found found = look();
    assert(found.count == 1 && strcmp(found.text, "second") == 0);
    presence_end(&first);
    presence_end(&second);
    assert(look().count == 0);
}

/* What is too long is refused: what was said before stays, and no file is left. */
static void test_too_long(void)
{
    struct presence presence;
    char  why[WHY] = "";
    char *text = malloc(PRESENCE_TEXT_MOST + 1);
    assert(text != NULL);
    memset(text, 'x', PRESENCE_TEXT_MOST);
    text[PRESENCE_TEXT_MOST] = '\0';
    assert(presence_hold(&presence, "market", text, why, sizeof why) == -E2BIG);
    assert(strstr(why, "cannot be made") != NULL && look().count == 0);

    hold(&presence, "market", "short");
    assert(presence_say(&presence, text) == -E2BIG);
    assert(strcmp(look().text, "short") == 0);
    text[PRESENCE_TEXT_MOST - 1] = '\0';
    assert(presence_say(&presence, text) == 0 && look().size == PRESENCE_TEXT_MOST - 1);
    presence_end(&presence);
    free(text);
}

/* A name may be anything: its file stays in the folder, and is shown. */
static void test_names(void)
{
    static const char *const names[] = { "", ".", "..", "../../market", "a b\nc", "-rf", "market.up",
                                         "m\xc3\xa4rkte\xff", ".hidden",
                                         "a-name-that-is-much-longer-than-a-file-of-this-folder-may-be-called" };
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct presence presence;
        hold(&presence, names[i], "here");
        struct found found = look();
        assert(found.count == 1 && found.pid == getpid() && found.name[0] != '.');
        assert(strchr(found.file, '/') == NULL && is_there(found.file));
        for (const char *c = found.file; *c != '\0'; c++)
            assert(*c > ' ' && *c < 127);
        presence_end(&presence);
        assert(!is_there(found.file));
    }
}

/* Another process that is there, until it is killed. */
static pid_t start_holder(int *written)
{
    int ready[2];
    assert(pipe2(ready, O_CLOEXEC) == 0);
    pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        struct presence presence;
        hold(&presence, "other", "from a child");
        assert(write(ready[1], "", 1) == 1);
        for (;;)
            pause();
    }
    close(ready[1]);
    char byte;
    assert(read(ready[0], &byte, 1) == 1);
    *written = ready[0];
    return child;
}

/* Who is killed is gone, his end can be waited for, and his file is removed. */
static void test_killed(void)
{
    int   ready;
    pid_t child = start_holder(&ready);
    struct found found = look();
    assert(found.count == 1 && found.pid == child && strcmp(found.text, "from a child") == 0);
    int process = presence_reach(found.file);
    assert(process >= 0);

    assert(kill(child, SIGKILL) == 0);
    struct pollfd file = { .fd = process, .events = POLLIN };
    assert(poll(&file, 1, 60000) == 1);
    assert(waitpid(child, NULL, 0) == child);
    close(process);
    close(ready);
    assert(is_there(found.file));
    assert(presence_reach(found.file) == -ESRCH);
    assert(look().count == 0 && !is_there(found.file));
}

/* A process that got the number of one that was killed is not taken for it. */
static void test_reused_number(void)
{
    char file[CONTROL_FILE_ROOM];
    snprintf(file, sizeof file, "market.%ld.up", (long)getpid());
    close(put_file(file, "{}", 2));
    assert(presence_reach(file) == -ESRCH && !is_there(file));
}

/* What is no presence is neither told nor followed, and nobody waits for it. */
static void test_strangers(void)
{
    static const char *const names[] = { "market.up", ".market.1.up", "market.1.sock", "market..up", ".up",
                                         "market.x.up", "market.1.UP" };
    char path[PATH_MAX], target[PATH_MAX], many[200];
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        int descriptor = put_file(names[i], "{}", 2);
        assert(flock(descriptor, LOCK_EX) == 0);
        assert(look().count == 0 && is_there(names[i]));
        assert(presence_reach(names[i]) == -EINVAL || presence_reach(names[i]) == -ESRCH);
        close(descriptor);
        path_of(path, names[i]);
        assert(unlink(path) == 0);
    }
    memset(many, 'x', sizeof many);
    memcpy(many + sizeof many - 6, ".1.up", 6);
    assert(presence_reach(many) == -EINVAL && presence_reach("") == -EINVAL);
    assert(presence_reach("../market.1.up") != 0);

    snprintf(target, sizeof target, "%s/elsewhere", base);
    int elsewhere = open(target, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert(elsewhere >= 0 && flock(elsewhere, LOCK_EX) == 0);
    path_of(path, "link.1.up");
    assert(symlink(target, path) == 0);
    assert(look().count == 0 && unlink(path) == 0);
    assert(access(target, F_OK) == 0 && unlink(target) == 0);
    close(elsewhere);

    path_of(path, "pipe.1.up");
    assert(mkfifo(path, 0600) == 0);
    assert(look().count == 0);
    unlink(path);
    path_of(path, "folder.1.up");
    assert(mkdir(path, 0700) == 0);
    assert(look().count == 0 && rmdir(path) == 0);
}

/* Any bytes may stand in a file that is held: no more of them are told than there is room for. */
static void test_content(void)
{
    size_t size = 2 * PRESENCE_TEXT_MOST;
    char  *text = malloc(size);
    assert(text != NULL);
    memset(text, 0xff, size);
    int descriptor = put_file("large.1.up", text, size);
    assert(flock(descriptor, LOCK_EX) == 0);
    struct found found = look();
    assert(found.count == 1 && found.size == PRESENCE_TEXT_MOST - 1);
    assert(ftruncate(descriptor, 0) == 0);
    found = look();
    assert(found.count == 1 && found.size == 0);
    assert(pwrite(descriptor, "a\0b", 3, 0) == 3);
    found = look();
    assert(found.count == 1 && strcmp(found.text, "a") == 0);
    close(descriptor);
    assert(look().count == 0 && !is_there("large.1.up"));
    free(text);
}

static void assert_refused(const char *says)
{
    struct presence presence;
    char why[WHY] = "";
    assert(presence_hold(&presence, "market", "{}", why, sizeof why) == -EPERM);
    assert(strstr(why, says) != NULL);
    why[0] = '\0';
    assert(presence_each(note, NULL, why, sizeof why) == -EPERM && strstr(why, says) != NULL);
    assert(presence_reach("market.1.up") == -EPERM);
}

/* A folder that others could have put something into is not believed. */
static void test_folder(void)
{
    assert(chmod(folder_path, 0755) == 0);
    assert_refused("is open to other users");
    assert(chmod(folder_path, 0700) == 0);
    if (geteuid() != 0)
        return;
    assert(chown(folder_path, 65534, 65534) == 0);
    assert_refused("belongs to another user");
    assert(chown(folder_path, 0, 0) == 0);
}

/* ---- At the same time ------------------------------------------------------- */

static atomic_uint finished;

static void *come_and_go(void *name)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct presence presence;
        hold(&presence, name, "first");
        assert(presence_say(&presence, "then") == 0);
        presence_end(&presence);
    }
    atomic_fetch_add(&finished, 1);
    return NULL;
}

/* Whoever comes and goes is never seen without his text, nor removed while he is there. */
static void check_whole(void *context, const char *file, const char *name, long pid, const char *text)
{
    (void)context, (void)file, (void)name;
    assert(pid == getpid() && (strncmp(text, "first", 5) == 0 || strncmp(text, "then", 4) == 0));
}

static void test_together(void)
{
    static char  *names[] = { "one", "other" };
    struct thread threads[ARRAY_LENGTH(names)];
    char why[WHY];
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert(thread_start(&threads[i], "holder", 0, come_and_go, names[i]) == 0);
    while (atomic_load(&finished) < ARRAY_LENGTH(names))
        assert(presence_each(check_whole, NULL, why, sizeof why) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        thread_join(&threads[i]);
    assert(look().count == 0);
}

int main(void)
{
    alarm(300);
    snprintf(base, sizeof base, "/tmp/test_presence.XXXXXX");
    assert(mkdtemp(base) != NULL && setenv("XDG_RUNTIME_DIR", base, 1) == 0);
    snprintf(folder_path, sizeof folder_path, "%s/troupe", base);
    test_no_folder();
    test_held();
    test_twice();
    test_too_long();
    test_names();
    test_killed();
    test_reused_number();
    test_strangers();
    test_content();
    test_folder();
    test_together();
    assert(rmdir(folder_path) == 0 && rmdir(base) == 0);
    return 0;
}
