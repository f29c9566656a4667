/*
 * command_metrics.c -- `metrics`: what the host has counted, as actor.metrics() says it.
 *
 *     {"do":"metrics"}
 *     {"name":"pong","pid":4711,"uptime":12.5,"metrics":{"actors":3,...}}
 */
#include "commands.h"

#include "script/metrics.h"

#include <unistd.h>

static void serve(void *context, struct control_client *client,
                  const struct control_request *request)
{
    (void)request;
    struct host *host = context;
    struct command_row row;
    command_row_begin(&row);
    command_row_text(&row, "name", host->name);
    command_row_integer(&row, "pid", getpid());
    command_row_number(&row, "uptime", host_uptime(host));
    command_row_field(&row, "metrics");
    metrics_measure(&host->system, &row.packed);
    bool said = command_row_say(&row, client);
    control_end(client, said ? 0 : 1, said ? NULL : "out of memory");
}

int command_metrics_open(struct host *host)
{
    return control_add(host->control, &(struct control_command){ .name = "metrics",
                                                                 .serve = serve,
                                                                 .context = host });
}
