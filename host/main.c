/*
 * main.c -- the `troupe` program: what a process needs around a host. The
 * command line itself is Lua, in lua/troupe/cli.
 */
#include "host.h"

#include "crash.h"

#include "base/log.h"
#include "base/thread.h"
#include "enter.h"
#include "host_internal.h"
#include "place.h"
#include "script/program.h"
#include "stage.h"
#include "tools.h"
#include "wish.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_TIMED_OUT = 3,
    EXIT_REJECTED = 4,
    EXIT_UNREACHABLE = 5,
    EXIT_INTERRUPTED = 130,
    EXIT_TERMINATED = 143,
};

/* What the commands share. */
struct process {
    struct host *talking; /* sends and asks; made when first needed */
};

/* The host that signals are about. */
static struct {
    struct lock  lock;
    struct host *host;    /* guarded by lock, as all here; NULL: not yet, or no more */
    struct wish  wish;    /* that it stops */
    pid_t        keeper;  /* the parent, if this process was made to end with it */
} target = { .lock = { PTHREAD_MUTEX_INITIALIZER } };

/* ---- Signals ----------------------------------------------------------- */

static volatile sig_atomic_t leaving_with;

static void leave(int number)
{
    (void)number;
    _exit(leaving_with);
}

/* The process ends with `code` half a second from now at the latest, whatever is
 * still to be written to files that may take nothing. */
static void leave_soon(int code)
{
    leaving_with = code;
    struct sigaction action = { .sa_handler = leave };
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    struct itimerval when = { .it_value = { .tv_usec = 500000 } };
    setitimer(ITIMER_REAL, &when, NULL);
}

/* The second one: what is not done yet never will be. */
static void leave_at_once_locked(int number)
{
    int code = number == SIGINT ? EXIT_INTERRUPTED : EXIT_TERMINATED;
    leave_soon(code);
    char left[400];
    size_t count = target.host != NULL ? host_living(target.host, left, sizeof left) : 0;
    if (count > 0)
        log_warn("host: stopped at once; lost with their mail: %s", left);
    else
        log_warn("host: stopped at once");
    if (target.host != NULL)
        host_kill_children(target.host);
    _exit(code);
}

static void stop_host_locked(void)
{
    if (target.host != NULL && target.wish.number != 0)
        host_stop(target.host, target.wish.number == SIGINT ? EXIT_INTERRUPTED : EXIT_OK);
}

static void stop(int number, pid_t sender)
{
    struct wish wish = wish_made(number, sender);
    lock_acquire(&target.lock);
    if (target.wish.number == 0) {
        target.wish = wish;
        stop_host_locked();
    } else if (!wish_is_same(&target.wish, wish, target.keeper)) {
        leave_at_once_locked(number);
    }
    lock_release(&target.lock);
}

static void reload_scripts_locked(const char *asked_by)
{
    int error = target.host != NULL ? host_ask_reload(target.host, asked_by) : 0;
    if (error != 0 && error != -ESHUTDOWN)
        log_error("host: %s: nothing was reloaded: %s", asked_by, strerror(-error));
}

/* SIGHUP: the scripts, and the keys if there are some. */
static void reload(void)
{
    char why[HOST_WHY];
    lock_acquire(&target.lock);
    int error = target.host != NULL ? host_reload(target.host, why, sizeof why) : -ENOTSUP;
    reload_scripts_locked("SIGHUP");
    lock_release(&target.lock);
    if (error == 0)
        log_info("host: SIGHUP: %s", why);
    else if (error != -ENOTSUP)
        log_error("host: SIGHUP: the keys stay as they were: %s", why);
}

/* Enter on the terminal. */
static void reload_now(void)
{
    lock_acquire(&target.lock);
    reload_scripts_locked("Enter");
    lock_release(&target.lock);
}

static bool terminal_is_free(void)
{
    lock_acquire(&target.lock);
    bool is_free = target.host != NULL && !host_reads_stdin(target.host);
    lock_release(&target.lock);
    return is_free;
}

static void dump(void)
{
    lock_acquire(&target.lock);
    if (target.host != NULL)
        host_dump(target.host, STDERR_FILENO);
    lock_release(&target.lock);
}

static sigset_t signals_taken(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
    return signals;
}

static void *take_signals(void *argument)
{
    (void)argument;
    sigset_t signals = signals_taken();
    for (;;) {
        siginfo_t info;
        int number = sigwaitinfo(&signals, &info);
        if (number < 0)
            continue;
        if (number == SIGHUP)
            reload();
        else if (number == SIGUSR1)
            dump();
        else
            stop(number, info.si_pid);
    }
    return NULL;
}

