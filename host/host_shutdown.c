/*
 * host_shutdown.c -- a host ends: its actors, its traffic, its threads, and one
 * line about what was lost.
 */
#include "host_internal.h"

#include "actor/watchdog.h"
#include "base/log.h"

#include <string.h>

#define STREAMS_PATIENCE_NS (100 * NS_PER_MS) /* for what actors have written to streams, likewise */
#define THREADS_PATIENCE_NS (100 * NS_PER_MS) /* for threads to end, whatever is left of the budget */

bool host_has_living(const struct host *host)
{
    return atomic_load_explicit(&host->system.registry.living, memory_order_acquire) > 0;
}

/* Appends "a (3), b (2), others (7)". */
static void name_targets(const struct tally *tally, struct bytes *text)
{
    for (unsigned i = 0; i < tally->names; i++)
        bytes_printf(text, "%s%s (%llu)", i > 0 ? ", " : "", tally->list[i].name,
                     (unsigned long long)tally->list[i].count);
    if (tally->others > 0)
        bytes_printf(text, ", others (%llu)", (unsigned long long)tally->others);
}

/* One line, if there is anything to say: who was killed, and what became of
 * messages that no handler has seen. */
static void say_what_was_lost(struct host *host, const struct shutdown_account *account,
                              uint64_t budget_ns)
{
    struct tally tally;
    struct bytes text;
    dead_letters_tallied(&host->system.letters, &tally);
    bytes_init(&text, 2048);
    if (account->left > 0)
        bytes_printf(&text, "; %u actor%s had not ended in time and %s given up (a shutdown may take "
                     "%.1f s): %s",
                     account->left, account->left == 1 ? "" : "s",
                     account->left == 1 ? "was" : "were", (double)budget_ns / (double)NS_PER_SEC,
                     account->names);
    if (tally.total > 0) {
        bytes_printf(&text, "; %llu message%s not handled: ", (unsigned long long)tally.total,
                     tally.total == 1 ? " was" : "s were");
        name_targets(&tally, &text);
    }
    if (tally.rejected > 0)
        bytes_printf(&text, "; %llu message%s rejected", (unsigned long long)tally.rejected,
                     tally.rejected == 1 ? " was" : "s were");
    if (text.size > 0)
        log_warn("host: %s", bytes_text(&text) + strlen("; "));
    bytes_fini(&text);
}

void host_shut_down(struct host *host, uint64_t budget_ns)
{
    struct system *system = &host->system;
    struct shutdown_account account;
    uint64_t began_ns = clock_now(&system->clock);

    if (host->shut_down)
        return;
    host->shut_down = true;
    reloads_stop(host->world.reloads); /* actors that are held would not hear of their end */
    /* The last fifth is for frames that are to leave, but a second is enough. */
    uint64_t last_ns = budget_ns / 5 < HOST_LINGER_NS ? budget_ns / 5 : HOST_LINGER_NS;
    lifecycle_shut_down(system, began_ns + budget_ns - last_ns, &account);
    host->left = account.left;
    uint64_t now_ns = clock_now(&system->clock);
    uint64_t end_ns = now_ns + HOST_LINGER_NS;
    /* Without a budget no actor is waited for; but what was sent still is to leave. */
    if (budget_ns > 0 && began_ns + budget_ns < end_ns)
        end_ns = began_ns + budget_ns;
    if (host->gateway != NULL && host->start_error == 0)
        gateway_stop(host->gateway, end_ns);
    now_ns = clock_now(&system->clock);
    host_stop_streams(host, end_ns > now_ns + STREAMS_PATIENCE_NS ? end_ns - now_ns
                                                                  : STREAMS_PATIENCE_NS);
    if (budget_ns > 0)
        say_what_was_lost(host, &account, budget_ns);
    now_ns = clock_now(&system->clock);
    end_ns = began_ns + budget_ns;
    host->stuck = !scheduler_stop(system, end_ns > now_ns + THREADS_PATIENCE_NS
                                              ? end_ns
                                              : now_ns + THREADS_PATIENCE_NS);
    watchdog_stop(system);
    if (host->start_error != 0 && host_has_living(host))
        host->stuck = true; /* nobody ran them, so nobody could end them */
}
