/*
 * host_control.c -- a host's control socket: which commands it serves, and when it
 * comes and goes.
 */
#include "commands.h"

#include "base/log.h"

#include <errno.h>

static command_open *const openers[] = {
    command_info_open,
    command_ps_open,
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

void host_stop_control(struct host *host)
{
    if (host->control != NULL)
        control_stop(host->control);
}

void host_close_control(struct host *host)
{
    control_close(host->control);
    host->control = NULL;
    free(host->name);
    host->name = NULL;
}
