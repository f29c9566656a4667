/*
 * host_nodes.c -- a host as a node of a topology: which one it is, and where the others are.
 */
#include "host_internal.h"

#include "net/places.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool copy_text(char **copy, const char *text)
{
    *copy = text != NULL ? strdup(text) : NULL;
    return text == NULL || *copy != NULL;
}

int host_open_nodes(struct host *host, const struct host_options *options, char *why, size_t room)
{
    if (!copy_text(&host->topology, options->topology) || !copy_text(&host->node, options->node)) {
        snprintf(why, room, "out of memory");
        return -ENOMEM;
    }
    const char *const *each = options->nodes;
    for (; each != NULL && each[0] != NULL; each += 2) {
        if (each[1] == NULL) {
            snprintf(why, room, "node '%.60s' has no endpoint", each[0]);
            return -EINVAL;
        }
        int error = nodes_read(&host->system.nodes, each[0], each[1], why, room);
        if (error != 0)
            return error;
    }
    return 0;
}

void host_close_nodes(struct host *host)
{
    free(host->topology);
    free(host->node);
}

int host_set_node(struct host *host, const char *node, const char *endpoint, char *why, size_t room)
{
    return nodes_read(&host->system.nodes, node, endpoint, why, room);
}

const char *host_place(struct host *host, const struct address *address, char *why, size_t room)
{
    const char *endpoint = places_find(&host->system.nodes, address);
    if (endpoint == NULL)
        nodes_explain(&host->system.nodes, address_node(address_endpoint(address)), why, room);
    return endpoint;
}
