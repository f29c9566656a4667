/*
 * tools.c -- the port of the tools: hosts without actors, signals, and facts.
 */
#include "tools.h"

#include "base/holder.h"
#include "base/signals.h"
#include "host_internal.h"
#include "net/policy.h"
#include "net/probe.h"
#include "place.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void tools_secure(struct host_options *options, const struct program_security *security)
{
    options->open = security->open;
    options->allow = security->allow;
    options->reply_to = security->reply_to;
    options->curve_key = security->curve_key;
    options->curve_peers = security->curve_peers;
}

int tools_make_host(struct host **host, const struct tools_listen *options, char *why, size_t room)
{
    static const struct tools_listen none;
    if (options == NULL)
        options = &none;
    struct host_options host_options = {
        .workers = 1,
        .bind = options->bind,
        .advertise = options->advertise,
    };
    tools_secure(&host_options, &options->security);
    return host_make(host, &host_options, why, room);
}

/* ---- Signals ----------------------------------------------------------- */

void tools_take_signals(void)
{
    sigset_t signals = ending_signals();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

int tools_signal(void)
{
    sigset_t        signals = ending_signals();
    struct timespec none = { 0, 0 };
    int             number = sigtimedwait(&signals, NULL, &none);
    return number > 0 ? number : 0;
}

/* ---- Finding out ------------------------------------------------------- */

static void tell(const struct tools_ear *ear, const char *key, const char *text)
{
    ear->text(ear->context, key, text, strlen(text));
}

static void probe(const char *endpoint, uint64_t timeout_ms, const struct tools_ear *ear)
{
    struct probe found;
    probe_endpoint(endpoint, timeout_ms, &found);
    tell(ear, "outcome", probe_outcome_name(found.outcome));
    tell(ear, "reason", strerror(found.error));
    tell(ear, "local", found.local);
    tell(ear, "mechanism", found.mechanism);
    tell(ear, "socket_type", found.socket_type);
    ear->text(ear->context, "said", found.said, found.said_size);
    ear->number(ear->context, "connect_ns", found.connect_ns);
    ear->number(ear->context, "handshake_ns", found.handshake_ns);
}

static int normalise(const char *endpoint, bool numeric_only, char *out, size_t size, char *why,
                     size_t room)
{
    char normalised[ADDRESS_ENDPOINT_LIMIT];
    int  error = address_endpoint_normalise(endpoint, strlen(endpoint), numeric_only, false,
                                            normalised, why, room);
    if (error == 0)
        snprintf(out, size, "%s", normalised);
    return error;
}

static int judge_hosts(const char *list, bool words, char *why, size_t room)
{
    struct policy policy;
    int error = policy_parse(&policy, words ? POLICY_ENDPOINTS : POLICY_ADDRESSES, list, why,
                             room);
    policy_fini(&policy);
    return error;
}

static bool port_holder(const char *host, uint16_t port, long *pid, char *name, size_t room)
{
    struct holder holder;
    if (holder_find(host, port, &holder) != HOLDER_FOUND)
        return false;
    *pid = holder.pid;
    if (!host_name_process(holder.pid, name, room))
        snprintf(name, room, "%s", holder.name);
    return true;
}

static void facts(const struct tools_ear *ear)
{
    struct rlimit files;
    bool          curve;
    long          cores = sysconf(_SC_NPROCESSORS_ONLN);

    tell(ear, "zmq", probe_library(&curve));
    tell(ear, "share", place_share());
    ear->number(ear->context, "curve", curve);
    ear->number(ear->context, "cores", cores > 0 ? (uint64_t)cores : 1);
    ear->number(ear->context, "user", getuid());
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
        ear->number(ear->context, "files", files.rlim_cur);
}

const struct tools_port tools_port = {
    .listen = tools_listen_open,
    .listen_endpoint = tools_listen_endpoint,
    .listen_next = tools_listen_next,
    .listen_reply = tools_listen_reply,
    .listen_reject = tools_listen_reject,
    .listen_send = tools_listen_send,
    .listen_waiting = tools_listen_waiting,
    .listen_close = tools_listen_close,
    .bench = tools_bench_open,
    .bench_go_on = tools_bench_go_on,
    .bench_read = tools_bench_read,
    .bench_close = tools_bench_close,
    .resolve = probe_resolve,
    .probe = probe,
    .normalise = normalise,
    .hosts = judge_hosts,
    .port_is_taken = probe_port_is_taken,
    .port_holder = port_holder,
    .facts = facts,
};
