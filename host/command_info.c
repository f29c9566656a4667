/*
 * command_info.c -- `info`: who this host is.
 *
 *     {"do":"info"}
 *     {"name":"pong","pid":4711,"version":"0.1.0","endpoint":"tcp://127.0.0.1:5001",
 *      "scripts":["pong.lua"],"since":"2026-11-20T17:18:46Z","uptime":12.5,"actors":3,
 *      "watching":false,"stopping":false,"topology":"market","node":"feed"}
 *
 * The last two are null unless the host runs a node of a topology.
 */
#include "commands.h"

#include <unistd.h>

static void put_scripts(struct host *host, struct command_row *row)
{
    command_row_field(row, "scripts");
    lock_acquire(&host->lock);
    size_t at = pack_open(&row->packed, PACK_MARKED_ARRAY);
    uint32_t count = 0;
    for (unsigned i = 0; i < host->script_count; i++) {
        size_t size = strlen(host->scripts[i]);
        if (!json_valid_utf8(host->scripts[i], size))
            continue;
        pack_put_string(&row->packed, host->scripts[i], size);
        count++;
    }
    pack_close(&row->packed, at, count);
    lock_release(&host->lock);
}

static void serve(void *context, struct control_client *client,
                  const struct control_request *request)
{
    (void)request;
    struct host *host = context;
    struct system *system = &host->system;
    struct command_row row;
    struct tm utc;
    char since[40] = "";

    gmtime_r(&host->since, &utc);
    strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &utc);
    lock_acquire(&system->lock);
    uint32_t hidden = system->hidden;
    lock_release(&system->lock);
    uint32_t living = atomic_load_explicit(&system->registry.living, memory_order_relaxed);

    command_row_begin(&row);
    command_row_text(&row, "name", host->name);
    command_row_integer(&row, "pid", getpid());
    command_row_text(&row, "version", TROUPE_VERSION);
    command_row_text(&row, "endpoint", host_endpoint(host));
    put_scripts(host, &row);
    command_row_text(&row, "since", since);
    command_row_number(&row, "uptime", host_uptime(host));
    command_row_integer(&row, "actors", living > hidden ? living - hidden : 0);
    command_row_flag(&row, "watching",
                     atomic_load_explicit(&host->watching, memory_order_relaxed));
    command_row_flag(&row, "stopping",
                     atomic_load_explicit(&system->inlet_closed, memory_order_relaxed));
    command_row_text(&row, "topology", host->topology);
    command_row_text(&row, "node", host->node);
    bool said = command_row_say(&row, client);
    control_end(client, said ? 0 : 1, said ? NULL : "out of memory");
}

int command_info_open(struct host *host)
{
    return control_add(host->control, &(struct control_command){ .name = "info", .serve = serve,
                                                                 .context = host });
}
