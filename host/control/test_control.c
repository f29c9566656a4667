/* test_control.c -- the promises of control.h and folder.h, to friends and others. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "control/control.h"
#include "control/folder.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[64];       /* XDG_RUNTIME_DIR of this test */
static char folder_path[80]; /* and the sockets' folder in it */

static void be_quiet(void *context, enum log_level level, const char *line)
{
    (void)context, (void)level, (void)line;
}

/* ---- The commands of these tests ------------------------------------------- */

struct keeper {
    struct lock   lock;
    struct signal changed;
    struct control_client *kept;
    unsigned gone, more, said;
};

static void serve_echo(void *context, struct control_client *client,
                       const struct control_request *request)
{
    (void)context;
    int64_t times = 1;
    double  number = 0;
    char    line[300];
    const char *text = control_request_text(request, "text");
    const char *second = control_request_item(request, "list", 1);
    control_request_integer(request, "times", &times);
    bool is_number = control_request_number(request, "number", &number);
    for (int64_t i = 0; i < times; i++) {
        int size = snprintf(line, sizeof line, "{\"text\":\"%.200s\",\"second\":\"%.20s\",\"n\":%g,\"flag\":%d}",
                            text != NULL ? text : "", second != NULL ? second : "",
                            is_number ? number : -1.0, control_request_flag(request, "flag"));
        if (!control_say(client, line, (size_t)size))
            break;
    }
    control_end(client, 0, NULL);
    control_end(client, 1, "this is too late");
    assert(!control_say(client, "{}", 2));
}

static void serve_keep(void *context, struct control_client *client,
                       const struct control_request *request)
{
    struct keeper *keeper = context;
    (void)request;
    lock_acquire(&keeper->lock);
    assert(keeper->kept == NULL);
    keeper->kept = control_client_ref(client);
    signal_all(&keeper->changed);
    lock_release(&keeper->lock);
}

static void gone_keep(void *context, struct control_client *client)
{
    struct keeper *keeper = context;
    assert(control_client_gone(client) && !control_say(client, "{}", 2));
    lock_acquire(&keeper->lock);
    assert(keeper->kept == client);
    keeper->kept = NULL;
    keeper->gone++;
    signal_all(&keeper->changed);
    lock_release(&keeper->lock);
    control_client_unref(client);
}

static void serve_nothing(void *context, struct control_client *client,
                          const struct control_request *request)
{
    (void)context, (void)client, (void)request;
}

#define LONG_LINES 40000

/* An answer of 4 MB, as much at once as there is room for. */
static void say_more(void *context, struct control_client *client)
{
    struct keeper *keeper = context;
    char line[128];
    keeper->more++;
    while (keeper->said < LONG_LINES) {
        snprintf(line, sizeof line, "{\"n\":%05u}%90s", keeper->said, "");
        if (!control_say(client, line, 100))
            return;
        keeper->said++;
    }
    control_end(client, 0, NULL);
    control_client_unref(client);
}

static void serve_long(void *context, struct control_client *client,
                       const struct control_request *request)
{
    (void)request;
    say_more(context, control_client_ref(client));
}

static struct keeper keeper, talker;