/* From here on signals are taken by a thread of their own. */
static int watch_signals(void)
{
    static struct thread thread;
    int death_signal = 0; /* of this thread, the first: others have none */
    if (prctl(PR_GET_PDEATHSIG, &death_signal) == 0 && death_signal != 0)
        target.keeper = getppid();
    sigset_t signals = signals_taken();
    int err = pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (err != 0)
        return -err;
    err = thread_start(&thread, "signals", 0, take_signals, NULL);
    if (err == 0)
        thread_detach(&thread);
    return err;
}

static void set_target(struct host *host)
{
    lock_acquire(&target.lock);
    target.host = host;
    stop_host_locked(); /* a signal may have come before */
    lock_release(&target.lock);
}

/* A handler and not SIG_IGN, which programs that scripts start would inherit. */
static void ignore(int number)
{
    (void)number;
}

/* ---- troupe run -------------------------------------------------------- */

/* What was named on the command line is no file of the user's. */
static bool cannot_be_read(int error)
{
    return error == -ENOENT || error == -EACCES || error == -EISDIR || error == -ENOTDIR;
}

/* What messages call a text: of several, by its actor. */
static const char *chunk_name(const struct program_run *run, size_t i, char *name, size_t room)
{
    if (run->count == 1)
        return "=(command line)";
    snprintf(name, room, "=(-e of %s)", run->scripts[i].name);
    return name;
}

static int spawn_all(struct host *host, const struct program_run *run, host_actor *actors,
                     char *why, size_t room)
{
    for (size_t i = 0; i < run->count; i++) {
        const struct program_script *script = &run->scripts[i];
        char chunk[300];
        struct host_spawn_options options = { .name = script->name, .config = script->config,
                                              .sandbox = run->sandbox, .held = true,
                                              .vital = true };
        int error = script->path != NULL
                        ? host_spawn(host, script->path, &options, &actors[i], why, room)
                        : host_spawn_text(host, chunk_name(run, i, chunk, sizeof chunk), script->text,
                                          &options, &actors[i], why, room);
        if (error != 0)
            return cannot_be_read(error) ? EXIT_USAGE : EXIT_FAILED;
    }
    return EXIT_OK;
}

/* For people a line of its own; among JSON objects it is one, whatever the level. */
static void say_listening(const struct program_run *run, const char *actor, const char *endpoint)
{
    const struct log_subject about = { .actor = actor, .own_level = 1 + LOG_INFO };
    if (*endpoint == '\0')
        return;
    if (run->log_format != NULL && strcmp(run->log_format, "json") == 0)
        log_about(LOG_INFO, &about, "listening on %s", endpoint);
    else
        fprintf(stderr, "%-8s listening on %s\n", actor, endpoint);
}

static int run_host(struct host *host, const struct program_run *run, host_actor *actors, char *why,
                    size_t room)
{
    int code = spawn_all(host, run, actors, why, room);
    if (code != EXIT_OK)
        return code;
    const char *name = run->node != NULL ? run->node : run->scripts[0].name;
    say_listening(run, name, host_endpoint(host));
    for (unsigned i = 1; host_bound(host, i) != NULL; i++)
        say_listening(run, name, host_bound(host, i));
    say_listening(run, run->flat_actor, host_flat_endpoint(host));
    int error = host_start(host);
    if (error != 0) {
        snprintf(why, room, "the host's threads cannot be started: %s", strerror(-error));
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < run->count; i++) {
        error = host_start_actor(host, actors[i]);
        if (error != 0) {
            snprintf(why, room, "%s cannot be started: %s", run->scripts[i].name,
                     strerror(-error));
            return EXIT_FAILED;
        }
    }
    return host_run(host);
}

static int run(void *context, const struct program_run *run, char *why, size_t room)
{
    (void)context;
    struct host *host;
    struct host_options options = {
        .workers = run->workers,
        .bind = run->bind,
        .also_bind = run->also_bind,
        .advertise = run->advertise,
        .flat = run->flat,
        .flat_actor = run->flat_actor,
        .arguments = run->arguments,
        .log_format = run->log_format,
        .log_level = run->log_level,
        .control = run->control,
        .memory_bytes = run->memory_bytes,
        .slice_ms = run->slice_ms,
        .shutdown_ms = run->limits.shutdown_ms,
        .actors = run->limits.actors,
        .children = run->limits.children,
        .timers = run->limits.timers,
        .dead_letters = run->limits.dead_letters,
        .peers = run->limits.peers,
        .memory_total = run->limits.memory_total,
        .frame_bytes = run->limits.frame_bytes,
        .depth = run->limits.depth,
        .watch = run->watch,
        .watch_trial_ms = run->trial_ms,
        .nodes = run->nodes,
        .topology = run->topology,
        .node = run->node,
    };
    tools_secure(&options, &run->security);
    host_actor *actors = calloc(run->count, sizeof *actors);
    if (actors == NULL || watch_signals() != 0 ||
        (run->watch && enter_watch(terminal_is_free, reload_now) != 0)) {
        free(actors);
        snprintf(why, room, "the host cannot be made: no memory");
        return EXIT_FAILED;
    }
    int code;
    int error = host_make(&host, &options, why, room);
    if (error != 0) {
        code = error == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
    } else {
        set_target(host);
        code = run_host(host, run, actors, why, room);
        set_target(NULL);
        if (!host_free(host)) {
            /* A thread is stuck in C code: what it uses cannot be taken away, and it
             * may have the lock of a file. */
            leave_soon(code);
            fflush(NULL);
            _exit(code);
        }
    }
    free(actors);
    return code;
}

