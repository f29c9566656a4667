/*
 * crash.c -- see crash.h. Everything here runs in a signal handler, on a thread
 * whose state may be broken: it reads, writes one line, and ends the process.
 */
#include "crash.h"

#include "actor/scheduler.h"
#include "actor/actor.h"
#include "message/message.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct line {
    char   text[600];
    size_t size;
};

static void append(struct line *line, const char *text)
{
    while (*text != '\0' && line->size < sizeof line->text)
        line->text[line->size++] = *text++;
}

static void append_hex(struct line *line, uintptr_t number)
{
    char digits[2 * sizeof number + 1];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[number & 15];
        number >>= 4;
    } while (number != 0);
    append(line, "0x");
    append(line, digits + at);
}

static const char *name_of(int number)
{
    switch (number) {
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS:  return "SIGBUS";
    case SIGILL:  return "SIGILL";
    case SIGFPE:  return "SIGFPE";
    case SIGABRT: return "SIGABRT";
    default:      return "a signal";
    }
}

/* "in actor 'pong', handling Ping, " */
static void append_actor(struct line *line)
{
    const struct worker *worker = worker_self;
    const struct actor *actor =
        worker != NULL ? atomic_load_explicit(&worker->running, memory_order_relaxed) : NULL;
    if (actor == NULL)
        return;
    type_id type = atomic_load_explicit(&actor->handling, memory_order_relaxed);
    append(line, "in actor '");
    append(line, actor->name != NULL ? actor->name : "?");
    append(line, "', ");
    if (type != TYPE_NONE) {
        append(line, "handling ");
        append(line, type_name(type));
        append(line, ", ");
    }
}

static void report(int number, siginfo_t *info, void *context)
{
    (void)context;
    char thread[17] = "";
    struct line line = { .size = 0 };

    append(&line, "troupe: crashed by ");
    append(&line, name_of(number));
    if (number != SIGABRT && info->si_code > 0) { /* the kernel's, and not sent by somebody */
        append(&line, " at address ");
        append_hex(&line, (uintptr_t)info->si_addr);
    }
    append(&line, ", ");
    append_actor(&line);
    prctl(PR_GET_NAME, thread);
    append(&line, "on thread ");
    append(&line, thread);
    append(&line, "\n");
    (void)!write(STDERR_FILENO, line.text, line.size);
    /* SA_RESETHAND: what comes now is the system's. It is blocked until we return. */
    raise(number);
}

void crash_report_install(void)
{
#ifndef TROUPE_SANITIZED
    static const int numbers[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
    struct sigaction action = { .sa_sigaction = report,
                                .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND | SA_ONSTACK) };
    sigfillset(&action.sa_mask); /* and on other threads that crash meanwhile: the first tells */
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        sigaction(numbers[i], &action, NULL);
#else
    (void)report;
#endif
}
