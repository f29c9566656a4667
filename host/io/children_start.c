/*
 * children_start.c -- a child is made, fed and buried.
 *
 * posix_spawn(), by which actors' children are made (child.c), cannot ask for a signal
 * at the parent's death: so this forks. Between that and exec() the child calls only
 * what may be called there, for other threads may have held any lock.
 */
#include "io/children_room.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_FILENO 3

/* Our ends and theirs; -1: not open. */
struct pipes {
    int ours[4], theirs[4]; /* by the number that they get in the child */
    int failure[2];         /* what exec() says, if it comes back */
};

static int open_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    for (int i = 0; i < 2; i++) { /* none has a number that it could be copied over */
        int above = fcntl(ends[i], F_DUPFD_CLOEXEC, STATUS_FILENO + 1);
        int error = errno;
        close(ends[i]);
        ends[i] = above;
        if (above < 0) {
            if (i == 0)
                close(ends[1]);
            else
                close(ends[0]);
            ends[0] = ends[1] = -1;
            return -error;
        }
    }
    return 0;
}

static void shut(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

static void shut_all(struct pipes *pipes)
{
    for (int i = 0; i < 4; i++) {
        shut(&pipes->ours[i]);
        shut(&pipes->theirs[i]);
    }
    shut(&pipes->failure[0]);
    shut(&pipes->failure[1]);
}

static int open_pipes(struct pipes *pipes)
{
    *pipes = (struct pipes){ { -1, -1, -1, -1 }, { -1, -1, -1, -1 }, { -1, -1 } };
    int error = open_pipe(pipes->failure);
    for (int i = 0; i < 4 && error == 0; i++) {
        int ends[2];
        error = open_pipe(ends);
        if (error == 0) {
            pipes->ours[i] = ends[i == STDIN_FILENO ? 1 : 0];
            pipes->theirs[i] = ends[i == STDIN_FILENO ? 0 : 1];
            fcntl(pipes->ours[i], F_SETFL, O_NONBLOCK);
        }
    }
    if (error != 0)
        shut_all(pipes);
    return error;
}

/* ---- In the child ----------------------------------------------------------- */

static void reset_signals(void)
{
    struct sigaction standard = { .sa_handler = SIG_DFL };
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &standard, NULL); /* some cannot be; that is fine */
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become(const struct pipes *pipes, char *const *arguments, pid_t parent)
{
    setpgid(0, 0);
    reset_signals();
    bool orphaned = prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent;
    for (int i = 0; i < 4 && !orphaned; i++)
        orphaned = dup2(pipes->theirs[i], i) < 0;
    if (!orphaned) {
        close_range(STATUS_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC); /* be it a script's file */
        execvp(arguments[0], arguments);
    }
    int error = errno;
    (void)!write(pipes->failure[1], &error, sizeof error);
    _exit(127);
}

/* ---- In the parent ---------------------------------------------------------- */

/* Waits until the child is another program: 0, or why it could not be. */
static int hear_of_exec(int descriptor)
{
    int error = 0;
    ssize_t size;
    do
        size = read(descriptor, &error, sizeof error);
    while (size < 0 && errno == EINTR);
    return size == (ssize_t)sizeof error ? -error : 0;
}

int children_start(struct child *child, const struct children_request *request)
{
    struct pipes pipes;
    char *const *arguments = (char *const *)(uintptr_t)request->arguments; /* left alone */
    int error = open_pipes(&pipes);
    if (error != 0)
        return error;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(&pipes, arguments, parent);
    error = pid < 0 ? -errno : 0;
    shut(&pipes.failure[1]);
    if (error == 0)
        error = hear_of_exec(pipes.failure[0]);
    if (error != 0) {
        if (pid > 0)
            waitpid(pid, NULL, 0);
        shut_all(&pipes);
        return error;
    }
    child->pid = pid;
    child->input = pipes.ours[STDIN_FILENO];
    children_stream_init(&child->streams[CHILDREN_OUT], pipes.ours[STDOUT_FILENO]);
    children_stream_init(&child->streams[CHILDREN_ERR], pipes.ours[STDERR_FILENO]);
    children_stream_init(&child->streams[CHILDREN_STATUS], pipes.ours[STATUS_FILENO]);
    for (int i = 0; i < 4; i++)
        pipes.ours[i] = -1;
    shut_all(&pipes);
    return 0;
}

static void end_input(struct child *child)
{
    shut(&child->input);
    memory_put(child->text, child->text_size);
    child->text = NULL;
}

void children_feed(struct child *child)
{
    while (child->input >= 0) {
        if (child->written == child->text_size) {
            end_input(child);
            return;
        }
        ssize_t size =
            write(child->input, child->text + child->written, child->text_size - child->written);
        if (size >= 0)
            child->written += (size_t)size;
        else if (errno == EAGAIN)
            return;
        else if (errno != EINTR) /* it wants no more */
            end_input(child);
    }
}

/* While it has not been waited for nobody else can get its number. */
void children_look(struct child *child)
{
    siginfo_t info = { .si_pid = 0 };
    if (child->exited)
        return;
    int error = waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    bool is_lost = error != 0 && errno == ECHILD; /* somebody else has waited for it */
    if (!is_lost && (error != 0 || info.si_pid == 0))
        return;
    child->exited = true;
    child->signalled = !is_lost && info.si_code != CLD_EXITED;
    child->number = is_lost ? 0 : info.si_status;
    if (!is_lost) {
        kill(-child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
    }
    child->pid = 0;
    end_input(child);
    for (int i = 0; i < CHILDREN_STREAMS; i++)
        children_stream_bound(&child->streams[i]);
}
