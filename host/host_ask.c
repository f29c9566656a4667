/*
 * host_ask.c -- questions from threads that are no actors: the thread that waits.
 */
#include "asker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Waits for the outcome; false: it was not there in time. */
static bool await(struct host *host, struct asker *asker, uint64_t deadline_ns)
{
    struct system *system = &host->system;
    bool in_time = true;
    if (system->scheduler.regular == 0) {
        while (!asker->over) {
            if (scheduler_step(system))
                continue;
            uint64_t next_ns = timers_next(system->timers);
            if (next_ns > deadline_ns) {
                clock_set(&system->clock, deadline_ns);
                return false;
            }
            timers_advance(system->timers, next_ns);
        }
        return true;
    }
    lock_acquire(&asker->lock);
    while (!asker->over && in_time)
        in_time = signal_wait_until(&asker->changed, &asker->lock, deadline_ns);
    bool over = asker->over;
    lock_release(&asker->lock);
    return over;
}

/* No answer in time: was there a connection at all? */
static int explain_silence(struct host *host, const struct asker *asker, const char *to,
                           const char *type, uint64_t timeout_ms, char *why, size_t room)
{
    const char *endpoint = host_place(host, asker->to, why, room);
    double seconds = (double)timeout_ms / 1000;
    if (endpoint == NULL)
        return -EHOSTUNREACH;
    if (*endpoint != '\0' && host->gateway != NULL) {
        enum peer_state state = gateway_peer_state(host->gateway, endpoint);
        if (state != PEER_CONNECTED) {
            snprintf(why, room, "nobody answers at %s: %s in %.1f s", endpoint,
                     state == PEER_LOST ? "the connection was lost, and not restored"
                                        : "no connection",
                     seconds);
            return -EHOSTUNREACH;
        }
    }
    snprintf(why, room, "no answer from %s to %s in %.1f s", to, type, seconds);
    return -ETIMEDOUT;
}

int host_ask(struct host *host, const char *to, const char *type, const char *json,
             uint64_t timeout_ms, char **reply_type, char **reply_json, char *why, size_t room)
{
    if (host_in_hand(host) != NULL) {
        snprintf(why, room, "an actor cannot wait in C: send, and receive the answer");
        return -EDEADLK;
    }
    int error = host_start(host);
    if (error != 0) {
        snprintf(why, room, "the host cannot be started: %s", strerror(-error));
        return error;
    }
    struct asker *asker;
    uint64_t deadline_ns = clock_now(&host->system.clock) + timeout_ms * NS_PER_MS;
    error = asker_open(host, to, type, json, NULL, NULL, &asker, why, room);
    if (error != 0)
        return error;
    if (!await(host, asker, deadline_ns)) {
        error = explain_silence(host, asker, to, type, timeout_ms, why, room);
        asker_cancel(host, asker, error, why);
    }
    error = asker_outcome(host, asker, to, type, reply_type, reply_json, why, room);
    asker_unref(asker);
    return error;
}
