/*
 * host_control.c -- a host's control socket: which commands it serves, and when it
 * comes and goes.
 */
#include "commands.h"
#include "observer.h"

#include "base/log.h"
#include "control/folder.h"

#include <errno.h>
#include <stdio.h>

static command_open *const openers[] = {
    command_info_open, command_kill_open, command_dead_open, command_metrics_open,
    command_mail_open, command_ps_open, command_trace_open, command_logs_open, command_attach_open,
    command_reload_open,
};

static command_close *const closers[] = {
    command_kill_close,
    command_mail_close,
    command_logs_close,
    command_attach_close,
    command_reload_close,
};

int host_open_control(struct host *host, const char *name)
{
    char why[HOST_WHY];
    if (name == NULL)
        return 0;
    host->name = strdup(name);
    if (host->name == NULL)
        return -ENOMEM;
    if (control_open(&host->control, name, why, sizeof why) != 0) {
        log_warn("control: no control socket, so troupe ps, kill and others will not find this host:"
                 " %s", why);
        return 0;
    }
    int error = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(openers) && error == 0; i++)
        error = openers[i](host);
    if (error == 0)
        error = control_start(host->control);
    if (error != 0)
        host_close_control(host);
    return error;
}

struct naming {
    long  pid;
    char *text;
    size_t room;
    bool  found;
};

static void name_host(void *context, const char *file, const char *name, long pid)
{
    struct naming *naming = context;
    (void)file;
    if (pid != naming->pid)
        return;
    naming->found = true;
    snprintf(naming->text, naming->room, "troupe: host '%s'", name);
}

bool host_name_process(long pid, char *text, size_t room)
{
    struct control_folder folder;
    struct naming naming = { .pid = pid, .text = text, .room = room };
    char why[HOST_WHY];
    if (control_folder_open(&folder, false, why, sizeof why) != 0)
        return false;
    control_folder_each(&folder, name_host, &naming);
    control_folder_close(&folder);
    return naming.found;
}

double host_uptime(struct host *host)
{
    return (double)((clock_now(&host->system.clock) - host->since_ns) / NS_PER_MS) / 1e3;
}

void host_stop_control(struct host *host)
{
    if (host->control != NULL)
        control_stop(host->control);
    observer_close(host);
}

void host_close_control(struct host *host)
{
    control_close(host->control);
    host->control = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(closers); i++)
        closers[i](host);
    free(host->name);
    host->name = NULL;
}