static struct control *open_control(const char *name)
{
    struct control *control;
    char why[256] = "";
    int  error = control_open(&control, name, why, sizeof why);
    if (error != 0)
        fprintf(stderr, "%s\n", why);
    assert(error == 0);
    keeper.kept = NULL;
    keeper.gone = 0;
    talker.more = talker.said = 0;
    const struct control_command commands[] = {
        { .name = "echo", .serve = serve_echo },
        { .name = "keep", .serve = serve_keep, .gone = gone_keep, .context = &keeper },
        { .name = "nothing", .serve = serve_nothing },
        { .name = "long", .serve = serve_long, .more = say_more, .context = &talker },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        assert(control_add(control, &commands[i]) == 0);
    assert(control_add(control, &commands[0]) == -EEXIST);
    assert(control_start(control) == 0);
    return control;
}

/* Until somebody is kept, or has gone. */
static void await_kept(bool kept, unsigned gone)
{
    lock_acquire(&keeper.lock);
    while ((keeper.kept != NULL) != kept || keeper.gone != gone)
        signal_wait(&keeper.changed, &keeper.lock);
    lock_release(&keeper.lock);
}

static struct control_client *kept(void)
{
    lock_acquire(&keeper.lock);
    struct control_client *client = keeper.kept;
    lock_release(&keeper.lock);
    return client;
}

static void forget_kept(void)
{
    lock_acquire(&keeper.lock);
    keeper.kept = NULL;
    lock_release(&keeper.lock);
}

/* ---- The other end --------------------------------------------------------- */

static const char *file_of(const struct control *control)
{
    return strrchr(control_path(control), '/') + 1;
}

/* A connection that blocks, for at most 60 s. */
static int dial(const struct control *control)
{
    struct control_folder folder;
    char why[256];
    assert(control_folder_open(&folder, false, why, sizeof why) == 0);
    int fd = -EAGAIN;
    for (unsigned i = 0; i < 6000 && fd == -EAGAIN; i++) {
        fd = control_folder_connect(&folder, file_of(control));
        if (fd == -EAGAIN)
            usleep(10000);
    }
    assert(fd >= 0);
    control_folder_close(&folder);
    struct timeval patience = { .tv_sec = 60 };
    fcntl(fd, F_SETFL, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

static void tell(int fd, const char *text)
{
    assert(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* The next line; false: the end. */
static bool hear(int fd, char *line, size_t room)
{
    size_t size = 0;
    char   byte;
    for (;;) {
        ssize_t got = recv(fd, &byte, 1, 0);
        assert(got >= 0 || errno == ECONNRESET);
        if (got <= 0)
            return false;
        if (byte == '\n')
            break;
        if (size < room - 1)
            line[size++] = byte;
    }
    line[size] = '\0';
    return true;
}

static void expect(int fd, const char *wanted)
{
    char line[512];
    assert(hear(fd, line, sizeof line));
    if (strcmp(line, wanted) != 0)
        fprintf(stderr, "heard  %s\nwanted %s\n", line, wanted);
    assert(strcmp(line, wanted) == 0);
}

static void expect_end(int fd)
{
    char line[512];
    bool more = hear(fd, line, sizeof line);
    if (more)
        fprintf(stderr, "heard %s instead of the end\n", line);
    assert(!more);
}

#define ECHO_EMPTY "{\"text\":\"\",\"second\":\"\",\"n\":-1,\"flag\":0}"

/* It still serves. */
static void expect_service(const struct control *control)
{
    int fd = dial(control);
    tell(fd, "{\"do\":\"echo\"}\n");
    expect(fd, ECHO_EMPTY);
    expect(fd, "{\"end\":0}");
    close(fd);
}

/* ---- Promises -------------------------------------------------------------- */

/* Requests on one connection are answered in turn; each field has its kind. */
static void test_requests(void)
{
    struct control *control = open_control("pong");
    int fd = dial(control);
    tell(fd, "{\"do\":\"echo\",\"text\":\"a\",\"list\":[\"x\",\"y\"],\"number\":1.5,\"flag\":true}\r\n\n  \n"
             "{\"do\":\"echo\",\"text\":7,\"list\":[\"x\"],\"number\":\"1\",\"flag\":1}\n"
             "{\"do\":\"echo\",\"text\":\"nul\\u0000\",\"number\":3}\n{\"do\":\"ec");
    expect(fd, "{\"text\":\"a\",\"second\":\"y\",\"n\":1.5,\"flag\":1}");
    expect(fd, "{\"end\":0}");
    expect(fd, ECHO_EMPTY);
    expect(fd, "{\"end\":0}");
    expect(fd, "{\"text\":\"\",\"second\":\"\",\"n\":3,\"flag\":0}");
    expect(fd, "{\"end\":0}");
    tell(fd, "ho\"}\n");
    expect(fd, ECHO_EMPTY);
    expect(fd, "{\"end\":0}");
    tell(fd, "{\"do\":\"nothing\"}\n");
    expect(fd, "{\"end\":1,\"why\":\"it was not answered\"}");
    shutdown(fd, SHUT_WR);
    expect_end(fd);
    close(fd);
    control_close(control);
}

/* Nonsense is answered with what is wrong with it, and the connection goes on. */
static void test_nonsense(void)
{
    struct control *control = open_control("pong");
    int fd = dial(control);
    tell(fd, "hello\n[]\n{}\n{\"do\":5}\n{\"do\":\"ecko\"}\n{\"do\":\"launch\"}\n\xff\xfe\n");
    expect(fd, "{\"end\":2,\"why\":\"bad request: expected a value, not 'h', at byte 0\"}");
    expect(fd, "{\"end\":2,\"why\":\"a request is a JSON object, such as {\\\"do\\\":\\\"info\\\"}\"}");
    expect(fd, "{\"end\":2,\"why\":\"a request says what to do: {\\\"do\\\":\\\"info\\\"}\"}");
    expect(fd, "{\"end\":2,\"why\":\"a request says what to do: {\\\"do\\\":\\\"info\\\"}\"}");
    expect(fd, "{\"end\":2,\"why\":\"this host has no command 'ecko': did you mean 'echo'?\"}");
    expect(fd, "{\"end\":2,\"why\":\"this host has no command 'launch'\"}");
    char line[512];
    assert(hear(fd, line, sizeof line) && strncmp(line, "{\"end\":2,", 9) == 0);
    tell(fd, "{\"do\":\"echo\"}\n");
    expect(fd, ECHO_EMPTY);
    expect(fd, "{\"end\":0}");
    close(fd);

    /* Any bytes at all, from many at once, and who leaves in the middle of it. */
    uint32_t random = 7;
    for (int round = 0; round < 50; round++) {
        char noise[3000];
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (char)((random = random * 1664525u + 1013904223u) >> 24);
        fd = dial(control);
        (void)!send(fd, noise, sizeof noise, MSG_NOSIGNAL);
        close(fd);
    }
    expect_service(control);
    control_close(control);
}

/* A line without an end is refused at 2 MiB; the rest of 100 MB is thrown away. */
static void test_endless_line(void)
{
    struct control *control = open_control("pong");
    size_t used = memory_used();
    int fd = dial(control);
    static char block[65536];
    memset(block, 'a', sizeof block);
    for (int i = 0; i < 1600; i++)
        assert(send(fd, block, sizeof block, MSG_NOSIGNAL) == (ssize_t)sizeof block);
    expect(fd, "{\"end\":2,\"why\":\"a request is one line of at most 2 MiB\"}");
    expect_end(fd);
    assert(memory_used() < used + (4u << 20));
    close(fd);
    expect_service(control);
    control_close(control);
}

/* What is kept is answered later, from any thread; who goes away, or asks something
 * else, takes it back. */
static void test_later(void)
{
    struct control *control = open_control("pong");
    int fd = dial(control);
    tell(fd, "{\"do\":\"keep\"}\n");
    await_kept(true, 0);
    struct control_client *client = kept();
    assert(control_say(client, "{\"a\":1}", 7));
    expect(fd, "{\"a\":1}");
    forget_kept();
    control_end(client, 3, "na\xc3\xafve \"quoted\"\n");
    assert(!control_say(client, "{}", 2));
    expect(fd, "{\"end\":3,\"why\":\"na\xc3\xafve \\\"quoted\\\"\\n\"}");
    control_client_unref(client);

    tell(fd, "{\"do\":\"keep\"}\n");
    await_kept(true, 0);
    tell(fd, "{\"do\":\"echo\"}\n");
    expect(fd, "{\"end\":130,\"why\":\"another request came before its end\"}");
    expect(fd, ECHO_EMPTY);
    expect(fd, "{\"end\":0}");
    await_kept(false, 1);

    tell(fd, "{\"do\":\"keep\"}\n");
    await_kept(true, 1);
    close(fd);
    await_kept(false, 2);

    /* Who only has nothing more to ask is still answered. */
    fd = dial(control);
    tell(fd, "{\"do\":\"keep\"}\n");
    shutdown(fd, SHUT_WR);
    await_kept(true, 2);
    client = kept();
    forget_kept();
    control_end(client, 0, NULL);
    control_client_unref(client);
    expect(fd, "{\"end\":0}");
    expect_end(fd);
    close(fd);

    /* An end of the control is one of what was asked; the client may outlive it. */
    fd = dial(control);
    tell(fd, "{\"do\":\"keep\"}\n");
    await_kept(true, 2);
    client = control_client_ref(kept());
    control_close(control);
    assert(keeper.gone == 3 && !control_say(client, "{}", 2));
    control_end(client, 0, NULL);
    control_client_unref(client);
    expect(fd, "{\"end\":5,\"why\":\"the host has ended\"}");
    expect_end(fd);
    close(fd);
}

/* An answer that is longer than the buffer comes whole to who reads. */
static void test_long_answer(void)
{
    struct control *control = open_control("pong");
    int fd = dial(control);
    char line[128], wanted[16];
    tell(fd, "{\"do\":\"long\"}\n");
    for (unsigned i = 0; i < LONG_LINES; i++) {
        snprintf(wanted, sizeof wanted, "{\"n\":%05u}", i);
        assert(hear(fd, line, sizeof line) && strncmp(line, wanted, strlen(wanted)) == 0);
    }
    expect(fd, "{\"end\":0}");
    assert(talker.more > 3);
    close(fd);
    control_close(control);
}

/* Who does not read is not waited for: his buffer is full, and that is all. */
static void test_slow_reader(void)
{
    struct control *control = open_control("pong");
    int fd = dial(control);
    tell(fd, "{\"do\":\"keep\"}\n");
    await_kept(true, 0);
    static char line[10000];
    memset(line, 'x', sizeof line);
    size_t said = 0;
    while (control_say(kept(), line, sizeof line))
        said += sizeof line;
    assert(said >= CONTROL_BUFFER_MAX - sizeof line && said < 8 * CONTROL_BUFFER_MAX);
    assert(!control_client_gone(kept()));
    expect_service(control);

    /* Nor who asks and asks, and reads nothing: his requests wait. */
    int greedy = dial(control);
    fcntl(greedy, F_SETFL, O_NONBLOCK);
    static const char request[] = "{\"do\":\"echo\",\"times\":10000}\n";
    for (int i = 0; i < 100000; i++)
        if (send(greedy, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
            break;
    expect_service(control);
    assert(memory_used() < 40u << 20);
    close(greedy);
    close(fd);
    await_kept(false, 1);
    control_close(control);
}

/* There are 32 connections at once, and the next hears so. None of 200 that come and
 * go is left over. */
static void test_many(void)
{
    struct control *control = open_control("pong");
    int fds[200];
    for (int i = 0; i < 32; i++) {
        fds[i] = dial(control);
        tell(fds[i], "{\"do\":\"echo\"}\n");
        expect(fds[i], ECHO_EMPTY);
        expect(fds[i], "{\"end\":0}");
    }
    for (int i = 32; i < 200; i++)
        fds[i] = dial(control);
    for (int i = 32; i < 200; i++) {
        expect(fds[i], "{\"end\":5,\"why\":\"this host has 32 control connections already\"}");
        expect_end(fds[i]);
        close(fds[i]);
    }
    tell(fds[31], "{\"do\":\"echo\"}\n");
    expect(fds[31], ECHO_EMPTY);
    for (int i = 0; i < 32; i++)
        close(fds[i]);
    for (int i = 0; i < 200; i++)
        close(dial(control));
    int fd = -1;
    char line[256] = "";
    for (int i = 0; i < 1000 && strcmp(line, ECHO_EMPTY) != 0; i++) { /* until those are seen to be gone */
        if (fd >= 0)
            close(fd);
        fd = dial(control);
        tell(fd, "{\"do\":\"echo\"}\n");
        assert(hear(fd, line, sizeof line));
    }
    assert(strcmp(line, ECHO_EMPTY) == 0);
    close(fd);
    control_close(control);
}

/* Another user is not heard, even if he could reach the socket. (As root only.) */
static void test_other_user(void)
{
    if (geteuid() != 0)
        return;
    struct control *control = open_control("pong");
    assert(chmod(base, 0755) == 0 && chmod(folder_path, 0755) == 0 &&
           chmod(control_path(control), 0777) == 0);
    int pair[2];
    assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", control_path(control));
    pid_t child = fork();
    assert(child >= 0);
    if (child == 0) { /* only what is safe after a fork among threads */
        char line[200];
        int  fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (setresuid(65534, 65534, 65534) != 0 ||
            connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
            _exit(1);
        ssize_t size = recv(fd, line, sizeof line, 0);
        if (size > 0)
            (void)!send(pair[1], line, (size_t)size, 0);
        _exit(0);
    }
    int status;
    assert(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(pair[1]);
    expect(pair[0], "{\"end\":4,\"why\":\"only the user who runs this host is heard\"}");
    close(pair[0]);
    assert(chmod(folder_path, 0700) == 0 && chmod(base, 0700) == 0);
    expect_service(control);
    control_close(control);
}

/* ---- The folder ------------------------------------------------------------- */

static void expect_refusal(int wanted, const char *part)
{
    struct control *control;
    char why[600] = "";
    int  error = control_open(&control, "pong", why, sizeof why);
    if (error != wanted || strstr(why, part) == NULL)
        fprintf(stderr, "%d %s\n", error, why);
    assert(error == wanted && strstr(why, part) != NULL);
}

/* A folder that somebody else could write to, or has put there, is not used. */
static void test_folder(void)
{
    assert(rmdir(folder_path) == 0);
    assert(mkdir(folder_path, 0777) == 0 && chmod(folder_path, 0777) == 0);
    expect_refusal(-EPERM, "is open to other users (mode 777): chmod 700 it");
    assert(rmdir(folder_path) == 0);

    char other[100];
    snprintf(other, sizeof other, "%s/other", base);
    assert(mkdir(other, 0700) == 0 && symlink(other, folder_path) == 0);
    expect_refusal(-EPERM, "is a link");
    assert(unlink(folder_path) == 0 && rmdir(other) == 0);

    int fd = open(folder_path, O_CREAT | O_WRONLY, 0600);
    assert(fd >= 0);
    close(fd);
    expect_refusal(-EPERM, "Not a directory");
    assert(unlink(folder_path) == 0);

    if (geteuid() == 0) {
        assert(mkdir(folder_path, 0700) == 0 && chown(folder_path, 65534, 65534) == 0);
        expect_refusal(-EPERM, "belongs to another user (65534)");
        assert(rmdir(folder_path) == 0);
    }
    setenv("XDG_RUNTIME_DIR", "/proc/self", 1); /* ours, and nothing can be made there */
    expect_refusal(-ENOENT, "/proc/self/troupe cannot be made");
    setenv("XDG_RUNTIME_DIR", base, 1);

    struct control *control = open_control("pong"); /* it is made, for nobody else */
    struct stat status;
    assert(stat(folder_path, &status) == 0 && (status.st_mode & 0777) == 0700);
    control_close(control);
    assert(access(folder_path, F_OK) == 0);
}

struct seen {
    unsigned count;
    char     names[512];
    long     pid;
};

static void see(void *context, const char *file, const char *name, long pid)
{
    struct seen *seen = context;
    (void)file;
    seen->count++;
    seen->pid = pid;
    size_t used = strlen(seen->names);
    snprintf(seen->names + used, sizeof seen->names - used, "%s ", name);
}

static struct seen look(void)
{
    struct seen seen = { 0 };
    struct control_folder folder;
    char why[256];
    assert(control_folder_open(&folder, true, why, sizeof why) == 0);
    assert(control_folder_each(&folder, see, &seen) == 0);
    control_folder_close(&folder);
    return seen;
}

static void make_socket(const char *name, bool listens, int *fd)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    assert((size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", folder_path, name) <
           sizeof address.sun_path);
    *fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert(bind(*fd, (struct sockaddr *)&address, sizeof address) == 0);
    if (listens)
        assert(listen(*fd, 1) == 0);
}

static bool is_there(const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder_path, name);
    return access(path, F_OK) == 0;
}

/* What the dead have left is removed, whoever has their number now; what is none of
 * ours is left alone. */
static void test_stale(void)
{
    int dead, living, half;
    char reused[64], unfinished[64];
    snprintf(reused, sizeof reused, "pong.%ld.sock", (long)getppid());
    make_socket(reused, true, &dead);
    close(dead);
    make_socket("old.999999999.sock", true, &dead);
    close(dead);
    snprintf(unfinished, sizeof unfinished, ".new.%ld.sock", (long)getpid());
    make_socket(unfinished, false, &half);
    close(half);
    make_socket(".gone.999999999.sock", false, &half);
    close(half);
    make_socket("alive.12.sock", true, &living);
    make_socket("not-one", false, &half);
    close(half);
    char file[120];
    snprintf(file, sizeof file, "%s/text.5.sock", folder_path);
    fclose(fopen(file, "w"));

    struct seen seen = look();
    assert(seen.count == 1 && seen.pid == 12 && strcmp(seen.names, "alive ") == 0);
    assert(!is_there(reused) && !is_there("old.999999999.sock") && !is_there(".gone.999999999.sock"));
    assert(is_there(unfinished) && is_there("not-one") && is_there("text.5.sock"));
    close(living);
    struct control *control = open_control("new"); /* and takes the place of the unfinished one */
    assert(!is_there("alive.12.sock") && !is_there(unfinished));
    assert(unlink(file) == 0);
    snprintf(file, sizeof file, "%s/not-one", folder_path);
    assert(unlink(file) == 0);
    control_close(control);
    assert(look().count == 0);
}

/* Any name will do: what a file may not be called is replaced, what is long is cut. */
static void test_names(void)
{
    static const struct { const char *name, *stem; } names[] = {
        { "pong", "pong" },
        { "a.b-c_D9", "a.b-c_D9" },
        { "", "_" },
        { "../../etc/passwd", "_._.._etc_passwd" },
        { ".hidden", "_hidden" },
        { "tab\tand\nline", "tab_and_line" },
        { "12345678901234567890123456789012345678901234567",
          "12345678901234567890123456789012345678901234567" },
        { "123456789012345678901234567890123456789012345678",
          "1234567890123456789012345678901234567890123456~" },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct control *control = open_control(names[i].name);
        struct seen seen = look();
        seen.names[strlen(seen.names) - 1] = '\0';
        if (strcmp(seen.names, names[i].stem) != 0)
            fprintf(stderr, "%s\n", seen.names);
        assert(seen.count == 1 && seen.pid == getpid() && strcmp(seen.names, names[i].stem) == 0);
        expect_service(control);
        control_close(control);
    }
    char name[CONTROL_NAME_ROOM];
    long pid;
    static const char *const others[] = { "", ".sock", "a.sock", ".1.sock", "a.1.sockx", "a.x1.sock",
                                          ".a.1.sock", "a..sock", "a.12345678901.sock", "1.sock" };
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert(!control_folder_parse(others[i], name, &pid));
    assert(control_folder_parse("a.1.2.sock", name, &pid) && pid == 2 && strcmp(name, "a.1") == 0);
}

/* A path may be longer than a socket's address has room for. */
static void test_long_path(void)
{
    char path[512];
    size_t size = (size_t)snprintf(path, sizeof path, "%s/", base);
    memset(path + size, 'd', 200);
    path[size + 200] = '\0';
    assert(mkdir(path, 0700) == 0);
    setenv("XDG_RUNTIME_DIR", path, 1);
    struct control *control = open_control("pong");
    assert(strlen(control_path(control)) > 200);
    expect_service(control);
    control_close(control);
    strcat(path, "/troupe");
    assert(rmdir(path) == 0);
    *strrchr(path, '/') = '\0';
    assert(rmdir(path) == 0);
    setenv("XDG_RUNTIME_DIR", base, 1);
}

int main(void)
{
    log_set_sink(be_quiet, NULL);
    lock_init(&keeper.lock);
    signal_init(&keeper.changed);
    snprintf(base, sizeof base, "/tmp/test_control.XXXXXX");
    assert(mkdtemp(base) != NULL);
    snprintf(folder_path, sizeof folder_path, "%s/troupe", base);
    setenv("XDG_RUNTIME_DIR", base, 1);
    assert(look().count == 0);

    test_folder();
    test_requests();
    test_nonsense();
    test_endless_line();
    test_later();
    test_long_answer();
    test_slow_reader();
    test_many();
    test_other_user();
    test_stale();
    test_names();
    test_long_path();

    assert(rmdir(folder_path) == 0 && rmdir(base) == 0);
    signal_fini(&keeper.changed);
    lock_fini(&keeper.lock);
    assert(memory_used() == 0);
    puts("test_control: ok");
    return 0;
}
