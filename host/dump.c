/*
 * dump.c -- what a host does right now, as a text for people: for when it does
 * not do what it should. Runs no Lua and waits for no actor.
 */
#include "host_internal.h"

#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define DUMP_LIMIT  (1u << 20)
#define ACTORS_MOST 2000 /* that are shown: those with mail or in a handler first */
#define PATIENCE_MS 1000 /* with whoever reads it */

/* The actors whose code runs, as pointers in `running`. */
static void find_running(struct scheduler *scheduler, struct bytes *running)
{
    unsigned started = atomic_load_explicit(&scheduler->started, memory_order_acquire);
    for (unsigned i = 0; i < started; i++) {
        struct actor *actor =
            atomic_load_explicit(&scheduler->workers[i].running, memory_order_relaxed);
        bytes_append(running, &actor, sizeof actor);
    }
    lock_acquire(&scheduler->lock);
    for (struct worker *each = scheduler->pinned; each != NULL; each = each->pinned_next) {
        struct actor *actor = atomic_load_explicit(&each->running, memory_order_relaxed);
        bytes_append(running, &actor, sizeof actor);
    }
    lock_release(&scheduler->lock);
}

static bool is_among(const struct bytes *running, const struct actor *actor)
{
    for (size_t at = 0; at < running->size; at += sizeof actor)
        if (memcmp(running->data + at, &actor, sizeof actor) == 0)
            return true;
    return false;
}

/* "on Ping, waits for b, 4.2 s at most" */
static void describe_handler_locked(struct system *system, const struct bytes *running,
                                    struct actor *actor, struct bytes *text)
{
    type_id handling = atomic_load_explicit(&actor->handling, memory_order_relaxed);
    if (handling == TYPE_NONE) {
        bytes_append_text(text, "idle");
        return;
    }
    bytes_printf(text, "on %s, ", type_name(handling));
    if (is_among(running, actor)) {
        bytes_append_text(text, "running");
        return;
    }
    struct actor *target = registry_find(&system->registry, waits_target(system, actor));
    uint64_t until_ns = atomic_load_explicit(&actor->alarm.wanted_ns, memory_order_relaxed);
    if (target == NULL && until_ns == UINT64_MAX) {
        bytes_append_text(text, "waits"); /* for its turn, or without a deadline */
        return;
    }
    bytes_printf(text, "waits%s%s", target != NULL ? " for " : "",
                 target != NULL ? target->name : "");
    if (until_ns != UINT64_MAX) {
        uint64_t now_ns = clock_now(&system->clock);
        bytes_printf(text, ", %.1f s at most",
                     until_ns > now_ns ? (double)(until_ns - now_ns) / 1e9 : 0.0);
    }
}

static bool is_of_interest(struct actor *actor)
{
    return mailbox_unhandled(&actor->box) > 0 ||
           atomic_load_explicit(&actor->handling, memory_order_relaxed) != TYPE_NONE;
}

static void describe_actors(struct system *system, struct bytes *text)
{
    struct registry *registry = &system->registry;
    unsigned shown = 0, all = 0;
    struct bytes running;
    bytes_init(&running, 0);
    find_running(&system->scheduler, &running);
    lock_acquire(&registry->lock);
    for (int idle = 0; idle <= 1; idle++) {
        for (struct actor *each = registry->oldest; each != NULL; each = each->born_after) {
            if (is_of_interest(each) != (idle == 0))
                continue;
            all++;
            if (shown == ACTORS_MOST)
                continue;
            shown++;
            bytes_printf(text, "  %-20s %u message%s, %llu bytes, ", each->name,
                         mailbox_unhandled(&each->box),
                         mailbox_unhandled(&each->box) == 1 ? "" : "s",
                         (unsigned long long)mailbox_bytes(&each->box));
            describe_handler_locked(system, &running, each, text);
            bytes_append_byte(text, '\n');
        }
    }
    lock_release(&registry->lock);
    bytes_fini(&running);
    if (all > shown)
        bytes_printf(text, "  and %u more\n", all - shown);
}

static unsigned long long value_of(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void describe_counters(struct host *host, struct bytes *text)
{
    struct system *system = &host->system;
    struct system_counters *counters = &system->counters;
    bytes_printf(text,
                 "  ended %llu, dead letters %llu, unhandled %llu, bad fields %llu, timers %zu "
                 "armed, %llu fired, log lines lost %llu\n",
                 value_of(&system->registry.ended),
                 (unsigned long long)dead_letters_total(&system->letters),
                 value_of(&counters->unhandled), value_of(&counters->bad_fields),
                 timers_count(system->timers), value_of(&counters->timers_fired),
                 (unsigned long long)log_lost());
    if (host->gateway == NULL)
        return;
    struct gateway_counts wire = gateway_counts(host->gateway);
    bytes_printf(text,
                 "  frames %llu in, %llu out, %llu bad, %llu rejected, %llu lost, %llu unconfirmed\n",
                 (unsigned long long)wire.frames_in, (unsigned long long)wire.frames_out,
                 value_of(&counters->frames_bad), value_of(&counters->rejected),
                 (unsigned long long)wire.lost, (unsigned long long)wire.unconfirmed);
}

/* Writes all of it, unless nobody reads. */
static void write_out(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        struct pollfd output = { .fd = fd, .events = POLLOUT };
        if (poll(&output, 1, PATIENCE_MS) != 1)
            return;
        /* Not more than a pipe has room for when it says that it has some. */
        ssize_t written = write(fd, data, size < 4096 ? size : 4096);
        if (written < 0 && errno != EINTR)
            return;
        if (written > 0) {
            data += written;
            size -= (size_t)written;
        }
    }
}

void host_dump(struct host *host, int fd)
{
    struct system *system = &host->system;
    struct bytes text;
    bytes_init(&text, DUMP_LIMIT);
    bytes_printf(&text, "troupe %s, process %ld%s%s: %u actors%s\n", TROUPE_VERSION, (long)getpid(),
                 *host_endpoint(host) != '\0' ? ", listening on " : "", host_endpoint(host),
                 atomic_load_explicit(&system->registry.living, memory_order_relaxed),
                 atomic_load_explicit(&system->inlet_closed, memory_order_relaxed)
                     ? ", shutting down" : "");
    describe_actors(system, &text);
    describe_counters(host, &text);
    write_out(fd, text.data, text.size);
    bytes_fini(&text);
}
