/*
 * places.h -- what of the nodes of a topology leaves this host: endpoints. A peer has
 * nodes of its own, or none, and whom a reference means must not depend on that.
 */
#ifndef TROUPE_NET_PLACES_H
#define TROUPE_NET_PLACES_H

#include "actor/nodes.h"
#include "base/bytes.h"
#include "message/address.h"
#include "message/message.h"

/* Where the address leads: its endpoint, or that of its node ("": here); NULL: that is
 * not known. Valid as both are. */
static inline const char *places_find(const struct nodes *nodes, const struct address *address)
{
    const char *endpoint = address_endpoint(address), *node = address_node(endpoint);
    return LIKELY(node == NULL) ? endpoint : nodes_find(nodes, node);
}

/* The payload of a message as it leaves. */
struct places {
    const uint8_t *payload;
    size_t         size;
    struct bytes   copy; /* if there are nodes in it */
};

/* The rest of places_open(), if there are nodes. */
int places_write(struct places *places, const struct nodes *nodes,
                 const char *(*own)(void *context), void *context);

/* Names of nodes that are known become endpoints; `own` says ours (NULL: there is none).
 * 0 or -ENOMEM; closed in any case. The message stays as it is, and must. */
static inline int places_open(struct places *places, const struct nodes *nodes,
                              const struct message *message, const char *(*own)(void *context),
                              void *context)
{
    places->payload = message->payload;
    places->size = message->size;
    places->copy.data = NULL;
    return LIKELY(!nodes_any(nodes)) ? 0 : places_write(places, nodes, own, context);
}

static inline void places_close(struct places *places)
{
    if (UNLIKELY(places->copy.data != NULL))
        bytes_fini(&places->copy);
}

#endif