/* ---- troupe send, troupe ask ------------------------------------------- */

static int exit_code_of(int error)
{
    switch (error) {
    case 0:
        return EXIT_OK;
    case -EINVAL:
        return EXIT_USAGE;
    case -ETIMEDOUT:
        return EXIT_TIMED_OUT;
    case -ECONNREFUSED:
        return EXIT_REJECTED;
    case -EHOSTUNREACH:
        return EXIT_UNREACHABLE;
    default:
        return EXIT_FAILED;
    }
}

static int talk(struct process *process, const struct program_message *message, char *why,
                size_t room)
{
    if (process->talking != NULL)
        return 0;
    log_set_level(LOG_ERROR); /* what goes wrong is the command's to say */
    struct host_options options = { .workers = 1 };
    tools_secure(&options, &message->security);
    int error = host_make(&process->talking, &options, why, room);
    if (error != 0)
        return error;
    error = host_start(process->talking);
    if (error != 0)
        snprintf(why, room, "the host's threads cannot be started: %s", strerror(-error));
    return error;
}

static int send(void *context, const struct program_message *message, char *why, size_t room)
{
    struct process *process = context;
    int error = talk(process, message, why, room);
    if (error == 0)
        error = host_send(process->talking, message->to, message->type, message->json, why, room);
    if (error == 0)
        error = host_flush(process->talking, message->to, message->timeout_ms, why, room);
    return exit_code_of(error);
}

static int ask(void *context, const struct program_message *message, char **type, char **json,
               char *why, size_t room)
{
    struct process *process = context;
    int error = talk(process, message, why, room);
    if (error == 0)
        error = host_ask(process->talking, message->to, message->type, message->json,
                         message->timeout_ms, type, json, why, room);
    return exit_code_of(error);
}

/* ---- troupe keys ------------------------------------------------------- */

static int make_key(void *context, const char *path, char *public_key, size_t key_room, char *why,
                    size_t room)
{
    (void)context;
    char key[HOST_KEY];
    int  error = host_make_key(path, key, why, room);
    if (error == 0)
        snprintf(public_key, key_room, "%s", key);
    return error == 0 ? EXIT_OK : EXIT_FAILED;
}

/* ---- The process ------------------------------------------------------- */

/* So that no file or socket of ours gets a number that somebody prints to. */
static void open_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
}

/* Nothing in the environment changes what our own Lua code is. */
static void forget_lua_environment(void)
{
    static const char *const names[] = { "LUA_INIT",     "LUA_INIT_5_4",  "LUA_PATH",
                                         "LUA_PATH_5_4", "LUA_CPATH",     "LUA_CPATH_5_4" };
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        unsetenv(names[i]);
}

static bool reader_has_gone(void)
{
    struct pollfd output = { .fd = STDOUT_FILENO, .events = POLLOUT };
    return poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

/* What was printed may have met a full disk. A reader that has gone away
 * wanted no more, and that is no failure. */
static int flush_output(int code)
{
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || code != EXIT_OK || reader_has_gone())
        return code;
    fprintf(stderr, "troupe: cannot write the output: %s\n",
            errno != 0 ? strerror(errno) : "a write failed");
    return EXIT_FAILED;
}

int main(int count, char **arguments)
{
    open_standard_files();
    forget_lua_environment();
    struct sigaction quiet = { .sa_handler = ignore, .sa_flags = SA_RESTART };
    sigemptyset(&quiet.sa_mask);
    sigaction(SIGPIPE, &quiet, NULL);
    crash_report_install();

    struct process process = { .talking = NULL };
    struct program_port port = { .context = &process, .run = run, .send = send, .ask = ask,
                                 .make_key = make_key };
    struct program program = {
        .count = count,
        .arguments = arguments,
        .version = host_version(),
        .share = place_share(),
        .open_core = stage_core_open,
        .port = &port,
        .tools = &tools_port,
        .control = &control_port,
        .children = &children_port,
    };
    int code = program_run(&program);
    code = flush_output(code);
    if (!host_free(process.talking))
        _exit(code);
    return code;
}
