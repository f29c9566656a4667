/*
 * host_streams.c -- a host's streams: made with it, ended before its threads,
 * freed after its last message.
 */
#include "host_internal.h"

#include <errno.h>

int host_open_streams(struct host *host, bool stepped)
{
    struct packet_source source = { .open = NULL };
    if (!stepped) {
        host->subscriptions = subscriptions_new();
        if (host->subscriptions == NULL)
            return -ENOMEM;
        source = subscriptions_source(host->subscriptions);
    }
    int error = io_open(&host->io, &host->system, &source);
    if (error != 0)
        subscriptions_free(host->subscriptions);
    return error;
}

void host_stop_streams(struct host *host, uint64_t patience_ns)
{
    io_stop(host->io, patience_ns);
}

void host_kill_children(struct host *host)
{
    io_kill_children(host->io);
}

bool host_reads_stdin(struct host *host)
{
    return io_reads_stdin(host->io);
}

void host_close_streams(struct host *host)
{
    io_close(host->io);
    subscriptions_free(host->subscriptions);
}
